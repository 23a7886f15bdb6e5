//! Measures one scenario: Claviger, the bare server and the cryptography alone in turns, round by
//! round, so that whatever else the machine does meanwhile falls on all of them.

use std::time::Duration;

use super::connection::Connection;
use super::floor::Floor;
use super::load::{Load, Outcome, Pace};
use super::meanwhile::{self, KeyPairs};
use super::progress::Progress;
use super::requests::{Requests, Supply};
use super::result::{Latency, Measurement, Processor, Ratios, Side};
use super::scenario::Scenario;
use super::servers::{Pair, Servers};
use super::table::over;
use crate::Failure;
use crate::client::Endpoint;

/// How many loads a round has.
pub(super) const STEPS: usize = 4;

/// Requests of the first, short load, which is not counted.
const WARM_UP: usize = 64;

/// Most requests that are made ahead.
const MOST: usize = 100_000;

/// How much the cryptography alone is computed, in part of a load.
const FLOOR_PART: f64 = 0.2;

/// What is measured, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) scenario: Scenario,
    pub(super) connections: usize,
    pub(super) tls: bool,
    pub(super) http2: bool,
    /// Whether pairs of RSA keys are made while latencies are measured.
    pub(super) key_pairs: bool,
    pub(super) rounds: u32,
    /// Of each load.
    pub(super) time: Duration,
}

/// One side as its rounds add up.
struct Sum {
    full: Outcome,
    enclave: Duration,
    host_proxy: Duration,
    paced: Outcome,
    /// Requests a second that were asked for, all rounds together.
    rates: f64,
}

impl Sum {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            full: Outcome::new()?,
            enclave: Duration::ZERO,
            host_proxy: Duration::ZERO,
            paced: Outcome::new()?,
            rates: 0.0,
        })
    }

    fn side(&self, rounds: u32) -> Side {
        let requests = self.full.answered.max(1) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        let rate = self.rates / f64::from(rounds.max(1));
        Side {
            requests: self.full.answered,
            failed: self.full.failed,
            seconds: self.full.elapsed.as_secs_f64(),
            requests_per_second: self.full.throughput(),
            processor_us: Processor {
                enclave: each(self.enclave),
                host_proxy: each(self.host_proxy),
                generator: each(self.full.generator),
            },
            latency: Latency {
                failed: self.paced.failed,
                unsent: self.paced.unsent,
                ..Latency::of(&self.paced.latencies, rate)
            },
        }
    }
}

impl Plan {
    /// Measures it.
    ///
    /// # Errors
    /// When a server can't be reached, or answers nothing but errors.
    pub(super) fn measure(
        &self,
        servers: &mut Servers,
        requests: &mut Requests,
        floor: &Floor,
        progress: &mut Progress,
    ) -> Result<Measurement, Failure> {
        teach(self.scenario, servers, requests)?;
        let mut rate = self.warm_up(servers, requests)?;
        let (mut claviger, mut bare) = (Sum::new()?, Sum::new()?);
        let mut pairs_made = 0;
        let (mut computing, mut computed) = (Duration::ZERO, 0);
        for _ in 0..self.rounds {
            let supply = self.supply(requests, rate)?;
            progress.step(&self.title("at full speed"))?;
            let full = self.full_speed(&servers.claviger, &supply, &mut claviger)?;
            servers.calls += full.answered;
            rate = full.throughput();
            claviger.full.add(full)?;

            let supply = supply.repeated();
            progress.step(&self.title("the bare server at full speed"))?;
            let full = self.full_speed(&servers.bare, &supply, &mut bare)?;
            bare.full.add(full)?;

            let half = rate / 2.0;
            let supply = self.supply(requests, half)?;
            progress.step(&self.title("at half of that"))?;
            let load = self.load(servers.claviger.endpoint(), Pace::PerSecond(half));
            let run = || load.run(&supply, || (), || ());
            let (paced, made) = match self.key_pairs {
                false => (run()?, KeyPairs::default()),
                true => {
                    let pairs = Scenario::DataKeyPair(meanwhile::SPEC);
                    let pairs = requests.supply(pairs, 1)?;
                    meanwhile::during(servers.claviger.endpoint(), &pairs, run)?
                }
            };
            servers.calls += paced.answered + made.calls;
            pairs_made += made.made;
            claviger.paced.add(paced)?;
            claviger.rates += half;

            let supply = supply.repeated();
            progress.step(&self.title("the bare server at the same rate"))?;
            let load = self.load(servers.bare.endpoint(), Pace::PerSecond(half));
            let run = || load.run(&supply, || (), || ());
            let paced = match self.key_pairs {
                false => run()?,
                true => meanwhile::beside_as_much(run)?,
            };
            bare.paced.add(paced)?;
            bare.rates += half;

            let (time, calls) = floor.measure(self.scenario, self.time.mul_f64(FLOOR_PART))?;
            computing += time;
            computed += calls;
        }
        for (sum, name) in [(&claviger, "Claviger"), (&bare, "the bare server")] {
            if let Some(failure) = sum.full.failure.as_ref().or(sum.paced.failure.as_ref()) {
                let scenario = self.scenario.name();
                let failed = sum.full.failed + sum.paced.failed;
                progress.clear();
                eprintln!("{scenario}: {failed} errors of {name}, the first: {failure}");
            }
        }
        let cryptography_us = computing.as_secs_f64() * 1e6 / f64::from(computed.max(1));
        let (claviger, bare) = (claviger.side(self.rounds), bare.side(self.rounds));
        let ratios = Ratios::of(&claviger, &bare, cryptography_us);
        Ok(Measurement {
            scenario: self.scenario.name().to_owned(),
            connections: self.connections,
            tls: self.tls,
            http2: self.http2,
            key_pairs: self.key_pairs.then_some(pairs_made),
            claviger,
            bare,
            cryptography_us,
            ratios,
        })
    }

    fn title(&self, what: &str) -> String {
        let name = self.scenario.name();
        let over = over(self.tls, self.http2);
        format!("{name}, {} connections{over}: {what}", self.connections)
    }

    /// A first load on both, which is not counted; gives about how many requests a second to expect.
    fn warm_up(&self, servers: &mut Servers, requests: &mut Requests) -> Result<f64, Failure> {
        let supply = requests.supply(self.scenario, WARM_UP * 4)?;
        let load = Load {
            time: self.time.min(Duration::from_millis(200)),
            ..self.load(servers.claviger.endpoint(), Pace::Full)
        };
        let outcome = load.run(&supply, || (), || ())?;
        servers.calls += outcome.answered;
        let load = Load {
            endpoint: servers.bare.endpoint(),
            ..load
        };
        load.run(&supply.repeated(), || (), || ())?;
        Ok(outcome.throughput())
    }

    /// As many requests as are needed at a rate, and some more.
    fn supply(&self, requests: &mut Requests, rate: f64) -> Result<Supply, Failure> {
        let number = (rate * self.time.as_secs_f64() * 1.25) as usize + WARM_UP;
        requests.supply(self.scenario, number.min(MOST))
    }

    fn load<'a>(&self, endpoint: &'a Endpoint, pace: Pace) -> Load<'a> {
        Load {
            endpoint,
            connections: self.connections,
            pace,
            time: self.time,
        }
    }

    /// One load at full speed, and what the processes used for it.
    fn full_speed(&self, pair: &Pair, supply: &Supply, sum: &mut Sum) -> Result<Outcome, Failure> {
        let mut before = Default::default();
        let mut after = Default::default();
        let outcome = self.load(pair.endpoint(), Pace::Full).run(
            supply,
            || before = pair.processor_times(),
            || after = pair.processor_times(),
        )?;
        sum.enclave += after.0.saturating_sub(before.0);
        sum.host_proxy += after.1.saturating_sub(before.1);
        Ok(outcome)
    }
}

/// Has the bare server learn an answer to each kind of call.
///
/// # Errors
/// When Claviger refuses one.
pub(super) fn teach(
    scenario: Scenario,
    servers: &mut Servers,
    requests: &mut Requests,
) -> Result<(), Failure> {
    let mut connection = Connection::open(servers.claviger.endpoint())?;
    for (part, _) in scenario.parts() {
        let supply = requests.supply(part, 1)?;
        let request = supply.get(0).ok_or("there is no request")?;
        let answer = connection.exchange(request)?;
        servers.calls += 1;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(answer.body);
            let name = part.name();
            return Err(format!("{name} is refused: HTTP {}: {text}", answer.status).into());
        }
        let number = Scenario::ALL.iter().position(|other| *other == part);
        let number = number.unwrap_or_default();
        servers
            .bare_server
            .learn(number, answer.head, answer.body)?;
    }
    Ok(())
}

//! Measures one scenario: Claviger, the bare server and the cryptography alone in turns, round by
//! round, so that whatever else the machine does meanwhile falls on all of them. A round in which
//! the hypervisor took much of the processors away is measured once more; whether it counts never
//! depends on what it measured.

use std::time::Duration;

use super::connection::Connection;
use super::floor::Floor;
use super::load::{Load, Pace};
use super::meanwhile::{self, KeyPairs};
use super::progress::Progress;
use super::requests::{Requests, Supply};
use super::result::{Measurement, Ratios};
use super::round::{Round, Sum};
use super::scenario::Scenario;
use super::servers::{Pair, Servers};
use super::table::over;
use super::usage::Ticks;
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
        let mut whole = Round::new()?;
        let (mut counted, mut repeated) = (0, 0);
        while counted < self.rounds {
            let round = self.round(rate, servers, requests, floor, progress)?;
            rate = round.claviger.full.throughput();
            // Those of a round that does not count, too: they are no matter of time.
            self.tell_errors(&round, progress);
            if round.is_disturbed() && repeated < self.rounds {
                repeated += 1;
                progress.again(STEPS);
            } else {
                counted += 1;
                whole.add(round)?;
            }
        }
        let cryptography_us = whole.cryptography_us();
        let claviger = whole.claviger.side(self.rounds);
        let bare = whole.bare.side(self.rounds);
        let ratios = Ratios::of(&claviger, &bare, cryptography_us);
        Ok(Measurement {
            scenario: self.scenario.name().to_owned(),
            connections: self.connections,
            tls: self.tls,
            http2: self.http2,
            key_pairs: self.key_pairs.then_some(whole.pairs_made),
            stolen: whole.ticks.stolen(),
            repeated,
            claviger,
            bare,
            cryptography_us,
            ratios,
        })
    }

    /// Everything once, after a load that gave about so many requests a second.
    fn round(
        &self,
        rate: f64,
        servers: &mut Servers,
        requests: &mut Requests,
        floor: &Floor,
        progress: &mut Progress,
    ) -> Result<Round, Failure> {
        let mut round = Round::new()?;
        let before = Ticks::now();
        let supply = self.supply(requests, rate)?;
        progress.step(&self.title("at full speed"))?;
        self.full_speed(&servers.claviger, &supply, &mut round.claviger)?;
        servers.calls += round.claviger.full.answered;

        let supply = supply.repeated();
        progress.step(&self.title("the bare server at full speed"))?;
        self.full_speed(&servers.bare, &supply, &mut round.bare)?;

        let half = round.claviger.full.throughput() / 2.0;
        (round.claviger.rates, round.bare.rates) = (half, half);
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
        round.pairs_made = made.made;
        round.claviger.paced = paced;

        let supply = supply.repeated();
        progress.step(&self.title("the bare server at the same rate"))?;
        let load = self.load(servers.bare.endpoint(), Pace::PerSecond(half));
        let run = || load.run(&supply, || (), || ());
        round.bare.paced = match self.key_pairs {
            false => run()?,
            true => meanwhile::beside_as_much(run)?,
        };

        let time = self.time.mul_f64(FLOOR_PART);
        (round.computing, round.computed) = floor.measure(self.scenario, time)?;
        round.ticks = Ticks::now().since(before);
        Ok(round)
    }

    fn tell_errors(&self, round: &Round, progress: &Progress) {
        for (sum, name) in [
            (&round.claviger, "Claviger"),
            (&round.bare, "the bare server"),
        ] {
            if let Some(failure) = sum.full.failure.as_ref().or(sum.paced.failure.as_ref()) {
                let scenario = self.scenario.name();
                let failed = sum.full.failed + sum.paced.failed;
                progress.clear();
                eprintln!("{scenario}: {failed} errors of {name}, the first: {failure}");
            }
        }
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
    fn full_speed(&self, pair: &Pair, supply: &Supply, sum: &mut Sum) -> Result<(), Failure> {
        let mut before = Default::default();
        let mut after = Default::default();
        sum.full = self.load(pair.endpoint(), Pace::Full).run(
            supply,
            || before = pair.processor_times(),
            || after = pair.processor_times(),
        )?;
        sum.enclave = after.0.saturating_sub(before.0);
        sum.host_proxy = after.1.saturating_sub(before.1);
        Ok(())
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

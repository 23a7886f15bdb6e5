//! Other servers of the same API, in turns with Claviger: how many requests a second each answers.
//! They do less for a request, see docs/performance.md; the requests are the same.

use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::documents::Documents;
use super::load::{Load, Outcome, Pace};
use super::population::Population;
use super::progress::Progress;
use super::requests::Requests;
use super::scenario::Scenario;
use super::servers::Servers;
use super::usage::Machine;
use crate::Failure;
use crate::attest;
use crate::client::Endpoint;
use crate::credentials::Credentials;
use crate::random::system_random;
use crate::screen::Style;

/// What is measured unless said otherwise.
const USUAL: [Scenario; 2] = [Scenario::GenerateDataKey, Scenario::Decrypt];

/// How long the first load lasts, which is not counted.
const WARM_UP: Duration = Duration::from_millis(200);

/// The environment variables that hold the credentials for peers. Those that verify nothing take
/// any.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// A server that somebody else has started.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    name: String,
    authority: String,
}

impl std::str::FromStr for Peer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, url) = text.split_once('=').unwrap_or_default();
        let authority = url.strip_prefix("http://").unwrap_or_default();
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        match name.is_empty() || authority.is_empty() || authority.contains('/') {
            true => Err("give a name and a URL: moto=http://127.0.0.1:5000"),
            false => Ok(Self {
                name: name.to_owned(),
                authority: authority.to_owned(),
            }),
        }
    }
}

/// How to measure.
pub(super) struct Plan<'a> {
    pub(super) peers: &'a [Peer],
    /// The usual ones, if there are none.
    pub(super) scenarios: &'a [Scenario],
    pub(super) connections: &'a [usize],
    pub(super) rounds: u32,
    pub(super) time: Duration,
}

/// All comparisons of a run.
#[derive(Serialize)]
pub(super) struct Comparison {
    machine: Machine,
    rounds: u32,
    seconds: f64,
    peers: Vec<Compared>,
}

/// One load on Claviger and on one peer.
#[derive(Serialize)]
struct Compared {
    peer: String,
    scenario: String,
    connections: usize,
    claviger: Answers,
    answers: Answers,
    /// Claviger's requests a second, of the peer's.
    ratio: f64,
}

/// What a server answered.
#[derive(Clone, Copy, Serialize)]
struct Answers {
    requests: u64,
    failed: u64,
    requests_per_second: f64,
}

impl From<&Outcome> for Answers {
    fn from(outcome: &Outcome) -> Self {
        Self {
            requests: outcome.answered,
            failed: outcome.failed,
            requests_per_second: outcome.throughput(),
        }
    }
}

/// A server and what makes requests to it.
struct Side {
    name: String,
    endpoint: Endpoint,
    requests: Requests,
}

impl Plan<'_> {
    /// Measures all servers, in turns.
    ///
    /// # Errors
    /// When one can't be reached, refuses to be set up, or answers with an error.
    pub(super) async fn compare(&self, mut progress: Progress) -> Result<Comparison, Failure> {
        let scenarios = self.scenarios();
        if let Some(other) = scenarios.iter().find(|one| !one.is_repeatable()) {
            let name = other.name();
            return Err(
                format!("{name} is not for other servers: no two requests are the same").into(),
            );
        }
        let (servers, requests, _) = Servers::start(false, false, 0).await?;
        let mut sides = vec![Side {
            name: "claviger".to_owned(),
            endpoint: servers.claviger.endpoint().clone(),
            requests,
        }];
        for peer in self.peers {
            sides.push(peer.set_up().await?);
        }
        let (connections, rounds, time) = (self.connections.to_vec(), self.rounds, self.time);
        let measuring = move || {
            let mut compared = Vec::new();
            for scenario in scenarios {
                for connections in &connections {
                    let load = (scenario, *connections, rounds, time);
                    compared.extend(measure(&mut sides, load, &mut progress)?);
                }
            }
            progress.clear();
            Ok::<_, Failure>(compared)
        };
        let peers = tokio::task::spawn_blocking(measuring).await??;
        servers.end().await?;
        Ok(Comparison {
            machine: Machine::here(),
            rounds: self.rounds,
            seconds: self.time.as_secs_f64(),
            peers,
        })
    }

    /// How many loads that takes.
    pub(super) fn steps(&self) -> usize {
        let loads = self.scenarios().len() * self.connections.len() * self.rounds as usize;
        loads * (self.peers.len() + 1)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        match self.scenarios {
            [] => USUAL.to_vec(),
            given => given.to_vec(),
        }
    }
}

impl Peer {
    async fn set_up(&self) -> Result<Side, Failure> {
        let endpoint = Endpoint::http(&*self.authority);
        let authority =
            attestation::nsm::SimulatedCa::generate(&mut system_random(), attest::now())?;
        let documents = Documents::new(authority)?;
        let mut population = Population::new(0);
        if let (Ok(id), Ok(secret)) = (env::var(KEY_ID), env::var(SECRET)) {
            population.administrator = Credentials {
                access_key_id: id,
                secret_access_key: secret.into(),
            };
        }
        let requests = Requests::set_up_peer(&endpoint, &population, documents);
        let requests = requests
            .await
            .map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Side {
            name: self.name.clone(),
            endpoint,
            requests,
        })
    }
}

/// One load on all servers, round by round. The first is Claviger.
fn measure(
    sides: &mut [Side],
    (scenario, connections, rounds, time): (Scenario, usize, u32, Duration),
    progress: &mut Progress,
) -> Result<Vec<Compared>, Failure> {
    let mut outcomes = Vec::new();
    for side in &mut *sides {
        side.load(scenario, connections, WARM_UP)?;
        outcomes.push(Outcome::new()?);
    }
    for _ in 0..rounds {
        for (side, outcome) in sides.iter_mut().zip(&mut outcomes) {
            progress.step(&format!("{}, {}", scenario.name(), side.name))?;
            outcome.add(side.load(scenario, connections, time)?)?;
        }
    }
    let mut answers = sides.iter().zip(&outcomes);
    let claviger: Answers = match answers.next() {
        Some((_, outcome)) => outcome.into(),
        None => return Ok(Vec::new()),
    };
    let compared = answers.map(|(side, outcome)| {
        let answers = Answers::from(outcome);
        Compared {
            peer: side.name.clone(),
            scenario: scenario.name().to_owned(),
            connections,
            claviger,
            answers,
            ratio: claviger.requests_per_second / answers.requests_per_second,
        }
    });
    Ok(compared.collect())
}

impl Side {
    fn load(
        &mut self,
        scenario: Scenario,
        connections: usize,
        time: Duration,
    ) -> Result<Outcome, Failure> {
        let supply = self.requests.supply(scenario, 1)?;
        let load = Load {
            endpoint: &self.endpoint,
            connections,
            pace: Pace::Full,
            time,
        };
        let outcome = load.run(&supply, || (), || ())?;
        match &outcome.failure {
            None => Ok(outcome),
            Some(failure) => Err(format!("{}: {}: {failure}", self.name, scenario.name()).into()),
        }
    }
}

/// The comparison as people read it.
pub(super) fn show(comparison: &Comparison, style: &Style) -> String {
    let head = format!(
        "{:<31} {:>5}  {:>10} {:>12}  {:>10} {:>10}",
        "requests a second", "conns", "claviger", "", "", "ratio"
    );
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = writeln!(text, "{}", style.title(&head));
    for compared in &comparison.peers {
        let _ = writeln!(
            text,
            "{:<31} {:>5}  {:>10.0} {:>12}  {:>10.1} {:>8.1} x",
            compared.scenario,
            compared.connections,
            compared.claviger.requests_per_second,
            compared.peer,
            compared.answers.requests_per_second,
            compared.ratio,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_url() {
        let peer: Peer = "moto=http://127.0.0.1:5000/".parse().unwrap();
        assert_eq!((&*peer.name, &*peer.authority), ("moto", "127.0.0.1:5000"));
        for wrong in [
            "moto",
            "=http://a:1",
            "moto=https://a:1",
            "moto=http://a:1/b",
        ] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
    }
}

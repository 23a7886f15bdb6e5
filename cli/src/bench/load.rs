//! The load generator.
//!
//! Every connection has a thread, and all of them take requests from one supply. At full speed each
//! sends its next request when it has the answer to the last. At a given rate request *n* is due at
//! *n* / rate, whatever the server does, and its latency counts from then: what had to wait for its
//! turn because the server was slow is not left out (coordinated omission).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::time::ClockId;

use super::connection::Connection;
use super::requests::Supply;
use crate::Failure;
use crate::client::Endpoint;

/// The longest latency that is told from longer ones.
const MAX_LATENCY: Duration = Duration::from_secs(60);

/// How far behind its schedule the load may fall before the rest is given up.
const MAX_BEHIND: Duration = Duration::from_secs(2);

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// The next when the last is answered, on every connection.
    Full,
    /// So many in a second.
    PerSecond(f64),
}

/// A stretch of load on one server.
pub(super) struct Load<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) connections: usize,
    pub(super) pace: Pace,
    pub(super) time: Duration,
}

/// What came of it.
pub(super) struct Outcome {
    /// Answers, whatever they say.
    pub(super) answered: u64,
    /// Those of them that are errors.
    pub(super) failed: u64,
    /// The first error.
    pub(super) failure: Option<String>,
    /// Requests that were due, and given up because the server was too far behind.
    pub(super) unsent: u64,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
    /// Nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// What the threads of the generator used.
    pub(super) generator: Duration,
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self, Failure> {
        let most = u64::try_from(MAX_LATENCY.as_nanos())?;
        Ok(Self {
            answered: 0,
            failed: 0,
            failure: None,
            unsent: 0,
            elapsed: Duration::ZERO,
            latencies: Histogram::new_with_bounds(1, most, 3)?,
            generator: Duration::ZERO,
        })
    }

    /// Takes over what came of another stretch of the same load.
    pub(super) fn add(&mut self, other: Self) -> Result<(), Failure> {
        self.answered += other.answered;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        self.unsent += other.unsent;
        self.elapsed += other.elapsed;
        self.latencies.add(other.latencies)?;
        self.generator += other.generator;
        Ok(())
    }

    /// Answers in a second.
    pub(super) fn throughput(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

impl Load<'_> {
    /// Sends requests until the time is over or the supply is used up. `begun` is called when all
    /// connections are there, just before the first request, and `ended` after the last answer.
    ///
    /// # Errors
    /// When a connection can't be had or breaks.
    pub(super) fn run(
        &self,
        supply: &Supply,
        begun: impl FnOnce(),
        ended: impl FnOnce(),
    ) -> Result<Outcome, Failure> {
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(self.endpoint)?);
        }
        let ready = Barrier::new(self.connections + 1);
        let go = Barrier::new(self.connections + 1);
        let start = Mutex::new(Instant::now());
        let next = AtomicUsize::new(0);
        let outcomes = thread::scope(|scope| {
            let threads: Vec<_> = connections
                .into_iter()
                .map(|connection| {
                    let (ready, go, start, next) = (&ready, &go, &start, &next);
                    scope.spawn(move || {
                        ready.wait();
                        go.wait();
                        let start = *start.lock().unwrap_or_else(PoisonError::into_inner);
                        self.send(connection, supply, next, start)
                    })
                })
                .collect();
            ready.wait();
            begun();
            *start.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            go.wait();
            let outcomes: Vec<_> = threads
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            ended();
            outcomes
        });
        let mut whole = Outcome::new()?;
        let mut elapsed = Duration::ZERO;
        for outcome in outcomes {
            let outcome = outcome.map_err(|_| "a thread of the load generator failed")??;
            elapsed = elapsed.max(outcome.elapsed);
            whole.add(outcome)?;
        }
        whole.elapsed = elapsed;
        if let Pace::PerSecond(rate) = self.pace {
            let due = (rate * self.time.as_secs_f64()) as u64;
            let due = due.min(supply.most().map_or(u64::MAX, |most| most as u64));
            whole.unsent = due.saturating_sub(whole.answered);
        }
        Ok(whole)
    }

    /// One connection's part.
    fn send(
        &self,
        mut connection: Connection,
        supply: &Supply,
        next: &AtomicUsize,
        start: Instant,
    ) -> Result<Outcome, Failure> {
        // A sleep is to end when it is over, not 50 µs later.
        let _ = nix::sys::prctl::set_timerslack(1);
        let before = processor_time()?;
        let mut outcome = Outcome::new()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = match self.pace {
                Pace::Full => Instant::now(),
                Pace::PerSecond(rate) => start + Duration::from_secs_f64(number as f64 / rate),
            };
            let Some(request) = supply.get(number).filter(|_| due < start + self.time) else {
                break;
            };
            let now = Instant::now();
            if now > due + MAX_BEHIND {
                break;
            }
            thread::sleep(due.saturating_duration_since(now));
            let answer = connection.exchange(request)?;
            let latency = u64::try_from(due.elapsed().as_nanos())?;
            outcome.latencies.saturating_record(latency);
            outcome.answered += 1;
            if answer.status != 200 {
                outcome.failed += 1;
                outcome.failure.get_or_insert_with(|| {
                    let text = String::from_utf8_lossy(answer.body);
                    format!("HTTP {}: {text}", answer.status)
                });
            }
        }
        outcome.elapsed = start.elapsed();
        outcome.generator = processor_time()?.saturating_sub(before);
        Ok(outcome)
    }
}

/// What this thread has used of a processor.
pub(super) fn processor_time() -> Result<Duration, Failure> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

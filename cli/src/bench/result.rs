//! The results: what is kept as JSON, and what follows from it.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::usage::{Machine, Memory};

/// Changes when the meaning of a member does.
pub(super) const VERSION: u32 = 1;

/// The quantiles of a latency curve, in percent.
const CURVE: [f64; 14] = [
    1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.99, 100.0,
];

/// A whole run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Results {
    pub(super) version: u32,
    pub(super) claviger: String,
    /// `release` or `debug`.
    pub(super) build: String,
    /// When it began, seconds since 1970.
    pub(super) began: u64,
    /// Seeded KMS keys.
    pub(super) keys: u32,
    pub(super) rounds: u32,
    /// Of each stretch of load.
    pub(super) seconds: f64,
    pub(super) machine: Machine,
    pub(super) measurements: Vec<Measurement>,
    /// Of the image that was named, without its kernel.
    #[serde(default)]
    pub(super) image_bytes: Option<u64>,
    /// One for plain HTTP, one for TLS: as many as were used.
    pub(super) servers: Vec<ServerResults>,
}

/// What is true of a server and not of one scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ServerResults {
    pub(super) tls: bool,
    /// From the start of both processes to the first answer.
    pub(super) start_milliseconds: f64,
    /// From the same time until every key is open.
    #[serde(default)]
    pub(super) all_keys_milliseconds: f64,
    /// Before the first call.
    pub(super) enclave_idle: Memory,
    pub(super) host_proxy_idle: Memory,
    /// After the last.
    pub(super) enclave: Memory,
    pub(super) host_proxy: Memory,
    /// Calls that the bench made, setting up included.
    pub(super) calls_made: u64,
    /// Calls that the enclave has counted.
    pub(super) calls_counted: u64,
}

/// One scenario with so many connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Measurement {
    pub(super) scenario: String,
    pub(super) connections: usize,
    pub(super) tls: bool,
    #[serde(default)]
    pub(super) http2: bool,
    /// How many pairs of RSA_4096 keys were made while latencies were measured, if they were to be.
    #[serde(default)]
    pub(super) key_pairs: Option<u64>,
    /// The part of the processors' time that the hypervisor gave to other machines meanwhile, of 1.
    #[serde(default)]
    pub(super) stolen: f64,
    /// Rounds that were measured once more because too much of it was.
    #[serde(default)]
    pub(super) repeated: u32,
    pub(super) claviger: Side,
    /// The bare server behind the same relay.
    pub(super) bare: Side,
    /// Processor time of the cryptography alone, in microseconds for a call.
    pub(super) cryptography_us: f64,
    pub(super) ratios: Ratios,
}

/// One server under one load.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Side {
    /// At full speed.
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) seconds: f64,
    pub(super) requests_per_second: f64,
    /// Processor time in microseconds for a request, at full speed.
    pub(super) processor_us: Processor,
    /// At half of Claviger's full speed.
    pub(super) latency: Latency,
}

/// Microseconds of processor time, by process.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Processor {
    /// The enclave, or the bare server in its place.
    pub(super) enclave: f64,
    pub(super) host_proxy: f64,
    pub(super) generator: f64,
}

/// Latencies at a given rate, in microseconds from when each request was due.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Latency {
    pub(super) requests_per_second: f64,
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// Requests given up because the server was too far behind.
    pub(super) unsent: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    /// Pairs of a percentage and the latency that so many requests had at most.
    pub(super) curve: Vec<(f64, f64)>,
}

impl Latency {
    /// Reads them off a histogram of nanoseconds.
    pub(super) fn of(histogram: &Histogram<u64>, requests_per_second: f64) -> Self {
        let at = |percent: f64| histogram.value_at_percentile(percent) as f64 / 1000.0;
        Self {
            requests_per_second,
            requests: histogram.len(),
            failed: 0,
            unsent: 0,
            p50_us: at(50.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            max_us: histogram.max() as f64 / 1000.0,
            curve: CURVE.map(|percent| (percent, at(percent))).to_vec(),
        }
    }
}

/// What two numbers of one run have to do with each other.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Ratios {
    /// Requests a second, of those of the bare server.
    pub(super) throughput_of_bare: f64,
    /// The enclave's processor time for a call, of that of the bare server and the cryptography.
    pub(super) processor_of_floor: f64,
    /// Microseconds of the enclave's processor time for a call above the bare server's.
    pub(super) above_bare_us: f64,
    /// The latency that 99 of 100 requests had at most, of that of the bare server.
    pub(super) p99_of_bare: f64,
}

impl Ratios {
    /// Those of two sides measured in turns.
    pub(super) fn of(claviger: &Side, bare: &Side, cryptography_us: f64) -> Self {
        let enclave = claviger.processor_us.enclave;
        let floor = bare.processor_us.enclave + cryptography_us;
        Self {
            throughput_of_bare: claviger.requests_per_second / bare.requests_per_second,
            processor_of_floor: enclave / floor,
            above_bare_us: enclave - bare.processor_us.enclave,
            p99_of_bare: claviger.latency.p99_us / bare.latency.p99_us,
        }
    }
}

impl Results {
    /// The same scenario under the same conditions, in another run.
    pub(super) fn find(&self, like: &Measurement) -> Option<&Measurement> {
        let conditions = |one: &Measurement| {
            let pairs = one.key_pairs.is_some();
            (one.connections, one.tls, one.http2, pairs)
        };
        self.measurements
            .iter()
            .find(|other| other.scenario == like.scenario && conditions(other) == conditions(like))
    }
}

//! `claviger bench`: how fast the server is, and how close to what the processor allows.
//!
//! It starts the real processes and drives them with requests signed ahead (`load`). What such
//! numbers mean depends on the machine and on what else it does; so two floors are measured in the
//! same run, in turns with the server: the same cryptography called directly (`floor`), and a
//! server that only speaks HTTP behind the same relay (`bare`). The ratios are the result.

pub(crate) mod bare;
mod chart;
mod connection;
mod documents;
mod floor;
mod http2;
mod load;
mod meanwhile;
mod measure;
mod peers;
mod population;
mod progress;
mod report;
mod requests;
mod result;
mod round;
mod scenario;
mod servers;
mod table;
mod usage;
mod wrk;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::image::eif::Eif;
use clap::Args;

use self::floor::Floor;
use self::measure::{Plan, STEPS};
use self::peers::Peer;
use self::progress::{Progress, STOPPED};
use self::result::{Results, VERSION};
use self::scenario::Scenario;
use self::servers::Servers;
use self::usage::{Machine, load};
use crate::Failure;
use crate::attest;
use crate::part::Signals;
use crate::screen::{Style, print};

/// Connections of a scenario, unless said otherwise.
const CONNECTIONS: usize = 8;

/// Other numbers of connections, and TLS, for some.
const MORE: [(Scenario, usize, bool); 5] = [
    (Scenario::GenerateDataKey, 1, false),
    (Scenario::GenerateDataKey, 64, false),
    (Scenario::GenerateDataKey, CONNECTIONS, true),
    (Scenario::AttestedAuthoritiesKnown, CONNECTIONS, true),
    (Scenario::Decrypt, CONNECTIONS, true),
];

/// What `--quick` measures.
const QUICK: [(Scenario, usize, bool); 6] = [
    (Scenario::GenerateDataKey, CONNECTIONS, false),
    (Scenario::AttestedSameDocument, CONNECTIONS, false),
    (Scenario::AttestedAuthoritiesKnown, CONNECTIONS, false),
    (Scenario::AttestedCold, CONNECTIONS, false),
    (Scenario::Decrypt, CONNECTIONS, false),
    (Scenario::Mixed, CONNECTIONS, false),
];

/// Options of `claviger bench`.
#[derive(Args)]
pub struct Options {
    /// Measure less, in about 20 seconds
    #[arg(long)]
    quick: bool,
    /// Measure this scenario only (repeatable)
    #[arg(long, value_name = "NAME")]
    only: Vec<Scenario>,
    /// Connections at the same time (repeatable) [default: 8, and 1 and 64 for one scenario]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: Vec<u16>,
    /// Measure over TLS only
    #[arg(long)]
    tls: bool,
    /// Speak HTTP/2, with TLS or without
    #[arg(long)]
    http2: bool,
    /// Have pairs of RSA_4096 keys made, one after the other, while latencies are measured
    #[arg(long)]
    key_pairs: bool,
    /// KMS keys in the server beside the few it needs; requests use them in turns
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    keys: u32,
    /// How often Claviger and the floors take turns [default: 3, with --quick 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// How long each load lasts [default: 1, with --quick 0.25]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Take turns with another server of the same API instead of the floors (repeatable)
    #[arg(long, value_name = "NAME=URL", conflicts_with_all = ["tls", "http2", "key_pairs", "keys", "against", "report"])]
    peer: Vec<Peer>,
    /// Measure nothing: write requests as scripts for wrk into this folder, and serve until Ctrl-C
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["peer", "tls", "http2", "key_pairs", "json", "against", "report"])]
    wrk: Option<PathBuf>,
    /// Tell the size of this enclave image (EIF), too
    #[arg(long, value_name = "FILE.eif")]
    image: Option<PathBuf>,
    /// Write all results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with the results of an earlier run
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Draw the results into an HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Measures, and shows the results.
///
/// # Errors
/// When a process can't be started or fails, a scenario is refused, or a file can't be read or
/// written.
pub async fn run(options: Options) -> Result<(), Failure> {
    let earlier = options.against.as_deref().map(read).transpose()?;
    let mut signals = Signals::listen()?;
    let style = Style::detect();
    if cfg!(debug_assertions) {
        let warning = "THIS IS A DEBUG BUILD: its numbers mean nothing. Build with --release.";
        eprintln!("{}", style.bad(warning));
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let running = async {
        match &options.wrk {
            Some(folder) => wrk::serve(folder, &options.only, options.keys).await,
            None if options.peer.is_empty() => {
                let results = measure(&options, &stopped).await?;
                show(&options, results, earlier, &style)
            }
            None => compare(&options, &stopped, &style).await,
        }
    };
    tokio::select! {
        biased;
        () = signals.next() => {
            // The thread that measures ends before its next load, and the processes with it.
            stopped.store(true, Ordering::Relaxed);
            match options.wrk {
                Some(_) => Ok(()),
                None => Err(STOPPED.into()),
            }
        }
        done = running => done,
    }
}

/// Writes the results down and prints them.
fn show(
    options: &Options,
    results: Results,
    earlier: Option<Results>,
    style: &Style,
) -> Result<(), Failure> {
    if let Some(path) = &options.json {
        write(path, &serde_json::to_vec_pretty(&results)?)?;
    }
    if let Some(path) = &options.report {
        write(path, report::html(&results).as_bytes())?;
    }
    print(&table::show(&results, style))?;
    if let Some(earlier) = earlier {
        print(&table::compare(&results, &earlier, style))?;
    }
    Ok(())
}

/// Measures other servers and this one.
async fn compare(
    options: &Options,
    stopped: &Arc<AtomicBool>,
    style: &Style,
) -> Result<(), Failure> {
    let (rounds, time) = options.rounds_and_time();
    let plan = peers::Plan {
        peers: &options.peer,
        scenarios: &options.only,
        connections: &options.connections(),
        rounds,
        time,
    };
    let progress = Progress::new(plan.steps(), Arc::clone(stopped));
    let comparison = plan.compare(progress).await?;
    if let Some(path) = &options.json {
        write(path, &serde_json::to_vec_pretty(&comparison)?)?;
    }
    Ok(print(&peers::show(&comparison, style))?)
}

async fn measure(options: &Options, stopped: &Arc<AtomicBool>) -> Result<Results, Failure> {
    let plans = options.plans();
    let (rounds, time) = options.rounds_and_time();
    let mut results = Results {
        version: VERSION,
        claviger: env!("CARGO_PKG_VERSION").to_owned(),
        build: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        }
        .to_owned(),
        began: attest::now().as_secs(),
        keys: options.keys,
        rounds,
        seconds: time.as_secs_f64(),
        machine: Machine::here(),
        measurements: Vec::new(),
        image_bytes: options.image.as_deref().map(without_kernel).transpose()?,
        servers: Vec::new(),
    };
    let steps = plans.len() * rounds as usize * STEPS;
    let mut progress = Progress::new(steps, Arc::clone(stopped));
    for tls in [false, true] {
        let plans: Vec<_> = plans
            .iter()
            .filter(|plan| plan.tls == tls)
            .copied()
            .collect();
        if plans.is_empty() {
            continue;
        }
        let (mut servers, mut requests, recipient) =
            Servers::start(tls, options.http2, options.keys).await?;
        let measuring = move || {
            let floor = Floor::new(&recipient)?;
            let mut measurements = Vec::new();
            for plan in plans {
                let measured = plan.measure(&mut servers, &mut requests, &floor, &mut progress);
                measurements.push(measured?);
            }
            Ok::<_, Failure>((servers, progress, measurements))
        };
        let measured = tokio::task::spawn_blocking(measuring).await??;
        let servers;
        let measurements;
        (servers, progress, measurements) = measured;
        results.measurements.extend(measurements);
        results.servers.push(servers.stop().await?);
    }
    progress.clear();
    results.machine.load_after = load();
    Ok(results)
}

impl Options {
    fn rounds_and_time(&self) -> (u32, Duration) {
        let (rounds, time) = match self.quick {
            true => (2, Duration::from_millis(250)),
            false => (3, Duration::from_secs(1)),
        };
        (self.rounds.unwrap_or(rounds), self.seconds.unwrap_or(time))
    }

    fn connections(&self) -> Vec<usize> {
        match self.connections.as_slice() {
            [] => vec![CONNECTIONS],
            given => given.iter().copied().map(usize::from).collect(),
        }
    }

    /// What to measure, in this order.
    fn plans(&self) -> Vec<Plan> {
        let (rounds, time) = self.rounds_and_time();
        let usual = Scenario::ALL
            .iter()
            .filter(|scenario| !scenario.is_seldom());
        let usual: Vec<_> = usual
            .map(|scenario| (*scenario, CONNECTIONS, false))
            .collect();
        let is_plain =
            self.only.is_empty() && self.connections.is_empty() && !self.tls && !self.http2;
        let wanted: Vec<_> = match (is_plain, self.quick) {
            (true, true) => QUICK.to_vec(),
            (true, false) => [usual.as_slice(), &MORE].concat(),
            (false, quick) => {
                let usual = if quick { QUICK.as_slice() } else { &usual };
                let only = match self.only.as_slice() {
                    [] => usual.iter().map(|(scenario, _, _)| *scenario).collect(),
                    only => only.to_vec(),
                };
                let connections = self.connections();
                let with = |scenario| connections.iter().map(move |n| (scenario, *n, self.tls));
                only.into_iter().flat_map(with).collect()
            }
        };
        wanted
            .into_iter()
            .map(|(scenario, connections, tls)| Plan {
                scenario,
                connections,
                tls,
                http2: self.http2,
                key_pairs: self.key_pairs,
                rounds,
                time,
            })
            .collect()
    }
}

/// Bytes of an image, but for its kernel.
fn without_kernel(path: &Path) -> Result<u64, Failure> {
    let failed = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let file = fs::read(path).map_err(|error| failed(&error))?;
    let image = Eif::parse(&file).map_err(|error| failed(&error))?;
    Ok((file.len() - image.kernel().len()) as u64)
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    Ok(fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn read(path: &Path) -> Result<Results, Failure> {
    let failed = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let text = fs::read(path).map_err(|error| failed(&error))?;
    let results: Results = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    if results.version != VERSION {
        let version = results.version;
        let path = path.display();
        return Err(format!(
            "{path}: results of version {version}, this is version {VERSION}: measure anew"
        )
        .into());
    }
    Ok(results)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give 0.01 to 60 seconds".to_owned()),
    }
}

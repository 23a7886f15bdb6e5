//! The results as people read them on a terminal.

use std::fmt::Write as _;

use super::result::{Measurement, Results};
use super::round::MOST_STOLEN;
use crate::screen::Style;

/// The targets: mebibytes of memory, of the image, and milliseconds of the start.
const IDLE: f64 = 32.0;
const IMAGE: f64 = 12.0;
const START: f64 = 100.0;

/// The table of a run, and what is true of its servers.
pub(super) fn show(results: &Results, style: &Style) -> String {
    let mut text = String::new();
    let head = format!(
        "{:<31} {:>5}  {:>8} {:>7}  {:>7} {:>7} {:>7}  {:>8} {:>7} {:>7}  {:>8} {:>8}",
        "",
        "",
        "requests",
        "of",
        "p50",
        "p99",
        "p99.9",
        "enclave",
        "host",
        "load",
        "crypto",
        "enclave"
    );
    let units = format!(
        "{:<31} {:>5}  {:>8} {:>7}  {:>7} {:>7} {:>7}  {:>8} {:>7} {:>7}  {:>8} {:>8}",
        "", "conns", "a second", "bare", "ms", "ms", "ms", "µs", "proxy", "µs", "µs", "of floor"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}\n{}", style.title(&head), style.title(&units));
    for measurement in &results.measurements {
        let _ = writeln!(text, "{}", row(measurement));
    }
    text.push('\n');
    for server in &results.servers {
        let made = server.calls_made;
        let counted = server.calls_counted;
        let agree = match made == counted {
            true => style.good("the enclave has counted as many"),
            false => style.bad(&format!("the enclave has counted {counted}")),
        };
        let _ = writeln!(
            text,
            "{}: {made} calls made, {agree}; enclave {} MiB at most; host proxy {} MiB at most",
            protocol(server.tls),
            mebibytes(server.enclave.peak_kib),
            mebibytes(server.host_proxy.peak_kib),
        );
        let idle = server.enclave_idle.now_kib as f64 / 1024.0;
        text.push_str(&held(
            "enclave before the first call",
            idle,
            IDLE,
            "MiB",
            style,
        ));
        let start = server.start_milliseconds;
        text.push_str(&held(
            "start to the first answer",
            start,
            START,
            "ms",
            style,
        ));
        let _ = writeln!(
            text,
            "start until every key is open: {:.1} ms",
            server.all_keys_milliseconds
        );
    }
    if let Some(bytes) = results.image_bytes {
        let size = bytes as f64 / 1024.0 / 1024.0;
        text.push_str(&held("image without its kernel", size, IMAGE, "MiB", style));
    }
    for measurement in &results.measurements {
        if let Some(made) = measurement.key_pairs {
            let name = name(measurement);
            let bare = measurement.bare.latency.p99_us / 1e3;
            let _ = writeln!(
                text,
                "{name}: {made} pairs of RSA_4096 keys were made while latencies were measured; \
                 the bare server's p99 beside as much work: {bare:.2} ms"
            );
        }
    }
    text.push_str(&stolen(results, style));
    let machine = &results.machine;
    let _ = writeln!(
        text,
        "{}, {} processors, Linux {}; load {:.1} before, {:.1} after; {} build",
        machine.processor,
        machine.processors,
        machine.kernel,
        machine.load_before,
        machine.load_after,
        results.build,
    );
    text.push_str(&style.faint(LEGEND));
    text
}

/// A line for what has to stay below a target.
fn held(what: &str, value: f64, target: f64, unit: &str, style: &Style) -> String {
    let text = format!("{value:.1} {unit}");
    let text = match value < target {
        true => style.good(&text),
        false => style.bad(&text),
    };
    format!("{what}: {text} (target: below {target:.0})\n")
}

/// What other machines on the same processors had of them.
fn stolen(results: &Results, style: &Style) -> String {
    let measurements = &results.measurements;
    let most = measurements
        .iter()
        .map(|one| one.stolen)
        .fold(0.0, f64::max);
    let repeated: u32 = measurements.iter().map(|one| one.repeated).sum();
    let limit = MOST_STOLEN * 100.0;
    let mut text = format!(
        "The hypervisor gave at most {:.1} % of the processors' time to others; rounds repeated \
         because of more than {limit:.0} %: {repeated}\n",
        most * 100.0
    );
    let disturbed = measurements.iter().filter(|one| one.stolen > MOST_STOLEN);
    for measurement in disturbed {
        let (name, percent) = (name(measurement), measurement.stolen * 100.0);
        let warning = format!("{name}: {percent:.1} % were taken away: its numbers say little");
        let _ = writeln!(text, "{}", style.bad(&warning));
    }
    text
}

const LEGEND: &str = "\
Processor time is for a request at full speed; latencies are at half of it, from when each request
was due. \"Of bare\" is against a server that only speaks HTTP, behind the same relay; \"of floor\"
is the enclave's processor time against that server's and the cryptography's. docs/performance.md
";

fn row(measurement: &Measurement) -> String {
    let side = &measurement.claviger;
    let milliseconds = |us: f64| format!("{:.2}", us / 1000.0);
    format!(
        "{:<31} {:>5}  {:>8.0} {:>5.0} %  {:>7} {:>7} {:>7}  {:>8.1} {:>7.1} {:>7.1}  {:>8.1} {:>6.2} x",
        name(measurement),
        measurement.connections,
        side.requests_per_second,
        measurement.ratios.throughput_of_bare * 100.0,
        milliseconds(side.latency.p50_us),
        milliseconds(side.latency.p99_us),
        milliseconds(side.latency.p999_us),
        side.processor_us.enclave,
        side.processor_us.host_proxy,
        side.processor_us.generator,
        measurement.cryptography_us,
        measurement.ratios.processor_of_floor,
    )
}

/// How a run compares with an earlier one: ratios of what was measured, and of the ratios.
pub(super) fn compare(results: &Results, earlier: &Results, style: &Style) -> String {
    let head = format!(
        "{:<31} {:>5}  {:>9} {:>9} {:>9}  {:>13} {:>13}",
        "against the earlier run",
        "conns",
        "requests",
        "enclave",
        "p99",
        "of bare, both",
        "of floor, both"
    );
    let mut text = format!("\n{}\n", style.title(&head));
    let mut alone = Vec::new();
    for now in &results.measurements {
        let Some(then) = earlier.find(now) else {
            alone.push(name(now));
            continue;
        };
        let (side, before) = (&now.claviger, &then.claviger);
        let _ = writeln!(
            text,
            "{:<31} {:>5}  {:>7.2} x {:>7.2} x {:>7.2} x  {:>4.0} → {:>4.0} % {:>6.2} → {:>4.2} x",
            name(now),
            now.connections,
            side.requests_per_second / before.requests_per_second,
            side.processor_us.enclave / before.processor_us.enclave,
            side.latency.p99_us / before.latency.p99_us,
            then.ratios.throughput_of_bare * 100.0,
            now.ratios.throughput_of_bare * 100.0,
            then.ratios.processor_of_floor,
            now.ratios.processor_of_floor,
        );
    }
    if !alone.is_empty() {
        let _ = writeln!(text, "Not in the earlier run: {}", alone.join(", "));
    }
    if results.machine.processor != earlier.machine.processor || results.build != earlier.build {
        let warning = "The earlier run was on another processor, or of another build: believe the \
                       last two columns only.";
        let _ = writeln!(text, "{}", style.bad(warning));
    }
    text
}

/// A measurement's scenario, and what carried it.
pub(super) fn name(measurement: &Measurement) -> String {
    let over = over(measurement.tls, measurement.http2);
    format!("{}{over}", measurement.scenario)
}

/// What carries the calls, if it is not plain HTTP/1.1.
pub(super) fn over(tls: bool, http2: bool) -> &'static str {
    match (tls, http2) {
        (false, false) => "",
        (true, false) => ", TLS",
        (false, true) => ", h2",
        (true, true) => ", h2, TLS",
    }
}

/// What carries the calls.
pub(super) fn protocol(tls: bool) -> &'static str {
    if tls { "HTTPS" } else { "HTTP" }
}

fn mebibytes(kibibytes: u64) -> u64 {
    kibibytes.div_ceil(1024)
}

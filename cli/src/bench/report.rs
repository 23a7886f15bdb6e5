//! The results as one HTML file that needs nothing else: bars against the floors, and latencies.

use std::fmt::Write as _;

use super::chart::{Bar, Part, bars, curves};
use super::result::{Measurement, Results};
use super::table::{name, protocol};

/// The file's text.
pub(super) fn html(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>claviger bench</title>\n<style>{STYLE}</style>\n<main>\n<h1>claviger bench</h1>\n\
         <p>Version {}, {} build, {}. {}, {} processors, Linux {}; load {:.1} before the run and {:.1} \
         after it. Each load lasted {} s, {} times; Claviger and the floors took turns.</p>\n",
        escaped(&results.claviger),
        escaped(&results.build),
        date(results.began),
        escaped(&machine.processor),
        machine.processors,
        escaped(&machine.kernel),
        machine.load_before,
        machine.load_after,
        results.seconds,
        results.rounds,
    );
    if results.build != "release" {
        text.push_str("<p class=\"warning\">A debug build: its numbers mean nothing.</p>\n");
    }
    let measurements = &results.measurements;
    section(
        &mut text,
        "Processor time for a call",
        "The enclave's, at full speed, against its floor: a server that only speaks HTTP, and the \
         cryptography called directly. The mark is at the floor.",
        &bars(&measurements.iter().map(processor).collect::<Vec<_>>()),
    );
    section(
        &mut text,
        "Requests a second",
        "At full speed, against a server that only speaks HTTP behind the same relay. The mark is at \
         that server's.",
        &bars(&measurements.iter().map(throughput).collect::<Vec<_>>()),
    );
    let drawn: String = measurements.iter().map(latency).collect();
    section(
        &mut text,
        "Latency",
        "At half of Claviger's full speed, from when each request was due; blue is Claviger, grey the \
         server that only speaks HTTP, at the same rate. Both scales are logarithmic.",
        &format!("<div class=\"curves\">{drawn}</div>"),
    );
    text.push_str(&numbers(results));
    text.push_str("</main></html>\n");
    text
}

fn section(text: &mut String, title: &str, what: &str, drawn: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "<h2>{title}</h2>\n<p>{what}</p>\n{drawn}");
}

fn processor(measurement: &Measurement) -> Bar {
    let http = measurement.bare.processor_us.enclave;
    let floor = http + measurement.cryptography_us;
    let enclave = measurement.claviger.processor_us.enclave;
    let rest = (enclave - floor).max(0.0);
    // What is below the floor by chance is taken off the part that varies.
    let http_shown = http.min(enclave - measurement.cryptography_us).max(0.0);
    Bar {
        title: title(measurement),
        parts: vec![
            Part::new("http", "HTTP", http_shown / floor),
            Part::new(
                "crypto",
                "cryptography",
                measurement.cryptography_us / floor,
            ),
            Part::new("claviger", "what is above the floor", rest / floor),
        ],
        label: format!("{:.2} ×  ({enclave:.1} of {floor:.1} µs)", enclave / floor),
    }
}

fn throughput(measurement: &Measurement) -> Bar {
    let ratio = measurement.ratios.throughput_of_bare;
    let side = &measurement.claviger;
    Bar {
        title: title(measurement),
        parts: vec![Part::new("claviger", "Claviger", ratio)],
        label: format!(
            "{:.0} %  ({:.0} / s)",
            ratio * 100.0,
            side.requests_per_second
        ),
    }
}

fn latency(measurement: &Measurement) -> String {
    let (claviger, bare) = (&measurement.claviger.latency, &measurement.bare.latency);
    curves(
        &title(measurement),
        &format!("{:.0} / s", claviger.requests_per_second),
        &[("bare", &bare.curve), ("claviger", &claviger.curve)],
    )
}

fn title(measurement: &Measurement) -> String {
    let plural = if measurement.connections == 1 {
        ""
    } else {
        "s"
    };
    let connections = measurement.connections;
    escaped(&format!(
        "{} · {connections} connection{plural}",
        name(measurement)
    ))
}

/// All numbers once more, for who wants to copy them.
fn numbers(results: &Results) -> String {
    let mut text = String::from(
        "<h2>Numbers</h2>\n<table><tr><th>scenario<th>requests / s<th>p50 µs<th>p99 µs<th>p99.9 µs\
         <th>enclave µs<th>bare µs<th>cryptography µs<th>host proxy µs<th>load generator µs\
         <th>stolen %</tr>\n",
    );
    for measurement in &results.measurements {
        let side = &measurement.claviger;
        let _ = writeln!(
            text,
            "<tr><td>{}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}</tr>",
            title(measurement),
            side.requests_per_second,
            side.latency.p50_us,
            side.latency.p99_us,
            side.latency.p999_us,
            side.processor_us.enclave,
            measurement.bare.processor_us.enclave,
            measurement.cryptography_us,
            side.processor_us.host_proxy,
            side.processor_us.generator,
            measurement.stolen * 100.0,
        );
    }
    text.push_str("</table>\n");
    for server in &results.servers {
        let _ = writeln!(
            text,
            "<p>{}: {} calls made, {} counted by the enclave. Memory of the enclave: {} KiB idle, {} KiB \
             at most; of the host proxy {} KiB at most. Start to first answer: {:.0} ms; until \
             every key is open: {:.0} ms.</p>",
            protocol(server.tls),
            server.calls_made,
            server.calls_counted,
            server.enclave_idle.now_kib,
            server.enclave.peak_kib,
            server.host_proxy.peak_kib,
            server.start_milliseconds,
            server.all_keys_milliseconds,
        );
    }
    text
}

/// A day, of seconds since 1970.
fn date(seconds: u64) -> String {
    let since = std::time::Duration::from_secs(seconds);
    der::DateTime::from_unix_duration(since).map_or_else(|_| String::new(), |date| date.to_string())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const STYLE: &str = "
:root { --ink: #1c2430; --faint: #66707e; --paper: #fff; --line: #dfe3e8;
        --claviger: #2f6fde; --http: #aab3bf; --crypto: #e2a336; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --faint: #98a2b0; --paper: #14181e; --line: #2c333d;
          --claviger: #6c9df2; --http: #66707e; --crypto: #d9a441; } }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
p { color: var(--faint); max-width: 46rem; } .warning { color: #c33; font-weight: 600; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .faint { fill: var(--faint); } .grid { stroke: var(--line); } .mark { stroke: var(--ink); }
.http, .bare { fill: var(--http); } .crypto { fill: var(--crypto); } .claviger { fill: var(--claviger); }
path.bare { fill: none; stroke: var(--http); stroke-width: 2; }
path.claviger { fill: none; stroke: var(--claviger); stroke-width: 2; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .2rem .6rem .2rem 0;
  text-align: right; border-bottom: 1px solid var(--line); } td:first-child, th:first-child { text-align: left; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }

    #[test]
    fn a_date_is_readable() {
        assert_eq!(date(1_795_651_200), "2026-11-26T00:00:00Z");
    }
}

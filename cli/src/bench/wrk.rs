//! The same requests for another load generator: scripts for wrk, with requests signed ahead.
//!
//! Who doubts our own generator runs wrk against the same servers, Claviger and the bare one, and
//! compares the ratios.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::measure::teach;
use super::requests::{Requests, Supply};
use super::scenario::Scenario;
use super::servers::Servers;
use crate::Failure;
use crate::screen::print;

/// Starts the servers, writes a script for each scenario and prints how to run them. Serves until it
/// is dropped.
///
/// # Errors
/// When a server doesn't start, a scenario is refused, or a script can't be written.
pub(super) async fn serve(folder: &Path, scenarios: &[Scenario], keys: u32) -> Result<(), Failure> {
    let (servers, requests, _) = Servers::start(false, false, keys).await?;
    let scenarios = match scenarios {
        [] => Scenario::ALL.to_vec(),
        given => given.to_vec(),
    };
    let scenarios = scenarios.into_iter().filter(|one| one.is_repeatable());
    let scenarios: Vec<_> = scenarios.collect();
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = folder.to_path_buf();
    let writing = move || write(servers, requests, &path, &scenarios);
    let (_servers, text) = tokio::task::spawn_blocking(writing).await??;
    print(&text)?;
    std::future::pending().await
}

/// Writes the scripts; gives the servers back and what to say.
fn write(
    mut servers: Servers,
    mut requests: Requests,
    folder: &Path,
    scenarios: &[Scenario],
) -> Result<(Servers, String), Failure> {
    let mut text = String::new();
    let urls = [&servers.claviger, &servers.bare].map(|pair| pair.endpoint().url());
    for scenario in scenarios {
        teach(*scenario, &mut servers, &mut requests)?;
        let path = folder.join(format!("{}.lua", scenario.name()));
        let script = script(&requests.supply(*scenario, 1)?);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::write(&path, script).map_err(failed)?;
        for (url, whose) in urls.iter().zip(["Claviger", "the bare server"]) {
            // Writing to a string cannot fail.
            let path = path.display();
            let _ = writeln!(text, "wrk -t 2 -c 8 -d 10 -s {path} {url}   # {whose}");
        }
    }
    let last = "The signatures are good for five minutes. Ctrl-C ends the servers.\n";
    text.push_str(last);
    Ok((servers, text))
}

/// A script that sends the requests in turns, each thread from another one on, and counts the
/// answers that are errors.
fn script(supply: &Supply) -> String {
    let mut script = "-- Written by `claviger bench --wrk`.\nlocal requests = {\n".to_owned();
    let mut number = 0;
    while let Some(request) = supply.get(number).filter(|_| number < supply.len()) {
        let _ = writeln!(script, "  {},", quoted(request));
        number += 1;
    }
    script.push_str(SCRIPT);
    script
}

const SCRIPT: &str = "\
}
local threads = 0
local last = 0
function setup(thread)
  thread:set(\"last\", threads * 37)
  threads = threads + 1
end
function init()
  last = wrk.thread and wrk.thread:get(\"last\") or last
end
function request()
  last = last % #requests + 1
  return requests[last]
end
function done(summary)
  local errors = summary.errors
  print(string.format(\"%d answers, %d of them errors\", summary.requests, errors.status))
end
";

/// Bytes as Lua reads them.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b' '..=b'~' if !matches!(byte, b'"' | b'\\') => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\{other:03}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lua_reads_the_same_bytes() {
        assert_eq!(quoted(b"a\r\n\"\\9\0"), r#""a\013\010\034\0929\000""#);
    }
}

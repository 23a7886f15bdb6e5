//! The instructions that were accepted, and what has changed since.
//!
//! A count stays as it is until a call takes 3 % more or less, so that many small steps add up. One
//! that is raised says why, in the commit that raises it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

/// The file, beside this one's folder.
const FILE: &str = "instructions.json";

/// How much more or less is not noticed, in hundredths.
const PERCENT: u64 = 3;

/// What the program exits with when the counts can't be compared here.
const OTHER_PROCESSOR: u8 = 3;

/// Instructions of calls.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Counts {
    /// What valgrind's processor can do.
    pub(crate) processor: String,
    /// What made the code.
    pub(crate) compiler: String,
    pub(crate) calls: BTreeMap<String, Count>,
}

/// Instructions of a call.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Count {
    pub(crate) instructions: u64,
    /// Why they are more than they were before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// What became of a call's count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Same,
    More,
    Less,
    /// It has no count yet.
    New,
    /// It is measured no longer.
    Gone,
}

impl Change {
    pub(crate) fn of(before: Option<u64>, now: Option<u64>) -> Self {
        match (before, now) {
            (None, _) => Self::New,
            (_, None) => Self::Gone,
            (Some(before), Some(now)) if now * 100 > before * (100 + PERCENT) => Self::More,
            (Some(before), Some(now)) if now * 100 < before * (100 - PERCENT) => Self::Less,
            _ => Self::Same,
        }
    }

    /// Whether nobody has agreed to it yet and somebody has to.
    fn fails(self) -> bool {
        matches!(self, Self::More | Self::New | Self::Gone)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Same => "",
            Self::More => "MORE",
            Self::Less => "less: --take it",
            Self::New => "NEW: --take it",
            Self::Gone => "GONE: --take that",
        })
    }
}

/// Compares what was measured with the baseline, and the baseline with those of earlier commits.
pub(crate) fn check(measured: &Counts, filter: &str) -> Result<ExitCode, String> {
    let baseline = read()?;
    let unexplained = raised_without_a_reason(&history(&baseline));
    for name in &unexplained {
        println!("{name}: a commit raised its baseline without a reason in its place (--why)");
    }
    if baseline.processor != measured.processor {
        println!(
            "NOT COMPARED: the baseline is for {}, valgrind shows {} here",
            baseline.processor, measured.processor
        );
        return Ok(match unexplained.is_empty() {
            true => ExitCode::from(OTHER_PROCESSOR),
            false => ExitCode::FAILURE,
        });
    }
    let changes = show(&baseline, measured, filter);
    let grown = changes.iter().any(|change| change.fails());
    if grown {
        println!(
            "A call may take {PERCENT} % more instructions if the same commit says why:\n    \
             cargo bench -p claviger-kms -- --instructions --take --why TEXT"
        );
        if baseline.compiler != measured.compiler {
            let (before, now) = (&baseline.compiler, &measured.compiler);
            println!("The baseline is of {before}, this is {now}.");
        }
    }
    Ok(match grown || !unexplained.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Makes what was measured the baseline, where it is more or less than before.
pub(crate) fn take(measured: Counts, why: Option<&str>) -> Result<ExitCode, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join(FILE);
    let Ok(baseline) = read() else {
        write(&path, &measured)?;
        return Ok(ExitCode::SUCCESS);
    };
    show(&baseline, &measured, "");
    let taken = merged(&baseline, measured, why)?;
    write(&path, &taken)?;
    Ok(ExitCode::SUCCESS)
}

/// The next baseline: the earlier one, but for the counts that changed.
///
/// # Errors
///
/// When one is more, and there is no reason for it.
pub(crate) fn merged(
    baseline: &Counts,
    mut measured: Counts,
    why: Option<&str>,
) -> Result<Counts, String> {
    let is_comparable = baseline.processor == measured.processor;
    for (name, count) in &mut measured.calls {
        let before = baseline.calls.get(name);
        let now = Some(count.instructions);
        match Change::of(before.map(|before| before.instructions), now) {
            Change::Same if is_comparable => *count = before.unwrap_or(count).clone(),
            Change::More => {
                let why = why.ok_or(format!("{name} takes more: say --why"))?;
                count.why = Some(why.to_owned());
            }
            _ => {}
        }
    }
    Ok(measured)
}

/// The calls whose count was raised from one baseline to the next, the oldest first, without a new
/// reason.
pub(crate) fn raised_without_a_reason(baselines: &[Counts]) -> Vec<String> {
    let steps = baselines.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((before, after)),
        _ => None,
    });
    steps
        .flat_map(|(before, after)| {
            after.calls.iter().filter(|(name, now)| {
                before.calls.get(*name).is_some_and(|then| {
                    now.instructions > then.instructions
                        && (now.why.is_none() || now.why == then.why)
                })
            })
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The baselines of all commits that git knows here, the oldest first, and this one.
fn history(this: &Counts) -> Vec<Counts> {
    let git = |arguments: &[&str]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let commits = git(&["log", "--reverse", "--format=%H", "--", FILE]);
    // What an earlier form of this program wrote can't be compared.
    let earlier = commits.lines().filter_map(|commit| {
        let text = git(&["show", &format!("{commit}:./{FILE}")]);
        serde_json::from_str(&text).ok()
    });
    earlier.chain([this.clone()]).collect()
}

/// Prints a line for each call that was asked for, and says what became of it.
fn show(baseline: &Counts, measured: &Counts, filter: &str) -> Vec<Change> {
    println!(
        "{:<28} {:>12} {:>12} {:>9}",
        "instructions of", "baseline", "now", "%"
    );
    let names = baseline.calls.keys().chain(measured.calls.keys());
    let mut names: Vec<_> = names.filter(|name| name.contains(filter)).collect();
    names.sort_unstable();
    names.dedup();
    let text = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let changes = names.iter().map(|name| {
        let count = |counts: &Counts| counts.calls.get(*name).map(|count| count.instructions);
        let (before, now) = (count(baseline), count(measured));
        let change = Change::of(before, now);
        let percent = before.zip(now).map(|(before, now)| percent(before, now));
        let percent = percent.map_or_else(String::new, |percent| format!("{percent:+.2}"));
        let (before, now) = (text(before), text(now));
        println!("{name:<28} {before:>12} {now:>12} {percent:>9}  {change}");
        change
    });
    changes.collect()
}

fn percent(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

fn read() -> Result<Counts, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join(FILE);
    let failed = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read(&path).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}

fn write(path: &Path, counts: &Counts) -> Result<(), String> {
    let failed = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let mut text = serde_json::to_string_pretty(counts).map_err(|error| failed(&error))?;
    text.push('\n');
    fs::write(path, text).map_err(|error| failed(&error))
}

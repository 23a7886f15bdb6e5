//! One line on the terminal that says how far the run is, and whether it is to go on.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Failure;

/// Characters of the bar.
const WIDTH: usize = 24;

/// What became of a run that was stopped.
pub(super) const STOPPED: &str = "stopped before the end: there are no results";

/// The line, on standard error; nothing where that is no terminal.
pub(super) struct Progress {
    shown: bool,
    stopped: Arc<AtomicBool>,
    began: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    /// A bar for so many steps, the last of them early if `stopped` says so.
    pub(super) fn new(all: usize, stopped: Arc<AtomicBool>) -> Self {
        Self {
            shown: stderr().is_terminal(),
            stopped,
            began: Instant::now(),
            done: 0,
            all,
        }
    }

    /// The next step begins.
    ///
    /// # Errors
    /// When it is not to, because the run is stopped.
    pub(super) fn step(&mut self, what: &str) -> Result<(), Failure> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(STOPPED.into());
        }
        if self.shown {
            let line = line(self.done, self.all, self.began.elapsed(), what);
            let _ = write!(stderr(), "\r\u{1b}[2K{line}");
            let _ = stderr().flush();
        }
        self.done += 1;
        Ok(())
    }

    /// So many steps have to be done once more.
    pub(super) const fn again(&mut self, steps: usize) {
        self.all += steps;
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\u{1b}[2K");
        }
    }
}

fn line(done: usize, all: usize, elapsed: Duration, what: &str) -> String {
    let filled = (WIDTH * done).checked_div(all).unwrap_or(WIDTH).min(WIDTH);
    let left = match done {
        0 => String::new(),
        _ => {
            let left = elapsed.as_secs_f64() / done as f64 * all.saturating_sub(done) as f64;
            format!("{left:.0} s left, ")
        }
    };
    let bar = format!("{}{}", "━".repeat(filled), "─".repeat(WIDTH - filled));
    format!("{bar} {:>3} %  {left}{what}", done * 100 / all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_begins_once_the_run_is_stopped() {
        let stopped = Arc::new(AtomicBool::new(false));
        let mut progress = Progress::new(2, Arc::clone(&stopped));
        assert!(progress.step("decrypt").is_ok());
        stopped.store(true, Ordering::Relaxed);
        assert_eq!(progress.step("decrypt").unwrap_err().to_string(), STOPPED);
    }

    #[test]
    fn the_line_tells_how_far_and_how_long() {
        let begin = line(0, 4, Duration::ZERO, "decrypt");
        assert!(begin.ends_with("─   0 %  decrypt"), "{begin}");
        let half = line(2, 4, Duration::from_secs(6), "decrypt");
        assert!(half.ends_with("─  50 %  6 s left, decrypt"), "{half}");
        assert_eq!(half.matches('━').count(), WIDTH / 2);
        // More steps than expected break nothing.
        assert!(line(5, 4, Duration::from_secs(6), "").contains("125 %"));
    }
}

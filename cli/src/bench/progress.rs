//! One line on the terminal that says how far the run is.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Characters of the bar.
const WIDTH: usize = 24;

/// The line, on standard error; nothing where that is no terminal.
pub(super) struct Progress {
    shown: bool,
    began: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    /// A bar for so many steps.
    pub(super) fn new(all: usize) -> Self {
        Self {
            shown: stderr().is_terminal(),
            began: Instant::now(),
            done: 0,
            all,
        }
    }

    /// The next step begins.
    pub(super) fn step(&mut self, what: &str) {
        if self.shown {
            let line = line(self.done, self.all, self.began.elapsed(), what);
            let _ = write!(stderr(), "\r\u{1b}[2K{line}");
            let _ = stderr().flush();
        }
        self.done += 1;
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

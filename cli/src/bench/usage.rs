//! What the processes use, as the kernel counts it, and what they run on.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::server::StartError;

/// A process that is watched.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    id: u32,
    clock: ClockId,
}

impl Watched {
    /// Watches the process with this number.
    pub(super) fn new(id: Option<u32>) -> Result<Self, Failure> {
        let id = id.ok_or(StartError::NotHealthy)?;
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(id)?))?;
        Ok(Self { id, clock })
    }

    /// What it has used of the processors, all threads together. Zero once it has ended, which the
    /// load notices by itself.
    pub(super) fn processor_time(self) -> Duration {
        self.clock.now().map_or(Duration::ZERO, Duration::from)
    }

    /// Kibibytes of memory, now and at most.
    pub(super) fn memory(self) -> Result<Memory, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap_or_default()
        };
        Ok(Memory {
            now_kib: kibibytes("VmRSS:"),
            peak_kib: kibibytes("VmHWM:"),
        })
    }
}

/// Memory of a process, in kibibytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Memory {
    pub(super) now_kib: u64,
    pub(super) peak_kib: u64,
}

/// What it all ran on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) kernel: String,
    /// Runnable threads over the last minute, before the run.
    pub(super) load_before: f64,
    /// The same after it, the run's own threads among them.
    pub(super) load_after: f64,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = load();
        Self {
            processor: processor.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            load_before: load,
            load_after: load,
        }
    }
}

/// Runnable threads over the last minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// What became of the time of all processors, in the kernel's ticks: since it started, or over a
/// while.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ticks {
    all: u64,
    /// Those in which a processor had work, and the hypervisor ran another machine on it ("steal").
    stolen: u64,
}

impl Ticks {
    /// Since the kernel started. No stolen ones where it does not tell.
    pub(super) fn now() -> Self {
        Self::of(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line has a sum for each use of a processor: user, nice, system, idle, iowait, irq,
    /// softirq, steal; guests' time, which follows, is in the first two (proc_stat(5)).
    pub(super) fn of(stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        let counts = line.unwrap_or_default().split_whitespace();
        let counts: Vec<u64> = counts
            .map_while(|count| count.parse().ok())
            .take(8)
            .collect();
        Self {
            all: counts.iter().sum(),
            stolen: counts.get(7).copied().unwrap_or_default(),
        }
    }

    /// Those since then.
    pub(super) const fn since(self, then: Self) -> Self {
        Self {
            all: self.all.saturating_sub(then.all),
            stolen: self.stolen.saturating_sub(then.stolen),
        }
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.all += other.all;
        self.stolen += other.stolen;
    }

    /// The part that was stolen, of 1.
    pub(super) fn stolen(self) -> f64 {
        self.stolen as f64 / self.all.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_told_from_the_rest() {
        let then = Ticks::of("cpu  100 0 50 800 10 5 5 30 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        assert_eq!((then.all, then.stolen), (1000, 30));
        let now = Ticks::of("cpu  160 0 50 810 10 5 5 60 7 7\n");
        assert!((now.since(then).stolen() - 0.3).abs() < 1e-9);
        // Kernels that do not tell.
        for stat in ["", "cpu  1 2 3\n", "cpu  a b\n"] {
            assert!(Ticks::of(stat).stolen().abs() < 1e-9, "{stat}");
        }
        assert!(Ticks::now().all > 0);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let this = Watched::new(Some(std::process::id())).unwrap();
        let before = this.processor_time();
        let mut sum = 0_u64;
        while this.processor_time() < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        let memory = this.memory().unwrap();
        assert!(memory.now_kib > 0 && memory.now_kib <= memory.peak_kib);
        assert!(Watched::new(None).is_err());
    }
}

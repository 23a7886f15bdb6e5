//! Priorities of threads that work for long: they leave the processors to those who answer calls.

use rustix::process::nice;
#[cfg(target_os = "linux")]
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// That of a thread which somebody waits for: all others come first, but it gets some part of
/// processors that are busy.
pub(crate) const LOW: i32 = 10;

/// The lowest that there is.
const LOWEST: i32 = 19;

/// Gives the calling thread a low priority, for good.
pub(crate) fn low() {
    // On Linux each thread has a priority of its own.
    let _ = nice(LOW);
}

/// Lets the calling thread work only while nobody else wants its processor, for good: where
/// processors stay busy, it gets next to nothing.
///
/// The policy `SCHED_IDLE` (sched(7)), not a low priority: who wakes up beside such a thread hardly
/// waits. Behind one of however low a priority it was seen to wait for up to a tick, 4 ms (Linux
/// 6.18; docs/performance.md).
pub fn only_when_idle() {
    #[cfg(target_os = "linux")]
    {
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).is_ok() {
            return;
        }
    }
    let _ = nice(LOWEST);
}

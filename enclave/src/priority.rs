//! Priorities of threads that work for long: they leave the processors to those who answer calls.

use rustix::process::nice;
#[cfg(target_os = "linux")]
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// That of a thread which somebody waits for: all others come first, but it gets some part of
/// processors that are busy.
const LOW: i32 = 10;

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
/// The policy `SCHED_IDLE` (sched(7)), not a low priority: a thread that wakes up takes the
/// processor from it at once. Behind a thread of however low a priority it waits for up to a tick
/// of 4 ms where the kernel protects the slice that such a thread has been given (Linux since 6.6).
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

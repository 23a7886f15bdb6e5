//! The operating system's randomness, in the form the other crates take it.

use attestation::rand_core::UnwrapErr;
use getrandom::SysRng;

/// The operating system's random number generator. It panics if there is none,
/// which no system this runs on lacks.
pub(crate) fn system_random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

//! RSA key pairs that are made while something else is measured: they must not hold it up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kms::protocol::spec::KeyPairSpec;

use super::connection::Connection;
use super::floor::generate;
use super::requests::Supply;
use crate::Failure;
use crate::client::Endpoint;

/// The key pairs that are made.
pub(super) const SPEC: KeyPairSpec = KeyPairSpec::Rsa4096;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyPairs {
    pub(super) calls: u64,
    /// Answers that are no errors. A server may refuse what it can't serve in time.
    pub(super) made: u64,
}

/// Does the work, and has one request after the other answered on a connection of its own until it
/// is done.
///
/// # Errors
/// When the work fails, or that connection breaks.
pub(super) fn during<T>(
    endpoint: &Endpoint,
    supply: &Supply,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, KeyPairs), Failure> {
    let mut connection = Connection::open(endpoint)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let making = scope.spawn(|| {
            let mut pairs = KeyPairs::default();
            while let Some(request) = supply.get(pairs.calls as usize) {
                let answer = connection.exchange(request)?;
                pairs.calls += 1;
                pairs.made += u64::from(answer.status == 200);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok::<_, Failure>(pairs)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let pairs = making.join();
        let pairs = pairs.map_err(|_| "the thread that asks for key pairs failed")??;
        Ok((worked?, pairs))
    })
}

/// Does the work while a thread makes the same pairs, in idle time as the enclave's do: what
/// latencies are beside that much work, whoever answers.
///
/// # Errors
/// When the work fails, or no pair can be made.
pub(super) fn beside_as_much<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let making = scope.spawn(|| {
            enclave::only_when_idle();
            while !done.load(Ordering::Relaxed) {
                generate(SPEC).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let made = making.join();
        made.map_err(|_| "the thread that makes key pairs failed")??;
        worked
    })
}

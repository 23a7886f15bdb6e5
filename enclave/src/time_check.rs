//! Holds the enclave's clock against what it can't have been told by its host: the signed time of
//! its security module, and the time that its own store has seen.
//!
//! Signatures, documents, sessions and deletions all hang on the time. So an enclave whose clock is
//! wrong does not start; and one whose clock goes wrong later refuses calls until it is right again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attestation::{AttestationDocument, AttestationRequest, NsmError, Timestamp};
use kms::state::{Change, EdgeSecret, State};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::counters::Counters;
use crate::error::EnclaveError;
use crate::log::Notice;
use crate::nsm::NsmHandle;

/// How far two clocks may be apart: as far as a document may be from the future.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// How often they are compared, and keys are looked for that are due to be deleted or rotated; AWS
/// takes up to a day for that.
const PERIOD: Duration = Duration::from_secs(60);

/// How much later a start has to be for the store to remember it: a commit at every start would
/// stop another enclave that serves from the same store, without any need.
const GRAIN: Duration = Duration::from_secs(60 * 60);

/// The sealed record that holds the latest time an enclave has started at: milliseconds since 1970,
/// 8 bytes, big-endian.
const HIGH_WATER: &str = "clock-high-water";

/// Compares the clock with the security module's.
///
/// # Errors
///
/// [`EnclaveError::ClockDisagrees`] if they are too far apart, and others if the module gives no
/// document.
pub(crate) async fn compare(nsm: &NsmHandle, clock: Clock) -> Result<(), EnclaveError> {
    let document = nsm
        .ask(|nsm| nsm.attest(AttestationRequest::default()))
        .await??;
    let document =
        AttestationDocument::parse(&document).map_err(|_| NsmError::UnexpectedResponse)?;
    agree(clock.now(), document.timestamp())
}

fn agree(clock: Timestamp, module: Timestamp) -> Result<(), EnclaveError> {
    let apart = clock
        .saturating_since(module)
        .max(module.saturating_since(clock));
    if apart <= BOUND {
        return Ok(());
    }
    Err(EnclaveError::ClockDisagrees {
        seconds: apart.as_secs(),
        is_ahead: clock > module,
    })
}

/// What has to be written so that the store remembers this start.
///
/// # Errors
///
/// [`EnclaveError::ClockWentBack`] if the store has seen a later time.
pub(crate) fn high_water(state: &State, now: Timestamp) -> Result<Vec<Change>, EnclaveError> {
    let seen = state.edge_secret(HIGH_WATER).map(|secret| secret.expose());
    let seen = seen.and_then(|bytes| bytes.try_into().ok());
    let seen = Timestamp::from_millis(seen.map_or(0, u64::from_be_bytes));
    if now + BOUND < seen {
        let behind = seen.saturating_since(now).as_secs();
        return Err(EnclaveError::ClockWentBack { seconds: behind });
    }
    if now < seen + GRAIN {
        return Ok(Vec::new());
    }
    let mark = EdgeSecret::new(HIGH_WATER, &now.as_millis().to_be_bytes());
    Ok(vec![Change::PutEdgeSecret(mark)])
}

/// Goes on comparing; while the clocks disagree, [`Counters::clock_wrong`] is set, and each time
/// they agree `right` is told: what is due by the time must not happen by a wrong one.
pub(crate) async fn watch(
    nsm: NsmHandle,
    clock: Clock,
    counters: Arc<Counters>,
    right: mpsc::Sender<()>,
) {
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let wrong = match compare(&nsm, clock).await {
            Ok(()) => false,
            Err(EnclaveError::ClockDisagrees { .. }) => true,
            // That says nothing of the clock.
            Err(_) => {
                Notice::AttestationFailed.log();
                continue;
            }
        };
        if counters.clock_wrong.swap(wrong, Ordering::Relaxed) != wrong {
            match wrong {
                true => Notice::ClockWrong.log(),
                false => Notice::ClockRight.log(),
            }
        }
        if !wrong {
            // Fails if the last time was not looked at yet.
            let _ = right.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use kms::state::{Batch, RootKey};

    use super::*;
    use crate::random::{NSM_SEED_BYTES, Random};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn clocks_may_be_a_minute_apart() {
        agree(NOW, NOW).unwrap();
        agree(NOW + BOUND, NOW).unwrap();
        agree(NOW, NOW + BOUND).unwrap();
        for (clock, module, ahead) in [
            (NOW + BOUND + SECOND, NOW, true),
            (NOW, NOW + BOUND + SECOND, false),
        ] {
            let refused = agree(clock, module);
            assert!(matches!(
                refused,
                Err(EnclaveError::ClockDisagrees { seconds: 61, is_ahead }) if is_ahead == ahead
            ));
        }
    }

    #[test]
    fn a_store_remembers_the_latest_time() {
        let mut random = Random::new(&[1; NSM_SEED_BYTES]).unwrap();
        let root_key = RootKey::generate(&mut random);
        let (state, _) = State::genesis(&root_key, &mut random, NOW);
        let start = |state: State, now, random: &mut Random| {
            let mut batch = Batch::new(state.clone());
            batch.push(high_water(&state, now)?);
            Ok::<_, EnclaveError>(batch.seal(random).0)
        };
        let state = start(state, NOW, &mut random).unwrap();
        // A little behind or ahead is no matter, and does not move the mark.
        assert!(high_water(&state, NOW + GRAIN - SECOND).unwrap().is_empty());
        let state = start(state, NOW - BOUND, &mut random).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let refused = start(state.clone(), NOW - day, &mut random);
        assert!(matches!(
            refused,
            Err(EnclaveError::ClockWentBack { seconds: 86_400 })
        ));
        let refused = start(state.clone(), NOW - BOUND - SECOND, &mut random);
        assert!(matches!(refused, Err(EnclaveError::ClockWentBack { .. })));
        start(state, NOW + day, &mut random).unwrap();
    }
}

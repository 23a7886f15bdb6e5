//! Makes one transaction durable, however often the store has to be asked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use link::Commit;
use tokio::time::{Instant, sleep};

use crate::counters::Counters;
use crate::identity::sha256;
use crate::log::Notice;
use crate::store::{Committed, Store, StoreError};

/// The first and the longest wait between attempts to reach the store.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The store holds a head that this enclave did not write.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the record store holds a head that this enclave did not write")]
pub(crate) struct Fenced;

/// Returns once the transaction is durable.
///
/// A commit whose answer is lost may or may not have taken effect. So the head is asked for: the
/// new one means committed; the old one means not, and the *same* transaction is sent again; any
/// other was written by somebody else. The transaction is never given up for another one, so that
/// a delayed copy of it can't come between.
pub(crate) async fn make_durable(
    store: &mut Store,
    commit: &Commit,
    counters: &Counters,
) -> Result<(), Fenced> {
    let mut outage = Outage::default();
    let mut in_doubt = false;
    loop {
        match attempt(store, commit, in_doubt).await {
            Ok(Outcome::Durable) => {
                if in_doubt {
                    Notice::CommitResolved.log();
                }
                counters.commits.fetch_add(1, Ordering::Relaxed);
                outage.over(counters);
                return Ok(());
            }
            Ok(Outcome::Foreign) => {
                counters.commit_failures.fetch_add(1, Ordering::Relaxed);
                return Err(Fenced);
            }
            Ok(Outcome::NotYet) => in_doubt = false,
            Err(error) => {
                counters.commit_failures.fetch_add(1, Ordering::Relaxed);
                in_doubt = true;
                outage.goes_on(&error, counters).await;
            }
        }
    }
}

enum Outcome {
    Durable,
    /// The old head is still there.
    NotYet,
    /// A head that is neither the old nor the new one is there.
    Foreign,
}

async fn attempt(
    store: &mut Store,
    commit: &Commit,
    in_doubt: bool,
) -> Result<Outcome, StoreError> {
    let head = if in_doubt {
        store.head().await?
    } else {
        match store.commit(commit).await? {
            Committed::Yes => return Ok(Outcome::Durable),
            Committed::OtherHead(head) => head,
        }
    };
    Ok(match head {
        Some(head) if head == commit.head => Outcome::Durable,
        head if head.as_deref().map(sha256) == commit.expected_head => {
            // After a conflict this is a store that contradicts itself, and asking it again is
            // all there is to do; without the wait it would be done in a tight loop.
            if !in_doubt {
                sleep(RETRY.0).await;
            }
            Outcome::NotYet
        }
        _ => Outcome::Foreign,
    })
}

/// A time during which the store does not answer.
#[derive(Default)]
struct Outage {
    began: Option<Instant>,
    wait: Duration,
}

impl Outage {
    /// Waits before the next attempt, longer each time.
    async fn goes_on(&mut self, error: &StoreError, counters: &Counters) {
        let (first, longest) = RETRY;
        if self.began.is_none() {
            self.began = Some(Instant::now());
            counters.store_away.store(true, Ordering::Relaxed);
            Notice::StoreAway { kind: error.kind() }.log();
        }
        self.wait = (self.wait * 2).clamp(first, longest);
        sleep(self.wait).await;
    }

    fn over(self, counters: &Counters) {
        if let Some(began) = self.began {
            counters.store_away.store(false, Ordering::Relaxed);
            let after = began.elapsed();
            Notice::StoreBack { after }.log();
        }
    }
}

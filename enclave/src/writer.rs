//! The one writer: makes changes durable, many calls in one transaction.
//!
//! A call that changes something is stepped twice. First where it arrives, on the newest durable
//! state: if it fails there, that is its answer, and the writer never hears of it. Else it queues
//! here, and the writer steps it again on the state as it will be after all calls before it. The
//! writer takes all calls that wait, seals their changes into one transaction, and has the store
//! commit it; only then does it publish the next state, and only then do the answers leave. So
//! what is acknowledged is durable, and nobody reads what is not.
//!
//! Callers do not wait for the store for ever: after `commit_milliseconds` they get an error of
//! status 500, which says what is true: that the outcome is not known. Calls that the writer has
//! not begun by then are not begun.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use kms::engine::{Reply, Step};
use kms::expiry::settle;
use kms::key_pair::PreparedKeyPair;
use kms::state::{Batch, OpenedKeys, RootKey, State, StateError};
use quorum::VerifiedQuorum;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::commit::{Fenced, make_durable};
use crate::driver::{Received, Stepper, defect};
use crate::error::EnclaveError;
use crate::operators::Holders;
use crate::store::{Store, commit_of, quorum_record};

/// How often the store's head is looked at while nothing is written: an enclave whose place another
/// one has taken must not go on answering from what it remembers.
const LOOK: Duration = Duration::from_secs(10);

/// Most calls in one transaction.
const MOST_CALLS: usize = 256;

/// The newest durable state, for everybody to read.
pub(crate) struct Current(ArcSwap<State>);

impl Current {
    pub(crate) fn new(state: State) -> Self {
        Self(ArcSwap::from_pointee(state))
    }

    /// The state now, to look at.
    pub(crate) fn state(&self) -> Guard<Arc<State>> {
        self.0.load()
    }

    fn publish(&self, state: State) {
        self.0.store(Arc::new(state));
    }
}

/// A call that waits for the writer.
pub(crate) struct Waiting {
    pub(crate) call: Arc<Received>,
    /// What its first step prepared because it takes long.
    pub(crate) prepared: Option<PreparedKeyPair>,
    /// Dropped by a caller who waits no longer.
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// A root key that is to be used from now on, and who holds its shares.
pub(crate) struct NewRootKey {
    pub(crate) root_key: RootKey,
    pub(crate) quorum: VerifiedQuorum,
    /// Who is told of the quorum, together with the state.
    pub(crate) holders: Holders,
    /// Told once it is durable.
    pub(crate) done: oneshot::Sender<()>,
}

/// Keys that were sealed until now.
pub(crate) struct NewKeys {
    pub(crate) keys: OpenedKeys,
    /// Told once they are part of the state.
    pub(crate) done: oneshot::Sender<()>,
}

/// Takes calls from the queue until it is closed.
pub(crate) struct Writer {
    pub(crate) queue: mpsc::Receiver<Waiting>,
    pub(crate) root_keys: mpsc::Receiver<NewRootKey>,
    pub(crate) new_keys: mpsc::Receiver<NewKeys>,
    /// When the time was found to be right, and keys may be deleted or rotated that are due.
    pub(crate) right_time: mpsc::Receiver<()>,
    pub(crate) stepper: Arc<Stepper>,
    pub(crate) store: Store,
}

impl Writer {
    /// Writes until every handle of the queue is gone.
    pub(crate) async fn run(mut self) -> Result<(), EnclaveError> {
        let mut waiting = Vec::new();
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                count = self.queue.recv_many(&mut waiting, MOST_CALLS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.write(&mut waiting).await?;
                }
                Some(new) = self.root_keys.recv() => self.change_root_key(new).await?,
                Some(new) = self.new_keys.recv() => self.take_in(new)?,
                Some(()) = self.right_time.recv(), if self.has_all_keys() => self.settle().await?,
                _ = look.tick() => self.look().await?,
            }
        }
    }

    async fn write(&mut self, waiting: &mut Vec<Waiting>) -> Result<(), Fenced> {
        let stepper = Arc::clone(&self.stepper);
        let mut batch = Batch::new(State::clone(&stepper.current.state()));
        let mut replies = Vec::with_capacity(waiting.len());
        for Waiting {
            call,
            prepared,
            reply,
        } in waiting.drain(..)
        {
            if reply.is_closed() {
                continue;
            }
            let made = match stepper.resume(batch.state(), &call, prepared) {
                Step::Reply(made) => made,
                Step::Commit(changes, made) => {
                    batch.push(changes);
                    made
                }
                // What takes long has no place here, and the driver sent it elsewhere.
                Step::Slow(expected) | Step::Prepared(_, expected) => expected.fail(&defect()),
            };
            replies.push((reply, made));
        }
        if !batch.is_empty() {
            self.commit(batch).await?;
        }
        for (waiter, reply) in replies {
            if let Err(reply) = waiter.send(reply) {
                // The caller got an error already; that it took effect has to be on record.
                stepper.audit.record(reply.event);
            }
        }
        Ok(())
    }

    /// Seals the domain key and the head under another root key, and keeps the record of its quorum.
    async fn change_root_key(&mut self, new: NewRootKey) -> Result<(), Fenced> {
        let NewRootKey {
            root_key,
            quorum,
            holders,
            done,
        } = new;
        let stepper = Arc::clone(&self.stepper);
        let state = stepper.current.state();
        let (next, transaction) = state.with_root_key(&root_key, &mut stepper.random.clone());
        let mut commit = commit_of(transaction);
        commit.puts.push(quorum_record(quorum.quorum()));
        make_durable(&mut self.store, &commit, &stepper.counters).await?;
        stepper.current.publish(next);
        holders.replace(quorum);
        // Fails if nobody waits any more.
        let _ = done.send(());
        Ok(())
    }

    /// Makes opened keys part of the state. The store has them already.
    fn take_in(&self, NewKeys { keys, done }: NewKeys) -> Result<(), StateError> {
        let current = &self.stepper.current;
        let mut state = State::clone(&current.state());
        state.take_in(keys)?;
        current.publish(state);
        // Fails if nobody waits any more.
        let _ = done.send(());
        Ok(())
    }

    fn has_all_keys(&self) -> bool {
        self.stepper.current.state().sealed_keys() == 0
    }

    /// Stops if the store holds another head than the one that was written last.
    async fn look(&mut self) -> Result<(), Fenced> {
        // Without an answer nothing is known; a commit would wait for one.
        let Ok(head) = self.store.head_hash().await else {
            return Ok(());
        };
        let own = *self.stepper.current.state().head_hash();
        if head == Some(own) {
            Ok(())
        } else {
            Err(Fenced)
        }
    }

    /// Does what is due without a call.
    async fn settle(&mut self) -> Result<(), Fenced> {
        let stepper = Arc::clone(&self.stepper);
        loop {
            let mut batch = Batch::new(State::clone(&stepper.current.state()));
            let now = stepper.clock.now();
            let events = settle(&mut batch, now, MOST_CALLS, &mut stepper.random.clone());
            if events.is_empty() {
                return Ok(());
            }
            self.commit(batch).await?;
            for event in events {
                stepper.audit.record(event);
            }
        }
    }

    /// Makes the changes durable, then visible.
    async fn commit(&mut self, batch: Batch) -> Result<(), Fenced> {
        let stepper = &self.stepper;
        let (next, transaction) = batch.seal(&mut stepper.random.clone());
        make_durable(&mut self.store, &commit_of(transaction), &stepper.counters).await?;
        stepper.current.publish(next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kms::key_pair::AwsLcKeyPairs;
    use kms::state::Change;
    use link::Address;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::json;
    use tokio::time::sleep;

    use http::HeaderMap;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Limits;
    use crate::counters::get;
    use crate::driver::Driver;
    use crate::testing::{KEY_ID, agreeing_host, call, stepper};

    /// Schedules the deletion of the test key, as if that had been done now.
    fn schedule_deletion(stepper: &Stepper, days: u32) {
        let state = State::clone(&stepper.current.state());
        let account = "111122223333".parse().unwrap();
        let region = "eu-central-1".parse().unwrap();
        let key = state
            .key(account, &region, KEY_ID.parse().unwrap())
            .unwrap();
        let mut key = kms::state::Key::clone(key.unwrap());
        key.deletion_date = Some(Clock::default().now() + Duration::from_secs(60 * 60 * 24) * days);
        let mut batch = Batch::new(state);
        batch.push(vec![Change::PutKey(key)]);
        stepper
            .current
            .publish(batch.seal(&mut stepper.random.clone()).0);
    }

    #[tokio::test]
    async fn keys_are_deleted_when_their_waiting_period_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("host.sock"));
        let host = agreeing_host(&address).await;
        for (days, is_deleted) in [(8, true), (6, false)] {
            let ahead = Duration::from_secs(60 * 60 * 24) * days;
            let (stepper, _delivery) = stepper(Arc::new(AwsLcKeyPairs), Clock { ahead });
            schedule_deletion(&stepper, 7);
            let before = stepper.current.state().sequence();
            let (_calls, queue) = mpsc::channel(1);
            let (right, right_time) = mpsc::channel(1);
            right.send(()).await.unwrap();
            let writer = Writer {
                queue,
                root_keys: mpsc::channel(1).1,
                new_keys: mpsc::channel(1).1,
                right_time,
                stepper: Arc::clone(&stepper),
                store: Store::new(address.clone()),
            };
            let running = tokio::spawn(writer.run());
            for _ in 0..100 {
                sleep(Duration::from_millis(5)).await;
                if stepper.current.state().sequence() > before {
                    break;
                }
            }
            let state = stepper.current.state();
            let account = "111122223333".parse().unwrap();
            let region = "eu-central-1".parse().unwrap();
            let key = state
                .key(account, &region, KEY_ID.parse().unwrap())
                .unwrap();
            assert_eq!(key.is_none(), is_deleted);
            assert_eq!(get(&stepper.counters.audit_events), u64::from(is_deleted));
            running.abort();
        }
        host.abort();
    }

    #[tokio::test]
    async fn nothing_is_deleted_before_the_time_is_known_to_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("host.sock"));
        let host = agreeing_host(&address).await;
        let ahead = Duration::from_secs(60 * 60 * 24) * 8;
        let (stepper, _delivery) = stepper(Arc::new(AwsLcKeyPairs), Clock { ahead });
        schedule_deletion(&stepper, 7);
        let before = stepper.current.state().sequence();
        let (_calls, queue) = mpsc::channel(1);
        let (right, right_time) = mpsc::channel(1);
        let writer = Writer {
            queue,
            root_keys: mpsc::channel(1).1,
            new_keys: mpsc::channel(1).1,
            right_time,
            stepper: Arc::clone(&stepper),
            store: Store::new(address.clone()),
        };
        let running = tokio::spawn(writer.run());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(stepper.current.state().sequence(), before);
        right.send(()).await.unwrap();
        while stepper.current.state().sequence() == before {
            sleep(Duration::from_millis(5)).await;
        }
        running.abort();
        host.abort();
    }

    #[tokio::test]
    async fn while_the_clock_is_wrong_calls_are_refused() {
        let (stepper, _delivery) = stepper(Arc::new(AwsLcKeyPairs), Clock::default());
        let (waiting, _queue) = mpsc::channel(1);
        let driver = Driver::new(Arc::clone(&stepper), waiting, &Limits::default());
        let driver = Arc::new(driver);
        for (wrong, status) in [
            (true, StatusCode::INTERNAL_SERVER_ERROR),
            (false, StatusCode::OK),
        ] {
            stepper.counters.clock_wrong.store(wrong, Ordering::Relaxed);
            let answer = driver
                .answer(call("ListKeys", &json!({})), &mut HeaderMap::new())
                .await;
            assert_eq!(answer.status, status);
        }
    }
}

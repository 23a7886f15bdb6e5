//! From a store to a state: opens the sealed records, or makes the first ones.

use std::path::Path;
use std::time::Duration;

use kms::name::AccountId;
use kms::seed::Seed;
use kms::state::{Batch, Change, EdgeSecret, RootKey, SealedKeys, State};
use link::Commit;
use quorum::{Quorum, VerifiedQuorum};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::commit::{Fenced, make_durable};
use crate::counters::Counters;
use crate::error::EnclaveError;
use crate::log::Notice;
use crate::random::Random;
use crate::reading::read_all;
use crate::root_key::DevRootKey;
use crate::sealed_keys::open_before_serving;
use crate::store::{Store, StoreError, commit_of, quorum_record};
use crate::tls::{Authority, SECRET_NAME};

/// How long the host proxy may take to come up, when both are started together.
const HOST_PATIENCE: Duration = Duration::from_secs(30);

/// The wait between attempts to reach the host.
const HOST_RETRY: Duration = Duration::from_millis(10);

/// The sealed record that holds the number of the release that an enclave was handed the root key
/// as: 8 bytes, big-endian.
const RELEASE: &str = "release";

/// Changes of a seed in one transaction.
const SEED_CHANGES: usize = 1000;

/// A store whose records were all read, and what is in them.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) state: State,
    /// What is not in the state yet.
    pub(crate) sealed_keys: Option<SealedKeys>,
    /// Who holds the shares of its root key, where operators do.
    pub(crate) quorum: Option<VerifiedQuorum>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Opened {
    /// Opens the store with the root key in a file, or sets both up if they are new.
    pub(crate) async fn with_dev_file(
        mut store: Store,
        path: &Path,
        most_keys: u64,
        clock: Clock,
        mut random: Random,
    ) -> Result<Self, EnclaveError> {
        let head = first_answer(&mut store).await?;
        let (state, sealed_keys) = match (head, DevRootKey::read(path)?) {
            (Some(head), Some(mut root_key)) => {
                let (state, sealed_keys) =
                    read_all(&mut store, &root_key.key(), &head, most_keys).await?;
                root_key.mark_store_made()?;
                (state, Some(sealed_keys))
            }
            (Some(_), None) => return Err(EnclaveError::RootKeyMissing { path: path.into() }),
            (None, Some(root_key)) if root_key.has_made_store() => {
                return Err(EnclaveError::StoreLost { path: path.into() });
            }
            (None, root_key) => {
                let root_key = match root_key {
                    Some(root_key) => root_key,
                    None => DevRootKey::generate(path, &mut random)?,
                };
                let mut root_key = root_key;
                let key = root_key.key();
                let state = genesis(&mut store, &key, None, clock, &mut random).await?;
                root_key.mark_store_made()?;
                (state, None)
            }
        };
        Ok(Self {
            store,
            state,
            sealed_keys,
            quorum: None,
            clock,
            random,
        })
    }

    /// Opens the store with a root key that operators or a predecessor have given.
    pub(crate) async fn with_root_key(
        mut store: Store,
        root_key: &RootKey,
        quorum: &Quorum,
        most_keys: u64,
        clock: Clock,
        random: Random,
    ) -> Result<Self, EnclaveError> {
        let head = store.head().await;
        let head = head.map_err(|error| unreachable_store(&store, &error))?;
        let head = head.ok_or(EnclaveError::HeadMissing)?;
        let (state, sealed_keys) = read_all(&mut store, root_key, &head, most_keys).await?;
        let quorum = quorum.verify(root_key)?;
        Ok(Self {
            store,
            state,
            sealed_keys: Some(sealed_keys),
            quorum: Some(quorum),
            clock,
            random,
        })
    }

    /// Takes the store over from a predecessor that stopped at this head, and from then on is the
    /// release that it was authorised as.
    ///
    /// # Errors
    ///
    /// [`EnclaveError::Fenced`] if the store has gone on meanwhile.
    pub(crate) async fn take_over(
        &mut self,
        head: &[u8; 32],
        release: u64,
    ) -> Result<(), EnclaveError> {
        if self.state.head_hash() != head {
            return Err(EnclaveError::Fenced);
        }
        let release = EdgeSecret::new(RELEASE, &release.to_be_bytes());
        self.commit(vec![Change::PutEdgeSecret(release)]).await
    }

    /// The number of the release that serves this state; 0 before there was any.
    pub(crate) fn release(&self) -> u64 {
        let number = self.state.edge_secret(RELEASE);
        let number = number.and_then(|number| number.expose().try_into().ok());
        number.map_or(0, u64::from_be_bytes)
    }

    /// Sets up a new store under a new root key, with the public record of its quorum.
    pub(crate) async fn with_new_store(
        mut store: Store,
        root_key: &RootKey,
        quorum: &Quorum,
        clock: Clock,
        mut random: Random,
    ) -> Result<Self, EnclaveError> {
        let state = genesis(&mut store, root_key, Some(quorum), clock, &mut random).await?;
        let quorum = quorum.verify(root_key)?;
        Ok(Self {
            store,
            state,
            sealed_keys: None,
            quorum: Some(quorum),
            clock,
            random,
        })
    }

    /// Makes what a seed names and the state has not.
    pub(crate) async fn apply(
        &mut self,
        seed: &Seed,
        account: AccountId,
    ) -> Result<(), EnclaveError> {
        if seed.has_keys()
            && let Some(sealed) = self.sealed_keys.take()
        {
            open_before_serving(sealed, &mut self.state).await?;
        }
        let now = self.clock.now();
        let mut changes = seed.changes(account, &self.state, now, &mut self.random)?;
        if changes.is_empty() {
            return Ok(());
        }
        let count = changes.len();
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(SEED_CHANGES));
            self.commit(std::mem::replace(&mut changes, rest)).await?;
        }
        Notice::Seeded { changes: count }.log();
        Ok(())
    }

    /// The certificate authority in the state, made if there is none, or none that lasts.
    pub(crate) async fn tls_authority(&mut self) -> Result<Authority, EnclaveError> {
        let now = self.clock.now();
        let made = |(authority, secret)| (authority, Some(secret));
        let kept = self.state.edge_secret(SECRET_NAME);
        let kept = kept.map(|secret| Authority::from_secret(secret.expose()));
        let (authority, new) = match kept.transpose()? {
            Some(kept) if !kept.ends_soon(now) => (kept, None),
            Some(old) => made(old.successor(now)?),
            None => made(Authority::generate(now)?),
        };
        if let Some(secret) = new {
            let secret = EdgeSecret::new(SECRET_NAME, &secret);
            self.commit(vec![Change::PutEdgeSecret(secret)]).await?;
        }
        if let Some(end) = authority.former_end(now) {
            let days = end.saturating_since(now).as_secs() / (24 * 60 * 60);
            Notice::AuthorityReplaced { days }.log();
        }
        Ok(authority)
    }

    /// Makes changes durable, before there are calls.
    pub(crate) async fn commit(&mut self, changes: Vec<Change>) -> Result<(), EnclaveError> {
        let mut batch = Batch::new(self.state.clone());
        batch.push(changes);
        let (next, transaction) = batch.seal(&mut self.random);
        durable(&mut self.store, &commit_of(transaction)).await?;
        self.state = next;
        Ok(())
    }
}

/// The head, once the host answers at all; `None` of a store that is empty, and not of one that has
/// lost its head.
pub(crate) async fn first_answer(store: &mut Store) -> Result<Option<Vec<u8>>, EnclaveError> {
    let began = Instant::now();
    loop {
        match store.head().await {
            Ok(Some(head)) => return Ok(Some(head)),
            Ok(None) => {
                must_be_empty(store).await?;
                return Ok(None);
            }
            Err(error) if began.elapsed() >= HOST_PATIENCE => {
                return Err(unreachable_store(store, &error));
            }
            Err(_) => sleep(HOST_RETRY).await,
        }
    }
}

/// Refuses a store that has records, of which there is no head.
async fn must_be_empty(store: &mut Store) -> Result<(), EnclaveError> {
    match store.scan(None).await {
        Ok((records, _)) if records.is_empty() => Ok(()),
        Ok(_) => Err(EnclaveError::HeadMissing),
        Err(error) => Err(unreachable_store(store, &error)),
    }
}

async fn genesis(
    store: &mut Store,
    root_key: &RootKey,
    quorum: Option<&Quorum>,
    clock: Clock,
    random: &mut Random,
) -> Result<State, EnclaveError> {
    must_be_empty(store).await?;
    let (state, transaction) = State::genesis(root_key, random, clock.now());
    let mut commit = commit_of(transaction);
    commit.puts.extend(quorum.map(quorum_record));
    durable(store, &commit).await?;
    Notice::Genesis.log();
    Ok(state)
}

async fn durable(store: &mut Store, commit: &Commit) -> Result<(), EnclaveError> {
    // Counts nobody sees yet: before it serves, an enclave has no metrics.
    let counters = Counters::default();
    let made = make_durable(store, commit, &counters).await;
    made.map_err(|Fenced| EnclaveError::Fenced)
}

pub(crate) fn unreachable_store(store: &Store, error: &StoreError) -> EnclaveError {
    EnclaveError::Store {
        host: store.host().clone(),
        what: error.to_string(),
    }
}

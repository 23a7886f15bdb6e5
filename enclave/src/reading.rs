//! All records of a store, read and compared with its head.
//!
//! While the host looks for the next page, the page before is read on other threads, and what
//! they have read is taken in. Nothing is served meanwhile: each record by itself may be an older
//! version of itself, in which a key is enabled that is not any more, or a user still there. That
//! shows only in the hash over all records, once the last one is in.
//!
//! That hash is over the records as they are sealed. So if there are many keys, which takes long,
//! they are [opened after that](crate::sealed_keys). Everything else is open by then.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::time::Duration;

use kms::state::{Opening, ReadRecord, RecordId, RootKey, SealedKeys, State};
use link::Record;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::error::EnclaveError;
use crate::log::Notice;
use crate::opening::unreachable_store;
use crate::sealed_keys::TOGETHER;
use crate::store::{Store, quorum_id};

/// Pages that wait to be read or taken in while the next comes from the host.
const PAGES: usize = 2;

/// How often the log says how far it is.
pub(crate) const TELL: Duration = Duration::from_secs(5);

/// Reads the state that this head is of, and its keys if there are more than so many.
pub(crate) async fn read_all(
    store: &mut Store,
    root_key: &RootKey,
    head: &[u8],
    most_keys: u64,
) -> Result<(State, SealedKeys), EnclaveError> {
    let began = Instant::now();
    let mut reading = Reading {
        opening: Opening::new(root_key, head)?.keys_last(most_keys, TOGETHER),
        pages: VecDeque::new(),
        records: 0,
        told: began,
    };
    let mut after = None;
    loop {
        let (page, taken_in) = tokio::join!(store.scan(after), reading.take_in(PAGES));
        taken_in?;
        let (records, more) = page.map_err(|error| unreachable_store(store, &error))?;
        after = records.last().map(|record| record.id.clone());
        reading.read(records)?;
        // The quorum's is the last of all ids: a host that gives its record again and again, which
        // is not held against the head, does not keep the enclave from starting.
        if !more || after.as_ref().is_none_or(|id| *id == quorum_id()) {
            break;
        }
    }
    reading.take_in(0).await?;
    let (state, sealed_keys) = reading.opening.check()?;
    Notice::Opened {
        records: reading.records,
        sealed_keys: sealed_keys.count(),
        sequence: state.sequence(),
        took: began.elapsed(),
    }
    .log();
    Ok((state, sealed_keys))
}

/// A state of which not all records are in.
struct Reading {
    opening: Opening,
    /// What other threads read, in the order of the pages.
    pages: VecDeque<JoinHandle<Result<Vec<ReadRecord>, EnclaveError>>>,
    records: usize,
    /// When the log last said how far it is.
    told: Instant,
}

impl Reading {
    /// Has a page read.
    fn read(&mut self, mut page: Vec<Record>) -> Result<(), EnclaveError> {
        self.records += page.len();
        page.retain(|record| record.id != quorum_id());
        let mut page = page.into_iter();
        if self.opening.opener().is_none()
            && let Some(domain_key) = page.next()
        {
            self.opening.record(id(&domain_key)?, &domain_key.bytes)?;
        }
        if let Some(opener) = self.opening.opener().cloned() {
            self.pages.push_back(spawn_blocking(move || {
                page.map(|record| Ok(opener.read(id(&record)?, record.bytes)?))
                    .collect()
            }));
        }
        Ok(())
    }

    /// Takes in what was read until at most so many are left.
    async fn take_in(&mut self, left: usize) -> Result<(), EnclaveError> {
        while self.pages.len() > left
            && let Some(page) = self.pages.pop_front()
        {
            let page = page
                .await
                .unwrap_or_else(|ended| resume_unwind(ended.into_panic()));
            for record in page? {
                self.opening.take(record)?;
            }
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            Notice::Opening {
                records: self.records,
                expected: self.opening.expected(),
            }
            .log();
        }
        Ok(())
    }
}

fn id(record: &Record) -> Result<RecordId, EnclaveError> {
    RecordId::from_slice(record.id.as_bytes()).ok_or(EnclaveError::ForeignRecord)
}

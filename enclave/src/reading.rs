//! All records of a store, read, opened and compared with its head.
//!
//! While the host looks for the next page, the page before is opened on other threads, and what
//! they have opened is taken in. Nothing is served meanwhile: each record by itself may be an older
//! version of itself, in which a key is enabled that is not any more, or a user still there. That
//! shows only in the hash over all records, once the last one is in.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::time::Duration;

use kms::state::{OpenedRecord, Opening, RecordId, RootKey, State};
use link::Record;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::error::EnclaveError;
use crate::log::Notice;
use crate::opening::unreachable_store;
use crate::store::{Store, quorum_id};

/// Pages that wait to be opened or taken in while the next is read.
const PAGES: usize = 2;

/// How often the log says how far it is.
const TELL: Duration = Duration::from_secs(5);

/// Reads the state that this head is of.
pub(crate) async fn read_all(
    store: &mut Store,
    root_key: &RootKey,
    head: &[u8],
) -> Result<State, EnclaveError> {
    let began = Instant::now();
    let mut reading = Reading {
        opening: Opening::new(root_key, head)?,
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
        reading.open(records)?;
        // The quorum's is the last of all ids: a host that gives its record again and again, which
        // is not held against the head, does not keep the enclave from starting.
        if !more || after.as_ref().is_none_or(|id| *id == quorum_id()) {
            break;
        }
    }
    reading.take_in(0).await?;
    let state = reading.opening.finish()?;
    Notice::Opened {
        records: reading.records,
        sequence: state.sequence(),
        took: began.elapsed(),
    }
    .log();
    Ok(state)
}

/// A state of which not all records are in.
struct Reading {
    opening: Opening,
    /// What other threads open, in the order of the pages.
    pages: VecDeque<JoinHandle<Result<Vec<OpenedRecord>, EnclaveError>>>,
    records: usize,
    /// When the log last said how far it is.
    told: Instant,
}

impl Reading {
    /// Has a page opened.
    fn open(&mut self, mut page: Vec<Record>) -> Result<(), EnclaveError> {
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
                page.map(|record| Ok(opener.open(id(&record)?, &record.bytes)?))
                    .collect()
            }));
        }
        Ok(())
    }

    /// Takes in opened pages until at most so many are left.
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

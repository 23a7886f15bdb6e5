//! Opens the keys that were left sealed, while the enclave serves.
//!
//! Their records are known to be those of the head, so they can only be what this enclave or one
//! before it wrote. Until a key is open, the state answers calls that name it with an error that
//! SDKs try again after.

use std::collections::VecDeque;
use std::panic::resume_unwind;

use kms::state::{OpenedKeys, SealedKeys, State, StateError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::error::EnclaveError;
use crate::log::Notice;
use crate::reading::TELL;
use crate::writer::NewKeys;

/// Keys that are opened together, and become part of the state at once.
pub(crate) const TOGETHER: usize = 8192;

/// Batches that are being opened, or wait for the writer.
const BATCHES: usize = 2;

/// Opens them all, and has the writer take them in.
///
/// # Errors
///
/// When a record can't be opened. The enclave must not go on without the key.
pub(crate) async fn open_keys(
    sealed: Option<SealedKeys>,
    writer: mpsc::Sender<NewKeys>,
) -> Result<(), EnclaveError> {
    let Some(mut sealed) = sealed.filter(|sealed| sealed.count() > 0) else {
        return Ok(());
    };
    let expected = sealed.count();
    let began = Instant::now();
    let mut told = began;
    let mut batches = VecDeque::new();
    loop {
        while batches.len() < BATCHES
            && let Some(some) = sealed.some()
        {
            batches.push_back(open(some));
        }
        let Some(batch) = batches.pop_front() else {
            break;
        };
        let keys = opened(batch).await?;
        let (done, is_done) = oneshot::channel();
        if writer.send(NewKeys { keys, done }).await.is_err() || is_done.await.is_err() {
            // The writer has ended, and with it the enclave does.
            return std::future::pending().await;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            Notice::OpeningKeys {
                sealed: sealed.count(),
                expected,
            }
            .log();
        }
    }
    Notice::KeysOpened {
        keys: expected,
        took: began.elapsed(),
    }
    .log();
    Ok(())
}

/// Opens them all for a state that nobody else has yet.
///
/// # Errors
///
/// When a record can't be opened.
pub(crate) async fn open_before_serving(
    mut sealed: SealedKeys,
    state: &mut State,
) -> Result<(), EnclaveError> {
    // One batch after the other, so that a shutdown has no long wait.
    while let Some(some) = sealed.some() {
        state.take_in(opened(open(some)).await?)?;
    }
    Ok(())
}

type Batch = JoinHandle<Result<OpenedKeys, StateError>>;

/// Opens them where that holds up nobody.
fn open(some: SealedKeys) -> Batch {
    spawn_blocking(move || some.open())
}

async fn opened(batch: Batch) -> Result<OpenedKeys, StateError> {
    batch
        .await
        .unwrap_or_else(|ended| resume_unwind(ended.into_panic()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;
    use kms::key_pair::AwsLcKeyPairs;
    use link::Address;
    use serde_json::{Value, json};
    use tokio::time::{Duration, sleep};

    use http::HeaderMap;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Limits;
    use crate::driver::Driver;
    use crate::store::Store;
    use crate::testing::{KEY_ID, agreeing_host, call, sealed_stepper};
    use crate::writer::Writer;

    #[tokio::test]
    async fn a_key_is_served_once_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("host.sock"));
        let host = agreeing_host(&address).await;
        let key_pairs = Arc::new(AwsLcKeyPairs);
        let (stepper, _delivery, sealed) = sealed_stepper(key_pairs, Clock::default(), 0);
        let (calls, queue) = mpsc::channel(8);
        let (keys, new_keys) = mpsc::channel(1);
        let (right, right_time) = mpsc::channel(1);
        let writer = Writer {
            queue,
            root_keys: mpsc::channel(1).1,
            new_keys,
            right_time,
            stepper: Arc::clone(&stepper),
            store: Store::new(address),
        };
        let writing = tokio::spawn(writer.run());
        let driver = Arc::new(Driver::new(stepper, calls, &Limits::default()));
        let answer = async |operation: &str, body: &Value| {
            let response = driver
                .answer(call(operation, body), &mut HeaderMap::new())
                .await;
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            (response.status, body)
        };

        let old = json!({ "KeyId": KEY_ID });
        for (operation, body) in [("DescribeKey", &old), ("ListKeys", &json!({}))] {
            let (status, error) = answer(operation, body).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(error["__type"], "KMSInternalException");
        }
        let (status, made) = answer("CreateKey", &json!({})).await;
        assert_eq!(status, StatusCode::OK);
        let new = json!({ "KeyId": made["KeyMetadata"]["KeyId"] });
        assert_eq!(answer("DescribeKey", &new).await.0, StatusCode::OK);
        // What is due waits for all keys, and is done then.
        right.send(()).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        assert!(right.try_send(()).is_err());

        open_keys(Some(sealed), keys).await.unwrap();
        for key in [old, new] {
            assert_eq!(answer("DescribeKey", &key).await.0, StatusCode::OK);
        }
        let (_, listed) = answer("ListKeys", &json!({})).await;
        assert_eq!(listed["Keys"].as_array().unwrap().len(), 2);
        right.send(()).await.unwrap();
        writing.abort();
        host.abort();
    }
}

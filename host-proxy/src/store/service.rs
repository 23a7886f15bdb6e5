//! Answers the store channel of the link.

use std::sync::Arc;
use std::time::Instant;

use link::{FrameReader, FrameWriter, LinkError, MAX_RECORDS, Numbered, StoreReply, StoreRequest};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Outcome, Page, RecordStore, StoreError};
use crate::metrics::Metrics;

/// Answers requests in their order until the enclave closes the channel.
///
/// One at a time: the enclave puts the changes that wait into one commit, and
/// the requests that wait here are held back by the connection itself.
pub(crate) async fn serve<R, W>(
    mut reader: FrameReader<R>,
    mut writer: FrameWriter<W>,
    store: Arc<dyn RecordStore>,
    metrics: Arc<Metrics>,
) -> Result<(), LinkError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    while let Some(Numbered { number, body }) = reader.receive().await? {
        let body = answer(body, &store, &metrics).await;
        if let StoreReply::Failed { what } = &body {
            tracing::error!(number, what, "the record store could not answer");
        }
        writer.send(&Numbered { number, body }).await?;
    }
    Ok(())
}

async fn answer(
    request: StoreRequest,
    store: &Arc<dyn RecordStore>,
    metrics: &Arc<Metrics>,
) -> StoreReply {
    let (store, metrics) = (Arc::clone(store), Arc::clone(metrics));
    let work = move || match request {
        StoreRequest::Head => store.head().map(|head| StoreReply::Head { head }),
        StoreRequest::Get { ids } => store.get(&ids).map(records),
        StoreRequest::Scan { after, limit } => {
            let limit = usize::try_from(limit).unwrap_or(MAX_RECORDS);
            store
                .scan(after.as_ref(), limit.min(MAX_RECORDS))
                .map(records)
        }
        StoreRequest::Commit(commit) => {
            let start = Instant::now();
            let outcome = store.commit(&commit);
            metrics.commit_done(&outcome, start.elapsed());
            outcome.map(|outcome| match outcome {
                Outcome::Committed => StoreReply::Committed,
                Outcome::Conflict { head } => StoreReply::Conflict { head },
            })
        }
    };
    let result = tokio::task::spawn_blocking(work).await;
    result
        // The storage library panicked; the next call may well succeed.
        .unwrap_or_else(|panic| Err(StoreError::Storage(panic.to_string())))
        .unwrap_or_else(|error| StoreReply::Failed {
            what: error.to_string(),
        })
}

fn records(page: Page) -> StoreReply {
    StoreReply::Records {
        records: page.records,
        more: page.more,
    }
}

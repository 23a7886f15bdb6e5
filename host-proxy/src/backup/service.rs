//! Gives backups to whoever can reach the socket in the data folder.

use std::io::{BufWriter, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use link::{Address, Listener, Stream};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{PATIENCE, file};
use crate::stop::Stop;
use crate::store::RecordStore;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that are sent at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where backups are given in a data folder.
pub(super) fn socket(data: &Path) -> PathBuf {
    data.join("backup.sock")
}

/// The listener for those who want backups, and the store they get.
pub(crate) struct Backups {
    listener: Listener,
    store: Arc<dyn RecordStore>,
}

impl Backups {
    /// Listens in the data folder. Where no socket can be, as on some network
    /// file systems, all else works without.
    pub(crate) async fn listen(data: &Path, store: Arc<dyn RecordStore>) -> Option<Self> {
        let path = socket(data);
        match link::listen(&Address::Unix(path.clone())).await {
            Ok(listener) => Some(Self { listener, store }),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%error, %path, "no backup can be taken while this runs");
                None
            }
        }
    }

    /// Gives backups until asked to stop, one at a time: each holds on to the
    /// pages of the store that were current when it began.
    pub(crate) async fn serve(self, mut stop: Stop) {
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted.and_then(blocking) {
                Ok(stream) => self.give(stream, &mut stop).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection for a backup could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn give(&self, stream: UnixStream, stop: &mut Stop) {
        let store = Arc::clone(&self.store);
        let writing = stream.try_clone();
        let work = move || {
            let to = BufWriter::with_capacity(BUFFER_BYTES, writing?);
            file::write(&*store, to)
        };
        let mut work = spawn_blocking(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = stop.requested() => {
                // Whoever reads it notices that the end is missing.
                let _ = stream.shutdown(Shutdown::Both);
                work.await
            }
        };
        match done {
            Ok(Ok(backup)) => tracing::info!(backup.records, "a backup was taken"),
            Ok(Err(error)) => {
                let error = crate::program::chain(&error);
                tracing::warn!(error, "a backup was not completed");
            }
            Err(panic) => tracing::error!(error = %panic, "a backup was not completed"),
        }
    }
}

/// The connection for a thread that may block, but not for ever: the store
/// grows while a backup of it is under way.
fn blocking(stream: Stream) -> std::io::Result<UnixStream> {
    let Stream::Unix(stream) = stream else {
        return Err(ErrorKind::Unsupported.into());
    };
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

//! The thread that writes the audit trail.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use link::Lines;
use tokio::sync::{mpsc, oneshot};

use super::{AuditFile, Limits};
use crate::metrics::Metrics;

/// How many messages may wait for the thread.
const WAITING: usize = 64;

/// Messages written and synced together end at about this size.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// The least time from one sync to the next. Whatever is in it, a sync takes some 0.1 ms of a
/// processor, and of a virtual machine's more where its disk is emulated: with one for each message,
/// every 5 ms, up to a fifth of the answers under load (docs/performance.md). No call waits for it.
const SYNC_PERIOD: Duration = Duration::from_millis(25);

/// Time between attempts to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// The lines of one message, and who waits for them.
pub(crate) struct Batch {
    /// JSON texts.
    pub(crate) lines: Lines,
    /// Told why, when they cannot be written at first.
    pub(crate) delayed: oneshot::Sender<String>,
    /// Told when they are on stable storage; dropped if they never will be.
    pub(crate) written: oneshot::Sender<()>,
}

/// Where audit events go.
///
/// All that gather from one sync until the next is due are written together:
/// under load many share it, and at leisure none waits.
pub(crate) struct AuditSink {
    sender: mpsc::Sender<Batch>,
    thread: JoinHandle<()>,
}

impl AuditSink {
    pub(crate) fn start(folder: &Path, limits: Limits, metrics: Arc<Metrics>) -> io::Result<Self> {
        let file = AuditFile::open(folder, limits, Arc::clone(&metrics))?;
        let (sender, batches) = mpsc::channel(WAITING);
        let writer = Writer {
            file,
            batches,
            metrics,
            synced: None,
        };
        let thread = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self { sender, thread })
    }

    /// A way to hand batches to the thread.
    pub(crate) fn sender(&self) -> mpsc::Sender<Batch> {
        self.sender.clone()
    }

    /// Waits until everything handed over is written, or has failed once more.
    /// All senders must be gone.
    pub(crate) fn finish(self) {
        drop(self.sender);
        if self.thread.join().is_err() {
            tracing::error!("the audit thread panicked");
        }
    }
}

struct Writer {
    file: AuditFile,
    batches: mpsc::Receiver<Batch>,
    metrics: Arc<Metrics>,
    /// When the last sync began.
    synced: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.batches.blocking_recv() {
            self.wait_until_due();
            let mut lines = first.lines;
            let mut senders = vec![(first.delayed, first.written)];
            while lines.joined().len() < GROUP_BYTES
                && let Ok(batch) = self.batches.try_recv()
            {
                lines.append(&batch.lines);
                senders.push((batch.delayed, batch.written));
            }
            self.write(&lines, senders);
        }
    }

    /// Waits until the next sync may begin, unless the process ends.
    fn wait_until_due(&mut self) {
        if let Some(last) = self.synced
            && !self.batches.is_closed()
        {
            let due = last + SYNC_PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.synced = Some(Instant::now());
    }

    /// Writes until it succeeds; gives up only when the process ends.
    fn write(
        &mut self,
        lines: &Lines,
        senders: Vec<(oneshot::Sender<String>, oneshot::Sender<()>)>,
    ) {
        let events = lines.len() as u64;
        let (mut delayed, written): (Vec<_>, Vec<_>) = senders.into_iter().unzip();
        while let Err(error) = self.file.append(lines.joined().as_bytes()) {
            self.metrics.audit_failures.inc();
            self.metrics.audit_failing.set(1);
            tracing::error!(%error, events, "audit events cannot be written, trying again");
            for sender in delayed.drain(..) {
                // Whoever sent it may be gone by now; the events stay ours.
                let _ = sender.send(error.to_string());
            }
            if self.batches.is_closed() {
                tracing::error!(events, "audit events not written: the host proxy ends");
                return;
            }
            thread::sleep(RETRY);
        }
        if self.metrics.audit_failing.get() != 0 {
            self.metrics.audit_failing.set(0);
            tracing::info!(events, "audit events are written again");
        }
        self.metrics.audit_events.inc_by(events);
        for sender in written {
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMITS: Limits = Limits {
        rotate_bytes: 1 << 30,
        keep: None,
    };

    fn batch(line: String) -> (Batch, oneshot::Receiver<String>, oneshot::Receiver<()>) {
        let (delayed, delay) = oneshot::channel();
        let (written, done) = oneshot::channel();
        let batch = Batch {
            lines: [line].into_iter().collect(),
            delayed,
            written,
        };
        (batch, delay, done)
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_in_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let sink = AuditSink::start(folder.path(), LIMITS, Arc::clone(&metrics)).unwrap();
        let mut waiting = Vec::new();
        for n in 0..500 {
            let (batch, _, done) = batch(n.to_string());
            sink.sender().send(batch).await.unwrap();
            waiting.push(done);
        }
        for done in waiting {
            done.await.unwrap();
        }
        let text = fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
        let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        assert_eq!(metrics.audit_events.get(), 500);
        sink.finish();
    }

    #[tokio::test]
    async fn what_comes_within_a_period_shares_a_sync_and_what_comes_later_waits_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let sink = AuditSink::start(folder.path(), LIMITS, Arc::new(Metrics::new())).unwrap();
        let begun = Instant::now();
        for n in 0..=4 {
            let (batch, _, done) = batch(n.to_string());
            sink.sender().send(batch).await.unwrap();
            done.await.unwrap();
        }
        assert!(begun.elapsed() >= 4 * SYNC_PERIOD);

        let mut times = Vec::new();
        for n in 0..10 {
            tokio::time::sleep(2 * SYNC_PERIOD).await;
            let (batch, _, done) = batch(n.to_string());
            let sent = Instant::now();
            sink.sender().send(batch).await.unwrap();
            done.await.unwrap();
            times.push(sent.elapsed());
        }
        // Of ten one finds the disk and the processors at leisure, too.
        assert!(times.into_iter().min().unwrap() < SYNC_PERIOD);
        sink.finish();
    }

    #[tokio::test]
    async fn a_full_disk_delays_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let current = folder.path().join("events.jsonl");
        symlink("/dev/full", &current).unwrap();
        let metrics = Arc::new(Metrics::new());
        let sink = AuditSink::start(folder.path(), LIMITS, Arc::clone(&metrics)).unwrap();
        let (first, delay, done) = batch("1".to_owned());
        sink.sender().send(first).await.unwrap();
        assert!(delay.await.unwrap().contains("space"));
        assert_eq!(metrics.audit_failing.get(), 1);
        assert!(metrics.audit_failures.get() >= 1);
        assert_eq!(metrics.audit_events.get(), 0);
        let (second, _, done_too) = batch("2".to_owned());
        sink.sender().send(second).await.unwrap();

        fs::remove_file(&current).unwrap();
        done.await.unwrap();
        done_too.await.unwrap();
        assert_eq!(fs::read_to_string(&current).unwrap(), "1\n2\n");
        assert_eq!(metrics.audit_failing.get(), 0);
        sink.finish();
    }

    #[tokio::test]
    async fn a_full_disk_does_not_keep_the_process_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/full", folder.path().join("events.jsonl")).unwrap();
        let metrics = Arc::new(Metrics::new());
        let sink = AuditSink::start(folder.path(), LIMITS, metrics).unwrap();
        let (lost, _, done) = batch("1".to_owned());
        sink.sender().send(lost).await.unwrap();
        tokio::task::spawn_blocking(|| sink.finish()).await.unwrap();
        assert!(done.await.is_err(), "never acknowledged");
    }
}

//! How one part of the process tells others to come to an end.

use tokio::sync::watch;

/// Tells all who hold the [`Stop`] made with it to stop, at the latest when
/// it is dropped.
pub(crate) struct Stopper(
    #[expect(dead_code, reason = "dropping it is the signal")] watch::Sender<()>,
);

/// Learns that it is time to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<()>);

pub(crate) fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(());
    (Stopper(sender), Stop(receiver))
}

impl Stop {
    /// Waits until it is time to stop; from then on returns at once.
    pub(crate) async fn requested(&mut self) {
        // Nothing is ever sent: only the sender's end ends the wait.
        while self.0.changed().await.is_ok() {}
    }
}

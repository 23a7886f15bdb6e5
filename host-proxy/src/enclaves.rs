//! Which enclave clients are connected to, where one may take over from another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use link::Address;
use tokio::time::{sleep, timeout};

use crate::health::ask;
use crate::stop::Stop;

/// The wait between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// How long an enclave may take to say whether it serves.
const TIME: Duration = Duration::from_secs(3);

/// The places where an enclave may serve: one does.
pub(crate) struct Enclaves {
    addresses: Vec<Address>,
    current: AtomicUsize,
}

impl Enclaves {
    /// The first is the one that clients are connected to, until another serves in its place.
    pub(crate) fn new(addresses: Vec<Address>) -> Arc<Self> {
        Arc::new(Self {
            addresses,
            current: AtomicUsize::new(0),
        })
    }

    /// The one that clients are connected to.
    pub(crate) fn current(&self) -> &Address {
        // Only `watch` changes it, to the place of another.
        self.addresses
            .get(self.current.load(Ordering::Relaxed))
            .unwrap_or_else(|| unreachable!("there is an enclave at every place"))
    }

    /// Looks whether another one serves in place of the current one, until asked to stop.
    pub(crate) async fn watch(&self, mut stop: Stop) {
        if self.addresses.len() < 2 {
            return stop.requested().await;
        }
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = sleep(LOOK) => {}
            }
            if serves(self.current()).await {
                continue;
            }
            for (place, address) in self.addresses.iter().enumerate() {
                if address != self.current() && serves(address).await {
                    self.current.store(place, Ordering::Relaxed);
                    tracing::info!(enclave = %address, "another enclave serves now");
                    break;
                }
            }
        }
    }
}

async fn serves(enclave: &Address) -> bool {
    matches!(timeout(TIME, ask(enclave)).await, Ok(Ok(_)))
}

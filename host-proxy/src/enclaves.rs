//! Which enclave clients are connected to, where one may take over from another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use link::Address;
use tokio::time::{Instant, sleep, timeout};

use crate::health::{NotServing, ask};
use crate::stop::Stop;

/// The wait between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// How long an enclave may take to say whether it serves.
const TIME: Duration = Duration::from_secs(3);

/// How long nobody has to be at a place before clients are connected to an
/// enclave that waits at another: a busy one may refuse a connection or two.
const ABSENCE: Duration = Duration::from_secs(3);

/// The places where an enclave may serve: one does.
pub(crate) struct Enclaves {
    addresses: Vec<Address>,
    current: AtomicUsize,
}

/// What a look at a place has found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// An enclave that serves.
    Serving,
    /// One that does not: it is sealed, hands over, or is too busy to answer.
    Waiting,
    /// None.
    Nobody,
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

    /// Looks whether clients should be connected to another one, until asked to stop.
    ///
    /// That is the one that serves. While none does, it is the one where one
    /// served last, which operators are about to unseal; and if nobody is there
    /// any more, one that waits elsewhere: it may have taken over and ended
    /// between two looks.
    pub(crate) async fn watch(&self, mut stop: Stop) {
        if self.addresses.len() < 2 {
            return stop.requested().await;
        }
        let mut served_last = 0;
        let mut last_there = Instant::now();
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = sleep(LOOK) => {}
            }
            let current = self.current.load(Ordering::Relaxed);
            let here = look(self.current()).await;
            if here != Found::Nobody {
                last_there = Instant::now();
            }
            if here == Found::Serving {
                served_last = current;
                continue;
            }
            let mut found = Vec::with_capacity(self.addresses.len());
            for (place, address) in self.addresses.iter().enumerate() {
                found.push(match place == current {
                    true => here,
                    false => look(address).await,
                });
            }
            let place = found.iter().position(|&found| found == Found::Serving);
            let place = place.or_else(|| match found.get(served_last) {
                Some(Found::Waiting) => Some(served_last),
                _ if last_there.elapsed() < ABSENCE => None,
                _ => found.iter().position(|&found| found == Found::Waiting),
            });
            if let Some(place) = place
                && place != current
            {
                self.current.store(place, Ordering::Relaxed);
                last_there = Instant::now();
                let enclave = self.current();
                match found.get(place) {
                    Some(Found::Serving) => {
                        tracing::info!(%enclave, "another enclave serves now");
                    }
                    _ => tracing::warn!(%enclave, "no enclave serves, and one waits here"),
                }
            }
        }
    }
}

async fn look(enclave: &Address) -> Found {
    match timeout(TIME, ask(enclave)).await {
        Ok(Ok(_)) => Found::Serving,
        Ok(Err(NotServing::Absent { .. })) => Found::Nobody,
        Ok(Err(NotServing::Unwell(_))) | Err(_) => Found::Waiting,
    }
}

//! Takes audit events from the hot path and hands them to the host, in order and at least once.
//!
//! Nothing waits for the audit trail: an event that finds the queue full is lost, and counted. The
//! count is in `/health` and in the metrics, and once the host takes events again, one more event
//! says how many are missing.
//!
//! An event leaves memory when the host says that it is on stable storage. After a broken
//! connection, what is not acknowledged is sent again, so an event may be in the trail twice, with
//! the same `eventID`.
//!
//! Each event has a number that counts up from 1 while the enclave runs. Whatever becomes of an
//! event, a full queue, a killed enclave, a host that deletes it, its number is then missing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kms::audit::Event;
use link::{
    Address, Channel, EventReply, FrameWriter, HostEvent, LinkError, Numbered, PublicFile, Stream,
};
use rand_core::Rng as _;
use tokio::io::WriteHalf;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::clock::Clock;
use crate::counters::{Counters, add, get};
use crate::log::Notice;
use crate::random::Random;

/// Most events in one message.
const BATCH_EVENTS: usize = 1024;

/// A message takes no further event once it has this many bytes; the link's limit is 1 MiB.
const BATCH_BYTES: usize = 256 * 1024;

/// Most bytes of one event. The engine bounds what it puts into them far below this; a longer one
/// would never pass the link, and everything after it would wait for ever.
const MAX_LINE_BYTES: usize = 512 * 1024;

/// Most messages that the host has not acknowledged. Few, so that under load many events gather
/// into one: the host syncs its disk once for each message.
const WINDOW: usize = 2;

/// How long events gather before they are sent. Each message costs both sides a few system calls and
/// the host a sync of its disk, whatever is in it.
const GATHER: Duration = Duration::from_millis(5);

/// How often the host gets the metrics.
const METRICS_PERIOD: Duration = Duration::from_secs(5);

/// The first and the longest wait between attempts to reach the host.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long the host may take to read a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where calls leave their events.
#[derive(Clone)]
pub(crate) struct AuditQueue {
    sender: mpsc::Sender<Event>,
    counters: Arc<Counters>,
    numbering: Arc<Numbering>,
}

/// What numbers the events of one run of the enclave.
struct Numbering {
    boot_id: Arc<str>,
    last: AtomicU64,
}

impl Numbering {
    fn number(&self, event: &mut Event) {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        event.number(&self.boot_id, number);
    }
}

impl AuditQueue {
    /// Takes an event, at once.
    pub(crate) fn record(&self, mut event: Event) {
        add(&self.counters.audit_events, 1);
        self.numbering.number(&mut event);
        match self.sender.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                add(&self.counters.audit_lost, 1);
            }
        }
    }
}

/// Lines that were sent, or have to be sent again.
struct Batch {
    message: Numbered<HostEvent>,
    lines: u64,
}

/// Hands events to the host until the queue is closed and empty.
pub(crate) struct AuditDelivery {
    host: Address,
    queue: mpsc::Receiver<Event>,
    counters: Arc<Counters>,
    numbering: Arc<Numbering>,
    /// The certificate authority to publish, if there is one.
    ca_pem: Option<String>,
    clock: Clock,
    random: Random,
    unacknowledged: VecDeque<Batch>,
    next: u64,
    /// How many lost events the trail says are lost.
    lost_told: u64,
}

/// Makes the queue for events, and what empties it.
pub(crate) fn channel(
    host: Address,
    capacity: usize,
    counters: Arc<Counters>,
    ca_pem: Option<String>,
    clock: Clock,
    mut random: Random,
) -> (AuditQueue, AuditDelivery) {
    let (sender, queue) = mpsc::channel(capacity);
    let mut boot_id = [0; 16];
    random.fill_bytes(&mut boot_id);
    let numbering = Arc::new(Numbering {
        boot_id: hex::encode(boot_id).into(),
        last: AtomicU64::new(0),
    });
    let delivery = AuditDelivery {
        host,
        queue,
        counters: Arc::clone(&counters),
        numbering: Arc::clone(&numbering),
        ca_pem,
        clock,
        random,
        unacknowledged: VecDeque::new(),
        next: 0,
        lost_told: 0,
    };
    let queue = AuditQueue {
        sender,
        counters,
        numbering,
    };
    (queue, delivery)
}

/// Why a connection to the host is of no use any more.
enum Broken {
    Link,
    Closed,
    TooSlow,
}

impl From<LinkError> for Broken {
    fn from(_: LinkError) -> Self {
        Self::Link
    }
}

type Writer = FrameWriter<WriteHalf<Stream>>;

impl AuditDelivery {
    /// Delivers until every handle of the queue is gone and the host has all events.
    pub(crate) async fn run(mut self) {
        let (first, longest) = RETRY;
        let mut wait = first;
        while !self.has_nothing_left() {
            let before = get(&self.counters.audit_acknowledged);
            let Err(broken) = self.deliver().await else {
                return;
            };
            if get(&self.counters.audit_acknowledged) > before {
                wait = first;
            }
            self.behind(match broken {
                Broken::Link => "link",
                Broken::Closed => "closed",
                Broken::TooSlow => "too slow",
            });
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    /// Whether everything is with the host and nothing will follow.
    fn has_nothing_left(&self) -> bool {
        self.queue.is_closed() && self.queue.is_empty() && self.unacknowledged.is_empty()
    }

    /// Delivers over one connection, until the end.
    async fn deliver(&mut self) -> Result<(), Broken> {
        let (mut reader, mut writer) = link::open(&self.host, Channel::Events).await?;
        self.publish(&mut writer).await?;
        for batch in &self.unacknowledged {
            send(&mut writer, &batch.message).await?;
        }
        let mut metrics = interval(METRICS_PERIOD);
        metrics.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = Vec::new();
        let mut ended = false;
        while !(ended && self.unacknowledged.is_empty()) {
            tokio::select! {
                reply = reader.receive() => {
                    let reply: Numbered<EventReply> = reply?.ok_or(Broken::Closed)?;
                    self.replied(reply);
                }
                count = self.queue.recv_many(&mut events, BATCH_EVENTS),
                    if !ended && self.unacknowledged.len() < WINDOW =>
                {
                    ended = count == 0;
                    self.gather(&mut events).await;
                    self.send_events(&mut writer, &mut events).await?;
                }
                _ = metrics.tick() => {
                    self.send_metrics(&mut writer).await?;
                    self.send_events(&mut writer, &mut events).await?;
                }
            }
        }
        self.send_metrics(&mut writer).await?;
        // The host has everything; how it takes the end is of no interest.
        let _ = writer.close().await;
        Ok(())
    }

    /// Takes what comes shortly after an event along with it.
    async fn gather(&mut self, events: &mut Vec<Event>) {
        let room = BATCH_EVENTS.saturating_sub(events.len());
        if events.is_empty() || room == 0 || self.queue.is_closed() {
            return;
        }
        sleep(GATHER).await;
        events.extend(std::iter::from_fn(|| self.queue.try_recv().ok()).take(room));
    }

    async fn publish(&mut self, writer: &mut Writer) -> Result<(), Broken> {
        let Some(pem) = &self.ca_pem else {
            return Ok(());
        };
        let bytes = pem.clone().into_bytes();
        let file = PublicFile::CaCertificate;
        let body = HostEvent::Publish { file, bytes };
        send(writer, &self.numbered(body)).await
    }

    async fn send_metrics(&mut self, writer: &mut Writer) -> Result<(), Broken> {
        let samples = self.counters.samples();
        let body = HostEvent::Metrics { samples };
        send(writer, &self.numbered(body)).await
    }

    /// Sends these events, and one more if events were lost that the trail does not know of.
    async fn send_events(
        &mut self,
        writer: &mut Writer,
        events: &mut Vec<Event>,
    ) -> Result<(), Broken> {
        let lost = get(&self.counters.audit_lost);
        if lost > self.lost_told {
            add(&self.counters.audit_events, 1);
            let since_told = lost - self.lost_told;
            let mut told = Event::events_lost(since_told, self.clock.now(), &mut self.random);
            self.numbering.number(&mut told);
            events.push(told);
            self.lost_told = lost;
            Notice::AuditLost { events: since_told }.log();
        }
        // All are kept before the first is sent, so that a broken connection loses none.
        let first_new = self.unacknowledged.len();
        let mut events = events.drain(..).peekable();
        while events.peek().is_some() {
            let mut lines = Vec::new();
            let mut bytes = 0;
            while bytes < BATCH_BYTES
                && let Some(event) = events.next()
            {
                let line = event.to_json_line();
                if line.len() > MAX_LINE_BYTES {
                    add(&self.counters.audit_lost, 1);
                    continue;
                }
                bytes += line.len();
                lines.push(line);
            }
            let count = lines.len() as u64;
            let message = self.numbered(HostEvent::Audit { lines });
            self.unacknowledged.push_back(Batch {
                message,
                lines: count,
            });
        }
        for batch in self.unacknowledged.range(first_new..) {
            send(writer, &batch.message).await?;
        }
        Ok(())
    }

    /// Takes note of what the host says to a message.
    fn replied(&mut self, reply: Numbered<EventReply>) {
        let place = self
            .unacknowledged
            .iter()
            .position(|batch| batch.message.number == reply.number);
        match (place, reply.body) {
            (Some(_), EventReply::Delayed { .. }) => self.behind("delayed"),
            (Some(place), EventReply::Done) => {
                let lines = self.forget(place);
                add(&self.counters.audit_acknowledged, lines);
            }
            (Some(place), EventReply::Refused { .. }) => {
                let lines = self.forget(place);
                add(&self.counters.audit_lost, lines);
            }
            // Metrics or a published file: that it is answered at all shows that the host is there.
            (None, _) => {}
        }
        if self.unacknowledged.is_empty()
            && self.counters.audit_behind.swap(false, Ordering::Relaxed)
        {
            Notice::AuditBack.log();
        }
    }

    fn forget(&mut self, place: usize) -> u64 {
        let batch = self.unacknowledged.remove(place);
        batch.map_or(0, |batch| batch.lines)
    }

    fn behind(&self, kind: &'static str) {
        if !self.counters.audit_behind.swap(true, Ordering::Relaxed) {
            Notice::AuditAway { kind }.log();
        }
    }

    fn numbered(&mut self, body: HostEvent) -> Numbered<HostEvent> {
        self.next += 1;
        Numbered {
            number: self.next,
            body,
        }
    }
}

async fn send(writer: &mut Writer, message: &Numbered<HostEvent>) -> Result<(), Broken> {
    let sent = timeout(PATIENCE, writer.send(message)).await;
    Ok(sent.map_err(|_| Broken::TooSlow)??)
}

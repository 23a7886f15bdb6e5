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

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kms::audit::Event;
use link::{
    Address, Channel, EventReply, FrameWriter, HostEvent, Lines, LinkError, Numbered, PublicFile,
    Stream,
};
use rand_core::Rng as _;
use tokio::io::WriteHalf;
use tokio::sync::mpsc;
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

/// Most messages that the host has not acknowledged: three times what gathers while it waits until it
/// syncs its disk, which it does every 25 ms.
const WINDOW: usize = 16;

/// How long events gather before they are sent. Each message costs both sides a few system calls,
/// whatever is in it.
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
    gathering: Arc<Gathering>,
    /// Rung for the first event that gathers.
    bell: mpsc::Sender<()>,
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
        thread_local! {
            /// Where a line is put together: no other thread ever frees it.
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        add(&self.counters.audit_events, 1);
        self.numbering.number(&mut event);
        let gathered = LINE.with_borrow_mut(|line| {
            line.clear();
            event.write_json_line(line);
            self.gathering.add(str::from_utf8(line).unwrap_or_default())
        });
        match gathered {
            // It is rung already if there is no room for this.
            Gathered::First => drop(self.bell.try_send(())),
            Gathered::Another => {}
            Gathered::Lost => add(&self.counters.audit_lost, 1),
        }
    }
}

/// Lines of events that nobody has taken yet.
struct Gathering {
    capacity: usize,
    lines: Mutex<VecDeque<Lines>>,
    /// Room that lines had which the host has by now, so that none has to be made for the next.
    room: Mutex<Vec<Lines>>,
}

/// What became of an event.
enum Gathered {
    First,
    Another,
    Lost,
}

impl Gathering {
    fn lines(&self) -> MutexGuard<'_, VecDeque<Lines>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> MutexGuard<'_, Vec<Lines>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &str) -> Gathered {
        if line.is_empty() || line.len() > MAX_LINE_BYTES {
            return Gathered::Lost;
        }
        let mut batches = self.lines();
        let first = batches.is_empty();
        let gathered: usize = batches.iter().map(Lines::len).sum();
        if gathered >= self.capacity {
            return Gathered::Lost;
        }
        match batches.back_mut() {
            Some(last) if last.len() < BATCH_EVENTS && last.joined().len() < BATCH_BYTES => {
                last.push(line);
            }
            _ => {
                let mut lines = self.room().pop().unwrap_or_default();
                lines.push(line);
                batches.push_back(lines);
            }
        }
        match first {
            true => Gathered::First,
            false => Gathered::Another,
        }
    }

    /// The lines that gathered first, and whether there are more.
    fn take(&self) -> (Lines, bool) {
        let mut batches = self.lines();
        let first = batches.pop_front().unwrap_or_default();
        (first, !batches.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.lines().is_empty()
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
    gathering: Arc<Gathering>,
    /// Closed once every handle of the queue is gone.
    bell: mpsc::Receiver<()>,
    counters: Arc<Counters>,
    numbering: Arc<Numbering>,
    /// The certificate authority to publish, if there is one.
    ca_pem: Option<String>,
    clock: Clock,
    random: Random,
    /// In the order of their numbers.
    unacknowledged: VecDeque<Batch>,
    /// The number of the last message.
    next: u64,
    /// The number of the last message when the host was last behind.
    behind_with: u64,
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
    let (bell, rung) = mpsc::channel(1);
    let gathering = Arc::new(Gathering {
        capacity,
        lines: Mutex::default(),
        room: Mutex::default(),
    });
    let mut boot_id = [0; 16];
    random.fill_bytes(&mut boot_id);
    let numbering = Arc::new(Numbering {
        boot_id: hex::encode(boot_id).into(),
        last: AtomicU64::new(0),
    });
    let delivery = AuditDelivery {
        host,
        gathering: Arc::clone(&gathering),
        bell: rung,
        counters: Arc::clone(&counters),
        numbering: Arc::clone(&numbering),
        ca_pem,
        clock,
        random,
        unacknowledged: VecDeque::new(),
        next: 0,
        behind_with: 0,
        lost_told: 0,
    };
    let queue = AuditQueue {
        gathering,
        bell,
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
        self.bell.is_closed() && self.gathering.is_empty() && self.unacknowledged.is_empty()
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
        let mut ended = false;
        let mut more = !self.gathering.is_empty();
        while !(ended && !more && self.unacknowledged.is_empty()) {
            tokio::select! {
                reply = reader.receive() => {
                    let reply: Numbered<EventReply> = reply?.ok_or(Broken::Closed)?;
                    self.replied(reply);
                }
                rung = self.bell.recv(), if !ended && !more => match rung {
                    Some(()) => {
                        if !self.bell.is_closed() {
                            sleep(GATHER).await;
                        }
                        more = true;
                    }
                    None => ended = true,
                },
                () = ready(()), if more && self.unacknowledged.len() < WINDOW => {
                    more = self.send_gathered(&mut writer).await?;
                }
                _ = metrics.tick() => {
                    self.send_metrics(&mut writer).await?;
                    self.send_loss(&mut writer).await?;
                }
            }
        }
        self.send_metrics(&mut writer).await?;
        // The host has everything; how it takes the end is of no interest.
        let _ = writer.close().await;
        Ok(())
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

    /// Sends what gathered first. Whether there is more.
    async fn send_gathered(&mut self, writer: &mut Writer) -> Result<bool, Broken> {
        self.send_loss(writer).await?;
        let (lines, more) = self.gathering.take();
        self.send_lines(writer, lines).await?;
        Ok(more)
    }

    /// Sends one event more if events were lost that the trail does not know of.
    async fn send_loss(&mut self, writer: &mut Writer) -> Result<(), Broken> {
        let lost = get(&self.counters.audit_lost);
        if lost == self.lost_told {
            return Ok(());
        }
        add(&self.counters.audit_events, 1);
        let since_told = lost - self.lost_told;
        let mut told = Event::events_lost(since_told, self.clock.now(), &mut self.random);
        self.numbering.number(&mut told);
        self.lost_told = lost;
        Notice::AuditLost { events: since_told }.log();
        let lines = [told.to_json_line()].into_iter().collect();
        self.send_lines(writer, lines).await
    }

    /// Sends lines, which are kept first, so that a broken connection loses none.
    async fn send_lines(&mut self, writer: &mut Writer, lines: Lines) -> Result<(), Broken> {
        let count = lines.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let message = self.numbered(HostEvent::Audit { lines });
        self.unacknowledged.push_back(Batch {
            message,
            lines: count,
        });
        match self.unacknowledged.back() {
            Some(batch) => send(writer, &batch.message).await,
            None => Ok(()),
        }
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
        // Under load there is always something on its way, however quick the host is.
        let first = self.unacknowledged.front();
        if first.is_none_or(|batch| batch.message.number > self.behind_with)
            && self.counters.audit_behind.swap(false, Ordering::Relaxed)
        {
            Notice::AuditBack.log();
        }
    }

    fn forget(&mut self, place: usize) -> u64 {
        let Some(batch) = self.unacknowledged.remove(place) else {
            return 0;
        };
        if let HostEvent::Audit { mut lines } = batch.message.body {
            lines.clear();
            let mut room = self.gathering.room();
            if room.len() < WINDOW {
                room.push(lines);
            }
        }
        batch.lines
    }

    fn behind(&mut self, kind: &'static str) {
        self.behind_with = self.next;
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

#[cfg(test)]
mod tests {
    use kms::key_pair::AwsLcKeyPairs;

    use super::*;
    use crate::testing::stepper;

    fn gathering(capacity: usize) -> Gathering {
        Gathering {
            capacity,
            lines: Mutex::default(),
            room: Mutex::default(),
        }
    }

    #[test]
    fn only_the_first_event_rings_and_no_more_gather_than_there_is_room_for() {
        let gathering = gathering(2);
        assert!(matches!(gathering.add("1"), Gathered::First));
        assert!(matches!(gathering.add("2"), Gathered::Another));
        assert!(matches!(gathering.add("3"), Gathered::Lost));
        let (lines, more) = gathering.take();
        assert_eq!(lines.joined(), "1\n2\n");
        assert!(!more && gathering.is_empty());
        assert!(matches!(gathering.add("4"), Gathered::First));
    }

    #[test]
    fn a_message_has_its_most_events_and_its_most_bytes() {
        let gathering = gathering(usize::MAX);
        let long = "x".repeat(BATCH_BYTES / 2);
        for line in [long.as_str(); 3] {
            gathering.add(line);
        }
        for _ in 0..2 * BATCH_EVENTS {
            gathering.add("y");
        }
        let lengths = std::iter::from_fn(|| {
            let (lines, _) = gathering.take();
            Some(lines.len()).filter(|length| *length > 0)
        });
        let expected = [2, BATCH_EVENTS, BATCH_EVENTS, 1];
        assert_eq!(lengths.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_host_is_behind_until_it_has_what_was_sent_by_then() {
        let (_, mut delivery) = stepper(Arc::new(AwsLcKeyPairs), Clock::default());
        let send = |delivery: &mut AuditDelivery| {
            let lines = ["{}".to_owned()].into_iter().collect();
            let message = delivery.numbered(HostEvent::Audit { lines });
            delivery
                .unacknowledged
                .push_back(Batch { message, lines: 1 });
        };
        let reply = |delivery: &mut AuditDelivery, number, body| {
            delivery.replied(Numbered { number, body });
            delivery.counters.audit_behind.load(Ordering::Relaxed)
        };
        send(&mut delivery);
        send(&mut delivery);
        let what = "no space".to_owned();
        assert!(reply(&mut delivery, 1, EventReply::Delayed { what }));
        send(&mut delivery);
        assert!(reply(&mut delivery, 1, EventReply::Done));
        // The third is still on its way.
        assert!(!reply(&mut delivery, 2, EventReply::Done));
        assert_eq!(delivery.unacknowledged.len(), 1);
    }

    #[test]
    fn a_line_that_no_message_could_hold_is_lost() {
        let gathering = gathering(1);
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        assert!(matches!(gathering.add(&long), Gathered::Lost));
        assert!(gathering.is_empty());
    }
}

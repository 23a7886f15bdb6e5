//! RSA key pairs, made in idle time, and some of them ahead.
//!
//! An RSA key pair takes from a tenth of a second to some seconds to make. So one thread makes a few
//! of those sizes that calls ask for before they do, and a call that finds one ready is answered at
//! once. Nothing is made of a size that nobody has asked for. Each time none is ready the stock of
//! that size may grow to twice what it was, up to the limit in the settings; and what nobody has
//! asked for in an hour is thrown away.
//!
//! Both what is made ahead and what a call waits for is made by threads that work only while nobody
//! else wants their processor. A call that wants what is just being made ahead waits for that. Where
//! processors are so busy that this takes too long, the thread that waits makes a pair itself, and
//! the other one's goes into the stock.
//!
//! What is kept here is as secret as any key: it leaves only by being given out, once, and is wiped
//! when it is dropped. It ends with the engine that it was made for.

mod stock;

use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kms::KmsError;
use kms::key_pair::{KeyPair, KeyPairSource};
use kms::protocol::spec::KeyPairSpec;
use tokio::sync::Semaphore;

use crate::config::Limits;
use crate::counters::{Counters, add};
use crate::priority;

use stock::{Caller, Made, Stock};

/// How long key pairs are kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How long no call has waited for a pair to be made before some are made ahead again. Both at the
/// same time would take two processors from those who answer calls.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a call waits for a pair that is made in idle time.
const PATIENCE: Duration = Duration::from_secs(2);

/// A source of key pairs that has some made ahead.
pub(crate) struct KeyPairsAhead<S>(Arc<Shared<S>>);

/// What it shares with the thread that makes them.
struct Shared<S> {
    source: S,
    stock: Mutex<Stock>,
    /// The stock has changed so that there may be something to do.
    changed: Condvar,
    /// As many pairs as are made in idle time for calls. Where processors are busy, that may go on
    /// long after the call has been answered.
    in_idle_time: Arc<Semaphore>,
    /// How long a call waits for one of these.
    patience: Duration,
    counters: Arc<Counters>,
}

impl<S: KeyPairSource + 'static> KeyPairsAhead<S> {
    /// One that makes them from another source.
    pub(crate) fn new(source: S, limits: &Limits, counters: Arc<Counters>) -> Self {
        Self::with_patience(source, limits, counters, PATIENCE)
    }

    fn with_patience(
        source: S,
        limits: &Limits,
        counters: Arc<Counters>,
        patience: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            source,
            stock: Mutex::new(Stock::new(limits.key_pairs_ahead)),
            changed: Condvar::new(),
            in_idle_time: Arc::new(Semaphore::new(limits.key_generation_threads.max(1))),
            patience,
            counters,
        });
        if limits.key_pairs_ahead > 0 {
            let shared = Arc::clone(&shared);
            // Without it, calls wait for their key pairs.
            let _ = thread::Builder::new()
                .name("key-pairs-ahead".to_owned())
                .spawn(move || shared.make_ahead());
        }
        Self(shared)
    }
}

impl<S: KeyPairSource + 'static> KeyPairSource for KeyPairsAhead<S> {
    fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
        // Others take no time.
        let is_rsa = matches!(
            spec,
            KeyPairSpec::Rsa2048 | KeyPairSpec::Rsa3072 | KeyPairSpec::Rsa4096
        );
        if !is_rsa {
            return self.0.source.generate(spec);
        }
        let _at_work = AtWork::begin(&self.0);
        let made = self.0.make_in_idle_time(spec);
        made.unwrap_or_else(|| self.0.source.generate(spec))
    }

    fn ready(&self, spec: KeyPairSpec) -> Option<KeyPair> {
        let pair = self.0.stock().take(spec, Instant::now());
        self.0.changed.notify_one();
        let counter: &AtomicU64 = match pair {
            Some(_) => &self.0.counters.key_pairs_ready,
            None => &self.0.counters.key_pairs_not_ready,
        };
        add(counter, 1);
        pair
    }
}

impl<S> Drop for KeyPairsAhead<S> {
    /// The thread ends once it has made what it is about to make; nobody waits for it.
    fn drop(&mut self) {
        self.0.stock().end();
        self.0.changed.notify_one();
    }
}

/// A call waits for a pair that is being made.
struct AtWork<'s, S>(&'s Shared<S>);

impl<'s, S> AtWork<'s, S> {
    fn begin(shared: &'s Shared<S>) -> Self {
        shared.stock().waited_for += 1;
        Self(shared)
    }
}

impl<S> Drop for AtWork<'_, S> {
    fn drop(&mut self) {
        let mut stock = self.0.stock();
        stock.waited_for -= 1;
        stock.waited_until = Some(Instant::now());
        drop(stock);
        self.0.changed.notify_one();
    }
}

impl<S> Shared<S> {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: KeyPairSource + 'static> Shared<S> {
    /// One that a thread makes which works only while nobody else wants its processor; none if that
    /// takes too long, or has taken too long for calls before that have been answered since.
    fn make_in_idle_time(self: &Arc<Self>, spec: KeyPairSpec) -> Option<Made> {
        let (caller, made) = mpsc::channel();
        let claimed = self.stock().claim(spec, caller);
        if let Err(caller) = claimed {
            self.spawn_in_idle_time(spec, caller)?;
        }
        made.recv_timeout(self.patience).ok()
    }

    fn spawn_in_idle_time(self: &Arc<Self>, spec: KeyPairSpec, caller: Caller) -> Option<()> {
        let place = Arc::clone(&self.in_idle_time).try_acquire_owned().ok()?;
        let this = Arc::clone(self);
        let make = move || {
            priority::only_when_idle();
            let made = this.source.generate(spec);
            drop(place);
            this.stock().hand_over(spec, made, Some(caller));
        };
        let thread = thread::Builder::new().name("key-pair-idle".to_owned());
        thread.spawn(make).ok()?;
        Some(())
    }

    fn make_ahead(&self) {
        priority::only_when_idle();
        let mut stock = self.stock();
        while !stock.over {
            let now = Instant::now();
            stock.clear_out(now);
            let pause = stock.pause(now);
            if let (Some(spec), Duration::ZERO) = (stock.lacks(), pause) {
                stock.making = Some((spec, None));
                drop(stock);
                let made = self.source.generate(spec);
                stock = self.stock();
                if made.is_err() {
                    stock.give_up(spec);
                }
                let caller = stock.making.take().and_then(|(_, caller)| caller);
                stock.hand_over(spec, made, caller);
            } else {
                let time = if pause.is_zero() { KEPT } else { pause };
                let waited = self.changed.wait_timeout(stock, time);
                stock = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy,
    };
    use zeroize::Zeroizing;

    use super::*;
    use crate::counters::get;

    pub(super) const SMALL: KeyPairSpec = KeyPairSpec::Rsa2048;
    pub(super) const LARGE: KeyPairSpec = KeyPairSpec::Rsa4096;

    /// A "key pair" with a number.
    pub(super) fn pair(number: u8) -> KeyPair {
        KeyPair {
            private_pkcs8: Zeroizing::new(vec![number]),
            public_spki: vec![number],
        }
    }

    /// Counts what it makes, says what it begins, and waits until it is told to go on.
    struct Told {
        begun: Sender<KeyPairSpec>,
        go_on: Mutex<Receiver<u8>>,
    }

    impl KeyPairSource for Told {
        fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
            self.begun.send(spec).unwrap();
            let number = self.go_on.lock().unwrap().recv();
            number
                .map(pair)
                .map_err(|_| KmsError::KmsInternal("".into()))
        }
    }

    struct Test {
        ahead: KeyPairsAhead<Told>,
        begun: Receiver<KeyPairSpec>,
        go_on: Sender<u8>,
        counters: Arc<Counters>,
    }

    /// However busy the machine is, no call makes its own because an idle thread had no turn yet.
    const LONG: Duration = Duration::from_secs(600);

    fn ahead(key_pairs_ahead: usize) -> Test {
        let (begin, begun) = channel();
        let (go_on, told) = channel();
        let source = Told {
            begun: begin,
            go_on: Mutex::new(told),
        };
        let limits = Limits {
            key_pairs_ahead,
            ..Limits::default()
        };
        let counters = Arc::new(Counters::default());
        Test {
            ahead: KeyPairsAhead::with_patience(source, &limits, Arc::clone(&counters), LONG),
            begun,
            go_on,
            counters,
        }
    }

    #[test]
    fn each_is_given_out_once_and_another_made_in_its_place() {
        let test = ahead(3);
        for _ in 0..3 {
            assert!(test.ahead.ready(SMALL).is_none());
        }
        let mut given = HashSet::new();
        for number in 0..50 {
            assert_eq!(test.begun.recv().unwrap(), SMALL);
            test.go_on.send(number).unwrap();
            // With two left it begins the third, with three none: it is in the middle of one.
            if number >= 2 {
                let pair = loop {
                    match test.ahead.ready(SMALL) {
                        Some(pair) => break pair,
                        None => thread::yield_now(),
                    }
                };
                assert!(given.insert(pair.private_pkcs8[0]), "given out twice");
            }
        }
        assert_eq!(given.len(), 48);
        assert_eq!(get(&test.counters.key_pairs_ready), 48);
        assert!(get(&test.counters.key_pairs_not_ready) >= 3);
    }

    #[test]
    fn nothing_is_made_ahead_while_calls_wait_for_theirs() {
        let test = ahead(3);
        assert!(test.ahead.ready(SMALL).is_none());
        assert!(
            test.begun.recv_timeout(PAUSE / 10).is_err(),
            "before the call has begun to make its own"
        );
        let mut since = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| test.ahead.generate(LARGE));
            assert_eq!(test.begun.recv().unwrap(), LARGE);
            assert!(test.begun.recv_timeout(PAUSE / 10).is_err(), "both at once");
            since = Instant::now();
            test.go_on.send(1).unwrap();
            assert!(waiting.join().unwrap().is_ok());
        });
        assert_eq!(test.begun.recv().unwrap(), SMALL);
        assert!(since.elapsed() >= PAUSE);
        test.go_on.send(2).unwrap();
    }

    #[test]
    fn a_call_waits_for_what_is_being_made_ahead_and_only_one_does() {
        let test = ahead(3);
        assert!(test.ahead.ready(SMALL).is_none());
        assert_eq!(test.begun.recv().unwrap(), SMALL, "ahead");
        let generate = |spec| number(test.ahead.generate(spec));
        thread::scope(|scope| {
            let first = scope.spawn(|| generate(SMALL));
            while test.ahead.0.stock().waited_for == 0 {
                thread::yield_now();
            }
            assert!(test.begun.recv_timeout(PAUSE / 10).is_err(), "both at once");
            while !matches!(test.ahead.0.stock().making, Some((SMALL, Some(_)))) {
                thread::yield_now();
            }
            let others = [SMALL, LARGE].map(|spec| {
                let other = scope.spawn(move || generate(spec));
                assert_eq!(test.begun.recv().unwrap(), spec, "its own");
                other
            });
            for number in 1..=3 {
                test.go_on.send(number).unwrap();
            }
            let [second, third] = others.map(|other| other.join().unwrap());
            let given = HashSet::from([first.join().unwrap(), second, third]);
            assert_eq!(given, HashSet::from([1, 2, 3]), "given out twice");
        });
        assert!(test.ahead.0.stock().shelves[&SMALL].ready.is_empty());
    }

    #[test]
    fn what_a_call_no_longer_waits_for_goes_into_the_stock() {
        let (ahead, idle) = busy(Duration::from_millis(100));
        assert!(ahead.ready(LARGE).is_none());
        while ahead.0.stock().making.is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(number(ahead.generate(LARGE)), 0, "its own");
        assert_eq!(
            ahead.0.in_idle_time.available_permits(),
            1,
            "no thread more"
        );
        idle.send(1).unwrap();
        while ahead.0.stock().making.is_some() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(number(ahead.ready(LARGE).ok_or(KmsError::Throttling)), 1);
    }

    #[test]
    fn its_end_waits_for_nothing_and_leaves_nothing() {
        let test = ahead(3);
        assert!(test.ahead.ready(LARGE).is_none());
        test.begun.recv().unwrap();
        let shared = Arc::downgrade(&test.ahead.0);
        // One is being made.
        drop(test.ahead);
        let left = shared.upgrade().unwrap();
        test.go_on.send(1).unwrap();
        while Arc::strong_count(&left) > 1 {
            thread::yield_now();
        }
        assert!(left.stock().shelves.is_empty());
        assert!(test.begun.try_recv().is_err(), "made another one");
    }

    /// A source that, where a thread works in idle time only, is told when that comes; elsewhere it
    /// has no need to wait.
    struct Busy(Mutex<Receiver<u8>>);

    impl KeyPairSource for Busy {
        fn generate(&self, _: KeyPairSpec) -> Result<KeyPair, KmsError> {
            let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            if thread_schedule_policy().unwrap() == idle {
                let number = self.0.lock().unwrap().recv();
                number
                    .map(pair)
                    .map_err(|_| KmsError::KmsInternal("".into()))
            } else {
                Ok(pair(0))
            }
        }
    }

    fn number(made: Result<KeyPair, KmsError>) -> u8 {
        made.ok().unwrap().private_pkcs8[0]
    }

    fn busy(patience: Duration) -> (KeyPairsAhead<Busy>, Sender<u8>) {
        let (idle, told) = channel();
        let limits = Limits {
            key_generation_threads: 1,
            key_pairs_ahead: 1,
            ..Limits::default()
        };
        let (source, counters) = (Busy(Mutex::new(told)), Arc::new(Counters::default()));
        let ahead = KeyPairsAhead::with_patience(source, &limits, counters, patience);
        (ahead, idle)
    }

    #[test]
    fn what_a_call_waits_for_is_made_in_idle_time() {
        let (ahead, idle) = busy(LONG);
        for made in 1..=2 {
            idle.send(made).unwrap();
            assert_eq!(number(ahead.generate(LARGE)), made);
        }
    }

    #[test]
    fn where_there_is_no_idle_time_a_call_makes_its_own() {
        let patience = Duration::from_millis(100);
        let (ahead, idle) = busy(patience);
        assert!(ahead.ready(LARGE).is_none());
        let began = Instant::now();
        assert_eq!(number(ahead.generate(LARGE)), 0);
        assert!(began.elapsed() >= patience);
        assert_eq!(ahead.0.in_idle_time.available_permits(), 0);
        assert_eq!(number(ahead.generate(LARGE)), 0, "without another thread");

        idle.send(1).unwrap();
        let left = loop {
            match ahead.ready(LARGE) {
                Some(pair) => break pair,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        assert_eq!(number(Ok(left)), 1, "that which nobody waited for any more");
        assert_eq!(ahead.0.in_idle_time.available_permits(), 1);
    }

    #[test]
    fn what_is_made_ahead_is_made_in_idle_time() {
        let (ahead, idle) = busy(PATIENCE);
        idle.send(1).unwrap();
        assert!(ahead.ready(SMALL).is_none());
        while ahead.0.stock().shelves[&SMALL].ready.is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(number(ahead.ready(SMALL).ok_or(KmsError::Throttling)), 1);
    }

    #[test]
    fn without_a_stock_nothing_is_made_ahead() {
        let test = ahead(0);
        assert!(test.ahead.ready(SMALL).is_none());
        assert_eq!(Arc::strong_count(&test.ahead.0), 1);
        assert!(test.begun.try_recv().is_err());
    }
}

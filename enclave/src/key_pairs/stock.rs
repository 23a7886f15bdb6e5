//! The stock of key pairs that are ready, and how much of it there should be.

use std::collections::BTreeMap;
use std::sync::mpsc::{SendError, Sender};
use std::time::{Duration, Instant};

use kms::KmsError;
use kms::key_pair::KeyPair;
use kms::protocol::spec::KeyPairSpec;

use super::{KEPT, PAUSE};

/// A pair that was made, or why there is none.
pub(super) type Made = Result<KeyPair, KmsError>;

/// Where a call waits for a pair.
pub(super) type Caller = Sender<Made>;

/// What is ready, and how much of it there should be.
pub(super) struct Stock {
    /// Of each spec, at most.
    most: usize,
    pub(super) shelves: BTreeMap<KeyPairSpec, Shelf>,
    /// What is being made ahead, and the call that waits for it, if one does.
    pub(super) making: Option<(KeyPairSpec, Option<Caller>)>,
    /// How many calls wait for a pair that is being made.
    pub(super) waited_for: usize,
    /// When the last of them had it, or began to ask for it.
    pub(super) waited_until: Option<Instant>,
    pub(super) over: bool,
}

/// Key pairs of one spec.
pub(super) struct Shelf {
    pub(super) ready: Vec<KeyPair>,
    /// How many there should be.
    wanted: usize,
    /// When somebody asked for one last.
    asked: Instant,
}

impl Stock {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            shelves: BTreeMap::new(),
            making: None,
            waited_for: 0,
            waited_until: None,
            over: false,
        }
    }

    /// How long nothing is to be made ahead.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let since = |until| now.saturating_duration_since(until);
        match self.waited_for {
            0 => PAUSE.saturating_sub(self.waited_until.map_or(PAUSE, since)),
            _ => KEPT,
        }
    }

    /// One for a caller, if there is one; else there will be more from now on.
    pub(super) fn take(&mut self, spec: KeyPairSpec, now: Instant) -> Option<KeyPair> {
        if self.most == 0 || self.over {
            return None;
        }
        let shelf = self.shelves.entry(spec).or_insert_with(|| Shelf {
            ready: Vec::new(),
            wanted: 0,
            asked: now,
        });
        shelf.asked = now;
        let pair = shelf.ready.pop();
        if pair.is_none() {
            shelf.wanted = (2 * shelf.wanted).clamp(1, self.most);
            // The caller is going to have one made.
            self.waited_until = Some(now);
        }
        pair
    }

    /// What to make next: that of which there is least.
    pub(super) fn lacks(&self) -> Option<KeyPairSpec> {
        let lacking = self
            .shelves
            .iter()
            .filter(|(_, shelf)| shelf.ready.len() < shelf.wanted);
        let least = lacking.min_by_key(|(_, shelf)| shelf.ready.len());
        least.map(|(spec, _)| *spec)
    }

    /// Promises a call what is being made ahead, if that is what it wants and no other call's.
    ///
    /// # Errors
    /// The call, if not.
    pub(super) fn claim(&mut self, spec: KeyPairSpec, caller: Caller) -> Result<(), Caller> {
        match &mut self.making {
            Some((making, free @ None)) if *making == spec => {
                *free = Some(caller);
                Ok(())
            }
            _ => Err(caller),
        }
    }

    /// Gives one that was made to the call that waits for it; takes it in if none does any more.
    pub(super) fn hand_over(&mut self, spec: KeyPairSpec, made: Made, caller: Option<Caller>) {
        let left = match caller {
            Some(caller) => caller.send(made).err().map(|SendError(made)| made),
            None => Some(made),
        };
        if let Some(Ok(pair)) = left {
            self.put(spec, pair);
        }
    }

    /// Takes in one that was made, if it is still wanted.
    pub(super) fn put(&mut self, spec: KeyPairSpec, pair: KeyPair) {
        if let Some(shelf) = self.shelves.get_mut(&spec)
            && shelf.ready.len() < shelf.wanted
        {
            shelf.ready.push(pair);
        }
    }

    /// Makes no more of a spec that can't be made, until somebody asks again.
    pub(super) fn give_up(&mut self, spec: KeyPairSpec) {
        self.shelves.remove(&spec);
    }

    /// Throws away what nobody has asked for in a long time.
    pub(super) fn clear_out(&mut self, now: Instant) {
        self.shelves
            .retain(|_, shelf| now.saturating_duration_since(shelf.asked) < KEPT);
    }

    /// Throws away everything, for good.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.shelves.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LARGE, SMALL, pair};
    use super::*;

    /// Makes all that a stock lacks, and says how much of each spec that was.
    fn fill(stock: &mut Stock) -> (usize, usize) {
        let mut made = (0, 0);
        while let Some(spec) = stock.lacks() {
            match spec {
                SMALL => made.0 += 1,
                _ => made.1 += 1,
            }
            stock.put(spec, pair(0));
        }
        made
    }

    #[test]
    fn what_is_asked_for_is_made_and_the_more_the_more_often_it_lacks() {
        let now = Instant::now();
        let mut stock = Stock::new(5);
        assert_eq!(fill(&mut stock), (0, 0), "nobody has asked");
        for (grown, expected) in [1, 2, 4, 5, 5].into_iter().enumerate() {
            assert!(stock.take(SMALL, now).is_none(), "{grown}");
            assert_eq!(fill(&mut stock), (expected, 0), "{grown}");
            for _ in 0..expected {
                assert!(stock.take(SMALL, now).is_some());
            }
        }
        // As many again, and no more.
        assert_eq!(fill(&mut stock), (5, 0));
        assert!(stock.take(LARGE, now).is_none());
        assert_eq!(fill(&mut stock), (0, 1));
    }

    #[test]
    fn what_there_is_least_of_comes_first() {
        let now = Instant::now();
        let mut stock = Stock::new(2);
        for _ in 0..2 {
            assert!(stock.take(SMALL, now).is_none());
        }
        stock.put(SMALL, pair(1));
        assert!(stock.take(LARGE, now).is_none());
        assert_eq!(stock.lacks(), Some(LARGE));
    }

    #[test]
    fn what_nobody_asks_for_is_thrown_away() {
        let now = Instant::now();
        let mut stock = Stock::new(4);
        for spec in [SMALL, LARGE] {
            assert!(stock.take(spec, now).is_none());
        }
        fill(&mut stock);
        stock.clear_out(now + KEPT / 2);
        assert!(stock.take(SMALL, now + KEPT / 2).is_some());
        stock.clear_out(now + KEPT);
        assert_eq!(fill(&mut stock), (1, 0), "only that which was asked for");
        assert!(stock.take(LARGE, now + KEPT).is_none());
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be_kept() {
        let mut none = Stock::new(0);
        let mut over = Stock::new(4);
        over.take(SMALL, Instant::now());
        over.end();
        for stock in [&mut none, &mut over] {
            stock.put(SMALL, pair(1));
            assert!(stock.take(SMALL, Instant::now()).is_none());
            assert_eq!(stock.lacks(), None);
            assert!(stock.shelves.is_empty());
        }
    }
}

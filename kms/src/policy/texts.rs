//! Texts of a request, laid out to be compared with a pattern all at once.
//!
//! The texts stand one behind the other, and each has one place more than characters: its end. A
//! set of places is a row of bits, one for each place. Comparing begins with the set of all
//! beginnings, and every step of a pattern moves the whole set on, 64 places at a time (this is
//! known as Shift-And). So it takes a step for each character of the pattern and 64 of the texts at
//! most, whatever they are: there is no text to be found that takes longer, and nothing is gained by
//! many short ones.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::operand::Outcome;
use super::pattern::Case;

/// A set of places: a bit for each.
type Bits = Box<[u64]>;

/// How many bytes a text may have to be looked for again and again: not many more than the name of
/// a variable.
const SHORT: usize = 16;

/// The texts.
pub(super) struct Texts {
    case: Case,
    /// The places where they begin.
    starts: Bits,
    /// The places behind their last characters.
    ends: Bits,
    /// The places that have a character, that is, all but the ends.
    inside: Bits,
    /// The places that have a character other than a colon.
    inside_part: Bits,
    /// The places of each character.
    of: BTreeMap<char, Occurrences>,
    /// By the names of variables, the places behind their values.
    behind: RefCell<BTreeMap<Box<str>, Rc<Bits>>>,
}

/// The places of one character. Those of a rare one are listed: texts may have as many characters
/// as places, and a set of places for each would be more than they are worth.
enum Occurrences {
    Many(Bits),
    Few(Vec<usize>),
}

/// What a wildcard stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// Any character.
    All,
    /// Any character but the colon: wildcards stay within a part of an ARN.
    Part,
}

impl Texts {
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t str> + Clone, case: Case) -> Self {
        let places: usize = texts.clone().map(|text| text.chars().count() + 1).sum();
        let none = vec![0; places.div_ceil(64)].into_boxed_slice();
        let mut laid = Self {
            case,
            starts: none.clone(),
            ends: none.clone(),
            inside: none.clone(),
            inside_part: none.clone(),
            of: BTreeMap::new(),
            behind: RefCell::default(),
        };
        let mut of = BTreeMap::<_, Vec<_>>::new();
        let mut place = 0;
        for text in texts {
            set(&mut laid.starts, place);
            for character in text.chars() {
                of.entry(case.folded(character)).or_default().push(place);
                set(&mut laid.inside, place);
                if character != ':' {
                    set(&mut laid.inside_part, place);
                }
                place += 1;
            }
            set(&mut laid.ends, place);
            place += 1;
        }
        laid.of = of
            .into_iter()
            .map(|(character, places)| {
                if places.len() <= none.len() {
                    return (character, Occurrences::Few(places));
                }
                let mut bits = none.clone();
                for place in places {
                    set(&mut bits, place);
                }
                (character, Occurrences::Many(bits))
            })
            .collect();
        laid
    }

    /// The beginnings, to go on from.
    pub(super) fn places(&self) -> Places<'_> {
        Places {
            texts: self,
            bits: self.starts.clone(),
        }
    }

    /// The texts whose ends are among the places that patterns lead to.
    pub(super) fn matched<'t>(&'t self, places: impl Iterator<Item = Places<'t>>) -> Matched<'t> {
        let mut matched = Matched {
            texts: self,
            ends: vec![0; self.ends.len()].into(),
        };
        for places in places {
            matched.add(&places);
            if matched.all() {
                break;
            }
        }
        matched
    }

    /// The places behind a variable's value.
    fn places_behind(&self, variable: &str, value: &str) -> Rc<Bits> {
        if let Some(known) = self.behind.borrow().get(variable) {
            return Rc::clone(known);
        }
        let mut everywhere = Places {
            texts: self,
            bits: vec![u64::MAX; self.ends.len()].into(),
        };
        everywhere.text(value);
        let behind = Rc::new(everywhere.bits);
        self.behind
            .borrow_mut()
            .insert(variable.into(), Rc::clone(&behind));
        behind
    }

    fn wildcard(&self, scope: Scope) -> &Bits {
        match scope {
            Scope::All => &self.inside,
            Scope::Part => &self.inside_part,
        }
    }
}

/// The places in texts up to which a part of a pattern matches.
pub(super) struct Places<'t> {
    texts: &'t Texts,
    bits: Bits,
}

impl Places<'_> {
    /// Goes on by these characters. Tells, as the others do, whether that leads anywhere.
    pub(super) fn text(&mut self, text: &str) -> bool {
        text.chars().all(
            |character| match self.texts.of.get(&self.texts.case.folded(character)) {
                Some(Occurrences::Many(places)) => step(&mut self.bits, places),
                Some(Occurrences::Few(places)) => step_few(&mut self.bits, places),
                None => step_few(&mut self.bits, &[]),
            },
        )
    }

    /// Goes on by one character.
    pub(super) fn one(&mut self, scope: Scope) -> bool {
        step(&mut self.bits, self.texts.wildcard(scope))
    }

    /// Goes on by any number of characters.
    pub(super) fn many(&mut self, scope: Scope) -> bool {
        spread(&mut self.bits, self.texts.wildcard(scope));
        true
    }

    /// Goes on by the value of a variable. It may come often, so a long one is looked for once.
    pub(super) fn variable(&mut self, name: &str, value: &str) -> bool {
        if value.len() <= SHORT {
            return self.text(value);
        }
        let behind = self.texts.places_behind(name, value);
        shift(&mut self.bits, value.chars().count());
        self.retain(&behind)
    }

    /// Whether the end of a text is among them.
    pub(super) fn arrived(&self) -> bool {
        let mut places = self.bits.iter().zip(&self.texts.ends);
        places.any(|(places, ends)| places & ends != 0)
    }

    fn retain(&mut self, others: &Bits) -> bool {
        let mut left = 0;
        for (word, others) in self.bits.iter_mut().zip(others) {
            *word &= others;
            left |= *word;
        }
        left != 0
    }
}

/// Which of several texts match a pattern of several.
pub(super) struct Matched<'t> {
    texts: &'t Texts,
    ends: Bits,
}

impl Matched<'_> {
    fn add(&mut self, places: &Places<'_>) {
        let arrived = places.bits.iter().zip(&self.texts.ends);
        for (word, (places, ends)) in self.ends.iter_mut().zip(arrived) {
            *word |= places & ends;
        }
    }

    /// Leaves only the texts whose ends are among other places, too.
    pub(super) fn retain(&mut self, places: &Places<'_>) {
        for (word, places) in self.ends.iter_mut().zip(&places.bits) {
            *word &= places;
        }
    }

    fn all(&self) -> bool {
        self.ends == self.texts.ends
    }

    /// Which they are: some, or all.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome {
            some: self.ends.iter().any(|word| *word != 0),
            all: self.all(),
        }
    }
}

fn set(bits: &mut Bits, place: usize) {
    if let Some(word) = bits.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}

/// Moves the places among `through` on by one, drops the others, and tells if there are any left.
fn step(bits: &mut Bits, through: &Bits) -> bool {
    #[cfg(test)]
    count(bits);
    let (mut carry, mut left) = (0, 0);
    for (word, through) in bits.iter_mut().zip(through) {
        let moving = *word & through;
        *word = moving << 1 | carry;
        carry = moving >> 63;
        left |= moving;
    }
    left != 0
}

/// The same with few places to move on.
fn step_few(bits: &mut Bits, through: &[usize]) -> bool {
    #[cfg(test)]
    count(bits);
    let is_set = |place: usize| {
        let word = bits.get(place / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    };
    let moving: Vec<_> = through.iter().filter(|place| is_set(**place)).collect();
    bits.fill(0);
    for place in &moving {
        set(bits, **place + 1);
    }
    !moving.is_empty()
}

/// Adds to each place those that can be reached through `through` alone.
///
/// Adding a place to a run of ones carries over to the end of the run.
fn spread(bits: &mut Bits, through: &Bits) {
    #[cfg(test)]
    count(bits);
    let mut carry = 0;
    for (word, through) in bits.iter_mut().zip(through) {
        let sum = u128::from(*word & through) + u128::from(*through) + carry;
        carry = sum >> 64;
        *word |= (sum as u64) ^ through;
    }
}

/// Moves all places on.
fn shift(bits: &mut Bits, by: usize) {
    #[cfg(test)]
    count(bits);
    let (words, by) = (by / 64, by % 64);
    for at in (0..bits.len()).rev() {
        let word = |before: usize| {
            let at = at.checked_sub(words + before)?;
            bits.get(at).copied()
        };
        let (low, high) = (word(1).unwrap_or(0), word(0).unwrap_or(0));
        let both = u128::from(high) << 64 | u128::from(low);
        let moved = (both << by >> 64) as u64;
        if let Some(word) = bits.get_mut(at) {
            *word = moved;
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many words of bits have been gone through: what comparing costs.
    pub(super) static WORDS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count(bits: &Bits) {
    WORDS.set(WORDS.get() + bits.len());
}

//! What policies have asked about a request, each looked up and laid out once.

use core::net::IpAddr;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::context::{Caller, RequestContext, Values};
use super::number;
use super::operand::{self, Outcome};
use super::pattern::{ArnPattern, Case, Pattern};
use super::texts::Texts;

/// One request, for as long as policies decide on it.
pub(super) struct Facts<'r> {
    request: &'r dyn RequestContext,
    action: OnceCell<Texts>,
    resource: OnceCell<Texts>,
    found: RefCell<BTreeMap<Box<str>, Option<Rc<Found<'r>>>>>,
}

impl<'r> Facts<'r> {
    pub(super) fn new(request: &'r dyn RequestContext) -> Self {
        Self {
            request,
            action: OnceCell::new(),
            resource: OnceCell::new(),
            found: RefCell::default(),
        }
    }

    pub(super) fn caller(&self) -> Caller<'r> {
        self.request.caller()
    }

    /// Whether a pattern is of the action.
    pub(super) fn action_is(&self, pattern: &Pattern) -> bool {
        let (action, case) = (self.request.action(), Case::Insensitive);
        let laid_out = || {
            self.action
                .get_or_init(|| Texts::new(std::iter::once(action), case))
        };
        pattern.matches(action, case, laid_out, self)
    }

    /// Whether a pattern is of the resource.
    pub(super) fn resource_is(&self, pattern: &ArnPattern) -> bool {
        let resource = self.request.resource();
        let laid_out = || {
            self.resource
                .get_or_init(|| Texts::new(std::iter::once(resource), Case::Sensitive))
        };
        pattern.matches(resource, laid_out, self)
    }

    /// The values of a condition key, unless there are none.
    pub(super) fn values(&self, key: &str) -> Option<Rc<Found<'r>>> {
        if let Some(known) = self.found.borrow().get(key) {
            return known.clone();
        }
        let values = self.request.condition_values(key);
        let found = values
            .filter(|values| !values.as_slice().is_empty())
            .map(|values| Rc::new(Found::new(values)));
        self.found.borrow_mut().insert(key.into(), found.clone());
        found
    }
}

/// The values of a condition key, and what they are for the operators.
pub(super) struct Found<'r> {
    values: Values<'r>,
    texts: OnceCell<Texts>,
    texts_of_any_case: OnceCell<Texts>,
    numbers: OnceCell<Readings<i128>>,
    dates: OnceCell<Readings<i128>>,
    booleans: OnceCell<Readings<bool>>,
    addresses: OnceCell<Readings<IpAddr>>,
}

impl<'r> Found<'r> {
    fn new(values: Values<'r>) -> Self {
        Self {
            values,
            texts: OnceCell::new(),
            texts_of_any_case: OnceCell::new(),
            numbers: OnceCell::new(),
            dates: OnceCell::new(),
            booleans: OnceCell::new(),
            addresses: OnceCell::new(),
        }
    }

    /// The value, if there is exactly one.
    pub(super) fn single(&self) -> Option<&str> {
        self.values.single()
    }

    pub(super) fn texts(&self, case: Case) -> &Texts {
        let texts = match case {
            Case::Sensitive => &self.texts,
            Case::Insensitive => &self.texts_of_any_case,
        };
        texts.get_or_init(|| Texts::new(self.iter(), case))
    }

    pub(super) fn numbers(&self) -> &Readings<i128> {
        self.read(&self.numbers, number::decimal)
    }

    pub(super) fn dates(&self) -> &Readings<i128> {
        self.read(&self.dates, number::date)
    }

    pub(super) fn booleans(&self) -> &Readings<bool> {
        self.read(&self.booleans, operand::boolean)
    }

    pub(super) fn addresses(&self) -> &Readings<IpAddr> {
        self.read(&self.addresses, operand::address)
    }

    fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.values.as_slice().iter().map(AsRef::as_ref)
    }

    fn read<'f, T: Ord>(
        &self,
        readings: &'f OnceCell<Readings<T>>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> &'f Readings<T> {
        readings.get_or_init(|| Readings {
            known: self
                .iter()
                .filter_map(&parse)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            others: self.iter().any(|value| parse(value).is_none()),
        })
    }
}

/// What several values are if read as one kind of thing.
pub(super) struct Readings<T> {
    /// Each once.
    known: Box<[T]>,
    /// Whether there are values that are not of the kind.
    others: bool,
}

impl<T: Copy> Readings<T> {
    /// What a comparison says of them. It never holds for a value that is not of the kind.
    pub(super) fn compare(&self, holds: impl Fn(T) -> bool) -> Outcome {
        Outcome {
            some: self.known.iter().any(|value| holds(*value)),
            all: !self.others && self.known.iter().all(|value| holds(*value)),
        }
    }
}

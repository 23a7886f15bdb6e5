//! The parameters of a call: a form, read under AWS's constraints.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::protocol::violation::{Constraint, Path, Shown, Violations};
use crate::sigv4::Service;

use super::{Action, IamError};

/// The versions of the services, which say for which of them a call is.
const IAM_VERSION: &str = "2010-05-08";
const STS_VERSION: &str = "2011-06-15";

/// What a text must be like.
pub(super) struct Shape {
    length: RangeInclusive<usize>,
    pattern: &'static str,
    allows: fn(&str) -> bool,
    /// IAM's own words for what is not allowed, where it has any.
    says: Option<&'static str>,
}

impl Shape {
    pub(super) const fn new(
        length: RangeInclusive<usize>,
        pattern: &'static str,
        allows: fn(&str) -> bool,
    ) -> Self {
        Self {
            length,
            pattern,
            allows,
            says: None,
        }
    }

    /// The name of a user, role or policy.
    pub(super) const fn name(longest: usize) -> Self {
        Self {
            says: Some(
                "It must contain only alphanumeric characters and/or the following: +=,.@_-",
            ),
            ..Self::new(1..=longest, r"[\w+=,.@-]+", is_name)
        }
    }
}

/// `[\w+=,.@-]*`
pub(super) fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    text.bytes().all(is_word)
}

/// The parameters of a call that are still to be read.
pub(super) struct Parameters<'a> {
    form: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    has_duplicates: bool,
    violations: Violations,
    /// The first text that is not as IAM wants it.
    invalid: Option<String>,
    /// What was read, under the names CloudTrail gives it.
    shown: Map<String, Value>,
}

impl<'a> Parameters<'a> {
    /// The form that a call posts. What is no UTF-8 in it comes out as characters that no
    /// parameter may have.
    pub(super) fn of(call: &Call<'a>) -> Self {
        let mut form = BTreeMap::new();
        let mut has_duplicates = false;
        for (name, value) in form_urlencoded::parse(call.body) {
            has_duplicates |= form.insert(name, value).is_some();
        }
        Self {
            form,
            has_duplicates,
            violations: Violations::default(),
            invalid: None,
            shown: Map::new(),
        }
    }

    /// The service that the call is for.
    pub(super) fn service(&self) -> Service {
        match self.form.get("Version").map(|version| &**version) {
            Some(STS_VERSION) => Service::Sts,
            _ => Service::Iam,
        }
    }

    /// The operation that the call asks for.
    ///
    /// # Errors
    ///
    /// InvalidAction if there is none of that name in that version; MalformedInput for a form
    /// that says something twice.
    pub(super) fn action(&self) -> Result<Action, IamError> {
        let text = |name| self.form.get(name).map_or("", |value| &**value);
        let (name, version) = (text("Action"), text("Version"));
        if self.has_duplicates {
            return Err(IamError::MalformedInput);
        }
        let action = match version {
            IAM_VERSION => Action::find(Service::Iam, name),
            STS_VERSION => Action::find(Service::Sts, name),
            _ => None,
        };
        action.ok_or_else(|| {
            let short = |text: &str| text.chars().take(128).collect::<String>();
            let (name, version) = (short(name), short(version));
            IamError::InvalidAction(format!(
                "Could not find operation {name} for version {version}"
            ))
        })
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, shape: &Shape) -> Option<Cow<'a, str>> {
        let text = self.form.remove(name)?;
        let length = text.chars().count();
        if let Some(constraint) = Constraint::on_length(length, &shape.length) {
            self.violated(Shown::Text(&text), name, constraint);
        } else if !(shape.allows)(&text) {
            match shape.says {
                Some(says) => {
                    let message =
                        format!("The specified value for {} is invalid. {says}", path(name));
                    self.invalid.get_or_insert(message);
                }
                None => {
                    let constraint = Constraint::Pattern(shape.pattern);
                    self.violated(Shown::Text(&text), name, constraint);
                }
            }
        }
        self.show(name, &*text);
        Some(text)
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, name: &str, shape: &Shape) -> Cow<'a, str> {
        self.require(name);
        self.text(name, shape).unwrap_or_default()
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u16>) -> Option<u16> {
        let text = self.form.remove(name)?;
        let Ok(number) = text.parse::<i32>() else {
            let message = format!("The specified value for {} is invalid.", path(name));
            self.invalid.get_or_insert(message);
            return None;
        };
        let constraint = if number > i32::from(*range.end()) {
            Constraint::ValueAtMost(*range.end())
        } else if number < i32::from(*range.start()) {
            Constraint::ValueAtLeast(*range.start())
        } else {
            self.show(name, number);
            return u16::try_from(number).ok();
        };
        self.violated(Shown::Number(number), name, constraint);
        None
    }

    /// One of these texts, which must be there: its place among them.
    pub(super) fn required_choice(&mut self, name: &str, choices: &[&'static str]) -> usize {
        self.require(name);
        let Some(text) = self.form.remove(name) else {
            return 0;
        };
        let place = choices.iter().position(|choice| *choice == text);
        if place.is_none() {
            let constraint = Constraint::OneOf(choices.to_vec());
            self.violated(Shown::Text(&text), name, constraint);
        }
        self.show(name, &*text);
        place.unwrap_or_default()
    }

    /// Whether all that was read is valid and all that was sent was read.
    ///
    /// # Errors
    ///
    /// ValidationError with all violations; InvalidInput for a parameter that this server does not
    /// know, because to ignore a limit would be worse than to refuse it.
    pub(super) fn finish(&mut self) -> Result<(), IamError> {
        std::mem::take(&mut self.violations).into_result()?;
        if let Some(message) = self.invalid.take() {
            return Err(IamError::Validation(message));
        }
        let mut unread = self.form.keys();
        match unread.find(|name| !["Action", "Version"].contains(&&***name)) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(128).collect();
                Err(IamError::InvalidInput(format!(
                    "This server does not support the parameter {name}."
                )))
            }
        }
    }

    /// What was read, for the audit trail.
    pub(super) fn shown(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.shown)
    }

    fn require(&mut self, name: &str) {
        if !self.form.contains_key(name) {
            self.violated(Shown::Null, name, Constraint::NotNull);
        }
    }

    fn violated(&mut self, value: Shown<'_>, name: &str, constraint: Constraint) {
        self.violations.add(value, &path(name), constraint);
    }

    fn show(&mut self, name: &str, value: impl Into<Value>) {
        self.shown.insert(path(name).to_string(), value.into());
    }
}

/// How messages and the audit trail spell a parameter.
fn path(name: &str) -> Path<'_> {
    Path { prefix: "", name }
}

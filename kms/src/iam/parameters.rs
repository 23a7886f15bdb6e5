//! The parameters of a call: a form, read under AWS's constraints.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::audit::Object;
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

    fn matches(&self, text: &str) -> bool {
        let is_missing = text.is_empty() && self.pattern.ends_with('+');
        !is_missing && (self.allows)(text)
    }
}

/// How many items a list may have.
const MOST_ITEMS: usize = 50;

/// The key of a tag, and its value.
const TAG_KEY: Shape = Shape::new(1..=128, r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", is_tag_text);
const TAG_VALUE: Shape = Shape::new(0..=256, r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", is_tag_text);

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, as near as the properties come that characters have here.
fn is_tag_text(text: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() && !c.is_control();
    text.chars()
        .all(|c| c.is_alphanumeric() || is_separator(c) || "_.:/=+-@".contains(c))
}

/// A tag in a request.
pub(super) struct Tag<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
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
    shown: Object,
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
            shown: Object::default(),
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
        self.check(&text, &path(name), shape);
        self.show(name, &*text);
        Some(text)
    }

    /// Notes in what a text is not as it must be.
    fn check(&mut self, text: &str, path: &Path<'_>, shape: &Shape) {
        let length = Constraint::on_length(text.chars().count(), &shape.length);
        if !shape.matches(text) {
            match shape.says {
                None => {
                    let pattern = Constraint::Pattern(shape.pattern);
                    self.violations.add(Shown::Text(text), path, pattern);
                }
                Some(says) if length.is_none() => {
                    let message = format!("The specified value for {path} is invalid. {says}");
                    self.invalid.get_or_insert(message);
                }
                Some(_) => {}
            }
        }
        if let Some(length) = length {
            self.violations.add(Shown::Text(text), path, length);
        }
    }

    /// The list of tags, if there is one.
    pub(super) fn tags(&mut self) -> Option<Vec<Tag<'a>>> {
        let tags = self.list("Tags", |p, number| {
            let [key, value] = ["Key", "Value"]
                .map(|name| p.form.remove(&*format!("Tags.member.{number}.{name}")));
            if key.is_none() && value.is_none() {
                return None;
            }
            let prefix = format!("tags.{number}.member.");
            Some(Tag {
                key: p.member(key, &prefix, "Key", &TAG_KEY),
                value: p.member(value, &prefix, "Value", &TAG_VALUE),
            })
        })?;
        let shown = tags.iter();
        let shown = shown.map(|tag| json!({"key": &*tag.key, "value": &*tag.value}));
        self.show("Tags", shown.collect::<Vec<_>>());
        Some(tags)
    }

    /// The list of tags, which must be there.
    pub(super) fn required_tags(&mut self) -> Vec<Tag<'a>> {
        self.tags().unwrap_or_else(|| {
            self.violated(Shown::Null, "Tags", Constraint::NotNull);
            Vec::new()
        })
    }

    /// The list of the keys of tags, which must be there.
    pub(super) fn required_tag_keys(&mut self) -> Vec<Cow<'a, str>> {
        let keys = self.list("TagKeys", |p, number| {
            p.form.remove(&*format!("TagKeys.member.{number}"))
        });
        let keys = keys.unwrap_or_else(|| {
            self.violated(Shown::Null, "TagKeys", Constraint::NotNull);
            Vec::new()
        });
        let valid = |key: &str| {
            let length = Constraint::on_length(key.chars().count(), &TAG_KEY.length);
            length.is_none() && TAG_KEY.matches(key)
        };
        if !keys.iter().all(|key| valid(key)) {
            let list: Vec<_> = keys.iter().map(|key| Some(Cow::Borrowed(&**key))).collect();
            let constraint = Constraint::Items(vec![
                Constraint::LengthAtMost(*TAG_KEY.length.end()),
                Constraint::LengthAtLeast(*TAG_KEY.length.start()),
                Constraint::Pattern(TAG_KEY.pattern),
            ]);
            self.violated(Shown::List(&list), "TagKeys", constraint);
        }
        let shown = keys.iter().map(|key| Value::from(&**key));
        self.show("TagKeys", shown.collect::<Vec<_>>());
        keys
    }

    /// A list, if there is one: the items that are found under the numbers from 1 on.
    fn list<T>(
        &mut self,
        name: &str,
        item: impl Fn(&mut Self, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        // That is how the SDKs write an empty list.
        let is_empty = self.form.get(name).is_some_and(|text| text.is_empty());
        if is_empty {
            self.form.remove(name);
        }
        let items: Vec<T> = (1..).map_while(|number| item(self, number)).collect();
        if items.len() > MOST_ITEMS {
            self.violated(Shown::Hidden, name, Constraint::LengthAtMost(MOST_ITEMS));
        }
        (is_empty || !items.is_empty()).then_some(items)
    }

    /// A text in an item of a list, which must be there.
    fn member(
        &mut self,
        text: Option<Cow<'a, str>>,
        prefix: &str,
        name: &str,
        shape: &Shape,
    ) -> Cow<'a, str> {
        let path = Path { prefix, name };
        match &text {
            Some(text) => self.check(text, &path, shape),
            None => self.violations.add(Shown::Null, &path, Constraint::NotNull),
        }
        text.unwrap_or_default()
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, name: &str, shape: &Shape) -> Cow<'a, str> {
        self.require(name);
        self.text(name, shape).unwrap_or_default()
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.form.remove(name)?;
        let Ok(number) = text.parse::<i32>() else {
            let message = format!("The specified value for {} is invalid.", path(name));
            self.invalid.get_or_insert(message);
            return None;
        };
        let constraint = match u32::try_from(number) {
            Ok(valid) if range.contains(&valid) => {
                self.show(name, number);
                return Some(valid);
            }
            Ok(big) if big > *range.end() => Constraint::ValueAtMost(*range.end()),
            _ => Constraint::ValueAtLeast(*range.start()),
        };
        self.violated(Shown::Number(number), name, constraint);
        None
    }

    /// One of these texts, which must be there: its place among them.
    pub(super) fn required_choice(&mut self, name: &str, choices: &[&'static str]) -> usize {
        self.require(name);
        self.choice(name, choices).unwrap_or_default()
    }

    /// One of these texts: its place among them.
    pub(super) fn choice(&mut self, name: &str, choices: &[&'static str]) -> Option<usize> {
        let text = self.form.remove(name)?;
        let place = choices.iter().position(|choice| *choice == text);
        if place.is_none() {
            let constraint = Constraint::OneOf(choices.to_vec());
            self.violated(Shown::Text(&text), name, constraint);
        }
        self.show(name, &*text);
        place
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
    pub(super) fn shown(&mut self) -> Object {
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
        self.shown.set(path(name).to_string(), value.into());
    }
}

/// How messages and the audit trail spell a parameter.
fn path(name: &str) -> Path<'_> {
    Path { prefix: "", name }
}

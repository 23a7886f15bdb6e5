//! Reading the members of a request under the constraints of the service model.
//!
//! AWS does it in two steps, and so do we. A member of the wrong JSON type ends the reading at once
//! with a SerializationException. A member that is missing or violates its constraint is noted and
//! read as a stand-in; in the end [`Violations::into_result`] refuses the whole request with one
//! ValidationException that lists everything, so nobody ever sees a stand-in.

use std::borrow::Cow;
use std::mem;
use std::ops::RangeInclusive;

use attestation::Timestamp;
use base64::{Engine, decoded_len_estimate};
use zeroize::{Zeroize, Zeroizing};

use crate::blob::BASE64;
use crate::error::KmsError;

use super::EncryptionContext;
use super::json::{Json, Object};
use super::spec::Enumeration;
use super::violation::{Constraint, Path, Shown, Violations};

/// What the service model says of a text.
pub(super) struct Text {
    /// The allowed lengths, in characters.
    length: RangeInclusive<usize>,
    /// The characters it must be made of, if not any.
    pattern: Option<Pattern>,
}

/// A regular expression that a text must match.
struct Pattern {
    /// The expression, as the service model has it.
    expression: &'static str,
    /// What it says.
    form: Form,
}

enum Form {
    /// It lists the characters of a text.
    Characters(fn(char) -> bool),
    /// It says more.
    Whole(fn(&str) -> bool),
}

impl Pattern {
    /// All expressions that list characters end in `+`, but for the marker's `*`.
    fn matches(&self, text: &str) -> bool {
        match self.form {
            Form::Characters(allows) => {
                let enough = !text.is_empty() || self.expression.ends_with('*');
                enough && text.chars().all(allows)
            }
            Form::Whole(matches) => matches(text),
        }
    }
}

impl Text {
    /// A text of any characters.
    pub(super) const fn of_length(length: RangeInclusive<usize>) -> Self {
        Self {
            length,
            pattern: None,
        }
    }

    /// A text made of certain characters.
    pub(super) const fn of_pattern(
        length: RangeInclusive<usize>,
        expression: &'static str,
        allows: fn(char) -> bool,
    ) -> Self {
        Self {
            length,
            pattern: Some(Pattern {
                expression,
                form: Form::Characters(allows),
            }),
        }
    }

    /// A text of a certain form.
    pub(super) const fn of_form(
        length: RangeInclusive<usize>,
        expression: &'static str,
        matches: fn(&str) -> bool,
    ) -> Self {
        Self {
            length,
            pattern: Some(Pattern {
                expression,
                form: Form::Whole(matches),
            }),
        }
    }

    /// The constraints that a text violates.
    fn violated_by(&self, text: &str) -> impl Iterator<Item = Constraint> {
        let pattern = self.pattern.as_ref();
        let pattern = pattern.filter(|pattern| !pattern.matches(text));
        let pattern = pattern.map(|pattern| Constraint::Pattern(pattern.expression));
        let length = match text.is_ascii() {
            true => text.len(),
            false => text.chars().count(),
        };
        let length = Constraint::on_length(length, &self.length);
        length.into_iter().chain(pattern)
    }

    /// All its constraints, for a message on lists of such texts.
    fn constraints(&self) -> Vec<Constraint> {
        vec![
            Constraint::LengthAtMost(*self.length.end()),
            Constraint::LengthAtLeast(*self.length.start()),
        ]
    }
}

/// The members of a request, or of a structure in it.
pub(super) struct Members<'m, 'a> {
    object: Object<'a>,
    /// What leads to the structure, for messages.
    prefix: &'m str,
    violations: &'m mut Violations,
}

impl<'m, 'a> Members<'m, 'a> {
    /// The members of a request.
    pub(super) fn new(request: Object<'a>, violations: &'m mut Violations) -> Self {
        Self {
            object: request,
            prefix: "",
            violations,
        }
    }

    /// A text.
    pub(super) fn text(
        &mut self,
        name: &str,
        shape: &Text,
    ) -> Result<Option<Cow<'a, str>>, KmsError> {
        let Some(value) = self.object.take(name) else {
            return Ok(None);
        };
        let text = into_text(value)?;
        for constraint in shape.violated_by(&text) {
            self.violated(Shown::Text(&text), name, constraint);
        }
        Ok(Some(text))
    }

    /// A text that must be there.
    pub(super) fn required_text(
        &mut self,
        name: &str,
        shape: &Text,
    ) -> Result<Cow<'a, str>, KmsError> {
        self.require(name);
        Ok(self.text(name, shape)?.unwrap_or_default())
    }

    /// A secret text.
    pub(super) fn secret_text(
        &mut self,
        name: &str,
        shape: &Text,
    ) -> Result<Option<Zeroizing<String>>, KmsError> {
        let Some(value) = self.object.take(name) else {
            return Ok(None);
        };
        let secret = Zeroizing::new(into_text(value)?.into_owned());
        for constraint in shape.violated_by(&secret) {
            self.violated(Shown::Hidden, name, constraint);
        }
        Ok(Some(secret))
    }

    /// A secret text that must be there.
    pub(super) fn required_secret_text(
        &mut self,
        name: &str,
        shape: &Text,
    ) -> Result<Zeroizing<String>, KmsError> {
        if !self.object.has(name) {
            self.violated(Shown::Hidden, name, Constraint::NotNull);
        }
        Ok(self.secret_text(name, shape)?.unwrap_or_default())
    }

    /// A value of an enumeration.
    pub(super) fn choice<E: Enumeration>(&mut self, name: &str) -> Result<Option<E>, KmsError> {
        self.choice_of(name, E::ALL)
    }

    /// A value of part of an enumeration.
    pub(super) fn choice_of<E: Enumeration>(
        &mut self,
        name: &str,
        choices: &[E],
    ) -> Result<Option<E>, KmsError> {
        self.choice_refused_with(name, choices, || Constraint::one_of(choices))
    }

    /// A value of an enumeration, whose refusal lists the values of another one.
    pub(super) fn choice_listed_as<E: Enumeration, Listed: Enumeration>(
        &mut self,
        name: &str,
    ) -> Result<Option<E>, KmsError> {
        self.choice_refused_with(name, E::ALL, || Constraint::one_of(Listed::ALL))
    }

    fn choice_refused_with<E: Enumeration>(
        &mut self,
        name: &str,
        choices: &[E],
        constraint: impl FnOnce() -> Constraint,
    ) -> Result<Option<E>, KmsError> {
        let Some(value) = self.object.take(name) else {
            return Ok(None);
        };
        let text = into_text(value)?;
        let choice = find(choices, &text);
        if choice.is_none() {
            self.violated(Shown::Text(&text), name, constraint());
        }
        Ok(choice)
    }

    /// A value of an enumeration that must be there.
    pub(super) fn required_choice<E: Enumeration>(
        &mut self,
        name: &str,
        stand_in: E,
    ) -> Result<E, KmsError> {
        self.require(name);
        Ok(self.choice(name)?.unwrap_or(stand_in))
    }

    /// A number.
    pub(super) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<u16>,
    ) -> Result<Option<u16>, KmsError> {
        let number = match self.object.take(name) {
            None => return Ok(None),
            // Fractions are cut off, and numbers beyond the range of an integer come to its ends.
            // AWS converts the same way (kinesalite records it). JSON has no NaN.
            Some(Json::Number(number)) => number as i32,
            Some(value) => return Err(wrong_type(&value, "an Integer")),
        };
        let constraint = if number > i32::from(*range.end()) {
            Constraint::ValueAtMost((*range.end()).into())
        } else if number < i32::from(*range.start()) {
            Constraint::ValueAtLeast((*range.start()).into())
        } else {
            return Ok(u16::try_from(number).ok());
        };
        self.violated(Shown::Number(number), name, constraint);
        Ok(None)
    }

    /// A time: seconds since the Unix epoch, with a fraction. What is before it counts as the epoch.
    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, KmsError> {
        match self.object.take(name) {
            None => Ok(None),
            Some(Json::Number(seconds)) => {
                let milliseconds = (seconds * 1000.0).round();
                Ok(Some(Timestamp::from_millis(milliseconds as u64)))
            }
            Some(value) => Err(wrong_type(&value, "a Timestamp")),
        }
    }

    /// A yes or no; no when missing.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, KmsError> {
        match self.object.take(name) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(flag),
            Some(value) => Err(wrong_type(&value, "a Boolean")),
        }
    }

    /// Bytes.
    pub(super) fn blob(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<Vec<u8>>, KmsError> {
        let Some(value) = self.object.take(name) else {
            return Ok(None);
        };
        let mut blob = into_blob(value)?;
        if let Some(constraint) = Constraint::on_length(blob.len(), &length) {
            self.violated(Shown::Hidden, name, constraint);
        }
        Ok(Some(mem::take(&mut *blob)))
    }

    /// Bytes that must be there.
    pub(super) fn required_blob(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Vec<u8>, KmsError> {
        self.require(name);
        Ok(self.blob(name, length)?.unwrap_or_default())
    }

    /// Secret bytes that must be there.
    pub(super) fn required_secret(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let Some(value) = self.object.take(name) else {
            self.violated(Shown::Hidden, name, Constraint::NotNull);
            return Ok(Zeroizing::default());
        };
        let secret = into_blob(value)?;
        if let Some(constraint) = Constraint::on_length(secret.len(), &length) {
            self.violated(Shown::Hidden, name, constraint);
        }
        Ok(secret)
    }

    /// A list of texts.
    pub(super) fn texts(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
        shape: &Text,
    ) -> Result<Vec<Cow<'a, str>>, KmsError> {
        let texts = self.list(name, count)?;
        let valid = |text: &str| shape.violated_by(text).next().is_none();
        if !texts.iter().flatten().all(|text| valid(text)) {
            let constraint = Constraint::Items(shape.constraints());
            self.violated(Shown::List(&texts), name, constraint);
        }
        Ok(texts.into_iter().flatten().collect())
    }

    /// A list of texts that must be there.
    pub(super) fn required_texts(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
        shape: &Text,
    ) -> Result<Vec<Cow<'a, str>>, KmsError> {
        self.require(name);
        self.texts(name, count, shape)
    }

    /// A list of values of an enumeration.
    pub(super) fn choices<E: Enumeration>(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<E>, KmsError> {
        let texts = self.list(name, count)?;
        let choices = texts.iter().flatten().map(|text| find(E::ALL, text));
        let valid: Option<Vec<E>> = choices.collect();
        if valid.is_none() {
            let constraint = Constraint::Items(vec![Constraint::one_of(E::ALL)]);
            self.violated(Shown::List(&texts), name, constraint);
        }
        Ok(valid.unwrap_or_default())
    }

    /// An encryption context; empty when missing.
    pub(super) fn context(&mut self, name: &str) -> Result<EncryptionContext<'a>, KmsError> {
        let map = match self.object.take(name) {
            None => return Ok(EncryptionContext::default()),
            Some(Json::Object(map)) => map,
            Some(Json::List(_)) => return Err(unexpected_list()),
            Some(_) => return Err(KmsError::Serialization("Expected map or null".into())),
        };
        let mut pairs = Vec::new();
        for (key, value) in map.into_members() {
            if matches!(value, Json::Null) {
                let constraint = Constraint::MapValues(vec![Constraint::NotNull]);
                self.violated(Shown::MapWithNull(&key), name, constraint);
            } else {
                pairs.push((key, into_text(value)?));
            }
        }
        Ok(pairs.into_iter().collect())
    }

    /// An encryption context that may be missing, which is not the same as an empty one.
    pub(super) fn optional_context(
        &mut self,
        name: &str,
    ) -> Result<Option<EncryptionContext<'a>>, KmsError> {
        let given = self.object.has(name);
        let context = self.context(name)?;
        Ok(given.then_some(context))
    }

    /// A list of values of an enumeration that must be there.
    pub(super) fn required_choices<E: Enumeration>(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<E>, KmsError> {
        self.require(name);
        self.choices(name, count)
    }

    /// A structure.
    pub(super) fn structure<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Members<'_, 'a>) -> Result<T, KmsError>,
    ) -> Result<Option<T>, KmsError> {
        let Some(value) = self.object.take(name) else {
            return Ok(None);
        };
        let prefix = format!("{}.", self.path(name));
        let mut members = Members {
            object: into_object(value)?,
            prefix: &prefix,
            violations: self.violations,
        };
        read(&mut members).map(Some)
    }

    /// A list of structures; empty when missing.
    pub(super) fn structures<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Members<'_, 'a>) -> Result<T, KmsError>,
    ) -> Result<Vec<T>, KmsError> {
        let items = self.items(name)?.unwrap_or_default();
        let mut structures = Vec::with_capacity(items.len());
        for (item, number) in items.into_iter().zip(1..) {
            let item_prefix = format!("{}.{number}.", self.path(name));
            if matches!(item, Json::Null) {
                let path = Path {
                    prefix: &item_prefix,
                    name: "member",
                };
                self.violations.add(Shown::Null, &path, Constraint::NotNull);
                continue;
            }
            let prefix = format!("{item_prefix}member.");
            let mut members = Members {
                object: into_object(item)?,
                prefix: &prefix,
                violations: self.violations,
            };
            structures.push(read(&mut members)?);
        }
        Ok(structures)
    }

    /// A list of structures that must be there.
    pub(super) fn required_structures<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Members<'_, 'a>) -> Result<T, KmsError>,
    ) -> Result<Vec<T>, KmsError> {
        self.require(name);
        self.structures(name, read)
    }

    /// A list of texts, some of which may be `null`; notes it if the count is wrong or any is.
    fn list(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<Option<Cow<'a, str>>>, KmsError> {
        let Some(items) = self.items(name)? else {
            return Ok(Vec::new());
        };
        let texts = items.into_iter().map(|item| match item {
            Json::Null => Ok(None),
            item => into_text(item).map(Some),
        });
        let texts: Vec<_> = texts.collect::<Result<_, _>>()?;
        if let Some(constraint) = Constraint::on_length(texts.len(), &count) {
            self.violated(Shown::List(&texts), name, constraint);
        }
        if texts.contains(&None) {
            let constraint = Constraint::Items(vec![Constraint::NotNull]);
            self.violated(Shown::List(&texts), name, constraint);
        }
        Ok(texts)
    }

    fn items(&mut self, name: &str) -> Result<Option<Vec<Json<'a>>>, KmsError> {
        match self.object.take(name) {
            None => Ok(None),
            Some(Json::List(items)) => Ok(Some(items)),
            Some(Json::Object(_)) => Err(unexpected_structure()),
            Some(_) => Err(KmsError::Serialization("Expected list or null".into())),
        }
    }

    fn require(&mut self, name: &str) {
        if !self.object.has(name) {
            self.violated(Shown::Null, name, Constraint::NotNull);
        }
    }

    fn violated(&mut self, value: Shown<'_>, name: &str, constraint: Constraint) {
        self.violations.add(value, &self.path(name), constraint);
    }

    fn path<'n>(&self, name: &'n str) -> Path<'n>
    where
        'm: 'n,
    {
        Path {
            prefix: self.prefix,
            name,
        }
    }
}

fn find<E: Enumeration>(choices: &[E], name: &str) -> Option<E> {
    choices.iter().copied().find(|choice| choice.name() == name)
}

fn into_text(value: Json<'_>) -> Result<Cow<'_, str>, KmsError> {
    match value {
        Json::Text(text) => Ok(text),
        value => Err(wrong_type(&value, "a String")),
    }
}

/// Decodes a blob: standard base64 with its padding, nothing else. It may be plaintext, so nothing
/// of it stays behind, and the message never repeats any.
fn into_blob(value: Json<'_>) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let text = match value {
        Json::Text(text) => text,
        value => return Err(wrong_type(&value, "a Blob")),
    };
    let mut blob = Zeroizing::new(Vec::with_capacity(decoded_len_estimate(text.len())));
    let decoded = BASE64.decode_vec(text.as_bytes(), &mut blob);
    if let Cow::Owned(mut text) = text {
        // A copy, made because the body had escapes in it.
        text.zeroize();
    }
    match decoded {
        Ok(()) => Ok(blob),
        Err(_) => Err(KmsError::Serialization(
            "Invalid Base64 encoding of a Blob".into(),
        )),
    }
}

fn into_object(value: Json<'_>) -> Result<Object<'_>, KmsError> {
    match value {
        Json::Object(object) => Ok(object),
        Json::List(_) => Err(unexpected_list()),
        _ => Err(KmsError::Serialization("Expected null".into())),
    }
}

/// The error for a scalar, list or structure where the model has another scalar.
fn wrong_type(value: &Json<'_>, expected: &str) -> KmsError {
    match value {
        Json::List(_) => unexpected_list(),
        Json::Object(_) => unexpected_structure(),
        value => {
            let token = value.token();
            KmsError::Serialization(format!("{token} can not be converted to {expected}").into())
        }
    }
}

fn unexpected_list() -> KmsError {
    KmsError::Serialization("Start of list found where not expected".into())
}

fn unexpected_structure() -> KmsError {
    KmsError::Serialization("Start of structure or map found where not expected.".into())
}

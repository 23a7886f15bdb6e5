//! Members of a JSON object that is written once, in the order in which they came.

use std::borrow::Cow;

use serde_json::Value;

use crate::hexadecimal::Digits;
use crate::json_writer;
use crate::key::BackingKeyId;

/// Members by name. An event has few, so a name is looked for from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(Cow<'static, str>, Member)>);

/// The value of a member.
#[derive(Clone, Debug)]
pub(crate) enum Member {
    Text(Cow<'static, str>),
    /// The id of key material, in its digits.
    Material(BackingKeyId),
    /// Anything else.
    Value(Value),
}

impl Object {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a member, or replaces the one of that name.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, member: impl Into<Member>) {
        let (name, member) = (name.into(), member.into());
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, place)) => *place = member,
            None => self.0.push((name, member)),
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Member) -> bool) {
        self.0.retain(|(_, member)| keep(member));
    }

    pub(super) fn write(&self, o: &mut json_writer::Object<'_>) {
        for (name, member) in &self.0 {
            match member {
                Member::Text(text) => o.text(name, text),
                Member::Material(id) => o.text(name, Digits::of(id.as_bytes()).as_str()),
                Member::Value(value) => o.value(name, value),
            }
        }
    }
}

impl From<&'static str> for Member {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Cow<'static, str>> for Member {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Member {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<BackingKeyId> for Member {
    fn from(id: BackingKeyId) -> Self {
        Self::Material(id)
    }
}

impl From<Value> for Member {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

//! Object of a JSON object that is written once, in the order in which they came.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::protocol::EncryptionContext;

/// Object by name. An event has few, so a name is looked for from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(Cow<'static, str>, Member)>);

/// The value of a member.
#[derive(Clone, Debug)]
pub(crate) enum Member {
    Text(Cow<'static, str>),
    /// Texts by name.
    Texts(Vec<(String, String)>),
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.0.iter().map(|(name, member)| (&**name, member))
    }

    /// No fewer bytes than this makes in JSON.
    pub(super) fn most_bytes(&self) -> usize {
        let members = self.0.iter().map(|(name, member)| {
            most_text_bytes(name)
                + match member {
                    Member::Text(text) => most_text_bytes(text),
                    Member::Texts(texts) => texts
                        .iter()
                        .map(|(name, text)| most_text_bytes(name) + most_text_bytes(text))
                        .sum(),
                    Member::Value(Value::Null | Value::Bool(_) | Value::Number(_)) => 32,
                    Member::Value(Value::String(text)) => most_text_bytes(text),
                    Member::Value(value) => {
                        serde_json::to_vec(value).map_or(usize::MAX / 2, |json| json.len())
                    }
                }
        });
        members.fold(2, usize::saturating_add)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Member) -> bool) {
        self.0.retain(|(_, member)| keep(member));
    }
}

/// No fewer bytes than a text makes in JSON, with its quotes and one byte after it. Control
/// characters become six.
fn most_text_bytes(text: &str) -> usize {
    text.len().saturating_mul(6).saturating_add(3)
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Texts(texts) => {
                let mut map = serializer.serialize_map(Some(texts.len()))?;
                for (name, text) in texts {
                    map.serialize_entry(name, text)?;
                }
                map.end()
            }
            Self::Value(value) => value.serialize(serializer),
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

impl From<&EncryptionContext> for Member {
    fn from(context: &EncryptionContext) -> Self {
        let texts = context.iter();
        Self::Texts(
            texts
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .collect(),
        )
    }
}

impl From<Value> for Member {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

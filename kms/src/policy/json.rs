//! A policy's JSON as a tree. Stricter than JSON itself: no member comes twice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number in decimal notation.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Object),
}

/// The members of an object.
pub(super) type Object = BTreeMap<String, Json>;

impl Json {
    /// Parses a text. serde_json bounds the depth (128).
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value as text, if it is one.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values of a list, or the one value that stands for a list of one.
    pub(super) fn into_list(self) -> Vec<Self> {
        match self {
            Self::List(values) => values,
            value => vec![value],
        }
    }

    /// A text or a list of texts.
    pub(super) fn into_texts(self) -> Option<Vec<String>> {
        self.into_list().into_iter().map(Self::into_text).collect()
    }

    /// A value of a condition, or a list of such. AWS takes numbers and booleans for their text.
    pub(super) fn into_scalars(self) -> Option<Vec<String>> {
        let scalar = |value| match value {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(value) => Some(value.to_string()),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        };
        self.into_list().into_iter().map(scalar).collect()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Value)
    }
}

struct Value;

impl<'de> Visitor<'de> for Value {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Object::new();
        while let Some(name) = map.next_key()? {
            match members.entry(name) {
                Entry::Vacant(entry) => entry.insert(map.next_value()?),
                Entry::Occupied(_) => return Err(A::Error::custom("a member comes twice")),
            };
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_member_comes_twice_at_any_depth() {
        assert!(Json::parse(r#"{"a":1,"b":{"a":1}}"#).is_some());
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":{"a":[],"a":[]}}]"#,
        ] {
            assert!(Json::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_deep_text_is_refused_and_not_followed() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        assert!(Json::parse(&deep).is_none());
    }

    #[test]
    fn numbers_and_booleans_stand_for_their_text() {
        let scalars = |text| Json::parse(text).and_then(Json::into_scalars);
        let expected = ["7", "-7", "0.5", "18446744073709551615", "true", "x"];
        assert_eq!(
            scalars(r#"[7, -7, 0.5, 18446744073709551615, true, "x"]"#).unwrap(),
            expected
        );
        assert_eq!(scalars("false").unwrap(), ["false"]);
        for text in ["null", "[null]", "[[]]", "{}", "[{}]"] {
            assert_eq!(scalars(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_of_texts_holds_nothing_else() {
        let texts = |text| Json::parse(text).and_then(Json::into_texts);
        assert_eq!(texts(r#""a""#).unwrap(), ["a"]);
        assert_eq!(texts(r#"["a","b"]"#).unwrap(), ["a", "b"]);
        assert_eq!(texts("[]").unwrap(), [""; 0]);
        for text in ["1", "[1]", r#"["a",null]"#, "{}", "true"] {
            assert_eq!(texts(text), None, "{text}");
        }
    }
}

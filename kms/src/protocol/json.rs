//! A request body as a JSON tree that borrows from the body.
//!
//! Members are found by name afterwards, which gives the leniency AWS has and typed parsers lack:
//! unknown members are ignored, `null` means missing, and of two members of the same name the last
//! counts.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::KmsError;

/// How many values a body may hold. A request needs a few dozen, and a large encryption context a
/// few hundred; without a limit a body of one megabyte could take thirty times that in memory.
const MAX_VALUES: usize = 20_000;

/// A JSON value.
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// A number, as far as a double can tell it.
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of a JSON object, in the order sent.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Parses a body that must be one JSON object.
    ///
    /// # Errors
    ///
    /// SerializationException without a message, as AWS answers to any malformed body, the empty
    /// one included.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, KmsError> {
        let left = Cell::new(MAX_VALUES);
        // All of it at once is quicker than each text by itself.
        let parsed = str::from_utf8(body).ok().and_then(|body| {
            let mut deserializer = serde_json::Deserializer::from_str(body);
            let value = Value { left: &left }.deserialize(&mut deserializer).ok()?;
            deserializer.end().ok()?;
            Some(value)
        });
        match parsed {
            Some(Json::Object(object)) => Ok(object),
            _ => Err(KmsError::Serialization("".into())),
        }
    }

    /// Whether a member is there and not `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        let member = self.0.iter().rev().find(|(key, _)| key == name);
        member.is_some_and(|(_, value)| !matches!(value, Json::Null))
    }

    /// Takes a member out. `None` if it is missing or `null`.
    pub(super) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let member = self.0.iter_mut().rev().find(|(key, _)| key == name);
        let (_, value) = member?;
        match std::mem::replace(value, Json::Null) {
            Json::Null => None,
            value => Some(value),
        }
    }

    /// All members, in the order sent.
    pub(super) fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
        self.0.into_iter()
    }
}

impl Json<'_> {
    /// The value's kind, as AWS's parser names its tokens.
    pub(super) fn token(&self) -> &'static str {
        match self {
            Self::Null => "NULL_VALUE",
            Self::Bool(true) => "TRUE_VALUE",
            Self::Bool(false) => "FALSE_VALUE",
            Self::Number(_) => "NUMBER_VALUE",
            Self::Text(_) => "STRING_VALUE",
            Self::List(_) => "START_ARRAY",
            Self::Object(_) => "START_OBJECT",
        }
    }
}

/// Reads one value while there are any left to read. serde_json bounds the depth (128).
#[derive(Clone, Copy)]
struct Value<'b> {
    left: &'b Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(serde::de::Error::custom("too many values"));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        // Beyond 2⁵³, where a double is not exact, no member has a use for a number.
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(self)?));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// Reads a member's name, borrowed if it holds no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_not_one_object_are_refused_without_a_word() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        let deep_member = [br#"{"a":"#.repeat(50_000), b"1".to_vec()].concat();
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_VALUES));
        let malformed: &[&[u8]] = &[
            b"",
            b" ",
            b"null",
            b"[]",
            b"\"{}\"",
            b"1",
            b"{",
            b"{}x",
            b"{}{}",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\" 1}",
            b"{\"a\":01}",
            b"{\"a\":NaN}",
            b"{\"a\":1e999}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\xff\"}",
            b"{\"\xc3\":1}",
            b"\xef\xbb\xbf{}",
            &deep,
            &deep_member,
            many.as_bytes(),
        ];
        for body in malformed {
            let error = Object::parse(body).err().expect("malformed");
            assert_eq!(error, KmsError::Serialization("".into()));
        }
    }

    #[test]
    fn the_last_member_of_a_name_counts_and_null_is_missing() {
        let mut object = Object::parse(br#" {"a":1,"b":2,"a":null,"b":-7,"\u0063":"\u0000x"} "#)
            .expect("well-formed");
        assert!(object.take("a").is_none());
        assert!(matches!(object.take("b"), Some(Json::Number(-7.0))));
        assert!(matches!(object.take("c"), Some(Json::Text(text)) if text == "\0x"));
        assert!(object.take("c").is_none(), "taken already");
        assert!(object.take("d").is_none());
    }

    #[test]
    fn numbers_are_cut_to_integers_and_stay_within_range() {
        let cases = [
            ("32", 32),
            ("32.0", 32),
            ("32.9", 32),
            ("-32.9", -32),
            ("3.2e1", 32),
            ("-0", 0),
            ("2147483648", i32::MAX),
            ("-2147483649", i32::MIN),
            ("18446744073709551616", i32::MAX),
            ("123456789012345678901234567890", i32::MAX),
            ("-1e300", i32::MIN),
        ];
        for (text, expected) in cases {
            let body = format!("{{\"n\":{text}}}");
            let mut object = Object::parse(body.as_bytes()).expect("well-formed");
            let number = object.take("n");
            assert!(
                matches!(number, Some(Json::Number(n)) if n as i32 == expected),
                "{text}"
            );
        }
    }
}

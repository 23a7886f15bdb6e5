//! The names things have: accounts, regions, key ids, aliases, and the ARNs made of them.
//!
//! A `KeyId` member may hold any of four forms ([`KeyRef`]). Names are compared byte for byte: an
//! id in capitals is the id of no key.

mod alias;
mod arn;
mod key_id;
mod key_ref;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use alias::AliasName;
pub use arn::{alias_arn, key_arn, role_arn, root_arn, session_arn, user_arn, user_arn_under};
pub(crate) use arn::{is_root_arn, role_of_session};
pub use key_id::KeyId;
pub use key_ref::KeyRef;

/// A text is not a name of the kind asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not {what}")]
pub struct NameError {
    /// What was asked for, with its article: "a region", "an account id".
    pub what: &'static str,
}

/// An AWS account: twelve digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// The twelve digits in ASCII.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        // They are digits.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for AccountId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match <[u8; 12]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(digits)),
            _ => Err(NameError {
                what: "an account id of 12 digits",
            }),
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An AWS region, such as `eu-central-1`: `^([a-z]+-){2,3}\d+$`, at most 32 characters.
///
/// Any region of that shape exists here: it is a name space for keys, not a place.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region(Arc<str>);

impl Region {
    /// The region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text of any length has the form of a region's name.
    pub(crate) fn is_name(text: &str) -> bool {
        let made_of = |part: &[u8], of: fn(&u8) -> bool| !part.is_empty() && part.iter().all(of);
        let mut parts = text.as_bytes().rsplit(|byte| *byte == b'-');
        let number = parts.next().unwrap_or_default();
        let mut words = 0;
        made_of(number, u8::is_ascii_digit)
            && parts
                .inspect(|_| words += 1)
                .all(|word| made_of(word, u8::is_ascii_lowercase))
            && (2..=3).contains(&words)
    }
}

impl FromStr for Region {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() <= 32 && Self::is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(NameError { what: "a region" })
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_twelve_digits() {
        let account: AccountId = "123456789012".parse().expect("an account");
        assert_eq!(account.to_string(), "123456789012");
        for text in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901x",
            "１23456789",
        ] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }

    #[test]
    fn regions_have_the_shape_of_the_model() {
        for text in [
            "us-east-1",
            "us-gov-west-1",
            "ap-southeast-15",
            "a-b-0",
            "us-isob-east-1",
        ] {
            let region: Region = text.parse().expect(text);
            assert_eq!(region.as_str(), text);
        }
        for text in [
            "",
            "us",
            "us-1",
            "east-1",
            "us-east-",
            "us-east-1a",
            "us-east",
            "-east-1",
            "us--1",
            "US-EAST-1",
            "a-b-c-d-1",
            "us-east-1 ",
            "us-east-1\n",
            "us-éast-1",
            "aaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbb-1",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}

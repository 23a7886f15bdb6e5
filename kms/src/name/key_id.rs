//! The ids of keys.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;

use super::NameError;

/// The id of a KMS key: a UUID, or for a multi-Region key `mrk-` and 32 hexadecimal digits.
///
/// Ordered as its text is.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId {
    multi_region: bool,
    bytes: [u8; 16],
}

impl KeyId {
    /// Length in ciphertexts and records.
    pub const LEN: usize = 17;

    /// The lowest id there is.
    pub(crate) const LOWEST: Self = Self::new([0; 16], false);

    /// The id with these 16 bytes.
    pub const fn new(bytes: [u8; 16], multi_region: bool) -> Self {
        Self {
            multi_region,
            bytes,
        }
    }

    /// A new random id.
    pub fn generate(multi_region: bool, random: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Self::new(uuid.into_bytes(), multi_region)
    }

    /// The id's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether it is the id of a multi-Region key.
    pub const fn is_multi_region(&self) -> bool {
        self.multi_region
    }

    /// Whether a text has the form of an id but for its capital letters, so that it is the id of no
    /// key.
    pub(crate) fn is_in_capitals(text: &str) -> bool {
        let small = text.to_ascii_lowercase();
        small != text && small.parse::<Self>().is_ok()
    }

    /// The id as ciphertexts and records hold it: a form byte, 0 for a UUID and 1 for a
    /// multi-Region id, and the 16 bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [u8::from(self.multi_region); Self::LEN];
        bytes[1..].copy_from_slice(&self.bytes);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) makes; `None` for an unknown form byte.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (form, id) = bytes.split_first_chunk::<1>()?;
        let multi_region = match form {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        Some(Self::new(id.try_into().ok()?, multi_region))
    }
}

impl FromStr for KeyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const ERROR: NameError = NameError { what: "a key id" };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ERROR);
        }
        let (multi_region, parsed) = match text.strip_prefix("mrk-") {
            Some(digits) => (true, uuid::fmt::Simple::from_str(digits).map(Into::into)),
            None => (false, uuid::fmt::Hyphenated::from_str(text).map(Into::into)),
        };
        let parsed: uuid::Uuid = parsed.map_err(|_| ERROR)?;
        Ok(Self::new(parsed.into_bytes(), multi_region))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = uuid::Uuid::from_bytes(self.bytes);
        if self.multi_region {
            write!(f, "mrk-{}", uuid.as_simple())
        } else {
            write!(f, "{}", uuid.as_hyphenated())
        }
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const MRK: &str = "mrk-1234abcd12ab34cd56ef1234567890ab";

    #[test]
    fn key_ids_have_a_form_byte_in_records() {
        for (text, form) in [(ID, 0), (MRK, 1)] {
            let id: KeyId = text.parse().expect("a key id");
            let mut bytes = id.to_bytes();
            assert_eq!(bytes[0], form);
            assert_eq!(bytes[1..], id.as_bytes()[..]);
            assert_eq!(KeyId::from_bytes(&bytes), Some(id));
            bytes[0] = 2;
            assert_eq!(KeyId::from_bytes(&bytes), None);
        }
    }

    #[test]
    fn key_ids_are_ordered_as_their_texts_are() {
        let mut ids: Vec<KeyId> = [
            MRK,
            "f0000000-0000-0000-0000-000000000000",
            "mrk-00000000000000000000000000000000",
            ID,
            "00000000-0000-0000-0000-0000000000ff",
        ]
        .map(|text| text.parse().expect(text))
        .into();
        let mut texts: Vec<String> = ids.iter().map(KeyId::to_string).collect();
        ids.sort();
        texts.sort();
        assert_eq!(ids.iter().map(KeyId::to_string).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn an_id_in_capitals_has_the_form_of_one() {
        for (text, form) in [
            ("1234ABCD-12AB-34CD-56EF-1234567890AB", true),
            ("mrk-1234ABCD12ab34cd56ef1234567890ab", true),
            (ID, false),
            ("FOO", false),
        ] {
            assert_eq!(KeyId::is_in_capitals(text), form, "{text}");
        }
    }
}

//! Secrets as they leave an enclave: encrypted to who is to have them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A secret that only the holder of a key reads. In JSON `{"age": …}` or `{"rsa": …}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealed {
    /// An armored age file.
    Age(String),
    /// RSAES-OAEP with SHA-256, in JSON in base64.
    #[serde(with = "base64_text")]
    Rsa(Vec<u8>),
}

/// A share for the operator who is to hold it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SealedShare {
    /// The operator's name.
    pub operator: String,
    /// The share's text.
    #[serde(flatten)]
    pub share: Sealed,
}

impl Sealed {
    /// What a file with it contains.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Age(text) => text.as_bytes(),
            Self::Rsa(bytes) => bytes,
        }
    }

    /// What the name of such a file ends with.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Age(_) => "age",
            Self::Rsa(_) => "rsa",
        }
    }
}

mod base64_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_a_sealed_secret_says_how_it_is_sealed() {
        for (sealed, json) in [
            (Sealed::Age("armor".to_owned()), r#"{"age":"armor"}"#),
            (Sealed::Rsa(vec![1, 2, 3, 255]), r#"{"rsa":"AQID/w=="}"#),
        ] {
            assert_eq!(serde_json::to_string(&sealed).unwrap(), json);
            let share = SealedShare {
                operator: "ada".to_owned(),
                share: sealed,
            };
            let json = json.replace('{', r#"{"operator":"ada","#);
            assert_eq!(serde_json::to_string(&share).unwrap(), json);
            assert_eq!(serde_json::from_str::<SealedShare>(&json).unwrap(), share);
        }
        for json in [r#"{"operator":"ada"}"#, r#"{"operator":"ada","rsa":"?"}"#] {
            assert!(serde_json::from_str::<SealedShare>(json).is_err());
        }
    }
}

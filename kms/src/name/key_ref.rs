//! How requests name keys.

use super::arn::PARTITION;
use super::{AccountId, AliasName, KeyId, Region};
use crate::error::KmsError;

/// How a request names a key: one of the four forms a `KeyId` member may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyRef {
    /// `1234abcd-12ab-34cd-56ef-1234567890ab` or `mrk-…`, in the caller's account and region.
    Id(KeyId),
    /// `arn:aws:kms:<region>:<account>:key/<id>`.
    Arn {
        /// The region the key is in.
        region: Region,
        /// The account the key belongs to.
        account: AccountId,
        /// The key's id.
        id: KeyId,
    },
    /// `alias/<name>`, in the caller's account and region.
    Alias(AliasName),
    /// `arn:aws:kms:<region>:<account>:alias/<name>`.
    AliasArn {
        /// The region the alias is in.
        region: Region,
        /// The account the alias belongs to.
        account: AccountId,
        /// The alias.
        alias: AliasName,
    },
}

impl KeyRef {
    /// Parses any of the four forms.
    ///
    /// # Errors
    ///
    /// NotFoundException `Invalid keyId '<text>'` for whatever is none of them; of an ARN it tells
    /// the id alone, without quotes.
    pub fn parse(text: &str) -> Result<Self, KmsError> {
        Self::parse_forms(text).ok_or_else(|| match id_in_arn(text) {
            Some(id) => KmsError::NotFound(format!("Invalid keyId {id}").into()),
            None => KmsError::invalid_key_id(text),
        })
    }

    /// Parses the forms of operations that manage a key: id or key ARN.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), and InvalidArnException for the name or ARN of an alias.
    pub fn parse_without_alias(text: &str) -> Result<Self, KmsError> {
        if text.starts_with("alias/") || text.starts_with("arn:") && text.contains(":alias/") {
            return Err(KmsError::InvalidArn(
                "Key Aliases are not supported for this operation.".into(),
            ));
        }
        Self::parse(text)
    }

    fn parse_forms(text: &str) -> Option<Self> {
        if text.starts_with("alias/") {
            return text.parse().ok().map(Self::Alias);
        }
        let Some(rest) = text.strip_prefix("arn:") else {
            return text.parse().ok().map(Self::Id);
        };
        let mut parts = rest.splitn(5, ':');
        if parts.next()? != PARTITION || parts.next()? != "kms" {
            return None;
        }
        let region = parts.next()?.parse().ok()?;
        let account = parts.next()?.parse().ok()?;
        let resource = parts.next()?;
        if let Some(id) = resource.strip_prefix("key/") {
            let id = id.parse().ok()?;
            Some(Self::Arn {
                region,
                account,
                id,
            })
        } else {
            let alias = resource.parse().ok()?;
            Some(Self::AliasArn {
                region,
                account,
                alias,
            })
        }
    }
}

/// What stands in place of the id in the ARN of a key.
fn id_in_arn(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("arn:")?.strip_prefix(PARTITION)?;
    let resource = rest.strip_prefix(":kms:")?.splitn(3, ':').nth(2)?;
    resource.strip_prefix("key/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{alias_arn, key_arn};
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const MRK: &str = "mrk-1234abcd12ab34cd56ef1234567890ab";

    #[test]
    fn key_references_have_four_forms() {
        let region: Region = "eu-west-2".parse().expect("a region");
        let account: AccountId = "123456789012".parse().expect("an account");
        let alias: AliasName = "alias/a/b_c-D9".parse().expect("an alias");
        for text in [ID, MRK] {
            let id: KeyId = text.parse().expect(text);
            assert_eq!(id.to_string(), text);
            assert_eq!(id.is_multi_region(), text == MRK);
            assert_eq!(KeyRef::parse(text), Ok(KeyRef::Id(id)));
            let arn = key_arn(&region, account, id);
            assert_eq!(
                arn,
                format!("arn:aws:kms:eu-west-2:123456789012:key/{text}")
            );
            let key = KeyRef::Arn {
                region: region.clone(),
                account,
                id,
            };
            assert_eq!(KeyRef::parse(&arn), Ok(key.clone()));
            assert_eq!(KeyRef::parse_without_alias(&arn), Ok(key));
        }
        let arn = alias_arn(&region, account, &alias);
        assert_eq!(arn, "arn:aws:kms:eu-west-2:123456789012:alias/a/b_c-D9");
        assert_eq!(
            KeyRef::parse("alias/a/b_c-D9"),
            Ok(KeyRef::Alias(alias.clone()))
        );
        assert_eq!(
            KeyRef::parse(&arn),
            Ok(KeyRef::AliasArn {
                region,
                account,
                alias
            })
        );
        assert_eq!(
            KeyRef::parse("alias/aws/ebs"),
            Ok(KeyRef::Alias("alias/aws/ebs".parse().expect("an alias")))
        );
        for text in ["alias/a/b_c-D9", &arn, "alias/", "alias/a b"] {
            assert_eq!(
                KeyRef::parse_without_alias(text),
                Err(KmsError::InvalidArn(
                    "Key Aliases are not supported for this operation.".into()
                ))
            );
        }
    }

    #[test]
    fn everything_else_is_an_invalid_key_id() {
        for text in [
            "",
            "fake-key-id",
            "mrk-fake-key-id",
            "1234abcd12ab34cd56ef1234567890ab",
            "1234ABCD-12AB-34CD-56EF-1234567890AB",
            "{1234abcd-12ab-34cd-56ef-1234567890ab}",
            "urn:uuid:1234abcd-12ab-34cd-56ef-1234567890ab",
            "1234abcd-12ab-34cd-56ef-1234567890a",
            "1234abcd-12ab-34cd-56ef-1234567890abc",
            "1234abcd-12ab-34cd-56ef-1234567890ag",
            "mrk-1234abcd-12ab-34cd-56ef-1234567890ab",
            "MRK-1234abcd12ab34cd56ef1234567890ab",
            "mrk-1234abcd12ab34cd56ef1234567890abmrk-",
            "alias/",
            "alias/a b",
            "alias/a:b",
            "Alias/a",
            "arn:aws:kms:us-east-1:123456789012:key",
            "arn:aws:s3:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:gcp:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:123456789012:1234abcd-12ab-34cd-56ef-1234567890ab",
            "key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "a\0b",
        ] {
            let expected = KmsError::NotFound(format!("Invalid keyId '{text}'").into());
            assert_eq!(KeyRef::parse(text), Err(expected), "{text}");
        }
        for (scope, id) in [
            ("us-east-1:123456789012", ""),
            ("us-east-1:123456789012", "foo"),
            ("us-east-1:123456789012", "alias/a"),
            (
                "us-east-1:123456789012",
                "1234abcd-12ab-34cd-56ef-1234567890ab:x",
            ),
            (
                "us-east-1:12345678901",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            ),
            (
                "nowhere:123456789012",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            ),
        ] {
            let arn = format!("arn:aws:kms:{scope}:key/{id}");
            let expected = KmsError::NotFound(format!("Invalid keyId {id}").into());
            assert_eq!(KeyRef::parse(&arn), Err(expected), "{arn}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), arn in "arn:aws:kms:[a-z0-9:/-]{0,80}") {
            for text in [text, arn] {
                if let Ok(key) = KeyRef::parse(&text) {
                    let again = match key {
                        KeyRef::Id(id) => id.to_string(),
                        KeyRef::Alias(alias) => alias.to_string(),
                        KeyRef::Arn { region, account, id } => key_arn(&region, account, id),
                        KeyRef::AliasArn { region, account, alias } => alias_arn(&region, account, &alias),
                    };
                    prop_assert_eq!(again, text);
                }
            }
        }
    }
}

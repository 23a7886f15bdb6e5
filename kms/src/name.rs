//! The names things have: accounts, regions, key ids, aliases, and the ARNs made of them.
//!
//! A `KeyId` member may hold any of four forms ([`KeyRef`]). Names are compared byte for byte: an
//! id in capitals is the id of no key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand_core::CryptoRng;

use crate::error::KmsError;

/// The partition all our ARNs are in.
const PARTITION: &str = "aws";

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

/// The name of an alias, `alias/` included.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// The name as CreateAlias, UpdateAlias and DeleteAlias take it.
    ///
    /// # Errors
    ///
    /// AWS's ValidationException for a missing prefix and for characters an alias can't have,
    /// and its NotAuthorizedException for the reserved names under `alias/aws/`.
    pub fn parse(text: &str) -> Result<Self, KmsError> {
        if !text.starts_with("alias/") {
            return Err(KmsError::validation(
                "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            ));
        }
        if text.starts_with("alias/aws/") {
            return Err(KmsError::NotAuthorized("".into()));
        }
        text.parse().map_err(|_| {
            KmsError::validation(format!("{text} contains invalid characters for an alias"))
        })
    }

    /// The name, `alias/` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AliasName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.len() <= 256
            && text.strip_prefix("alias/").is_some_and(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
            });
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(NameError {
                what: "an alias name",
            })
        }
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// The ARN of a key.
pub fn key_arn(region: &Region, account: AccountId, id: impl fmt::Display) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:key/{id}")
}

/// The ARN of an alias.
pub fn alias_arn(region: &Region, account: AccountId, alias: &AliasName) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:{alias}")
}

/// Whether a text is the ARN of the root user of some account.
pub(crate) fn is_root_arn(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.nth(4).is_some_and(|account| {
        account
            .parse()
            .is_ok_and(|account| text == root_arn(account))
    })
}

/// The account and the role's name in the ARN of a session.
pub(crate) fn role_of_session(arn: &str) -> Option<(AccountId, &str)> {
    let (account, resource) = arn.strip_prefix("arn:aws:sts::")?.split_once(':')?;
    let (role, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    let account = account.parse().ok()?;
    (!session.is_empty()).then_some((account, role))
}

/// The ARN of an IAM user.
pub fn user_arn(account: AccountId, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:user/{name}")
}

/// The ARN of an IAM user under a path: `/`, or more between two of them.
pub fn user_arn_under(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:user{path}{name}")
}

/// The ARN of an IAM role under a path.
pub fn role_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:role{path}{name}")
}

/// The ARN of a session of a role, which leaves out the role's path.
pub fn session_arn(account: AccountId, role: &str, session: &str) -> String {
    format!("arn:{PARTITION}:sts::{account}:assumed-role/{role}/{session}")
}

/// The ARN that stands for a whole account: its root user.
pub fn root_arn(account: AccountId) -> String {
    format!("arn:{PARTITION}:iam::{account}:root")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(
            user_arn(account, "ada"),
            "arn:aws:iam::123456789012:user/ada"
        );
        assert_eq!(root_arn(account), "arn:aws:iam::123456789012:root");
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

    #[test]
    fn alias_names_are_refused_in_the_words_of_aws() {
        assert_eq!(
            AliasName::parse("alias/a").map(|alias| alias.to_string()),
            Ok("alias/a".into())
        );
        for text in ["a", "Alias/a", "/alias/a", ""] {
            assert_eq!(
                AliasName::parse(text),
                Err(KmsError::validation(
                    "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
                ))
            );
        }
        for text in ["alias/my:alias", "alias/", "alias/a b", "alias/é"] {
            let expected = format!("{text} contains invalid characters for an alias");
            assert_eq!(AliasName::parse(text), Err(KmsError::validation(expected)));
        }
        for text in ["alias/aws/", "alias/aws/ebs"] {
            assert!(
                matches!(AliasName::parse(text), Err(KmsError::NotAuthorized(_))),
                "{text}"
            );
        }
        assert!(AliasName::parse("alias/awsome").is_ok());
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

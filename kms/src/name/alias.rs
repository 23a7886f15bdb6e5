//! The names of aliases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::NameError;
use crate::error::KmsError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}

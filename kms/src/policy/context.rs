//! What a policy may ask about a request.

use std::borrow::Cow;

use crate::name::AccountId;

/// One request, as policies see it.
///
/// Condition values are asked for one by one, and only when a statement applies as far as its
/// principals, actions and resources go; each at most once in a decision. So nothing needs to be
/// prepared that no policy asks for.
pub trait RequestContext {
    /// Who calls.
    fn caller(&self) -> Caller<'_>;

    /// What for: `kms:Decrypt`.
    fn action(&self) -> &str;

    /// On what: an ARN, or `*` for an action that has no resource.
    fn resource(&self) -> &str;

    /// The values of a condition key. `None` if the key is absent from the request; no values at
    /// all mean the same.
    ///
    /// The key comes in lower case, as the constants of [`keys`](super::keys) are; a policy may
    /// write it in any. Policy variables are looked up here too.
    fn condition_values(&self, key: &str) -> Option<Values<'_>>;
}

/// Who calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caller<'a> {
    /// The account.
    pub account: AccountId,
    /// The ARN: of the user, of the session, or of the account's root.
    pub arn: &'a str,
    /// The unique id of the user or of the role (`AIDA…`, `AROA…`), for the root user the account's
    /// id.
    pub id: &'a str,
    /// Which identity of the account it is.
    pub kind: CallerKind<'a>,
}

/// Which identity of an account calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallerKind<'a> {
    /// The root user.
    Root,
    /// An IAM user.
    User,
    /// A session of a role.
    Session {
        /// The ARN of the role, `arn:aws:iam::<account>:role/<path and name>`.
        role: &'a str,
    },
}

/// The values of a condition key in a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Values<'a> {
    /// One value.
    One(Cow<'a, str>),
    /// Any number of values.
    Many(Vec<Cow<'a, str>>),
}

impl Values<'_> {
    /// The values as a slice.
    pub(super) fn as_slice(&self) -> &[Cow<'_, str>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// The value, if there is exactly one.
    pub(super) fn single(&self) -> Option<&str> {
        match self.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Values<'a> {
    fn from(value: &'a str) -> Self {
        Self::One(Cow::Borrowed(value))
    }
}

impl From<String> for Values<'_> {
    fn from(value: String) -> Self {
        Self::One(Cow::Owned(value))
    }
}

impl From<bool> for Values<'_> {
    fn from(value: bool) -> Self {
        Self::One(Cow::Borrowed(if value { "true" } else { "false" }))
    }
}

impl<'a> FromIterator<&'a str> for Values<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(values: I) -> Self {
        Self::Many(values.into_iter().map(Cow::Borrowed).collect())
    }
}

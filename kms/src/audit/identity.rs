//! `userIdentity`: who called.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::name::AccountId;
use crate::principal::{Principal, PrincipalKind};

use super::{AWS_INTERNAL, iam};

/// Who called. What there is to say of a principal is only said when the event is written.
#[derive(Clone, Debug)]
pub(super) enum UserIdentity {
    /// Somebody, who may claim to hold an access key.
    Unknown { access_key_id: Option<String> },
    /// A principal that signed.
    Known {
        principal: Arc<Principal>,
        access_key_id: String,
    },
    /// Nobody: it happened by itself, in this account.
    Service(AccountId),
}

impl Serialize for UserIdentity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Unknown { access_key_id } => {
                map.serialize_entry("type", "Unknown")?;
                if let Some(id) = access_key_id {
                    map.serialize_entry("accessKeyId", id)?;
                }
            }
            Self::Known {
                principal,
                access_key_id,
            } => {
                let (kind, user_name) = match principal.kind() {
                    PrincipalKind::Root => ("Root", None),
                    PrincipalKind::User { name, .. } => ("IAMUser", Some(name)),
                    PrincipalKind::Role(_) => ("Role", None),
                    PrincipalKind::Session(_) => ("AssumedRole", None),
                };
                map.serialize_entry("type", kind)?;
                map.serialize_entry("principalId", &principal.principal_id())?;
                map.serialize_entry("arn", &**principal.arn())?;
                map.serialize_entry("accountId", &principal.account())?;
                map.serialize_entry("accessKeyId", access_key_id)?;
                if let Some(name) = user_name {
                    map.serialize_entry("userName", &**name)?;
                }
                if let Some(context) = iam::session_context(principal) {
                    map.serialize_entry("sessionContext", &context)?;
                }
            }
            Self::Service(account) => {
                map.serialize_entry("type", "AWSService")?;
                map.serialize_entry("accountId", account)?;
                map.serialize_entry("invokedBy", AWS_INTERNAL)?;
            }
        }
        map.end()
    }
}

//! `userIdentity`: who called.

use std::sync::Arc;

use crate::json_writer::Object;
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

impl UserIdentity {
    /// Somebody of whom nothing is known.
    pub(super) const NOBODY: Self = Self::Unknown {
        access_key_id: None,
    };

    pub(super) fn write(&self, o: &mut Object<'_>) {
        match self {
            Self::Unknown { access_key_id } => {
                o.text("type", "Unknown");
                if let Some(id) = access_key_id {
                    o.text("accessKeyId", id);
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
                o.text("type", kind);
                o.text("principalId", &principal.principal_id());
                o.text("arn", principal.arn());
                o.text("accountId", principal.account().as_str());
                o.text("accessKeyId", access_key_id);
                if let Some(name) = user_name {
                    o.text("userName", name);
                }
                if let Some(context) = iam::session_context(principal) {
                    o.value("sessionContext", &context);
                }
            }
            Self::Service(account) => {
                o.text("type", "AWSService");
                o.text("accountId", account.as_str());
                o.text("invokedBy", AWS_INTERNAL);
            }
        }
    }
}

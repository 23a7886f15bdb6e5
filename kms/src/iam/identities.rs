//! Finding the user or role that a call is about.

use std::sync::Arc;

use crate::name;
use crate::principal::{IdentityKind, Principal, PrincipalKind};

use super::authorization::{authorize, authorize_also};
use super::{Action, Context, IamError};

impl Context<'_> {
    /// The user or role of this name, exactly so spelt, which the caller may do this to.
    ///
    /// # Errors
    ///
    /// AccessDenied, and only after that NoSuchEntity.
    pub(super) fn permitted(
        &mut self,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Principal, IamError> {
        let found = self.state.identity(self.account(), kind, name);
        let found = found.filter(|found| found.name() == Some(name)).cloned();
        let arn = match &found {
            Some(found) => found.arn().to_string(),
            None => arn(self, kind, "/", name),
        };
        authorize(self, &arn)?;
        match found {
            Some(found) => Ok(Arc::unwrap_or_clone(found)),
            None => Err(IamError::NoSuchEntity(format!(
                "The {} with name {name} cannot be found.",
                word(kind)
            ))),
        }
    }

    /// The user of this name or, without one, the caller; which the caller may do this to.
    ///
    /// # Errors
    ///
    /// Those of [`permitted`](Self::permitted); ValidationError for a session, which is no user.
    pub(super) fn permitted_user(&mut self, name: Option<&str>) -> Result<Principal, IamError> {
        if let Some(name) = name {
            return self.permitted(IdentityKind::User, name);
        }
        let caller = Arc::clone(&self.caller.principal);
        match caller.kind() {
            PrincipalKind::Root | PrincipalKind::User { .. } => {
                authorize(self, caller.arn())?;
                Ok(Arc::unwrap_or_clone(caller))
            }
            PrincipalKind::Role(_) | PrincipalKind::Session(_) => Err(IamError::Validation(
                "Must specify userName when calling with non-User credentials".to_owned(),
            )),
        }
    }

    /// Whether the caller may make a user or role with the tags of the request, and its name is
    /// still to be had.
    ///
    /// # Errors
    ///
    /// AccessDenied or EntityAlreadyExists.
    pub(super) fn permitted_new(
        &mut self,
        kind: IdentityKind,
        path: &str,
        name: &str,
    ) -> Result<(), IamError> {
        let arn = arn(self, kind, path, name);
        authorize(self, &arn)?;
        if !self.tags.put.is_empty() {
            let tagging = match kind {
                IdentityKind::User => Action::TagUser,
                IdentityKind::Role => Action::TagRole,
            };
            authorize_also(self, tagging, &arn)?;
        }
        if self.state.identity(self.account(), kind, name).is_none() {
            return Ok(());
        }
        let word = match kind {
            IdentityKind::User => "User",
            IdentityKind::Role => "Role",
        };
        Err(IamError::EntityAlreadyExists(format!(
            "{word} with name {name} already exists."
        )))
    }
}

/// The ARN of a user or role of the caller's account.
pub(super) fn arn(context: &Context<'_>, kind: IdentityKind, path: &str, name: &str) -> String {
    match kind {
        IdentityKind::User => name::user_arn_under(context.account(), path, name),
        IdentityKind::Role => name::role_arn(context.account(), path, name),
    }
}

/// What messages call it.
pub(super) fn word(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::User => "user",
        IdentityKind::Role => "role",
    }
}

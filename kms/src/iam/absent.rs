//! What this server has none of, as far as tools ask for it whatever they do: groups, managed
//! policies, passwords, devices, certificates and the like of users and roles.

use crate::principal::{IdentityKind, Principal};

use super::authorization::authorize;
use super::request::{EmptyList, Whose};
use super::{Context, IamError, Outcome};

/// A list without entries: of who exists, to whom may ask.
pub(super) fn list(
    context: &mut Context<'_>,
    request: &EmptyList<'_>,
) -> Result<Outcome, IamError> {
    let of: Principal;
    let listing = match &request.of {
        Whose::Account(resources) => {
            let all = format!("arn:aws:iam::{}:{resources}", context.account());
            authorize(context, &all)?;
            ""
        }
        Whose::Role(name) => {
            of = context.permitted(IdentityKind::Role, name)?;
            of.arn()
        }
        Whose::User(name) => {
            of = context.permitted(IdentityKind::User, name)?;
            of.arn()
        }
        Whose::UserOrCaller(name) => {
            of = context.permitted_user(name.as_deref())?;
            of.arn()
        }
    };
    request.page.start(context, listing)?;
    Ok(context.answer(Vec::new(), |result| {
        result.element(request.name, |_| ());
        result.display("IsTruncated", false);
    }))
}

/// GetLoginProfile and DeleteLoginProfile: nobody has a password.
pub(super) fn login_profile(
    context: &mut Context<'_>,
    user: Option<&str>,
) -> Result<Outcome, IamError> {
    let user = context.permitted_user(user)?;
    let name = match user.name() {
        Some(name) => name.to_owned(),
        None => user.principal_id().into_owned(),
    };
    Err(IamError::NoSuchEntity(format!(
        "Login Profile for User {name} cannot be found."
    )))
}

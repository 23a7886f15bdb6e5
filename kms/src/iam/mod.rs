//! Principals, managed by the standard tools: the part of AWS IAM (2010-05-08) and AWS STS
//! (2011-06-15) that makes users, roles, access keys, inline policies and sessions.
//!
//! Both services speak the AWS Query protocol: a form is posted, XML comes back. They share the
//! endpoint with KMS, and a call is for them if its body is a form. It travels like one of KMS:
//!
//! 1. the action, by `Version` and `Action`;
//! 2. the caller: Signature Version 4, for the action's service;
//! 3. the shape: AWS's constraints on each parameter;
//! 4. what it is about, and whether the caller may do this to it (`authorization`);
//! 5. the operation.
//!
//! What these services have and this server has not (groups, managed policies, permissions
//! boundaries, multi-factor authentication) is refused, never ignored: a limit that is accepted and
//! not enforced would be a promise broken silently. Where tools only ask what there is of it, the
//! answer is that there is none.

mod absent;
mod access_keys;
mod action;
mod administrator;
mod authorization;
mod credentials;
mod error;
mod identities;
mod inline_policies;
mod page;
mod parameters;
mod request;
mod roles;
mod sessions;
mod tags;
mod users;
mod xml;

use attestation::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::Timestamp;
use crate::audit::Event;
use crate::authentication::{Caller, authenticate};
use crate::call::Call;
use crate::engine::{Protocol, Reply, Step};
use crate::error::KmsError;
use crate::name::AccountId;
use crate::permit::Asking;
use crate::protocol::operation::TARGET;
use crate::sigv4::Service;
use crate::state::{Change, State};

pub use action::Action;
pub use administrator::{ADMINISTRATOR, Administrator};
pub(crate) use error::IamError;

use parameters::Parameters;
use request::Request;
use tags::RequestTags;
use xml::Element;

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What an operation works with.
struct Context<'a> {
    state: &'a State,
    call: &'a Call<'a>,
    caller: &'a Caller,
    action: Action,
    now: Timestamp,
    random: &'a mut dyn CryptoRng,
    event: &'a mut Event,
    /// The tags of the request, for those who ask policies.
    tags: RequestTags,
}

/// What an operation comes to: the body of the answer, and what is to be stored first.
struct Outcome {
    body: Zeroizing<Vec<u8>>,
    changes: Vec<Change>,
}

/// Whether a call is one of the Query protocol.
pub(crate) fn is_for(call: &Call<'_>) -> bool {
    let is_form = |media_type: &str| media_type.eq_ignore_ascii_case(FORM);
    call.method == http::Method::POST
        && call.media_type().is_some_and(is_form)
        && !call.headers.contains_key(TARGET)
}

/// Answers a call of the Query protocol.
pub(crate) fn step(
    state: &State,
    call: &Call<'_>,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Step {
    let mut event = Event::begin(call, now, random);
    let mut parameters = Parameters::of(call);
    let service = parameters.service();
    match answer(state, call, &mut parameters, now, random, &mut event) {
        Ok(Outcome { body, changes }) => {
            Reply::success(Protocol::Query(service), body, event).after(changes)
        }
        Err(error) => Step::Reply(failure(service, &error, event)),
    }
}

/// The reply to a call of the Query protocol that could not be given to the engine.
pub(crate) fn refuse(
    call: &Call<'_>,
    error: &KmsError,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Reply {
    let mut event = Event::begin(call, now, random);
    let parameters = Parameters::of(call);
    if let Ok(action) = parameters.action() {
        event.action(action);
    }
    failure(parameters.service(), &error.clone().into(), event)
}

/// The reply that is an error.
pub(crate) fn failure(service: Service, error: &IamError, mut event: Event) -> Reply {
    let wire = error.wire();
    event.failed(wire.exception, wire.message);
    let body = xml::error(service, &wire, event.request_id());
    Reply::new(Protocol::Query(service), wire.status, body, event)
}

fn answer(
    state: &State,
    call: &Call<'_>,
    parameters: &mut Parameters<'_>,
    now: Timestamp,
    random: &mut dyn CryptoRng,
    event: &mut Event,
) -> Result<Outcome, IamError> {
    let action = parameters.action()?;
    event.action(action);
    let caller = authenticate(state, call, action.service(), now, event)?;
    sessions::check_credentials(&caller.principal, action)?;
    let request = Request::read(action, parameters)?;
    event.parameters(parameters.shown());
    let mut context = Context {
        state,
        call,
        caller: &caller,
        action,
        now,
        random,
        event,
        tags: RequestTags::default(),
    };
    perform(&mut context, request)
}

fn perform(context: &mut Context<'_>, request: Request<'_>) -> Result<Outcome, IamError> {
    match request {
        Request::AssumeRole(request) => sessions::assume_role(context, &request),
        Request::CreateAccessKey(user) => access_keys::create(context, user.as_deref()),
        Request::CreateRole(request) => roles::create(context, &request),
        Request::CreateUser { name, path, tags } => {
            users::create(context, &name, path.as_deref(), &tags)
        }
        Request::DeleteAccessKey { user, id } => access_keys::delete(context, user.as_deref(), &id),
        Request::DeletePolicy(place) => inline_policies::delete(context, &place),
        Request::DeleteRole(name) => roles::delete(context, &name),
        Request::DeleteUser(name) => users::delete(context, &name),
        Request::GetAccessKeyInfo(id) => sessions::access_key_info(context, &id),
        Request::GetAccessKeyLastUsed(id) => access_keys::last_used(context, &id),
        Request::GetCallerIdentity => Ok(sessions::caller_identity(context)),
        Request::GetPolicy(place) => inline_policies::get(context, &place),
        Request::GetRole(name) => roles::get(context, &name),
        Request::GetSessionToken(seconds) => Ok(sessions::session_token(context, seconds)),
        Request::GetUser(name) => users::get(context, name.as_deref()),
        Request::ListAccessKeys { user, page } => {
            access_keys::list(context, user.as_deref(), &page)
        }
        Request::ListNone(list) => absent::list(context, &list),
        Request::ListPolicies { kind, owner, page } => {
            inline_policies::list(context, kind, &owner, &page)
        }
        Request::ListRoles { prefix, page } => roles::list(context, &prefix, &page),
        Request::ListTags { kind, owner, page } => tags::list(context, kind, &owner, &page),
        Request::LoginProfile(user) => absent::login_profile(context, user.as_deref()),
        Request::ListUsers { prefix, page } => users::list(context, &prefix, &page),
        Request::PutPolicy(place, document) => inline_policies::put(context, &place, &document),
        Request::Tag { kind, owner, tags } => tags::tag(context, kind, &owner, &tags),
        Request::Untag { kind, owner, keys } => tags::untag(context, kind, &owner, keys),
        Request::UpdateAccessKey { user, id, active } => {
            access_keys::update(context, user.as_deref(), &id, active)
        }
        Request::UpdateAssumeRolePolicy { name, document } => {
            roles::update_trust(context, &name, &document)
        }
        Request::UpdateRole {
            name,
            description,
            max_session_seconds,
        } => roles::update(context, &name, description.as_deref(), max_session_seconds),
        Request::UpdateRoleDescription { name, description } => {
            roles::update_description(context, &name, &description)
        }
    }
}

impl Context<'_> {
    /// The caller's account, in which everything happens.
    fn account(&self) -> AccountId {
        self.caller.principal.account()
    }

    /// Who asks, where, how and when.
    fn asking(&self) -> Asking<'_> {
        Asking {
            principal: &self.caller.principal,
            region: &self.caller.region,
            call: self.call,
            now: self.now,
            state: self.state,
        }
    }

    /// An answer with a result, and what is to be stored first.
    fn answer(&self, changes: Vec<Change>, result: impl Fn(&mut Element<'_>)) -> Outcome {
        Outcome {
            body: xml::response(self.action, Some(&result), self.event.request_id()),
            changes,
        }
    }

    /// The answer of an operation that only changes something.
    fn void(&self, change: Change) -> Outcome {
        Outcome {
            body: xml::response(self.action, None, self.event.request_id()),
            changes: vec![change],
        }
    }
}

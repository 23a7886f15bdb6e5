//! The errors of IAM and STS, as the Query protocol names them.

use http::StatusCode;

use crate::error::KmsError;
use crate::policy::PolicyError;

/// An error of IAM or STS, named after the code it becomes. Each holds AWS's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum IamError {
    /// The caller may not do this.
    AccessDenied(String),
    /// What is to be deleted still has something.
    DeleteConflict(&'static str),
    /// There is a user or role of that name.
    EntityAlreadyExists(String),
    /// No such operation, or not in this version.
    InvalidAction(String),
    /// A parameter that this server does not support, or that does not go with another.
    InvalidInput(String),
    /// A quota is used up.
    LimitExceeded(String),
    /// A parameter is there twice.
    MalformedInput,
    /// A policy is none.
    MalformedPolicyDocument(String),
    /// There is no user, role, policy or access key of that name.
    NoSuchEntity(String),
    /// The policy of a session is too long.
    PackedPolicyTooLarge(String),
    /// A parameter violates its constraints.
    Validation(String),
    /// What every service answers in its own words: who calls, and what failed in here.
    Common(KmsError),
}

impl From<KmsError> for IamError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Validation(message) => Self::Validation(message.into_owned()),
            error => Self::Common(error),
        }
    }
}

impl From<PolicyError> for IamError {
    fn from(error: PolicyError) -> Self {
        Self::MalformedPolicyDocument(error.to_string())
    }
}

/// How an [`IamError`] looks on the wire.
pub(super) struct Wire<'a> {
    /// What the Query protocol calls it.
    pub(super) code: &'static str,
    /// What CloudTrail calls it: the exception of the service model, if it has one.
    pub(super) exception: &'static str,
    pub(super) status: StatusCode,
    pub(super) message: Option<&'a str>,
}

impl IamError {
    /// The error's form on the wire.
    pub(super) fn wire(&self) -> Wire<'_> {
        let (code, exception, status, message): (_, _, u16, &str) = match self {
            Self::AccessDenied(m) => ("AccessDenied", "AccessDenied", 403, m),
            Self::DeleteConflict(m) => ("DeleteConflict", "DeleteConflictException", 409, m),
            Self::EntityAlreadyExists(m) => (
                "EntityAlreadyExists",
                "EntityAlreadyExistsException",
                409,
                m,
            ),
            Self::InvalidAction(m) => ("InvalidAction", "InvalidAction", 400, m),
            Self::InvalidInput(m) => ("InvalidInput", "InvalidInputException", 400, m),
            Self::LimitExceeded(m) => ("LimitExceeded", "LimitExceededException", 409, m),
            Self::MalformedInput => (
                "MalformedInput",
                "MalformedInput",
                400,
                "A parameter occurs more than once.",
            ),
            Self::MalformedPolicyDocument(m) => (
                "MalformedPolicyDocument",
                "MalformedPolicyDocumentException",
                400,
                m,
            ),
            Self::NoSuchEntity(m) => ("NoSuchEntity", "NoSuchEntityException", 404, m),
            Self::PackedPolicyTooLarge(m) => (
                "PackedPolicyTooLarge",
                "PackedPolicyTooLargeException",
                400,
                m,
            ),
            Self::Validation(m) => ("ValidationError", "ValidationException", 400, m),
            Self::Common(error) => return common(error),
        };
        Wire {
            code,
            exception,
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            message: Some(message),
        }
    }
}

/// What the Query protocol calls the errors that are not the operations' own.
fn common(error: &KmsError) -> Wire<'_> {
    let wire = error.wire();
    let (code, status) = match error {
        KmsError::DependencyTimeout(_) | KmsError::KmsInternal(_) => {
            ("ServiceFailure", StatusCode::INTERNAL_SERVER_ERROR)
        }
        KmsError::ExpiredToken => ("ExpiredToken", StatusCode::FORBIDDEN),
        KmsError::IncompleteSignature(_) => ("IncompleteSignature", StatusCode::BAD_REQUEST),
        KmsError::InvalidSignature(_) => ("SignatureDoesNotMatch", StatusCode::FORBIDDEN),
        KmsError::MissingAuthenticationToken => {
            ("MissingAuthenticationToken", StatusCode::FORBIDDEN)
        }
        KmsError::Throttling => ("Throttling", StatusCode::BAD_REQUEST),
        KmsError::UnrecognizedClient(_) => ("InvalidClientTokenId", StatusCode::FORBIDDEN),
        _ => (wire.code, wire.status),
    };
    let message = match error {
        KmsError::Throttling => Some("Rate exceeded"),
        KmsError::MissingAuthenticationToken => Some("Request is missing Authentication Token"),
        _ => wire.message,
    };
    Wire {
        code,
        exception: code,
        status,
        message,
    }
}

//! Every error this service answers with: AWS's names and AWS's texts.
//!
//! An operation fails with a [`KmsError`]; [`KmsError::wire`] is the only place that knows how one
//! looks on the wire. The texts follow what AWS KMS sends (recorded answers where there are any),
//! because clients and test suites compare them.

use std::borrow::Cow;
use std::fmt;

use crate::key::Key;
use crate::name::Region;
use crate::state::StillOpening;

/// An error of the KMS API, named after the AWS exception it becomes.
///
/// Variants hold the message that AWS sends; those without a field never carry one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KmsError {
    /// The principal may not do this.
    AccessDenied(Cow<'static, str>),
    /// An alias (or, later, a replica) of that name exists.
    AlreadyExists(Cow<'static, str>),
    /// The CloudHSM cluster does not exist; outside of AWS none does.
    CloudHsmClusterNotFound(Cow<'static, str>),
    /// An automatic rotation of the key is near.
    Conflict(Cow<'static, str>),
    /// No custom key store of that id exists; this server has none.
    CustomKeyStoreNotFound(Cow<'static, str>),
    /// Something this service depends on (the record store) did not answer in time.
    DependencyTimeout(Cow<'static, str>),
    /// The key is disabled.
    Disabled(Cow<'static, str>),
    /// The import token is older than 24 hours.
    ExpiredImportToken,
    /// A dry run got as far as the operation itself: it would have succeeded.
    DryRunOperation,
    /// The session that the token belongs to is over.
    ExpiredToken,
    /// The `Authorization` header lacks a part or can't be parsed.
    IncompleteSignature(Cow<'static, str>),
    /// The key named by the caller is not the one that encrypted the ciphertext.
    IncorrectKey,
    /// The imported material is not what the key expects.
    IncorrectKeyMaterial(Cow<'static, str>),
    /// The alias name is not allowed.
    InvalidAliasName(Cow<'static, str>),
    /// The ARN is not one of this service, or not allowed here.
    InvalidArn(Cow<'static, str>),
    /// The ciphertext does not open: damaged, foreign, or under another encryption context. Never
    /// says which, so it has no message.
    InvalidCiphertext,
    /// The id of a grant is not one.
    InvalidGrantId(Cow<'static, str>),
    /// A grant token is not one of ours.
    InvalidGrantToken(Cow<'static, str>),
    /// The import token is not one of this key's.
    InvalidImportToken,
    /// The key's usage or the algorithm does not fit the operation.
    InvalidKeyUsage(Cow<'static, str>),
    /// The pagination marker is not one that a previous page returned.
    InvalidMarker(Cow<'static, str>),
    /// The signature does not match, or is not for this service, region or time.
    InvalidSignature(Cow<'static, str>),
    /// The key exists but can't be used now; a retry may help.
    KeyUnavailable(Cow<'static, str>),
    /// A defect in this service.
    KmsInternal(Cow<'static, str>),
    /// The MAC is not that of the message. Has no message.
    KmsInvalidMac,
    /// The signature is not that of the message. Has no message.
    KmsInvalidSignature,
    /// The key's state does not allow the operation.
    KmsInvalidState(Cow<'static, str>),
    /// A quota is used up.
    LimitExceeded(Cow<'static, str>),
    /// The key policy can't be parsed or would lock everybody out.
    MalformedPolicyDocument(Cow<'static, str>),
    /// The request is not signed at all.
    MissingAuthenticationToken,
    /// The name is reserved for AWS (`alias/aws/…`).
    NotAuthorized(Cow<'static, str>),
    /// The key or alias does not exist.
    NotFound(Cow<'static, str>),
    /// The body is larger than this service reads.
    RequestTooLarge,
    /// The body is not JSON, or a member has another JSON type than the model's.
    Serialization(Cow<'static, str>),
    /// A tag is duplicate, reserved, or one too many.
    Tag(Cow<'static, str>),
    /// The caller sends too many requests.
    Throttling,
    /// No operation of that name exists.
    UnknownOperation,
    /// The access key or session token is not one of ours.
    UnrecognizedClient(Cow<'static, str>),
    /// The operation, or this form of it, is not supported.
    UnsupportedOperation(Cow<'static, str>),
    /// A member violates its constraints, or members contradict each other.
    Validation(Cow<'static, str>),
    /// The proxy of an external key store can't be reached; this server reaches none.
    XksProxyUriUnreachable(Cow<'static, str>),
    /// The proxy's VPC endpoint service does not exist; outside of AWS none does.
    XksProxyVpcEndpointServiceNotFound(Cow<'static, str>),
}

/// How a [`KmsError`] looks on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorWire<'a> {
    /// The exception's name, sent as `__type`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: http::StatusCode,
    /// The message, for the errors that have one.
    pub message: Option<&'a str>,
    /// Whether the message's member is spelled `Message`, as access denials do.
    pub capital_message: bool,
}

impl KmsError {
    /// `Key '<arn>' does not exist`: a well-formed id that is unknown in the caller's account and
    /// region.
    pub fn key_not_found(arn: &str) -> Self {
        Self::NotFound(format!("Key '{arn}' does not exist").into())
    }

    /// `Invalid keyId '<text>'`: not a key id, or an alias where only a key id is allowed.
    pub fn invalid_key_id(text: &str) -> Self {
        Self::NotFound(format!("Invalid keyId '{text}'").into())
    }

    /// `Invalid arn <region>`: an ARN of another region than the one called.
    pub fn other_region(region: &Region) -> Self {
        Self::NotFound(format!("Invalid arn {region}").into())
    }

    /// `Alias <arn> is not found.`
    pub fn alias_not_found(alias_arn: &str) -> Self {
        Self::NotFound(format!("Alias {alias_arn} is not found.").into())
    }

    /// `An alias with the name <arn> already exists`
    pub fn alias_exists(alias_arn: &str) -> Self {
        Self::AlreadyExists(format!("An alias with the name {alias_arn} already exists").into())
    }

    /// `<arn> is disabled.`
    pub fn disabled(key_arn: &str) -> Self {
        Self::Disabled(format!("{key_arn} is disabled.").into())
    }

    /// `<arn> is <state>.`, such as `pending deletion` or `pending import`.
    pub fn invalid_state(key_arn: &str, state: &str) -> Self {
        Self::KmsInvalidState(format!("{key_arn} is {state}.").into())
    }

    /// `<arn> origin is <origin> which is not valid for this operation.`
    pub(crate) fn wrong_origin(key: &Key) -> Self {
        let (arn, origin) = (key.arn(), key.origin);
        let message = format!("{arn} origin is {origin} which is not valid for this operation.");
        Self::UnsupportedOperation(message.into())
    }

    /// A [`Validation`](Self::Validation) error with this message.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Validation(message.into())
    }

    /// The error's form on the wire.
    pub fn wire(&self) -> ErrorWire<'_> {
        let (code, message): (_, Option<&str>) = match self {
            Self::AccessDenied(m) => ("AccessDeniedException", Some(m)),
            Self::AlreadyExists(m) => ("AlreadyExistsException", Some(m)),
            Self::CloudHsmClusterNotFound(m) => ("CloudHsmClusterNotFoundException", Some(m)),
            Self::Conflict(m) => ("ConflictException", Some(m)),
            Self::CustomKeyStoreNotFound(m) => ("CustomKeyStoreNotFoundException", Some(m)),
            Self::DependencyTimeout(m) => ("DependencyTimeoutException", Some(m)),
            Self::Disabled(m) => ("DisabledException", Some(m)),
            Self::DryRunOperation => (
                "DryRunOperationException",
                Some("The request would have succeeded, but the DryRun option is set."),
            ),
            Self::ExpiredToken => (
                "ExpiredTokenException",
                Some("The security token included in the request is expired"),
            ),
            Self::ExpiredImportToken => ("ExpiredImportTokenException", None),
            Self::IncompleteSignature(m) => ("IncompleteSignatureException", Some(m)),
            Self::IncorrectKey => (
                "IncorrectKeyException",
                Some(
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                ),
            ),
            Self::InvalidAliasName(m) => ("InvalidAliasNameException", Some(m)),
            Self::InvalidArn(m) => ("InvalidArnException", Some(m)),
            Self::InvalidCiphertext => ("InvalidCiphertextException", None),
            Self::InvalidGrantId(m) => ("InvalidGrantIdException", Some(m)),
            Self::InvalidGrantToken(m) => ("InvalidGrantTokenException", Some(m)),
            Self::IncorrectKeyMaterial(m) => ("IncorrectKeyMaterialException", Some(m)),
            Self::InvalidImportToken => ("InvalidImportTokenException", None),
            Self::InvalidKeyUsage(m) => ("InvalidKeyUsageException", Some(m)),
            Self::InvalidMarker(m) => ("InvalidMarkerException", Some(m)),
            Self::InvalidSignature(m) => ("InvalidSignatureException", Some(m)),
            Self::KeyUnavailable(m) => ("KeyUnavailableException", Some(m)),
            Self::KmsInternal(m) => ("KMSInternalException", Some(m)),
            Self::KmsInvalidMac => ("KMSInvalidMacException", None),
            Self::KmsInvalidSignature => ("KMSInvalidSignatureException", None),
            Self::KmsInvalidState(m) => ("KMSInvalidStateException", Some(m)),
            Self::LimitExceeded(m) => ("LimitExceededException", Some(m)),
            Self::MalformedPolicyDocument(m) => ("MalformedPolicyDocumentException", Some(m)),
            Self::MissingAuthenticationToken => (
                "MissingAuthenticationTokenException",
                Some("Missing Authentication Token"),
            ),
            Self::NotAuthorized(m) => ("NotAuthorizedException", Some(m)),
            Self::NotFound(m) => ("NotFoundException", Some(m)),
            Self::RequestTooLarge => ("RequestEntityTooLargeException", None),
            Self::Serialization(m) => ("SerializationException", Some(m)),
            Self::Tag(m) => ("TagException", Some(m)),
            Self::Throttling => (
                "ThrottlingException",
                Some(
                    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
                ),
            ),
            Self::UnknownOperation => ("UnknownOperationException", None),
            Self::UnrecognizedClient(m) => ("UnrecognizedClientException", Some(m)),
            Self::UnsupportedOperation(m) => ("UnsupportedOperationException", Some(m)),
            Self::Validation(m) => ("ValidationException", Some(m)),
            Self::XksProxyUriUnreachable(m) => ("XksProxyUriUnreachableException", Some(m)),
            Self::XksProxyVpcEndpointServiceNotFound(m) => {
                ("XksProxyVpcEndpointServiceNotFoundException", Some(m))
            }
        };
        let status = match self {
            Self::DependencyTimeout(_) | Self::KeyUnavailable(_) | Self::KmsInternal(_) => {
                http::StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::RequestTooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            _ => http::StatusCode::BAD_REQUEST,
        };
        // AWS leaves the message out of some errors that otherwise have one: an empty text is that.
        let message = message.filter(|text| !text.is_empty());
        ErrorWire {
            code,
            status,
            message,
            capital_message: matches!(self, Self::AccessDenied(_)),
        }
    }
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = self.wire();
        match wire.message {
            Some(message) => write!(f, "{}: {message}", wire.code),
            None => f.write_str(wire.code),
        }
    }
}

impl std::error::Error for KmsError {}

/// An error of status 500, after which SDKs try again.
impl From<StillOpening> for KmsError {
    fn from(error: StillOpening) -> Self {
        Self::KmsInternal(error.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_faults_are_the_servers() {
        let text = || Cow::Borrowed("text");
        for (error, code) in [
            (
                KmsError::DependencyTimeout(text()),
                "DependencyTimeoutException",
            ),
            (KmsError::KeyUnavailable(text()), "KeyUnavailableException"),
            (KmsError::KmsInternal(text()), "KMSInternalException"),
        ] {
            assert_eq!(
                (error.wire().code, error.wire().status.as_u16()),
                (code, 500)
            );
        }
        for (error, code) in [
            (KmsError::AccessDenied(text()), "AccessDeniedException"),
            (
                KmsError::KmsInvalidState(text()),
                "KMSInvalidStateException",
            ),
            (KmsError::UnknownOperation, "UnknownOperationException"),
            (KmsError::Throttling, "ThrottlingException"),
            (
                KmsError::MissingAuthenticationToken,
                "MissingAuthenticationTokenException",
            ),
        ] {
            assert_eq!(
                (error.wire().code, error.wire().status.as_u16()),
                (code, 400)
            );
        }
        assert_eq!(KmsError::RequestTooLarge.wire().status.as_u16(), 413);
    }

    #[test]
    fn these_carry_no_message_at_all() {
        for error in [
            KmsError::InvalidCiphertext,
            KmsError::KmsInvalidMac,
            KmsError::KmsInvalidSignature,
            KmsError::UnknownOperation,
            KmsError::Serialization("".into()),
            KmsError::NotAuthorized("".into()),
        ] {
            assert_eq!(error.wire().message, None, "{error}");
        }
    }

    #[test]
    fn the_texts_are_those_of_aws() {
        let region = "eu-west-1".parse().expect("a region");
        for (error, text) in [
            (
                KmsError::key_not_found("arn"),
                "NotFoundException: Key 'arn' does not exist",
            ),
            (
                KmsError::invalid_key_id("x"),
                "NotFoundException: Invalid keyId 'x'",
            ),
            (
                KmsError::other_region(&region),
                "NotFoundException: Invalid arn eu-west-1",
            ),
            (
                KmsError::alias_not_found("arn"),
                "NotFoundException: Alias arn is not found.",
            ),
            (
                KmsError::alias_exists("arn"),
                "AlreadyExistsException: An alias with the name arn already exists",
            ),
            (
                KmsError::disabled("arn"),
                "DisabledException: arn is disabled.",
            ),
            (
                KmsError::invalid_state("arn", "pending deletion"),
                "KMSInvalidStateException: arn is pending deletion.",
            ),
            (
                KmsError::IncorrectKey,
                "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.",
            ),
            (
                KmsError::DryRunOperation,
                "DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
            ),
            (KmsError::InvalidCiphertext, "InvalidCiphertextException"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}

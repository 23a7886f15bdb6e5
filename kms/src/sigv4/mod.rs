//! Signature Version 4: who is calling, proven by a signature over the whole request.
//!
//! [`Authorization::parse`] reads what the client claims; the engine then looks up the access key
//! it names; [`verify`] checks the claim. Only the `Authorization` header is supported, not
//! signatures in the query string, which no KMS client makes.
//!
//! Everything here works on the request as it was received: the client may call this server by
//! any name, as long as that name is the one it signed. Texts are AWS's, as clients and people
//! search for them; which are recorded and which documented is said beside each.
//!
//! The algorithm: <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>.

mod authorization;
mod canonical;
mod date;
mod signing_key;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::time::Duration;

use attestation::Timestamp;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderName;
use sha2::{Digest, Sha256};

pub use authorization::Authorization;
pub use signing_key::{SecretAccessKey, SigningKey};

use crate::call::Call;
use crate::error::KmsError;
use crate::hexadecimal::Digits;
use crate::name::Region;

/// The services of ours that a request can be signed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Identity and Access Management.
    Iam,
    /// The Key Management Service.
    Kms,
    /// The Security Token Service.
    Sts,
}

impl Service {
    /// The service's name in a credential scope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }
}

/// The header that says what the body's hash is.
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What a credential scope ends in.
const TERMINATOR: &str = "aws4_request";

/// How far a request's date may be off, either way.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// A caller whose signature has been verified. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Authenticated<'a> {
    access_key_id: &'a str,
    region: Region,
}

impl Authenticated<'_> {
    /// The access key the request was signed with.
    pub fn access_key_id(&self) -> &str {
        self.access_key_id
    }

    /// The region the request was signed for, which is the region it is served in.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// Verifies the signature of a call for one of our services.
///
/// `secret` is that of the access key in `authorization`, or `None` if there is no such active
/// key. Then, whatever else is wrong, the answer tells only that the key is unknown (as DynamoDB
/// was seen to do in 2026).
///
/// # Errors
///
/// UnrecognizedClientException for an unknown key; InvalidSignatureException for a signature that
/// does not match, that is not for this service or a region, that is more than five minutes off
/// `now`, or that leaves out a header it must cover.
pub fn verify<'a>(
    call: &Call<'_>,
    authorization: &Authorization<'a>,
    service: Service,
    secret: Option<&SecretAccessKey>,
    now: Timestamp,
) -> Result<Authenticated<'a>, KmsError> {
    let (date, region) = (authorization.date(), authorization.region());
    let Some(secret) = secret else {
        let stand_in = SecretAccessKey::new(String::from("an access key that does not exist"));
        let key = SigningKey::derive(&stand_in, date, region, service);
        let _ = verify_with(call, authorization, service, (&key, None), now);
        return Err(unknown_caller());
    };
    match secret.remembered(date, region, service) {
        Some((key, region)) => verify_with(call, authorization, service, (&key, Some(region)), now),
        None => {
            let key = SigningKey::derive(secret, date, region, service);
            let authenticated = verify_with(call, authorization, service, (&key, None), now)?;
            secret.remember(date, &authenticated.region, service, key);
            Ok(authenticated)
        }
    }
}

/// The one answer to credentials that are nobody's.
pub(crate) fn unknown_caller() -> KmsError {
    KmsError::UnrecognizedClient("The security token included in the request is invalid.".into())
}

/// Verifies the signature of a call with the signing key of the authorization's access key, date
/// and region, and of this service; the region is parsed where it is not known with the key.
///
/// # Errors
///
/// Those of [`verify`], but for the unknown key.
fn verify_with<'a>(
    call: &Call<'_>,
    authorization: &Authorization<'a>,
    service: Service,
    (key, region): (&SigningKey, Option<Region>),
    now: Timestamp,
) -> Result<Authenticated<'a>, KmsError> {
    check_skew(authorization, now)?;
    canonical::check_signed_headers(call, authorization)?;
    let region = check_scope(authorization, service, region)?;
    let expected = signature(call, authorization, key)?;
    let (expected, signature) = (expected.as_str(), authorization.signature());
    verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).map_err(|_| mismatch())?;
    Ok(Authenticated {
        access_key_id: authorization.access_key_id(),
        region,
    })
}

/// The signature that the call must have, in hexadecimal digits.
fn signature(
    call: &Call<'_>,
    authorization: &Authorization<'_>,
    key: &SigningKey,
) -> Result<Digits, KmsError> {
    let body_sha256 = Digits::of(&Sha256::digest(call.body).into());
    let claimed = call.headers.get(CONTENT_SHA256);
    if claimed.is_some_and(|claimed| claimed.as_bytes() != body_sha256.as_str().as_bytes()) {
        return Err(mismatch());
    }
    let canonical_request = canonical::request(call, authorization, body_sha256.as_str());
    let canonical_request = Digits::of(&Sha256::digest(&canonical_request).into());
    let string_to_sign = [
        "AWS4-HMAC-SHA256\n",
        authorization.signed_at_text(),
        "\n",
        authorization.scope(),
        "\n",
        canonical_request.as_str(),
    ];
    Ok(Digits::of(&key.sign(&string_to_sign)))
}

/// What is before and after the first separator, which is ASCII. The texts are short, and quicker
/// looked through with `memchr` than with what the standard library has.
fn around(text: &str, separator: u8) -> Option<(&str, &str)> {
    let place = memchr::memchr(separator, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// The parts of a text between separators, of which these are the places. They are ASCII.
fn between(text: &str, separators: impl Iterator<Item = usize>) -> impl Iterator<Item = &str> {
    let mut start = 0;
    separators.chain([text.len()]).map(move |end| {
        let part = text.get(start..end).unwrap_or_default();
        start = end + 1;
        part
    })
}

/// Whether the request was signed within five minutes of now. The texts are recorded; SDKs look
/// for their beginnings and correct their clocks.
fn check_skew(authorization: &Authorization<'_>, now: Timestamp) -> Result<(), KmsError> {
    let (earliest, latest) = (now - MAX_SKEW, now + MAX_SKEW);
    let signed_at = authorization.signed_at().as_secs();
    let message = if signed_at < earliest.as_secs() {
        format!(
            "Signature expired: {} is now earlier than {} ({} - 5 min.)",
            authorization.signed_at_text(),
            date::basic_format(earliest),
            date::basic_format(now),
        )
    } else if signed_at > latest.as_secs() {
        format!(
            "Signature not yet current: {} is still later than {} ({} + 5 min.)",
            authorization.signed_at_text(),
            date::basic_format(latest),
            date::basic_format(now),
        )
    } else {
        return Ok(());
    };
    Err(KmsError::InvalidSignature(message.into()))
}

/// Whether the credential scope is for this service. All that is wrong comes in one message, as
/// recorded by dynalite; the wording of the region's part is the documentation's.
fn check_scope(
    authorization: &Authorization<'_>,
    service: Service,
    known: Option<Region>,
) -> Result<Region, KmsError> {
    let mut wrong = String::new();
    let region = known.map_or_else(|| authorization.region().parse(), Ok);
    if region.is_err() {
        // Writing to a String can't fail.
        let _ = write!(
            wrong,
            "Credential should be scoped to a valid Region, not '{}'. ",
            authorization.region()
        );
    }
    if authorization.service() != service.name() {
        let _ = write!(
            wrong,
            "Credential should be scoped to correct service: '{}'. ",
            service.name()
        );
    }
    if authorization.terminator() != TERMINATOR {
        let _ = write!(
            wrong,
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
            authorization.terminator()
        );
    }
    let signed_at = authorization.signed_at_text();
    let day = signed_at.get(..8).unwrap_or_default();
    if authorization.date() != day {
        let _ = write!(
            wrong,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{signed_at}'. ",
            authorization.date()
        );
    }
    match region {
        Ok(region) if wrong.is_empty() => Ok(region),
        _ => Err(KmsError::InvalidSignature(
            wrong.trim_end().to_owned().into(),
        )),
    }
}

/// The one answer to every signature that is not right.
fn mismatch() -> KmsError {
    KmsError::InvalidSignature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.".into(),
    )
}

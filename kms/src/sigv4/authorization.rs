//! What a request claims about its signature: the `Authorization` header and the date.

use std::borrow::Cow;

use attestation::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderName;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::error::KmsError;

use super::{around, between, date};

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The longest `Authorization` header that is read. The longest of a real client is 400 bytes.
const MAX_HEADER: usize = 8 * 1024;

/// How much of a value a message repeats.
const MAX_ECHO: usize = 256;

/// The claim of a request to be signed by somebody. Nothing in it is verified.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    access_key_id: &'a str,
    /// The credential without the access key: `date/region/service/terminator`.
    scope: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    /// The session token that comes along.
    session_token: Option<&'a str>,
    signed_at: Timestamp,
    /// The same, as it is signed: `20260102T030405Z`.
    signed_at_text: Cow<'a, str>,
}

impl<'a> Authorization<'a> {
    /// Reads the claim of a call. The checks and their order are those that dynalite and
    /// kinesalite recorded of AWS, the form of the messages is today's.
    ///
    /// # Errors
    ///
    /// MissingAuthenticationTokenException if the request is not signed,
    /// IncompleteSignatureException for a header that lacks a part or can't be parsed, and
    /// InvalidSignatureException if there is a second signature in the query string.
    pub fn parse(call: &Call<'a>) -> Result<Self, KmsError> {
        let header = call.text(&http::header::AUTHORIZATION);
        let signed_in_query = call.uri.query().is_some_and(|query| {
            let name = |parameter: &str| parameter.split('=').next().map(str::to_owned);
            query
                .split('&')
                .any(|parameter| name(parameter).as_deref() == Some("X-Amz-Algorithm"))
        });
        let header = match (header, signed_in_query) {
            (Some(header), false) => header,
            (Some(_), true) => {
                return Err(KmsError::InvalidSignature(
                    "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".into(),
                ));
            }
            (None, true) => {
                return Err(KmsError::IncompleteSignature(
                    "Signatures in the query string are not supported. Sign with the Authorization header.".into(),
                ));
            }
            (None, false) => return Err(KmsError::MissingAuthenticationToken),
        };
        let header = header.unwrap_or_default();
        if header.len() > MAX_HEADER {
            return Err(KmsError::IncompleteSignature(
                "Authorization header is too long.".into(),
            ));
        }
        let claim = Self::parse_header(call, header)?;
        let token = call.text(&SECURITY_TOKEN);
        Ok(Self {
            // What is no text is no token of ours, nor is it none at all.
            session_token: token.map(|token| token.unwrap_or("?")),
            ..claim
        })
    }

    fn parse_header(call: &Call<'a>, header: &'a str) -> Result<Self, KmsError> {
        let (algorithm, parameters) = around(header, b' ').unwrap_or((header, ""));
        let parameters = Parameters::parse(header, parameters)?;
        let date = [&AMZ_DATE, &http::header::DATE]
            .into_iter()
            .find_map(|name| call.text(name));
        let (Some(credential), Some(signature), Some(signed_headers), Some(date)) = (
            parameters.credential,
            parameters.signature,
            parameters.signed_headers,
            date,
        ) else {
            return Err(parameters.incomplete(header, date.is_some()));
        };
        let date = date.unwrap_or_default();
        let (signed_at, signed_at_text) = parse_date(date).ok_or_else(|| {
                KmsError::IncompleteSignature(
                    format!(
                        "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                        echo(date)
                    )
                    .into(),
                )
            })?;
        if algorithm != ALGORITHM {
            return Err(KmsError::IncompleteSignature(
                format!(
                    "Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now).",
                    echo(algorithm)
                )
                .into(),
            ));
        }
        let malformed = || {
            KmsError::IncompleteSignature(
                format!(
                    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                    echo(credential)
                )
                .into(),
            )
        };
        let (access_key_id, scope) = around(credential, b'/').ok_or_else(malformed)?;
        let mut parts = between(scope, memchr::memchr_iter(b'/', scope.as_bytes()));
        let (Some(day), Some(region), Some(service), Some(terminator), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(malformed());
        };
        Ok(Self {
            access_key_id,
            scope,
            date: day,
            region,
            service,
            terminator,
            signed_headers,
            signature,
            session_token: None,
            signed_at,
            signed_at_text,
        })
    }

    /// The access key that is claimed to have signed.
    pub fn access_key_id(&self) -> &'a str {
        self.access_key_id
    }

    /// The session token that is presented with the access key, if any is. Verified it is
    /// signed, too.
    pub fn session_token(&self) -> Option<&'a str> {
        self.session_token.filter(|token| !token.is_empty())
    }

    /// The day of the credential scope: `YYYYMMDD` if it is well-formed.
    pub fn date(&self) -> &'a str {
        self.date
    }

    /// The region of the credential scope.
    pub fn region(&self) -> &'a str {
        self.region
    }

    /// The credential scope: date, region, service and terminator.
    pub(super) fn scope(&self) -> &'a str {
        self.scope
    }

    /// The service of the credential scope.
    pub(super) fn service(&self) -> &'a str {
        self.service
    }

    /// What the credential scope ends in.
    pub(super) fn terminator(&self) -> &'a str {
        self.terminator
    }

    /// The names of the headers that are signed, as sent: joined by `;`.
    pub(super) fn signed_headers(&self) -> &'a str {
        self.signed_headers
    }

    /// The signature, as sent.
    pub(super) fn signature(&self) -> &'a str {
        self.signature
    }

    /// When the request claims to be signed.
    pub(super) fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// When the request claims to be signed, as it is signed.
    pub(super) fn signed_at_text(&self) -> &str {
        &self.signed_at_text
    }
}

/// What comes after the algorithm: `Credential=…, SignedHeaders=…, Signature=…` in any order,
/// with commas, blanks or both between.
#[derive(Default)]
struct Parameters<'a> {
    credential: Option<&'a str>,
    signature: Option<&'a str>,
    signed_headers: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn parse(header: &str, text: &'a str) -> Result<Self, KmsError> {
        let mut parameters = Self::default();
        let separators = memchr::memchr3_iter(b',', b' ', b'\t', text.as_bytes());
        for parameter in between(text, separators).filter(|text| !text.is_empty()) {
            let Some((name, value)) = around(parameter, b'=') else {
                return Err(KmsError::IncompleteSignature(
                    format!(
                        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{}'.",
                        hashed(header)
                    )
                    .into(),
                ));
            };
            let place = match name {
                "Credential" => &mut parameters.credential,
                "Signature" => &mut parameters.signature,
                "SignedHeaders" => &mut parameters.signed_headers,
                _ => continue,
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        Ok(parameters)
    }

    /// Everything that is missing, in one message.
    fn incomplete(&self, header: &str, has_date: bool) -> KmsError {
        let parts = [
            (self.credential.is_some(), "'Credential' parameter."),
            (self.signature.is_some(), "'Signature' parameter."),
            (self.signed_headers.is_some(), "'SignedHeaders' parameter."),
            (
                has_date,
                "existence of either a 'X-Amz-Date' or a 'Date' header.",
            ),
        ];
        let missing = parts.iter().filter(|(present, _)| !present);
        let mut message: String = missing
            .map(|(_, part)| format!("Authorization header requires {part} "))
            .collect();
        message.push_str("(Hashed with SHA-256 and encoded with Base64) Authorization=");
        message.push_str(&hashed(header));
        KmsError::IncompleteSignature(message.into())
    }
}

fn parse_date(text: &str) -> Option<(Timestamp, Cow<'_, str>)> {
    if let Some(time) = date::parse_basic_format(text) {
        Some((time, text.into()))
    } else {
        let time = date::parse_http_date(text)?;
        Some((time, date::basic_format(time).into()))
    }
}

/// How AWS shows an `Authorization` header: not at all, as it may be somebody's password.
fn hashed(header: &str) -> String {
    BASE64.encode(Sha256::digest(header))
}

/// The beginning of a value; values are ASCII here.
fn echo(value: &str) -> &str {
    value.get(..MAX_ECHO).unwrap_or(value)
}

//! The canonical form of a request, which is what is signed.

use std::borrow::Cow;

use http::HeaderName;

use crate::call::Call;
use crate::error::KmsError;

use super::{Authorization, between};

/// How many headers a signature may cover. Real clients sign up to twelve.
const MAX_SIGNED_HEADERS: usize = 100;

/// The headers beginning with `x-amz-` that need not be signed. The PHP SDK sends this one
/// unsigned, and nothing depends on it.
const UNSIGNED: [&str; 1] = ["x-amz-user-agent"];

/// Checks that the signature covers what it must: the host and all `x-amz-*` headers, among which
/// is the operation's name. Each header may be named once.
///
/// # Errors
///
/// InvalidSignatureException with AWS's text, which names the first header that is missing.
pub(super) fn check_signed_headers(
    call: &Call<'_>,
    authorization: &Authorization<'_>,
) -> Result<(), KmsError> {
    let signed = authorization.signed_headers();
    let signed: Vec<&str> = names(signed).collect();
    let invalid = |message: String| Err(KmsError::InvalidSignature(message.into()));
    if signed.len() > MAX_SIGNED_HEADERS {
        return invalid(format!(
            "A signature can cover at most {MAX_SIGNED_HEADERS} headers."
        ));
    }
    let covers = |name: &str| {
        signed
            .iter()
            .any(|signed| signed.eq_ignore_ascii_case(name))
    };
    if !covers("host") && !covers(":authority") {
        return invalid(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        );
    }
    let must_be_signed = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-amz-") && !UNSIGNED.contains(&name)
    };
    let mut names = call.headers.keys().filter(must_be_signed);
    if let Some(name) = names.find(|name| !covers(name.as_str())) {
        return invalid(format!(
            "'{name}' must be a 'SignedHeader' in the AWS Authorization."
        ));
    }
    let mut earlier = signed.iter();
    while let Some(name) = earlier.next_back() {
        if earlier
            .clone()
            .any(|other| other.eq_ignore_ascii_case(name))
        {
            return invalid("'SignedHeaders' names a header twice.".to_owned());
        }
    }
    Ok(())
}

/// The canonical request.
pub(super) fn request(
    call: &Call<'_>,
    authorization: &Authorization<'_>,
    body_sha256: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(call.method.as_str().as_bytes());
    out.push(b'\n');
    push_path(&mut out, call.uri.path());
    out.push(b'\n');
    push_query(&mut out, call.uri.query().unwrap_or_default());
    out.push(b'\n');
    let signed_headers = in_lower_case(authorization.signed_headers());
    for name in names(&signed_headers) {
        push_header(&mut out, call, name);
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(body_sha256.as_bytes());
    out
}

/// The names in a list of signed headers.
fn names(signed_headers: &str) -> impl Iterator<Item = &str> {
    let separators = memchr::memchr_iter(b';', signed_headers.as_bytes());
    between(signed_headers, separators)
}

fn in_lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => text.to_ascii_lowercase().into(),
        false => text.into(),
    }
}

/// A header's line: its values trimmed, runs of blanks collapsed, joined by commas. A header that
/// is not there counts as an empty one.
fn push_header(out: &mut Vec<u8>, call: &Call<'_>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if matches!(name, "host" | ":authority") {
        push_collapsed(out, call.authority.as_bytes());
    } else {
        for (index, value) in call.headers.get_all(name).iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_collapsed(out, value.as_bytes());
        }
    }
    out.push(b'\n');
}

fn push_collapsed(out: &mut Vec<u8>, value: &[u8]) {
    let value = value.trim_ascii();
    if memchr::memchr(b' ', value).is_none() {
        return out.extend_from_slice(value);
    }
    let words = value.split(|byte| *byte == b' ');
    for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The path: without empty and dot segments (RFC 3986, section 5.2.4), and encoded once more than
/// it was sent. Always `/` for a KMS client.
fn push_path(out: &mut Vec<u8>, path: &str) {
    if path == "/" {
        return out.push(b'/');
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_slash = true;
    for segment in path.split('/') {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push(b'/');
        segment.bytes().for_each(|byte| push_encoded(out, byte));
    }
    if segments.is_empty() || ends_in_slash {
        out.push(b'/');
    }
}

/// The query: every parameter encoded in one way, in the order of names, then values. Always empty
/// for a KMS client.
fn push_query(out: &mut Vec<u8>, query: &str) {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<(Vec<u8>, Vec<u8>)> = parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (recoded(name), recoded(value))
        })
        .collect();
    parameters.sort_unstable();
    for (index, (name, value)) in parameters.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Decodes percent-encoding and encodes again, in the one way SigV4 knows.
fn recoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = encoded {
            push_encoded(&mut out, high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            push_encoded(&mut out, *first);
            rest = after;
        }
    }
    out
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(byte);
    } else {
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
    }
}

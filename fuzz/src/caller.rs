//! The claim of a call to be signed.

use attestation::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use kms::Call;
use kms::sigv4::{Authorization, SecretAccessKey, Service, verify};

/// 2026-11-22T10:00:00Z, the date of the corpus.
const NOW: Timestamp = Timestamp::from_secs(1_795_341_600);

/// Header lines, `name:value`, one a line; of a call with an empty JSON object.
///
/// Nothing without the secret verifies, and every refusal is the caller's fault.
pub fn sigv4_header(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            continue;
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let authority = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost")
        .to_owned();
    let call = Call {
        method: &Method::POST,
        uri: &Uri::from_static("/"),
        headers: &headers,
        is_encrypted: false,
        body: b"{}",
        authority: &authority,
    };
    let refusal = match Authorization::parse(&call) {
        Ok(authorization) => {
            let secret = SecretAccessKey::new("a secret that no input knows".into());
            let unknown = verify(&call, &authorization, Service::Kms, None, NOW);
            assert_eq!(
                unknown.expect_err("an unknown key").wire().code,
                "UnrecognizedClientException"
            );
            verify(&call, &authorization, Service::Kms, Some(&secret), NOW)
                .expect_err("a forged signature")
        }
        Err(refusal) => refusal,
    };
    assert_eq!(refusal.wire().status, http::StatusCode::BAD_REQUEST);
}

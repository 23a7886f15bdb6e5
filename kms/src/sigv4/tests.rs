//! Signatures made by others, and requests that somebody has tampered with.

use std::time::{Duration, UNIX_EPOCH};

use attestation::Timestamp;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;

use super::*;

const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// 2015-08-30 12:36:00, when all requests here are signed.
const NOW: Timestamp = Timestamp::from_secs(1_440_938_160);

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// A request that owns what a call borrows.
#[derive(Clone, Debug)]
struct Received {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    authority: String,
}

impl Received {
    /// A GenerateDataKey, not signed.
    fn unsigned() -> Self {
        let mut request = Self {
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
            body: br#"{"KeyId":"alias/ExampleAlias","KeySpec":"AES_256"}"#.to_vec(),
            authority: "127.0.0.1:8080".to_owned(),
        };
        request.set("host", "127.0.0.1:8080");
        request.set("content-type", "application/x-amz-json-1.1");
        request.set("x-amz-target", "TrentService.GenerateDataKey");
        request.set("amz-sdk-request", "attempt=1; max=3");
        request
    }

    /// The same, signed by the Rust SDK.
    fn signed() -> Self {
        Self::unsigned().sign("eu-central-1", SECRET)
    }

    fn sign(mut self, region: &str, secret: &str) -> Self {
        let identity = Credentials::new(ACCESS_KEY_ID, secret, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(Service::Kms.name())
            .time(UNIX_EPOCH + Duration::from_millis(NOW.as_millis()))
            .settings(SigningSettings::default())
            .build()
            .expect("all parameters are given")
            .into();
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")))
            .collect();
        let request = SignableRequest::new(
            self.method.as_str(),
            format!("http://{}{}", self.authority, self.uri),
            headers.into_iter(),
            SignableBody::Bytes(&self.body),
        );
        let signed = sign(request.expect("a request"), &parameters).expect("signed");
        let (instructions, _) = signed.into_parts();
        for (name, value) in instructions.headers() {
            let name: HeaderName = name.parse().expect("a header's name");
            self.headers
                .insert(name, value.parse().expect("a header's value"));
        }
        self
    }

    /// Signs by our own means, for what the SDK doesn't do.
    fn sign_again(&mut self, authorization: &str) {
        let (claim, _) = authorization.split_once("Signature=").expect("signed");
        self.set("authorization", &format!("{claim}Signature=0"));
        let call = self.call();
        let authorization = Authorization::parse(&call).expect("well-formed");
        let secret = SecretAccessKey::new(SECRET.to_owned());
        let (date, region) = (authorization.date(), authorization.region());
        let key = SigningKey::derive(&secret, date, region, Service::Kms);
        let signature = signature(&call, &authorization, &key).expect("signed");
        self.set("authorization", &format!("{claim}Signature={signature}"));
    }

    fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.insert(name, value);
        self
    }

    fn authorization(&self) -> String {
        self.headers["authorization"]
            .to_str()
            .expect("ASCII")
            .to_owned()
    }

    fn call(&self) -> Call<'_> {
        Call {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            is_encrypted: false,
            body: &self.body,
            authority: &self.authority,
        }
    }

    fn verify_at(
        &self,
        secret: Option<&str>,
        now: Timestamp,
    ) -> Result<Authenticated<'_>, KmsError> {
        let call = self.call();
        let authorization = Authorization::parse(&call)?;
        let secret = secret.map(|secret| SecretAccessKey::new(secret.to_owned()));
        verify(&call, &authorization, Service::Kms, secret.as_ref(), now)
    }

    fn verify(&self) -> Result<Authenticated<'_>, KmsError> {
        self.verify_at(Some(SECRET), NOW)
    }
}

/// A secret, and what it remembers: the scopes of 2026-01-01 and so on, in a region.
fn remembers(secret: &SecretAccessKey, day: u32, region: &str, service: Service) -> bool {
    let date = (20_260_100 + day).to_string();
    secret.remembered(&date, region, service).is_some()
}

#[test]
fn a_signing_key_is_remembered_for_its_scope_and_no_other() {
    let secret = SecretAccessKey::new(SECRET.to_owned());
    let region = "eu-central-1";
    for day in 1..=6 {
        let date = (20_260_100 + day).to_string();
        let key = SigningKey::derive(&secret, &date, region, Service::Kms);
        for _ in 0..2 {
            secret.remember(&date, &region.parse().unwrap(), Service::Kms, key.clone());
        }
        let (remembered, of) = secret.remembered(&date, region, Service::Kms).unwrap();
        assert_eq!(*remembered.sign(&["te", "xt"]), *key.sign(&["text"]));
        assert_eq!(of.as_str(), region);
        assert!(!remembers(&secret, day, "eu-central-2", Service::Kms));
        assert!(!remembers(&secret, day, region, Service::Sts));
        assert!(!remembers(&secret, day + 1, region, Service::Kms));
    }
    let known: Vec<_> = (1..=6)
        .filter(|day| remembers(&secret, *day, region, Service::Kms))
        .collect();
    assert_eq!(known, [3, 4, 5, 6], "the newest");
    assert!(!remembers(&secret.clone(), 6, region, Service::Kms));
}

#[test]
fn only_a_good_signature_leaves_its_signing_key() {
    let secret = SecretAccessKey::new(SECRET.to_owned());
    let verify = |request: &Received| {
        let call = request.call();
        let authorization = Authorization::parse(&call).unwrap();
        let verified = verify(&call, &authorization, Service::Kms, Some(&secret), NOW);
        let (date, region) = (authorization.date(), authorization.region());
        let remembered = secret.remembered(date, region, Service::Kms);
        (verified.is_ok(), remembered.is_some())
    };
    let good = Received::signed();
    let mut bad = Received::signed();
    bad.body.push(b' ');
    assert_eq!(verify(&bad), (false, false));
    assert_eq!(verify(&good), (true, true));
    assert_eq!(verify(&good), (true, true));
    assert_eq!(
        verify(&bad),
        (false, true),
        "with the key that is remembered"
    );
}

/// One vector of AWS's test suite: target, headers after the host and the date, signature.
type Vector<'a> = (&'a str, &'a [(&'static str, &'a str)], &'a str);

/// The vectors that a request received over HTTP can have: no bare blanks or UTF-8 in the target,
/// no folded headers. All are of service "service" at [`NOW`].
/// <https://github.com/awslabs/aws-c-auth/tree/v0.9.0/tests/aws-signing-test-suite>
const GET_VECTORS: &[Vector<'_>] = &[
    (
        "/",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "/",
        &[
            ("my-header1", "value2"),
            ("my-header1", "value2"),
            ("my-header1", "value1"),
        ],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "/",
        &[
            ("my-header1", "value4"),
            ("my-header1", "value1"),
            ("my-header1", "value3"),
            ("my-header1", "value2"),
        ],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "/",
        &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "/example/..",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "/example1/example2/../..",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "/./",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "//",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "/./example",
        &[],
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    (
        "//example//",
        &[],
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    (
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        &[],
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "/?Param1=value1",
        &[],
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    (
        "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        &[],
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    (
        "/?Param2=value2&Param1=value1",
        &[],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        &[],
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    (
        "/?%E1%88%B4=bar",
        &[],
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
];

const POST_VECTORS: &[Vector<'_>] = &[
    (
        "/",
        &[],
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "/",
        &[("my-header1", "value1")],
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    (
        "/",
        &[("my-header1", "VALUE1")],
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    (
        "/?Param1=value1",
        &[],
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    (
        "/",
        &[
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-length", "13"),
            (
                "x-amz-content-sha256",
                "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
            ),
        ],
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    ),
    (
        "/",
        &[
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("content-length", "13"),
            (
                "x-amz-content-sha256",
                "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
            ),
        ],
        "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    ),
];

#[test]
fn signatures_are_those_of_the_aws_test_suite() {
    let get = GET_VECTORS.iter().map(|vector| (Method::GET, vector));
    let post = POST_VECTORS.iter().map(|vector| (Method::POST, vector));
    for (method, (target, headers, expected)) in get.chain(post) {
        let has_body = headers.iter().any(|(name, _)| *name == "content-length");
        let mut request = Received {
            method,
            uri: target.parse().expect("a target"),
            headers: HeaderMap::new(),
            body: if has_body {
                b"Param1=value1".to_vec()
            } else {
                Vec::new()
            },
            authority: "example.amazonaws.com".to_owned(),
        };
        for (name, value) in *headers {
            request
                .headers
                .append(*name, value.parse().expect("a header's value"));
        }
        request.set("x-amz-date", "20150830T123600Z");
        let mut names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        names.push("host");
        names.sort_unstable();
        let names = names.join(";");
        request.set(
            "authorization",
            &format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={expected}"),
        );
        let call = request.call();
        let authorization = Authorization::parse(&call).expect("well-formed");
        let secret = SecretAccessKey::new(SECRET.to_owned());
        let key = SigningKey::derive_for(&secret, "20150830", "us-east-1", "service");
        let actual = signature(&call, &authorization, &key);
        assert_eq!(
            actual.map(|digits| digits.to_string()),
            Ok((*expected).to_owned()),
            "{target} {names}"
        );
    }
}

#[test]
fn a_signed_call_names_its_access_key_and_region() {
    let request = Received::signed();
    let caller = request.verify().expect("signed");
    assert_eq!(caller.access_key_id(), ACCESS_KEY_ID);
    assert_eq!(caller.region().as_str(), "eu-central-1");
}

#[test]
fn what_clients_may_do_differently_is_verified_all_the_same() {
    let signed = Received::signed();
    let authorization = signed.authorization();

    // Blanks, commas or both between the parts; parts in another order.
    for separated in [
        authorization.replace(", ", ","),
        authorization.replace(", ", " "),
        authorization.replace(", ", " ,  "),
    ] {
        let mut request = signed.clone();
        request
            .set("authorization", &separated)
            .verify()
            .expect(&separated);
    }
    let (algorithm, parts) = authorization.split_once(' ').expect("an algorithm");
    let mut parts: Vec<&str> = parts.split(", ").collect();
    parts.reverse();
    let mut request = signed.clone();
    request.set(
        "authorization",
        &format!("{algorithm} {}", parts.join(", ")),
    );
    request.verify().expect("in another order");

    // A header the PHP SDK leaves unsigned, and headers that proxies add.
    let mut request = signed.clone();
    request
        .set("x-amz-user-agent", "aws-sdk-php/3")
        .set("x-amzn-trace-id", "Root=1");
    request.verify().expect("with unsigned headers");

    // No session token, said in a header of its own.
    let mut request = Received::unsigned();
    request.set("x-amz-security-token", "");
    request
        .sign("eu-central-1", SECRET)
        .verify()
        .expect("with an empty session token");

    // More blanks than were signed mean the same.
    let mut request = signed.clone();
    request.set("amz-sdk-request", "attempt=1;    max=3 ");
    request.verify().expect("with blanks");

    // Only the date of HTTP, in either format.
    for date in ["20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT"] {
        let mut request = signed.clone();
        request.headers.remove("x-amz-date");
        request.set("date", date);
        request.sign_again(&authorization.replace("x-amz-date", "date"));
        request.verify().expect(date);
    }
}

#[test]
fn any_change_to_what_is_signed_is_found() {
    type Change = fn(&mut Received);
    let changes: &[(&str, Change)] = &[
        ("body", |r| r.body.push(b' ')),
        ("empty body", |r| r.body.clear()),
        ("method", |r| r.method = Method::PUT),
        ("path", |r| r.uri = Uri::from_static("/x")),
        ("query", |r| r.uri = Uri::from_static("/?x")),
        ("host", |r| r.authority = "127.0.0.1:8081".to_owned()),
        ("host without its port", |r| {
            r.authority = "127.0.0.1".to_owned()
        }),
        ("operation", |r| {
            r.set("x-amz-target", "TrentService.ScheduleKeyDeletion");
        }),
        ("date", |r| {
            r.set("x-amz-date", "20150830T123601Z");
        }),
        ("second date", |r| {
            r.headers
                .append("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        }),
        ("case of a value", |r| {
            r.set("content-type", "Application/x-amz-json-1.1");
        }),
        ("header removed", |r| {
            r.headers.remove("content-type");
        }),
        ("order of signed headers", |r| {
            let swapped = r
                .authorization()
                .replace("content-type;host", "host;content-type");
            r.set("authorization", &swapped);
        }),
        ("signature, longer", |r| {
            let longer = r.authorization() + "0";
            r.set("authorization", &longer);
        }),
        ("signature, shorter", |r| {
            let mut shorter = r.authorization();
            shorter.pop();
            r.set("authorization", &shorter);
        }),
        ("signature in capitals", |r| {
            let authorization = r.authorization();
            let (rest, signature) = authorization.split_once("Signature=").expect("signed");
            let capitals = format!("{rest}Signature={}", signature.to_ascii_uppercase());
            r.set("authorization", &capitals);
        }),
        ("region", |r| {
            let other = r.authorization().replace("eu-central-1", "eu-central-2");
            r.set("authorization", &other);
        }),
    ];
    for (what, change) in changes {
        let mut request = Received::signed();
        change(&mut request);
        let error = request.verify().expect_err(what);
        assert_eq!(error, KmsError::InvalidSignature(MISMATCH.into()), "{what}");
    }
    let request = Received::signed();
    let error = request.verify_at(Some("another secret"), NOW);
    assert_eq!(
        error.err(),
        Some(KmsError::InvalidSignature(MISMATCH.into()))
    );
}

#[test]
fn a_body_hash_must_be_that_of_the_body() {
    let right = hex::encode(Sha256::digest(&Received::unsigned().body));
    let wrong = hex::encode(Sha256::digest(b"{}"));
    let sign = |hash: &str| {
        let mut request = Received::unsigned();
        request.set("x-amz-content-sha256", hash);
        request.sign("us-east-1", SECRET)
    };
    sign(&right).verify().expect("the body's hash");
    for hash in [
        wrong.as_str(),
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "",
    ] {
        let error = sign(hash).verify().expect_err(hash);
        assert_eq!(error, KmsError::InvalidSignature(MISMATCH.into()), "{hash}");
    }
}

#[test]
fn unknown_access_keys_are_told_nothing_else() {
    let unknown = KmsError::UnrecognizedClient(
        "The security token included in the request is invalid.".into(),
    );
    let mut scope = Received::signed();
    let other_service = scope.authorization().replace("/kms/", "/s3/");
    scope.set("authorization", &other_service);
    let day = Duration::from_secs(86_400);
    for (request, now) in [
        (Received::signed(), NOW),
        (Received::signed(), NOW + day),
        (scope, NOW),
    ] {
        assert_eq!(request.verify_at(None, now).err(), Some(unknown.clone()));
    }
}

#[test]
fn five_minutes_of_skew_are_allowed_either_way() {
    let request = Received::signed();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let second = Duration::from_secs(1);
    for now in [NOW - minutes(5), NOW, NOW + minutes(5)] {
        request
            .verify_at(Some(SECRET), now)
            .expect("within five minutes");
    }
    let error = |now| {
        request
            .verify_at(Some(SECRET), now)
            .expect_err("too far off")
    };
    assert_eq!(
        error(NOW + minutes(5) + second),
        KmsError::InvalidSignature(
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)".into()
        )
    );
    assert_eq!(
        error(NOW - minutes(5) - second),
        KmsError::InvalidSignature(
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)".into()
        )
    );
}

#[test]
fn what_is_wrong_with_a_claim_is_said_in_the_words_of_aws() {
    let incomplete = |message: &str| KmsError::IncompleteSignature(message.to_owned().into());
    let invalid = |message: &str| KmsError::InvalidSignature(message.to_owned().into());
    let hashed = |header: &str| {
        base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            Sha256::digest(header),
        )
    };
    let signed = Received::signed();
    let whole = signed.authorization();
    let part = |name: &str| {
        let (_, rest) = whole.split_once(name).expect("signed");
        format!("{name}{}", rest.split(',').next().unwrap_or_default())
    };
    let (credential, names, signature) = (
        part("Credential="),
        part("SignedHeaders="),
        part("Signature="),
    );

    let cases: Vec<(String, KmsError)> = vec![
        (
            "X".to_owned(),
            incomplete(&format!(
                "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization={}",
                hashed("X")
            )),
        ),
        (
            String::new(),
            incomplete(&format!(
                "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization={}",
                hashed("")
            )),
        ),
        (
            "Bearer secret".to_owned(),
            incomplete(&format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{}'.",
                hashed("Bearer secret")
            )),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {signature}"),
            incomplete(&format!(
                "Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization={}",
                hashed(&format!("AWS4-HMAC-SHA256 {credential}, {signature}"))
            )),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {names}, Signature="),
            incomplete(&format!(
                "Authorization header requires 'Signature' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization={}",
                hashed(&format!(
                    "AWS4-HMAC-SHA256 {credential}, {names}, Signature="
                ))
            )),
        ),
        (
            whole.replace("SHA256", "SHA25"),
            incomplete(
                "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now).",
            ),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential=a/b/c/d, {names}, {signature}"),
            incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'",
            ),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential=a, {names}, {signature}"),
            incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a'",
            ),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f, {names}, {signature}"),
            incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d/e/f'",
            ),
        ),
        (
            format!("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, {names}, {signature}"),
            invalid(
                "Credential should be scoped to a valid Region, not 'c'. Credential should be scoped to correct service: 'kms'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20150830', from '20150830T123600Z'.",
            ),
        ),
        (
            whole.replace("eu-central-1", "nowhere"),
            invalid("Credential should be scoped to a valid Region, not 'nowhere'."),
        ),
        (
            whole.replace("/kms/", "/dynamodb/"),
            invalid("Credential should be scoped to correct service: 'kms'."),
        ),
        (
            whole.replace("/20150830/", "/20150829/"),
            invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150829' != '20150830', from '20150830T123600Z'.",
            ),
        ),
        (
            whole.replace(";host", ""),
            invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            whole.replace(";x-amz-target", ""),
            invalid("'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            whole.replace(";x-amz-date", ""),
            invalid("'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            whole.replace(";host", ";host;HOST"),
            invalid("'SignedHeaders' names a header twice."),
        ),
        (
            whole.replace(";host", &format!(";host{}", ";a".repeat(100))),
            invalid("A signature can cover at most 100 headers."),
        ),
        (
            format!("AWS4-HMAC-SHA256 {}", "a=b,".repeat(3000)),
            incomplete("Authorization header is too long."),
        ),
    ];
    for (authorization, expected) in cases {
        let mut request = signed.clone();
        let error = request.set("authorization", &authorization).verify().err();
        assert_eq!(error, Some(expected), "{authorization}");
    }
}

#[test]
fn a_signature_is_good_for_one_service() {
    let request = Received::signed();
    let call = request.call();
    let authorization = Authorization::parse(&call).expect("signed");
    let secret = SecretAccessKey::new(SECRET.to_owned());
    for service in [Service::Iam, Service::Sts] {
        let error = verify(&call, &authorization, service, Some(&secret), NOW).err();
        let expected = format!(
            "Credential should be scoped to correct service: '{}'.",
            service.name()
        );
        assert_eq!(error, Some(KmsError::InvalidSignature(expected.into())));
    }
}

#[test]
fn a_session_token_must_be_signed() {
    let mut request = Received::signed();
    let token = |request: &Received| {
        let call = request.call();
        let authorization = Authorization::parse(&call).expect("signed");
        authorization.session_token().map(str::to_owned)
    };
    assert_eq!(token(&request), None);
    request.set("x-amz-security-token", "");
    assert_eq!(token(&request), None);
    request.set("x-amz-security-token", "a token");
    assert_eq!(token(&request).as_deref(), Some("a token"));
    assert_eq!(
        request.verify().err(),
        Some(KmsError::InvalidSignature(
            "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.".into()
        ))
    );
}

#[test]
fn requests_without_a_usable_signature_are_told_what_is_missing() {
    let error = |change: fn(&mut Received)| {
        let mut request = Received::signed();
        change(&mut request);
        request.verify().expect_err("no usable signature")
    };
    assert_eq!(
        error(|r| {
            r.headers.remove("authorization");
        }),
        KmsError::MissingAuthenticationToken
    );
    let no_date = error(|r| {
        r.headers.remove("x-amz-date");
    });
    assert!(
        matches!(&no_date, KmsError::IncompleteSignature(message) if message.starts_with("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed")),
        "{no_date}"
    );
    assert_eq!(
        error(|r| {
            r.set("x-amz-date", "201");
        }),
        KmsError::IncompleteSignature(
            "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601".into()
        )
    );
    assert_eq!(
        error(|r| r.uri = Uri::from_static("/?a&X-Amz-Algorithm=AWS4-HMAC-SHA256")),
        KmsError::InvalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".into())
    );
    let in_query = error(|r| {
        r.headers.remove("authorization");
        r.uri = Uri::from_static("/?X-Amz-Algorithm=AWS4-HMAC-SHA256");
    });
    assert!(
        matches!(in_query, KmsError::IncompleteSignature(_)),
        "{in_query}"
    );
}

proptest! {
    #[test]
    fn what_the_sdk_signs_verifies_and_nothing_else_does(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        value in "[ -~]{0,40}",
        second in "[!-~]( {1,3}[!-~]{1,5}){0,4}",
        path in "(/[a-zA-Z0-9._~%@:+ -]{0,6}){1,4}",
        region in "[a-z]{2}(-gov)?-[a-z]{4,9}-[1-9]",
        secret in "[a-zA-Z0-9+/]{1,40}",
        host in "[a-z]{1,9}(\\.[a-z]{2,5})?(:[1-9][0-9]{3})?",
        flipped: proptest::sample::Index,
    ) {
        let mut request = Received::unsigned();
        request.body = body;
        request.authority = host;
        request.uri = path.replace(' ', "%20").parse().expect("a target");
        let authority = request.authority.clone();
        request.set("host", &authority).set("x-amz-value", &value).set("my-value", &second);
        let mut request = request.sign(&region, &secret);
        let caller = request.verify_at(Some(&secret), NOW);
        prop_assert_eq!(caller.map(|caller| caller.region().to_string()), Ok(region));

        let index = flipped.index(request.body.len() + 1);
        match request.body.get_mut(index) {
            Some(byte) => *byte ^= 1,
            None => request.body.push(0),
        }
        let error = request.verify_at(Some(&secret), NOW).err();
        prop_assert_eq!(error, Some(KmsError::InvalidSignature(MISMATCH.into())));
    }

    #[test]
    fn no_header_makes_it_panic(
        authorization in "(AWS4-HMAC-SHA256 ?)?((Credential|Signature|SignedHeaders)?=?[ -~]{0,30}[, ;/]?){0,6}",
        date in "([0-9]{8}T[0-9]{6}Z|\\PC{0,30})",
        target in "/[!-~&&[^#]]{0,30}",
        value in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut request = Received::unsigned();
        let value = HeaderValue::from_bytes(&value);
        let (Ok(uri), Ok(value)) = (target.parse(), value) else {
            return Ok(());
        };
        request.uri = uri;
        request.headers.insert("my-value", value);
        request.set("authorization", &authorization);
        if let Ok(date) = HeaderValue::from_bytes(date.as_bytes()) {
            request.headers.insert("x-amz-date", date);
        }
        prop_assert!(request.verify().is_err());
    }
}

//! The SDK's client as a user configures it, and short forms of what most tests do with it.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{
    ConfigBag, Credentials, Intercept, Region, RuntimeComponents, SharedHttpClient,
};
use aws_sdk_kms::error::BoxError;
use aws_sdk_kms::operation::create_key::builders::CreateKeyFluentBuilder;
use aws_sdk_kms::primitives::{Blob, DateTime};
use aws_sdk_kms::types::KeyMetadata;

pub const OTHER_REGION: &str = "eu-west-1";

/// Clients for two regions, and what they have called.
pub struct Session {
    pub kms: Client,
    pub elsewhere: Client,
    calls: Calls,
}

impl Session {
    /// From `CLAVIGER_URL` and AWS's usual variables.
    pub fn from_environment() -> Self {
        let calls = Calls::default();
        let client = |region| {
            let credentials = Credentials::new(
                variable("AWS_ACCESS_KEY_ID"),
                variable("AWS_SECRET_ACCESS_KEY"),
                None,
                None,
                "environment",
            );
            let config = aws_sdk_kms::Config::builder()
                .endpoint_url(variable("CLAVIGER_URL"))
                .region(Region::new(region))
                .credentials_provider(credentials)
                .http_client(plain_http())
                .retry_config(RetryConfig::disabled())
                .interceptor(calls.clone());
            Client::from_conf(config.build())
        };
        Self {
            kms: client(variable("AWS_REGION")),
            elsewhere: client(OTHER_REGION.to_owned()),
            calls,
        }
    }

    /// Whether an operation, named as its module is, was ever sent.
    pub fn has_called(&self, operation: &str) -> bool {
        let name = operation.replace('_', "");
        self.calls.0.lock().unwrap().contains(&name)
    }
}

fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Notes the operation of each request that leaves, in lower case.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<BTreeSet<String>>>);

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target");
        let operation = target.and_then(|target| target.strip_prefix("TrentService."));
        let operation = operation.ok_or("a request without a target")?;
        self.0.lock().unwrap().insert(operation.to_lowercase());
        Ok(())
    }
}

/// A symmetric key.
pub async fn key(kms: &Client) -> KeyMetadata {
    create(kms.create_key()).await
}

pub async fn create(call: CreateKeyFluentBuilder) -> KeyMetadata {
    call.send().await.unwrap().key_metadata.unwrap()
}

pub async fn describe(kms: &Client, key: &str) -> KeyMetadata {
    let described = kms.describe_key().key_id(key).send().await.unwrap();
    described.key_metadata.unwrap()
}

pub async fn encrypt(kms: &Client, key: &KeyMetadata, plaintext: &str) -> Blob {
    let call = kms
        .encrypt()
        .key_id(&key.key_id)
        .plaintext(Blob::new(plaintext));
    call.send().await.unwrap().ciphertext_blob.unwrap()
}

pub async fn decrypt(kms: &Client, blob: Option<Blob>) -> Vec<u8> {
    let call = kms.decrypt().ciphertext_blob(blob.expect("a ciphertext"));
    bytes(call.send().await.unwrap().plaintext)
}

pub fn bytes(blob: Option<Blob>) -> Vec<u8> {
    blob.expect("bytes").into_inner()
}

/// The ARN of the account that a key is in.
pub fn root(key: &KeyMetadata) -> String {
    format!("arn:aws:iam::{}:root", key.aws_account_id().unwrap())
}

pub fn is_material_id(text: Option<&str>) -> bool {
    text.is_some_and(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

#[track_caller]
pub fn assert_now(time: Option<&DateTime>) {
    assert_after_now(time, Duration::ZERO);
}

/// Tests that a time is so long after now, give or take a minute.
#[track_caller]
pub fn assert_after_now(time: Option<&DateTime>, distance: Duration) {
    let expected = DateTime::from(SystemTime::now() + distance);
    let off = time.expect("a time").secs() - expected.secs();
    assert!(off.abs() <= 60, "{off} s off");
}

//! Audit: what was asked, by whom, on which key, and what came of it.
//!
//! Every call becomes one [`Event`], allowed or refused, in the JSON that AWS CloudTrail records
//! for AWS KMS (record version 1.11), so that tools made for CloudTrail read it. As in AWS's
//! records, plaintext, ciphertext, key material and attestation documents never appear: an event
//! is put together from members chosen one by one, never from a request or answer as a whole.
//!
//! The audit trail leaves the enclave in clear, through an untrusted host. Every field is bounded.

mod date;
mod elements;
mod iam;
mod identity;
mod line;
mod object;
mod parameters;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use attestation::rand_core::CryptoRng;
use attestation::{Timestamp, VerifiedDocument};

use crate::call::Call;
use crate::grant::GrantId;
use crate::iam::Action;
use crate::key::{BackingKeyId, Key};
use crate::name::{AccountId, Region};
use crate::principal::Principal;
use crate::protocol::{OperationName, Request};
use crate::sigv4::Service;

pub(crate) use date::iso8601;
pub(crate) use elements::{
    created_grant, created_key, key_id, key_material, replicated_key, scheduled_deletion,
};
pub(crate) use iam::{assumed_role, created_access_key, created_role, created_user, session_token};
use identity::UserIdentity;
use object::Member;
pub(crate) use object::Object;

/// The longest user agent and error message in an event, in bytes, as in CloudTrail.
const MAX_TEXT_BYTES: usize = 1024;

/// The longest access key id that is recorded of a caller who was not authenticated.
const MAX_ACCESS_KEY_ID_BYTES: usize = 128;

/// What stands for the client's address where the edge does not know it: behind the host proxy
/// the enclave sees a stream, not a peer.
const UNKNOWN_SOURCE: &str = "unknown";

/// Who CloudTrail says did what no caller asked for.
const AWS_INTERNAL: &str = "AWS Internal";

/// One call, as the audit trail records it. It is put into words once nothing more is known.
#[derive(Clone, Debug)]
pub struct Event {
    user_identity: UserIdentity,
    event_time: Timestamp,
    event_source: &'static str,
    event_name: &'static str,
    aws_region: Option<Region>,
    source_ip_address: Cow<'static, str>,
    user_agent: Option<Cow<'static, str>>,
    error_code: Option<&'static str>,
    error_message: Option<String>,
    /// In JSON already.
    request_parameters: Option<Vec<u8>>,
    response_elements: Option<Value>,
    additional_event_data: AdditionalEventData,
    /// Nil of an event that is not one of a call.
    request_id: Uuid,
    event_id: Uuid,
    read_only: bool,
    resources: Vec<Resource>,
    event_type: &'static str,
    service_event_details: Option<Value>,
    recipient_account_id: Option<AccountId>,
    attested: Option<bool>,
}

/// What CloudTrail's record has no place for.
#[derive(Clone, Debug, Default)]
struct AdditionalEventData {
    /// Which event it is of which run of the enclave.
    number: Option<(Arc<str>, u64)>,
    /// The basis of each decision, by action.
    authorization: Object,
    recipient: Option<VerifiedDocument>,
    others: Object,
}

/// A key or alias that the call was about.
#[derive(Clone, Debug, PartialEq)]
struct Resource {
    account_id: AccountId,
    kind: &'static str,
    arn: Arc<str>,
}

impl Event {
    /// Says which of the events of one run of the enclave this is. Numbers that are missing show
    /// events that are missing, whoever lost them.
    pub fn number(&mut self, boot_id: &Arc<str>, number: u64) {
        self.additional_event_data.number = Some((Arc::clone(boot_id), number));
    }

    /// The id of this event.
    pub fn event_id(&self) -> Uuid {
        self.event_id
    }

    /// The id of the request, as in the `x-amzn-RequestId` of the answer.
    pub fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// The operation, or `UnknownOperation`.
    pub fn event_name(&self) -> &'static str {
        self.event_name
    }

    /// The name of the error it was answered with.
    pub fn error_code(&self) -> Option<&'static str> {
        self.error_code
    }

    /// Whether the attestation document of the call was believed; `None` if there was none.
    pub fn attested(&self) -> Option<bool> {
        self.attested
    }

    /// Records where the call came from, if the edge knows it.
    pub fn set_source_address(&mut self, address: core::net::IpAddr) {
        self.source_ip_address = address.to_string().into();
    }

    /// An event of which nothing is known but that somebody called.
    pub(crate) fn begin(call: &Call<'_>, now: Timestamp, random: &mut dyn CryptoRng) -> Self {
        let user_agent = call.headers.get(http::header::USER_AGENT);
        Self {
            user_agent: user_agent.map(|agent| {
                bounded(&String::from_utf8_lossy(agent.as_bytes()), MAX_TEXT_BYTES).into()
            }),
            request_id: fresh_uuid(random),
            ..Self::empty(now, random)
        }
    }

    /// The record of a gap in the trail: so many events were made that will never be in it.
    ///
    /// No call makes it, so it is what CloudTrail calls a service event, and its source is not KMS.
    pub fn events_lost(count: u64, now: Timestamp, random: &mut dyn CryptoRng) -> Self {
        let mut event = Self {
            event_source: "claviger",
            event_name: "AuditEventsLost",
            event_type: "AwsServiceEvent",
            ..Self::empty(now, random)
        };
        event.additional("lost", Value::from(count));
        event
    }

    /// The record of what happened to a key without a call, such as `DeleteKey`.
    pub(crate) fn service_event(
        name: &'static str,
        key: &Key,
        details: Value,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Self {
        let mut event = Self {
            user_identity: UserIdentity::Service(key.account()),
            event_name: name,
            event_type: "AwsServiceEvent",
            aws_region: Some(key.region().clone()),
            source_ip_address: AWS_INTERNAL.into(),
            user_agent: Some(AWS_INTERNAL.into()),
            read_only: false,
            recipient_account_id: Some(key.account()),
            service_event_details: Some(details),
            ..Self::empty(now, random)
        };
        event.key(key);
        event
    }

    fn empty(now: Timestamp, random: &mut dyn CryptoRng) -> Self {
        Self {
            user_identity: UserIdentity::NOBODY,
            event_time: now,
            event_source: "kms.amazonaws.com",
            event_name: "UnknownOperation",
            aws_region: None,
            source_ip_address: UNKNOWN_SOURCE.into(),
            user_agent: None,
            error_code: None,
            error_message: None,
            request_parameters: None,
            response_elements: None,
            additional_event_data: AdditionalEventData::default(),
            request_id: Uuid::nil(),
            event_id: fresh_uuid(random),
            read_only: true,
            resources: Vec::new(),
            event_type: "AwsApiCall",
            service_event_details: None,
            recipient_account_id: None,
            attested: None,
        }
    }

    /// Records what is called.
    pub(crate) fn operation(&mut self, operation: OperationName) {
        self.event_name = operation.as_str();
        self.read_only = is_read_only(operation);
    }

    /// Records what is called of IAM or STS.
    pub(crate) fn action(&mut self, action: Action) {
        self.event_source = match action.service() {
            Service::Sts => "sts.amazonaws.com",
            _ => "iam.amazonaws.com",
        };
        self.event_name = action.as_str();
        self.read_only = !action.writes();
    }

    /// Records the parameters of a call of IAM or STS, under the names CloudTrail gives them.
    pub(crate) fn parameters(&mut self, shown: Object) {
        self.request_parameters = parameters::of_object(shown);
    }

    /// Records a role that the call is about.
    pub(crate) fn role(&mut self, account: AccountId, arn: &str) {
        self.resources.push(Resource {
            account_id: account,
            kind: "AWS::IAM::Role",
            arn: arn.into(),
        });
    }

    /// Records the access key that a caller claims to hold. It proves nothing yet.
    pub(crate) fn claimed_access_key(&mut self, access_key_id: &str) {
        self.user_identity = UserIdentity::Unknown {
            access_key_id: Some(bounded(access_key_id, MAX_ACCESS_KEY_ID_BYTES)),
        };
    }

    /// Records who calls, once authenticated.
    pub(crate) fn caller(
        &mut self,
        principal: &Arc<Principal>,
        access_key_id: &str,
        region: &Region,
    ) {
        // Claimed it was before, so it need not be copied again.
        let claimed = match std::mem::replace(&mut self.user_identity, UserIdentity::NOBODY) {
            UserIdentity::Unknown { access_key_id } => access_key_id,
            _ => None,
        };
        let claimed = claimed.filter(|claimed| claimed == access_key_id);
        self.user_identity = UserIdentity::Known {
            principal: Arc::clone(principal),
            access_key_id: claimed.unwrap_or_else(|| access_key_id.to_owned()),
        };
        self.aws_region = Some(region.clone());
        self.recipient_account_id = Some(principal.account());
    }

    /// Records the request's parameters.
    pub(crate) fn request(&mut self, request: &Request<'_>) {
        self.request_parameters = parameters::of(request);
    }

    /// Records a key that the call is about.
    pub(crate) fn key(&mut self, key: &Key) {
        self.resource(key.account(), Arc::clone(key.arn()));
    }

    /// Records an alias that the call is about. CloudTrail gives it the type of a key.
    pub(crate) fn alias(&mut self, account: AccountId, arn: &str) {
        self.resource(account, arn.into());
    }

    fn resource(&mut self, account_id: AccountId, arn: Arc<str>) {
        let resource = Resource {
            account_id,
            kind: "AWS::KMS::Key",
            arn,
        };
        if !self.resources.contains(&resource) {
            self.resources.push(resource);
        }
    }

    /// Notes that the call brings an attestation document, which proves nothing yet.
    pub(crate) fn claimed_recipient(&mut self) {
        self.attested = Some(false);
    }

    /// Records the measurements of a verified attestation document, under AWS's names.
    pub(crate) fn recipient(&mut self, document: &VerifiedDocument) {
        self.attested = Some(true);
        self.additional_event_data.recipient = Some(document.clone());
    }

    /// Records why the call was permitted or denied.
    pub(crate) fn authorization(
        &mut self,
        action: impl Into<Cow<'static, str>>,
        basis: Cow<'static, str>,
    ) {
        let decisions = &mut self.additional_event_data.authorization;
        decisions.set(action, basis);
    }

    /// Records the key material that was used, under AWS's name for its part in the call.
    pub(crate) fn key_material(&mut self, name: &'static str, id: &BackingKeyId) {
        self.additional(name, *id);
    }

    fn additional(&mut self, name: &'static str, member: impl Into<Member>) {
        self.additional_event_data.others.set(name, member);
    }

    /// Records the grant that was retired: whoever retires one by its token does not name it.
    pub(crate) fn retired_grant(&mut self, id: GrantId) {
        self.additional("grantId", id.to_string());
    }

    /// Records what the call changed.
    pub(crate) fn changed(&mut self, elements: Value) {
        self.response_elements = Some(elements);
    }

    /// Records the error that is answered. What would have changed did not.
    pub(crate) fn failed(&mut self, code: &'static str, message: Option<&str>) {
        self.error_code = Some(code);
        self.error_message = message.map(|message| bounded(message, MAX_TEXT_BYTES));
        self.response_elements = None;
    }
}

/// A random (version 4) UUID.
fn fresh_uuid(random: &mut dyn CryptoRng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Whether CloudTrail marks the operation as one that changes nothing.
fn is_read_only(operation: OperationName) -> bool {
    let name = operation.as_str();
    [
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "Encapsulate",
        "Encrypt",
        "ReEncrypt",
        "Sign",
    ]
    .contains(&name)
        || ["Describe", "Generate", "Get", "List", "Verify"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// At most this many bytes of a text, cut between characters.
fn bounded(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operations that CloudTrail marks as changing something.
    const WRITES: &str = "CancelKeyDeletion ConnectCustomKeyStore CreateAlias \
        CreateCustomKeyStore CreateGrant CreateKey DeleteAlias DeleteCustomKeyStore \
        DeleteImportedKeyMaterial DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey \
        EnableKeyRotation ImportKeyMaterial PutKeyPolicy ReplicateKey RetireGrant RevokeGrant \
        RotateKeyOnDemand ScheduleKeyDeletion TagResource UntagResource UpdateAlias \
        UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion";

    #[test]
    fn operations_that_change_something_are_not_read_only() {
        let writes: Vec<_> = OperationName::ALL
            .iter()
            .filter(|operation| !is_read_only(**operation))
            .map(|operation| operation.as_str())
            .collect();
        assert_eq!(writes, WRITES.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(bounded("short", 1024), "short");
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("aé", 3), "aé");
        assert_eq!(bounded(&"é".repeat(1024), 1024).len(), 1024);
    }
}

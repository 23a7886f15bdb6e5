//! The condition keys: what a policy may ask about a call to KMS, and where its answer comes from.
//!
//! A key whose answer isn't known is absent, and what an absent key means is the policy language's
//! business: a positive operator never holds on one. So a condition on the measurements of an
//! enclave holds only if a verified document came with the call.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use attestation::{Timestamp, VerifiedDocument};

use crate::audit::iso8601;
use crate::grant::{Grant, Grantee};
use crate::key::Key;
use crate::name::{AliasName, Region};
use crate::policy::{Caller, RequestContext, Values, keys};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::{
    EncryptionAlgorithm, ExpirationModel, KeyAgreementAlgorithm, KeyPairSpec, KeySpec, KeyUsage,
    MacAlgorithm, MessageType, MultiRegionKeyType, Origin, SigningAlgorithm, WrappingAlgorithm,
    WrappingKeySpec,
};

use super::Asking;

/// What a policy may ask about a call, besides who calls, what for, and what is known of the key.
///
/// Absent members are keys that are absent from the request, as a condition sees them.
#[derive(Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `kms:EncryptionContext:*`, `kms:EncryptionContextKeys`.
    pub encryption_context: Option<&'a EncryptionContext<'a>>,
    /// `kms:RecipientAttestation:*`: only a verified document can stand here.
    pub recipient: Option<&'a VerifiedDocument>,
    /// `kms:RequestAlias`.
    pub request_alias: Option<&'a AliasName>,
    /// `kms:EncryptionAlgorithm`.
    pub encryption_algorithm: Option<EncryptionAlgorithm>,
    /// `kms:SigningAlgorithm`.
    pub signing_algorithm: Option<SigningAlgorithm>,
    /// `kms:MessageType`.
    pub message_type: Option<MessageType>,
    /// `kms:MacAlgorithm`.
    pub mac_algorithm: Option<MacAlgorithm>,
    /// `kms:KeyAgreementAlgorithm`.
    pub key_agreement_algorithm: Option<KeyAgreementAlgorithm>,
    /// `kms:DataKeyPairSpec`.
    pub data_key_pair_spec: Option<KeyPairSpec>,
    /// `kms:ReEncryptOnSameKey`.
    pub reencrypt_on_same_key: Option<bool>,
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`.
    pub pending_window_in_days: Option<u16>,
    /// `kms:WrappingAlgorithm`.
    pub wrapping_algorithm: Option<WrappingAlgorithm>,
    /// `kms:WrappingKeySpec`.
    pub wrapping_key_spec: Option<WrappingKeySpec>,
    /// `kms:ExpirationModel`.
    pub expiration_model: Option<ExpirationModel>,
    /// `kms:ValidTo`.
    pub valid_to: Option<Timestamp>,
    /// `kms:ReplicaRegion`.
    pub replica_region: Option<&'a Region>,
    /// `kms:PrimaryRegion`.
    pub primary_region: Option<&'a Region>,
    /// `kms:RotationPeriodInDays`.
    pub rotation_period_in_days: Option<u16>,
    /// `kms:BypassPolicyLockoutSafetyCheck`.
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// `kms:KeySpec`, of a key that is to be made.
    pub key_spec: Option<KeySpec>,
    /// `kms:KeyUsage`, of a key that is to be made.
    pub key_usage: Option<KeyUsage>,
    /// `kms:KeyOrigin`, of a key that is to be made.
    pub key_origin: Option<Origin>,
    /// `kms:MultiRegion`, of a key that is to be made.
    pub multi_region: Option<bool>,
    /// `aws:RequestTag/*` and `aws:TagKeys`: the tags that are to be put on a key.
    pub request_tags: Option<&'a BTreeMap<String, String>>,
    /// `aws:TagKeys`: the keys of the tags that are to be taken away.
    pub request_tag_keys: &'a [Cow<'a, str>],
    /// The grant that is to be made, retired or revoked: `kms:GrantOperations` and its like. Those
    /// whom a grant names may retire it.
    pub grant: Option<&'a Grant>,
    /// The grant tokens sent along. A grant counts with or without its token here.
    pub grant_tokens: &'a [Cow<'a, str>],
}

/// A call, as policies see it.
pub(super) struct Asked<'a> {
    pub(super) asking: Asking<'a>,
    pub(super) action: &'static str,
    pub(super) resource: &'a str,
    /// The key that is used, if it is one.
    pub(super) key: Option<&'a Key>,
    pub(super) conditions: &'a Conditions<'a>,
    /// The encryption context by its keys in lower case, once a policy has asked for one of them.
    context: OnceCell<BTreeMap<String, Vec<&'a str>>>,
}

impl RequestContext for Asked<'_> {
    fn caller(&self) -> Caller<'_> {
        self.asking.principal.as_caller()
    }

    fn action(&self) -> &str {
        self.action
    }

    fn resource(&self) -> &str {
        self.resource
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        if let Some(pcr) = measurement(key) {
            let document = self.conditions.recipient?;
            return Some(hex::encode(document.pcrs().get(pcr)?).into());
        }
        match key.split_once(':')? {
            ("kms", name) => self.of_kms(name),
            ("aws", _) => self.of_aws(key),
            _ => None,
        }
    }
}

impl<'a> Asked<'a> {
    /// Whether the caller may do this to the resource of that name, on these conditions.
    pub(super) fn new(
        asking: Asking<'a>,
        action: &'static str,
        resource: &'a str,
        key: Option<&'a Key>,
        conditions: &'a Conditions<'a>,
    ) -> Self {
        Self {
            asking,
            action,
            resource,
            key,
            conditions,
            context: OnceCell::new(),
        }
    }

    /// The condition keys `kms:…`.
    fn of_kms(&self, name: &str) -> Option<Values<'_>> {
        let asked = self.conditions;
        if let Some(name) = name.strip_prefix("encryptioncontext:") {
            return self.encryption_context(name);
        }
        Some(match name {
            "bypasspolicylockoutsafetycheck" => asked.bypass_policy_lockout_safety_check?.into(),
            "calleraccount" => self.asking.principal.account().to_string().into(),
            "datakeypairspec" => asked.data_key_pair_spec?.as_str().into(),
            "encryptionalgorithm" => asked.encryption_algorithm?.as_str().into(),
            "encryptioncontextkeys" => asked
                .encryption_context?
                .iter()
                .map(|(key, _)| key)
                .collect(),
            "expirationmodel" => asked.expiration_model?.as_str().into(),
            "grantconstrainttype" => constraint_type(asked.grant?)?.into(),
            "grantisforawsresource" => matches!(asked.grant?.grantee, Grantee::Service(_)).into(),
            "grantoperations" => {
                let operations = asked.grant?.operations.iter();
                operations.map(|operation| operation.as_str()).collect()
            }
            "granteeprincipal" => principal(&asked.grant?.grantee)?.into(),
            "keyagreementalgorithm" => asked.key_agreement_algorithm?.as_str().into(),
            "keyorigin" => self.key_origin()?.as_str().into(),
            "keyspec" => self.key_spec()?.as_str().into(),
            "keyusage" => self.key_usage()?.as_str().into(),
            "macalgorithm" => asked.mac_algorithm?.as_str().into(),
            "messagetype" => asked.message_type?.as_str().into(),
            "multiregion" => self.multi_region()?.into(),
            "multiregionkeytype" => self.multi_region_key_type()?.as_str().into(),
            "primaryregion" => asked.primary_region?.as_str().into(),
            "reencryptonsamekey" => asked.reencrypt_on_same_key?.into(),
            "replicaregion" => asked.replica_region?.as_str().into(),
            "requestalias" => asked.request_alias?.as_str().into(),
            "resourcealiases" => self.resource_aliases(self.key?),
            "retiringprincipal" => principal(asked.grant?.retiring.as_ref()?)?.into(),
            "rotationperiodindays" => asked.rotation_period_in_days?.to_string().into(),
            "validto" => {
                // Numeric operators compare it in AWS's own example, and those for dates may.
                let millis = asked.valid_to?.as_millis();
                format!("{}.{:03}", millis / 1000, millis % 1000).into()
            }
            "wrappingalgorithm" => asked.wrapping_algorithm?.as_str().into(),
            "wrappingkeyspec" => asked.wrapping_key_spec?.as_str().into(),
            "schedulekeydeletionpendingwindowindays" => {
                asked.pending_window_in_days?.to_string().into()
            }
            "signingalgorithm" => asked.signing_algorithm?.as_str().into(),
            _ => return None,
        })
    }

    /// The global condition keys, as far as they make sense here.
    fn of_aws(&self, key: &str) -> Option<Values<'_>> {
        if let Some(tag) = key.strip_prefix(keys::RESOURCE_TAG_PREFIX) {
            return tag_value(&self.key?.tags, tag);
        }
        if let Some(tag) = key.strip_prefix(keys::REQUEST_TAG_PREFIX) {
            return tag_value(self.conditions.request_tags?, tag);
        }
        match key {
            keys::RESOURCE_ACCOUNT => Some(self.key?.account().to_string().into()),
            keys::TAG_KEYS => self.tag_keys(),
            _ => self.asking.condition_values(key),
        }
    }

    /// The keys of the tags in a request that has any.
    fn tag_keys(&self) -> Option<Values<'_>> {
        let asked = self.conditions;
        let put = asked.request_tags.into_iter().flat_map(BTreeMap::keys);
        let keys = put.map(String::as_str);
        let keys: Vec<_> = keys
            .chain(asked.request_tag_keys.iter().map(AsRef::as_ref))
            .map(Cow::Borrowed)
            .collect();
        (!keys.is_empty()).then_some(Values::Many(keys))
    }

    /// One pair of the encryption context. The names of condition keys have no case, so a pair is
    /// found whatever the case of its key; of several pairs that differ in nothing else, all count.
    fn encryption_context(&self, name: &str) -> Option<Values<'_>> {
        let context = self.conditions.encryption_context?;
        let by_key = self.context.get_or_init(|| {
            let mut by_key = BTreeMap::<_, Vec<_>>::new();
            for (key, value) in context.iter() {
                by_key.entry(keys::fold(key)).or_default().push(value);
            }
            by_key
        });
        by_key
            .get(name)
            .map(|values| values.iter().copied().collect())
    }

    fn key_spec(&self) -> Option<KeySpec> {
        self.key.map(|key| key.spec).or(self.conditions.key_spec)
    }

    fn key_usage(&self) -> Option<KeyUsage> {
        self.key.map(|key| key.usage).or(self.conditions.key_usage)
    }

    fn key_origin(&self) -> Option<Origin> {
        self.key
            .map(|key| key.origin)
            .or(self.conditions.key_origin)
    }

    fn multi_region(&self) -> Option<bool> {
        self.key
            .map(|key| key.id().is_multi_region())
            .or(self.conditions.multi_region)
    }

    /// Which of its set a key is, or is to be: ReplicateKey makes replicas, CreateKey primary keys.
    fn multi_region_key_type(&self) -> Option<MultiRegionKeyType> {
        if !self.multi_region()? {
            return None;
        }
        let is_replica = match self.key {
            Some(key) => key.is_replica(),
            None => self.conditions.replica_region.is_some(),
        };
        Some(if is_replica {
            MultiRegionKeyType::Replica
        } else {
            MultiRegionKeyType::Primary
        })
    }

    fn resource_aliases(&self, key: &Key) -> Values<'_> {
        let aliases = self
            .asking
            .state
            .aliases_of(key.account(), key.region(), key.id());
        aliases.map(|alias| alias.name.as_str()).collect()
    }
}

impl Asking<'_> {
    /// The condition keys of every call: who makes it, for which region, how and when. The client's
    /// address is what the host says it is, and is absent.
    pub(crate) fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        let principal = self.principal;
        if let Some(tag) = key.strip_prefix(keys::PRINCIPAL_TAG_PREFIX) {
            return tag_value(&principal.tags, tag);
        }
        Some(match key {
            keys::CURRENT_TIME => iso8601(self.now).into(),
            keys::EPOCH_TIME => self.now.as_secs().to_string().into(),
            keys::MULTI_FACTOR_AUTH_PRESENT => principal.token_issued().map(|_| false)?.into(),
            keys::PRINCIPAL_ACCOUNT => principal.account().to_string().into(),
            keys::PRINCIPAL_ARN => principal.policy_arn().into(),
            keys::PRINCIPAL_IS_AWS_SERVICE | keys::VIA_AWS_SERVICE => false.into(),
            keys::PRINCIPAL_TYPE => principal.type_name().into(),
            keys::REQUESTED_REGION => self.region.as_str().into(),
            keys::SECURE_TRANSPORT => self.call.is_encrypted.into(),
            keys::TOKEN_ISSUE_TIME => iso8601(principal.token_issued()?).into(),
            keys::USER_AGENT => {
                let agent = self.call.headers.get(http::header::USER_AGENT)?;
                agent.to_str().ok()?.into()
            }
            keys::USER_ID => principal.principal_id().into_owned().into(),
            keys::USER_NAME => principal.user_name()?.into(),
            _ => return None,
        })
    }
}

/// The value of the tag with this key, in whatever case.
pub(crate) fn tag_value<'a>(tags: &'a BTreeMap<String, String>, name: &str) -> Option<Values<'a>> {
    let (_, value) = tags.iter().find(|(key, _)| keys::same(key, name))?;
    Some(value.as_str().into())
}

/// Which register a condition key asks for, if it asks for one. `ImageSha384` is PCR 0. Their
/// values are in lower-case hexadecimal.
fn measurement(key: &str) -> Option<usize> {
    match key {
        keys::RECIPIENT_ATTESTATION_IMAGE_SHA384 => Some(0),
        _ => keys::recipient_pcr(key).map(usize::from),
    }
}

fn constraint_type(grant: &Grant) -> Option<&'static str> {
    if grant.constraints.encryption_context_equals.is_some() {
        Some("EncryptionContextEquals")
    } else if grant.constraints.encryption_context_subset.is_some() {
        Some("EncryptionContextSubset")
    } else {
        None
    }
}

fn principal(grantee: &Grantee) -> Option<&str> {
    match grantee {
        Grantee::Principal(arn) => Some(arn),
        Grantee::Service(_) => None,
    }
}

//! `requestParameters`: what of a request an event may show.
//!
//! Left out, as AWS leaves them out: plaintext, ciphertext, messages, signatures, passwords,
//! attestation documents and grant tokens. An encryption context is shown: it is not secret by
//! definition, and it is what makes the record of a decryption useful.

use serde::Serialize;
use serde_json::{Value, json};

use super::date;
use super::object::{Member, Object};
use crate::json_writer;
use crate::protocol::request::{Tag, XksProxy};
use crate::protocol::spec::{
    EncryptionAlgorithm, ExpirationModel, KeySpec, KeyUsage, MessageType, Origin,
};
use crate::protocol::{EncryptionContext, Request, request};

/// The most that `requestParameters` may take, in bytes of JSON. CloudTrail's own limit is 100 KB.
const MAX_BYTES: usize = 12 * 1024;

/// The longest text, in bytes, that is kept of parameters that take more than that.
const MAX_KEPT_BYTES: usize = 512;

/// How long the parameters of an ordinary request are, in bytes.
const USUAL_BYTES: usize = 256;

/// The parameters of a request, under the names CloudTrail gives them, as JSON; `None` if it has
/// none.
///
/// When there is too much of them, only those of bounded size, with `"omitted": true` as CloudTrail
/// marks a truncated field.
pub(super) fn of(request: &Request<'_>) -> Option<Vec<u8>> {
    let write = |only_short| {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        json_writer::append(&mut json, |object| {
            let mut shown = Parameters { object, only_short };
            write_request(&mut shown, request);
            if only_short {
                shown.flag("omitted", true);
            }
        });
        json
    };
    bounded(write(false), || write(true))
}

/// The same of the parameters of a call of IAM or STS.
pub(super) fn of_object(mut parameters: Object) -> Option<Vec<u8>> {
    let write = |parameters: &Object| {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        json_writer::append(&mut json, |o| parameters.write(o));
        json
    };
    bounded(write(&parameters), || {
        parameters.retain(|member| match member {
            Member::Value(Value::Object(_) | Value::Array(_)) => false,
            Member::Text(text) => text.len() <= MAX_KEPT_BYTES,
            Member::Value(Value::String(text)) => text.len() <= MAX_KEPT_BYTES,
            Member::Value(Value::Null | Value::Bool(_) | Value::Number(_))
            | Member::Material(_) => true,
        });
        parameters.set("omitted", Value::from(true));
        write(&parameters)
    })
}

/// All parameters unless there is too much of them; then the short ones alone.
fn bounded(all: Vec<u8>, short: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
    match all.len() {
        0..=MAX_BYTES => Some(all).filter(|json| json != b"{}"),
        _ => Some(short()),
    }
}

fn write_request(shown: &mut Parameters<'_, '_>, request: &Request<'_>) {
    match request {
        Request::CancelKeyDeletion(r) => shown.text("keyId", &r.key_id),
        Request::ConnectCustomKeyStore(r) => {
            shown.text("customKeyStoreId", &r.custom_key_store_id);
        }
        Request::CreateAlias(r) => {
            shown.text("aliasName", &r.alias_name);
            shown.text("targetKeyId", &r.target_key_id);
        }
        Request::CreateGrant(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("granteePrincipal", r.grantee_principal.as_deref());
            let service = r.grantee_service_principal.as_deref();
            shown.optional("granteeServicePrincipal", service);
            shown.optional("retiringPrincipal", r.retiring_principal.as_deref());
            let service = r.retiring_service_principal.as_deref();
            shown.optional("retiringServicePrincipal", service);
            let operations = r.operations.iter().map(|operation| operation.as_str());
            shown.list("operations", &operations.collect::<Vec<_>>());
            if let Some(constraints) = &r.constraints {
                shown.grant_constraints(constraints);
            }
            shown.optional("name", r.name.as_deref());
            shown.dry_run(r.dry_run);
        }
        Request::CreateCustomKeyStore(r) => {
            shown.text("customKeyStoreName", &r.custom_key_store_name);
            shown.optional("cloudHsmClusterId", r.cloud_hsm_cluster_id.as_deref());
            shown.optional(
                "trustAnchorCertificate",
                r.trust_anchor_certificate.as_deref(),
            );
            shown.optional(
                "customKeyStoreType",
                r.custom_key_store_type.map(|kind| kind.as_str()),
            );
            shown.xks_proxy(&r.xks_proxy);
        }
        Request::CreateKey(r) => {
            shown.optional("policy", r.policy.as_deref());
            shown.text("description", r.description.as_deref().unwrap_or_default());
            let spec = r.key_spec.or(r.customer_master_key_spec);
            let spec = spec.unwrap_or(KeySpec::SymmetricDefault).as_str();
            shown.text("customerMasterKeySpec", spec);
            shown.text("keySpec", spec);
            shown.text(
                "keyUsage",
                r.key_usage.unwrap_or(KeyUsage::EncryptDecrypt).as_str(),
            );
            shown.text("origin", r.origin.unwrap_or(Origin::AwsKms).as_str());
            shown.optional("customKeyStoreId", r.custom_key_store_id.as_deref());
            shown.flag(
                "bypassPolicyLockoutSafetyCheck",
                r.bypass_policy_lockout_safety_check,
            );
            if r.multi_region {
                shown.flag("multiRegion", true);
            }
            if !r.tags.is_empty() {
                shown.tags(&r.tags);
            }
        }
        Request::Decapsulate(r) => {
            shown.text("keyId", &r.key_id);
            let algorithm = r.encapsulation_algorithm.as_str();
            shown.text("encapsulationAlgorithm", algorithm);
            shown.dry_run(r.dry_run);
        }
        Request::Decrypt(r) => {
            shown.algorithm("encryptionAlgorithm", r.encryption_algorithm);
            shown.optional("keyId", r.key_id.as_deref());
            shown.context("encryptionContext", &r.encryption_context);
            shown.dry_run(r.dry_run);
        }
        Request::DeleteAlias(r) => shown.text("aliasName", &r.alias_name),
        Request::DeleteCustomKeyStore(r) => {
            shown.text("customKeyStoreId", &r.custom_key_store_id);
        }
        Request::DeleteImportedKeyMaterial(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("keyMaterialId", r.key_material_id.as_deref());
        }
        Request::DescribeCustomKeyStores(r) => {
            shown.optional("customKeyStoreId", r.custom_key_store_id.as_deref());
            shown.optional("customKeyStoreName", r.custom_key_store_name.as_deref());
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::DeriveSharedSecret(r) => {
            shown.text("keyId", &r.key_id);
            let algorithm = r.key_agreement_algorithm.as_str();
            shown.text("keyAgreementAlgorithm", algorithm);
            shown.dry_run(r.dry_run);
        }
        Request::DescribeKey(r) => shown.text("keyId", &r.key_id),
        Request::DisableKey(r) => shown.text("keyId", &r.key_id),
        Request::DisableKeyRotation(r) => {
            shown.text("keyId", &r.key_id);
        }
        Request::DisconnectCustomKeyStore(r) => {
            shown.text("customKeyStoreId", &r.custom_key_store_id);
        }
        Request::EnableKey(r) => shown.text("keyId", &r.key_id),
        Request::EnableKeyRotation(r) => {
            shown.text("keyId", &r.key_id);
            shown.number("rotationPeriodInDays", r.rotation_period_in_days);
        }
        Request::Encapsulate(r) => {
            shown.text("keyId", &r.key_id);
            let algorithm = r.encapsulation_algorithm.as_str();
            shown.text("encapsulationAlgorithm", algorithm);
            shown.dry_run(r.dry_run);
        }
        Request::Encrypt(r) => {
            shown.text("keyId", &r.key_id);
            shown.context("encryptionContext", &r.encryption_context);
            shown.algorithm("encryptionAlgorithm", r.encryption_algorithm);
            shown.dry_run(r.dry_run);
        }
        Request::GenerateDataKey(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("keySpec", r.key_spec.map(|spec| spec.as_str()));
            shown.number("numberOfBytes", r.number_of_bytes);
            shown.context("encryptionContext", &r.encryption_context);
            shown.dry_run(r.dry_run);
        }
        Request::GenerateDataKeyWithoutPlaintext(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("keySpec", r.key_spec.map(|spec| spec.as_str()));
            shown.number("numberOfBytes", r.number_of_bytes);
            shown.context("encryptionContext", &r.encryption_context);
            shown.dry_run(r.dry_run);
        }
        Request::GenerateDataKeyPair(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("keyPairSpec", r.key_pair_spec.as_str());
            shown.context("encryptionContext", &r.encryption_context);
            shown.dry_run(r.dry_run);
        }
        Request::GenerateDataKeyPairWithoutPlaintext(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("keyPairSpec", r.key_pair_spec.as_str());
            shown.context("encryptionContext", &r.encryption_context);
            shown.dry_run(r.dry_run);
        }
        Request::GenerateMac(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("macAlgorithm", r.mac_algorithm.as_str());
            shown.dry_run(r.dry_run);
        }
        Request::GenerateRandom(r) => {
            shown.number("numberOfBytes", r.number_of_bytes);
            shown.optional("customKeyStoreId", r.custom_key_store_id.as_deref());
        }
        Request::GetKeyLastUsage(r) => {
            shown.text("keyId", &r.key_id);
        }
        Request::GetKeyPolicy(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("policyName", r.policy_name.as_deref());
        }
        Request::GetKeyRotationStatus(r) => {
            shown.text("keyId", &r.key_id);
        }
        Request::GetParametersForImport(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("wrappingAlgorithm", r.wrapping_algorithm.as_str());
            shown.text("wrappingKeySpec", r.wrapping_key_spec.as_str());
        }
        Request::GetPublicKey(r) => shown.text("keyId", &r.key_id),
        Request::ImportKeyMaterial(r) => {
            shown.text("keyId", &r.key_id);
            if let Some(moment) = r.valid_to {
                shown.text("validTo", &date::in_words(moment));
            }
            let model = r.expiration_model.unwrap_or(ExpirationModel::Expires);
            shown.text("expirationModel", model.as_str());
            shown.optional("importType", r.import_type.map(|kind| kind.as_str()));
            let description = r.key_material_description.as_deref();
            shown.optional("keyMaterialDescription", description);
            shown.optional("keyMaterialId", r.key_material_id.as_deref());
        }
        Request::ListAliases(r) => {
            shown.optional("keyId", r.key_id.as_deref());
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::ListGrants(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("grantId", r.grant_id.as_deref());
            shown.optional("granteePrincipal", r.grantee_principal.as_deref());
            let service = r.grantee_service_principal.as_deref();
            shown.optional("granteeServicePrincipal", service);
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::ListKeyPolicies(r) => {
            shown.text("keyId", &r.key_id);
        }
        Request::ListKeyRotations(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional(
                "includeKeyMaterial",
                r.include_key_material.map(|which| which.as_str()),
            );
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::ListKeys(r) => {
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::ListRetirableGrants(r) => {
            shown.optional("retiringPrincipal", r.retiring_principal.as_deref());
            let service = r.retiring_service_principal.as_deref();
            shown.optional("retiringServicePrincipal", service);
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::PutKeyPolicy(r) => {
            shown.text("keyId", &r.key_id);
            shown.optional("policyName", r.policy_name.as_deref());
            shown.text("policy", &r.policy);
            let bypass = r.bypass_policy_lockout_safety_check;
            shown.flag("bypassPolicyLockoutSafetyCheck", bypass);
        }
        Request::ListResourceTags(r) => {
            shown.text("keyId", &r.key_id);
            shown.number("limit", r.limit);
            shown.optional("marker", r.marker.as_deref());
        }
        Request::ReEncrypt(r) => {
            shown.optional("sourceKeyId", r.source_key_id.as_deref());
            shown.algorithm("sourceEncryptionAlgorithm", r.source_encryption_algorithm);
            shown.context("sourceEncryptionContext", &r.source_encryption_context);
            shown.text("destinationKeyId", &r.destination_key_id);
            shown.algorithm(
                "destinationEncryptionAlgorithm",
                r.destination_encryption_algorithm,
            );
            shown.context(
                "destinationEncryptionContext",
                &r.destination_encryption_context,
            );
            shown.dry_run(r.dry_run);
        }
        Request::RetireGrant(r) => {
            shown.optional("keyId", r.key_id.as_deref());
            shown.optional("grantId", r.grant_id.as_deref());
            shown.dry_run(r.dry_run);
        }
        Request::RevokeGrant(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("grantId", &r.grant_id);
            shown.dry_run(r.dry_run);
        }
        Request::ReplicateKey(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("replicaRegion", &r.replica_region);
            shown.optional("policy", r.policy.as_deref());
            shown.flag(
                "bypassPolicyLockoutSafetyCheck",
                r.bypass_policy_lockout_safety_check,
            );
            shown.optional("description", r.description.as_deref());
            if !r.tags.is_empty() {
                shown.tags(&r.tags);
            }
        }
        Request::RotateKeyOnDemand(r) => {
            shown.text("keyId", &r.key_id);
        }
        Request::ScheduleKeyDeletion(r) => {
            shown.text("keyId", &r.key_id);
            shown.number("pendingWindowInDays", r.pending_window_in_days);
        }
        Request::Sign(r) => {
            shown.text("keyId", &r.key_id);
            shown.message_type(r.message_type);
            shown.text("signingAlgorithm", r.signing_algorithm.as_str());
            shown.dry_run(r.dry_run);
        }
        Request::TagResource(r) => {
            shown.text("keyId", &r.key_id);
            shown.tags(&r.tags);
        }
        Request::UntagResource(r) => {
            shown.text("keyId", &r.key_id);
            shown.list("tagKeys", &r.tag_keys);
        }
        Request::UpdateAlias(r) => {
            shown.text("aliasName", &r.alias_name);
            shown.text("targetKeyId", &r.target_key_id);
        }
        Request::UpdateCustomKeyStore(r) => {
            shown.text("customKeyStoreId", &r.custom_key_store_id);
            shown.optional(
                "newCustomKeyStoreName",
                r.new_custom_key_store_name.as_deref(),
            );
            shown.optional("cloudHsmClusterId", r.cloud_hsm_cluster_id.as_deref());
            shown.xks_proxy(&r.xks_proxy);
        }
        Request::UpdateKeyDescription(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("description", &r.description);
        }
        Request::UpdatePrimaryRegion(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("primaryRegion", &r.primary_region);
        }
        Request::Verify(r) => {
            shown.text("keyId", &r.key_id);
            shown.message_type(r.message_type);
            shown.text("signingAlgorithm", r.signing_algorithm.as_str());
            shown.dry_run(r.dry_run);
        }
        Request::VerifyMac(r) => {
            shown.text("keyId", &r.key_id);
            shown.text("macAlgorithm", r.mac_algorithm.as_str());
            shown.dry_run(r.dry_run);
        }
    }
}

/// Parameters that are being written.
struct Parameters<'p, 'o> {
    object: &'p mut json_writer::Object<'o>,
    /// Whether only those of bounded size are.
    only_short: bool,
}

impl Parameters<'_, '_> {
    fn text(&mut self, name: &'static str, text: &str) {
        if !self.only_short || text.len() <= MAX_KEPT_BYTES {
            self.object.text(name, text);
        }
    }

    fn optional(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &'static str, number: Option<u16>) {
        if let Some(number) = number {
            self.object.number(name, number);
        }
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        self.object.flag(name, flag);
    }

    fn list(&mut self, name: &'static str, items: &[impl Serialize]) {
        if !self.only_short {
            self.object.value(name, &items);
        }
    }

    fn tags(&mut self, tags: &[Tag<'_>]) {
        let tags = tags
            .iter()
            .map(|tag| json!({ "tagKey": tag.key, "tagValue": tag.value }));
        self.list("tags", &tags.collect::<Vec<_>>());
    }

    /// The proxy of an external key store, without what authenticates to it.
    fn xks_proxy(&mut self, proxy: &XksProxy<'_>) {
        self.optional("xksProxyUriEndpoint", proxy.uri_endpoint.as_deref());
        self.optional("xksProxyUriPath", proxy.uri_path.as_deref());
        self.optional(
            "xksProxyVpcEndpointServiceName",
            proxy.vpc_endpoint_service_name.as_deref(),
        );
        self.optional(
            "xksProxyVpcEndpointServiceOwner",
            proxy.vpc_endpoint_service_owner.as_deref(),
        );
        self.optional(
            "xksProxyConnectivity",
            proxy.connectivity.map(|kind| kind.as_str()),
        );
    }

    fn grant_constraints(&mut self, constraints: &request::GrantConstraints<'_>) {
        if self.only_short {
            return;
        }
        self.object.object("constraints", |object| {
            let mut shown = Parameters {
                object,
                only_short: false,
            };
            if let Some(context) = &constraints.encryption_context_subset {
                shown.context("encryptionContextSubset", context);
            }
            if let Some(context) = &constraints.encryption_context_equals {
                shown.context("encryptionContextEquals", context);
            }
            shown.optional("sourceArn", constraints.source_arn.as_deref());
        });
    }

    /// The algorithm is shown even when the request left it out, as AWS does.
    fn algorithm(&mut self, name: &'static str, algorithm: Option<EncryptionAlgorithm>) {
        let algorithm = algorithm.unwrap_or(EncryptionAlgorithm::SymmetricDefault);
        self.text(name, algorithm.as_str());
    }

    /// So is the message type.
    fn message_type(&mut self, message_type: Option<MessageType>) {
        let message_type = message_type.unwrap_or(MessageType::Raw);
        self.text("messageType", message_type.as_str());
    }

    fn context(&mut self, name: &'static str, context: &EncryptionContext<'_>) {
        if !context.is_empty() && !self.only_short {
            self.object.object(name, |object| {
                for (key, value) in context.iter() {
                    object.entry(key, value);
                }
            });
        }
    }

    fn dry_run(&mut self, dry_run: bool) {
        if dry_run {
            self.flag("dryRun", true);
        }
    }
}

//! The requests, one type for each operation, with every member of the service model.
//!
//! Members are as AWS's model constrains them and no further checked: a `key_id` is a text of 1 to
//! 2048 characters, not yet a key.

mod aliases;
mod asymmetric;
mod cryptography;
mod custom_key_stores;
mod grants;
mod import;
mod keys;
mod multi_region;
mod policies;
mod rotation;
mod shape;
mod tags;
#[cfg(test)]
mod tests;

pub use aliases::{CreateAlias, DeleteAlias, ListAliases, UpdateAlias};
pub use asymmetric::{
    Decapsulate, DeriveSharedSecret, Encapsulate, GenerateMac, GetPublicKey, Sign, Verify,
    VerifyMac,
};
pub use cryptography::{
    Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyWithoutPlaintext, GenerateRandom, ReEncrypt,
};
pub use custom_key_stores::{
    ConnectCustomKeyStore, CreateCustomKeyStore, DeleteCustomKeyStore, DescribeCustomKeyStores,
    DisconnectCustomKeyStore, UpdateCustomKeyStore, XksProxy, XksProxyAuthenticationCredential,
};
pub use grants::{
    CreateGrant, GrantConstraints, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant,
};
pub use import::{DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial};
pub use keys::{
    CancelKeyDeletion, CreateKey, DescribeKey, DisableKey, EnableKey, GetKeyLastUsage, ListKeys,
    ScheduleKeyDeletion, Tag,
};
pub use multi_region::{ReplicateKey, UpdatePrimaryRegion};
pub use policies::{GetKeyPolicy, ListKeyPolicies, PutKeyPolicy};
pub use rotation::{
    DisableKeyRotation, EnableKeyRotation, GetKeyRotationStatus, ListKeyRotations,
    RotateKeyOnDemand,
};
pub use tags::{ListResourceTags, TagResource, UntagResource, UpdateKeyDescription};

use crate::error::KmsError;

use super::json::Object;
use super::members::Members;
use super::operation::OperationName;
use super::spec::KeyEncryptionAlgorithm;
use super::violation::Violations;

/// A request of one of the operations.
///
/// Not `Debug`: it may hold plaintext.
#[allow(missing_docs, reason = "each variant is the request type of its name")]
pub enum Request<'a> {
    CancelKeyDeletion(CancelKeyDeletion<'a>),
    ConnectCustomKeyStore(ConnectCustomKeyStore<'a>),
    CreateAlias(CreateAlias<'a>),
    CreateCustomKeyStore(CreateCustomKeyStore<'a>),
    CreateGrant(CreateGrant<'a>),
    CreateKey(CreateKey<'a>),
    Decapsulate(Decapsulate<'a>),
    Decrypt(Decrypt<'a>),
    DeleteAlias(DeleteAlias<'a>),
    DeleteCustomKeyStore(DeleteCustomKeyStore<'a>),
    DeleteImportedKeyMaterial(DeleteImportedKeyMaterial<'a>),
    DescribeCustomKeyStores(DescribeCustomKeyStores<'a>),
    DeriveSharedSecret(DeriveSharedSecret<'a>),
    DescribeKey(DescribeKey<'a>),
    DisableKey(DisableKey<'a>),
    DisableKeyRotation(DisableKeyRotation<'a>),
    DisconnectCustomKeyStore(DisconnectCustomKeyStore<'a>),
    EnableKey(EnableKey<'a>),
    EnableKeyRotation(EnableKeyRotation<'a>),
    Encapsulate(Encapsulate<'a>),
    Encrypt(Encrypt<'a>),
    GenerateDataKey(GenerateDataKey<'a>),
    GenerateDataKeyPair(GenerateDataKeyPair<'a>),
    GenerateDataKeyPairWithoutPlaintext(GenerateDataKeyPairWithoutPlaintext<'a>),
    GenerateDataKeyWithoutPlaintext(GenerateDataKeyWithoutPlaintext<'a>),
    GenerateMac(GenerateMac<'a>),
    GenerateRandom(GenerateRandom<'a>),
    GetKeyLastUsage(GetKeyLastUsage<'a>),
    GetKeyPolicy(GetKeyPolicy<'a>),
    GetKeyRotationStatus(GetKeyRotationStatus<'a>),
    GetParametersForImport(GetParametersForImport<'a>),
    GetPublicKey(GetPublicKey<'a>),
    ImportKeyMaterial(ImportKeyMaterial<'a>),
    ListAliases(ListAliases<'a>),
    ListGrants(ListGrants<'a>),
    ListKeyPolicies(ListKeyPolicies<'a>),
    ListKeyRotations(ListKeyRotations<'a>),
    ListKeys(ListKeys<'a>),
    ListResourceTags(ListResourceTags<'a>),
    ListRetirableGrants(ListRetirableGrants<'a>),
    PutKeyPolicy(PutKeyPolicy<'a>),
    ReEncrypt(ReEncrypt<'a>),
    ReplicateKey(ReplicateKey<'a>),
    RetireGrant(RetireGrant<'a>),
    RevokeGrant(RevokeGrant<'a>),
    RotateKeyOnDemand(RotateKeyOnDemand<'a>),
    ScheduleKeyDeletion(ScheduleKeyDeletion<'a>),
    Sign(Sign<'a>),
    TagResource(TagResource<'a>),
    UntagResource(UntagResource<'a>),
    UpdateAlias(UpdateAlias<'a>),
    UpdateCustomKeyStore(UpdateCustomKeyStore<'a>),
    UpdateKeyDescription(UpdateKeyDescription<'a>),
    UpdatePrimaryRegion(UpdatePrimaryRegion<'a>),
    Verify(Verify<'a>),
    VerifyMac(VerifyMac<'a>),
}

/// Reads the body of a request.
///
/// # Errors
///
/// SerializationException if it is not a JSON object or a member has the wrong JSON type,
/// ValidationException with all violated constraints.
pub fn parse(operation: OperationName, body: &[u8]) -> Result<Request<'_>, KmsError> {
    let object = Object::parse(body)?;
    let mut violations = Violations::default();
    let request = read(operation, &mut Members::new(object, &mut violations))?;
    violations.into_result()?;
    Ok(request)
}

fn read<'a>(
    operation: OperationName,
    members: &mut Members<'_, 'a>,
) -> Result<Request<'a>, KmsError> {
    use OperationName as Name;
    match operation {
        Name::CancelKeyDeletion => CancelKeyDeletion::read(members).map(Request::CancelKeyDeletion),
        Name::ConnectCustomKeyStore => {
            ConnectCustomKeyStore::read(members).map(Request::ConnectCustomKeyStore)
        }
        Name::CreateAlias => CreateAlias::read(members).map(Request::CreateAlias),
        Name::CreateCustomKeyStore => {
            CreateCustomKeyStore::read(members).map(Request::CreateCustomKeyStore)
        }
        Name::CreateGrant => CreateGrant::read(members).map(Request::CreateGrant),
        Name::CreateKey => CreateKey::read(members).map(Request::CreateKey),
        Name::Decapsulate => Decapsulate::read(members).map(Request::Decapsulate),
        Name::Decrypt => Decrypt::read(members).map(Request::Decrypt),
        Name::DeleteAlias => DeleteAlias::read(members).map(Request::DeleteAlias),
        Name::DeleteCustomKeyStore => {
            DeleteCustomKeyStore::read(members).map(Request::DeleteCustomKeyStore)
        }
        Name::DeleteImportedKeyMaterial => {
            DeleteImportedKeyMaterial::read(members).map(Request::DeleteImportedKeyMaterial)
        }
        Name::DescribeCustomKeyStores => {
            DescribeCustomKeyStores::read(members).map(Request::DescribeCustomKeyStores)
        }
        Name::DeriveSharedSecret => {
            DeriveSharedSecret::read(members).map(Request::DeriveSharedSecret)
        }
        Name::DescribeKey => DescribeKey::read(members).map(Request::DescribeKey),
        Name::DisableKey => DisableKey::read(members).map(Request::DisableKey),
        Name::DisableKeyRotation => {
            DisableKeyRotation::read(members).map(Request::DisableKeyRotation)
        }
        Name::DisconnectCustomKeyStore => {
            DisconnectCustomKeyStore::read(members).map(Request::DisconnectCustomKeyStore)
        }
        Name::EnableKey => EnableKey::read(members).map(Request::EnableKey),
        Name::EnableKeyRotation => EnableKeyRotation::read(members).map(Request::EnableKeyRotation),
        Name::Encapsulate => Encapsulate::read(members).map(Request::Encapsulate),
        Name::Encrypt => Encrypt::read(members).map(Request::Encrypt),
        Name::GenerateDataKey => GenerateDataKey::read(members).map(Request::GenerateDataKey),
        Name::GenerateDataKeyPair => {
            GenerateDataKeyPair::read(members).map(Request::GenerateDataKeyPair)
        }
        Name::GenerateDataKeyPairWithoutPlaintext => {
            GenerateDataKeyPairWithoutPlaintext::read(members)
                .map(Request::GenerateDataKeyPairWithoutPlaintext)
        }
        Name::GenerateDataKeyWithoutPlaintext => GenerateDataKeyWithoutPlaintext::read(members)
            .map(Request::GenerateDataKeyWithoutPlaintext),
        Name::GenerateMac => GenerateMac::read(members).map(Request::GenerateMac),
        Name::GenerateRandom => GenerateRandom::read(members).map(Request::GenerateRandom),
        Name::GetKeyLastUsage => GetKeyLastUsage::read(members).map(Request::GetKeyLastUsage),
        Name::GetKeyPolicy => GetKeyPolicy::read(members).map(Request::GetKeyPolicy),
        Name::GetKeyRotationStatus => {
            GetKeyRotationStatus::read(members).map(Request::GetKeyRotationStatus)
        }
        Name::GetParametersForImport => {
            GetParametersForImport::read(members).map(Request::GetParametersForImport)
        }
        Name::GetPublicKey => GetPublicKey::read(members).map(Request::GetPublicKey),
        Name::ImportKeyMaterial => ImportKeyMaterial::read(members).map(Request::ImportKeyMaterial),
        Name::ListAliases => ListAliases::read(members).map(Request::ListAliases),
        Name::ListGrants => ListGrants::read(members).map(Request::ListGrants),
        Name::ListKeyPolicies => ListKeyPolicies::read(members).map(Request::ListKeyPolicies),
        Name::ListKeyRotations => ListKeyRotations::read(members).map(Request::ListKeyRotations),
        Name::ListKeys => ListKeys::read(members).map(Request::ListKeys),
        Name::ListResourceTags => ListResourceTags::read(members).map(Request::ListResourceTags),
        Name::ListRetirableGrants => {
            ListRetirableGrants::read(members).map(Request::ListRetirableGrants)
        }
        Name::PutKeyPolicy => PutKeyPolicy::read(members).map(Request::PutKeyPolicy),
        Name::ReEncrypt => ReEncrypt::read(members).map(Request::ReEncrypt),
        Name::ReplicateKey => ReplicateKey::read(members).map(Request::ReplicateKey),
        Name::RetireGrant => RetireGrant::read(members).map(Request::RetireGrant),
        Name::RevokeGrant => RevokeGrant::read(members).map(Request::RevokeGrant),
        Name::RotateKeyOnDemand => RotateKeyOnDemand::read(members).map(Request::RotateKeyOnDemand),
        Name::ScheduleKeyDeletion => {
            ScheduleKeyDeletion::read(members).map(Request::ScheduleKeyDeletion)
        }
        Name::Sign => Sign::read(members).map(Request::Sign),
        Name::TagResource => TagResource::read(members).map(Request::TagResource),
        Name::UntagResource => UntagResource::read(members).map(Request::UntagResource),
        Name::UpdateAlias => UpdateAlias::read(members).map(Request::UpdateAlias),
        Name::UpdateCustomKeyStore => {
            UpdateCustomKeyStore::read(members).map(Request::UpdateCustomKeyStore)
        }
        Name::UpdateKeyDescription => {
            UpdateKeyDescription::read(members).map(Request::UpdateKeyDescription)
        }
        Name::UpdatePrimaryRegion => {
            UpdatePrimaryRegion::read(members).map(Request::UpdatePrimaryRegion)
        }
        Name::Verify => Verify::read(members).map(Request::Verify),
        Name::VerifyMac => VerifyMac::read(members).map(Request::VerifyMac),
    }
}

/// Whom a plaintext is to be sealed for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// How to seal it. Both members are optional in AWS's model.
    pub key_encryption_algorithm: Option<KeyEncryptionAlgorithm>,
    /// The attestation document that holds the recipient's public key.
    pub attestation_document: Option<Vec<u8>>,
}

impl Recipient {
    fn read(members: &mut Members<'_, '_>) -> Result<Self, KmsError> {
        Ok(Self {
            key_encryption_algorithm: members.choice("KeyEncryptionAlgorithm")?,
            attestation_document: members
                .blob("AttestationDocument", shape::ATTESTATION_DOCUMENT)?,
        })
    }
}

//! The answers to requests that use a key.

use zeroize::Zeroizing;

use crate::json_writer;
use crate::protocol::spec::{EncryptionAlgorithm, KeyPairSpec};

use super::{KeyMaterialId, Plaintext, Response, write_material};

/// Encrypt's answer.
pub struct Encrypt<'a> {
    /// The ciphertext.
    pub ciphertext_blob: &'a [u8],
    /// The key's ARN.
    pub key_id: &'a str,
    /// The algorithm used.
    pub encryption_algorithm: EncryptionAlgorithm,
}

impl Response for Encrypt<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("CiphertextBlob", self.ciphertext_blob);
            o.text("KeyId", self.key_id);
            o.text("EncryptionAlgorithm", self.encryption_algorithm.as_str());
        })
    }
}

/// Decrypt's answer.
pub struct Decrypt<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The plaintext.
    pub plaintext: Plaintext<'a>,
    /// The algorithm used.
    pub encryption_algorithm: EncryptionAlgorithm,
    /// The key material used, of symmetric keys.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for Decrypt<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            self.plaintext.write(o, "Plaintext");
            o.text("EncryptionAlgorithm", self.encryption_algorithm.as_str());
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// ReEncrypt's answer.
pub struct ReEncrypt<'a> {
    /// The new ciphertext.
    pub ciphertext_blob: &'a [u8],
    /// The ARN of the key that encrypted the old one.
    pub source_key_id: &'a str,
    /// The ARN of the key that encrypted the new one.
    pub key_id: &'a str,
    /// The algorithm of the old one.
    pub source_encryption_algorithm: EncryptionAlgorithm,
    /// The algorithm of the new one.
    pub destination_encryption_algorithm: EncryptionAlgorithm,
    /// The key material of the old one.
    pub source_key_material_id: Option<&'a KeyMaterialId>,
    /// The key material of the new one.
    pub destination_key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for ReEncrypt<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("CiphertextBlob", self.ciphertext_blob);
            o.text("SourceKeyId", self.source_key_id);
            o.text("KeyId", self.key_id);
            let [source, destination] = [
                self.source_encryption_algorithm,
                self.destination_encryption_algorithm,
            ];
            o.text("SourceEncryptionAlgorithm", source.as_str());
            o.text("DestinationEncryptionAlgorithm", destination.as_str());
            write_material(o, "SourceKeyMaterialId", self.source_key_material_id);
            write_material(
                o,
                "DestinationKeyMaterialId",
                self.destination_key_material_id,
            );
        })
    }
}

/// GenerateDataKey's answer.
pub struct GenerateDataKey<'a> {
    /// The data key, encrypted under the KMS key.
    pub ciphertext_blob: &'a [u8],
    /// The data key.
    pub plaintext: Plaintext<'a>,
    /// The key's ARN.
    pub key_id: &'a str,
    /// The key material used.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for GenerateDataKey<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("CiphertextBlob", self.ciphertext_blob);
            self.plaintext.write(o, "Plaintext");
            o.text("KeyId", self.key_id);
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// GenerateDataKeyWithoutPlaintext's answer.
pub struct GenerateDataKeyWithoutPlaintext<'a> {
    /// The data key, encrypted under the KMS key.
    pub ciphertext_blob: &'a [u8],
    /// The key's ARN.
    pub key_id: &'a str,
    /// The key material used.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for GenerateDataKeyWithoutPlaintext<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("CiphertextBlob", self.ciphertext_blob);
            o.text("KeyId", self.key_id);
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// GenerateDataKeyPair's answer.
pub struct GenerateDataKeyPair<'a> {
    /// The private key (PKCS#8), encrypted under the KMS key.
    pub private_key_ciphertext_blob: &'a [u8],
    /// The private key (PKCS#8).
    pub private_key_plaintext: Plaintext<'a>,
    /// The public key (SubjectPublicKeyInfo).
    pub public_key: &'a [u8],
    /// The key's ARN.
    pub key_id: &'a str,
    /// What the pair is made of.
    pub key_pair_spec: KeyPairSpec,
    /// The key material used.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for GenerateDataKeyPair<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("PrivateKeyCiphertextBlob", self.private_key_ciphertext_blob);
            self.private_key_plaintext.write(o, "PrivateKeyPlaintext");
            o.blob("PublicKey", self.public_key);
            o.text("KeyId", self.key_id);
            o.text("KeyPairSpec", self.key_pair_spec.as_str());
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// GenerateDataKeyPairWithoutPlaintext's answer.
pub struct GenerateDataKeyPairWithoutPlaintext<'a> {
    /// The private key (PKCS#8), encrypted under the KMS key.
    pub private_key_ciphertext_blob: &'a [u8],
    /// The public key (SubjectPublicKeyInfo).
    pub public_key: &'a [u8],
    /// The key's ARN.
    pub key_id: &'a str,
    /// What the pair is made of.
    pub key_pair_spec: KeyPairSpec,
    /// The key material used.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for GenerateDataKeyPairWithoutPlaintext<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("PrivateKeyCiphertextBlob", self.private_key_ciphertext_blob);
            o.blob("PublicKey", self.public_key);
            o.text("KeyId", self.key_id);
            o.text("KeyPairSpec", self.key_pair_spec.as_str());
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// GenerateRandom's answer.
pub struct GenerateRandom<'a> {
    /// The bytes.
    pub plaintext: Plaintext<'a>,
}

impl Response for GenerateRandom<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            self.plaintext.write(o, "Plaintext");
        })
    }
}

//! The answers to requests that use keys other than for symmetric encryption.

use zeroize::Zeroizing;

use crate::json_writer;
use crate::protocol::spec::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, KeySpec, KeyUsage,
    MacAlgorithm, Origin, SigningAlgorithm,
};

use super::{Plaintext, Response, write_algorithms};

/// Sign's answer.
pub struct Sign<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The signature.
    pub signature: &'a [u8],
    /// The algorithm used.
    pub signing_algorithm: SigningAlgorithm,
}

impl Response for Sign<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.blob("Signature", self.signature);
            o.text("SigningAlgorithm", self.signing_algorithm.as_str());
        })
    }
}

/// Verify's answer, which there is for valid signatures only.
pub struct Verify<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The algorithm used.
    pub signing_algorithm: SigningAlgorithm,
}

impl Response for Verify<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.flag("SignatureValid", true);
            o.text("SigningAlgorithm", self.signing_algorithm.as_str());
        })
    }
}

/// GetPublicKey's answer.
pub struct GetPublicKey<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The public key (SubjectPublicKeyInfo).
    pub public_key: &'a [u8],
    /// What the key is made of. `CustomerMasterKeySpec` repeats it.
    pub key_spec: KeySpec,
    /// What it is for.
    pub key_usage: KeyUsage,
    /// The encryption algorithms it can be used with.
    pub encryption_algorithms: &'a [EncryptionAlgorithm],
    /// The signing algorithms it can be used with.
    pub signing_algorithms: &'a [SigningAlgorithm],
    /// The key agreement algorithms it can be used with.
    pub key_agreement_algorithms: &'a [KeyAgreementAlgorithm],
    /// The encapsulation algorithms it can be used with.
    pub encapsulation_algorithms: &'a [EncapsulationAlgorithm],
}

impl Response for GetPublicKey<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.blob("PublicKey", self.public_key);
            o.text("CustomerMasterKeySpec", self.key_spec.as_str());
            o.text("KeySpec", self.key_spec.as_str());
            o.text("KeyUsage", self.key_usage.as_str());
            write_algorithms(o, "EncryptionAlgorithms", self.encryption_algorithms);
            write_algorithms(o, "SigningAlgorithms", self.signing_algorithms);
            write_algorithms(o, "KeyAgreementAlgorithms", self.key_agreement_algorithms);
            write_algorithms(o, "EncapsulationAlgorithms", self.encapsulation_algorithms);
        })
    }
}

/// GenerateMac's answer.
pub struct GenerateMac<'a> {
    /// The MAC.
    pub mac: &'a [u8],
    /// The algorithm used.
    pub mac_algorithm: MacAlgorithm,
    /// The key's ARN.
    pub key_id: &'a str,
}

impl Response for GenerateMac<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.blob("Mac", self.mac);
            o.text("MacAlgorithm", self.mac_algorithm.as_str());
            o.text("KeyId", self.key_id);
        })
    }
}

/// VerifyMac's answer, which there is for valid MACs only.
pub struct VerifyMac<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The algorithm used.
    pub mac_algorithm: MacAlgorithm,
}

impl Response for VerifyMac<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.flag("MacValid", true);
            o.text("MacAlgorithm", self.mac_algorithm.as_str());
        })
    }
}

/// DeriveSharedSecret's answer.
pub struct DeriveSharedSecret<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The secret.
    pub shared_secret: Plaintext<'a>,
    /// The algorithm used.
    pub key_agreement_algorithm: KeyAgreementAlgorithm,
    /// Where the key's material comes from.
    pub key_origin: Origin,
}

impl Response for DeriveSharedSecret<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            self.shared_secret.write(o, "SharedSecret");
            o.text(
                "KeyAgreementAlgorithm",
                self.key_agreement_algorithm.as_str(),
            );
            o.text("KeyOrigin", self.key_origin.as_str());
        })
    }
}

/// Encapsulate's answer.
pub struct Encapsulate<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The secret.
    pub shared_secret: &'a [u8],
    /// What the secret can be got from again.
    pub shared_secret_ciphertext_blob: &'a [u8],
    /// The algorithm used.
    pub encapsulation_algorithm: EncapsulationAlgorithm,
}

impl Response for Encapsulate<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.blob("SharedSecret", self.shared_secret);
            o.blob(
                "SharedSecretCiphertextBlob",
                self.shared_secret_ciphertext_blob,
            );
            o.text(
                "EncapsulationAlgorithm",
                self.encapsulation_algorithm.as_str(),
            );
        })
    }
}

/// Decapsulate's answer.
pub struct Decapsulate<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The secret.
    pub shared_secret: &'a [u8],
    /// The algorithm used.
    pub encapsulation_algorithm: EncapsulationAlgorithm,
}

impl Response for Decapsulate<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.blob("SharedSecret", self.shared_secret);
            o.text(
                "EncapsulationAlgorithm",
                self.encapsulation_algorithm.as_str(),
            );
        })
    }
}

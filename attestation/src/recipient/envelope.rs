//! The CMS message that AWS KMS calls `CiphertextForRecipient`: RFC 5652 EnvelopedData with one
//! key-transport recipient, in the very bytes that KMS sends.
//!
//! The layout is BER: ContentInfo, `[0]`, EnvelopedData and EncryptedContentInfo are of indefinite
//! length, everything else is DER, and the encrypted content is a constructed string of
//! 1000-byte segments. AWS's own C client refuses the same message in DER, others refuse a
//! primitive string, so this form is the only one that every client opens.

use crate::asn1::{self, oid, tag};

/// Size of a subject key identifier: SHA-256 of the recipient's SubjectPublicKeyInfo.
pub(super) const SKI_SIZE: usize = 32;
/// Size of an AES-CBC initialization vector.
pub(super) const IV_SIZE: usize = 16;
/// How much of the encrypted content goes into one OCTET STRING.
const SEGMENT_SIZE: usize = 1000;

/// `CMSVersion` v2 of EnvelopedData and of KeyTransRecipientInfo: the recipient is named by its
/// subject key identifier (RFC 5652 sections 6.1 and 6.2.1).
pub(super) const VERSION_2: &[u8] = &[2];
/// SEQUENCE of indefinite length.
const OPEN_SEQUENCE: &[u8] = &[tag::SEQUENCE, 0x80];
/// `[0]`, constructed, of indefinite length.
const OPEN_CONTEXT_0: &[u8] = &[tag::context_constructed(0), 0x80];
/// End-of-contents.
const CLOSE: &[u8] = &[tag::END_OF_CONTENTS, 0];

/// What differs from one message to the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Names the recipient's key.
    pub(super) ski: [u8; SKI_SIZE],
    /// The content-encryption key under RSAES-OAEP with SHA-256.
    pub(super) encrypted_key: Vec<u8>,
    /// The initialization vector of the content.
    pub(super) iv: [u8; IV_SIZE],
    /// The secret under AES-256-CBC with PKCS #7 padding.
    pub(super) content: Vec<u8>,
}

impl Envelope {
    /// The message in KMS's own bytes.
    pub(super) fn to_ber(&self) -> Vec<u8> {
        let recipient_infos = asn1::element(
            tag::SET,
            &[&asn1::sequence(&[
                &asn1::unsigned_integer(VERSION_2),
                &asn1::element(tag::context(0), &[&self.ski]),
                &oaep_sha256(),
                &asn1::octet_string(&self.encrypted_key),
            ])],
        );
        let content_encryption = asn1::sequence(&[
            &asn1::object_identifier(oid::AES256_CBC),
            &asn1::octet_string(&self.iv),
        ]);
        let segments: Vec<u8> = self
            .content
            .chunks(SEGMENT_SIZE)
            .flat_map(asn1::octet_string)
            .collect();
        [
            OPEN_SEQUENCE, // ContentInfo
            &asn1::object_identifier(oid::CMS_ENVELOPED_DATA),
            OPEN_CONTEXT_0,
            OPEN_SEQUENCE, // EnvelopedData
            &asn1::unsigned_integer(VERSION_2),
            &recipient_infos,
            OPEN_SEQUENCE, // EncryptedContentInfo
            &asn1::object_identifier(oid::CMS_DATA),
            &content_encryption,
            OPEN_CONTEXT_0,
            &segments,
            CLOSE, // encryptedContent
            CLOSE, // EncryptedContentInfo
            CLOSE, // EnvelopedData
            CLOSE, // [0]
            CLOSE, // ContentInfo
        ]
        .concat()
    }
}

/// AlgorithmIdentifier of RSAES-OAEP with SHA-256 in both places (RFC 4055 section 4.1). The
/// empty label is the default and stays unwritten.
fn oaep_sha256() -> Vec<u8> {
    let sha256 = asn1::sequence(&[&asn1::object_identifier(oid::SHA256), asn1::NULL]);
    let mgf1 = asn1::sequence(&[&asn1::object_identifier(oid::MGF1), &sha256]);
    asn1::sequence(&[
        &asn1::object_identifier(oid::RSAES_OAEP),
        &asn1::sequence(&[
            &asn1::element(tag::context_constructed(0), &[&sha256]),
            &asn1::element(tag::context_constructed(1), &[&mgf1]),
        ]),
    ])
}

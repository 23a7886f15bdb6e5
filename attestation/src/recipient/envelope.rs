//! The CMS message that AWS KMS calls `CiphertextForRecipient`: RFC 5652 EnvelopedData with one
//! key-transport recipient, in the very bytes that KMS sends.
//!
//! The layout is BER: ContentInfo, `[0]`, EnvelopedData and EncryptedContentInfo are of indefinite
//! length, everything else is DER, and the encrypted content is a constructed string of
//! 1000-byte segments. AWS's own C client refuses the same message in DER, others refuse a
//! primitive string, so this form is the only one that every client opens.

use std::sync::LazyLock;

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
/// The ends of the encrypted content, EncryptedContentInfo, EnvelopedData, `[0]` and ContentInfo.
const CLOSE: &[u8] = &[tag::END_OF_CONTENTS; 10];

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
    /// The message in KMS's own bytes, written into one buffer.
    pub(super) fn to_ber(&self) -> Vec<u8> {
        let Unchanging {
            before_recipient_infos,
            before_ski,
            after_ski,
            before_iv,
        } = &*UNCHANGING;
        let key = asn1::element_length(self.encrypted_key.len());
        let recipient_info = before_ski.len() + SKI_SIZE + after_ski.len() + key;
        let recipient_infos = asn1::element_length(recipient_info);
        let segments = || self.content.chunks(SEGMENT_SIZE);
        let segment_lengths = segments().map(|segment| asn1::element_length(segment.len()));
        let length = before_recipient_infos.len()
            + asn1::element_length(recipient_infos)
            + before_iv.len()
            + IV_SIZE
            + OPEN_CONTEXT_0.len()
            + segment_lengths.sum::<usize>()
            + CLOSE.len();

        let mut message = Vec::with_capacity(length);
        message.extend_from_slice(before_recipient_infos);
        asn1::push_head(&mut message, tag::SET, recipient_infos);
        asn1::push_head(&mut message, tag::SEQUENCE, recipient_info);
        message.extend_from_slice(before_ski);
        message.extend_from_slice(&self.ski);
        message.extend_from_slice(after_ski);
        asn1::push_head(&mut message, tag::OCTET_STRING, self.encrypted_key.len());
        message.extend_from_slice(&self.encrypted_key);
        message.extend_from_slice(before_iv);
        message.extend_from_slice(&self.iv);
        message.extend_from_slice(OPEN_CONTEXT_0);
        for segment in segments() {
            asn1::push_head(&mut message, tag::OCTET_STRING, segment.len());
            message.extend_from_slice(segment);
        }
        message.extend_from_slice(CLOSE);
        message
    }
}

/// What is the same in all messages, put together once.
static UNCHANGING: LazyLock<Unchanging> = LazyLock::new(Unchanging::new);

struct Unchanging {
    /// ContentInfo and EnvelopedData as far as `recipientInfos`.
    before_recipient_infos: Vec<u8>,
    /// KeyTransRecipientInfo as far as the bytes of the subject key identifier.
    before_ski: Vec<u8>,
    /// The algorithm, which follows it.
    after_ski: Vec<u8>,
    /// EncryptedContentInfo as far as the bytes of the initialization vector.
    before_iv: Vec<u8>,
}

impl Unchanging {
    fn new() -> Self {
        let version_2 = asn1::unsigned_integer(VERSION_2);
        let aes256_cbc = asn1::object_identifier(oid::AES256_CBC);
        let content_encryption = aes256_cbc.len() + asn1::element_length(IV_SIZE);
        let mut before_iv = [OPEN_SEQUENCE, &asn1::object_identifier(oid::CMS_DATA)].concat();
        asn1::push_head(&mut before_iv, tag::SEQUENCE, content_encryption);
        before_iv.extend_from_slice(&aes256_cbc);
        asn1::push_head(&mut before_iv, tag::OCTET_STRING, IV_SIZE);
        let mut before_ski = version_2.clone();
        asn1::push_head(&mut before_ski, tag::context(0), SKI_SIZE);
        Self {
            before_recipient_infos: [
                OPEN_SEQUENCE, // ContentInfo
                &asn1::object_identifier(oid::CMS_ENVELOPED_DATA),
                OPEN_CONTEXT_0,
                OPEN_SEQUENCE, // EnvelopedData
                &version_2,
            ]
            .concat(),
            before_ski,
            after_ski: oaep_sha256(),
            before_iv,
        }
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

//! Opening a `CiphertextForRecipient`, as its recipient does.

use zeroize::Zeroizing;

use super::envelope::{Envelope, IV_SIZE, SKI_SIZE, VERSION_2};
use crate::asn1::{BerError, Reader, oid, tag};
use crate::backend::Crypto;

/// The largest message read. KMS's own limit is 6144 bytes.
const MAX_MESSAGE_SIZE: usize = 16 * 1024;

/// Why a message did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// More than any message from KMS has.
    #[error("the message has {0} bytes, more than the {MAX_MESSAGE_SIZE} that are read")]
    Size(usize),
    /// Not BER, or not the elements of the structure that belongs here.
    #[error("the message is not a CMS EnvelopedData: {0}")]
    Encoding(#[from] BerError),
    /// CMS of another content type, such as SignedData.
    #[error("the message is CMS, but not EnvelopedData")]
    NotEnvelopedData,
    /// EnvelopedData or KeyTransRecipientInfo of another version than 2.
    #[error("a structure of the message has another version than 2")]
    Version,
    /// No recipient or more than one.
    #[error("the message does not have exactly one recipient")]
    RecipientCount,
    /// A recipient by key agreement, password or certificate.
    #[error("the recipient is not an RSA key named by its identifier")]
    RecipientKind,
    /// Meant for another key.
    #[error("the message is for another key")]
    WrongRecipient,
    /// RSAES_OAEP_SHA_1, which KMS offered when the interface was new and offers no more.
    #[error("the key is encrypted with RSAES_OAEP_SHA_1, only RSAES_OAEP_SHA_256 is supported")]
    OaepSha1,
    /// Another key encryption than RSAES-OAEP with SHA-256.
    #[error("the key encryption is not RSAES_OAEP_SHA_256")]
    KeyEncryption,
    /// Another content encryption than AES-256-CBC.
    #[error("the content encryption is not AES-256-CBC")]
    ContentEncryption,
    /// Something else than plain data inside.
    #[error("the encrypted content is not of type data")]
    ContentType,
    /// The ciphertext of the key or of the content does not decrypt. Says no more on purpose.
    #[error("the message does not decrypt")]
    Decrypt,
}

impl Envelope {
    /// Reads a message. The encoding may be any BER, the structure only this one.
    pub(super) fn from_ber(message: &[u8]) -> Result<Self, OpenError> {
        if message.len() > MAX_MESSAGE_SIZE {
            return Err(OpenError::Size(message.len()));
        }
        let mut outer = Reader::new(message);
        let mut content_info = outer.enter(tag::SEQUENCE)?;
        outer.finish()?;
        if content_info.expect(tag::OBJECT_IDENTIFIER)? != oid::CMS_ENVELOPED_DATA {
            return Err(OpenError::NotEnvelopedData);
        }
        let mut explicit = content_info.enter(tag::context_constructed(0))?;
        content_info.finish()?;
        let mut enveloped_data = explicit.enter(tag::SEQUENCE)?;
        explicit.finish()?;

        read_version(&mut enveloped_data)?;
        let mut recipient_infos = enveloped_data.enter(tag::SET)?;
        let (ski, encrypted_key) = read_recipient(&mut recipient_infos)?;
        let mut encrypted_content_info = enveloped_data.enter(tag::SEQUENCE)?;
        enveloped_data.finish()?;
        let (iv, content) = read_content(&mut encrypted_content_info)?;
        encrypted_content_info.finish()?;
        Ok(Self {
            ski,
            encrypted_key,
            iv,
            content,
        })
    }

    /// Decrypts the content with the content-encryption key.
    pub(super) fn open_content(
        &self,
        content_encryption_key: &[u8],
        crypto: &dyn Crypto,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = content_encryption_key
            .try_into()
            .map_err(|_| OpenError::Decrypt)?;
        crypto
            .aes256_cbc_decrypt(key, &self.iv, &self.content)
            .map_err(|_| OpenError::Decrypt)
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<(), OpenError> {
    if reader.expect(tag::INTEGER)? == VERSION_2 {
        Ok(())
    } else {
        Err(OpenError::Version)
    }
}

/// The one recipient: its key's identifier and the encrypted content-encryption key.
fn read_recipient(infos: &mut Reader<'_>) -> Result<([u8; SKI_SIZE], Vec<u8>), OpenError> {
    match infos.peek() {
        None => return Err(OpenError::RecipientCount),
        Some(tag::SEQUENCE) => {}
        Some(_) => return Err(OpenError::RecipientKind),
    }
    let mut recipient = infos.enter(tag::SEQUENCE)?;
    if infos.peek().is_some() {
        return Err(OpenError::RecipientCount);
    }
    read_version(&mut recipient)?;
    if recipient.peek() == Some(tag::SEQUENCE) {
        // Named by issuer and serial number: there is no certificate in this exchange.
        return Err(OpenError::RecipientKind);
    }
    let ski = recipient.expect(tag::context(0))?;
    let mut algorithm = recipient.enter(tag::SEQUENCE)?;
    read_oaep_sha256(&mut algorithm)?;
    let encrypted_key = recipient.expect(tag::OCTET_STRING)?.to_vec();
    recipient.finish()?;
    let ski = ski.try_into().map_err(|_| OpenError::WrongRecipient)?;
    Ok((ski, encrypted_key))
}

/// Only RSAES-OAEP with SHA-256 and MGF1 with SHA-256.
fn read_oaep_sha256(algorithm: &mut Reader<'_>) -> Result<(), OpenError> {
    if algorithm.expect(tag::OBJECT_IDENTIFIER)? != oid::RSAES_OAEP {
        return Err(OpenError::KeyEncryption);
    }
    if algorithm.peek().is_none() {
        return Err(OpenError::OaepSha1);
    }
    let mut parameters = algorithm.enter(tag::SEQUENCE)?;
    algorithm.clone().finish()?;
    if parameters.peek().is_none() {
        return Err(OpenError::OaepSha1);
    }
    let mut hash = parameters.enter(tag::context_constructed(0))?;
    read_sha256(&mut hash)?;
    hash.finish()?;
    let mut mask = parameters.enter(tag::context_constructed(1))?;
    let mut mgf1 = mask.enter(tag::SEQUENCE)?;
    mask.finish()?;
    if mgf1.expect(tag::OBJECT_IDENTIFIER)? != oid::MGF1 {
        return Err(OpenError::KeyEncryption);
    }
    read_sha256(&mut mgf1)?;
    mgf1.finish()?;
    // A label, if only the empty one, would be `[2]`.
    parameters.finish()?;
    Ok(())
}

/// AlgorithmIdentifier of SHA-256, with NULL parameters or none (RFC 4055 section 2.1).
fn read_sha256(reader: &mut Reader<'_>) -> Result<(), OpenError> {
    let mut algorithm = reader.enter(tag::SEQUENCE)?;
    if algorithm.expect(tag::OBJECT_IDENTIFIER)? != oid::SHA256 {
        return Err(OpenError::KeyEncryption);
    }
    if algorithm.peek() == Some(tag::NULL) {
        algorithm.any()?;
    }
    algorithm.finish()?;
    Ok(())
}

/// EncryptedContentInfo: the initialization vector and the joined content.
fn read_content(info: &mut Reader<'_>) -> Result<([u8; IV_SIZE], Vec<u8>), OpenError> {
    if info.expect(tag::OBJECT_IDENTIFIER)? != oid::CMS_DATA {
        return Err(OpenError::ContentType);
    }
    let mut algorithm = info.enter(tag::SEQUENCE)?;
    if algorithm.expect(tag::OBJECT_IDENTIFIER)? != oid::AES256_CBC {
        return Err(OpenError::ContentEncryption);
    }
    let iv = algorithm.expect(tag::OCTET_STRING)?;
    algorithm.finish()?;
    let iv = iv.try_into().map_err(|_| OpenError::ContentEncryption)?;

    const PRIMITIVE: u8 = tag::context(0);
    const CONSTRUCTED: u8 = tag::context_constructed(0);
    let content = match info.any()? {
        (PRIMITIVE, content) => content.to_vec(),
        (CONSTRUCTED, segments) => join_segments(Reader::new(segments))?,
        (found, _) => {
            let expected = CONSTRUCTED;
            return Err(BerError::Tag { expected, found }.into());
        }
    };
    Ok((iv, content))
}

fn join_segments(mut segments: Reader<'_>) -> Result<Vec<u8>, BerError> {
    let mut joined = Vec::new();
    while segments.peek().is_some() {
        joined.extend_from_slice(segments.expect(tag::OCTET_STRING)?);
    }
    Ok(joined)
}

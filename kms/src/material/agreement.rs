//! ECDH: the use of elliptic curve keys for key agreement.

use aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, ParsedPublicKeyFormat, PrivateKey,
    UnparsedPublicKey, agree,
};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use der::asn1::{BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};
use zeroize::Zeroizing;

use crate::protocol::spec::KeySpec;

use super::MaterialError;

/// An elliptic curve key that agrees on secrets, with its public half.
pub struct AgreementKey {
    private: PrivateKey,
    public_spki: Vec<u8>,
}

/// The public key of a peer, known to be one of the right curve.
pub struct PeerKey(ParsedPublicKey);

impl AgreementKey {
    pub(super) fn open(spec: KeySpec, pkcs8: &[u8]) -> Result<Self, MaterialError> {
        let curve = curve(spec).ok_or(MaterialError)?;
        let private = PrivateKey::from_private_key_der(curve, pkcs8).map_err(|_| MaterialError)?;
        let public = private.compute_public_key().map_err(|_| MaterialError)?;
        let public_spki: PublicKeyX509Der<'_> = public.as_der().map_err(|_| MaterialError)?;
        Ok(Self {
            public_spki: public_spki.as_ref().to_vec(),
            private,
        })
    }

    pub(super) fn public_spki(&self) -> &[u8] {
        &self.public_spki
    }

    /// A peer's public key, from the DER of its SubjectPublicKeyInfo; `None` for anything else,
    /// such as a point that is not on this key's curve.
    pub fn peer(&self, public_spki: &[u8]) -> Option<PeerKey> {
        require_named_curve(public_spki).ok()?;
        let unparsed = UnparsedPublicKey::new(self.private.algorithm(), public_spki);
        let parsed = ParsedPublicKey::try_from(unparsed).ok()?;
        (parsed.format() == ParsedPublicKeyFormat::X509).then_some(PeerKey(parsed))
    }

    /// The secret shared with a peer: the x-coordinate of the common point, as it is.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] for the key of another curve.
    pub fn agree(&self, peer: PeerKey) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
        agree(&self.private, peer.0, MaterialError, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

/// Lets the DER of a SubjectPublicKeyInfo pass that names its curve (RFC 5480), and has nothing
/// after it. aws-lc takes more: curves spelled out, with parameters it ignores.
fn require_named_curve(public_spki: &[u8]) -> der::Result<()> {
    let mut reader = SliceReader::new(public_spki)?;
    reader.sequence(|spki| {
        let _names: [ObjectIdentifier; 2] = spki.sequence(|algorithm| {
            Ok::<_, der::Error>([algorithm.decode()?, algorithm.decode()?])
        })?;
        BitStringRef::decode(spki).map(|_point| ())
    })?;
    reader.finish()
}

fn curve(spec: KeySpec) -> Option<&'static Algorithm> {
    match spec {
        KeySpec::EccNistP256 => Some(&ECDH_P256),
        KeySpec::EccNistP384 => Some(&ECDH_P384),
        KeySpec::EccNistP521 => Some(&ECDH_P521),
        _ => None,
    }
}

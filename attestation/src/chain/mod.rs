//! The certificate chain of a document: by position, from the root down.
//!
//! No path is searched for. `cabundle` lists the certificates root first, each must be issued by
//! the one before it, and the leaf by the last. Everything that costs little is checked for all
//! of them before the first signature, and signatures are checked from the root down: whoever
//! has no certificate from a pinned root gets at most one verification out of us.
//!
//! A chain that was verified before is known by its bytes while it is valid.

mod cache;
mod certificate;
mod error;
mod extensions;
#[cfg(test)]
mod tests;

pub use self::error::{CertificateError, ChainPosition};

use std::sync::Arc;

pub(crate) use self::cache::CertificateCache;
use self::cache::ChainKey;
pub(crate) use self::certificate::{Certificate, Validity};
use crate::backend::{Crypto, Es384, P384PublicKey};
use crate::{Timestamp, TrustRoot, VerifyError};

/// The shortest and the longest `cabundle`. AWS's has four.
const LENGTHS: core::ops::RangeInclusive<usize> = 2..=8;

/// What is to know of a chain in which everything holds.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The pinned root it starts from.
    pub(crate) root: TrustRoot,
    /// The `commonName` of each certificate of `cabundle`.
    pub(crate) authority_names: Vec<Option<Box<str>>>,
    /// That of the key that signs documents.
    pub(crate) leaf_name: Option<Box<str>>,
    /// When that key's certificate is valid.
    pub(crate) leaf_validity: Validity,
    /// The key.
    pub(crate) leaf_key: P384PublicKey,
    /// When all certificates are valid.
    pub(crate) validity: Validity,
}

/// Verifies the chain of `cabundle` and `leaf` as of `now`.
pub(crate) fn verify(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    roots: &[TrustRoot],
    cabundle: &[&[u8]],
    leaf: &[u8],
    now: Timestamp,
) -> Result<Arc<Chain>, VerifyError> {
    let key = ChainKey::new(cabundle, leaf);
    if let Some(chain) = cache.chain(&key, now) {
        return Ok(chain);
    }
    let chain = Arc::new(verify_anew(crypto, cache, roots, cabundle, leaf, now)?);
    cache.insert_chain(&key, &chain);
    Ok(chain)
}

/// The same, of a chain that is not known.
fn verify_anew(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    roots: &[TrustRoot],
    cabundle: &[&[u8]],
    leaf: &[u8],
    now: Timestamp,
) -> Result<Chain, VerifyError> {
    if !LENGTHS.contains(&cabundle.len()) {
        return Err(VerifyError::ChainLength(cabundle.len()));
    }
    let root = roots
        .iter()
        .find(|root| cabundle.first() == Some(&root.der()))
        .ok_or(VerifyError::UntrustedRoot)?;

    let mut authorities: Vec<Certificate<'_>> = Vec::with_capacity(cabundle.len());
    for (index, der) in cabundle.iter().enumerate() {
        let below = cabundle.len() - 1 - index;
        let authority = Certificate::parse(der)
            .and_then(|certificate| {
                certificate.check_link(authorities.last())?;
                certificate.check_validity(now)?;
                certificate.check_authority(below)?;
                Ok(certificate)
            })
            .map_err(|error| VerifyError::Certificate(ChainPosition::Authority(index), error))?;
        authorities.push(authority);
    }
    let leaf = Certificate::parse(leaf)
        .and_then(|certificate| {
            certificate.check_link(authorities.last())?;
            certificate.check_validity(now)?;
            certificate.check_end_entity()?;
            Ok(certificate)
        })
        .map_err(|error| VerifyError::Certificate(ChainPosition::Leaf, error))?;

    let leaf_key = verify_signatures(crypto, cache, &authorities, &leaf)?;
    let name = |certificate: &Certificate<'_>| certificate.common_name().map(Box::from);
    let validity = authorities
        .iter()
        .fold(leaf.validity, |validity, authority| {
            validity.within(authority.validity)
        });
    Ok(Chain {
        root: root.clone(),
        authority_names: authorities.iter().map(name).collect(),
        leaf_name: name(&leaf),
        leaf_validity: leaf.validity,
        leaf_key,
        validity,
    })
}

/// Checks every signature below the root, whose own is not checked: it is trusted for its bytes.
/// Returns the leaf's key.
fn verify_signatures(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    authorities: &[Certificate<'_>],
    leaf: &Certificate<'_>,
) -> Result<P384PublicKey, VerifyError> {
    let mut issuer: Option<P384PublicKey> = None;
    let mut verified = Vec::with_capacity(authorities.len());
    for (index, authority) in authorities.iter().enumerate() {
        let at = |error| VerifyError::Certificate(ChainPosition::Authority(index), error);
        if let Some(issuer) = &issuer
            && !cache.is_signed(issuer, authority)
        {
            check_signature(crypto, issuer, authority).map_err(at)?;
            verified.push((*issuer, authority));
        }
        issuer = Some(public_key(crypto, authority).map_err(at)?);
    }
    let at = |error| VerifyError::Certificate(ChainPosition::Leaf, error);
    let issuer = issuer.ok_or(VerifyError::ChainLength(0))?;
    check_signature(crypto, &issuer, leaf).map_err(at)?;
    let leaf_key = public_key(crypto, leaf).map_err(at)?;

    for (issuer, authority) in verified {
        cache.insert_signed(&issuer, authority);
    }
    Ok(leaf_key)
}

fn check_signature(
    crypto: &dyn Crypto,
    issuer: &P384PublicKey,
    certificate: &Certificate<'_>,
) -> Result<(), CertificateError> {
    let digest = crypto.sha384(&[certificate.signed]);
    let signature = Es384::Der(certificate.signature);
    if crypto.verify_es384(issuer, &digest, signature) {
        Ok(())
    } else {
        Err(CertificateError::Signature)
    }
}

/// The certificate's key, which lies on the curve.
pub(crate) fn public_key(
    crypto: &dyn Crypto,
    certificate: &Certificate<'_>,
) -> Result<P384PublicKey, CertificateError> {
    crypto
        .p384_public_key(certificate.point)
        .ok_or(CertificateError::PublicKey)
}

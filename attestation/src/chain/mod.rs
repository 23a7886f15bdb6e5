//! The certificate chain of a document: by position, from the root down.
//!
//! No path is searched for. `cabundle` lists the certificates root first, each must be issued by
//! the one before it, and the leaf by the last. Everything that costs little is checked for all
//! of them before the first signature, and signatures are checked from the root down: whoever
//! has no certificate from a pinned root gets at most one verification out of us.

mod cache;
mod certificate;
mod error;
mod extensions;
#[cfg(test)]
mod tests;

pub use self::error::{CertificateError, ChainPosition};

pub(crate) use self::cache::CertificateCache;
pub(crate) use self::certificate::Certificate;

use crate::backend::{Crypto, Es384, P384PublicKey};
use crate::{Timestamp, TrustRoot, VerifyError};

/// The shortest and the longest `cabundle`. AWS's has four.
const LENGTHS: core::ops::RangeInclusive<usize> = 2..=8;

/// A chain in which everything holds.
pub(crate) struct Chain<'a> {
    /// The pinned root it starts from.
    pub(crate) root: TrustRoot,
    /// The certificates of `cabundle`.
    pub(crate) authorities: Vec<Certificate<'a>>,
    /// The certificate of the key that signs documents.
    pub(crate) leaf: Certificate<'a>,
    /// That key.
    pub(crate) leaf_key: P384PublicKey,
}

/// Verifies the chain of `cabundle` and `leaf` as of `now`.
pub(crate) fn verify<'a>(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    roots: &[TrustRoot],
    cabundle: &[&'a [u8]],
    leaf: &'a [u8],
    now: Timestamp,
) -> Result<Chain<'a>, VerifyError> {
    if !LENGTHS.contains(&cabundle.len()) {
        return Err(VerifyError::ChainLength(cabundle.len()));
    }
    let root = roots
        .iter()
        .find(|root| cabundle.first() == Some(&root.der()))
        .ok_or(VerifyError::UntrustedRoot)?;

    let mut authorities: Vec<Certificate<'a>> = Vec::with_capacity(cabundle.len());
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

    let leaf_key = verify_signatures(crypto, cache, &authorities, &leaf, now)?;
    Ok(Chain {
        root: root.clone(),
        authorities,
        leaf,
        leaf_key,
    })
}

/// Checks every signature below the root, whose own is not checked: it is trusted for its bytes.
/// Returns the leaf's key.
fn verify_signatures(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    authorities: &[Certificate<'_>],
    leaf: &Certificate<'_>,
    now: Timestamp,
) -> Result<P384PublicKey, VerifyError> {
    let mut issuer: Option<P384PublicKey> = None;
    let mut verified = Vec::with_capacity(authorities.len());
    for (index, authority) in authorities.iter().enumerate() {
        let at = |error| VerifyError::Certificate(ChainPosition::Authority(index), error);
        if let Some(issuer) = &issuer
            && !cache.contains(issuer, authority)
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
        cache.insert(&issuer, authority, now);
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

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
use self::certificate::Issuer;
pub(crate) use self::certificate::{Certificate, Validity};
use crate::backend::{Crypto, Es384, P384PublicKey};
use crate::{Timestamp, TrustRoot, VerifyError};

/// The shortest and the longest `cabundle`. AWS's has four.
const LENGTHS: core::ops::RangeInclusive<usize> = 2..=8;

/// What is to know of a chain in which everything holds.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) authorities: Arc<Authorities>,
    /// The `commonName` of the leaf.
    pub(crate) leaf_name: Option<Box<str>>,
    /// When the leaf is valid.
    pub(crate) leaf_validity: Validity,
    /// Its key, which signs documents.
    pub(crate) leaf_key: P384PublicKey,
    /// When all certificates are valid.
    pub(crate) validity: Validity,
}

/// What is to know of a `cabundle` in which everything holds.
#[derive(Debug)]
pub(crate) struct Authorities {
    /// The pinned root it starts from.
    pub(crate) root: TrustRoot,
    /// The `commonName` of each certificate.
    pub(crate) names: Vec<Option<Box<str>>>,
    /// When all of them are valid.
    validity: Validity,
    /// What the last one's certificate says of it as an issuer.
    issuer: Issuer<Box<[u8]>>,
    /// Its key.
    issuer_key: P384PublicKey,
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
    let chain = match cache.authorities(&key, now) {
        Some(authorities) => {
            let leaf = parse_leaf(leaf, &authorities.issuer.as_ref(), now)?;
            verify_leaf(crypto, authorities, &leaf)?
        }
        None => {
            let (root, parsed) = parse_authorities(roots, cabundle, now)?;
            let issuer = parsed.last().map(Certificate::as_issuer);
            let issuer = issuer.ok_or(VerifyError::ChainLength(0))?;
            let leaf = parse_leaf(leaf, &issuer, now)?;
            let (authorities, verified) = verify_authorities(crypto, cache, root, &parsed)?;
            let chain = verify_leaf(crypto, Arc::new(authorities), &leaf)?;
            for signed in &verified {
                cache.insert_signed(signed);
            }
            cache.insert_authorities(&key, &chain.authorities);
            chain
        }
    };
    let chain = Arc::new(chain);
    cache.insert_chain(&key, &chain);
    Ok(chain)
}

/// Reads all certificates of `cabundle`, and checks of them what costs little.
fn parse_authorities<'r, 'a>(
    roots: &'r [TrustRoot],
    cabundle: &[&'a [u8]],
    now: Timestamp,
) -> Result<(&'r TrustRoot, Vec<Certificate<'a>>), VerifyError> {
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
                // The root has no issuer above it.
                if let Some(parent) = authorities.last() {
                    certificate.check_link(&parent.as_issuer())?;
                }
                certificate.check_validity(now)?;
                certificate.check_authority(below)?;
                Ok(certificate)
            })
            .map_err(|error| VerifyError::Certificate(ChainPosition::Authority(index), error))?;
        authorities.push(authority);
    }
    Ok((root, authorities))
}

/// Reads the leaf, and checks of it what costs little.
fn parse_leaf<'a>(
    leaf: &'a [u8],
    issuer: &Issuer<&[u8]>,
    now: Timestamp,
) -> Result<Certificate<'a>, VerifyError> {
    Certificate::parse(leaf)
        .and_then(|certificate| {
            certificate.check_link(issuer)?;
            certificate.check_validity(now)?;
            certificate.check_end_entity()?;
            Ok(certificate)
        })
        .map_err(|error| VerifyError::Certificate(ChainPosition::Leaf, error))
}

/// An authority, and the key that was found to have signed its certificate.
struct Signed<'c, 'a> {
    certificate: &'c Certificate<'a>,
    issuer_key: P384PublicKey,
    key: P384PublicKey,
}

/// Checks every signature below the root, whose own is not checked: it is trusted for its bytes.
/// Also returns those that were not known.
fn verify_authorities<'c, 'a>(
    crypto: &dyn Crypto,
    cache: &CertificateCache,
    root: &TrustRoot,
    authorities: &'c [Certificate<'a>],
) -> Result<(Authorities, Vec<Signed<'c, 'a>>), VerifyError> {
    let (first, others) = authorities
        .split_first()
        .ok_or(VerifyError::ChainLength(0))?;
    let at = |index, error| VerifyError::Certificate(ChainPosition::Authority(index), error);
    let mut issuer_key = public_key(crypto, first).map_err(|error| at(0, error))?;
    let mut last = first;
    let mut verified = Vec::with_capacity(others.len());
    for (index, authority) in (1..).zip(others) {
        let key = match cache.signed_key(&issuer_key, authority) {
            Some(key) => key,
            None => {
                check_signature(crypto, &issuer_key, authority)
                    .map_err(|error| at(index, error))?;
                let key = public_key(crypto, authority).map_err(|error| at(index, error))?;
                verified.push(Signed {
                    certificate: authority,
                    issuer_key,
                    key: key.clone(),
                });
                key
            }
        };
        issuer_key = key;
        last = authority;
    }
    let validity = others.iter().fold(first.validity, |validity, authority| {
        validity.within(authority.validity)
    });
    let authorities = Authorities {
        root: root.clone(),
        names: authorities.iter().map(name).collect(),
        validity,
        issuer: last.as_issuer().to_owned(),
        issuer_key,
    };
    Ok((authorities, verified))
}

/// Checks the leaf's signature.
fn verify_leaf(
    crypto: &dyn Crypto,
    authorities: Arc<Authorities>,
    leaf: &Certificate<'_>,
) -> Result<Chain, VerifyError> {
    let at = |error| VerifyError::Certificate(ChainPosition::Leaf, error);
    check_signature(crypto, &authorities.issuer_key, leaf).map_err(at)?;
    let leaf_key = public_key(crypto, leaf).map_err(at)?;
    Ok(Chain {
        validity: leaf.validity.within(authorities.validity),
        leaf_name: name(leaf),
        leaf_validity: leaf.validity,
        leaf_key,
        authorities,
    })
}

fn name(certificate: &Certificate<'_>) -> Option<Box<str>> {
    certificate.common_name().map(Box::from)
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

//! What can be wrong with a certificate.

use core::fmt;

/// Why a certificate of a chain was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// The key that issued it is, by its identifier, another than the one above it.
    #[error("its authorityKeyIdentifier is not the subjectKeyIdentifier of the one above it")]
    AuthorityKeyIdentifier,
    /// basicConstraints of an issuer must be there and critical.
    #[error("it issues certificates but has no critical basicConstraints")]
    BasicConstraints,
    /// An extension comes twice.
    #[error("an extension comes twice")]
    DuplicateExtension,
    /// Nor may its key usage let an end entity issue (RFC 5280 section 4.2.1.3).
    #[error("it signs documents but its keyUsage lets it issue certificates")]
    EndEntityCertSign,
    /// An end entity must not be able to issue.
    #[error("it signs documents but is marked as a certificate authority")]
    EndEntityIsAuthority,
    /// A path length makes sense only for issuers.
    #[error("it is no certificate authority but limits a path length")]
    EndEntityPathLength,
    /// Too old.
    #[error("it has expired; ask the enclave for a new document, and check the clock")]
    Expired,
    /// The issuer's name is not the subject's name of the certificate above, byte for byte.
    #[error("its issuer is not the subject of the one above it")]
    Issuer,
    /// keyUsage lacks keyCertSign.
    #[error("it issues certificates but its keyUsage doesn't allow that")]
    KeyUsageCertSign,
    /// keyUsage lacks digitalSignature.
    #[error("it signs documents but its keyUsage doesn't allow that")]
    KeyUsageDigitalSignature,
    /// Not DER, or not a certificate; the part that couldn't be read, as RFC 5280 calls it.
    #[error("its {0} is malformed")]
    Malformed(&'static str),
    /// cA is false.
    #[error("it issues certificates but is not marked as a certificate authority")]
    NotAuthority,
    /// Too young.
    #[error("it is not valid yet; check the clock")]
    NotYetValid,
    /// More issuers below it than it allows.
    #[error("more certificate authorities follow than its path length allows")]
    PathLength,
    /// Not an uncompressed P-384 point, or not on the curve.
    #[error("its key is not an uncompressed point of P-384")]
    PublicKey,
    /// Below the root, nobody issues to themselves; the root itself can't come twice.
    #[error("its issuer is itself")]
    SelfIssued,
    /// The key above it did not sign it.
    #[error("its signature is not that of the key above it")]
    Signature,
    /// Not ecdsa-with-SHA384, or not the same in both places.
    #[error("its signature algorithm is not ecdsa-with-SHA384")]
    SignatureAlgorithm,
    /// A critical extension that isn't checked here.
    #[error("it has a critical extension that is not understood")]
    UnknownCriticalExtension,
    /// Not X.509 version 3.
    #[error("it is not of X.509 version 3")]
    Version,
}

/// Which certificate of a document.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChainPosition {
    /// A certificate of `cabundle`; 0 is the root.
    Authority(usize),
    /// The certificate of the key that signed the document.
    Leaf,
}

impl fmt::Display for ChainPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(index) => write!(f, "certificate {index} of the cabundle"),
            Self::Leaf => f.write_str("the signing certificate"),
        }
    }
}

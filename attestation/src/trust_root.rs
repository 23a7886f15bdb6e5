//! The roots a verifier is pinned to.

use core::fmt;
use std::sync::Arc;

use crate::chain::{self, Certificate};
use crate::document::MAX_FIELD_LEN;
use crate::{Backend, CertificateError};

/// A root certificate that documents must start from, byte for byte.
///
/// A root is trusted because it is configured. Its bytes, not its name or key, are what a
/// document's first certificate is compared with.
#[derive(Clone, Eq, PartialEq)]
pub struct TrustRoot {
    der: Arc<[u8]>,
    kind: RootKind,
}

/// What a root vouches for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RootKind {
    /// Real enclaves: the root of an AWS partition.
    Nitro,
    /// Simulated enclaves, which protect nothing. Whoever trusts such a root must say so loudly.
    Simulated,
}

impl TrustRoot {
    /// The root of AWS's commercial partition, `CN=aws.nitro-enclaves`, valid 2019 to 2049.
    ///
    /// SHA-256 `641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b` of the
    /// certificate; AWS publishes `8cf60e2b…`, which is the SHA-256 of the zip around it.
    pub fn aws() -> Self {
        Self::pinned(include_bytes!("../roots/aws-nitro-enclaves-root-g1.der"))
    }

    /// The root of AWS GovCloud (US), `CN=aws-us-gov.nitro-enclaves`, valid 2020 to 2050.
    ///
    /// SHA-256 `20bcd30a3e168ea03789e1c45912bc123c4de3c977b8a6e1c125c7929d668b3b`.
    pub fn aws_us_gov() -> Self {
        Self::pinned(include_bytes!(
            "../roots/aws-us-gov-nitro-enclaves-root.der"
        ))
    }

    /// A root from its DER, for partitions whose root isn't built in.
    ///
    /// # Errors
    ///
    /// If it is not a certificate that could start a document's chain.
    pub fn from_der(der: &[u8], kind: RootKind) -> Result<Self, TrustRootError> {
        if der.len() > MAX_FIELD_LEN {
            return Err(TrustRootError::Length(der.len()));
        }
        Certificate::parse(der)
            .and_then(|root| {
                root.check_authority(0)?;
                chain::public_key(Backend::default().crypto(), &root).map(drop)
            })
            .map_err(TrustRootError::Certificate)?;
        Ok(Self {
            der: der.into(),
            kind,
        })
    }

    /// The root of a simulated NSM, from PEM or DER.
    ///
    /// Of PEM, the one CERTIFICATE block counts; there may be text and blocks of other kinds around
    /// it, and its lines may be of any length.
    ///
    /// # Errors
    ///
    /// As [`TrustRoot::from_der`], and if PEM doesn't hold exactly one certificate.
    pub fn simulated(pem_or_der: &[u8]) -> Result<Self, TrustRootError> {
        if pem_or_der.first() == Some(&DER_SEQUENCE) {
            return Self::from_der(pem_or_der, RootKind::Simulated);
        }
        let der = certificate_in_pem(pem_or_der).ok_or(TrustRootError::Pem)?;
        Self::from_der(&der, RootKind::Simulated)
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What the root vouches for.
    pub fn kind(&self) -> RootKind {
        self.kind
    }

    /// Whether documents under this root come from a simulated NSM.
    pub fn is_simulated(&self) -> bool {
        self.kind == RootKind::Simulated
    }

    /// The SHA-256 of the certificate, by which people compare roots.
    pub fn sha256(&self) -> [u8; 32] {
        Backend::default().crypto().sha256(&self.der)
    }

    fn pinned(der: &'static [u8]) -> Self {
        Self {
            der: der.into(),
            kind: RootKind::Nitro,
        }
    }
}

/// What a certificate starts with in DER; no text does.
const DER_SEQUENCE: u8 = 0x30;

/// The content of the only CERTIFICATE block.
///
/// Tools wrap PEM at 64 columns, at 76 or not at all, where the strict grammar of RFC 7468 knows
/// one width. So the block is laid out anew before the strict reader gets it.
fn certificate_in_pem(text: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = core::str::from_utf8(text).ok()?;
    let (_, block) = text.split_once(BEGIN)?;
    let (base64, rest) = block.split_once(END)?;
    if rest.contains(BEGIN) {
        return None;
    }
    let digits: String = base64.split_ascii_whitespace().collect();
    let mut pem = format!("{BEGIN}\n");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index.is_multiple_of(64) {
            pem.push('\n');
        }
        pem.push(digit);
    }
    pem.push_str(&format!("\n{END}\n"));
    pem_rfc7468::decode_vec(pem.as_bytes())
        .ok()
        .map(|(_, der)| der)
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoot")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why a certificate can't be a trust root.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustRootError {
    /// It could never start a chain that verifies.
    #[error("the trust root can't be used: {0}")]
    Certificate(CertificateError),
    /// No document could hold it.
    #[error("the trust root has {0} bytes, but a document holds certificates of 1024 at most")]
    Length(usize),
    /// Neither DER nor PEM.
    #[error("the trust root is neither a DER certificate nor PEM with exactly one CERTIFICATE")]
    Pem,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn built_in_roots_are_those_that_aws_published() {
        let fingerprints = [
            (
                TrustRoot::aws(),
                "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
            ),
            (
                TrustRoot::aws_us_gov(),
                "20bcd30a3e168ea03789e1c45912bc123c4de3c977b8a6e1c125c7929d668b3b",
            ),
        ];
        for (root, sha256) in fingerprints {
            assert_eq!(hex(&root.sha256()), sha256);
            assert!(!root.is_simulated());
            let again = TrustRoot::from_der(root.der(), RootKind::Nitro);
            assert_eq!(again, Ok(root));
        }
    }

    #[test]
    fn simulated_roots_are_read_from_pem_and_der() {
        let der = TrustRoot::aws().der().to_vec();
        let pem = pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, &der);
        let pem = pem.unwrap();
        let from_der = TrustRoot::simulated(&der).unwrap();
        assert!(from_der.is_simulated());
        assert_ne!(from_der, TrustRoot::aws(), "the kind is part of the root");
        assert_eq!(TrustRoot::simulated(pem.as_bytes()).unwrap(), from_der);

        let key = pem.replace("CERTIFICATE", "PRIVATE KEY");
        let lines: Vec<&str> = pem.lines().collect();
        let digits = lines[1..lines.len() - 1].concat();
        let wrapped = |width: usize| {
            let body: Vec<&str> = digits
                .as_bytes()
                .chunks(width)
                .map(|line| core::str::from_utf8(line).unwrap())
                .collect();
            format!(
                "{}\n{}\n{}",
                lines[0],
                body.join("\n"),
                lines[lines.len() - 1]
            )
        };
        for same in [
            wrapped(76),
            wrapped(usize::MAX),
            wrapped(3) + " \n\n",
            pem.replace('\n', "\r\n"),
            format!("a comment\n{pem}{key}"),
        ] {
            assert_eq!(TrustRoot::simulated(same.as_bytes()), Ok(from_der.clone()));
        }
        let damaged = wrapped(76).replace(&digits[..8], "!!!!!!!!");
        let two = pem.repeat(2);
        for other in [&key, &two, &damaged, "", "root"] {
            assert_eq!(
                TrustRoot::simulated(other.as_bytes()),
                Err(TrustRootError::Pem),
                "{other}"
            );
        }
        assert_eq!(
            TrustRoot::from_der(&[0x30; 1025], RootKind::Nitro),
            Err(TrustRootError::Length(1025))
        );
        assert_eq!(
            TrustRoot::from_der(&der[1..], RootKind::Nitro),
            Err(TrustRootError::Certificate(CertificateError::Malformed(
                "certificate"
            )))
        );
    }
}

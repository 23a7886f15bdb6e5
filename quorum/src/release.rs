//! Release manifests: the images that a root key may be handed to, as operators sign them.
//!
//! ```json
//! {
//!   "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": "…", "PCR1": "…", "PCR2": "…" },
//!   "Release": 7
//! }
//! ```
//!
//! It is what the build of the image printed, with a number. Operators sign the very bytes of the
//! file: `ssh-keygen -Y sign -n claviger-release -f KEY release.json`.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use kms::state::RootKeyId;
use serde::{Deserialize, Deserializer, de};

use crate::plan::MAX_OPERATORS;
use crate::quorum::VerifiedQuorum;
use crate::signature::Signature;
use crate::signing_key::fingerprint;

/// What the signatures of manifests are made for: `ssh-keygen`'s namespace.
pub const RELEASE_NAMESPACE: &str = "claviger-release";

/// The longest manifest, in bytes.
const MAX_MANIFEST: usize = 4096;

/// An image by its measurements, and its number in the order of releases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    release: NonZeroU64,
    measurements: BTreeMap<usize, [u8; 48]>,
}

/// A manifest that enough operators of a quorum have signed: only
/// [`VerifiedQuorum::authorize`] makes one.
#[derive(Debug)]
pub struct AuthorizedRelease {
    manifest: Manifest,
    root_key_id: RootKeyId,
    signers: Vec<String>,
}

/// Why a release is not authorized.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The manifest is none.
    #[error("not a release manifest: {0}")]
    Manifest(String),
    /// More signatures than there can be operators.
    #[error("{0} signatures are more than the {MAX_OPERATORS} that a quorum can have")]
    TooManySignatures(usize),
    /// A signature is not good.
    #[error("signature {number} {error}")]
    Signature {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// Too few of the operators have signed.
    #[error("{} of {threshold} operators have signed{}", signers.len(), named(signers))]
    TooFewSigners {
        /// Who has.
        signers: Vec<String>,
        /// How many it takes.
        threshold: u8,
    },
}

/// Why a signature is not good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Its form.
    #[error("is not one of ssh-keygen's (-----BEGIN SSH SIGNATURE-----)")]
    Malformed,
    /// It was made for something else.
    #[error("is for {0:?}: sign with ssh-keygen -Y sign -n {RELEASE_NAMESPACE}")]
    Namespace(String),
    /// Nobody's of the quorum.
    #[error("is of the key {0}, with which no operator of this quorum signs")]
    Stranger(String),
    /// An operator's key, but not this file.
    #[error("of {0} is not of this very file")]
    Altered(String),
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::Manifest`], with what to change.
    pub fn from_json(text: &[u8]) -> Result<Self, ReleaseError> {
        if text.len() > MAX_MANIFEST {
            let long = format!("it has more than {MAX_MANIFEST} bytes");
            return Err(ReleaseError::Manifest(long));
        }
        let Release {
            release,
            measurements,
        } = serde_json::from_slice(text)
            .map_err(|error| ReleaseError::Manifest(error.to_string()))?;
        let Measurements {
            pcr0,
            pcr1,
            pcr2,
            pcr4,
            pcr8,
            ..
        } = measurements;
        let required = [(0, pcr0), (1, pcr1), (2, pcr2)];
        let named = [pcr4.map(|pcr| (4, pcr)), pcr8.map(|pcr| (8, pcr))];
        let measurements = required.into_iter().chain(named.into_iter().flatten());
        Ok(Self {
            release,
            measurements: measurements.map(|(index, pcr)| (index, pcr.0)).collect(),
        })
    }

    /// The number of the release.
    pub fn release(&self) -> NonZeroU64 {
        self.release
    }

    /// The registers by their index, and what must be in them: PCR0, PCR1 and PCR2, and PCR4 and PCR8
    /// if the manifest names them.
    pub fn measurements(&self) -> &BTreeMap<usize, [u8; 48]> {
        &self.measurements
    }
}

impl AuthorizedRelease {
    /// What was signed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The root key whose operators have signed.
    pub fn root_key_id(&self) -> RootKeyId {
        self.root_key_id
    }

    /// The operators who have signed.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

impl VerifiedQuorum {
    /// Checks that enough operators have signed a manifest. Each counts once.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] if they have not, or if one of the signatures is not an operator's, of this
    /// very file: what does not belong there is an error, and never left out.
    pub fn authorize(
        &self,
        manifest: &[u8],
        signatures: &[&str],
    ) -> Result<AuthorizedRelease, ReleaseError> {
        if signatures.len() > usize::from(MAX_OPERATORS) {
            return Err(ReleaseError::TooManySignatures(signatures.len()));
        }
        let mut signers: Vec<&str> = Vec::new();
        for (signature, number) in signatures.iter().zip(1..) {
            let signer = self.signer(manifest, signature);
            let signer = signer.map_err(|error| ReleaseError::Signature { number, error })?;
            if !signers.contains(&signer) {
                signers.push(signer);
            }
        }
        let threshold = self.quorum().threshold();
        let enough = signers.len() >= usize::from(threshold);
        let signers = signers.into_iter().map(str::to_owned).collect();
        if !enough {
            return Err(ReleaseError::TooFewSigners { signers, threshold });
        }
        Ok(AuthorizedRelease {
            manifest: Manifest::from_json(manifest)?,
            root_key_id: self.quorum().root_key_id(),
            signers,
        })
    }

    /// The operator whose signature of the manifest this is.
    fn signer(&self, manifest: &[u8], signature: &str) -> Result<&str, SignatureError> {
        let signature = Signature::from_text(signature).ok_or(SignatureError::Malformed)?;
        if signature.namespace() != RELEASE_NAMESPACE {
            let found = signature.namespace().chars().take(100).collect();
            return Err(SignatureError::Namespace(found));
        }
        let signer = self.quorum().signer(signature.key());
        let (name, key) =
            signer.ok_or_else(|| SignatureError::Stranger(fingerprint(signature.key())))?;
        if !signature.is_of(manifest, key) {
            return Err(SignatureError::Altered(name.to_owned()));
        }
        Ok(name)
    }
}

/// The JSON. A register that is not one of these would be left out of what is checked, so none may
/// be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Release {
    release: NonZeroU64,
    measurements: Measurements,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
struct Measurements {
    #[serde(rename = "HashAlgorithm")]
    _hash_algorithm: Option<String>,
    pcr0: Pcr,
    pcr1: Pcr,
    pcr2: Pcr,
    pcr4: Option<Pcr>,
    pcr8: Option<Pcr>,
}

struct Pcr([u8; 48]);

impl<'de> Deserialize<'de> for Pcr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut pcr = [0; 48];
        hex::decode_to_slice(&text, &mut pcr)
            .map_err(|_| de::Error::custom("a measurement is 96 hexadecimal digits"))?;
        if pcr == [0; 48] {
            let zero = "a measurement is zero: that is every enclave in debug mode";
            return Err(de::Error::custom(zero));
        }
        Ok(Self(pcr))
    }
}

fn named(signers: &[String]) -> String {
    match signers {
        [] => String::new(),
        _ => format!(": {}", signers.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use kms::state::RootKey;

    use super::*;
    use crate::plan::{Operator, Plan};
    use crate::quorum::{Quorum, QuorumError};
    use crate::signing_key::SigningKey;
    use crate::testing::{Random, key_pair};

    const RELEASE: &str = include_str!("../tests/vectors/release/release.json");
    const ADA: &str = include_str!("../tests/vectors/release/ada.sig");
    const GRACE: &str = include_str!("../tests/vectors/release/grace.sig");
    const MARY: &str = include_str!("../tests/vectors/release/mary.sig");
    const EVE: &str = include_str!("../tests/vectors/release/eve.sig");

    /// As `ssh-keygen -l` prints it.
    const EVES_KEY: &str = "SHA256:MtqHbhkbV2xEtvfgijRur850TLE+h3G8OJBPf1gRWyc";

    fn established(seed: u64, threshold: u8) -> (RootKey, Quorum) {
        let mut random = Random::new(seed);
        let keys = [
            (
                "ada",
                Some(include_str!("../tests/vectors/release/ada.pub")),
            ),
            ("barbara", None),
            (
                "grace",
                Some(include_str!("../tests/vectors/release/grace.pub")),
            ),
            (
                "mary",
                Some(include_str!("../tests/vectors/release/mary.pub")),
            ),
        ];
        let operators = keys.map(|(name, signing_key)| Operator {
            name: name.to_owned(),
            key: key_pair(&mut random).1,
            signing_key: signing_key.map(|line| SigningKey::from_text(line).unwrap()),
        });
        let plan = Plan {
            threshold,
            operators: operators.to_vec(),
            administrator: None,
        };
        let root_key = RootKey::generate(&mut random);
        let quorum = Quorum::establish(&plan, &root_key, &mut random).unwrap().0;
        (root_key, quorum)
    }

    /// As after an unsealing: read from the host, and verified.
    fn quorum(threshold: u8) -> VerifiedQuorum {
        let (root_key, quorum) = established(1, threshold);
        let read = Quorum::from_bytes(quorum.as_bytes()).unwrap();
        read.verify(&root_key).unwrap()
    }

    fn refused(signatures: &[&str]) -> ReleaseError {
        let authorized = quorum(2).authorize(RELEASE.as_bytes(), signatures);
        authorized.unwrap_err()
    }

    fn bad(number: usize, error: SignatureError) -> ReleaseError {
        ReleaseError::Signature { number, error }
    }

    #[test]
    fn enough_operators_authorize_a_release() {
        let ada_with_sha256 = include_str!("../tests/vectors/release/ada-sha256.sig");
        for (threshold, signatures, signers) in [
            (2, &[ADA, GRACE][..], &["ada", "grace"][..]),
            (2, &[MARY, ada_with_sha256], &["mary", "ada"]),
            (2, &[GRACE, GRACE, MARY], &["grace", "mary"]),
            (3, &[MARY, GRACE, ADA], &["mary", "grace", "ada"]),
        ] {
            let quorum = quorum(threshold);
            let authorized = quorum.authorize(RELEASE.as_bytes(), signatures).unwrap();
            assert_eq!(authorized.signers(), signers);
            assert!(authorized.root_key_id() == quorum.quorum().root_key_id());
            let manifest = authorized.manifest();
            assert_eq!(manifest.release().get(), 7);
            let registers: Vec<_> = manifest.measurements().keys().copied().collect();
            assert_eq!(registers, [0, 1, 2]);
        }
    }

    #[test]
    fn fewer_different_operators_do_not() {
        for (signatures, signers) in [
            (&[][..], &[][..]),
            (&[ADA], &["ada"]),
            (&[ADA; 16], &["ada"]),
        ] {
            let expected = ReleaseError::TooFewSigners {
                signers: signers.iter().map(|&name| name.to_owned()).collect(),
                threshold: 2,
            };
            assert_eq!(refused(signatures), expected);
        }
        let told = refused(&[ADA, ADA]).to_string();
        assert_eq!(told, "1 of 2 operators have signed: ada");
        assert_eq!(refused(&[ADA; 17]), ReleaseError::TooManySignatures(17));
    }

    #[test]
    fn a_signature_that_is_not_good_is_named() {
        let file = include_str!("../tests/vectors/release/ada-file.sig");
        assert_eq!(
            refused(&[ADA, file]),
            bad(2, SignatureError::Namespace("file".to_owned()))
        );
        assert_eq!(
            refused(&["", ADA, GRACE]),
            bad(1, SignatureError::Malformed)
        );
        let ReleaseError::Signature {
            number: 3,
            error: SignatureError::Stranger(key),
        } = refused(&[ADA, GRACE, EVE])
        else {
            panic!("a stranger's signature was taken");
        };
        assert_eq!(key, EVES_KEY);
    }

    #[test]
    fn a_changed_manifest_is_nobodys() {
        let quorum = quorum(2);
        for place in 0..RELEASE.len() {
            let mut changed = RELEASE.as_bytes().to_vec();
            changed[place] ^= 1;
            let refused = quorum.authorize(&changed, &[GRACE, MARY]).unwrap_err();
            let altered = SignatureError::Altered("grace".to_owned());
            assert_eq!(refused, bad(1, altered), "byte {place}");
        }
        let longer = format!("{RELEASE}\n");
        assert!(quorum.authorize(longer.as_bytes(), &[ADA, GRACE]).is_err());
    }

    #[test]
    fn a_quorum_counts_only_once_it_is_verified() {
        let (root_key, quorum) = established(1, 2);
        let (other_key, _) = established(2, 2);
        assert_eq!(quorum.verify(&other_key).err(), Some(QuorumError::Altered));
        // A host that puts itself in ada's place.
        let ada = include_str!("../tests/vectors/release/ada.pub");
        let ada = SigningKey::from_text(ada).unwrap().to_string();
        let eves = ada.replace("AAAAIA0W", "AAAAIA0X");
        let bytes = quorum.as_bytes();
        let place = bytes
            .windows(ada.len())
            .position(|bytes| bytes == ada.as_bytes());
        let mut changed = bytes.to_vec();
        changed[place.unwrap()..][..eves.len()].copy_from_slice(eves.as_bytes());
        let quorum = Quorum::from_bytes(&changed).unwrap();
        assert_eq!(quorum.verify(&root_key).err(), Some(QuorumError::Altered));
    }

    #[test]
    fn manifests_that_can_not_be_are_refused() {
        let pcr0 = RELEASE.split('"').find(|word| word.len() == 96).unwrap();
        let zero = "0".repeat(96);
        let read = |text: &str| Manifest::from_json(text.as_bytes());
        assert!(read(RELEASE).is_ok());
        assert!(read(&RELEASE.to_uppercase()).is_err());
        for (register, index) in [("PCR4", 4), ("PCR8", 8)] {
            let more = format!("\"{register}\": \"{pcr0}\", \"PCR2\"");
            let more = read(&RELEASE.replace("\"PCR2\"", &more)).unwrap();
            assert_eq!(more.measurements().len(), 4);
            assert!(more.measurements().contains_key(&index));
        }
        for (from, to, why) in [
            ("{", "", "expected"),
            ("PCR2", "PCR3", "unknown field `PCR3`"),
            ("PCR2", "PCR1", "duplicate field `PCR1`"),
            (
                "\"Release\": 7",
                "\"Release\": 7, \"Release\": 8",
                "duplicate field `Release`",
            ),
            (
                "\"Release\": 7",
                "\"Release\": 7, \"More\": 8",
                "unknown field `More`",
            ),
            ("\"Release\": 7", "\"Release\": 0", "nonzero u64"),
            ("\"Release\": 7", "\"Release\": -1", "nonzero u64"),
            ("\"Release\": 7", "\"Release\": 7.0", "nonzero u64"),
            ("\"Release\": 7", "\"Release\": \"7\"", "nonzero u64"),
            (
                "\"Release\": 7",
                "\"Release\": 18446744073709551616",
                "nonzero u64",
            ),
            ("  \"Release\": 7\n}", "}", "trailing comma"),
            (pcr0, &pcr0[2..], "96 hexadecimal digits"),
            (pcr0, &zero, "debug mode"),
            (
                "{",
                &format!("{}{{", " ".repeat(MAX_MANIFEST)),
                "4096 bytes",
            ),
        ] {
            let refused = read(&RELEASE.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(refused.contains(why), "{to}: {refused}");
        }
        assert!(read(&format!("{RELEASE}{{}}")).is_err());
    }
}

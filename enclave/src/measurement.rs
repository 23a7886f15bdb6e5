//! What an enclave measures of itself; `docs/attested-identity.md` has the bytes.
//!
//! The image is measured by whoever starts it, into PCR0, PCR1 and PCR2. What this enclave was told
//! and who it is to its clients comes after that, so it measures both itself, into a register that
//! is free for it, and locks that before it serves anybody.

use attestation::{Nsm, NsmError};
use aws_lc_rs::digest::{Context, SHA384, SHA384_OUTPUT_LEN, digest};

/// The first register that an enclave may extend.
const REGISTER: u16 = 16;

/// A SHA-384 hash.
type Sha384 = [u8; SHA384_OUTPUT_LEN];

/// The settings and the public identity of an enclave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Measurement {
    settings: Sha384,
    certificate: Sha384,
}

impl Measurement {
    /// Of the settings' bytes as they were read, and the certificate in DER of the authority that
    /// clients trust; none without TLS.
    pub(crate) fn new(settings: SettingsHash, certificate: Option<&[u8]>) -> Self {
        Self {
            settings: settings.0,
            certificate: sha384(certificate.unwrap_or_default()),
        }
    }

    /// Extends the register, and locks it for as long as the enclave lives.
    pub(crate) fn measure(&self, nsm: &mut dyn Nsm) -> Result<(), NsmError> {
        nsm.extend_pcr(REGISTER, &self.hash())?;
        nsm.lock_pcr(REGISTER)
    }

    fn hash(&self) -> Sha384 {
        let mut context = Context::new(&SHA384);
        context.update(&self.settings);
        context.update(&self.certificate);
        to_array(&context.finish())
    }
}

/// The SHA-384 of the settings as they were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettingsHash(Sha384);

impl SettingsHash {
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(sha384(text))
    }
}

impl Default for SettingsHash {
    fn default() -> Self {
        Self([0; SHA384_OUTPUT_LEN])
    }
}

fn sha384(bytes: &[u8]) -> Sha384 {
    to_array(&digest(&SHA384, bytes))
}

fn to_array(digest: &aws_lc_rs::digest::Digest) -> Sha384 {
    let mut array = [0; SHA384_OUTPUT_LEN];
    array.copy_from_slice(digest.as_ref());
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurement_is_the_documented_one() {
        // printf '{}' | openssl dgst -sha384 -binary; printf CA | openssl dgst -sha384 -binary;
        // both together once more.
        let settings = SettingsHash::of(b"{}");
        let measurement = Measurement::new(settings, Some(b"CA"));
        assert_eq!(
            hex::encode(measurement.hash()),
            "aaf46185417087b213cbefc20672cdb6701de2884551488f8299cc73e7da5102a7e8ae03fc6b0c0808ccfc0419237336"
        );
        let measurement = Measurement::new(settings, None);
        assert_eq!(
            hex::encode(measurement.hash()),
            "27f15d10bbd17a73b41e5e1cb777d2ee0c6448d03dd099dfb660f0633e975e9ef68e0489984b6cb2f720c92635cf374c"
        );
    }

    #[cfg(feature = "simulation")]
    #[test]
    fn the_register_is_extended_once_and_locked() {
        use attestation::Timestamp;
        use attestation::nsm::{Identity, SimulatedCa, SimulatedNsm};

        use crate::random::{NSM_SEED_BYTES, Random};

        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut random = Random::new(&[1; NSM_SEED_BYTES]).unwrap();
        let ca = SimulatedCa::generate(&mut random, now).unwrap();
        let module = Identity::new(&mut random, now);
        let mut nsm = SimulatedNsm::new(ca, module, Box::new(move || now), Box::new(random));
        let measurement = Measurement::new(SettingsHash::of(b"{}"), None);
        measurement.measure(&mut nsm).unwrap();

        let register = nsm.describe_pcr(REGISTER).unwrap();
        let expected = sha384(&[[0; SHA384_OUTPUT_LEN], measurement.hash()].concat());
        assert_eq!(register.value, expected);
        assert!(register.locked);
        assert_eq!(measurement.measure(&mut nsm), Err(NsmError::ReadOnlyIndex));
    }
}

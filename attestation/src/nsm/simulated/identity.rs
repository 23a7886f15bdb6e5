//! Which enclave a simulated module belongs to.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::Timestamp;
use crate::backend::Crypto;

/// A register with nothing in it.
const EMPTY: [u8; 48] = [0; 48];

/// What PCR0, PCR1 and PCR2 are measured from unless a test chooses their values.
const MEASUREMENTS: [(u16, &str); 3] = [
    (0, "claviger simulated image"),
    (1, "claviger simulated kernel and boot ramdisk"),
    (2, "claviger simulated application"),
];

/// The registers that are zero in debug mode. All others keep their values, PCR3 and PCR4 too.
const ZERO_IN_DEBUG_MODE: [u16; 4] = [0, 1, 2, 8];

/// The enclave, instance and region that a [`SimulatedNsm`](super::SimulatedNsm) speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    module_id: String,
    region: String,
    role_arn: Option<String>,
    pcrs: BTreeMap<u16, [u8; 48]>,
    debug_mode: bool,
}

impl Identity {
    /// A new enclave on a new instance in us-east-1, without a role, running the simulated image.
    ///
    /// The module id has the form of AWS's: `i-<17 hex>-enc<16 hex>`, where the first twelve
    /// digits of the enclave are the time of its launch in milliseconds.
    pub fn new(random: &mut dyn CryptoRng, launched: Timestamp) -> Self {
        let instance = random.next_u64();
        let launched = launched.as_millis() & 0xffff_ffff_ffff;
        let suffix = random.next_u32() & 0xffff;
        Self {
            // Instance ids of today's length begin with a zero.
            module_id: format!("i-0{instance:016x}-enc{launched:012x}{suffix:04x}"),
            region: "us-east-1".to_owned(),
            role_arn: None,
            pcrs: BTreeMap::new(),
            debug_mode: false,
        }
    }

    /// With this module id. PCR4 measures its part before `-enc`, the instance id.
    #[must_use]
    pub fn with_module_id(mut self, module_id: &str) -> Self {
        module_id.clone_into(&mut self.module_id);
        self
    }

    /// In this region, which the names in the certificates carry.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// On an instance with this IAM role, which PCR3 measures.
    #[must_use]
    pub fn with_role(mut self, role_arn: &str) -> Self {
        self.role_arn = Some(role_arn.to_owned());
        self
    }

    /// With this register, whatever it would be otherwise. A register above 15 counts as
    /// extended and locked by the enclave.
    #[must_use]
    pub fn with_pcr(mut self, index: u16, value: [u8; 48]) -> Self {
        self.pcrs.insert(index, value);
        self
    }

    /// Started with `--debug-mode`: PCR0, PCR1, PCR2 and PCR8 are zero.
    #[must_use]
    pub fn in_debug_mode(mut self) -> Self {
        self.debug_mode = true;
        self
    }

    /// `i-<instance>-enc<enclave>`.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// The module id up to `-enc`.
    pub fn instance_id(&self) -> &str {
        self.split().0
    }

    /// The AWS region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The enclave's part of the module id as a number; zero where it is none.
    pub(super) fn enclave_number(&self) -> u64 {
        u64::from_str_radix(self.split().1, 16).unwrap_or(0)
    }

    fn split(&self) -> (&str, &str) {
        self.module_id
            .split_once("-enc")
            .unwrap_or((&self.module_id, ""))
    }

    /// The registers that are not empty at boot.
    pub(super) fn registers(&self, crypto: &dyn Crypto) -> BTreeMap<u16, [u8; 48]> {
        let measure = |text: &str| crypto.sha384(&[&EMPTY, text.as_bytes()]);
        let mut registers: BTreeMap<_, _> = MEASUREMENTS
            .into_iter()
            .map(|(index, text)| (index, measure(text)))
            .collect();
        if let Some(role_arn) = &self.role_arn {
            registers.insert(3, measure(role_arn));
        }
        registers.insert(4, measure(self.instance_id()));
        registers.extend(&self.pcrs);
        if self.debug_mode {
            registers.extend(ZERO_IN_DEBUG_MODE.map(|index| (index, EMPTY)));
        }
        registers
    }
}

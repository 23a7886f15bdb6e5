//! A Nitro Secure Module in software, for machines that have none.
//!
//! Its documents have the form of those of the hardware, but lead to another root, and the names in
//! their certificates say that they are simulated.
//! The production verifier checks them like any other, once that root is trusted.

mod ca;
pub mod cbor;
mod certificate;
mod chain;
mod document;
pub mod forge;
mod identity;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::CryptoRng;

pub use self::ca::{SimulatedCa, SimulatedCaError};
use self::chain::{Chain, Link};
use self::document::Statement;
use self::forge::Forge;
pub use self::identity::Identity;
use super::{AttestationRequest, Nsm, NsmDescription, NsmError, PCR_COUNT, PcrState};
use crate::backend::Backend;
use crate::{Timestamp, TrustRoot};

/// The registers that are locked from the start.
const LOCKED_AT_BOOT: u16 = 16;

/// A simulated module: one enclave with its registers, certified by a [`SimulatedCa`].
pub struct SimulatedNsm {
    ca: Arc<SimulatedCa>,
    root: TrustRoot,
    identity: Identity,
    registers: Vec<PcrState>,
    chain: Chain,
    clock: Box<dyn Fn() -> Timestamp + Send>,
    random: Box<dyn CryptoRng + Send>,
    backend: Backend,
}

impl SimulatedNsm {
    /// A module that has just booted the enclave that `identity` describes.
    ///
    /// `clock` gives the time in its documents; it should be the one that their verifier has.
    pub fn new(
        ca: impl Into<Arc<SimulatedCa>>,
        identity: Identity,
        clock: Box<dyn Fn() -> Timestamp + Send>,
        random: Box<dyn CryptoRng + Send>,
    ) -> Self {
        let ca = ca.into();
        let backend = Backend::default();
        let at_boot = identity.registers(backend.crypto());
        let registers = (0..PCR_COUNT)
            .map(|index| PcrState {
                value: at_boot.get(&index).unwrap_or(&[0; 48]).to_vec(),
                locked: index < LOCKED_AT_BOOT || at_boot.contains_key(&index),
            })
            .collect();
        Self {
            root: ca.root(),
            ca,
            identity,
            registers,
            chain: Chain::default(),
            clock,
            random,
            backend,
        }
    }

    /// Makes keys and signatures with this backend instead of the default one.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// A valid document in its parts, for tests that change one and sign again.
    ///
    /// # Errors
    /// As for [`Nsm::attest`].
    pub fn forge(&mut self, request: AttestationRequest<'_>) -> Result<Forge, NsmError> {
        let statement = self.statement(request)?;
        let at = statement.timestamp;
        let ca = Arc::clone(&self.ca);
        let crypto = self.backend.crypto();
        let root = chain::root(ca.key().public(), at, crypto, &mut self.random);
        let links = self.links(at)?;
        Ok(Forge::new(&ca, root, links, statement, crypto))
    }

    /// What a document made now says.
    fn statement(&self, request: AttestationRequest<'_>) -> Result<Statement, NsmError> {
        request.check()?;
        Ok(Statement {
            module_id: self.identity.module_id().to_owned(),
            timestamp: (self.clock)(),
            pcrs: self.locked_registers(),
            public_key: request.public_key.map(<[u8]>::to_vec),
            user_data: request.user_data.map(<[u8]>::to_vec),
            nonce: request.nonce.map(<[u8]>::to_vec),
        })
    }

    /// The certificates below the root that are good at `now`, the leaf last.
    fn links(&mut self, now: Timestamp) -> Result<&[Link], SimulatedCaError> {
        let crypto = self.backend.crypto();
        self.chain
            .at(now, &self.ca, &self.identity, crypto, &mut self.random)
    }

    fn locked_registers(&self) -> BTreeMap<u16, Vec<u8>> {
        (0..)
            .zip(&self.registers)
            .filter(|(_, register)| register.locked)
            .map(|(index, register)| (index, register.value.clone()))
            .collect()
    }

    fn register(&mut self, index: u16) -> Result<&mut PcrState, NsmError> {
        self.registers
            .get_mut(usize::from(index))
            .ok_or(NsmError::InvalidIndex)
    }

    /// A register that may still change.
    fn unlocked_register(&mut self, index: u16) -> Result<&mut PcrState, NsmError> {
        match self.register(index)? {
            register if register.locked => Err(NsmError::ReadOnlyIndex),
            register => Ok(register),
        }
    }
}

impl Nsm for SimulatedNsm {
    fn trust_root(&self) -> &TrustRoot {
        &self.root
    }

    fn describe(&mut self) -> Result<NsmDescription, NsmError> {
        Ok(NsmDescription {
            version: (1, 0, 0),
            module_id: self.identity.module_id().to_owned(),
            max_pcrs: PCR_COUNT,
            locked_pcrs: self.locked_registers().into_keys().collect(),
            digest: "SHA384",
        })
    }

    fn attest(&mut self, request: AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        let statement = self.statement(request)?;
        let crypto = self.backend.crypto();
        let root = self.ca.certificate().to_vec();
        let links = self.links(statement.timestamp)?;
        let leaf = links.last().ok_or(NsmError::Internal)?;
        let below_root = links.iter().map(|link| link.certificate.clone());
        let certificates: Vec<_> = std::iter::once(root).chain(below_root).collect();
        let payload = statement.to_payload(&certificates).to_cbor();
        document::sign1(payload, &leaf.key, crypto).map_err(|_| NsmError::Internal)
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), NsmError> {
        self.random.fill_bytes(out);
        Ok(())
    }

    fn describe_pcr(&mut self, index: u16) -> Result<PcrState, NsmError> {
        self.register(index).cloned()
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Vec<u8>, NsmError> {
        let crypto = self.backend.crypto();
        let register = self.unlocked_register(index)?;
        register.value = crypto.sha384(&[&register.value, data]).to_vec();
        Ok(register.value.clone())
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), NsmError> {
        self.unlocked_register(index)?.locked = true;
        Ok(())
    }

    fn lock_pcrs(&mut self, end: u16) -> Result<(), NsmError> {
        let range = self.registers.get_mut(..usize::from(end));
        for register in range.ok_or(NsmError::InvalidIndex)? {
            register.locked = true;
        }
        Ok(())
    }
}

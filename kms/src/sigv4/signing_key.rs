//! The keys signatures are made with.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Service, TERMINATOR};
use crate::name::Region;

/// The secret half of an access key. Wiped when dropped, never shown.
///
/// It remembers the signing keys that good signatures were made with last: a client uses one for
/// a day, and to derive it takes longer than to use it.
pub struct SecretAccessKey {
    secret: Zeroizing<String>,
    derived: RwLock<VecDeque<(Scope, SigningKey)>>,
}

/// How many signing keys are remembered: of two days about midnight, in two regions or services.
const REMEMBERED: usize = 4;

/// What a signing key is good for.
struct Scope {
    date: Box<str>,
    region: Region,
    service: Service,
}

impl Scope {
    fn is(&self, date: &str, region: &str, service: Service) -> bool {
        *self.date == *date && self.region.as_str() == region && self.service == service
    }
}

impl SecretAccessKey {
    /// Takes the secret as the client has it.
    pub fn new(secret: String) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            derived: RwLock::default(),
        }
    }

    /// The secret itself, to sign with or to seal into a record.
    pub fn expose(&self) -> &str {
        &self.secret
    }

    /// The signing key for a scope and its region, if a good signature was made with it lately.
    pub(super) fn remembered(
        &self,
        date: &str,
        region: &str,
        service: Service,
    ) -> Option<(SigningKey, Region)> {
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        let mut derived = derived.iter();
        let found = derived.find(|(scope, _)| scope.is(date, region, service));
        found.map(|(scope, key)| (key.clone(), scope.region.clone()))
    }

    /// Remembers the signing key for a scope, in the place of the oldest.
    pub(super) fn remember(&self, date: &str, region: &Region, service: Service, key: SigningKey) {
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        let known = |(scope, _): &(Scope, _)| scope.is(date, region.as_str(), service);
        if derived.iter().any(known) {
            return;
        }
        let scope = Scope {
            date: date.into(),
            region: region.clone(),
            service,
        };
        derived.truncate(REMEMBERED - 1);
        derived.push_front((scope, key));
    }
}

impl Clone for SecretAccessKey {
    /// The same secret, with nothing remembered.
    fn clone(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            derived: RwLock::default(),
        }
    }
}

/// The key that signs an access key's requests of one day to one service in one region, as HMAC
/// keeps it. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives the signing key of an access key for a day (`YYYYMMDD`), a region and a service.
    pub fn derive(secret: &SecretAccessKey, date: &str, region: &str, service: Service) -> Self {
        Self::derive_for(secret, date, region, service.name())
    }

    /// Derives the signing key for any service.
    pub(super) fn derive_for(
        secret: &SecretAccessKey,
        date: &str,
        region: &str,
        service: &str,
    ) -> Self {
        let secret = Zeroizing::new(["AWS4", secret.expose()].concat());
        let parts = [date, region, service, TERMINATOR];
        parts
            .iter()
            .fold(Self::new(secret.as_bytes()), |key, part| {
                Self::new(key.sign(&[part]).as_slice())
            })
    }

    fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The signature of a string to sign, which comes in parts.
    pub(super) fn sign(&self, parts: &[&str]) -> Zeroizing<[u8; 32]> {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part.as_bytes()));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

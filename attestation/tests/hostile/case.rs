//! A document with one change, and what must come of it.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attestation::nsm::forge::{Forge, LEAF, Message, PROTECTED_ES384, Payload};
use attestation::nsm::{AttestationRequest, Identity, SimulatedCa, SimulatedNsm};
use attestation::{
    Backend, CertificateError, ChainPosition, DocumentError, RootKind, Timestamp, TrustRoot,
    Verifier, VerifyError, VerifyOptions,
};

use crate::testing::SeededRandom;

/// When the enclave started and its certificates were made: 2026-11-22T12:00:00Z.
pub(crate) const BOOT: Timestamp = Timestamp::from_secs(1_795_348_800);
/// The time in every document, and the verifier's unless a case says otherwise: twenty minutes
/// later, so that there is room on both sides within the leaf's validity.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_348_800 + 20 * 60);

pub(crate) const MODULE_ID: &str = "i-0123456789abcdef0-enc019abb0ad2c00123";

/// What all cases share: a CA and an enclave under it.
pub(crate) struct World {
    nsm: Mutex<SimulatedNsm>,
    root: TrustRoot,
}

impl World {
    pub(crate) fn new() -> Self {
        let ca = SimulatedCa::generate(&mut SeededRandom::new(1), BOOT).unwrap();
        let root = ca.root();
        let clock = Arc::new(AtomicU64::new(BOOT.as_millis()));
        let reading = Arc::clone(&clock);
        let identity = Identity::new(&mut SeededRandom::new(2), BOOT).with_module_id(MODULE_ID);
        let mut nsm = SimulatedNsm::new(
            ca,
            identity,
            Box::new(move || Timestamp::from_millis(reading.load(Ordering::Relaxed))),
            Box::new(SeededRandom::new(3)),
        );
        nsm.forge(AttestationRequest::default()).unwrap();
        clock.store(NOW.as_millis(), Ordering::Relaxed);
        let nsm = Mutex::new(nsm);
        Self { nsm, root }
    }

    fn forge(&self) -> Forge {
        let request = AttestationRequest {
            public_key: Some(&[1; 294]),
            user_data: Some(b"user data"),
            nonce: Some(b"nonce"),
        };
        self.nsm.lock().unwrap().forge(request).unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) verdict: Result<(), VerifyError>,
    change: Change,
    now: Timestamp,
    trust_forged_root: bool,
    accept_debug: bool,
}

type Edit<T> = Rc<dyn Fn(&mut T)>;
type EditCertificates = Rc<dyn Fn(&mut Vec<Vec<u8>>, &Forge)>;

/// At which stage of its making the document is changed. What comes later is made accordingly.
#[derive(Clone)]
enum Change {
    /// The certificates before they are signed.
    Chain(Edit<Forge>),
    /// The signed certificates, root first, leaf last, before they are put into the payload.
    Certificates(EditCertificates),
    /// The payload before it is signed.
    Payload(Edit<Payload>),
    /// Its bytes, before they are signed.
    PayloadBytes(Edit<Vec<u8>>),
    /// The protected header, which the signature covers.
    Header(Vec<u8>),
    /// The signed message.
    Message(Edit<Message>),
    /// Its bytes.
    Document(Edit<Vec<u8>>),
}

impl Case {
    fn new(name: impl Into<String>, verdict: Result<(), VerifyError>, change: Change) -> Self {
        Self {
            name: name.into(),
            verdict,
            change,
            now: NOW,
            trust_forged_root: false,
            accept_debug: false,
        }
    }

    /// Verified that much later than the document was made.
    pub(crate) fn later(self, by: Duration) -> Self {
        let now = NOW + by;
        Self { now, ..self }
    }

    /// Verified that much earlier than the document was made.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        let now = NOW - by;
        Self { now, ..self }
    }

    /// Verified under the root that the document has, if the forge changed it.
    pub(crate) fn under_forged_root(self) -> Self {
        let trust_forged_root = true;
        Self {
            trust_forged_root,
            ..self
        }
    }

    /// Verified by one who accepts documents of debug mode.
    pub(crate) fn accepting_debug_mode(self) -> Self {
        let accept_debug = true;
        Self {
            accept_debug,
            ..self
        }
    }

    pub(crate) fn document(&self, world: &World) -> Vec<u8> {
        let mut forge = world.forge();
        if let Change::Chain(change) = &self.change {
            change(&mut forge);
        }
        let mut certificates = forge.certificates().unwrap();
        if let Change::Certificates(change) = &self.change {
            change(&mut certificates, &forge);
        }
        let mut payload = forge.payload(&certificates);
        if let Change::Payload(change) = &self.change {
            change(&mut payload);
        }
        let mut payload = payload.to_cbor();
        if let Change::PayloadBytes(change) = &self.change {
            change(&mut payload);
        }
        let header = match &self.change {
            Change::Header(header) => header,
            _ => PROTECTED_ES384,
        };
        let mut message = forge.sign_with_header(header, payload).unwrap();
        if let Change::Message(change) = &self.change {
            change(&mut message);
        }
        let mut document = message.to_cbor();
        if let Change::Document(change) = &self.change {
            change(&mut document);
        }
        document
    }

    pub(crate) fn verify(
        &self,
        world: &World,
        document: &[u8],
        backend: Backend,
    ) -> Result<(), VerifyError> {
        let mut root = world.root.clone();
        if let (true, Change::Chain(change)) = (self.trust_forged_root, &self.change) {
            let mut forge = world.forge();
            change(&mut forge);
            // Signed anew, the root has other bytes, so it is taken from the document.
            let parsed = attestation::AttestationDocument::parse(document).unwrap();
            root = TrustRoot::from_der(parsed.cabundle()[0], RootKind::Simulated).unwrap();
        }
        let options = VerifyOptions {
            accept_debug: self.accept_debug,
            ..VerifyOptions::default()
        };
        let verifier = Verifier::new(vec![root], options).with_backend(backend);
        verifier.verify(document, self.now).map(drop)
    }
}

pub(crate) fn chain(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Forge) + 'static,
) -> Case {
    Case::new(name, verdict, Change::Chain(Rc::new(change)))
}

pub(crate) fn certificates(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Vec<Vec<u8>>, &Forge) + 'static,
) -> Case {
    Case::new(name, verdict, Change::Certificates(Rc::new(change)))
}

pub(crate) fn payload(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Payload) + 'static,
) -> Case {
    Case::new(name, verdict, Change::Payload(Rc::new(change)))
}

pub(crate) fn payload_bytes(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Vec<u8>) + 'static,
) -> Case {
    Case::new(name, verdict, Change::PayloadBytes(Rc::new(change)))
}

pub(crate) fn header(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    protected: &[u8],
) -> Case {
    Case::new(name, verdict, Change::Header(protected.to_vec()))
}

pub(crate) fn message(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Message) + 'static,
) -> Case {
    Case::new(name, verdict, Change::Message(Rc::new(change)))
}

pub(crate) fn document(
    name: impl Into<String>,
    verdict: Result<(), VerifyError>,
    change: impl Fn(&mut Vec<u8>) + 'static,
) -> Case {
    Case::new(name, verdict, Change::Document(Rc::new(change)))
}

/// The verdict on a document of the wrong form.
pub(crate) fn form(error: DocumentError) -> Result<(), VerifyError> {
    Err(error.into())
}

/// The verdict on a certificate.
pub(crate) fn at(index: usize, error: CertificateError) -> Result<(), VerifyError> {
    let position = match index {
        LEAF => ChainPosition::Leaf,
        index => ChainPosition::Authority(index),
    };
    Err(VerifyError::Certificate(position, error))
}

//! What is measured.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use attestation::Verifier;
use kms::audit::Event;
use kms::name::Region;
use kms::permit::{Asking, Conditions, action, authorize};
use kms::protocol::{OperationName, request};
use kms::record::{EdgeSecret, RootKey};
use kms::sigv4::{self, Authorization, SecretAccessKey, Service};
use kms::state::{Batch, Change, State};

use crate::documents::Documents;
use crate::floor::Cryptography;
use crate::server::{Client, REGION, START, as_call};
use crate::store::Store;
use crate::world::{CheapRandom, LARGE, Request, World};

/// A call that is ready to be made: what it needs was made before, and is not measured.
pub(crate) type Prepared = Box<dyn FnOnce()>;

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What it has to compute at least.
    pub(crate) cryptography: Cryptography,
    calls: Box<dyn FnMut() -> Prepared>,
}

impl Case {
    /// The next call.
    pub(crate) fn prepare(&mut self) -> Prepared {
        (self.calls)()
    }
}

/// Bytes of the bodies of a small request, and of one with a document in it.
const BODY: usize = 160;
const ATTESTED_BODY: usize = 6500;

/// Records of the store that is opened.
const RECORDS: usize = 64;

/// All of them. The engine's whole work comes first, and then what it is made of.
pub(crate) fn all() -> Vec<Case> {
    let world = Rc::new(World::new());
    let small = Cryptography {
        signed: Some(BODY),
        sealed: Some(32),
        ..Cryptography::default()
    };
    let large = Cryptography {
        signed: Some(LARGE * 4 / 3 + BODY),
        sealed: Some(LARGE),
        ..Cryptography::default()
    };
    let signature = Cryptography {
        signed: Some(BODY),
        ..Cryptography::default()
    };
    let data_key = world.generate_data_key();
    let step = |name, cryptography, request: Request| {
        let world = Rc::clone(&world);
        let calls = Box::new(move || world.step(Rc::clone(&request)));
        Case {
            name,
            cryptography,
            calls,
        }
    };
    let by = |user, input| world.request_as(user, "GenerateDataKey", input);
    let mut cases = vec![
        step("generate-data-key", small, by("alice", &data_key)),
        step("generate-data-key-by-grant", small, by("bob", &data_key)),
        step(
            "decrypt",
            small,
            world.request("Decrypt", &world.decrypt(false)),
        ),
        step(
            "decrypt-4k",
            large,
            world.request("Decrypt", &world.decrypt(true)),
        ),
        step(
            "encrypt",
            small,
            world.request("Encrypt", &world.encrypt(32)),
        ),
        step(
            "describe-key",
            signature,
            world.request("DescribeKey", &serde_json::json!({ "KeyId": world.key_id })),
        ),
    ];
    cases.extend(attested(&world));
    cases.extend(parts(&world));
    cases.extend(records());
    cases
}

/// A document's place among those that were seen before.
type Make = fn(&mut Documents) -> Vec<u8>;

/// The calls with a document, in each state of what a verifier may remember.
fn attested(world: &Rc<World>) -> [Case; 4] {
    let case = |name, verifications, make: Make| {
        let world = Rc::clone(world);
        let calls = Box::new(move || {
            let document = make(&mut world.documents.borrow_mut());
            let input = world.attested(&document);
            world.step(world.request("GenerateDataKey", &input))
        });
        let cryptography = Cryptography {
            signed: Some(ATTESTED_BODY),
            sealed: Some(32),
            verifications,
            to_recipient: true,
        };
        Case {
            name,
            cryptography,
            calls,
        }
    };
    let same = world.documents.borrow_mut().under_the_same_leaf();
    let input = world.attested(&same);
    let request = world.request("GenerateDataKey", &input);
    let mut same_document = case("attested-same-document", 0, |_| Vec::new());
    let this = Rc::clone(world);
    same_document.calls = Box::new(move || this.step(Rc::clone(&request)));
    [
        same_document,
        case("attested-leaf-known", 1, Documents::under_the_same_leaf),
        case("attested-authorities-known", 2, Documents::under_a_new_leaf),
        case("attested-cold", 5, Documents::under_a_new_chain),
    ]
}

/// What a call is made of.
fn parts(world: &Rc<World>) -> Vec<Case> {
    let data_key = world.generate_data_key();
    let request = world.request("GenerateDataKey", &data_key);
    let document = world.documents.borrow_mut().under_the_same_leaf();
    let attested = world.request("GenerateDataKey", &world.attested(&document));
    let none = Cryptography::default();

    let signed = Rc::clone(&request);
    let verify = move || -> Prepared {
        let request = Rc::clone(&signed);
        let secret = SecretAccessKey::new(Client::of("alice").secret);
        Box::new(move || {
            let call = as_call(&request);
            let authorization = Authorization::parse(&call).unwrap();
            let secret = Some(&secret);
            let verified = sigv4::verify(&call, &authorization, Service::Kms, secret, START);
            drop(black_box(verified.unwrap()));
        })
    };

    let parse = |request: Request| {
        move || -> Prepared {
            let request = Rc::clone(&request);
            Box::new(move || {
                let parsed = request::parse(OperationName::GenerateDataKey, request.body());
                drop(black_box(parsed.unwrap_or_else(|_| panic!("refused"))));
            })
        }
    };

    let decided = |user| {
        let (world, request) = (Rc::clone(world), Rc::clone(&request));
        move || -> Prepared {
            let (world, request) = (Rc::clone(&world), Rc::clone(&request));
            let (principal, key) = (world.principal(user), world.key());
            let region: Region = REGION.parse().unwrap();
            Box::new(move || {
                let asking = Asking {
                    principal: &principal,
                    region: &region,
                    call: &as_call(&request),
                    now: START,
                    state: &world.server.state,
                };
                let conditions = Conditions::default();
                let permit = authorize(asking, action::GenerateDataKey, key, &conditions);
                drop(black_box(permit));
            })
        }
    };

    let line = |request: &Request| {
        let (world, request) = (Rc::clone(world), Rc::clone(request));
        // As where events wait to be delivered: there is room, which none of them has to get.
        let lines = Rc::new(RefCell::new(Vec::with_capacity(Event::MAX_LINE_BYTES)));
        move || -> Prepared {
            let (event, lines) = (world.answer(&request).event, Rc::clone(&lines));
            Box::new(move || {
                let mut line = lines.borrow_mut();
                line.clear();
                event.write_json_line(&mut line);
                black_box(line.as_slice());
            })
        }
    };

    let (root, bytes) = (world.documents.borrow().root(), document.clone());
    let envelope = move || -> Prepared {
        let verifier = Verifier::new(vec![root.clone()], attestation::VerifyOptions::default());
        let verified = verifier.verify(&bytes, START).unwrap();
        let key = verified.recipient_key().cloned().unwrap();
        Box::new(move || drop(black_box(key.seal(&[7; 32], &mut CheapRandom(1)).unwrap())))
    };

    let signature = Cryptography {
        signed: Some(BODY),
        ..none
    };
    let to_recipient = Cryptography {
        to_recipient: true,
        ..none
    };
    vec![
        part("verify-signature", signature, verify),
        part("parse-request", none, parse(Rc::clone(&request))),
        part("parse-attested-request", none, parse(Rc::clone(&attested))),
        part("decide-full-access", none, decided("alice")),
        part("decide-by-policies", none, decided("bob")),
        part("audit-line", none, line(&request)),
        part("audit-line-attested", none, line(&attested)),
        part("envelope", to_recipient, envelope),
    ]
}

/// Writing to a store, and reading all of it.
fn records() -> [Case; 2] {
    let root_key = RootKey::generate(&mut CheapRandom(1));
    let (state, genesis) = State::genesis(&root_key, &mut CheapRandom(2), START);
    let mut store = Store::default();
    assert!(store.commit(&genesis));
    let secrets = (0..RECORDS).map(|number| {
        let name = format!("secret-{number}");
        Change::PutEdgeSecret(EdgeSecret::new(&name, &[7; 200]))
    });
    let mut batch = Batch::new(state);
    batch.push(secrets.collect());
    let (state, transaction) = batch.seal(&mut CheapRandom(3));
    assert!(store.commit(&transaction));

    let seal = move || -> Prepared {
        let mut batch = Batch::new(state.clone());
        let secret = EdgeSecret::new("secret-1", &[8; 200]);
        batch.push(vec![Change::PutEdgeSecret(secret)]);
        Box::new(move || drop(black_box(batch.seal(&mut CheapRandom(4)))))
    };
    let shared = Arc::new((store, root_key));
    let open = move || -> Prepared {
        let shared = Arc::clone(&shared);
        Box::new(move || {
            let (store, root_key) = &*shared;
            drop(black_box(store.open(root_key).unwrap()));
        })
    };
    [
        part("seal-one-record", Cryptography::default(), seal),
        part("open-64-records", Cryptography::default(), open),
    ]
}

fn part(
    name: &'static str,
    cryptography: Cryptography,
    calls: impl FnMut() -> Prepared + 'static,
) -> Case {
    Case {
        name,
        cryptography,
        calls: Box::new(calls),
    }
}

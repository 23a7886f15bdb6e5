//! An attestation document from a client.

use std::sync::LazyLock;

use attestation::{AttestationDocument, Backend, TrustRoot, Verifier, VerifyOptions};

/// Documents of the corpus that AWS has signed: nobody can make another.
const GENUINE: [&[u8]; 3] = [
    include_bytes!("../corpus/document/definite-map"),
    include_bytes!("../corpus/document/indefinite-map"),
    include_bytes!("../corpus/document/largest-fields"),
];

/// One verifier for each backend, kept so that certificates are remembered as in a server.
static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let options = VerifyOptions {
        accept_debug: true,
        ..VerifyOptions::default()
    };
    let verifier =
        |backend: &Backend| Verifier::new(vec![TrustRoot::aws()], options).with_backend(*backend);
    Backend::ALL.iter().map(verifier).collect()
});

/// A document, verified at the time it claims.
///
/// All backends agree, and what is accepted says only what AWS has signed.
pub fn document(data: &[u8]) {
    let Ok(document) = AttestationDocument::parse(data) else {
        return;
    };
    let verdicts: Vec<_> = VERIFIERS
        .iter()
        .map(|verifier| verifier.verify(data, document.timestamp()))
        .collect();
    let (first, others) = verdicts.split_first().expect("a backend");
    for other in others {
        match (first, other) {
            (Ok(one), Ok(another)) => assert_eq!(one.signed_sha384(), another.signed_sha384()),
            (Err(one), Err(another)) => assert_eq!(one, another),
            (one, another) => panic!("{one:?} but {another:?}"),
        }
    }
    if first.is_ok() {
        let says_the_same = |genuine: &&[u8]| {
            AttestationDocument::parse(genuine).is_ok_and(|it| it.payload() == document.payload())
        };
        assert!(GENUINE.iter().any(says_the_same), "a forgery");
    }
}

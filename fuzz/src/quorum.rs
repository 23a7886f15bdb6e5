//! What a host keeps of a quorum, and what operators and enclaves send.

use std::sync::LazyLock;

use ::quorum::{Approval, Handover, Manifest, Plan, Quorum, Share, VerifiedQuorum};
use kms::state::RootKey;

use crate::edit::{Counter, edited};

const RELEASE: &[u8] = include_bytes!("../../quorum/tests/vectors/release/release.json");
const SIGNATURES: [&str; 3] = [
    include_str!("../../quorum/tests/vectors/release/ada.sig"),
    include_str!("../../quorum/tests/vectors/release/grace.sig"),
    include_str!("../../quorum/tests/vectors/release/mary.sig"),
];

/// Operators whose keys the corpus' signatures are of.
const PLAN: &str = include_str!("../corpus/quorum/plan");

/// The quorum of that plan, and the root key.
static GENUINE: LazyLock<(RootKey, VerifiedQuorum)> = LazyLock::new(|| {
    let random = &mut Counter(1);
    let root_key = RootKey::generate(random);
    let plan = Plan::from_json(PLAN.as_bytes()).expect("a plan");
    let (quorum, _) = Quorum::establish(&plan, &root_key, random).expect("keys to encrypt to");
    let verified = quorum.verify(&root_key).expect("its own record");
    (root_key, verified)
});

/// The input as each of the texts, and as edits of a genuine record, manifest and signature.
pub fn quorum(data: &[u8]) {
    let (root_key, genuine) = &*GENUINE;
    let record = edited(genuine.quorum().as_bytes(), data);
    if let Ok(read) = Quorum::from_bytes(&record) {
        assert!(read.as_bytes() == record, "two records of one quorum");
        let is_genuine = record == genuine.quorum().as_bytes();
        assert_eq!(read.verify(root_key).is_ok(), is_genuine);
    }
    let _ = Quorum::from_bytes(data);

    let manifest = edited(RELEASE, data);
    if manifest != RELEASE {
        // Whatever it says now, nobody has signed it.
        assert!(genuine.authorize(&manifest, &SIGNATURES).is_err());
    }
    let _ = Manifest::from_json(&manifest);
    for signature in SIGNATURES {
        let edited = edited(signature.as_bytes(), data);
        if let Ok(edited) = std::str::from_utf8(&edited) {
            // Another form of a good signature is one still; alone it never suffices.
            assert!(genuine.authorize(RELEASE, &[edited]).is_err());
        }
    }

    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = genuine.authorize(RELEASE, &[text]);
    let _ = Approval::from_text(text);
    let _ = Plan::from_json(data);
    if let Ok(share) = Share::from_text(text) {
        assert!(*share.to_text() == text.trim(), "two texts of one share");
    }
    if let Ok(handover) = Handover::from_text(text, b"key") {
        assert!(
            *handover.to_text(b"key") == text,
            "two texts of one hand-over"
        );
    }
}

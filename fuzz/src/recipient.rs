//! A CiphertextForRecipient that a client opens.

use std::sync::LazyLock;

use attestation::RecipientPrivateKey;

use crate::edit::edited;

/// An envelope that AWS KMS sent, and the key it was sent to (see the fixtures' index).
const ENVELOPE: &[u8] =
    include_bytes!("../../attestation/tests/fixtures/cms/enclaver_hello_world.ber");
const KEY: &[u8] =
    include_bytes!("../../attestation/tests/fixtures/cms/enclaver_hello_world.key.pkcs8.der");

static PRIVATE_KEY: LazyLock<RecipientPrivateKey> =
    LazyLock::new(|| RecipientPrivateKey::from_pkcs8(KEY).expect("a key of the fixtures"));

/// An envelope as it is, and the same bytes as edits of a genuine one.
///
/// It opens or it does not; the format has no authentication that could tell a change.
pub fn cms(data: &[u8]) {
    let _ = PRIVATE_KEY.open(data);
    let edited = edited(ENVELOPE, data);
    let opened = PRIVATE_KEY.open(&edited);
    if edited == ENVELOPE {
        assert_eq!(
            opened.expect("a genuine envelope").as_slice(),
            b"Hello, World"
        );
    }
}

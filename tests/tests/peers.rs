//! The tests that other emulators of AWS KMS have for themselves, against `claviger dev`. What does not
//! pass is listed in `tests/peers` with the reason.

use claviger_tests::suite;

#[test]
fn the_tests_of_moto() {
    suite::peer("moto");
}

#[test]
fn the_tests_of_ministack() {
    suite::peer("ministack");
}

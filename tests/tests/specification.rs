//! `SPECIFICATION.md` ties each promise to tests; this holds that they exist.

use std::fs;
use std::path::Path;

#[test]
fn every_test_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("SPECIFICATION.md")).unwrap();
    let mut named = 0;
    for reference in text.split('`').filter(|text| text.contains("::")) {
        let (file, test) = reference.split_once("::").unwrap();
        let code = fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("{reference}: {error}"));
        let defined = ["fn ", "def "]
            .iter()
            .any(|keyword| code.contains(&format!("{keyword}{test}(")));
        assert!(defined, "{reference}: no such test");
        named += 1;
    }
    assert!(named > 40, "only {named} tests are named");
}

#[test]
fn every_promise_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("SPECIFICATION.md")).unwrap();
    let promises = text.lines().filter(|line| {
        line.strip_prefix("| ")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    for promise in promises {
        assert!(promise.contains("::"), "{promise}");
    }
}

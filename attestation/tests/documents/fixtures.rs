//! Real documents, and what is known about them.

use std::fs;
use std::path::PathBuf;

use attestation::Timestamp;
use serde_json::Value;

/// A document of `tests/fixtures/nitro/index.json`.
pub(crate) struct Fixture {
    /// The folder: `aws`, `aws_bad`, `custom_root` or `nitrotpm`.
    pub(crate) class: String,
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) timestamp: Timestamp,
    /// When the whole chain is valid, both ends included.
    pub(crate) valid: (Timestamp, Timestamp),
    /// Its entry in the index.
    pub(crate) facts: Value,
}

impl Fixture {
    pub(crate) fn is_debug(&self) -> bool {
        self.facts["debug_mode"] == true
    }
}

pub(crate) fn all() -> Vec<Fixture> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nitro");
    let index = fs::read(folder.join("index.json")).expect("the index is there");
    let index: Vec<Value> = serde_json::from_slice(&index).expect("the index is JSON");
    index
        .into_iter()
        .map(|facts| {
            let file = facts["file"].as_str().expect("a name").to_owned();
            let seconds = |key: &str| seconds(facts[key].as_str().expect("a time"));
            Fixture {
                class: file.split('/').next().expect("a folder").to_owned(),
                bytes: fs::read(folder.join(&file)).expect("the document is there"),
                timestamp: Timestamp::from_millis(facts["timestamp_ms"].as_u64().expect("a time")),
                valid: (seconds("valid_from"), seconds("valid_to")),
                file,
                facts,
            }
        })
        .collect()
}

pub(crate) fn of_class(class: &str) -> Vec<Fixture> {
    let fixtures: Vec<_> = all().into_iter().filter(|it| it.class == class).collect();
    assert!(!fixtures.is_empty(), "no fixture in {class}");
    fixtures
}

/// One current document of an enclave that is not in debug mode, with all optional fields.
pub(crate) fn current() -> Fixture {
    of_class("aws")
        .into_iter()
        .find(|it| it.file.contains("2025-10-15_reclaim"))
        .expect("the document is there")
}

/// `2021-03-05T17:01:49+00:00`, with or without fractions of a second, which are dropped.
fn seconds(text: &str) -> Timestamp {
    let number = |range| text.get(range).and_then(|it: &str| it.parse().ok());
    let date = der::DateTime::new(
        number(0..4).expect("a year"),
        number(5..7).expect("a month") as u8,
        number(8..10).expect("a day") as u8,
        number(11..13).expect("an hour") as u8,
        number(14..16).expect("a minute") as u8,
        number(17..19).expect("a second") as u8,
    );
    Timestamp::from_secs(date.expect("a date").unix_duration().as_secs())
}

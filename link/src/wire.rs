//! Pins how every message is encoded: `tests/wire.golden` has one line per
//! message, its name and its bytes. A line there never changes; it is what a
//! peer of an older release says and understands.

use std::fmt::Debug;

use minicbor::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::channel::{Hello, Welcome};
use crate::{
    Channel, Commit, EventReply, HostEvent, MAX_LINES, MAX_RECORDS, Metric, Numbered, PublicFile,
    Record, RecordId, Sample, StoreReply, StoreRequest,
};

const GOLDEN: &str = include_str!("../tests/wire.golden");

struct Golden {
    lines: Vec<(&'static str, &'static str)>,
    checked: usize,
    differing: Vec<String>,
}

impl Golden {
    fn read() -> Self {
        let lines = GOLDEN
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once(' ').unwrap())
            .collect();
        Self {
            lines,
            checked: 0,
            differing: Vec::new(),
        }
    }

    fn check<M>(&mut self, name: &str, message: M)
    where
        M: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug,
    {
        let encoded = hex::encode(minicbor::to_vec(&message).unwrap());
        if !self.lines.contains(&(name, encoded.as_str())) {
            self.differing.push(format!("{name} {encoded}"));
        }
        let bytes = hex::decode(encoded).unwrap();
        assert_eq!(minicbor::decode::<M>(&bytes).unwrap(), message);
        self.checked += 1;
    }
}

fn id(bytes: &[u8]) -> RecordId {
    RecordId::new(bytes).unwrap()
}

fn numbered<T>(body: T) -> Numbered<T> {
    Numbered { number: 7, body }
}

#[test]
fn every_message_is_encoded_as_it_always_was() {
    let mut golden = Golden::read();
    let hello = |channel: Channel| Hello {
        protocol: "claviger-link".to_owned(),
        version: 1,
        channel: channel.code(),
    };
    golden.check("hello-store", hello(Channel::Store));
    golden.check("hello-events", hello(Channel::Events));
    golden.check("welcome-accepted", Welcome::Accepted);
    let what = "why".to_owned();
    golden.check("welcome-refused", Welcome::Refused { what: what.clone() });

    golden.check("store-head", numbered(StoreRequest::Head));
    let ids = vec![id(&[1]), id(&[0xff; 64])];
    golden.check(
        "store-get",
        numbered(StoreRequest::Get { ids: ids.clone() }),
    );
    golden.check(
        "store-scan-first",
        numbered(StoreRequest::Scan {
            after: None,
            limit: 1000,
        }),
    );
    golden.check(
        "store-scan-next",
        numbered(StoreRequest::Scan {
            after: Some(id(&[1, 2])),
            limit: 1,
        }),
    );
    let record = Record {
        id: id(&[1, 2]),
        bytes: vec![0xab; 3],
    };
    let first = Commit {
        expected_head: None,
        puts: vec![],
        deletes: vec![],
        head: vec![9],
    };
    golden.check("store-commit-first", numbered(StoreRequest::Commit(first)));
    let commit = Commit {
        expected_head: Some([0x11; 32]),
        puts: vec![record.clone()],
        deletes: ids,
        head: vec![9, 9],
    };
    golden.check("store-commit", numbered(StoreRequest::Commit(commit)));

    golden.check("store-no-head", numbered(StoreReply::Head { head: None }));
    let head = Some(vec![9]);
    golden.check(
        "store-the-head",
        numbered(StoreReply::Head { head: head.clone() }),
    );
    golden.check(
        "store-records",
        numbered(StoreReply::Records {
            records: vec![record],
            more: true,
        }),
    );
    golden.check("store-committed", numbered(StoreReply::Committed));
    golden.check("store-conflict", numbered(StoreReply::Conflict { head }));
    golden.check(
        "store-failed",
        numbered(StoreReply::Failed { what: what.clone() }),
    );

    let lines = ["{}", "{\"a\":1}"].into_iter().collect();
    golden.check("event-audit", numbered(HostEvent::Audit { lines }));
    let samples = vec![Sample::new(Metric::Calls, 5), Sample::new(Metric::Keys, 2)];
    golden.check("event-metrics", numbered(HostEvent::Metrics { samples }));
    golden.check(
        "event-publish",
        numbered(HostEvent::Publish {
            file: PublicFile::CaCertificate,
            bytes: b"PEM".to_vec(),
        }),
    );
    golden.check("event-done", numbered(EventReply::Done));
    golden.check(
        "event-delayed",
        numbered(EventReply::Delayed { what: what.clone() }),
    );
    golden.check("event-refused", numbered(EventReply::Refused { what }));

    assert!(
        golden.differing.is_empty(),
        "now encoded otherwise, or new:\n{}",
        golden.differing.join("\n")
    );
    assert_eq!(
        golden.checked,
        golden.lines.len(),
        "a line that nothing checks"
    );
}

#[test]
fn the_codes_of_the_metrics_are_pinned() {
    let codes: Vec<u16> = Metric::ALL.iter().map(|metric| metric.code()).collect();
    assert_eq!(codes, (0..22).collect::<Vec<u16>>());
    assert_eq!(Metric::Calls.code(), 3);
    assert_eq!(Metric::Sequence.code(), 17);
    assert_eq!(Metric::KeyPairsNotReady.code(), 21);
}

/// A list with more elements than allowed, each of one byte.
fn long_list(length: usize, element: u8) -> Vec<u8> {
    let mut bytes = vec![0x9a];
    bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    bytes.resize(bytes.len() + length, element);
    bytes
}

#[test]
fn lists_are_bounded_by_number() {
    // Audit: variant 0 with its one field, a list of empty texts.
    for (length, good) in [(MAX_LINES, true), (MAX_LINES + 1, false)] {
        let bytes = [vec![0x82, 0x00, 0x81], long_list(length, 0x60)].concat();
        let decoded = minicbor::decode::<HostEvent>(&bytes);
        assert_eq!(decoded.is_ok(), good, "{decoded:?}");
    }
    // Get: variant 1, a list of ids of one byte each.
    let ids = vec![id(&[5]); MAX_RECORDS + 1];
    let over = minicbor::to_vec(StoreRequest::Get { ids }).unwrap();
    let decoded = minicbor::decode::<StoreRequest>(&over);
    assert!(decoded.is_err());
    assert!(decoded.unwrap_err().to_string().contains("too many"));
}

#[test]
fn a_record_id_has_1_to_64_bytes() {
    assert!(RecordId::new(&[]).is_err());
    assert!(RecordId::new(&[0; 64]).is_ok());
    assert!(RecordId::new(&[0; 65]).is_err());
    assert!(minicbor::decode::<RecordId>(&[0x40]).is_err());
    let long = minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0; 65])).unwrap();
    assert!(minicbor::decode::<RecordId>(&long).is_err());
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = minicbor::decode::<Hello>(&bytes);
        let _ = minicbor::decode::<Welcome>(&bytes);
        let _ = minicbor::decode::<Numbered<StoreRequest>>(&bytes);
        let _ = minicbor::decode::<Numbered<StoreReply>>(&bytes);
        let _ = minicbor::decode::<Numbered<HostEvent>>(&bytes);
        let _ = minicbor::decode::<Numbered<EventReply>>(&bytes);
    }

    #[test]
    fn a_flipped_byte_in_a_commit_never_panics(
        position in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let line = Golden::read().lines.iter().find(|(name, _)| *name == "store-commit").unwrap().1;
        let mut bytes = hex::decode(line).unwrap();
        let position = position.index(bytes.len());
        bytes[position] = value;
        let _ = minicbor::decode::<Numbered<StoreRequest>>(&bytes);
    }

    #[test]
    fn commits_of_any_content_survive_the_wire(
        expected_head in any::<Option<[u8; 32]>>(),
        puts in vec((vec(any::<u8>(), 1..=64), vec(any::<u8>(), 0..100)), 0..10),
        deletes in vec(vec(any::<u8>(), 1..=64), 0..10),
        head in vec(any::<u8>(), 0..100),
        number in any::<u64>(),
    ) {
        let commit = Commit {
            expected_head,
            puts: puts.into_iter().map(|(name, bytes)| Record { id: id(&name), bytes }).collect(),
            deletes: deletes.iter().map(|name| id(name)).collect(),
            head,
        };
        let message = Numbered { number, body: StoreRequest::Commit(commit) };
        let bytes = minicbor::to_vec(&message).unwrap();
        prop_assert_eq!(minicbor::decode::<Numbered<StoreRequest>>(&bytes).unwrap(), message);
    }
}

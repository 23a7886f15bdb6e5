//! The signed payload as a map: its form, its keys, and fields that are not known.

use attestation::nsm::forge::cbor::{self, Major};
use attestation::{DocumentError as E, Field};

use crate::case::{Case, form, payload, payload_bytes};
use crate::fields::{FLOAT, indefinite_bytes, set};

pub(crate) fn cases() -> Vec<Case> {
    [the_map(), keys(), unknown_fields()].concat()
}

fn the_map() -> Vec<Case> {
    vec![
        payload_bytes("a payload of one byte", form(E::Truncated), |p| {
            p.truncate(1)
        }),
        payload_bytes("a payload cut in the middle", form(E::Truncated), |p| {
            p.truncate(2000)
        }),
        payload_bytes("a payload of zeros", form(E::PayloadNotMap), |p| p.fill(0)),
        payload_bytes("a payload of breaks", form(E::Malformed), |p| p.fill(0xff)),
        payload_bytes("a payload of reserved heads", form(E::Malformed), |p| {
            p.fill(0x1c)
        }),
        payload_bytes(
            "the payload in a string of its own",
            form(E::PayloadNotMap),
            |p| {
                *p = cbor::bytes(p);
            },
        ),
        payload_bytes("the payload twice", form(E::PayloadTrailingBytes(5)), |p| {
            p.extend(b"\xa1\x61x\x61y");
        }),
        payload(
            "a byte after the map",
            form(E::PayloadTrailingBytes(1)),
            |p| p.closing.push(0),
        ),
        payload("a second break", form(E::PayloadTrailingBytes(1)), |p| {
            p.closing.push(0xff)
        }),
        payload("no break", form(E::Truncated), |p| p.closing.clear()),
        payload("an array of pairs", form(E::PayloadNotMap), |p| {
            p.opening = vec![cbor::INDEFINITE_ARRAY];
        }),
        payload("a tagged map", form(E::Tag(37)), |p| {
            p.opening = vec![0xd8, 37, cbor::INDEFINITE_MAP];
        }),
        payload("a map that says one pair more", form(E::Truncated), |p| {
            p.opening = cbor::map(10, []);
            p.closing.clear();
        }),
        payload(
            "a map that says one pair less",
            form(E::PayloadTrailingBytes(12)),
            |p| {
                p.opening = cbor::map(8, []);
                p.closing.clear();
            },
        ),
        payload(
            "a definite map with a break",
            form(E::PayloadTrailingBytes(1)),
            |p| {
                p.opening = cbor::map(9, []);
            },
        ),
        payload(
            "a map that claims 2^64 - 1 pairs",
            form(E::Truncated),
            |p| {
                p.opening = cbor::head(Major::Map, u64::MAX);
                p.closing.clear();
            },
        ),
        payload("a key without a value", form(E::Malformed), |p| {
            p.closing = [cbor::text("key"), vec![cbor::BREAK]].concat();
        }),
        payload(
            "an empty map",
            form(E::MissingField(Field::ModuleId)),
            |p| p.entries.clear(),
        ),
    ]
}

fn keys() -> Vec<Case> {
    let repeated = |key: &'static str, field| {
        payload(
            format!("{key} twice"),
            form(E::DuplicateField(field)),
            move |p| {
                let value = p.value(key).unwrap().to_vec();
                p.entries.push((cbor::text(key), value));
            },
        )
    };
    let added = |name: &str, verdict, key: &[u8]| {
        let entry = (key.to_vec(), vec![0]);
        payload(name, form(verdict), move |p| p.entries.push(entry.clone()))
    };
    vec![
        repeated("module_id", Field::ModuleId),
        repeated("digest", Field::Digest),
        repeated("timestamp", Field::Timestamp),
        repeated("pcrs", Field::Pcrs),
        repeated("certificate", Field::Certificate),
        repeated("cabundle", Field::Cabundle),
        repeated("public_key", Field::PublicKey),
        repeated("user_data", Field::UserData),
        repeated("nonce", Field::Nonce),
        payload(
            "public_key twice, first null",
            form(E::DuplicateField(Field::PublicKey)),
            |p| {
                let entry = (cbor::text("public_key"), vec![cbor::NULL]);
                p.entries.insert(0, entry);
            },
        ),
        payload(
            "a second nonce under a longer head",
            form(E::DuplicateField(Field::Nonce)),
            |p| {
                p.entries
                    .push((b"\x78\x05nonce".to_vec(), cbor::bytes(b"other")));
            },
        ),
        payload("an unknown key twice", form(E::DuplicateUnknownKey), |p| {
            for value in [0, 1] {
                p.entries.push((cbor::text("new"), vec![value]));
            }
        }),
        added("a number as key", E::KeyNotText, &[0x01]),
        added("a negative number as key", E::KeyNotText, &[0x20]),
        added("null as key", E::KeyNotText, &[cbor::NULL]),
        added("a byte string as key", E::KeyNotText, b"\x45nonce"),
        added("an array as key", E::KeyNotText, &[0x80]),
        added("a number of the wrong kind as key", E::Float, &FLOAT),
        added("a tagged key", E::Tag(6), b"\xc6\x63key"),
        added("a key in pieces", E::IndefiniteString, b"\x7f\x65nonce\xff"),
        added("a key that is not UTF-8", E::InvalidUtf8, b"\x62\xc3\x28"),
        added(
            "a key that claims 2^62 bytes",
            E::Truncated,
            b"\x7b\x40\0\0\0\0\0\0\0",
        ),
    ]
}

fn unknown_fields() -> Vec<Case> {
    let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
    set(
        "future",
        vec![
            ("nested five deep", nested(4), E::TooDeep),
            ("nested ten thousand deep", nested(9000), E::TooDeep),
            (
                "nested deep in indefinite arrays",
                vec![cbor::INDEFINITE_ARRAY; 9000],
                E::TooDeep,
            ),
            ("nested deep in maps", b"\xa1\x00".repeat(4500), E::TooDeep),
            ("a float", FLOAT.to_vec(), E::Float),
            ("a float within", cbor::array(1, [FLOAT.to_vec()]), E::Float),
            ("tagged", b"\xc0\x61x".to_vec(), E::Tag(0)),
            ("tagged within", b"\xa1\x61k\xc0\x61x".to_vec(), E::Tag(0)),
            ("in pieces", indefinite_bytes(b"data"), E::IndefiniteString),
            (
                "text that is not UTF-8",
                b"\x61\xff".to_vec(),
                E::InvalidUtf8,
            ),
            (
                "an array that claims 2^64 - 1",
                cbor::head(Major::Array, u64::MAX),
                E::Malformed,
            ),
            ("a reserved head", vec![0x1d], E::Malformed),
            (
                "a simple value in two bytes that fits one",
                vec![0xf8, 0x14],
                E::Malformed,
            ),
        ],
    )
}

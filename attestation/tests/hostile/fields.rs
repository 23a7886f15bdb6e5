//! The nine fields of the payload, each with its rules.

use attestation::nsm::forge::cbor::{self, Major};
use attestation::nsm::forge::{LEAF, Payload, REGIONAL};
use attestation::{CertificateError, DocumentError as E, Field, PcrError, VerifyError};

use crate::case::{Case, at, certificates, form, payload};

pub(crate) fn cases() -> Vec<Case> {
    [
        required_fields(),
        names_and_times(),
        pcrs(),
        certificate_fields(),
        optional_fields(),
    ]
    .concat()
}

/// Sets one field to each value in turn.
pub(crate) fn set(field: &'static str, values: Vec<(&'static str, Vec<u8>, E)>) -> Vec<Case> {
    let case = |(what, value, error): (&str, Vec<u8>, E)| {
        payload(format!("{field}: {what}"), form(error), move |p| {
            p.set(field, value.clone());
        })
    };
    values.into_iter().map(case).collect()
}

pub(crate) fn indefinite_bytes(contents: &[u8]) -> Vec<u8> {
    [
        &[cbor::INDEFINITE_BYTES],
        cbor::bytes(contents).as_slice(),
        &[cbor::BREAK],
    ]
    .concat()
}

/// 1.5 as a half-precision number.
pub(crate) const FLOAT: [u8; 3] = [0xf9, 0x3e, 0x00];
const TRUE: u8 = 0xf5;
const UNDEFINED: u8 = 0xf7;

fn required_fields() -> Vec<Case> {
    let fields = [
        ("module_id", Field::ModuleId),
        ("digest", Field::Digest),
        ("timestamp", Field::Timestamp),
        ("pcrs", Field::Pcrs),
        ("certificate", Field::Certificate),
        ("cabundle", Field::Cabundle),
    ];
    let absent = fields.map(|(key, field)| {
        payload(
            format!("no {key}"),
            form(E::MissingField(field)),
            move |p| p.remove(key),
        )
    });
    let null = fields.map(|(key, field)| {
        payload(
            format!("{key}: null"),
            form(E::FieldType(field)),
            move |p| {
                p.set(key, vec![cbor::NULL]);
            },
        )
    });
    [absent, null].concat()
}

fn names_and_times() -> Vec<Case> {
    let text = |text: &str| cbor::text(text);
    let module_id = Field::ModuleId;
    let timestamp = Field::Timestamp;
    [
        set(
            "module_id",
            vec![
                ("empty", text(""), E::FieldLength(module_id, 0)),
                ("bytes", cbor::bytes(b"i-1-enc2"), E::FieldType(module_id)),
                ("a number", vec![5], E::FieldType(module_id)),
                ("not UTF-8", b"\x62\xff\xff".to_vec(), E::InvalidUtf8),
                (
                    "in pieces",
                    b"\x7f\x63i-1\x65-enc2\xff".to_vec(),
                    E::IndefiniteString,
                ),
                (
                    "of a TPM",
                    text("i-0123456789abcdef0-tpm0000000000000000"),
                    E::NitroTpm,
                ),
            ],
        ),
        set(
            "digest",
            vec![
                ("SHA256", text("SHA256"), E::Digest),
                ("SHA512", text("SHA512"), E::Digest),
                ("in lower case", text("sha384"), E::Digest),
                ("with a zero after it", text("SHA384\0"), E::Digest),
                ("empty", text(""), E::Digest),
                ("bytes", cbor::bytes(b"SHA384"), E::FieldType(Field::Digest)),
                (
                    "a COSE algorithm",
                    vec![0x38, 0x2a],
                    E::FieldType(Field::Digest),
                ),
            ],
        ),
        set(
            "timestamp",
            vec![
                ("zero", cbor::unsigned(0), E::ZeroTimestamp),
                (
                    "zero in eight bytes",
                    cbor::unsigned_in_eight_bytes(0),
                    E::ZeroTimestamp,
                ),
                (
                    "negative",
                    cbor::head(Major::Negative, 5),
                    E::FieldType(timestamp),
                ),
                ("a float", FLOAT.to_vec(), E::Float),
                ("a double", [&[0xfb][..], &[0x42; 8]].concat(), E::Float),
                (
                    "text",
                    text("2026-11-22T12:00:00Z"),
                    E::FieldType(timestamp),
                ),
                (
                    "tagged as a date",
                    [vec![0xc1], cbor::unsigned(9)].concat(),
                    E::Tag(1),
                ),
                ("a bignum", b"\xc2\x41\x09".to_vec(), E::Tag(2)),
                ("bytes", cbor::bytes(&[1; 8]), E::FieldType(timestamp)),
            ],
        ),
    ]
    .concat()
}

/// The registers of a payload, each with its key. Every one takes 51 bytes.
pub(crate) fn registers(payload: &Payload) -> Vec<Vec<u8>> {
    let map = payload.value("pcrs").unwrap();
    let registers: Vec<_> = map[1..].chunks(1 + 2 + 48).map(<[u8]>::to_vec).collect();
    assert_eq!(registers.len(), 16);
    registers
}

pub(crate) fn set_registers(payload: &mut Payload, registers: &[Vec<u8>]) {
    payload.set(
        "pcrs",
        cbor::map(registers.len(), registers.iter().cloned()),
    );
}

fn pcrs() -> Vec<Case> {
    let register = |key: Vec<u8>, value: Vec<u8>| [key, value].concat();
    // With one more or changed register among the true ones.
    let with = |name: &str, error, change: fn(&mut Vec<Vec<u8>>)| {
        payload(format!("pcrs: {name}"), form(error), move |p| {
            let mut registers = registers(p);
            change(&mut registers);
            set_registers(p, &registers);
        })
    };
    let with_value = |name: &str, error, value: Vec<u8>| {
        payload(format!("pcrs: {name}"), form(error), move |p| {
            let mut registers = registers(p);
            registers[7] = register(vec![7], value.clone());
            set_registers(p, &registers);
        })
    };
    let with_key = |name: &str, error, key: Vec<u8>| {
        payload(format!("pcrs: {name}"), form(error), move |p| {
            let mut registers = registers(p);
            registers.push(register(key.clone(), cbor::bytes(&[1; 48])));
            set_registers(p, &registers);
        })
    };
    let field_type = E::FieldType(Field::Pcrs);
    let mut cases = vec![
        with("PCR0 twice", E::DuplicatePcr(0), |r| r.push(r[0].clone())),
        with("PCR0 twice, with another value", E::DuplicatePcr(0), |r| {
            r.push([vec![0], cbor::bytes(&[9; 48])].concat());
        }),
        with("PCR15 twice, side by side", E::DuplicatePcr(15), |r| {
            r.push(r[15].clone())
        }),
        with("PCR0 again in a longer form", E::DuplicatePcr(0), |r| {
            r.push([vec![0x18, 0], cbor::bytes(&[9; 48])].concat());
        }),
        with("33 of them", E::Pcr(PcrError::Index(32)), |r| {
            r.extend((16..33).map(|i| [cbor::unsigned(i), cbor::bytes(&[1; 48])].concat()));
        }),
        with_key("PCR32", E::Pcr(PcrError::Index(32)), cbor::unsigned(32)),
        with_key("PCR255", E::Pcr(PcrError::Index(255)), cbor::unsigned(255)),
        with_key(
            "PCR256, which is 0 in a byte",
            E::Pcr(PcrError::Index(256)),
            cbor::unsigned(256),
        ),
        with_key(
            "PCR2^32, which is 0 in four",
            E::Pcr(PcrError::Index(1 << 32)),
            cbor::unsigned(1 << 32),
        ),
        with_key(
            "the last PCR there is",
            E::Pcr(PcrError::Index(u64::MAX)),
            cbor::unsigned(u64::MAX),
        ),
        with_key("PCR-1", field_type, vec![0x20]),
        with_key("a text as index", field_type, cbor::text("16")),
        with_key("bytes as index", field_type, cbor::bytes(&[16])),
        with_key("a float as index", E::Float, FLOAT.to_vec()),
        with_key("null as index", field_type, vec![cbor::NULL]),
        with_value("a null value", field_type, vec![cbor::NULL]),
        with_value(
            "a value in hexadecimal",
            field_type,
            cbor::text(&"0".repeat(96)),
        ),
        with_value("a number as value", field_type, vec![0]),
        with_value(
            "a value in pieces",
            E::IndefiniteString,
            indefinite_bytes(&[0; 48]),
        ),
        with_value(
            "a tagged value",
            E::Tag(24),
            [&[0xd8, 24], &cbor::bytes(&[0; 48])[..]].concat(),
        ),
        with_value(
            "a value that claims 2^40 bytes",
            E::Truncated,
            cbor::head(Major::Bytes, 1 << 40),
        ),
    ];
    for length in [0, 1, 20, 31, 33, 47, 49, 63, 65, 96] {
        let error = E::Pcr(PcrError::Length(length));
        let name = format!("a value of {length} bytes");
        cases.push(with_value(&name, error, cbor::bytes(&vec![0; length])));
    }
    let whole = set(
        "pcrs",
        vec![
            ("none", cbor::map(0, []), E::FieldLength(Field::Pcrs, 0)),
            (
                "none, indefinite",
                vec![0xbf, 0xff],
                E::FieldLength(Field::Pcrs, 0),
            ),
            (
                "an array",
                cbor::array(1, [cbor::bytes(&[1; 48])]),
                field_type,
            ),
            ("bytes", cbor::bytes(&[1; 48]), field_type),
            (
                "a map that claims 2^64 - 1 entries",
                cbor::head(Major::Map, u64::MAX),
                field_type,
            ),
            (
                "a map that claims 2^64 - 1 entries and breaks",
                { [cbor::head(Major::Map, u64::MAX), vec![cbor::BREAK]].concat() },
                E::Malformed,
            ),
        ],
    );
    cases.extend(whole);
    cases.push(payload(
        "the registers of a TPM instead",
        form(E::NitroTpm),
        |p| {
            let registers = p.value("pcrs").unwrap().to_vec();
            p.remove("pcrs");
            p.set("nitrotpm_pcrs", registers);
        },
    ));
    cases.push(payload(
        "the registers of a TPM too",
        form(E::NitroTpm),
        |p| {
            let registers = p.value("pcrs").unwrap().to_vec();
            p.set("nitrotpm_pcrs", registers);
        },
    ));
    cases
}

fn certificate_fields() -> Vec<Case> {
    let certificate = Field::Certificate;
    let cabundle = Field::Cabundle;
    let one_bundled = |name: &str, error, item: Vec<u8>| {
        payload(format!("cabundle: {name}"), form(error), move |p| {
            let bundle = p.value("cabundle").unwrap();
            let items = bundle[1..].to_vec();
            p.set(
                "cabundle",
                [cbor::array(5, []), items, item.clone()].concat(),
            );
        })
    };
    let mut cases = set(
        "certificate",
        vec![
            ("empty", cbor::bytes(&[]), E::FieldLength(certificate, 0)),
            (
                "1025 bytes",
                cbor::bytes(&[0x30; 1025]),
                E::FieldLength(certificate, 1025),
            ),
            (
                "text",
                cbor::text("-----BEGIN CERTIFICATE-----"),
                E::FieldType(certificate),
            ),
            (
                "an array",
                cbor::array(1, [cbor::bytes(&[1])]),
                E::FieldType(certificate),
            ),
            (
                "in pieces",
                indefinite_bytes(&[1; 600]),
                E::IndefiniteString,
            ),
        ],
    );
    cases.extend(set(
        "cabundle",
        vec![
            ("none", cbor::array(0, []), E::FieldLength(cabundle, 0)),
            ("bytes", cbor::bytes(&[1; 600]), E::FieldType(cabundle)),
            (
                "a map",
                cbor::map(1, [vec![0], cbor::bytes(&[1])]),
                E::FieldType(cabundle),
            ),
            (
                "an array that claims 2^64 - 1",
                cbor::head(Major::Array, u64::MAX),
                E::FieldType(cabundle),
            ),
        ],
    ));
    cases.extend([
        one_bundled(
            "an empty one",
            E::FieldLength(cabundle, 0),
            cbor::bytes(&[]),
        ),
        one_bundled(
            "one of 1025 bytes",
            E::FieldLength(cabundle, 1025),
            cbor::bytes(&[0x30; 1025]),
        ),
        one_bundled("one null", E::FieldType(cabundle), vec![cbor::NULL]),
        one_bundled(
            "one text",
            E::FieldType(cabundle),
            cbor::text("certificate"),
        ),
        one_bundled(
            "an array",
            E::FieldType(cabundle),
            cbor::array(1, [cbor::bytes(&[1])]),
        ),
        one_bundled(
            "one in pieces",
            E::IndefiniteString,
            indefinite_bytes(&[1; 600]),
        ),
        certificates(
            "a leaf of garbage",
            at(LEAF, CertificateError::Malformed("certificate")),
            |bundle, _| {
                bundle[LEAF] = vec![0x55; 600];
            },
        ),
        certificates(
            "an authority of garbage",
            at(REGIONAL, CertificateError::Malformed("certificate")),
            |bundle, _| bundle[REGIONAL] = vec![0x55; 600],
        ),
        certificates(
            "only the root",
            Err(VerifyError::ChainLength(1)),
            |bundle, _| {
                bundle.drain(REGIONAL..LEAF);
            },
        ),
        certificates(
            "nine authorities",
            Err(VerifyError::ChainLength(9)),
            |bundle, _| {
                let regional = bundle[REGIONAL].clone();
                bundle.splice(REGIONAL..REGIONAL, vec![regional; 5]);
            },
        ),
        certificates(
            "a bundle of crumbs",
            Err(VerifyError::ChainLength(3000)),
            |bundle, _| {
                let leaf = bundle.pop().unwrap();
                *bundle = vec![vec![0x30]; 3000];
                bundle.push(leaf);
            },
        ),
    ]);
    cases
}

fn optional_fields() -> Vec<Case> {
    let mut cases = set(
        "public_key",
        vec![(
            "empty",
            cbor::bytes(&[]),
            E::FieldLength(Field::PublicKey, 0),
        )],
    );
    for (key, field) in [
        ("public_key", Field::PublicKey),
        ("user_data", Field::UserData),
        ("nonce", Field::Nonce),
    ] {
        cases.extend(set(
            key,
            vec![
                (
                    "1025 bytes",
                    cbor::bytes(&[1; 1025]),
                    E::FieldLength(field, 1025),
                ),
                ("text", cbor::text("text"), E::FieldType(field)),
                ("a number", cbor::unsigned(7), E::FieldType(field)),
                ("undefined", vec![UNDEFINED], E::FieldType(field)),
                ("true", vec![TRUE], E::FieldType(field)),
                ("an array", cbor::array(0, []), E::FieldType(field)),
                ("in pieces", indefinite_bytes(b"data"), E::IndefiniteString),
                ("tagged", b"\xd8\x40\x41\x07".to_vec(), E::Tag(64)),
            ],
        ));
    }
    cases.extend(set(
        "nonce",
        vec![(
            "claiming 2^63 bytes",
            cbor::head(Major::Bytes, 1 << 63),
            E::Truncated,
        )],
    ));
    cases
}

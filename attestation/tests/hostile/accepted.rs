//! Documents that look strange and are right.

use attestation::nsm::forge::cbor::{self, Major};
use attestation::nsm::forge::{Extension, INSTANCE, LEAF, REGIONAL, ROOT, ZONAL, time};

use crate::case::{Case, NOW, certificates, chain, message, payload};
use crate::certificates::{AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS};
use crate::chains::{issue_another, lift_limits};
use crate::encodings::with_signature;
use crate::fields::{registers, set_registers};
use crate::testing::SeededRandom;

pub(crate) fn cases() -> Vec<Case> {
    [messages(), payloads(), chains()].concat()
}

/// The order of the group of P-384 (SEC 2 section 2.5.1).
const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The other valid s of the same signature: the order minus s.
fn mirrored(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = std::iter::zip(ORDER, s)
        .rev()
        .map(|(n, s)| {
            let difference = i16::from(n) - i16::from(*s) - borrow;
            borrow = i16::from(difference < 0);
            difference.rem_euclid(256) as u8
        })
        .collect();
    out.reverse();
    out
}

/// INTEGER from 48 bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
    [&[0x02, (sign.len() + bytes.len()) as u8], sign, bytes].concat()
}

/// 48 bytes from an INTEGER, and what follows it.
fn magnitude(der: &[u8]) -> (Vec<u8>, &[u8]) {
    let (bytes, rest) = der[2..].split_at(usize::from(der[1]));
    let mut padded = vec![0; 64];
    padded.extend(bytes);
    (padded.split_off(padded.len() - 48), rest)
}

fn messages() -> Vec<Case> {
    let longer = |name: &str, change: fn(&mut attestation::nsm::forge::Message)| {
        message(name, Ok(()), change)
    };
    vec![
        payload("a document as it is", Ok(()), |_| {}),
        longer("tag 18", |m| m.opening.insert(0, 0xd2)),
        longer("tag 18 in two bytes", |m| {
            m.opening.splice(0..0, [0xd8, 18]);
        }),
        longer("the other s of the document's signature", |m| {
            let s = mirrored(&m.signature[50..]);
            m.signature.splice(50.., s);
        }),
        longer("the array's length in two bytes", |m| {
            m.opening = vec![0x98, 4]
        }),
        longer("the payload's length in five bytes", |m| {
            let length = u32::try_from(m.payload.len() - 3).unwrap();
            m.payload.splice(..1, [0x5a, 0, 0]);
            assert_eq!(m.payload[1..5], length.to_be_bytes());
        }),
        longer("an unprotected map of indefinite length", |m| {
            m.unprotected = vec![0xbf, 0xff]
        }),
    ]
}

fn payloads() -> Vec<Case> {
    let set = |name: &str, key: &'static str, value: Vec<u8>| {
        payload(name, Ok(()), move |p| p.set(key, value.clone()))
    };
    let mut cases = vec![
        payload("a definite map, as before 2025", Ok(()), |p| {
            p.opening = cbor::map(9, []);
            p.closing.clear();
        }),
        payload("the fields in another order", Ok(()), |p| {
            p.entries.reverse()
        }),
        payload("a cabundle of indefinite length", Ok(()), |p| {
            let items = p.value("cabundle").unwrap()[1..].to_vec();
            p.set(
                "cabundle",
                [&[cbor::INDEFINITE_ARRAY], &items[..], &[cbor::BREAK]].concat(),
            );
        }),
        payload("registers in a map of indefinite length", Ok(()), |p| {
            let items = registers(p).concat();
            p.set(
                "pcrs",
                [&[cbor::INDEFINITE_MAP], &items[..], &[cbor::BREAK]].concat(),
            );
        }),
        payload("registers in another order", Ok(()), |p| {
            let mut registers = registers(p);
            registers.reverse();
            set_registers(p, &registers);
        }),
        payload("PCR16 and PCR31", Ok(()), |p| {
            let mut registers = registers(p);
            for index in [16, 31] {
                registers.push([cbor::unsigned(index), cbor::bytes(&[5; 48])].concat());
            }
            set_registers(p, &registers);
        }),
        payload("registers of SHA-256", Ok(()), |p| {
            let registers: Vec<_> = (0..16)
                .map(|index| [cbor::unsigned(index), cbor::bytes(&[5; 32])].concat())
                .collect();
            set_registers(p, &registers);
        }),
        payload("registers of SHA-512", Ok(()), |p| {
            let registers: Vec<_> = (0..16)
                .map(|index| [cbor::unsigned(index), cbor::bytes(&[5; 64])].concat())
                .collect();
            set_registers(p, &registers);
        }),
        payload("PCR0 alone", Ok(()), |p| {
            let registers = registers(p);
            set_registers(p, &registers[..1]);
        }),
        payload("no optional field, by null", Ok(()), |p| {
            for key in ["public_key", "user_data", "nonce"] {
                p.set(key, vec![cbor::NULL]);
            }
        }),
        payload("no optional field, by absence", Ok(()), |p| {
            for key in ["public_key", "user_data", "nonce"] {
                p.remove(key);
            }
        }),
        payload("user_data and nonce empty", Ok(()), |p| {
            for key in ["user_data", "nonce"] {
                p.set(key, cbor::bytes(&[]));
            }
        }),
        payload("optional fields of 1024 bytes", Ok(()), |p| {
            for key in ["public_key", "user_data", "nonce"] {
                p.set(key, cbor::bytes(&[0xee; 1024]));
            }
        }),
        payload("a timestamp in the shortest form", Ok(()), |p| {
            p.set("timestamp", cbor::unsigned(NOW.as_millis()));
        }),
    ];
    cases.extend([
        set(
            "an unknown field: a number",
            "future",
            cbor::unsigned(u64::MAX),
        ),
        set(
            "an unknown field: a negative number",
            "future",
            cbor::head(Major::Negative, u64::MAX),
        ),
        set("an unknown field: bytes", "future", cbor::bytes(&[9; 2000])),
        set("an unknown field: a simple value", "future", vec![0xf8, 99]),
        set(
            "an unknown field: nested as deep as allowed",
            "future",
            vec![0x81, 0x81, 0x81, 0],
        ),
        set(
            "an unknown field: a map",
            "future",
            b"\xbf\x01\x80\x42ab\xf7\xff".to_vec(),
        ),
    ]);
    cases
}

fn chains() -> Vec<Case> {
    vec![
        certificates(
            "the other s of every certificate's signature",
            Ok(()),
            |bundle, _| {
                for certificate in &mut bundle[REGIONAL..] {
                    *certificate = with_signature(certificate, |der| {
                        let (r, rest) = magnitude(&der[2..]);
                        let (s, _) = magnitude(rest);
                        let integers = [integer(&r), integer(&mirrored(&s))].concat();
                        [&[0x30, integers.len() as u8], integers.as_slice()].concat()
                    });
                }
            },
        ),
        chain(
            "an unknown extension that is not critical",
            Ok(()),
            |forge| {
                for certificate in &mut forge.chain[REGIONAL..] {
                    let extension = Extension::new(&[0x2a, 0x03, 0x04], false, vec![0x05, 0x00]);
                    certificate.edit().extensions.push(extension);
                }
            },
        ),
        chain(
            "an instance without key identifiers, as before 2024",
            Ok(()),
            |forge| {
                forge.chain[INSTANCE].edit().extensions.truncate(2);
            },
        ),
        chain("a leaf without basicConstraints", Ok(()), |forge| {
            forge.chain[LEAF]
                .edit()
                .extensions
                .retain(|e| e.id != BASIC_CONSTRAINTS);
        }),
        chain("certificates that end this second", Ok(()), |forge| {
            for certificate in &mut forge.chain[REGIONAL..] {
                certificate.edit().not_after = time(NOW);
            }
        }),
        chain("certificates that begin this second", Ok(()), |forge| {
            for certificate in &mut forge.chain[REGIONAL..] {
                certificate.edit().not_before = time(NOW);
            }
        }),
        chain("a root made anew, and trusted", Ok(()), |forge| {
            forge.rekey(ROOT, &mut SeededRandom::new(9)).unwrap();
        })
        .under_forged_root(),
        chain("a chain of two authorities", Ok(()), |forge| {
            forge.chain.drain(REGIONAL..=ZONAL);
            let issuer = forge.chain[ROOT].template().subject.clone();
            let template = forge.chain[1].edit();
            template.issuer = issuer;
            template
                .extensions
                .retain(|e| e.id != AUTHORITY_KEY_IDENTIFIER);
        }),
        chain("a chain of eight authorities", Ok(()), |forge| {
            lift_limits(forge, &[REGIONAL, ZONAL]);
            for index in REGIONAL..REGIONAL + 4 {
                issue_another(forge, index);
            }
        }),
    ]
}

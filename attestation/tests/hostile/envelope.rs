//! The COSE_Sign1 message around the payload.

use attestation::nsm::forge::cbor::{self, Major};
use attestation::{AttestationDocument, DocumentError as E, VerifyError};

use crate::case::{Case, document, form, header, message};

pub(crate) fn cases() -> Vec<Case> {
    [
        sizes(),
        structure(),
        headers(),
        payload_items(),
        signatures(),
    ]
    .concat()
}

fn sizes() -> Vec<Case> {
    vec![
        document("nothing", form(E::Length(0)), Vec::clear),
        document("one byte", form(E::Truncated), |bytes| bytes.truncate(1)),
        document("half of it", form(E::Truncated), |bytes| {
            bytes.truncate(bytes.len() / 2);
        }),
        document("all but the last byte", form(E::Truncated), |bytes| {
            bytes.pop();
        }),
        document(
            "a byte more than allowed",
            form(E::Length(16_385)),
            |bytes| {
                bytes.resize(AttestationDocument::MAX_LEN + 1, 0);
            },
        ),
        document("a megabyte", form(E::Length(1 << 20)), |bytes| {
            bytes.resize(1 << 20, 0)
        }),
        message("a byte after it", form(E::TrailingBytes(1)), |m| {
            m.closing.push(0)
        }),
        message("a null after it", form(E::TrailingBytes(1)), |m| {
            m.closing.push(cbor::NULL)
        }),
    ]
}

fn structure() -> Vec<Case> {
    let tag = |number| cbor::head(Major::Tag, number);
    let tagged = |name: &str, tags: &[u64], refused| {
        let tags: Vec<u8> = tags.iter().flat_map(|number| tag(*number)).collect();
        message(name, form(E::Tag(refused)), move |m| {
            m.opening = [tags.as_slice(), &m.opening].concat();
        })
    };
    vec![
        tagged("tag 16, COSE_Encrypt0", &[16], 16),
        tagged("tag 17, COSE_Mac0", &[17], 17),
        tagged("tag 98, COSE_Sign", &[98], 98),
        tagged("tag 61, CWT", &[61], 61),
        tagged("tag 61 before tag 18", &[61, 18], 61),
        tagged("tag 18 twice", &[18, 18], 18),
        tagged("tag 55799, self-described CBOR", &[55_799], 55_799),
        message("an array of three", form(E::NotCoseSign1), |m| {
            m.opening = cbor::array(3, []);
            m.signature.clear();
        }),
        message("an array of five", form(E::NotCoseSign1), |m| {
            m.opening = cbor::array(5, []);
            m.closing = vec![cbor::NULL];
        }),
        message(
            "an array of four that says five",
            form(E::NotCoseSign1),
            |m| {
                m.opening = cbor::array(5, []);
            },
        ),
        message(
            "an array of indefinite length",
            form(E::NotCoseSign1),
            |m| {
                m.opening = vec![cbor::INDEFINITE_ARRAY];
                m.closing = vec![cbor::BREAK];
            },
        ),
        message("a map", form(E::NotCoseSign1), |m| {
            m.opening = cbor::map(2, [])
        }),
        document("wrapped in a byte string", form(E::NotCoseSign1), |bytes| {
            *bytes = cbor::bytes(bytes);
        }),
        document("in hexadecimal", form(E::NotCoseSign1), |bytes| {
            *bytes = bytes
                .iter()
                .flat_map(|b| format!("{b:02x}").into_bytes())
                .collect();
        }),
        document(
            "an array that claims 2^64 - 1 items",
            form(E::NotCoseSign1),
            |bytes| {
                *bytes = cbor::head(Major::Array, u64::MAX);
            },
        ),
        document(
            "arrays within arrays to the limit of size",
            form(E::NotCoseSign1),
            |bytes| {
                *bytes = vec![0x81; AttestationDocument::MAX_LEN];
            },
        ),
        document(
            "arrays of four within arrays of four",
            form(E::ProtectedHeader),
            |bytes| {
                *bytes = vec![0x84; AttestationDocument::MAX_LEN];
            },
        ),
        document("only tags", form(E::Tag(18)), |bytes| {
            *bytes = vec![0xd2; AttestationDocument::MAX_LEN];
        }),
    ]
}

fn headers() -> Vec<Case> {
    let protected = form(E::ProtectedHeader);
    let unprotected = form(E::UnprotectedHeader);
    vec![
        header("alg ES256", protected, &[0xa1, 0x01, 0x26]),
        header("alg ES512", protected, &[0xa1, 0x01, 0x38, 0x23]),
        header("alg EdDSA", protected, &[0xa1, 0x01, 0x27]),
        header("alg HMAC", protected, &[0xa1, 0x01, 0x05]),
        header("alg -1, as QEMU has it", protected, &[0xa1, 0x01, 0x20]),
        header("alg as text", protected, b"\xa1\x01\x65ES384"),
        header(
            "alg in a longer form",
            protected,
            &[0xa1, 0x01, 0x39, 0x00, 0x22],
        ),
        header(
            "alg twice",
            protected,
            &[0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22],
        ),
        header(
            "alg and a key id",
            protected,
            &[0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x00],
        ),
        header(
            "alg and crit",
            protected,
            &[0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x04],
        ),
        header(
            "a map of indefinite length",
            protected,
            &[0xbf, 0x01, 0x38, 0x22, 0xff],
        ),
        header("an empty protected map", protected, &[0xa0]),
        header("nothing protected", protected, &[]),
        message("the protected map without its string", protected, |m| {
            m.protected = vec![0xa1, 0x01, 0x38, 0x22];
        }),
        message("the protected map in a text string", protected, |m| {
            m.protected = b"\x64\xa1\x01\x38\x22".to_vec();
        }),
        message("no protected header", protected, |m| {
            m.protected = vec![cbor::NULL]
        }),
        message(
            "a protected header in pieces",
            form(E::IndefiniteString),
            |m| {
                m.protected = b"\x5f\x42\xa1\x01\x42\x38\x22\xff".to_vec();
            },
        ),
        message("alg moved to the unprotected header", protected, |m| {
            m.protected = cbor::bytes(&[]);
            m.unprotected = vec![0xa1, 0x01, 0x38, 0x22];
        }),
        message("alg in both headers", unprotected, |m| {
            m.unprotected = vec![0xa1, 0x01, 0x38, 0x22];
        }),
        message("ES256 in the unprotected header", unprotected, |m| {
            m.unprotected = vec![0xa1, 0x01, 0x26];
        }),
        message(
            "a certificate in the unprotected header",
            unprotected,
            |m| {
                m.unprotected = [&[0xa1, 0x18, 33][..], &cbor::bytes(&[7; 600])].concat();
            },
        ),
        message("null as unprotected header", unprotected, |m| {
            m.unprotected = vec![cbor::NULL];
        }),
        message("an array as unprotected header", unprotected, |m| {
            m.unprotected = vec![0x80];
        }),
        message(
            "an unprotected header that claims 2^32 entries",
            unprotected,
            |m| {
                m.unprotected = cbor::head(Major::Map, 1 << 32);
            },
        ),
    ]
}

fn payload_items() -> Vec<Case> {
    vec![
        message("a detached payload", form(E::NoPayload), |m| {
            m.payload = vec![cbor::NULL]
        }),
        message("an empty payload", form(E::NoPayload), |m| {
            m.payload = cbor::bytes(&[])
        }),
        message("a payload without its string", form(E::NoPayload), |m| {
            m.payload.drain(..3);
        }),
        message("a payload in a text string", form(E::NoPayload), |m| {
            m.payload[0] |= 0x20
        }),
        message("a payload in pieces", form(E::IndefiniteString), |m| {
            m.payload = [
                &[cbor::INDEFINITE_BYTES],
                m.payload.as_slice(),
                &[cbor::BREAK],
            ]
            .concat();
        }),
        message(
            "a payload that claims 2^32 bytes",
            form(E::Truncated),
            |m| {
                m.payload.splice(..3, cbor::head(Major::Bytes, 1 << 32));
            },
        ),
        message(
            "a payload that claims 2^64 - 1 bytes",
            form(E::Truncated),
            |m| {
                m.payload.splice(..3, cbor::head(Major::Bytes, u64::MAX));
            },
        ),
        message(
            "a payload changed after signing",
            Err(VerifyError::Signature),
            |m| {
                let at = m
                    .payload
                    .windows(5)
                    .position(|bytes| bytes == b"nonce")
                    .unwrap();
                let value = &mut m.payload[at + 7];
                *value ^= 1;
            },
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let signature = Err(VerifyError::Signature);
    let resized = |name: &str, length: usize| {
        message(name, form(E::SignatureLength(length)), move |m| {
            let mut raw = m.signature[2..].to_vec();
            raw.resize(length, 0);
            m.signature = cbor::bytes(&raw);
        })
    };
    let replaced = |name: &str, raw: [u8; 96]| {
        message(name, signature, move |m| m.signature = cbor::bytes(&raw))
    };
    let half = |r: u8, s: u8| {
        let mut raw = [0; 96];
        (raw[47], raw[95]) = (r, s);
        raw
    };
    vec![
        resized("no signature bytes", 0),
        resized("a signature of 64 bytes", 64),
        resized("a signature of 95 bytes", 95),
        resized("a signature of 97 bytes", 97),
        resized("a signature of 132 bytes", 132),
        message("a signature in DER", form(E::SignatureLength(104)), |m| {
            let raw = &m.signature[2..];
            let integer = |half: &[u8]| [&[0x02, 0x31, 0x00], half].concat();
            let integers = [integer(&raw[..48]), integer(&raw[48..])].concat();
            m.signature = cbor::bytes(&[&[0x30, 0x66], integers.as_slice()].concat());
        }),
        message("null as signature", form(E::NoSignature), |m| {
            m.signature = vec![cbor::NULL]
        }),
        message("a signature in a text string", form(E::NoSignature), |m| {
            m.signature[0] |= 0x20
        }),
        message("a signature in pieces", form(E::IndefiniteString), |m| {
            m.signature = [
                &[cbor::INDEFINITE_BYTES],
                m.signature.as_slice(),
                &[cbor::BREAK],
            ]
            .concat();
        }),
        message("a signature tagged as a bignum", form(E::Tag(2)), |m| {
            m.signature.insert(0, 0xc2);
        }),
        message("one bit of r", signature, |m| m.signature[2 + 20] ^= 1),
        message("one bit of s", signature, |m| m.signature[2 + 70] ^= 1),
        message("r and s exchanged", signature, |m| {
            m.signature[2..].rotate_left(48)
        }),
        replaced("r and s zero", [0; 96]),
        replaced("r zero", half(0, 1)),
        replaced("s zero", half(1, 0)),
        replaced("r and s one", half(1, 1)),
        replaced("r and s all ones", [0xff; 96]),
    ]
}

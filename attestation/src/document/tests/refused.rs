//! Documents that break one rule each, and the error each must yield.

use super::*;
use crate::PcrError;

#[test]
fn the_envelope_is_checked() {
    use DocumentError::*;
    let good = envelope(&Pairs::good().definite());
    let with = |index: usize, item: Vec<u8>| {
        let mut items = good.clone();
        items[index] = item;
        array(&items)
    };
    let indefinite = [vec![0x9f], good.concat(), vec![0xff]].concat();
    let cases = [
        (vec![], Length(0)),
        (vec![0; 16_385], Length(16_385)),
        ([array(&good), vec![0]].concat(), TrailingBytes(1)),
        ([vec![0xd1], array(&good)].concat(), Tag(17)),
        ([vec![0xd2, 0xd2], array(&good)].concat(), Tag(18)),
        ([vec![0xd9, 0xd9, 0xf7], array(&good)].concat(), Tag(55799)),
        (bytes(&array(&good)), NotCoseSign1),
        (map(&good), NotCoseSign1),
        (indefinite, NotCoseSign1),
        (array(&good[..3]), NotCoseSign1),
        (array(&[&good[..], &[vec![NULL]]].concat()), NotCoseSign1),
        (array(&[]), NotCoseSign1),
        // ES256; ES384 in a longer form; ES384 and something else; empty; a map that isn't wrapped.
        (with(0, bytes(&[0xa1, 0x01, 0x26])), ProtectedHeader),
        (
            with(0, bytes(&[0xa1, 0x01, 0x39, 0x00, 0x22])),
            ProtectedHeader,
        ),
        (
            with(0, bytes(&[0xa2, 0x01, 0x38, 0x22, 0x04, 0x40])),
            ProtectedHeader,
        ),
        (with(0, bytes(&[])), ProtectedHeader),
        (
            with(0, map(&[head(0, 1), vec![0x38, 0x22]])),
            ProtectedHeader,
        ),
        (
            with(1, map(&[head(0, 4), bytes(b"key")])),
            UnprotectedHeader,
        ),
        (with(1, array(&[])), UnprotectedHeader),
        (with(1, vec![NULL]), UnprotectedHeader),
        (with(2, vec![NULL]), NoPayload),
        (with(2, bytes(&[])), NoPayload),
        (with(2, Pairs::good().definite()), NoPayload),
        (
            with(2, [vec![0x5f], good[2].clone(), vec![0xff]].concat()),
            IndefiniteString,
        ),
        (with(3, vec![NULL]), NoSignature),
        (with(3, text(&"s".repeat(96))), NoSignature),
        (with(3, bytes(&[])), SignatureLength(0)),
        (with(3, bytes(&[1; 95])), SignatureLength(95)),
        (with(3, bytes(&[1; 97])), SignatureLength(97)),
        (vec![0x1c], Malformed),
        (vec![0xff], Malformed),
        (vec![0xfb, 0, 0, 0, 0, 0, 0, 0, 0], Float),
        // Claims of more than there is.
        (
            vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            NotCoseSign1,
        ),
        (
            vec![0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Truncated,
        ),
    ];
    for (document, error) in cases {
        assert_eq!(
            AttestationDocument::parse(&document).err(),
            Some(error),
            "{document:x?}"
        );
    }
    // The longest document is one that would be too long by a byte.
    let filled = |length: usize| {
        let mut pairs = Pairs::good();
        pairs.set("filling", bytes(&vec![0; length]));
        array(&envelope(&pairs.definite()))
    };
    let rest = filled(10_000).len() - 10_000;
    let longest = filled(AttestationDocument::MAX_LEN - rest);
    assert_eq!(longest.len(), 16_384);
    assert!(AttestationDocument::parse(&longest).is_ok());
}

#[test]
fn required_fields_are_required() {
    for (key, field) in [
        ("module_id", Field::ModuleId),
        ("digest", Field::Digest),
        ("timestamp", Field::Timestamp),
        ("pcrs", Field::Pcrs),
        ("certificate", Field::Certificate),
        ("cabundle", Field::Cabundle),
    ] {
        assert_eq!(
            parse_pairs(&Pairs::without(key)),
            Err(DocumentError::MissingField(field))
        );
        assert_eq!(
            parse_pairs(&Pairs::with(key, vec![NULL])),
            Err(DocumentError::FieldType(field))
        );
        assert_eq!(field.to_string(), key);
    }
}

#[test]
fn every_field_is_checked() {
    use DocumentError::*;
    let pcr = bytes(&[7; 48]);
    let cases = [
        ("module_id", text(""), FieldLength(Field::ModuleId, 0)),
        ("module_id", bytes(b"i-1-enc2"), FieldType(Field::ModuleId)),
        ("module_id", vec![0x62, 0xc3, 0x28], InvalidUtf8),
        ("module_id", vec![0x7f, 0x61, b'i', 0xff], IndefiniteString),
        ("module_id", text("i-1-tpm0000000000000000"), NitroTpm),
        ("nitrotpm_pcrs", map(&[head(0, 0), pcr.clone()]), NitroTpm),
        ("nitrotpm_pcrs", vec![NULL], NitroTpm),
        ("digest", text("SHA256"), Digest),
        ("digest", text("sha384"), Digest),
        ("digest", bytes(b"SHA384"), FieldType(Field::Digest)),
        ("timestamp", head(0, 0), ZeroTimestamp),
        ("timestamp", head(1, 0), FieldType(Field::Timestamp)),
        ("timestamp", text("1"), FieldType(Field::Timestamp)),
        ("timestamp", vec![0xf9, 0x3c, 0x00], Float),
        ("timestamp", vec![0xc1, 0x01], Tag(1)),
        ("timestamp", vec![0xc2, 0x41, 0x01], Tag(2)),
        ("pcrs", map(&[]), FieldLength(Field::Pcrs, 0)),
        ("pcrs", vec![0xbf, 0xff], FieldLength(Field::Pcrs, 0)),
        (
            "pcrs",
            array(std::slice::from_ref(&pcr)),
            FieldType(Field::Pcrs),
        ),
        (
            "pcrs",
            map(&[text("0"), pcr.clone()]),
            FieldType(Field::Pcrs),
        ),
        (
            "pcrs",
            map(&[head(1, 0), pcr.clone()]),
            FieldType(Field::Pcrs),
        ),
        (
            "pcrs",
            map(&[head(0, 0), vec![NULL]]),
            FieldType(Field::Pcrs),
        ),
        (
            "pcrs",
            map(&[head(0, 0), text(&"7".repeat(48))]),
            FieldType(Field::Pcrs),
        ),
        (
            "pcrs",
            map(&[head(0, 32), pcr.clone()]),
            Pcr(PcrError::Index(32)),
        ),
        (
            "pcrs",
            map(&[
                vec![0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                pcr.clone(),
            ]),
            Pcr(PcrError::Index(u64::MAX)),
        ),
        (
            "pcrs",
            map(&[head(0, 0), bytes(&[])]),
            Pcr(PcrError::Length(0)),
        ),
        (
            "pcrs",
            map(&[head(0, 0), bytes(&[7; 47])]),
            Pcr(PcrError::Length(47)),
        ),
        (
            "pcrs",
            map(&[head(0, 0), bytes(&[7; 65])]),
            Pcr(PcrError::Length(65)),
        ),
        (
            "pcrs",
            map(&[
                head(0, 5),
                pcr.clone(),
                head(0, 6),
                pcr.clone(),
                head(0, 5),
                pcr.clone(),
            ]),
            DuplicatePcr(5),
        ),
        // An odd number of items in a map without a length.
        ("pcrs", vec![0xbf, 0x00, 0xff], Malformed),
        (
            "certificate",
            bytes(&[]),
            FieldLength(Field::Certificate, 0),
        ),
        (
            "certificate",
            bytes(&[0; 1025]),
            FieldLength(Field::Certificate, 1025),
        ),
        ("certificate", text("leaf"), FieldType(Field::Certificate)),
        ("cabundle", array(&[]), FieldLength(Field::Cabundle, 0)),
        (
            "cabundle",
            vec![0x9f, 0xff],
            FieldLength(Field::Cabundle, 0),
        ),
        (
            "cabundle",
            array(&[bytes(b"root"), bytes(&[])]),
            FieldLength(Field::Cabundle, 0),
        ),
        (
            "cabundle",
            array(&[bytes(&[0; 1025])]),
            FieldLength(Field::Cabundle, 1025),
        ),
        (
            "cabundle",
            array(&[text("root")]),
            FieldType(Field::Cabundle),
        ),
        ("cabundle", bytes(b"root"), FieldType(Field::Cabundle)),
        ("cabundle", array(&[array(&[])]), FieldType(Field::Cabundle)),
        ("public_key", bytes(&[]), FieldLength(Field::PublicKey, 0)),
        (
            "public_key",
            bytes(&[0; 1025]),
            FieldLength(Field::PublicKey, 1025),
        ),
        ("public_key", text("key"), FieldType(Field::PublicKey)),
        ("public_key", vec![0xf7], FieldType(Field::PublicKey)),
        (
            "user_data",
            bytes(&[0; 1025]),
            FieldLength(Field::UserData, 1025),
        ),
        ("user_data", vec![0xf4], FieldType(Field::UserData)),
        ("nonce", bytes(&[0; 1025]), FieldLength(Field::Nonce, 1025)),
        ("nonce", head(0, 1), FieldType(Field::Nonce)),
        // What must not stand anywhere, in a field that is passed over.
        ("next", vec![0xc0, 0x60], Tag(0)),
        ("next", vec![0x81, 0xd8, 0x2a, 0x40], Tag(42)),
        ("next", vec![0xfa, 0, 0, 0, 0], Float),
        ("next", vec![0x5f, 0x40, 0xff], IndefiniteString),
        ("next", vec![0x7f, 0xff], IndefiniteString),
        ("next", vec![0x61, 0xff], InvalidUtf8),
        ("next", vec![0x81, 0x81, 0x81, 0x81, 0x00], TooDeep),
        (
            "next",
            vec![0xa1, 0x9f, 0xa1, 0x80, 0x80, 0xff, 0x00],
            TooDeep,
        ),
        ("next", vec![0xf8, 0x1f], Malformed),
        ("next", vec![0xfc], Malformed),
        ("next", vec![0x5c], Malformed),
        ("next", vec![0xbf, 0x00, 0xff], Malformed),
    ];
    for (key, value, error) in cases {
        assert_eq!(
            parse_pairs(&Pairs::with(key, value.clone())),
            Err(error),
            "{key}: {value:x?}"
        );
    }
}

#[test]
fn keys_are_text_and_come_once() {
    for (key, field) in [
        ("module_id", Field::ModuleId),
        ("digest", Field::Digest),
        ("timestamp", Field::Timestamp),
        ("pcrs", Field::Pcrs),
        ("certificate", Field::Certificate),
        ("cabundle", Field::Cabundle),
        ("public_key", Field::PublicKey),
        ("user_data", Field::UserData),
        ("nonce", Field::Nonce),
    ] {
        assert_eq!(
            parse_pairs(&Pairs::good().push(text(key), vec![NULL])),
            Err(DocumentError::DuplicateField(field))
        );
        // The same key with its length in a longer form.
        let longer = [vec![0x78, key.len() as u8], key.into()].concat();
        assert_eq!(
            parse_pairs(&Pairs::good().push(longer, vec![NULL])),
            Err(DocumentError::DuplicateField(field))
        );
    }
    let unknown = Pairs::with("next", vec![NULL]);
    assert_eq!(
        parse_pairs(&unknown.push(text("next"), vec![NULL])),
        Err(DocumentError::DuplicateUnknownKey)
    );
    for key in [bytes(b"nonce"), head(0, 1), vec![NULL], array(&[])] {
        assert_eq!(
            parse_pairs(&Pairs::good().push(key, vec![NULL])),
            Err(DocumentError::KeyNotText)
        );
    }
}

#[test]
fn the_payload_is_one_map() {
    use DocumentError::*;
    let good = Pairs::good();
    let pairs = good.0.len();
    let cases = [
        (array(&[]), PayloadNotMap),
        (bytes(&good.definite()), PayloadNotMap),
        (vec![NULL], PayloadNotMap),
        (
            [good.definite(), vec![NULL]].concat(),
            PayloadTrailingBytes(1),
        ),
        (
            [good.indefinite(), vec![NULL]].concat(),
            PayloadTrailingBytes(1),
        ),
        ([head(5, pairs + 1), good.contents()].concat(), Truncated),
        ([vec![0xbf], good.contents()].concat(), Truncated),
        (
            [
                vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                good.contents(),
            ]
            .concat(),
            Truncated,
        ),
        ([vec![0xd2], good.definite()].concat(), Tag(18)),
        (
            [vec![0xbf], good.contents(), text("odd"), vec![0xff]].concat(),
            Malformed,
        ),
    ];
    for (payload, error) in cases {
        assert_eq!(parse_payload(&payload), Err(error), "{payload:x?}");
    }
    let short = [head(5, pairs - 1), good.contents()].concat();
    // `nonce: null` is left over.
    assert_eq!(parse_payload(&short), Err(PayloadTrailingBytes(7)));
}

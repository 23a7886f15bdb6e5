use serde_json::Value;

use crate::asn1::BerError;
use crate::backend::Backend;
use crate::recipient::envelope::Envelope;
use crate::recipient::open::OpenError;

/// A real message with what is known about it.
struct Sample {
    file: &'static str,
    message: &'static [u8],
    #[cfg_attr(not(feature = "aws-lc"), allow(dead_code))]
    private_key: Option<&'static [u8]>,
}

macro_rules! sample {
    ($file:literal) => {
        Sample {
            file: concat!("cms/", $file, ".ber"),
            message: include_bytes!(concat!("../../../tests/fixtures/cms/", $file, ".ber")),
            private_key: None,
        }
    };
    ($file:literal, with key) => {
        Sample {
            private_key: Some(include_bytes!(concat!(
                "../../../tests/fixtures/cms/",
                $file,
                ".key.pkcs8.der"
            ))),
            ..sample!($file)
        }
    };
}

const SAMPLES: [Sample; 8] = [
    sample!("enclaver_hello_world", with key),
    sample!("edgebit_sdk_go_datakey32", with key),
    sample!("ned_goodbye_world"),
    sample!("sdkc_constructed48"),
    sample!("sdkc_primitive16"),
    sample!("rustcrypto_4"),
    sample!("unknown_debug_enclave_80"),
    sample!("brodyxchen_oaep_default_params_48"),
];

impl Sample {
    /// The entry of `index.json` about it.
    fn facts(&self) -> Value {
        let index = include_str!("../../../tests/fixtures/cms/index.json");
        let index: Vec<Value> = serde_json::from_str(index).unwrap();
        index.into_iter().find(|f| f["file"] == self.file).unwrap()
    }
}

fn hex(text: &Value) -> Option<Vec<u8>> {
    let digits = text.as_str()?.as_bytes();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    Some(
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect(),
    )
}

fn sample(file: &str) -> &'static [u8] {
    SAMPLES.iter().find(|s| s.file == file).unwrap().message
}

#[test]
fn no_sample_is_left_out() {
    let index = include_str!("../../../tests/fixtures/cms/index.json");
    let index: Vec<Value> = serde_json::from_str(index).unwrap();
    assert_eq!(index.len(), SAMPLES.len());
}

#[test]
fn real_messages_are_read() {
    for sample in SAMPLES {
        let facts = sample.facts();
        match Envelope::from_ber(sample.message) {
            Ok(envelope) => {
                assert_eq!(
                    Some(envelope.ski.to_vec()),
                    hex(&facts["ski"]),
                    "{}",
                    sample.file
                );
                assert_eq!(
                    envelope.content.len() as u64,
                    facts["ct_len"],
                    "{}",
                    sample.file
                );
                assert_eq!(envelope.encrypted_key.len(), 256);
            }
            Err(error) => {
                assert_eq!(sample.file, "cms/brodyxchen_oaep_default_params_48.ber");
                assert_eq!(error, OpenError::OaepSha1);
            }
        }
    }
}

/// The writer, given the variable fields of a real message, makes the same bytes. Only the
/// sample with a primitive string, a form that KMS used around 2022, differs.
#[test]
fn our_bytes_are_those_of_kms() {
    let mut same = 0;
    for sample in SAMPLES {
        let Ok(envelope) = Envelope::from_ber(sample.message) else {
            continue;
        };
        let ours = envelope.to_ber();
        if sample.file == "cms/sdkc_primitive16.ber" {
            assert_ne!(ours, sample.message);
            assert_eq!(Envelope::from_ber(&ours), Ok(envelope));
        } else {
            assert_eq!(ours, sample.message, "{}", sample.file);
            same += 1;
        }
    }
    assert_eq!(same, 6);
}

#[test]
fn content_opens_with_a_published_content_key() {
    let mut opened = 0;
    for sample in SAMPLES {
        let facts = sample.facts();
        let (Some(key), Some(plaintext)) = (hex(&facts["cek_hex"]), hex(&facts["plaintext_hex"]))
        else {
            continue;
        };
        let envelope = Envelope::from_ber(sample.message).unwrap();
        for backend in Backend::ALL {
            let content = envelope.open_content(&key, backend.crypto()).unwrap();
            assert_eq!(*content, plaintext, "{}", sample.file);
            // One bit of the key less, and the padding is garbage or the text another.
            let mut wrong = key.clone();
            wrong[0] ^= 1;
            match envelope.open_content(&wrong, backend.crypto()) {
                Ok(content) => assert_ne!(*content, plaintext),
                Err(error) => assert_eq!(error, OpenError::Decrypt),
            }
            let short = envelope.open_content(&key[1..], backend.crypto());
            assert_eq!(short.unwrap_err(), OpenError::Decrypt);
        }
        opened += 1;
    }
    assert_eq!(opened, 3);
}

#[cfg(feature = "aws-lc")]
mod with_private_keys {
    use super::*;
    use crate::recipient::{RecipientKey, RecipientPrivateKey};
    use crate::testing::SeededRandom;

    #[test]
    fn real_messages_open() {
        let mut opened = 0;
        for sample in SAMPLES {
            let Some(key) = sample.private_key else {
                continue;
            };
            let key = RecipientPrivateKey::from_pkcs8(key).unwrap();
            let plaintext = key.open(sample.message).unwrap();
            assert_eq!(
                Some(plaintext.to_vec()),
                hex(&sample.facts()["plaintext_hex"])
            );
            opened += 1;
        }
        assert_eq!(opened, 2);
    }

    #[test]
    fn messages_for_another_key_do_not() {
        let key = SAMPLES[0].private_key.unwrap();
        let key = RecipientPrivateKey::from_pkcs8(key).unwrap();
        for sample in &SAMPLES[1..] {
            let expected = match sample.file {
                "cms/brodyxchen_oaep_default_params_48.ber" => OpenError::OaepSha1,
                _ => OpenError::WrongRecipient,
            };
            assert_eq!(key.open(sample.message), Err(expected), "{}", sample.file);
        }
    }

    #[test]
    fn what_is_sealed_opens() {
        for bits in [2048, 3072, 4096] {
            let private = RecipientPrivateKey::generate(bits).unwrap();
            let stored = private.to_pkcs8().unwrap();
            let private = RecipientPrivateKey::from_pkcs8(&stored).unwrap();
            for backend in Backend::ALL {
                let public = RecipientKey::from_spki(private.public_key_spki(), *backend).unwrap();
                assert_eq!(public.bits(), bits);
                for length in [0, 1, 15, 16, 17, 32, 999, 1000, 1001, 4096] {
                    let secret = vec![0xa5; length];
                    let mut random = SeededRandom::new(length as u64);
                    let message = public.seal(&secret, &mut random).unwrap();
                    assert_eq!(
                        *private.open(&message).unwrap(),
                        secret,
                        "{bits} {backend:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_changed_key_or_content_does_not_open() {
        let sample = &SAMPLES[1];
        let key = RecipientPrivateKey::from_pkcs8(sample.private_key.unwrap()).unwrap();
        let mut envelope = Envelope::from_ber(sample.message).unwrap();
        envelope.encrypted_key[100] ^= 1;
        assert_eq!(key.open(&envelope.to_ber()), Err(OpenError::Decrypt));

        let mut envelope = Envelope::from_ber(sample.message).unwrap();
        envelope.content.truncate(47);
        assert_eq!(key.open(&envelope.to_ber()), Err(OpenError::Decrypt));

        envelope.content.clear();
        assert_eq!(key.open(&envelope.to_ber()), Err(OpenError::Decrypt));
    }
}

/// Replaces the only occurrence of some bytes.
fn replace(message: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at: Vec<_> = (0..message.len())
        .filter(|at| message[*at..].starts_with(from))
        .collect();
    let [at] = at[..] else {
        panic!("{from:02x?} occurs {} times", at.len());
    };
    [&message[..at], to, &message[at + from.len()..]].concat()
}

/// One change to a real message each, with the error it must be.
#[test]
fn other_structures_are_refused_by_name() {
    let real = sample("cms/edgebit_sdk_go_datakey32.ber");
    let ski = &real[31..65];
    let oaep = &real[65..127];
    let recipient = &real[24..387];
    let tag = |expected, found| OpenError::Encoding(BerError::Tag { expected, found });
    let truncated = OpenError::Encoding(BerError::Truncated);
    let trailing = OpenError::Encoding(BerError::TrailingBytes);
    // The lengths of SET and recipient, by how much a change grows the message.
    let resize = |message: Vec<u8>, by: i32| {
        let mut message = message;
        for at in [22, 26] {
            let length = i32::from(u16::from_be_bytes([message[at], message[at + 1]])) + by;
            message[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        }
        message
    };
    let same_size = |from: &[u8], to: &[u8]| replace(real, from, to);
    let cases = [
        ("empty", vec![], truncated),
        ("one byte", vec![0x30], truncated),
        ("cut in the middle", real[..200].to_vec(), truncated),
        (
            "without the last mark",
            real[..real.len() - 2].to_vec(),
            truncated,
        ),
        ("one byte more", [real, &[0]].concat(), trailing),
        ("a mark too many", [real, &[0, 0]].concat(), trailing),
        ("a bare OCTET STRING", vec![4, 1, 0], tag(0x30, 0x04)),
        ("too large", vec![0x30; 20_000], OpenError::Size(20_000)),
        (
            "SignedData",
            same_size(b"\x0d\x01\x07\x03", b"\x0d\x01\x07\x02"),
            OpenError::NotEnvelopedData,
        ),
        (
            "EnvelopedData version 0",
            same_size(b"\x02\x01\x02\x31", b"\x02\x01\x00\x31"),
            OpenError::Version,
        ),
        (
            "EnvelopedData version in two bytes",
            same_size(b"\x02\x01\x02\x31", b"\x02\x02\x00\x02\x31"),
            OpenError::Version,
        ),
        (
            "recipient version 0",
            same_size(b"\x02\x01\x02\x80", b"\x02\x01\x00\x80"),
            OpenError::Version,
        ),
        (
            "originatorInfo",
            same_size(b"\x02\x01\x02\x31", b"\x02\x01\x02\xa0\x00\x31"),
            tag(0x31, 0xa0),
        ),
        (
            "no recipient",
            replace(real, &real[20..387], &[0x31, 0]),
            OpenError::RecipientCount,
        ),
        (
            "two recipients",
            {
                let length = (2 * recipient.len() as u16).to_be_bytes();
                let set = [&[0x31, 0x82], &length[..], recipient, recipient].concat();
                replace(real, &real[20..387], &set)
            },
            OpenError::RecipientCount,
        ),
        (
            "key agreement",
            [&real[..24], &[0xa1], &real[25..]].concat(),
            OpenError::RecipientKind,
        ),
        (
            "issuer and serial number",
            resize(same_size(ski, &[0x30, 0]), 2 - ski.len() as i32),
            OpenError::RecipientKind,
        ),
        (
            "identifier of 20 bytes",
            resize(same_size(ski, &[&[0x80, 20], &ski[..20]].concat()), -12),
            OpenError::WrongRecipient,
        ),
        (
            "RSAES-PKCS1-v1_5",
            resize(
                same_size(
                    oaep,
                    b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
                ),
                15 - 62,
            ),
            OpenError::KeyEncryption,
        ),
        (
            "OAEP without parameters",
            resize(
                same_size(
                    oaep,
                    b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07",
                ),
                13 - 62,
            ),
            OpenError::OaepSha1,
        ),
        (
            "OAEP with a label",
            resize(
                same_size(
                    oaep,
                    &[
                        &[0x30, 0x40],
                        &oaep[2..13],
                        &[0x30, 0x33],
                        &oaep[15..],
                        &[0xa2, 2, 4, 0],
                    ]
                    .concat(),
                ),
                4,
            ),
            trailing,
        ),
        (
            "OAEP with SHA-384",
            [&real[..94], &[2], &real[95..]].concat(),
            OpenError::KeyEncryption,
        ),
        (
            "MGF1 with SHA-512",
            [&real[..124], &[3], &real[125..]].concat(),
            OpenError::KeyEncryption,
        ),
        (
            "AES-128-CBC",
            same_size(b"\x03\x04\x01\x2a", b"\x03\x04\x01\x02"),
            OpenError::ContentEncryption,
        ),
        (
            "an IV of 15 bytes",
            {
                let iv = &real[413..431];
                let algorithm = [&[0x30, 0x1c], &real[402..413], &[4, 15], &iv[2..17]].concat();
                replace(real, &real[400..431], &algorithm)
            },
            OpenError::ContentEncryption,
        ),
        (
            "content of type signedData",
            same_size(b"\x0d\x01\x07\x01\x30", b"\x0d\x01\x07\x02\x30"),
            OpenError::ContentType,
        ),
        (
            "content that is an explicit SEQUENCE",
            same_size(b"\xa0\x80\x04\x30", b"\x30\x80\x04\x30"),
            tag(0xa0, 0x30),
        ),
        (
            "a segment that is no OCTET STRING",
            same_size(b"\xa0\x80\x04\x30", b"\xa0\x80\x03\x30"),
            tag(0x04, 0x03),
        ),
        (
            "an unprotected attribute",
            [&real[..real.len() - 6], &[0xa1, 0], &real[real.len() - 6..]].concat(),
            trailing,
        ),
    ];
    for (name, message, error) in cases {
        assert_eq!(Envelope::from_ber(&message), Err(error), "{name}");
    }
}

/// The same message in other encodings is the same message.
#[test]
fn definite_lengths_and_primitive_content_are_read_too() {
    use crate::asn1::{element, sequence};

    let real = sample("cms/edgebit_sdk_go_datakey32.ber");
    let envelope = Envelope::from_ber(real).unwrap();
    let algorithm = &real[400..431];
    let id_data = &real[389..400];
    let segment = crate::asn1::octet_string(&envelope.content);
    let der = |content: &[u8]| {
        let info = sequence(&[id_data, algorithm, content]);
        let data = sequence(&[&real[17..20], &real[20..387], &info]);
        sequence(&[&real[2..13], &element(0xa0, &[&data])])
    };
    for (name, message) in [
        ("DER, constructed", der(&element(0xa0, &[&segment]))),
        ("DER, primitive", der(&element(0x80, &[&envelope.content]))),
        ("two segments", {
            let (a, b) = envelope.content.split_at(5);
            let [a, b] = [a, b].map(crate::asn1::octet_string);
            der(&element(0xa0, &[&a, &b]))
        }),
        ("long form of a short length", {
            let content = [&[0x80, 0x84, 0, 0, 0, 48], &envelope.content[..]].concat();
            der(&content)
        }),
    ] {
        assert_eq!(
            Envelope::from_ber(&message).as_ref(),
            Ok(&envelope),
            "{name}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let mut deep = sample("cms/edgebit_sdk_go_datakey32.ber")[..17].to_vec();
    deep.extend([0x30, 0x80].repeat(5000));
    let error = OpenError::Encoding(BerError::Depth);
    assert_eq!(Envelope::from_ber(&deep), Err(error));
}

#[test]
fn encodings_that_can_not_be_are_refused() {
    for (bytes, error) in [
        (&[0x1f, 0x81, 0x01, 0x00][..], BerError::LongTag),
        (&[0x30, 0x85, 0, 0, 0, 0, 1, 0], BerError::Length),
        (&[0x30, 0xff], BerError::Length),
        (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], BerError::Truncated),
        (&[0x30, 0x82, 0x01], BerError::Truncated),
        (&[0x04, 0x80, 0, 0], BerError::IndefinitePrimitive),
        (&[0x00, 0x00], BerError::StrayEnd),
        (&[0x00, 0x01, 0x00], BerError::StrayEnd),
        (&[0x30, 0x80, 0x00, 0x01, 0x00, 0x00], BerError::StrayEnd),
        (&[0x30, 0x80, 0x00], BerError::Truncated),
        (
            &[0x30, 0x80, 0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
            BerError::Truncated,
        ),
    ] {
        let read = crate::asn1::Reader::new(bytes).any();
        assert_eq!(read, Err(error), "{bytes:02x?}");
    }
}

proptest::proptest! {
    /// Any envelope that is written is read back.
    #[test]
    fn writing_and_reading_agree(
        ski: [u8; 32],
        iv: [u8; 16],
        encrypted_key in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        content in proptest::collection::vec(proptest::num::u8::ANY, 0..5000),
    ) {
        let envelope = Envelope { ski, encrypted_key, iv, content };
        let message = envelope.to_ber();
        proptest::prop_assert_eq!(message.len(), message.capacity(), "it was written at once");
        proptest::prop_assert_eq!(Envelope::from_ber(&message), Ok(envelope));
    }

    /// No change of a few bytes makes the reader panic.
    #[test]
    fn changed_messages_are_read_or_refused(
        index in 0..SAMPLES.len(),
        changes in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..4),
        cut in proptest::num::usize::ANY,
    ) {
        let mut message = SAMPLES[index].message.to_vec();
        for (at, byte) in changes {
            let at = at % message.len();
            message[at] = byte;
        }
        let _ = Envelope::from_ber(&message);
        message.truncate(cut % message.len());
        let _ = Envelope::from_ber(&message);
    }
}

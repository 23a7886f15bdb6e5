use crate::asn1::{NULL, bit_string, element, object_identifier, oid, sequence, unsigned_integer};
use crate::backend::Backend;
use crate::recipient::{RecipientKey, RecipientKeyError};

/// A modulus of so many bits, odd. Not of two primes, which nobody can check.
fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = 0xff >> (modulus.len() * 8 - bits);
    modulus
}

const E_65537: &[u8] = &[1, 0, 1];

fn algorithm() -> Vec<u8> {
    sequence(&[&object_identifier(oid::RSA_ENCRYPTION), NULL])
}

fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    sequence(&[&unsigned_integer(modulus), &unsigned_integer(exponent)])
}

fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    sequence(&[
        &algorithm(),
        &bit_string(&rsa_public_key(modulus, exponent)),
    ])
}

fn error(bytes: &[u8]) -> Option<RecipientKeyError> {
    let errors = Backend::ALL
        .iter()
        .map(|backend| RecipientKey::from_spki(bytes, *backend).err());
    let errors: Vec<_> = errors.collect();
    assert!(errors.windows(2).all(|pair| pair[0] == pair[1]));
    errors[0]
}

#[test]
fn three_sizes_are_accepted() {
    for bits in [2048, 3072, 4096] {
        assert_eq!(error(&spki(&modulus(bits), E_65537)), None, "{bits}");
    }
    for bits in [512, 1024, 2047, 2049, 2056, 3071, 4095, 4097, 8192] {
        let refused = Some(RecipientKeyError::ModulusSize { bits });
        assert_eq!(error(&spki(&modulus(bits), E_65537)), refused);
    }
}

#[test]
fn exponents_have_bounds() {
    let odd_above_2_32 = &[1, 0, 0, 0, 1][..];
    for (exponent, accepted) in [
        (E_65537, true),
        (&[1, 0, 3], true),
        (&[0xff, 0xff, 0xff, 0xff], true),
        (&[0], false),
        (&[1], false),
        (&[3], false),
        (&[0xff, 0xff], false),
        (&[1, 0, 2], false),
        (&[1, 0, 0, 0, 0], false),
        (odd_above_2_32, false),
        (&[0xff; 9], false),
        (&[0xff; 256], false),
    ] {
        let expected = (!accepted).then_some(RecipientKeyError::Exponent);
        assert_eq!(
            error(&spki(&modulus(2048), exponent)),
            expected,
            "{exponent:02x?}"
        );
    }
}

#[test]
fn an_even_modulus_is_refused() {
    let mut even = modulus(2048);
    even[255] = 0xfe;
    let refused = Some(RecipientKeyError::EvenModulus);
    assert_eq!(error(&spki(&even, E_65537)), refused);
}

/// Everything people really put there, and what they are told.
#[test]
fn other_formats_are_named() {
    let n = modulus(2048);
    let good = spki(&n, E_65537);
    let p256 = [
        &b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"[..],
        b"\x03\x42\x00\x04",
        &[7; 64],
    ]
    .concat();
    let x25519 = [
        &b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00"[..],
        &[7; 32],
    ]
    .concat();
    let rsa_pss = sequence(&[
        &sequence(&[&object_identifier(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")]),
        &bit_string(&rsa_public_key(&n, E_65537)),
    ]);
    let pkcs8 = sequence(&[
        &unsigned_integer(&[0]),
        &algorithm(),
        &element(4, &[&[0x30, 0]]),
    ]);
    let nine = unsigned_integer(&[9]);
    let rsa_private_key = sequence(&[nine.as_slice(); 9]);
    let ec_private_key = sequence(&[&unsigned_integer(&[1]), &element(4, &[&[7; 32]])]);
    let version = element(0xa0, &[&unsigned_integer(&[2])]);
    let certificate = sequence(&[
        &sequence(&[&version, &nine]),
        &algorithm(),
        &bit_string(&[]),
    ]);
    let certificate_v1 = sequence(&[&sequence(&[&nine]), &algorithm(), &bit_string(&[])]);
    let pem = b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A";

    use RecipientKeyError as E;
    for (name, bytes, expected) in [
        ("SubjectPublicKeyInfo", good.as_slice(), None),
        ("nothing", &[], Some(E::NotDer)),
        ("text", b"dummy", Some(E::NotDer)),
        ("32 raw bytes of X25519", &[0xe8; 32], Some(E::NotDer)),
        ("an uncompressed point", &[4; 65], Some(E::NotDer)),
        ("1024 bytes of one", &[1; 1024], Some(E::NotDer)),
        ("an empty SEQUENCE", &[0x30, 0], Some(E::NotDer)),
        (
            "a SEQUENCE of an empty one",
            &[0x30, 2, 0x30, 0],
            Some(E::NotDer),
        ),
        ("one INTEGER", &[0x30, 3, 2, 1, 5], Some(E::NotDer)),
        ("PEM", pem, Some(E::Pem)),
        (
            "PEM after blanks",
            &[b" \r\n", &pem[..]].concat(),
            Some(E::Pem),
        ),
        ("PKCS #1", &rsa_public_key(&n, E_65537), Some(E::Pkcs1)),
        ("PKCS #8", &pkcs8, Some(E::PrivateKey)),
        ("RSAPrivateKey", &rsa_private_key, Some(E::PrivateKey)),
        ("ECPrivateKey", &ec_private_key, Some(E::PrivateKey)),
        ("a certificate", &certificate, Some(E::Certificate)),
        ("a certificate, v1", &certificate_v1, Some(E::Certificate)),
        ("P-256", &p256, Some(E::Algorithm)),
        ("X25519", &x25519, Some(E::Algorithm)),
        ("RSASSA-PSS", &rsa_pss, Some(E::Algorithm)),
        (
            "a byte more",
            &[&good[..], &[0]].concat(),
            Some(E::TrailingBytes),
        ),
        (
            "twice",
            &[&good[..], &good].concat(),
            Some(E::TrailingBytes),
        ),
        ("cut short", &good[..good.len() - 1], Some(E::NotDer)),
    ] {
        assert_eq!(error(bytes), expected, "{name}");
    }
}

/// BER that means the same key, and DER that means no key.
#[test]
fn only_the_canonical_encoding_is_taken() {
    let n = modulus(2048);
    let good = spki(&n, E_65537);
    let key = rsa_public_key(&n, E_65537);
    let bits = bit_string(&key);
    let with_key = |key: &[u8]| sequence(&[&algorithm(), &bit_string(key)]);
    let raw = |contents: &[u8]| element(2, &[contents]);
    let positive = [&[0], n.as_slice()].concat();
    for (name, bytes) in [
        ("length in one byte too many", {
            [&[0x30, 0x83, 0], &good[2..]].concat()
        }),
        (
            "indefinite length",
            [&[0x30, 0x80], &good[4..], &[0, 0]].concat(),
        ),
        (
            "no NULL",
            sequence(&[&sequence(&[&object_identifier(oid::RSA_ENCRYPTION)]), &bits]),
        ),
        (
            "parameters that are not NULL",
            sequence(&[
                &sequence(&[&object_identifier(oid::RSA_ENCRYPTION), &[0x30, 0]]),
                &bits,
            ]),
        ),
        (
            "two zeros before the modulus",
            with_key(&sequence(&[
                &raw(&[&[0, 0], n.as_slice()].concat()),
                &raw(E_65537),
            ])),
        ),
        (
            "a negative modulus",
            with_key(&sequence(&[&raw(&n), &raw(E_65537)])),
        ),
        (
            "a zero before the exponent",
            with_key(&sequence(&[&raw(&positive), &raw(&[0, 1, 0, 1])])),
        ),
        (
            "an empty exponent",
            with_key(&sequence(&[&raw(&positive), &raw(&[])])),
        ),
        (
            "a third integer",
            with_key(&sequence(&[&raw(&positive), &raw(E_65537), &raw(&[1])])),
        ),
        (
            "bytes after the key",
            with_key(&[key.as_slice(), &[0]].concat()),
        ),
        (
            "unused bits",
            sequence(&[&algorithm(), &element(3, &[&[1], &key])]),
        ),
        (
            "an empty BIT STRING",
            sequence(&[&algorithm(), &element(3, &[])]),
        ),
        ("no BIT STRING", sequence(&[&algorithm()])),
        (
            "an OCTET STRING",
            sequence(&[&algorithm(), &element(4, &[&key])]),
        ),
        (
            "more after the BIT STRING",
            sequence(&[&algorithm(), &bits, NULL]),
        ),
    ] {
        assert_eq!(
            error(&bytes),
            Some(RecipientKeyError::NotCanonical),
            "{name}"
        );
    }
}

#[test]
fn messages_say_what_to_send() {
    let message = error(b"-----BEGIN").unwrap().to_string();
    assert_eq!(
        message,
        "public_key is PEM text; send the DER SubjectPublicKeyInfo of an RSA key of 2048, 3072 \
         or 4096 bits"
    );
    let message = RecipientKeyError::ModulusSize { bits: 1024 }.to_string();
    assert!(message.starts_with("public_key has a modulus of 1024 bits; send the DER"));
}

proptest::proptest! {
    /// Bytes of any kind are judged, not stumbled over.
    #[test]
    fn any_bytes_get_a_verdict(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..1024)) {
        let _ = RecipientKey::from_spki(&bytes, Backend::default());
    }

    /// A changed byte of a key gives an error or another key with the same encoding.
    #[test]
    fn what_is_accepted_is_canonical(at in 0_usize..294, byte: u8) {
        let mut bytes = spki(&modulus(2048), E_65537);
        bytes[at] = byte;
        if let Ok(key) = RecipientKey::from_spki(&bytes, Backend::default()) {
            proptest::prop_assert_eq!(key.bits(), 2048);
        }
    }
}

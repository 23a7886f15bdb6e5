//! How a certificate is written, and its cryptographic parts: keys, algorithms, signatures.

use attestation::CertificateError as E;

use crate::case::{Case, at, certificates};
use crate::certificates::{BELOW_THE_ROOT, each};

pub(crate) fn cases() -> Vec<Case> {
    [der(), keys(), algorithms(), signatures()].concat()
}

fn der() -> Vec<Case> {
    let each = |name: &str, part, change: fn(&mut Vec<u8>)| -> Vec<Case> {
        BELOW_THE_ROOT
            .into_iter()
            .map(|index| {
                let verdict = at(index, E::Malformed(part));
                certificates(
                    format!("certificate {index}: {name}"),
                    verdict,
                    move |bundle, _| {
                        change(&mut bundle[index]);
                    },
                )
            })
            .collect()
    };
    [
        each("a byte after it", "certificate", |der| der.push(0)),
        each("a byte less", "certificate", |der| {
            der.pop();
        }),
        each("only its first byte", "certificate", |der| der.truncate(1)),
        each("of indefinite length", "certificate", |der| {
            der.splice(1..4, [0x80]);
            der.extend([0, 0]);
        }),
        each("its length in three bytes", "certificate", |der| {
            der.splice(1..2, [0x83, 0]);
        }),
        each("claiming four gigabytes", "certificate", |der| {
            der.splice(1..4, [0x84, 0xff, 0xff, 0xff, 0xff]);
        }),
        each("a SET", "certificate", |der| der[0] = 0x31),
        each("a SET of fields", "certificate", |der| der[4] = 0x31),
        each("nested without end", "certificate", |der| {
            *der = [0x30, 0x80].repeat(512)
        }),
        each("a fourth field", "certificate", |der| {
            der.extend([0x05, 0x00]);
            let length = u16::try_from(der.len() - 4).unwrap().to_be_bytes();
            der[2..4].copy_from_slice(&length);
        }),
        each("unused bits in the signature", "signatureValue", |der| {
            *der = with_bit_string(der, |signature| [&[1], signature].concat());
        }),
    ]
    .concat()
}

fn keys() -> Vec<Case> {
    /// SubjectPublicKeyInfo of the base point of P-256.
    const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
        \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04\
        \x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\
        \x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\
        \x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\
        \x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
    /// Of an Ed25519 key.
    const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\
        \xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
        \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
    /// Where the point begins in the SubjectPublicKeyInfo of a P-384 key.
    const POINT: usize = 23;
    let each = |name, change: fn(&mut Vec<u8>)| {
        each(BELOW_THE_ROOT, name, E::PublicKey, move |t| {
            change(&mut t.public_key)
        })
    };
    [
        each("a key on P-256", |spki| *spki = P256.to_vec()),
        each("an Ed25519 key", |spki| *spki = ED25519.to_vec()),
        each("the curve of P-521 with a point of P-384", |spki| {
            spki[19] = 0x23
        }),
        each("a point that is not on the curve", |spki| {
            *spki.last_mut().unwrap() ^= 1
        }),
        each("a point of zeros", |spki| spki[POINT + 1..].fill(0)),
        each("coordinates beyond the field", |spki| {
            spki[POINT + 1..].fill(0xff)
        }),
        each("a compressed point", |spki| {
            spki.truncate(POINT + 49);
            spki[POINT] = 2;
            (spki[1], spki[21]) = (0x46, 0x32);
        }),
        each("a hybrid point", |spki| {
            spki[POINT] = 6 | spki.last().unwrap() & 1
        }),
        each("the point at infinity", |spki| {
            spki.truncate(POINT + 1);
            spki[POINT] = 0;
            (spki[1], spki[21]) = (0x16, 0x02);
        }),
        each("unused bits in the point", |spki| spki[POINT - 1] = 1),
        each("the curve with its parameters", |spki| {
            // NULL parameters after the name of the curve, which RFC 5480 does not know.
            spki.splice(20..20, [0x05, 0x00]);
            (spki[1], spki[3]) = (0x78, 0x12);
        }),
    ]
    .concat()
}

fn algorithms() -> Vec<Case> {
    const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    const ECDSA_SHA384_NULL: &[u8] = b"\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03\x05\x00";
    const ECDSA_SHA1: &[u8] = b"\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01";
    const RSA_SHA384: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00";
    let both = |name, algorithm: &'static [u8]| {
        each(BELOW_THE_ROOT, name, E::SignatureAlgorithm, move |t| {
            t.signature_algorithm = algorithm.to_vec();
            t.outer_signature_algorithm = algorithm.to_vec();
        })
    };
    [
        both("ECDSA with SHA-256", ECDSA_SHA256),
        both("ECDSA with SHA-1", ECDSA_SHA1),
        both("ECDSA with SHA-384 and NULL", ECDSA_SHA384_NULL),
        both("RSA with SHA-384", RSA_SHA384),
        each(
            BELOW_THE_ROOT,
            "another algorithm inside",
            E::SignatureAlgorithm,
            |t| {
                t.signature_algorithm = ECDSA_SHA256.to_vec();
            },
        ),
        each(
            BELOW_THE_ROOT,
            "another algorithm outside",
            E::SignatureAlgorithm,
            |t| {
                t.outer_signature_algorithm = ECDSA_SHA256.to_vec();
            },
        ),
    ]
    .concat()
}

fn signatures() -> Vec<Case> {
    let each = |name: &str, change: fn(&[u8]) -> Vec<u8>| -> Vec<Case> {
        BELOW_THE_ROOT
            .into_iter()
            .map(|index| {
                let verdict = at(index, E::Signature);
                certificates(
                    format!("certificate {index}: {name}"),
                    verdict,
                    move |bundle, _| {
                        bundle[index] = with_signature(&bundle[index], change);
                    },
                )
            })
            .collect()
    };
    [
        each("a bit of the signature", |der| {
            let mut der = der.to_vec();
            *der.last_mut().unwrap() ^= 1;
            der
        }),
        each("a signature of nothing", |_| vec![]),
        each("a signature of zeros", |_| {
            b"\x30\x06\x02\x01\x00\x02\x01\x00".to_vec()
        }),
        each("a signature in raw form", |_| vec![0x11; 96]),
        each("a byte after the signature", |der| [der, &[0]].concat()),
        each("a zero too many before r", |der| {
            let mut der = [&der[..4], &[0], &der[4..]].concat();
            der[1] += 1;
            der[3] += 1;
            der
        }),
        each("a signature of indefinite length", |der| {
            [&[0x30, 0x80], &der[2..], &[0, 0]].concat()
        }),
    ]
    .concat()
}

/// The certificate with a change to its signature, the DER inside the BIT STRING.
pub(crate) fn with_signature(der: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    with_bit_string(der, |signature| {
        [&[0], change(signature).as_slice()].concat()
    })
}

/// The certificate with other contents of the BIT STRING, made from the signature.
fn with_bit_string(der: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    /// Size of the AlgorithmIdentifier between the signed part and the signature.
    const ALGORITHM: usize = 12;
    let signed = usize::from(u16::from_be_bytes([der[6], der[7]]));
    let (before, signature) = der[4..].split_at(4 + signed + ALGORITHM);
    assert_eq!((signature[0], signature[2]), (0x03, 0x00));
    let contents = change(&signature[3..]);
    let length = u8::try_from(contents.len()).unwrap();
    assert!(length < 0x80);
    let fields = [before, &[0x03, length], &contents].concat();
    let length = u16::try_from(fields.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], &fields].concat()
}

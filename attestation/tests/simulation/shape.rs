//! Whatever can be seen of a certificate's form is the same in a real chain and in a simulated
//! one.

use attestation::Nsm;
use attestation::nsm::AttestationRequest;
use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use crate::{certificates, nsm};

/// The form of one certificate, as text, so that differences can be read.
#[derive(Debug, PartialEq)]
struct Shape {
    version: Vec<u8>,
    algorithms: [Vec<u8>; 2],
    /// Attribute and string type, in order, for issuer and subject.
    names: [Vec<(String, Tag)>; 2],
    lifetime: Lifetime,
    key_algorithm: Vec<u8>,
    /// Identifier, whether critical, and what it says, if not only about this one certificate.
    extensions: Vec<(String, bool, Vec<u8>)>,
}

/// How long a certificate is valid, as exactly as AWS is about it.
#[derive(Debug, PartialEq)]
enum Lifetime {
    Exactly(u64),
    /// Regional certificates vary by a second, zonal ones by hours.
    About {
        days: u64,
    },
}

impl Lifetime {
    fn new(position: usize, seconds: u64) -> Self {
        const DAY: u64 = 24 * 3600;
        match position {
            0..=2 => Self::About {
                days: (seconds + DAY / 2) / DAY,
            },
            _ => Self::Exactly(seconds),
        }
    }
}

impl Shape {
    fn of(position: usize, der: &[u8]) -> Self {
        let outer = AnyRef::from_der(der).unwrap();
        let certificate = children(outer.value());
        let [tbs, outer_algorithm, signature] = &certificate[..] else {
            panic!("a certificate has three parts");
        };
        assert_eq!(signature.tag(), Tag::BitString);
        let fields = children(tbs.value());
        let [
            version,
            serial,
            algorithm,
            issuer,
            validity,
            subject,
            key,
            extensions,
        ] = &fields[..]
        else {
            panic!("{} fields", fields.len());
        };
        assert_eq!(serial.tag(), Tag::Integer);
        let [begin, end] = [0, 1].map(|index| seconds(&children(validity.value())[index]));
        let [key_algorithm, point] = &children(key.value())[..] else {
            panic!("a key has two parts");
        };
        assert_eq!(point.value().len(), 98);
        Self {
            version: version.value().to_vec(),
            algorithms: [algorithm, outer_algorithm].map(|any| any.value().to_vec()),
            names: [issuer, subject].map(name),
            lifetime: Lifetime::new(position, end - begin),
            key_algorithm: key_algorithm.value().to_vec(),
            extensions: children(children(extensions.value())[0].value())
                .iter()
                .map(extension)
                .collect(),
        }
    }
}

/// The elements in a row.
fn children(contents: &[u8]) -> Vec<AnyRef<'_>> {
    let mut reader = SliceReader::new(contents).unwrap();
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader).unwrap());
    }
    elements
}

fn seconds(time: &AnyRef<'_>) -> u64 {
    match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>().unwrap().to_unix_duration(),
        _ => time
            .decode_as::<GeneralizedTime>()
            .unwrap()
            .to_unix_duration(),
    }
    .as_secs()
}

fn identifier(any: &AnyRef<'_>) -> String {
    any.decode_as::<ObjectIdentifier>().unwrap().to_string()
}

fn name(name: &AnyRef<'_>) -> Vec<(String, Tag)> {
    children(name.value())
        .iter()
        .map(|set| {
            let attributes = children(set.value());
            let [attribute] = &attributes[..] else {
                panic!("one attribute in each set");
            };
            let pair = children(attribute.value());
            (identifier(&pair[0]), pair[1].tag())
        })
        .collect()
}

fn extension(extension: &AnyRef<'_>) -> (String, bool, Vec<u8>) {
    let parts = children(extension.value());
    let id = identifier(&parts[0]);
    let critical = parts[1].tag() == Tag::Boolean;
    let value = parts.last().unwrap().value();
    // Key identifiers are compared by their size, distribution points by their structure.
    let value = match id.as_str() {
        "2.5.29.14" | "2.5.29.35" => {
            let at = value.len() - 20;
            value[..at].to_vec()
        }
        "2.5.29.31" => {
            let at = value.windows(7).position(|w| w == b"http://").unwrap();
            let url = std::str::from_utf8(&value[at..]).unwrap();
            assert_eq!(
                url.rsplit_once('/').unwrap().1.len(),
                "01234567-89ab-cdef-0123-456789abcdef.crl".len()
            );
            // Tags without the lengths, which depend on the host's.
            value[..at].iter().copied().step_by(2).collect()
        }
        _ => value.to_vec(),
    };
    (id, critical, value)
}

#[test]
fn certificates_have_the_form_of_those_of_aws() {
    let real = [
        "2025-10-15_reclaimprotocol-attestor-core_625d11b8",
        "2026-02-12_OpenGradient-og-evm_65ce3118",
        "2026-08-03_worldcoin-world-chain_13a44c64",
    ];
    let simulated = nsm().attest(AttestationRequest::default()).unwrap();
    let simulated = certificates(&simulated);
    for real in real {
        let real = certificates(&fixture(real));
        assert_eq!(real.len(), simulated.len());
        for (position, (real, simulated)) in std::iter::zip(&real, &simulated).enumerate() {
            assert_eq!(
                Shape::of(position, real),
                Shape::of(position, simulated),
                "certificate {position}"
            );
        }
    }
}

/// The document around them: the same fields of the same sizes in the same order.
#[test]
fn documents_have_the_form_of_those_of_aws() {
    use coset::cbor::Value;

    let real = fixture("2025-10-15_reclaimprotocol-attestor-core_625d11b8");
    let request = AttestationRequest {
        public_key: Some(&[1; 294]),
        user_data: Some(&[2; 59]),
        nonce: Some(&[3; 64]),
    };
    let simulated = nsm().attest(request).unwrap();

    let decode = |bytes: &[u8]| coset::cbor::from_reader::<Value, _>(bytes).unwrap();
    // What depends on the certificates' signatures is only told apart by its kind.
    let describe = |value: &Value| match value {
        Value::Bytes(bytes) if bytes.len() > 500 => "a certificate".to_owned(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Text(text) => format!("a text of {}", text.len()),
        Value::Integer(_) => "an integer".to_owned(),
        other => format!("{other:?}"),
    };
    let form = |document: &[u8]| -> Vec<String> {
        let Value::Array(items) = decode(document) else {
            panic!("an array")
        };
        let payload = items[2].as_bytes().unwrap();
        // Indefinite outside; inside, the timestamp has eight bytes whatever its value.
        assert_eq!((payload[0], payload.last()), (0xbf, Some(&0xff)));
        assert!(
            payload
                .windows(11)
                .any(|bytes| bytes == b"\x69timestamp\x1b")
        );
        let mut form: Vec<_> = items.iter().map(describe).collect();
        form[2] = "the payload".to_owned();
        for (key, value) in decode(payload).into_map().unwrap() {
            form.push(key.into_text().unwrap());
            match value {
                Value::Map(registers) => form.extend(
                    registers
                        .iter()
                        .map(|(index, value)| format!("{index:?}: {}", describe(value))),
                ),
                Value::Array(certificates) => form.extend(certificates.iter().map(describe)),
                value => form.push(describe(&value)),
            }
        }
        form
    };
    assert_eq!(form(&real), form(&simulated));
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/fixtures/nitro/aws/{name}.bin",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).unwrap()
}

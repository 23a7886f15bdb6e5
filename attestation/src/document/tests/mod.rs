//! Each rule of a document's form, on documents written by hand.

mod refused;

use super::*;

/// The encoding of a head: a major type and its argument, in the shortest form.
fn head(major: u8, argument: usize) -> Vec<u8> {
    let major = major << 5;
    match argument {
        0..=23 => vec![major | argument as u8],
        24..=0xff => vec![major | 24, argument as u8],
        _ => {
            let [.., high, low] = argument.to_be_bytes();
            vec![major | 25, high, low]
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.into()].concat()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.into()].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len()), items.concat()].concat()
}

/// A map of pairs, given as keys and values in turn.
fn map(items: &[Vec<u8>]) -> Vec<u8> {
    [head(5, items.len() / 2), items.concat()].concat()
}

const NULL: u8 = 0xf6;

/// A payload as a list of encoded pairs, to change before it is put together.
#[derive(Clone)]
struct Pairs(Vec<(Vec<u8>, Vec<u8>)>);

impl Pairs {
    fn good() -> Self {
        let mut pairs = Self(Vec::new());
        pairs.set("module_id", text("i-1-enc2"));
        pairs.set("digest", text("SHA384"));
        pairs.set("timestamp", head(0, 1));
        pairs.set("pcrs", map(&[head(0, 0), bytes(&[7; 48])]));
        pairs.set("certificate", bytes(b"leaf"));
        pairs.set("cabundle", array(&[bytes(b"root")]));
        pairs.set("public_key", vec![NULL]);
        pairs.set("user_data", vec![NULL]);
        pairs.set("nonce", vec![NULL]);
        pairs
    }

    fn with(key: &str, value: Vec<u8>) -> Self {
        let mut pairs = Self::good();
        pairs.set(key, value);
        pairs
    }

    fn without(key: &str) -> Self {
        let mut pairs = Self::good();
        pairs.0.retain(|(other, _)| *other != text(key));
        pairs
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        let key = text(key);
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some(pair) => pair.1 = value,
            None => self.0.push((key, value)),
        }
    }

    fn push(mut self, key: Vec<u8>, value: Vec<u8>) -> Self {
        self.0.push((key, value));
        self
    }

    fn contents(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|(key, value)| [&key[..], &value[..]].concat())
            .collect()
    }

    fn definite(&self) -> Vec<u8> {
        [head(5, self.0.len()), self.contents()].concat()
    }

    fn indefinite(&self) -> Vec<u8> {
        [vec![0xbf], self.contents(), vec![0xff]].concat()
    }
}

/// The four items of a COSE_Sign1 around a payload.
fn envelope(payload: &[u8]) -> Vec<Vec<u8>> {
    vec![
        bytes(PROTECTED_ES384),
        map(&[]),
        bytes(payload),
        bytes(&[1; 96]),
    ]
}

fn parse_payload(payload: &[u8]) -> Result<(), DocumentError> {
    AttestationDocument::parse(&array(&envelope(payload))).map(drop)
}

fn parse_pairs(pairs: &Pairs) -> Result<(), DocumentError> {
    let definite = parse_payload(&pairs.definite());
    assert_eq!(parse_payload(&pairs.indefinite()), definite);
    definite
}

#[test]
fn reads_what_is_written() {
    let mut pairs = Pairs::good();
    pairs.set(
        "pcrs",
        map(&[
            head(0, 31),
            bytes(&[1; 64]),
            head(0, 0),
            bytes(&[2; 32]),
            head(0, 4),
            bytes(&[3; 48]),
        ]),
    );
    pairs.set("timestamp", vec![0x1b, 0, 0, 1, 2, 3, 4, 5, 6]);
    pairs.set("cabundle", array(&[bytes(&[5; 1024]), bytes(&[6])]));
    pairs.set("public_key", bytes(&[8; 1024]));
    pairs.set("user_data", bytes(&[]));
    pairs.set("nonce", bytes(&[9; 1024]));
    let payload = pairs.indefinite();
    let document = array(&envelope(&payload));

    for tag in [&[][..], &[0xd2], &[0xd8, 18]] {
        let document = [tag, &document].concat();
        let read = AttestationDocument::parse(&document).unwrap();
        assert_eq!(read.module_id(), "i-1-enc2");
        assert_eq!(
            read.timestamp(),
            Timestamp::from_millis(0x0000_0102_0304_0506)
        );
        let pcrs: Vec<_> = read.pcrs().iter().collect();
        let expected: [(usize, &[u8]); 3] = [(0, &[2; 32]), (4, &[3; 48]), (31, &[1; 64])];
        assert_eq!(pcrs, expected);
        assert_eq!(read.certificate(), b"leaf");
        assert_eq!(read.cabundle(), [&[5; 1024][..], &[6]]);
        assert_eq!(read.public_key(), Some(&[8; 1024][..]));
        assert_eq!(read.user_data(), Some(&[][..]));
        assert_eq!(read.nonce(), Some(&[9; 1024][..]));
        assert_eq!(read.payload(), payload);
        assert_eq!(read.signature(), &[1; 96]);
    }
}

#[test]
fn absent_is_null() {
    for field in ["public_key", "user_data", "nonce"] {
        assert_eq!(parse_pairs(&Pairs::without(field)), Ok(()));
    }
}

#[test]
fn unknown_keys_are_passed_over() {
    for value in [
        head(0, 5),
        head(1, 5),
        vec![0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        text("text"),
        bytes(b"bytes"),
        vec![0xf4],
        vec![0xf5],
        vec![NULL],
        vec![0xf7],
        vec![0xe0],
        vec![0xf8, 0x20],
        // Arrays and maps, definite or not, four deep with the payload.
        vec![0x81, 0x81, 0x81, 0x00],
        vec![0x9f, 0xbf, 0x00, 0x9f, 0xff, 0xff, 0xff],
        vec![0xa1, 0x00, 0xa1, 0x00, 0xa1, 0x00, 0x00],
    ] {
        assert_eq!(
            parse_pairs(&Pairs::with("next", value.clone())),
            Ok(()),
            "{value:x?}"
        );
    }
}

/// Nothing depends on the shortest form: lengths, integers, keys.
#[test]
fn longer_forms_of_integers_are_read() {
    let mut pairs = Pairs::good();
    pairs.set("timestamp", vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]);
    pairs.set(
        "pcrs",
        [vec![0xb8, 1, 0x19, 0, 0, 0x58, 48], vec![7; 48]].concat(),
    );
    assert_eq!(parse_pairs(&pairs), Ok(()));

    let mut items = envelope(&pairs.definite());
    items[3] = [vec![0x5a, 0, 0, 0, 96], vec![1; 96]].concat();
    let document = [vec![0x98, 4], items.concat()].concat();
    assert!(AttestationDocument::parse(&document).is_ok());

    // The same register in two forms is still the same.
    let pcr = bytes(&[7; 48]);
    let twice = map(&[vec![0x00], pcr.clone(), vec![0x18, 0x00], pcr]);
    assert_eq!(
        parse_pairs(&Pairs::with("pcrs", twice)),
        Err(DocumentError::DuplicatePcr(0))
    );
}

/// Inputs made to be expensive. The work is linear in their length, which is limited; a stack
/// that grew with their depth would overflow here.
#[test]
fn expensive_documents_are_cheap() {
    let filling = 16_000;
    let nested = [
        [vec![0x81; filling], vec![0]].concat(),
        vec![0x9f; filling],
        [0xa1, 0x60].repeat(filling / 2),
        vec![0xbf; filling],
        vec![0xd2; filling],
    ];
    for nest in nested {
        assert!(AttestationDocument::parse(&nest).is_err());
        assert!(parse_payload(&nest).is_err());
        assert!(parse_pairs(&Pairs::with("next", nest)).is_err());
    }
    // Many keys, all different; many certificates, all tiny.
    let mut many = Pairs::good();
    for key in 0..2_500_u16 {
        let [high, low] = key.to_be_bytes();
        let key = [
            0x64,
            0x41 + (high >> 4),
            0x41 + (high & 15),
            0x41 + (low >> 4),
            0x41 + (low & 15),
        ];
        many = many.push(key.to_vec(), vec![NULL]);
    }
    assert_eq!(parse_pairs(&many), Ok(()));
    let bundle = array(&vec![bytes(b"x"); 7_000]);
    let payload = Pairs::with("cabundle", bundle).definite();
    let document = array(&envelope(&payload));
    assert_eq!(
        AttestationDocument::parse(&document)
            .unwrap()
            .cabundle()
            .len(),
        7_000
    );
}

#[test]
fn the_signed_structure_is_that_of_cose() {
    for length in [1, 23, 24, 255, 256, 16_000] {
        let head = SignedHead::new(length);
        let expected = array(&[
            text("Signature1"),
            bytes(PROTECTED_ES384),
            bytes(&[]),
            bytes(&vec![0; length]),
        ]);
        let whole = [head.as_bytes(), &vec![0; length]].concat();
        assert_eq!(whole, expected);
    }
}

//! Writing DER.
//!
//! Every function returns one finished element, so a structure in the code is nested the way the
//! ASN.1 module of its RFC is.

use super::tag;

/// One element: tag, minimal definite length, and the concatenation of `contents`.
pub(crate) fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(element_length(length));
    push_head(&mut out, tag, length);
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

/// How long an element is whose contents have this length.
pub(crate) const fn element_length(contents: usize) -> usize {
    let of_length = match contents {
        0..=0x7f => 1,
        _ => 1 + (usize::BITS - contents.leading_zeros()).div_ceil(8) as usize,
    };
    1 + of_length + contents
}

/// Appends what precedes contents of this length.
pub(crate) fn push_head(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    push_length(out, length);
}

/// Appends `length` in the shortest definite form (X.690 section 10.1).
fn push_length(out: &mut Vec<u8>, length: usize) {
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
        return;
    }
    let bytes = length.to_be_bytes();
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    // A usize has at most eight bytes, so the count fits the seven bits it is given.
    out.push(0x80 | significant.clone().count() as u8);
    out.extend(significant);
}

/// SEQUENCE.
pub(crate) fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    element(tag::SEQUENCE, contents)
}

/// OBJECT IDENTIFIER, from its contents.
pub(crate) fn object_identifier(contents: &[u8]) -> Vec<u8> {
    element(tag::OBJECT_IDENTIFIER, &[contents])
}

/// A non-negative INTEGER from its big-endian bytes, however they are padded.
pub(crate) fn unsigned_integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let magnitude = big_endian.get(zeros..).unwrap_or_default();
    match magnitude.first() {
        Some(0..=0x7f) => element(tag::INTEGER, &[magnitude]),
        // A leading zero keeps the sign bit clear; zero itself is one zero byte.
        _ => element(tag::INTEGER, &[&[0], magnitude]),
    }
}

/// BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(tag::BIT_STRING, &[&[0], bytes])
}

/// OCTET STRING.
#[cfg(any(feature = "simulation", test))]
pub(crate) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(tag::OCTET_STRING, &[bytes])
}

/// NULL.
pub(crate) const NULL: &[u8] = &[tag::NULL, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal() {
        for (length, encoded) in [
            (0, &[0x00][..]),
            (0x7f, &[0x7f]),
            (0x80, &[0x81, 0x80]),
            (0xff, &[0x81, 0xff]),
            (0x100, &[0x82, 0x01, 0x00]),
            (0xffff, &[0x82, 0xff, 0xff]),
            (0x1_0000, &[0x83, 0x01, 0x00, 0x00]),
        ] {
            let mut out = Vec::new();
            push_length(&mut out, length);
            assert_eq!(out, encoded, "length {length:#x}");
            assert_eq!(element_length(length), 1 + encoded.len() + length);
        }
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        for (bytes, encoded) in [
            (&[][..], &[0x02, 0x01, 0x00][..]),
            (&[0], &[0x02, 0x01, 0x00]),
            (&[0, 0, 5], &[0x02, 0x01, 0x05]),
            (&[0x7f], &[0x02, 0x01, 0x7f]),
            (&[0x80], &[0x02, 0x02, 0x00, 0x80]),
            (&[0, 0x80, 0], &[0x02, 0x03, 0x00, 0x80, 0x00]),
        ] {
            assert_eq!(unsigned_integer(bytes), encoded, "{bytes:02x?}");
        }
    }
}

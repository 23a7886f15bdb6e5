//! One canonical way to write several byte strings as one.

/// A sequence of byte strings, each with its length in front of it (32 bit,
/// big-endian).
///
/// Distinct sequences have distinct encodings, and no encoding is another's
/// beginning unless its sequence is. Joining without lengths is how `{ab: c}`
/// comes to open what was sealed with `{a: bc}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// An empty sequence with room for `capacity` encoded bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends a byte string.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    /// Appends a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Appends a number as eight bytes, big-endian.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Appends a byte string in place.
    ///
    /// # Panics
    /// When `bytes` is 4 GiB or longer; nothing this crate seals comes near it.
    pub fn push(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("a field is shorter than 4 GiB");
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn encode(parts: &[Vec<u8>]) -> Fields {
        parts
            .iter()
            .fold(Fields::default(), |fields, part| fields.bytes(part))
    }

    /// Reads an encoding back, which proves that it is injective.
    fn decode(mut rest: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let (part, tail) = tail.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            parts.push(part.to_vec());
            rest = tail;
        }
        Some(parts)
    }

    #[test]
    fn lengths_are_32_bit_big_endian() {
        let fields = Fields::default().text("ab").number(1).bytes(&[]);
        assert_eq!(
            hex::encode(fields.as_bytes()),
            "000000026162\
             000000080000000000000001\
             00000000"
        );
    }

    proptest! {
        #[test]
        fn an_encoding_has_one_reading(parts in vec(vec(any::<u8>(), 0..8), 0..6)) {
            prop_assert_eq!(decode(encode(&parts).as_bytes()), Some(parts));
        }

        #[test]
        fn distinct_sequences_differ(
            a in vec(vec(0..2_u8, 0..4), 0..4),
            b in vec(vec(0..2_u8, 0..4), 0..4),
        ) {
            prop_assert_eq!(a == b, encode(&a) == encode(&b));
        }
    }
}

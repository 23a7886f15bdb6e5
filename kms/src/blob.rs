//! Blobs in JSON: base64 of the standard alphabet, with its padding, in its one form.

use std::sync::LazyLock;

use base64::engine::general_purpose::PAD;
use base64::engine::simd::Simd;

/// Reads and writes them, many bytes at once where the processor can: an attestation document has
/// five kilobytes.
pub(crate) static BASE64: LazyLock<Simd> = LazyLock::new(|| Simd::standard(PAD));

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// Whether many bytes are read at once or each alone, the same texts are refused.
    #[test]
    fn long_texts_are_read_as_strictly_as_short_ones() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300).collect();
        for length in 0..bytes.len() {
            let text = BASE64.encode(&bytes[..length]);
            assert_eq!(text, STANDARD.encode(&bytes[..length]));
            assert_eq!(BASE64.decode(&text).as_deref(), Ok(&bytes[..length]));
        }
        for length in [297, 298, 299, 300] {
            let text = STANDARD.encode(&bytes[..length]).into_bytes();
            let mut changed = text.clone();
            for position in 0..text.len() {
                for byte in 0..=u8::MAX {
                    changed[position] = byte;
                    let expected = STANDARD.decode(&changed);
                    let valid = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
                    assert!(valid || expected.is_err());
                    assert_eq!(BASE64.decode(&changed), expected, "{byte} at {position}");
                }
                changed[position] = text[position];
                let mut cut = text.clone();
                cut.remove(position);
                assert!(BASE64.decode(&cut).is_err(), "without {position}");
                cut.insert(position, b'\n');
                assert!(BASE64.decode(&cut).is_err(), "a line break at {position}");
            }
        }
    }
}

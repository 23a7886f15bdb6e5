//! Hexadecimal digits of 32 bytes: hashes, signatures and ids, several in each call.

use std::fmt;

/// The digits, in lower case.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Digits([u8; 64]);

impl Digits {
    pub(crate) fn of(bytes: &[u8; 32]) -> Self {
        let mut digits = [b'0'; 64];
        for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        // Digits are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The digit of a number below 16. Without a table, it is done for many at once.
const fn digit(number: u8) -> u8 {
    let from = if number < 10 { b'0' } else { b'a' - 10 };
    from.wrapping_add(number)
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_two_digits() {
        let bytes = std::array::from_fn(|index| (index * 8 + 7) as u8);
        assert_eq!(Digits::of(&bytes).as_str(), hex::encode(bytes));
        assert_eq!(Digits::of(&bytes).to_string(), hex::encode(bytes));
    }
}

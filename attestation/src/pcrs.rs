//! Platform configuration registers: the measurements in a document.

use core::fmt;

/// The registers of a document, by index.
///
/// A document carries 1 to 32 of them: the sixteen that are locked when an enclave starts, and
/// those the enclave itself extended and locked.
#[derive(Clone, Eq, PartialEq)]
pub struct Pcrs {
    values: [Option<Value>; Self::MAX],
}

impl Pcrs {
    /// How many registers there can be; indices are 0 to 31.
    pub const MAX: usize = 32;

    /// No register at all.
    pub const fn new() -> Self {
        Self {
            values: [None; Self::MAX],
        }
    }

    /// Sets a register.
    ///
    /// # Errors
    ///
    /// If the index is above 31, or the value isn't as long as a SHA-256, SHA-384 or SHA-512.
    pub fn set(&mut self, index: u64, value: &[u8]) -> Result<(), PcrError> {
        let slot = usize::try_from(index)
            .ok()
            .and_then(|index| self.values.get_mut(index))
            .ok_or(PcrError::Index(index))?;
        *slot = Some(Value::new(value).ok_or(PcrError::Length(value.len()))?);
        Ok(())
    }

    /// The value of a register, if the document has it.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index)?.as_ref().map(Value::as_bytes)
    }

    /// The registers the document has, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.values
            .iter()
            .enumerate()
            .filter_map(|(index, value)| Some((index, value.as_ref()?.as_bytes())))
    }

    /// How many registers the document has.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no register.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these are the measurements of an enclave in debug mode, whose console and memory
    /// its parent can read: PCR0, PCR1 or PCR2 is all zeros.
    ///
    /// Nothing else marks debug mode; the other registers have their true values even then.
    pub fn is_debug(&self) -> bool {
        (0..=2).any(|index| {
            self.get(index)
                .is_some_and(|value| value.iter().all(|byte| *byte == 0))
        })
    }
}

impl Default for Pcrs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pcrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(index, value)| (index, Hex(value))))
            .finish()
    }
}

/// Why [`Pcrs::set`] refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PcrError {
    /// No such register.
    #[error("there is no PCR {0}: indices are 0 to 31")]
    Index(u64),
    /// No hash has this length.
    #[error("a PCR of {0} bytes: it must be 32, 48 or 64")]
    Length(usize),
}

/// A register's value without its own allocation.
#[derive(Clone, Copy)]
struct Value {
    bytes: [u8; 64],
    length: usize,
}

impl Value {
    fn new(value: &[u8]) -> Option<Self> {
        if !matches!(value.len(), 32 | 48 | 64) {
            return None;
        }
        let mut bytes = [0; 64];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self {
            bytes,
            length: value.len(),
        })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Eq for Value {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_lengths_have_limits() {
        let mut pcrs = Pcrs::new();
        assert!(pcrs.is_empty());
        assert_eq!(pcrs.set(32, &[1; 48]), Err(PcrError::Index(32)));
        assert_eq!(pcrs.set(u64::MAX, &[1; 48]), Err(PcrError::Index(u64::MAX)));
        for length in [0, 31, 33, 47, 49, 63, 65] {
            assert_eq!(pcrs.set(0, &vec![1; length]), Err(PcrError::Length(length)));
        }
        for length in [32, 48, 64] {
            pcrs.set(31, &vec![1; length]).unwrap();
            assert_eq!(pcrs.get(31), Some(&vec![1; length][..]));
        }
        assert_eq!(pcrs.len(), 1);
        assert_eq!(pcrs.get(0), None);
        assert_eq!(pcrs.get(32), None);
    }

    #[test]
    fn debug_mode_is_any_zero_among_the_first_three() {
        for zero in 0..16 {
            let mut pcrs = Pcrs::new();
            assert!(!pcrs.is_debug());
            for index in 0..16 {
                let value = [u8::from(index != zero); 48];
                pcrs.set(index, &value).unwrap();
            }
            assert_eq!(pcrs.is_debug(), zero <= 2, "PCR{zero}");
        }
    }

    #[test]
    fn debug_output_is_hexadecimal() {
        let mut pcrs = Pcrs::new();
        pcrs.set(4, &[0xab; 32]).unwrap();
        assert_eq!(format!("{pcrs:?}"), format!("{{4: {}}}", "ab".repeat(32)));
    }
}

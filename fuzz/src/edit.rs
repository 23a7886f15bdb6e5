//! Inputs as edits of something genuine, so that a fuzzer gets past the first check.

use std::convert::Infallible;

use attestation::rand_core::{TryCryptoRng, TryRng};

/// Applies edits of four bytes each: what to do, where (two bytes), with which byte.
pub(crate) fn edited(genuine: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut result = genuine.to_vec();
    for edit in edits.chunks_exact(4).take(64) {
        let [what, high, low, value] = *edit else {
            break;
        };
        let at = usize::from(u16::from_be_bytes([high, low])) % result.len().max(1);
        match what % 4 {
            0 => {
                if let Some(byte) = result.get_mut(at) {
                    *byte ^= value;
                }
            }
            1 => result.insert(at, value),
            2 => result.truncate(at),
            _ => result.extend(std::iter::repeat_n(value, usize::from(low))),
        }
    }
    result
}

/// Bytes that are not random at all: what a target makes is the same in every run.
pub(crate) struct Counter(pub(crate) u64);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = (self.try_next_u64()? >> 56) as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

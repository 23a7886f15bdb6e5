//! Random sources for tests: the same bytes for the same seed, on every machine.
#![allow(
    dead_code,
    reason = "integration tests include this file and use parts of it"
)]

use std::convert::Infallible;
use std::vec;

use rand_core::{TryCryptoRng, TryRng, utils};
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode over a seed.
pub(crate) struct TestRandom {
    seed: u64,
    blocks: u64,
    left: Vec<u8>,
}

impl TestRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            blocks: 0,
            left: Vec::new(),
        }
    }
}

impl TryRng for TestRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            if self.left.is_empty() {
                let block = Sha256::new()
                    .chain_update(self.seed.to_be_bytes())
                    .chain_update(self.blocks.to_be_bytes())
                    .finalize();
                self.left = block.to_vec();
                self.blocks += 1;
            }
            *byte = self.left.pop().expect("a block has just been made");
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRandom {}

/// The bytes it was given, once: a random source for known answers.
pub(crate) struct Replay(vec::IntoIter<u8>);

impl Replay {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter())
    }
}

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0.next().expect("no more bytes to replay");
        }
        Ok(())
    }
}

impl TryCryptoRng for Replay {}

//! The enclave's randomness: independent sources, of which one suffices.
//!
//! Every byte is the exclusive-or of two streams:
//!
//! - The output of AWS-LC's generator, in the version used here (aws-lc-sys 0.47) a CTR-DRBG for each
//!   thread. The seed is the CPU's timing jitter, by way of one for the whole process, the kernel's
//!   randomness personalises it, and where the processor has RDRAND or RNDR, 32 bytes of that are
//!   mixed into every request. So the CPU is a source of every byte already, and nothing here asks
//!   it again.
//! - An AES-256-CTR key stream whose key comes from the Nitro security module, the kernel and
//!   AWS-LC together, and is replaced from time to time (`reseeding`).
//!
//! Whoever controls or predicts one of the two streams learns nothing about the sum, so neither a
//! weak kernel seed at boot nor a dishonest module is enough to guess a key.
//!
//! No locks: a use takes the next block of the key stream by a counter.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// Bytes asked of the Nitro security module for each key of the stream.
pub(crate) const NSM_SEED_BYTES: usize = 256;

/// Bytes asked of the kernel, and as many of the library.
const OWN_SEED_BYTES: usize = 64;

/// Bytes that a key of the stream leaves to the next one.
const INHERITED_BYTES: usize = 32;

/// Separates this use of HKDF from any other.
const SALT: &[u8] = b"claviger enclave randomness v1";

/// Bytes that a thread draws at a time for the calls it answers. A data key for a recipient takes
/// 128: ids of request and event, the data key, a nonce, the key of the message and its
/// initialization vector.
const DRAWN_BYTES: usize = 2048;

/// The most of them that are given at a time.
const SMALL_BYTES: usize = 128;

/// A handle to the enclave's randomness; clones share one state and may be used in parallel.
#[derive(Clone)]
pub(crate) struct Random(Arc<Source>);

struct Source {
    system: SystemRandom,
    /// Wiped when it is replaced and its last use is over.
    stream: ArcSwap<EncryptingKey>,
    next: AtomicU64,
    /// Which of all keys of the process that is, to know what was drawn with an earlier one.
    key_number: AtomicU64,
}

/// Numbers the keys of all streams.
static KEYS: AtomicU64 = AtomicU64::new(1);

/// No randomness could be had.
#[derive(Debug, thiserror::Error)]
#[error("the kernel or the cryptographic library has no randomness")]
pub(crate) struct NoRandomness;

impl Random {
    /// Seeds the key stream from what the Nitro security module gave, and warms up the library's
    /// own generator, whose first use takes tens of milliseconds. Waits for the kernel's generator,
    /// should that not be ready yet.
    pub(crate) fn new(from_nsm: &[u8; NSM_SEED_BYTES]) -> Result<Self, NoRandomness> {
        let system = SystemRandom::new();
        let stream = Seed::gather(from_nsm, &system, &[0; INHERITED_BYTES])?.stream()?;
        Ok(Self(Arc::new(Source {
            system,
            stream: ArcSwap::from_pointee(stream),
            next: AtomicU64::new(0),
            key_number: AtomicU64::new(KEYS.fetch_add(1, Ordering::Relaxed)),
        })))
    }

    /// Randomness for the simulated module itself, from the library and the kernel alone.
    #[cfg(feature = "simulation")]
    pub(crate) fn without_nsm() -> Result<Self, NoRandomness> {
        Self::new(&[0; NSM_SEED_BYTES])
    }

    /// Replaces the key of the stream, while it is in use.
    ///
    /// The old key is a source of the new one, so bad sources make it no worse than it was; and
    /// from the new one nobody finds out what was made with the old.
    pub(crate) fn reseed(&self, from_nsm: &[u8; NSM_SEED_BYTES]) -> Result<(), NoRandomness> {
        let mut inherited = Zeroizing::new([0; INHERITED_BYTES]);
        self.add_stream(inherited.as_mut());
        let seed = Seed::gather(from_nsm, &self.0.system, &inherited)?;
        self.0.stream.store(Arc::new(seed.stream()?));
        let number = KEYS.fetch_add(1, Ordering::Relaxed);
        self.0.key_number.store(number, Ordering::Release);
        Ok(())
    }

    /// The key in use, as long as it is.
    #[cfg(test)]
    pub(crate) fn key_in_use(&self) -> std::sync::Weak<EncryptingKey> {
        Arc::downgrade(&self.0.stream.load_full())
    }

    /// Randomness for a call.
    pub(crate) fn for_call(&self) -> CallRandom<'_> {
        CallRandom(self)
    }

    fn fill(&self, out: &mut [u8]) {
        let filled = self.0.system.fill(out);
        filled.unwrap_or_else(|_| panic!("{NoRandomness}"));
        self.add_stream(out);
    }

    /// Combines bytes with the next part of the key stream.
    fn add_stream(&self, out: &mut [u8]) {
        // Half of the counter block numbers the use, half counts its 16-byte blocks: no block of
        // the stream is used twice within 2^64 uses.
        let mut block = [0; 16];
        let (number, _) = block.split_at_mut(8);
        let use_number = self.0.next.fetch_add(1, Ordering::Relaxed);
        number.copy_from_slice(&use_number.to_be_bytes());
        let context = EncryptionContext::Iv128(FixedLength::from(block));
        self.0
            .stream
            .load()
            .less_safe_encrypt(out, context)
            .unwrap_or_else(|_| panic!("{NoRandomness}"));
    }
}

/// What a key of the stream is made of.
struct Seed<'a> {
    from_nsm: &'a [u8; NSM_SEED_BYTES],
    from_kernel: Zeroizing<[u8; OWN_SEED_BYTES]>,
    from_library: Zeroizing<[u8; OWN_SEED_BYTES]>,
    inherited: &'a [u8; INHERITED_BYTES],
}

impl<'a> Seed<'a> {
    fn gather(
        from_nsm: &'a [u8; NSM_SEED_BYTES],
        system: &SystemRandom,
        inherited: &'a [u8; INHERITED_BYTES],
    ) -> Result<Self, NoRandomness> {
        let mut from_kernel = Zeroizing::new([0; OWN_SEED_BYTES]);
        getrandom::fill(from_kernel.as_mut()).map_err(|_| NoRandomness)?;
        let mut from_library = Zeroizing::new([0; OWN_SEED_BYTES]);
        let filled = system.fill(from_library.as_mut());
        filled.map_err(|_| NoRandomness)?;
        Ok(Self {
            from_nsm,
            from_kernel,
            from_library,
            inherited,
        })
    }

    fn stream(&self) -> Result<EncryptingKey, NoRandomness> {
        UnboundCipherKey::new(&AES_256, self.key()?.as_ref())
            .and_then(EncryptingKey::ctr)
            .map_err(|_| NoRandomness)
    }

    fn key(&self) -> Result<Zeroizing<[u8; 32]>, NoRandomness> {
        // Each part has its fixed length.
        let parts = [
            self.from_nsm.as_slice(),
            self.from_kernel.as_slice(),
            self.from_library.as_slice(),
            self.inherited.as_slice(),
        ];
        let all = Zeroizing::new(parts.concat());
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
            .extract(&all)
            .expand(&[b"key stream"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| NoRandomness)?;
        Ok(key)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

/// Randomness for calls, which each thread draws for several at once, as each draw has its price.
/// No byte is given twice; what is given is wiped, and so is what was drawn before the key of the
/// stream was replaced.
pub(crate) struct CallRandom<'r>(&'r Random);

/// What a thread has drawn.
struct Drawn {
    bytes: Zeroizing<[u8; DRAWN_BYTES]>,
    given: usize,
    /// The key it was drawn with.
    key_number: u64,
}

thread_local! {
    static DRAWN: RefCell<Drawn> = RefCell::new(Drawn {
        bytes: Zeroizing::new([0; DRAWN_BYTES]),
        given: DRAWN_BYTES,
        key_number: 0,
    });
}

impl CallRandom<'_> {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > SMALL_BYTES {
            return self.0.fill(out);
        }
        DRAWN.with_borrow_mut(|drawn| {
            let key_number = self.0.0.key_number.load(Ordering::Acquire);
            if drawn.key_number != key_number || out.len() > DRAWN_BYTES - drawn.given {
                self.0.fill(drawn.bytes.as_mut());
                drawn.given = 0;
                drawn.key_number = key_number;
            }
            let left = drawn.bytes.iter_mut().skip(drawn.given);
            for (byte, drawn) in out.iter_mut().zip(left) {
                *byte = std::mem::take(drawn);
            }
            drawn.given += out.len();
        });
    }
}

impl TryRng for CallRandom<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for CallRandom<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::Duration;

    use rand_core::Rng;

    use super::*;

    /// The next part of the key stream itself.
    fn part(random: &Random) -> [u8; 16] {
        let mut part = [0; 16];
        random.add_stream(&mut part);
        part
    }

    #[test]
    fn the_key_stream_changes_what_the_library_gives() {
        let random = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        let (a, b) = (part(&random), part(&random));
        assert_ne!(a, [0; 16]);
        assert_ne!(a, b, "each use has its own part of the stream");
        let before = random.0.next.load(Ordering::Relaxed);
        random.clone().next_u64();
        assert_eq!(random.0.next.load(Ordering::Relaxed), before + 1);
    }

    #[test]
    fn a_call_gets_no_byte_twice_and_no_byte_of_another_call() {
        let random = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        let mut parts = HashSet::new();
        for _ in 0..100 {
            let mut call = random.for_call();
            for length in [8, 16, 32, 33, 64, SMALL_BYTES, SMALL_BYTES + 1, 1000, 8] {
                let mut out = vec![0; length];
                call.fill_bytes(&mut out);
                // The end of what was not written would be zeros.
                for eight in out.chunks_exact(8).chain(out.rchunks_exact(8).take(1)) {
                    assert_ne!(eight, [0; 8]);
                }
                for eight in out.chunks_exact(8) {
                    assert!(parts.insert(eight.to_vec()), "{length}");
                }
            }
        }
    }

    #[test]
    fn what_was_drawn_goes_with_its_key_and_what_was_given_is_wiped() {
        let random = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        let uses = |random: &Random| random.0.next.load(Ordering::Relaxed);
        let left = || {
            DRAWN.with_borrow(|drawn| (DRAWN_BYTES - drawn.given, drawn.bytes[0..16] == [0; 16]))
        };
        random.for_call().next_u64();
        let (before, drawn) = (uses(&random), left());
        random.for_call().fill_bytes(&mut [0; 16]);
        assert_eq!(uses(&random), before, "of what was drawn already");
        assert_eq!(left(), (drawn.0 - 16, true));

        random.reseed(&[7; NSM_SEED_BYTES]).unwrap();
        let before = uses(&random);
        random.for_call().next_u64();
        assert_eq!(uses(&random), before + 1, "of the new key");
        assert_eq!(left(), (DRAWN_BYTES - 8, false));

        let other = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        other.for_call().next_u64();
        assert_eq!(uses(&other), 1, "of its own");
    }

    #[test]
    fn each_source_decides_about_the_key() {
        let from_nsm = [1; NSM_SEED_BYTES];
        let seed = |change: fn(&mut Seed<'_>)| {
            let mut seed = Seed {
                from_nsm: &from_nsm,
                from_kernel: [2; OWN_SEED_BYTES].into(),
                from_library: [3; OWN_SEED_BYTES].into(),
                inherited: &[4; INHERITED_BYTES],
            };
            change(&mut seed);
            *seed.key().unwrap()
        };
        let keys = HashSet::from([
            seed(|_| ()),
            seed(|seed| seed.from_nsm = &[0; NSM_SEED_BYTES]),
            seed(|seed| seed.from_kernel[63] = 0),
            seed(|seed| seed.from_library[63] = 0),
            seed(|seed| seed.inherited = &[0; INHERITED_BYTES]),
        ]);
        assert_eq!(keys.len(), 5);
        assert!(keys.contains(&seed(|_| ())), "and nothing else does");
    }

    #[test]
    fn a_new_key_takes_over_from_the_old_one_which_is_gone() {
        let random = Random::new(&[7; NSM_SEED_BYTES]).unwrap();
        let in_use = random.0.stream.load_full();
        let old = Arc::downgrade(&in_use);
        random.reseed(&[7; NSM_SEED_BYTES]).unwrap();
        assert!(old.upgrade().is_some(), "whoever uses it still can");
        drop(in_use);
        // AWS-LC's wrapper wipes a key that is dropped.
        assert!(old.upgrade().is_none());
        // The same part of the stream is another one under another key.
        let again = |random: &Random| {
            random.0.next.store(0, Ordering::Relaxed);
            part(random)
        };
        let before = again(&random);
        assert_eq!(again(&random), before);
        random.reseed(&[7; NSM_SEED_BYTES]).unwrap();
        assert_ne!(again(&random), before);
    }

    #[test]
    fn no_part_of_the_stream_comes_twice_whoever_uses_it_and_whenever_the_key_changes() {
        let random = Random::new(&[0; NSM_SEED_BYTES]).unwrap();
        let users: Vec<_> = (0..4)
            .map(|_| {
                let random = random.clone();
                thread::spawn(move || (0..200_000).map(|_| part(&random)).collect::<Vec<_>>())
            })
            .collect();
        let mut keys = 0;
        while users.iter().any(|user| !user.is_finished()) {
            random.reseed(&[0; NSM_SEED_BYTES]).unwrap();
            keys += 1;
            thread::sleep(Duration::from_millis(1));
        }
        assert!(keys > 0);
        let parts: HashSet<_> = users
            .into_iter()
            .flat_map(|user| user.join().unwrap())
            .collect();
        assert_eq!(parts.len(), 4 * 200_000);
    }
}

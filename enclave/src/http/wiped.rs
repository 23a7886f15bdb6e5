//! Bytes of requests and answers, which may hold secrets: wiped when they are dropped.

use std::mem;
use std::ops::Deref;

use zeroize::{Zeroizing, optimization_barrier};

/// Bytes that are wiped at once. [`Zeroizing`] writes each alone, which takes a microsecond for a
/// request with an attestation document.
#[derive(Default)]
pub(super) struct Wiped(Vec<u8>);

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Zeroizing<Vec<u8>>> for Wiped {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(mem::take(&mut bytes))
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Leaves nothing but zeros, in all that is allocated.
fn wipe(bytes: &mut Vec<u8>) {
    let capacity = bytes.capacity();
    bytes.fill(0);
    bytes.resize(capacity, 0);
    // The compiler must take the zeros for read, or could leave out what writes them.
    optimization_barrier(bytes.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_allocated_is_wiped() {
        for length in [0, 1, 7, 6500] {
            let mut bytes = vec![b'x'; length];
            bytes.reserve_exact(100);
            let (place, capacity) = (bytes.as_ptr(), bytes.capacity());
            bytes.truncate(length / 2);
            wipe(&mut bytes);
            assert_eq!(bytes, vec![0; capacity]);
            assert_eq!(bytes.as_ptr(), place, "in its place");
        }
    }
}

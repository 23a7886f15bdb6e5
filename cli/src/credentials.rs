//! The access key of the full-rights principal that `claviger dev` sets up.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use attestation::rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// An access key id and its secret, as `aws configure` takes them.
#[derive(Clone, Deserialize, Serialize)]
pub struct Credentials {
    /// `AKIA…`, 16 to 128 characters.
    pub access_key_id: String,
    /// The secret that signs requests.
    pub secret_access_key: Zeroizing<String>,
}

impl Credentials {
    /// Makes a new access key in AWS's shape: `AKIA` and 16 characters of
    /// base32, a secret of 40 characters of base64.
    pub fn generate(random: &mut dyn CryptoRng) -> Self {
        const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const BASE64: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Zeroizing::new([0_u8; 56]);
        random.fill_bytes(bytes.as_mut_slice());
        let (id, secret) = bytes.split_at(16);
        let access_key_id = "AKIA"
            .chars()
            .chain(
                id.iter()
                    .map(|byte| char::from(BASE32[usize::from(byte & 31)])),
            )
            .collect();
        let secret_access_key = Zeroizing::new(
            secret
                .iter()
                .map(|byte| char::from(BASE64[usize::from(byte & 63)]))
                .collect(),
        );
        Self {
            access_key_id,
            secret_access_key,
        }
    }

    /// Reads the access key kept at `path`, or makes one and keeps it there,
    /// readable by its owner only.
    ///
    /// # Errors
    /// When the file can be neither read nor written, or is not such a file.
    pub fn load_or_generate(path: &Path, random: &mut dyn CryptoRng) -> io::Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{}: {error}; remove the file to have a new one made",
                        path.display()
                    ),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::generate(random);
                write_private(path, &Zeroizing::new(serde_json::to_vec_pretty(&made)?))?;
                Ok(made)
            }
            Err(error) => Err(error),
        }
    }
}

/// Makes a folder, and those it is in, that only its owner may look into, unless it is there.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Writes `bytes` to `path` for its owner only, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Made with mode 0600, under a name that nobody has.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

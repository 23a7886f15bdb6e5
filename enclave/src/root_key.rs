//! The root key of a development enclave: a file in clear.
//!
//! The file also says whether a record store was ever made under the key. Without that, an empty
//! store could mean "new" as well as "lost", and an enclave that takes a lost store for a new one
//! answers every call as if its keys had never existed. The order of steps makes a crash between
//! any two of them harmless:
//!
//! 1. the key is made and kept, marked `"store": "none"`;
//! 2. the first transaction makes the store;
//! 3. the file is marked `"store": "made"`.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kms::state::RootKey;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::EnclaveError;

/// The file's content.
#[derive(Deserialize, Serialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Content {
    /// 64 hexadecimal digits.
    root_key: String,
    #[zeroize(skip)]
    store: StoreMark,
}

/// Whether a store was made under the key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoreMark {
    None,
    Made,
}

/// A root key kept in a file.
pub(crate) struct DevRootKey {
    path: PathBuf,
    bytes: Zeroizing<[u8; 32]>,
    mark: StoreMark,
}

impl DevRootKey {
    /// Reads the file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, EnclaveError> {
        let text = match fs::read(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file_error(path, source)),
        };
        let wrong = || EnclaveError::FileContent {
            path: path.to_owned(),
            what: "not a root key file of this program",
        };
        let content: Content = serde_json::from_slice(&text).map_err(|_| wrong())?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(content.root_key.as_bytes(), bytes.as_mut()).map_err(|_| wrong())?;
        Ok(Some(Self {
            path: path.to_owned(),
            bytes,
            mark: content.store,
        }))
    }

    /// Makes a new key and its file, which must not exist.
    pub(crate) fn generate(path: &Path, random: &mut dyn CryptoRng) -> Result<Self, EnclaveError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill_bytes(bytes.as_mut());
        let made = Self {
            path: path.to_owned(),
            bytes,
            mark: StoreMark::None,
        };
        made.write()?;
        Ok(made)
    }

    /// The key.
    pub(crate) fn key(&self) -> RootKey {
        RootKey::from_bytes(&self.bytes)
    }

    /// Whether a store was ever made under this key.
    pub(crate) fn has_made_store(&self) -> bool {
        self.mark == StoreMark::Made
    }

    /// Notes that a store was made under this key.
    pub(crate) fn mark_store_made(&mut self) -> Result<(), EnclaveError> {
        if self.mark == StoreMark::Made {
            return Ok(());
        }
        self.mark = StoreMark::Made;
        self.write()
    }

    /// Replaces the file as a whole, readable by its owner only.
    fn write(&self) -> Result<(), EnclaveError> {
        let content = Content {
            root_key: hex::encode(self.bytes.as_ref()),
            store: self.mark,
        };
        let mut text = Zeroizing::new(Vec::with_capacity(256));
        let written = serde_json::to_writer_pretty(&mut *text, &content).map_err(io::Error::from);
        written
            .and_then(|()| replace_private_file(&self.path, &text))
            .map_err(|source| file_error(&self.path, source))
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn replace_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A leftover of a crash might have a wider mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

/// An error with the file it is about.
pub(crate) fn file_error(path: &Path, source: io::Error) -> EnclaveError {
    EnclaveError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::random::{NSM_SEED_BYTES, Random};

    fn random() -> Random {
        Random::new(&[1; NSM_SEED_BYTES]).unwrap()
    }

    #[test]
    fn a_key_is_read_back_with_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root-key.json");
        assert!(DevRootKey::read(&path).unwrap().is_none());
        let mut made = DevRootKey::generate(&path, &mut random()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = DevRootKey::read(&path).unwrap().unwrap();
        assert_eq!((*read.bytes, read.has_made_store()), (*made.bytes, false));
        made.mark_store_made().unwrap();
        let read = DevRootKey::read(&path).unwrap().unwrap();
        assert_eq!((*read.bytes, read.has_made_store()), (*made.bytes, true));
    }

    #[test]
    fn a_file_that_is_no_key_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root-key.json");
        for text in [
            "",
            "{}",
            r#"{"root_key":"00","store":"none"}"#,
            &format!(r#"{{"root_key":"{}","store":"none"}}"#, "0".repeat(66)),
            &format!(r#"{{"root_key":"{}","store":"x"}}"#, "0".repeat(64)),
            &format!(r#"{{"root_key":"{}"}}"#, "0".repeat(64)),
        ] {
            fs::write(&path, text).unwrap();
            let error = DevRootKey::read(&path).err().unwrap();
            assert!(matches!(error, EnclaveError::FileContent { .. }), "{text}");
        }
    }
}

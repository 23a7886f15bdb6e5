//! Archives in the kernel's initramfs format: cpio, "newc".
//!
//! Everything that differs from one machine or day to another is left at zero: times, owners,
//! device numbers. Inode numbers count up, because the kernel takes equal ones for hard links.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use cpio::newc::{self, ModeFileType};

/// Archives end on a block, as GNU cpio's do.
const BLOCK: usize = 512;

/// An archive being put together.
#[derive(Clone, Debug, Default)]
pub struct Archive<'a> {
    entries: Vec<Entry<'a>>,
}

#[derive(Clone, Debug)]
struct Entry<'a> {
    name: String,
    /// Permission bits.
    mode: u32,
    /// `None` for a folder.
    content: Option<&'a [u8]>,
}

/// Why an archive can't be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The name is not that of a file below the root.
    #[error("{0:?} is not a name for an archive: give parts joined by /, without . or ..")]
    Name(String),
    /// The name is there already.
    #[error("{0:?} is in the archive twice")]
    Duplicate(String),
    /// The folder of an entry does not come before it; the kernel would leave the entry out.
    #[error("the folder of {0:?} has to come before it")]
    NoFolder(String),
    /// The file is larger than the format can say.
    #[error("{0:?} is larger than an archive can hold, 4 GiB")]
    TooLarge(String),
    /// More kernel modules than two digits can number.
    #[error("more than 100 kernel modules")]
    TooManyModules,
}

impl<'a> Archive<'a> {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder, `rwxr-xr-x`.
    #[must_use]
    pub fn directory(mut self, name: impl Into<String>) -> Self {
        self.entries.push(Entry {
            name: name.into(),
            mode: 0o755,
            content: None,
        });
        self
    }

    /// Adds a file with these permission bits.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, mode: u32, content: &'a [u8]) -> Self {
        self.entries.push(Entry {
            name: name.into(),
            mode: mode & 0o7777,
            content: Some(content),
        });
        self
    }

    /// The archive's bytes: a function of what was added, in which order, and of nothing else.
    ///
    /// # Errors
    ///
    /// If a name is malformed or there twice, a folder is missing, or a file too large.
    pub fn finish(self) -> Result<Vec<u8>, ArchiveError> {
        let mut names = BTreeSet::new();
        let mut folders = BTreeSet::new();
        let mut bytes = Vec::new();
        for (entry, inode) in self.entries.into_iter().zip(1..) {
            if !is_name(&entry.name) {
                return Err(ArchiveError::Name(entry.name));
            }
            if names.contains(&entry.name) {
                return Err(ArchiveError::Duplicate(entry.name));
            }
            let folder = entry.name.rsplit_once('/').map(|(folder, _)| folder);
            if folder.is_some_and(|folder| !folders.contains(folder)) {
                return Err(ArchiveError::NoFolder(entry.name));
            }
            let Ok(size) = u32::try_from(entry.content.map_or(0, <[u8]>::len)) else {
                return Err(ArchiveError::TooLarge(entry.name));
            };
            entry
                .write(inode, size, &mut bytes)
                .unwrap_or_else(|_| unreachable!("memory takes what is written to it"));
            if entry.content.is_none() {
                folders.insert(entry.name.clone());
            }
            names.insert(entry.name);
        }
        let mut bytes =
            newc::trailer(bytes).unwrap_or_else(|_| unreachable!("memory takes the trailer too"));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        Ok(bytes)
    }
}

impl Entry<'_> {
    fn write(&self, inode: u32, size: u32, bytes: &mut Vec<u8>) -> io::Result<()> {
        let (kind, links) = match self.content {
            Some(_) => (ModeFileType::Regular, 1),
            None => (ModeFileType::Directory, 2),
        };
        let header = newc::Builder::new(&self.name)
            .ino(inode)
            .nlink(links)
            .mode(self.mode)
            .set_mode_file_type(kind);
        // One entry at a time, because padding is counted from the start of what is written to.
        let mut writer = header.write(Vec::new(), size);
        writer.write_all(self.content.unwrap_or_default())?;
        bytes.extend(writer.finish()?);
        Ok(())
    }
}

/// Whether a name is relative, without empty parts, `.`, `..` and NUL, and not the trailer's.
fn is_name(name: &str) -> bool {
    name != "TRAILER!!!"
        && !name.contains('\0')
        && name.len() < 4096
        && name
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() < 256)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let bytes = Archive::new()
            .directory("etc")
            .file("etc/a", 0o644, b"12345")
            .file("init", 0o755, b"")
            .finish()
            .unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            let entry = reader.entry();
            let unchanging = [
                entry.uid(),
                entry.gid(),
                entry.mtime(),
                entry.dev_major(),
                entry.dev_minor(),
            ];
            assert_eq!(unchanging, [0; 5]);
            seen.push((
                entry.name().to_owned(),
                entry.ino(),
                entry.mode(),
                entry.nlink(),
                content,
            ));
            rest = reader.finish().unwrap();
        }
        assert_eq!(
            seen,
            [
                ("etc".to_owned(), 1, 0o040_755, 2, Vec::new()),
                ("etc/a".to_owned(), 2, 0o100_644, 1, b"12345".to_vec()),
                ("init".to_owned(), 3, 0o100_755, 1, Vec::new()),
            ]
        );
    }

    #[test]
    fn what_the_kernel_would_not_unpack_is_refused() {
        for name in [
            "",
            "/init",
            "a/",
            "a//b",
            "./a",
            "a/../b",
            "a\0b",
            "TRAILER!!!",
        ] {
            let made = Archive::new().file(name, 0o644, b"").finish();
            assert_eq!(made, Err(ArchiveError::Name(name.to_owned())));
        }
        let made = Archive::new().file("a", 0, b"").directory("a").finish();
        assert_eq!(made, Err(ArchiveError::Duplicate("a".to_owned())));
        let made = Archive::new()
            .file("a", 0, b"")
            .file("a/b", 0, b"")
            .finish();
        assert_eq!(made, Err(ArchiveError::NoFolder("a/b".to_owned())));
    }
}

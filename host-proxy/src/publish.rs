//! Files that the enclave wants everyone to be able to read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use link::PublicFile;

/// Writes `bytes` to the file's place in `folder`, replacing an older one
/// whole: a reader sees the one or the other, also after a crash.
pub(crate) fn publish(folder: &Path, file: PublicFile, bytes: &[u8]) -> io::Result<()> {
    let target = folder.join(file.name());
    let draft = folder.join(format!(".{}.new", file.name()));
    let mut writer = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&draft)?;
    writer.write_all(bytes)?;
    writer.sync_all()?;
    fs::rename(&draft, &target)?;
    File::open(folder)?.sync_all()?;
    tracing::info!(file = file.name(), "published");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_everyone_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        publish(
            folder.path(),
            PublicFile::CaCertificate,
            b"a longer first one",
        )
        .unwrap();
        publish(folder.path(), PublicFile::CaCertificate, b"second").unwrap();
        let path = folder.path().join("ca.pem");
        assert_eq!(fs::read(&path).unwrap(), b"second");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o444, 0o444);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

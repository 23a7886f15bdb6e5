//! `claviger backup` and `claviger restore`: a host's sealed records in one file.
//!
//! Neither knows a key. What a backup is worth, only an enclave with its root key can tell; what is
//! checked here is that the file is whole.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use host_proxy::Backup;
use kms::state::{RootKeyId, head_sequence};

use crate::Failure;
use crate::screen::print;

/// Options of `claviger backup`.
#[derive(Args)]
pub struct BackupOptions {
    /// The host proxy's data folder, whether it runs or not
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file to write, which must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Options of `claviger restore`.
#[derive(Args)]
pub struct RestoreOptions {
    /// The backup
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// The data folder of a host proxy that has not been started yet
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Writes a backup, reads it once more, and gives it its name.
///
/// # Errors
/// When there is no record store, it can't be read, or the file can't be written or exists.
pub fn back_up(options: BackupOptions) -> Result<(), Failure> {
    let out = &options.out;
    let failed = |error: io::Error| format!("{}: {error}", out.display());
    if out.try_exists().map_err(failed)? {
        return Err(format!("{}: there is such a file already", out.display()).into());
    }
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Made with mode 0600, and gone if anything fails.
    let draft = tempfile::Builder::new()
        .prefix(".backup-")
        .tempfile_in(folder);
    let draft = draft.map_err(failed)?;
    host_proxy::back_up(&options.data, Shown::new("written", draft.as_file()))?;
    draft.as_file().sync_all().map_err(failed)?;
    let backup = host_proxy::check(Shown::new("checked", draft.reopen().map_err(failed)?))?;
    draft
        .persist_noclobber(out)
        .map_err(|refused| failed(refused.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    print(&told("backup  ", out, &backup))?;
    Ok(())
}

/// Makes the record store of a new host.
///
/// # Errors
/// When the backup is not whole, the folder has a record store, or it can't be written.
pub fn restore(options: RestoreOptions) -> Result<(), Failure> {
    let RestoreOptions { backup, data } = options;
    let file = File::open(&backup).map_err(|error| format!("{}: {error}", backup.display()))?;
    let restored = host_proxy::restore(Shown::new("read", file), &data)?;
    print(&told("restored", &data, &restored))?;
    Ok(())
}

/// What tells one backup from another.
fn told(done: &str, place: &Path, backup: &Backup) -> String {
    let root_key = RootKeyId::of_head(&backup.head);
    let root_key = root_key.map_or("unknown".to_owned(), |id| id.to_string());
    let commit = head_sequence(&backup.head);
    let commit = commit.map_or("unknown".to_owned(), |number| number.to_string());
    format!(
        "{done} {}\nrecords  {}\ncommit   {commit}\nroot key {root_key}\n",
        place.display(),
        backup.records
    )
}

/// A file that says on a terminal how far it was read or written.
struct Shown<F> {
    file: F,
    what: &'static str,
    bytes: u64,
    /// When to say it next; never if nobody looks.
    next: Option<Instant>,
}

impl<F> Shown<F> {
    const PAUSE: Duration = Duration::from_millis(200);

    fn new(what: &'static str, file: F) -> Self {
        Self {
            file,
            what,
            bytes: 0,
            next: io::stderr()
                .is_terminal()
                .then(|| Instant::now() + Self::PAUSE),
        }
    }

    fn went_on(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.next.is_some_and(|next| Instant::now() >= next) {
            self.next = Some(Instant::now() + Self::PAUSE);
            eprint!("\r{:>8} MiB {}", self.bytes >> 20, self.what);
        }
    }
}

impl<F> Drop for Shown<F> {
    fn drop(&mut self) {
        if self.next.is_some() {
            // Blanks out the line, for what comes after.
            eprint!("\r{:40}\r", "");
        }
    }
}

impl<F: Read> Read for Shown<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.went_on(read);
        Ok(read)
    }
}

impl<F: Write> Write for Shown<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.went_on(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Seek> Seek for Shown<F> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.bytes = 0;
        self.file.seek(position)
    }
}

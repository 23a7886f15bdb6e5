//! The files of the audit trail.
//!
//! `events.jsonl` is written to; when it has reached its size it becomes
//! `events-00000001.jsonl`, the next one `events-00000002.jsonl`, and so on.
//! `torn.jsonl` keeps the beginnings of lines that a crash cut off.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::metrics::Metrics;

const CURRENT: &str = "events.jsonl";
const TORN: &str = "torn.jsonl";

/// How large the audit trail may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A file of this size is closed and a new one begun.
    pub(crate) rotate_bytes: u64,
    /// How many closed files are kept; `None` for all.
    pub(crate) keep: Option<usize>,
}

/// The file being written, and those before it.
pub(crate) struct AuditFile {
    folder: PathBuf,
    limits: Limits,
    metrics: Arc<Metrics>,
    /// `None` after an error: the next append opens the file anew.
    current: Option<Current>,
}

struct Current {
    file: File,
    length: u64,
}

impl AuditFile {
    /// Opens the trail in `folder`, making both if need be, and repairs the
    /// end of the last file.
    pub(crate) fn open(folder: &Path, limits: Limits, metrics: Arc<Metrics>) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut trail = Self {
            folder: folder.to_owned(),
            limits,
            metrics,
            current: None,
        };
        trail.current = Some(trail.open_current()?);
        Ok(trail)
    }

    /// Appends `lines`, each ending in a line feed, and waits until they are
    /// on stable storage.
    ///
    /// After an error some of them may be in the file; the caller appends all
    /// of them again, so a reader may see an event twice (it has an id) but
    /// never misses one.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = self.try_append(lines);
        if result.is_err() {
            // A failed write may leave part of a line, and after a failed sync
            // the kernel may have forgotten what it could not write. Opening
            // the file anew repairs the former; writing again the latter.
            self.current = None;
        }
        result
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.open_current()?,
        };
        if current.length >= self.limits.rotate_bytes {
            drop(current);
            self.rotate()?;
            current = self.open_current()?;
        }
        if let Err(error) = current.file.write_all(lines) {
            // So that a line which will be written again is not found torn.
            let _ = current.file.set_len(current.length);
            return Err(error);
        }
        current.file.sync_data()?;
        current.length += lines.len() as u64;
        self.current = Some(current);
        Ok(())
    }

    fn open_current(&self) -> io::Result<Current> {
        let path = self.folder.join(CURRENT);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        File::open(&self.folder)?.sync_all()?;
        let length = self.repair(&mut file)?;
        Ok(Current { file, length })
    }

    /// Makes the file end with a whole line; returns its length.
    ///
    /// A last line without its line feed gets it when it is a whole JSON text.
    /// Otherwise it moves to `torn.jsonl`, so that every line of the trail can
    /// be read. It was never acknowledged: the enclave sends it again.
    fn repair(&self, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        let torn = last_line(file, length)?;
        if torn.is_empty() {
            return Ok(length);
        }
        let whole = serde_json::from_slice::<serde_json::Value>(&torn).is_ok();
        tracing::warn!(
            bytes = torn.len(),
            whole,
            "the last line of the audit trail was torn"
        );
        let length = if whole {
            file.write_all(b"\n")?;
            length + 1
        } else {
            let mut aside = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(self.folder.join(TORN))?;
            aside.write_all(&[&torn, &b"\n"[..]].concat())?;
            aside.sync_all()?;
            let whole_lines = length - torn.len() as u64;
            file.set_len(whole_lines)?;
            whole_lines
        };
        file.sync_all()?;
        self.metrics.audit_torn.inc();
        Ok(length)
    }

    /// Gives the current file its final name.
    fn rotate(&self) -> io::Result<()> {
        let closed = self.closed_files()?;
        let next = closed.last().map_or(1, |(sequence, _)| sequence + 1);
        let name = format!("events-{next:08}.jsonl");
        fs::rename(self.folder.join(CURRENT), self.folder.join(&name))?;
        File::open(&self.folder)?.sync_all()?;
        self.metrics.audit_rotations.inc();
        tracing::info!(file = name, "audit file closed");
        if let Some(keep) = self.limits.keep {
            let surplus = (closed.len() + 1).saturating_sub(keep);
            for (_, path) in closed.iter().take(surplus) {
                self.remove(path);
            }
        }
        Ok(())
    }

    /// Removes an old file, as the operator asked. Failing to do so is no
    /// reason to stop writing.
    fn remove(&self, path: &Path) {
        match fs::remove_file(path) {
            Ok(()) => {
                self.metrics.audit_removed.inc();
                tracing::info!(file = %path.display(), "old audit file removed, as configured");
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "old audit file not removed");
            }
        }
    }

    /// The closed files with their sequence numbers, ascending.
    fn closed_files(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if let Some(sequence) = sequence_of(&path) {
                files.push((sequence, path));
            }
        }
        files.sort();
        Ok(files)
    }
}

fn sequence_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("events-")?
        .strip_suffix(".jsonl")?
        .parse()
        .ok()
}

/// What follows the last line feed of a file of `length` bytes.
fn last_line(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut start = length;
    let mut tail = Vec::new();
    while start > 0 {
        let step = start.min(64 * 1024);
        start -= step;
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        file.take(step).read_to_end(&mut piece)?;
        if let Some(feed) = piece.iter().rposition(|&byte| byte == b'\n') {
            tail.splice(..0, piece.drain(feed + 1..));
            break;
        }
        tail.splice(..0, piece);
    }
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const ALL: Limits = Limits {
        rotate_bytes: 1 << 30,
        keep: None,
    };

    struct Trail {
        _folder: tempfile::TempDir,
        path: PathBuf,
        metrics: Arc<Metrics>,
    }

    impl Trail {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                path: folder.path().join("audit"),
                _folder: folder,
                metrics: Arc::new(Metrics::new()),
            }
        }

        fn open(&self, limits: Limits) -> AuditFile {
            AuditFile::open(&self.path, limits, Arc::clone(&self.metrics)).unwrap()
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path.join(name)).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(&self.path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn lines_are_appended_across_restarts_and_only_the_owner_reads_them() {
        let trail = Trail::new();
        trail.open(ALL).append(b"{\"n\":1}\n{\"n\":2}\n").unwrap();
        trail.open(ALL).append(b"{\"n\":3}\n").unwrap();
        assert_eq!(trail.read(CURRENT), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        assert_eq!(trail.metrics.audit_torn.get(), 0);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&trail.path), 0o700);
        assert_eq!(mode(&trail.path.join(CURRENT)), 0o600);
    }

    #[test]
    fn a_full_file_is_closed_and_numbered_on_from_what_is_there() {
        let trail = Trail::new();
        let limits = Limits {
            rotate_bytes: 16,
            keep: None,
        };
        let mut file = trail.open(limits);
        for n in 0..5 {
            file.append(format!("{{\"n\":{n}}}\n").as_bytes()).unwrap();
        }
        drop(file);
        trail.open(limits).append(b"{\"n\":5}\n").unwrap();
        trail.open(limits).append(b"{\"n\":6}\n").unwrap();
        assert_eq!(
            trail.names(),
            [
                "events-00000001.jsonl",
                "events-00000002.jsonl",
                "events-00000003.jsonl",
                CURRENT
            ]
        );
        assert_eq!(
            trail.read("events-00000001.jsonl"),
            "{\"n\":0}\n{\"n\":1}\n"
        );
        assert_eq!(
            trail.read("events-00000003.jsonl"),
            "{\"n\":4}\n{\"n\":5}\n"
        );
        assert_eq!(trail.read(CURRENT), "{\"n\":6}\n");
        assert_eq!(trail.metrics.audit_rotations.get(), 3);
        assert_eq!(trail.metrics.audit_removed.get(), 0);
    }

    #[test]
    fn only_as_many_closed_files_are_kept_as_the_operator_wants() {
        let trail = Trail::new();
        let mut file = trail.open(Limits {
            rotate_bytes: 1,
            keep: Some(2),
        });
        for n in 0..6 {
            file.append(format!("{n}\n").as_bytes()).unwrap();
        }
        assert_eq!(
            trail.names(),
            ["events-00000004.jsonl", "events-00000005.jsonl", CURRENT]
        );
        assert_eq!(trail.metrics.audit_removed.get(), 3);
    }

    #[test]
    fn a_torn_line_is_set_aside_and_counted() {
        for whole_lines in ["", "{\"n\":1}\n"] {
            let trail = Trail::new();
            drop(trail.open(ALL));
            let torn = format!("{{\"n\":\"{}", "x".repeat(200_000));
            fs::write(trail.path.join(CURRENT), format!("{whole_lines}{torn}")).unwrap();
            trail.open(ALL).append(b"{\"n\":2}\n").unwrap();
            assert_eq!(trail.read(CURRENT), format!("{whole_lines}{{\"n\":2}}\n"));
            assert_eq!(trail.read(TORN), format!("{torn}\n"));
            assert_eq!(trail.metrics.audit_torn.get(), 1);
        }
    }

    #[test]
    fn a_whole_line_that_lacks_its_feed_gets_it() {
        let trail = Trail::new();
        drop(trail.open(ALL));
        fs::write(trail.path.join(CURRENT), "{\"n\":1}\n{\"n\":2}").unwrap();
        trail.open(ALL).append(b"{\"n\":3}\n").unwrap();
        assert_eq!(trail.read(CURRENT), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        assert!(!trail.path.join(TORN).exists());
        assert_eq!(trail.metrics.audit_torn.get(), 1);
    }

    #[test]
    fn a_full_disk_is_an_error_and_writing_goes_on_when_there_is_room() {
        let trail = Trail::new();
        drop(trail.open(ALL));
        let current = trail.path.join(CURRENT);
        fs::remove_file(&current).unwrap();
        symlink("/dev/full", &current).unwrap();
        let mut file = trail.open(ALL);
        for _ in 0..2 {
            let full = file.append(b"{\"n\":1}\n").unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        }
        fs::remove_file(&current).unwrap();
        file.append(b"{\"n\":1}\n").unwrap();
        assert_eq!(trail.read(CURRENT), "{\"n\":1}\n");
    }
}

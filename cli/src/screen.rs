//! How the demo and documents look on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _, stdout};

/// Writes to standard output at once. Unlike `print!` it does not panic when nobody reads any more,
/// as in `claviger demo | head`.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Emphasis, for terminals only.
pub(crate) struct Style {
    enabled: bool,
}

impl Style {
    /// Colours when standard output is a terminal that wants them.
    pub(crate) fn detect() -> Self {
        let enabled = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { enabled }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.enabled {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn title(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// The first `limit` bytes in hexadecimal, and how many there are.
pub(crate) fn excerpt(bytes: &[u8], limit: usize) -> String {
    let shown = hex::encode(bytes.get(..limit).unwrap_or(bytes));
    let dots = if bytes.len() > limit { "..." } else { "" };
    format!("{shown}{dots} ({} bytes)", bytes.len())
}

/// Sixteen bytes a line, with their characters beside them.
pub(crate) fn dump(bytes: &[u8], lines: usize, indent: &str) -> String {
    let mut text = String::new();
    for (index, chunk) in bytes.chunks(16).take(lines).enumerate() {
        let characters: String = chunk
            .iter()
            .map(|byte| {
                if byte.is_ascii_graphic() {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        let pairs: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{indent}{:04x}  {:<47}  {characters}",
            index * 16,
            pairs.join(" ")
        );
    }
    if bytes.len() > lines * 16 {
        let _ = writeln!(text, "{indent}...   {} bytes in all", bytes.len());
    }
    text
}

//! Writing a JSON object into one buffer of exactly the right size.
//!
//! A response may carry plaintext, and a buffer that grows leaves what it held behind in freed
//! memory. So every object is written twice: once to count its bytes, once into a buffer that will
//! not move and is wiped when dropped.

use std::fmt::{self, Display, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use attestation::Timestamp;

/// Writes an object whose members `write` names; it must name the same each time it is called.
pub(super) fn object(write: impl Fn(&mut Object<'_>)) -> Zeroizing<Vec<u8>> {
    let mut out = Out::default();
    Object::write(&mut out, &write);
    let buffer = Zeroizing::new(Vec::with_capacity(out.length));
    let mut out = Out {
        length: 0,
        buffer: Some(buffer),
    };
    Object::write(&mut out, &write);
    out.buffer.unwrap_or_default()
}

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Out,
    has_members: bool,
}

impl Object<'_> {
    fn write(out: &mut Out, write: impl FnOnce(&mut Object<'_>)) {
        out.push(b"{");
        write(&mut Object {
            out,
            has_members: false,
        });
        out.push(b"}");
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.out.push_text(text);
    }

    /// Something whose text is plain ASCII that needs no escapes: ids, numbers of accounts.
    pub(super) fn display(&mut self, name: &str, value: impl Display) {
        self.name(name);
        self.out.push_display(format_args!("\"{value}\""));
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str, number: u16) {
        self.name(name);
        self.out.push_display(number);
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.out.push_display(flag);
    }

    /// A time: seconds since the Unix epoch, with milliseconds as a fraction.
    pub(super) fn time(&mut self, name: &str, time: Timestamp) {
        self.name(name);
        let (seconds, milliseconds) = (time.as_secs(), time.as_millis() % 1000);
        self.out
            .push_display(format_args!("{seconds}.{milliseconds:03}"));
    }

    /// Bytes, in padded base64.
    pub(super) fn blob(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        self.out.push(b"\"");
        self.out.push_base64(bytes);
        self.out.push(b"\"");
    }

    /// A list of texts that need no escapes.
    pub(super) fn names(&mut self, name: &str, names: impl Iterator<Item = &'static str>) {
        self.list(name, names, |out, name| out.push_text(name));
    }

    /// A structure.
    pub(super) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        Object::write(self.out, write);
    }

    /// A list of structures.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Object<'_>, T),
    ) {
        self.list(name, items, |out, item| {
            Object::write(out, |object| write(object, item));
        });
    }

    fn list<T>(&mut self, name: &str, items: impl Iterator<Item = T>, write: impl Fn(&mut Out, T)) {
        self.name(name);
        self.out.push(b"[");
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b",");
            }
            write(self.out, item);
        }
        self.out.push(b"]");
    }

    fn name(&mut self, name: &str) {
        if self.has_members {
            self.out.push(b",");
        }
        self.has_members = true;
        // Names are plain.
        self.out.push(b"\"");
        self.out.push(name.as_bytes());
        self.out.push(b"\":");
    }
}

/// Where the bytes go: nowhere while they are counted, then into the buffer.
#[derive(Default)]
struct Out {
    length: usize,
    buffer: Option<Zeroizing<Vec<u8>>>,
}

impl Out {
    fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        if let Some(buffer) = &mut self.buffer {
            buffer.extend_from_slice(bytes);
        }
    }

    fn push_display(&mut self, value: impl Display) {
        // Writing to memory can't fail.
        let _ = write!(self, "{value}");
    }

    fn push_base64(&mut self, bytes: &[u8]) {
        let length = bytes.len().div_ceil(3) * 4;
        self.length += length;
        if let Some(buffer) = &mut self.buffer {
            let start = buffer.len();
            buffer.resize(start + length, 0);
            if let Some(place) = buffer.get_mut(start..) {
                // The place is as long as the encoding.
                let _ = BASE64.encode_slice(bytes, place);
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        self.push(b"\"");
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            // All bytes that are escaped are characters of their own.
            self.push(text.as_bytes().get(plain..at).unwrap_or_default());
            plain = at + 1;
            match byte {
                b'"' => self.push(b"\\\""),
                b'\\' => self.push(b"\\\\"),
                control => self.push_display(format_args!("\\u{control:04x}")),
            }
        }
        self.push(text.as_bytes().get(plain..).unwrap_or_default());
        self.push(b"\"");
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_are_json_without_blanks() {
        let time = Timestamp::from_millis(1_700_000_000_023);
        let body = object(|o| {
            o.text("A", "a\"\\\n\0/é🔑\u{7f}");
            o.display("B", 12);
            o.number("C", 1024);
            o.flag("D", true);
            o.time("E", time);
            o.blob("F", b"\xfb\xff");
            o.blob("G", b"");
            o.names("H", ["x", "y"].into_iter());
            o.object("I", |_| ());
            o.objects("J", [1, 2].into_iter(), |o, n| o.number("N", n));
        });
        let expected = r#"{"A":"a\"\\\u000a\u0000/é🔑","B":"12","C":1024,"D":true,"E":1700000000.023,"F":"+/8=","G":"","H":["x","y"],"I":{},"J":[{"N":1},{"N":2}]}"#;
        let expected = expected.replace("🔑", "🔑\u{7f}");
        assert_eq!(std::str::from_utf8(&body), Ok(expected.as_str()));
        assert_eq!(object(|_| ()).as_slice(), b"{}");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_the_buffer_never_grew(
            text in any::<String>(),
            blob in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = object(|o| {
                o.text("Text", &text);
                o.blob("Blob", &blob);
            });
            prop_assert_eq!(body.len(), body.capacity());
            let read: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            prop_assert_eq!(read["Text"].as_str(), Some(text.as_str()));
            let decoded = BASE64.decode(read["Blob"].as_str().expect("a text")).expect("base64");
            prop_assert_eq!(decoded, blob);
        }
    }
}

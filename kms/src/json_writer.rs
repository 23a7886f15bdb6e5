//! Writing a JSON object, member by member.
//!
//! A response may carry plaintext, and a buffer that grows leaves what it held behind in freed
//! memory. So a response is written twice: once to count its bytes, once into a buffer that will
//! not move and is wiped when dropped ([`object`]). What is public needs no such care ([`append`]).

use std::fmt::{self, Display};
use std::io;

use base64::Engine;
use serde::Serialize;
use zeroize::Zeroizing;

use attestation::Timestamp;

use crate::blob::BASE64;

/// Writes an object whose members `write` names; it must name the same each time it is called.
pub(crate) fn object(write: impl Fn(&mut Object<'_>)) -> Zeroizing<Vec<u8>> {
    let mut length = 0;
    Object::write(Out::Count(&mut length), &write);
    let mut buffer = Zeroizing::new(Vec::with_capacity(length));
    append(&mut buffer, write);
    buffer
}

/// Appends an object to a buffer that may grow.
pub(crate) fn append(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
    Object::write(Out::Buffer(buffer), write);
}

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: Out<'o>,
    has_members: bool,
}

impl<'o> Object<'o> {
    fn write(mut out: Out<'o>, write: impl FnOnce(&mut Self)) {
        out.push(b"{");
        let mut object = Self {
            out,
            has_members: false,
        };
        write(&mut object);
        object.out.push(b"}");
    }
}

impl Object<'_> {
    /// A text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.out.push_text(text);
    }

    /// Something whose text is plain ASCII that needs no escapes: ids, numbers of accounts.
    pub(crate) fn display(&mut self, name: &str, value: impl Display) {
        self.name(name);
        self.out.push_display(format_args!("\"{value}\""));
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.name(name);
        self.out.push_display(number.into());
    }

    /// A yes or no.
    pub(crate) fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.out.push(if flag { b"true" } else { b"false" });
    }

    /// Nothing.
    pub(crate) fn null(&mut self, name: &str) {
        self.name(name);
        self.out.push(b"null");
    }

    /// What is JSON already.
    pub(crate) fn json(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.push(json);
    }

    /// A value of any kind. It must be one that JSON can hold.
    pub(crate) fn value(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        // Writing to memory can't fail.
        let _ = serde_json::to_writer(&mut self.out, value);
    }

    /// A time: seconds since the Unix epoch, with milliseconds as a fraction.
    pub(crate) fn time(&mut self, name: &str, time: Timestamp) {
        self.name(name);
        let (seconds, milliseconds) = (time.as_secs(), time.as_millis() % 1000);
        self.out
            .push_display(format_args!("{seconds}.{milliseconds:03}"));
    }

    /// Bytes, in padded base64.
    pub(crate) fn blob(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        self.out.push(b"\"");
        self.out.push_base64(bytes);
        self.out.push(b"\"");
    }

    /// A list of texts that need no escapes.
    pub(crate) fn names(&mut self, name: &str, names: impl Iterator<Item = &'static str>) {
        self.list(name, names, |mut out, name| out.push_text(name));
    }

    /// A structure.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        Object::write(self.out.again(), write);
    }

    /// A list of structures.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Object<'_>, T),
    ) {
        self.list(name, items, |out, item| {
            Object::write(out, |object| write(object, item));
        });
    }

    fn list<T>(&mut self, name: &str, items: impl Iterator<Item = T>, write: impl Fn(Out<'_>, T)) {
        self.name(name);
        self.out.push(b"[");
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b",");
            }
            write(self.out.again(), item);
        }
        self.out.push(b"]");
    }

    /// A text under a name that somebody chose.
    pub(crate) fn entry(&mut self, name: &str, text: &str) {
        self.next();
        self.out.push_text(name);
        self.out.push(b":");
        self.out.push_text(text);
    }

    /// Names are plain, but for those of entries.
    fn name(&mut self, name: &str) {
        self.next();
        self.out.push(b"\"");
        self.out.push(name.as_bytes());
        self.out.push(b"\":");
    }

    fn next(&mut self) {
        if self.has_members {
            self.out.push(b",");
        }
        self.has_members = true;
    }
}

/// Where the bytes go.
enum Out<'o> {
    /// Nowhere: they are counted.
    Count(&'o mut usize),
    Buffer(&'o mut Vec<u8>),
}

impl Out<'_> {
    fn again(&mut self) -> Out<'_> {
        match self {
            Self::Count(length) => Out::Count(length),
            Self::Buffer(buffer) => Out::Buffer(buffer),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Count(length) => **length += bytes.len(),
            Self::Buffer(buffer) => buffer.extend_from_slice(bytes),
        }
    }

    fn push_display(&mut self, value: impl Display) {
        // Writing to memory can't fail.
        let _ = fmt::Write::write_fmt(self, format_args!("{value}"));
    }

    fn push_base64(&mut self, bytes: &[u8]) {
        let length = bytes.len().div_ceil(3) * 4;
        match self {
            Self::Count(counted) => **counted += length,
            Self::Buffer(buffer) => {
                let start = buffer.len();
                buffer.resize(start + length, 0);
                if let Some(place) = buffer.get_mut(start..) {
                    // The place is as long as the encoding.
                    let _ = BASE64.encode_slice(bytes, place);
                }
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        self.push(b"\"");
        let mut rest = text.as_bytes();
        if is_plain(rest) {
            self.push(rest);
            return self.push(b"\"");
        }
        while let Some((plain, from)) = rest.split_at_checked(plain_length(rest)) {
            self.push(plain);
            let Some((byte, after)) = from.split_first() else {
                break;
            };
            // All bytes that are escaped are characters of their own.
            match byte {
                b'"' => self.push(b"\\\""),
                b'\\' => self.push(b"\\\\"),
                control => self.push_display(format_args!("\\u{control:04x}")),
            }
            rest = after;
        }
        self.push(b"\"");
    }
}

/// Whether a text needs no escapes: sixteen bytes at a time, for which processors have instructions,
/// or eight. The last of them may be looked at twice.
fn is_plain(text: &[u8]) -> bool {
    match (text.last_chunk::<16>(), text.as_chunks::<16>().0) {
        (Some(last), blocks) => blocks.iter().all(are_plain) && are_plain(last),
        (None, _) => match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(first), Some(last)) => are_plain(first) && are_plain(last),
            _ => text.iter().all(byte_is_plain),
        },
    }
}

/// How many bytes at the start of a text need no escapes.
fn plain_length(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<16>();
    let start = blocks.iter().take_while(|block| are_plain(block)).count() * 16;
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte_is_plain(byte)).count()
}

/// Of all at once: it does not stop at the first that is not.
fn are_plain<const LENGTH: usize>(bytes: &[u8; LENGTH]) -> bool {
    let and = |plain, byte| plain & byte_is_plain(byte);
    bytes.iter().fold(true, and)
}

const fn byte_is_plain(byte: &u8) -> bool {
    (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\')
}

impl fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
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
            o.number("C", 1024u16);
            o.flag("D", true);
            o.time("E", time);
            o.blob("F", b"\xfb\xff");
            o.blob("G", b"");
            o.names("H", ["x", "y"].into_iter());
            o.object("I", |_| ());
            o.objects("J", [1u16, 2].into_iter(), |o, n| o.number("N", n));
            o.null("K");
            o.json("L", b"[0]");
            o.value("M", &["\""]);
        });
        let expected = r#"{"A":"a\"\\\u000a\u0000/é🔑","B":"12","C":1024,"D":true,"E":1700000000.023,"F":"+/8=","G":"","H":["x","y"],"I":{},"J":[{"N":1},{"N":2}],"K":null,"L":[0],"M":["\""]}"#;
        let expected = expected.replace("🔑", "🔑\u{7f}");
        assert_eq!(std::str::from_utf8(&body), Ok(expected.as_str()));
        assert_eq!(object(|_| ()).as_slice(), b"{}");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_the_buffer_never_grew(
            text in any::<String>(),
            // Long enough for many bytes at a time, and what is escaped anywhere among them.
            long in "[ -~]{0,40}[\"\\\\\n\u{1f}\u{20}é]?[ -~é]{0,40}",
            blob in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = object(|o| {
                o.text("Text", &text);
                o.entry(&text, &long);
                o.blob("Blob", &blob);
            });
            prop_assert_eq!(body.len(), body.capacity());
            let read: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            if text != "Text" && text != "Blob" {
                prop_assert_eq!(read["Text"].as_str(), Some(text.as_str()));
                prop_assert_eq!(read[&text].as_str(), Some(long.as_str()));
            }
            let decoded = BASE64.decode(read["Blob"].as_str().expect("a text")).expect("base64");
            prop_assert_eq!(decoded, blob);
        }
    }
}

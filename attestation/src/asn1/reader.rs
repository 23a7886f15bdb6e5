//! Reading BER: definite and indefinite lengths, one element at a time, without recursion.
//!
//! KMS writes its messages with indefinite lengths, which DER readers refuse. This reader accepts
//! both and leaves it to its caller to say what it wants to see.

use super::tag;

/// The deepest nesting of indefinite-length elements accepted. A message from KMS needs five.
const MAX_INDEFINITE_DEPTH: usize = 16;

/// What is wrong with the encoding itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BerError {
    /// The bytes end inside an element.
    #[error("the encoding is cut short")]
    Truncated,
    /// A tag of more than one byte, which nothing read here uses.
    #[error("a multi-byte tag")]
    LongTag,
    /// A length of length that is reserved, or more than four bytes.
    #[error("a length field that can not be")]
    Length,
    /// Indefinite length on a primitive element (X.690 section 8.1.3.2).
    #[error("a primitive element of indefinite length")]
    IndefinitePrimitive,
    /// Indefinite-length elements nested too deep.
    #[error("nested too deep")]
    Depth,
    /// An end-of-contents mark where there is nothing to end.
    #[error("a stray end-of-contents mark")]
    StrayEnd,
    /// Another element than the one that belongs there.
    #[error("tag {found:#04x} where {expected:#04x} belongs")]
    Tag {
        /// The identifier octet that belongs there.
        expected: u8,
        /// The one that is there.
        found: u8,
    },
    /// Bytes follow where nothing should.
    #[error("bytes follow the last element")]
    TrailingBytes,
}

/// Elements in sequence.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The identifier octet of the next element, if there is one.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Tag and contents of the next element, whatever it is.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let header = Header::read(self.rest)?;
        if header.tag == tag::END_OF_CONTENTS {
            return Err(BerError::StrayEnd);
        }
        let body = self.rest.get(header.size..).ok_or(BerError::Truncated)?;
        let (length, end) = match header.length {
            Some(length) => (length, 0),
            None => (indefinite_length(body)?, END_SIZE),
        };
        let contents = body.get(..length).ok_or(BerError::Truncated)?;
        self.rest = body.get(length + end..).ok_or(BerError::Truncated)?;
        Ok((header.tag, contents))
    }

    /// The contents of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, expected: u8) -> Result<&'a [u8], BerError> {
        match self.peek() {
            Some(found) if found != expected => Err(BerError::Tag { expected, found }),
            _ => self.any().map(|(_tag, contents)| contents),
        }
    }

    /// A reader of what is inside the next element, which must have this tag.
    pub(crate) fn enter(&mut self, expected: u8) -> Result<Reader<'a>, BerError> {
        self.expect(expected).map(Reader::new)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), BerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BerError::TrailingBytes)
        }
    }
}

/// Size of the end-of-contents mark, `00 00`.
const END_SIZE: usize = 2;

/// Identifier and length octets.
struct Header {
    tag: u8,
    /// `None`: indefinite.
    length: Option<usize>,
    /// How many bytes the header itself takes.
    size: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, BerError> {
        let &[tag, first, ref more @ ..] = bytes else {
            return Err(BerError::Truncated);
        };
        if tag & 0x1f == 0x1f {
            return Err(BerError::LongTag);
        }
        let (length, size) = match first {
            0..=0x7f => (Some(usize::from(first)), 2),
            0x80 if tag & 0x20 == 0 => return Err(BerError::IndefinitePrimitive),
            0x80 => (None, 2),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let octets = more.get(..count).ok_or(BerError::Truncated)?;
                let length = octets
                    .iter()
                    .fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
                (Some(length), 2 + count)
            }
            _ => return Err(BerError::Length),
        };
        if tag == tag::END_OF_CONTENTS && length != Some(0) {
            return Err(BerError::StrayEnd);
        }
        Ok(Self { tag, length, size })
    }
}

/// How many bytes come before the end-of-contents mark that closes an element whose contents
/// start at the front of `body`.
fn indefinite_length(body: &[u8]) -> Result<usize, BerError> {
    let mut position = 0_usize;
    let mut depth = 1_usize;
    loop {
        let header = Header::read(body.get(position..).ok_or(BerError::Truncated)?)?;
        if header.tag == tag::END_OF_CONTENTS {
            depth -= 1;
            if depth == 0 {
                return Ok(position);
            }
        }
        position = position
            .checked_add(header.size)
            .and_then(|start| start.checked_add(header.length.unwrap_or(0)))
            .ok_or(BerError::Length)?;
        if header.length.is_none() {
            depth += 1;
            if depth > MAX_INDEFINITE_DEPTH {
                return Err(BerError::Depth);
            }
        }
    }
}

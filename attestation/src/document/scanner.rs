//! A strict walk over CBOR (RFC 8949).
//!
//! Refuses, wherever they stand, what no attestation document contains: indefinite-length
//! strings, tags, floating-point numbers, text that isn't UTF-8, deep nesting. Arrays and maps
//! may be of indefinite length: the NSM has sent its payload so since 2025.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

use super::DocumentError;

/// How many arrays and maps may be open at once, the payload's own map included.
const MAX_DEPTH: usize = 4;

/// A cursor over borrowed CBOR.
pub(super) struct Scanner<'a> {
    decoder: Decoder<'a>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            decoder: Decoder::new(bytes),
        }
    }

    /// How many bytes have not been read.
    pub(super) fn remaining(&self) -> usize {
        self.decoder
            .input()
            .len()
            .saturating_sub(self.decoder.position())
    }

    /// What the next item is, without reading it.
    pub(super) fn kind(&self) -> Result<Kind, DocumentError> {
        match self.decoder.datatype().map_err(malformed)? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => Ok(Kind::Unsigned),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => Ok(Kind::Negative),
            Type::Bytes => Ok(Kind::Bytes),
            Type::String => Ok(Kind::Text),
            Type::Array | Type::ArrayIndef => Ok(Kind::Array),
            Type::Map | Type::MapIndef => Ok(Kind::Map),
            Type::Null => Ok(Kind::Null),
            Type::Bool | Type::Undefined | Type::Simple => Ok(Kind::Simple),
            Type::BytesIndef | Type::StringIndef => Err(DocumentError::IndefiniteString),
            Type::F16 | Type::F32 | Type::F64 => Err(DocumentError::Float),
            Type::Tag => {
                let tag = self.decoder.clone().tag().map_err(malformed)?;
                Err(DocumentError::Tag(tag.as_u64()))
            }
            Type::Break | Type::Unknown(_) => Err(DocumentError::Malformed),
        }
    }

    /// Reads `tag` if it is what comes next.
    pub(super) fn skip_tag(&mut self, tag: u64) -> Result<(), DocumentError> {
        if self.kind() == Err(DocumentError::Tag(tag)) {
            self.decoder.tag().map_err(malformed)?;
        }
        Ok(())
    }

    /// Reads an unsigned integer.
    pub(super) fn unsigned(&mut self) -> Result<u64, DocumentError> {
        self.decoder.u64().map_err(malformed)
    }

    /// Reads a byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DocumentError> {
        self.decoder.bytes().map_err(malformed)
    }

    /// Reads what [`Scanner::kind`] said is a text string.
    pub(super) fn text(&mut self) -> Result<&'a str, DocumentError> {
        self.decoder.str().map_err(|error| {
            if error.is_end_of_input() {
                DocumentError::Truncated
            } else {
                DocumentError::InvalidUtf8
            }
        })
    }

    /// Reads null.
    pub(super) fn null(&mut self) -> Result<(), DocumentError> {
        self.decoder.null().map_err(malformed)
    }

    /// Enters an array; its items follow.
    pub(super) fn array(&mut self) -> Result<Items, DocumentError> {
        let left = self.decoder.array().map_err(malformed)?;
        Ok(Items { left })
    }

    /// Enters a map; its pairs follow.
    pub(super) fn map(&mut self) -> Result<Items, DocumentError> {
        let left = self.decoder.map().map_err(malformed)?;
        Ok(Items { left })
    }

    /// Whether another item (of an array) or pair (of a map) follows. At the end, leaves it.
    pub(super) fn more(&mut self, items: &mut Items) -> Result<bool, DocumentError> {
        match &mut items.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.decoder.datatype().map_err(malformed)? == Type::Break => {
                self.decoder.set_position(self.decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Reads one item of any kind, inside `depth` open arrays and maps, and forgets it.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), DocumentError> {
        match self.kind()? {
            kind @ (Kind::Array | Kind::Map) => {
                if depth >= MAX_DEPTH {
                    return Err(DocumentError::TooDeep);
                }
                let mut items = if kind == Kind::Array {
                    self.array()?
                } else {
                    self.map()?
                };
                while self.more(&mut items)? {
                    self.skip(depth + 1)?;
                    if kind == Kind::Map {
                        self.skip(depth + 1)?;
                    }
                }
                Ok(())
            }
            Kind::Text => self.text().map(drop),
            Kind::Bytes => self.bytes().map(drop),
            Kind::Unsigned | Kind::Negative => self.decoder.int().map(drop).map_err(malformed),
            Kind::Null => self.null(),
            Kind::Simple => self.simple(),
        }
    }

    fn simple(&mut self) -> Result<(), DocumentError> {
        match self.decoder.datatype().map_err(malformed)? {
            Type::Bool => self.decoder.bool().map(drop).map_err(malformed),
            Type::Undefined => self.decoder.undefined().map_err(malformed),
            _ => {
                let head = self.decoder.position();
                let value = self.decoder.simple().map_err(malformed)?;
                // Values below 32 have one encoding, in a single byte (RFC 8949 section 3.3).
                if value < 32 && self.decoder.position() - head > 1 {
                    return Err(DocumentError::Malformed);
                }
                Ok(())
            }
        }
    }
}

/// The kinds of item a document may contain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Array,
    Bytes,
    Map,
    Negative,
    Null,
    Simple,
    Text,
    Unsigned,
}

/// What is left of an array or map.
pub(super) struct Items {
    left: Option<u64>,
}

impl Items {
    /// How many items or pairs are left, if the array or map said how many it has.
    pub(super) fn definite(&self) -> Option<u64> {
        self.left
    }
}

fn malformed(error: Error) -> DocumentError {
    if error.is_end_of_input() {
        DocumentError::Truncated
    } else {
        DocumentError::Malformed
    }
}

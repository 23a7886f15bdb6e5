//! Writing CBOR items, honest ones and others.

/// Head of a map of indefinite length.
pub const INDEFINITE_MAP: u8 = 0xbf;
/// Head of an array of indefinite length.
pub const INDEFINITE_ARRAY: u8 = 0x9f;
/// Head of a byte string of indefinite length.
pub const INDEFINITE_BYTES: u8 = 0x5f;
/// End of an item of indefinite length.
pub const BREAK: u8 = 0xff;
/// null.
pub const NULL: u8 = 0xf6;

/// The major types of RFC 8949 section 3.1.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Major {
    /// A non-negative integer.
    Unsigned = 0,
    /// A negative integer.
    Negative = 1,
    /// A byte string.
    Bytes = 2,
    /// A text string.
    Text = 3,
    /// An array.
    Array = 4,
    /// A map.
    Map = 5,
    /// A tag on the item that follows.
    Tag = 6,
}

/// The head of an item with its argument in the shortest form.
pub fn head(major: Major, argument: u64) -> Vec<u8> {
    let kind = (major as u8) << 5;
    let bytes = argument.to_be_bytes();
    let [.., a, b, c, d] = bytes;
    match argument {
        0..=23 => vec![kind | d],
        24..=0xff => vec![kind | 24, d],
        0x100..=0xffff => vec![kind | 25, c, d],
        0x1_0000..=0xffff_ffff => vec![kind | 26, a, b, c, d],
        _ => [&[kind | 27], bytes.as_slice()].concat(),
    }
}

/// A non-negative integer.
pub fn unsigned(value: u64) -> Vec<u8> {
    head(Major::Unsigned, value)
}

/// A non-negative integer in the longest form, whatever its value.
pub fn unsigned_in_eight_bytes(value: u64) -> Vec<u8> {
    [&[0x1b], value.to_be_bytes().as_slice()].concat()
}

/// A byte string.
pub fn bytes(contents: &[u8]) -> Vec<u8> {
    [&head(Major::Bytes, contents.len() as u64), contents].concat()
}

/// A byte string, or null for none.
pub fn bytes_or_null(contents: Option<&[u8]>) -> Vec<u8> {
    contents.map_or_else(|| vec![NULL], bytes)
}

/// A text string.
pub fn text(contents: &str) -> Vec<u8> {
    let contents = contents.as_bytes();
    [&head(Major::Text, contents.len() as u64), contents].concat()
}

/// An array that says it has `length` items.
pub fn array(length: usize, items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = head(Major::Array, length as u64);
    out.extend(items.into_iter().flatten());
    out
}

/// A map that says it has `length` pairs; keys and values take turns in `items`.
pub fn map(length: usize, items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = head(Major::Map, length as u64);
    out.extend(items.into_iter().flatten());
    out
}

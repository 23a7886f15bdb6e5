//! Audit lines, kept as the file has them that they end up in.

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

use crate::MAX_LINES;

/// Texts without line breaks, joined: each ends in a line feed. On the wire it is a list of texts,
/// of at most [`MAX_LINES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    joined: String,
    /// Where each line ends, its line feed included.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds a line.
    pub fn push(&mut self, line: &str) {
        self.joined.push_str(line);
        self.joined.push('\n');
        self.ends.push(self.joined.len());
    }

    /// Adds lines at the end.
    pub fn append(&mut self, lines: &Self) {
        let start = self.joined.len();
        self.joined.push_str(&lines.joined);
        self.ends.extend(lines.ends.iter().map(|end| start + end));
    }

    /// Removes all lines, and keeps their room.
    pub fn clear(&mut self) {
        self.joined.clear();
        self.ends.clear();
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All lines, each with a line feed at its end.
    pub fn joined(&self) -> &str {
        &self.joined
    }

    /// The lines, without their line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| self.joined.get(start..end - 1).unwrap_or_default())
    }

    /// Whether there is a line break inside a line, which would make two of it.
    pub fn has_broken_lines(&self) -> bool {
        let joined = self.joined.as_bytes();
        memchr::memchr_iter(b'\n', joined).count() != self.len()
            || memchr::memchr(b'\r', joined).is_some()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Lines {
    fn from_iter<I: IntoIterator<Item = T>>(lines: I) -> Self {
        let mut joined = Self::default();
        for line in lines {
            joined.push(line.as_ref());
        }
        joined
    }
}

impl<C> Encode<C> for Lines {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(self.len() as u64)?;
        for line in self.iter() {
            e.str(line)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Lines {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let mut lines = Self::default();
        for line in d.array_iter()? {
            if lines.len() == MAX_LINES {
                return Err(decode::Error::message("too many lines"));
            }
            lines.push(line?);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_list_of_texts() {
        let texts = ["{}", "", "é"];
        let lines: Lines = texts.into_iter().collect();
        assert_eq!(lines.joined(), "{}\n\né\n");
        assert_eq!(lines.iter().collect::<Vec<_>>(), texts);
        let encoded = minicbor::to_vec(&lines).unwrap();
        assert_eq!(encoded, minicbor::to_vec(texts).unwrap());
        assert_eq!(minicbor::decode::<Lines>(&encoded).unwrap(), lines);
        let mut both = Lines::default();
        both.push("gone");
        both.clear();
        both.append(&lines);
        both.append(&lines);
        assert_eq!(both.iter().collect::<Vec<_>>(), [texts, texts].concat());
    }

    #[test]
    fn there_are_at_most_so_many() {
        let most = minicbor::to_vec(vec!["x"; MAX_LINES]).unwrap();
        assert_eq!(minicbor::decode::<Lines>(&most).unwrap().len(), MAX_LINES);
        let more = minicbor::to_vec(vec!["x"; MAX_LINES + 1]).unwrap();
        assert!(minicbor::decode::<Lines>(&more).is_err());
        assert!(minicbor::decode::<Lines>(&[0x61, b'x']).is_err(), "no list");
        assert!(
            minicbor::decode::<Lines>(&[0x81, 0x61, 0xff]).is_err(),
            "no UTF-8"
        );
    }

    #[test]
    fn a_line_break_within_a_line_is_noticed() {
        for (texts, broken) in [
            (["a", "b"], false),
            (["", ""], false),
            (["a\nb", "c"], true),
            (["a\n", "c"], true),
            (["a", "c\r"], true),
        ] {
            let lines: Lines = texts.into_iter().collect();
            assert_eq!(lines.has_broken_lines(), broken, "{texts:?}");
        }
    }
}

//! The file format, version 4 (and 3, which has no metadata).
//!
//! All numbers are big-endian. A header of 548 bytes names the sections' places; each section has a
//! header of 12 bytes of its own. The source of the layout is AWS's crate
//! aws-nitro-enclaves-image-format, `defs`.
//!
//! | bytes | header |
//! |---|---|
//! | 4 | `.eif` |
//! | 2 | version |
//! | 2 | flags: 1 for aarch64 |
//! | 8 | memory to start with by default, in bytes |
//! | 8 | processors to start with by default |
//! | 2 | zero |
//! | 2 | number of sections, at most 32 |
//! | 32 × 8 | where each section's header is, from the start of the file |
//! | 32 × 8 | size of each section without its header |
//! | 4 | zero |
//! | 4 | CRC-32 (IEEE) of the file without this field |
//!
//! | bytes | section |
//! |---|---|
//! | 2 | kind: 1 kernel, 2 command line, 3 ramdisk, 4 signature, 5 metadata |
//! | 2 | flags, zero |
//! | 8 | size |

use std::fmt;

use crate::metadata::Metadata;

mod reader;

/// The most sections that a file can have.
pub const MAX_SECTIONS: usize = 32;

/// Bytes of the file's header.
pub const HEADER_BYTES: usize = 548;

/// Bytes of a section's header.
pub const SECTION_HEADER_BYTES: usize = 12;

const MAGIC: [u8; 4] = *b".eif";
const AARCH64_FLAG: u16 = 1;
/// What the AWS builder writes; `nitro-cli run-enclave` is told by its own options.
const DEFAULT_MEMORY: u64 = 1 << 30;
const DEFAULT_PROCESSORS: u64 = 2;

/// The machine that an image is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit Arm.
    Aarch64,
    /// x86-64.
    X86_64,
}

/// What a section is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SectionKind {
    /// The kernel, a bzImage on x86-64.
    Kernel,
    /// The kernel's command line, without a final NUL.
    CommandLine,
    /// A ramdisk; the kernel unpacks them in their order.
    Ramdisk,
    /// A signature over PCR0, with its certificate.
    Signature,
    /// What the file says about itself; never measured.
    Metadata,
}

impl SectionKind {
    fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Kernel,
            2 => Self::CommandLine,
            3 => Self::Ramdisk,
            4 => Self::Signature,
            5 => Self::Metadata,
            _ => return None,
        })
    }

    fn number(self) -> u16 {
        match self {
            Self::Kernel => 1,
            Self::CommandLine => 2,
            Self::Ramdisk => 3,
            Self::Signature => 4,
            Self::Metadata => 5,
        }
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::CommandLine => "command line",
            Self::Ramdisk => "ramdisk",
            Self::Signature => "signature",
            Self::Metadata => "metadata",
        })
    }
}

/// Why a file is not an image, or an image can't be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EifError {
    /// The file does not begin with `.eif`.
    #[error("not an enclave image: it does not begin with .eif")]
    Magic,
    /// A version that is not read here.
    #[error("version {0} of the format: 3 and 4 are understood")]
    Version(u16),
    /// The file ends within its header or a section.
    #[error("the file ends too early")]
    Truncated,
    /// The file goes on after its last section.
    #[error("{0} bytes follow the last section")]
    Trailing(usize),
    /// More sections than the header has room for.
    #[error("{0} sections: there can be 32")]
    TooManySections(usize),
    /// A field that has to be zero is not, or a flag is unknown.
    #[error("{0} is set, which has no meaning")]
    Reserved(&'static str),
    /// A section's header is not where the one before it ends.
    #[error("section {section} is at {offset} where {expected} is the only place for it")]
    Offset {
        /// Which one, from 0.
        section: usize,
        /// What the header says, in bytes.
        offset: u64,
        /// Where the section before it ends, in bytes.
        expected: u64,
    },
    /// The file's header and the section's own differ about its size.
    #[error("section {section} has {own} bytes, but {listed} in the file's header")]
    Size {
        /// Which one, from 0.
        section: usize,
        /// What the section's header says.
        own: u64,
        /// What the file's header says.
        listed: u64,
    },
    /// A kind of section that does not exist.
    #[error("section {section} is of the unknown kind {kind}")]
    Kind {
        /// Which one, from 0.
        section: usize,
        /// Its number.
        kind: u16,
    },
    /// Sections are not kernel, command line, metadata, ramdisks, signature.
    #[error("section {section} is a {kind}, which can't be there")]
    Order {
        /// Which one, from 0.
        section: usize,
        /// What it is.
        kind: SectionKind,
    },
    /// A section that every image has is not there.
    #[error("there is no {0}")]
    Missing(SectionKind),
    /// The command line has a NUL, is too long for a kernel, or is no text.
    #[error("the command line has to be text of at most 2,047 bytes without NUL")]
    CommandLine,
    /// The checksum is wrong.
    #[error("the checksum is {computed:08x}, but {listed:08x} in the header: the file is damaged")]
    Checksum {
        /// That of the file.
        computed: u32,
        /// That in the header.
        listed: u32,
    },
}

/// An enclave image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Eif<'a> {
    architecture: Architecture,
    version: u16,
    default_memory: u64,
    default_processors: u64,
    kernel: &'a [u8],
    command_line: &'a str,
    metadata: Option<Vec<u8>>,
    ramdisks: Vec<&'a [u8]>,
    signature: Option<&'a [u8]>,
}

impl<'a> Eif<'a> {
    /// An image without a ramdisk, which has to follow.
    pub fn new(architecture: Architecture, kernel: &'a [u8], command_line: &'a str) -> Self {
        Self {
            architecture,
            version: 4,
            default_memory: DEFAULT_MEMORY,
            default_processors: DEFAULT_PROCESSORS,
            kernel,
            command_line,
            metadata: None,
            ramdisks: Vec::new(),
            signature: None,
        }
    }

    /// Says something about the image. `nitro-cli` expects it.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &Metadata) -> Self {
        self.metadata = Some(metadata.to_json());
        self
    }

    /// Adds a ramdisk. The first is measured as part of the machine, the others as its program.
    #[must_use]
    pub fn with_ramdisk(mut self, ramdisk: &'a [u8]) -> Self {
        self.ramdisks.push(ramdisk);
        self
    }

    /// The machine that it is for.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The kernel.
    pub fn kernel(&self) -> &'a [u8] {
        self.kernel
    }

    /// The kernel's command line.
    pub fn command_line(&self) -> &'a str {
        self.command_line
    }

    /// The metadata, in JSON if it is well-formed, which nothing here depends on.
    pub fn metadata(&self) -> Option<&[u8]> {
        self.metadata.as_deref()
    }

    /// The ramdisks, in their order.
    pub fn ramdisks(&self) -> &[&'a [u8]] {
        &self.ramdisks
    }

    /// The signature section, if the image is signed.
    pub fn signature(&self) -> Option<&'a [u8]> {
        self.signature
    }

    /// Reads a file.
    ///
    /// Of two programs that read one file, none may see another image than the other, so there is
    /// one form only: sections one after the other, without gaps, in the order of the AWS builder,
    /// and both headers agreeing. Nothing is copied or allocated by a size that the file claims,
    /// except its metadata, once that is known to be there.
    ///
    /// # Errors
    ///
    /// If the file is anything else than one whole image.
    pub fn parse(file: &'a [u8]) -> Result<Self, EifError> {
        reader::parse(file)
    }

    /// The file's bytes: a function of the image and of nothing else.
    ///
    /// # Errors
    ///
    /// If a section is missing, there are too many, or the command line is not one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EifError> {
        if self.kernel.is_empty() {
            return Err(EifError::Missing(SectionKind::Kernel));
        }
        if self.ramdisks.is_empty() {
            return Err(EifError::Missing(SectionKind::Ramdisk));
        }
        check_command_line(self.command_line)?;
        let sections: Vec<_> = self.sections().collect();
        if sections.len() > MAX_SECTIONS {
            return Err(EifError::TooManySections(sections.len()));
        }

        let mut body = Vec::new();
        let mut offsets = [0_u64; MAX_SECTIONS];
        let mut sizes = [0_u64; MAX_SECTIONS];
        for ((kind, content), (offset, size)) in
            sections.iter().zip(offsets.iter_mut().zip(&mut sizes))
        {
            *offset = wide(HEADER_BYTES + body.len());
            *size = wide(content.len());
            body.extend(kind.number().to_be_bytes());
            body.extend(0_u16.to_be_bytes());
            body.extend(size.to_be_bytes());
            body.extend(*content);
        }

        let flags = match self.architecture {
            Architecture::Aarch64 => AARCH64_FLAG,
            Architecture::X86_64 => 0,
        };
        let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
        file.extend(MAGIC);
        file.extend(self.version.to_be_bytes());
        file.extend(flags.to_be_bytes());
        file.extend(self.default_memory.to_be_bytes());
        file.extend(self.default_processors.to_be_bytes());
        file.extend(0_u16.to_be_bytes());
        // At most 32, as was just checked.
        file.extend(
            u16::try_from(sections.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        file.extend(
            offsets
                .iter()
                .chain(&sizes)
                .flat_map(|number| number.to_be_bytes()),
        );
        file.extend(0_u32.to_be_bytes());
        let checksum = checksum(&file, &body);
        file.extend(checksum.to_be_bytes());
        file.extend(body);
        Ok(file)
    }

    /// The sections in their order: that of `nitro-cli`.
    fn sections(&self) -> impl Iterator<Item = (SectionKind, &[u8])> {
        [
            (SectionKind::Kernel, self.kernel),
            (SectionKind::CommandLine, self.command_line.as_bytes()),
        ]
        .into_iter()
        .chain(
            self.metadata
                .iter()
                .map(|content| (SectionKind::Metadata, content.as_slice())),
        )
        .chain(
            self.ramdisks
                .iter()
                .map(|content| (SectionKind::Ramdisk, *content)),
        )
        .chain(
            self.signature
                .map(|content| (SectionKind::Signature, content)),
        )
    }
}

/// The longest command line of a kernel: `COMMAND_LINE_SIZE` is 2048 on both architectures, and
/// counts the final NUL.
fn check_command_line(text: &str) -> Result<(), EifError> {
    if text.len() < 2048 && !text.contains('\0') {
        Ok(())
    } else {
        Err(EifError::CommandLine)
    }
}

/// The checksum of the header, without its own field, and of what follows.
fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

/// A length as a number of the file.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

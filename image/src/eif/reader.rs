//! The strict reader.

use super::{
    AARCH64_FLAG, Architecture, Eif, EifError, HEADER_BYTES, MAGIC, MAX_SECTIONS,
    SECTION_HEADER_BYTES, SectionKind, check_command_line, checksum, wide,
};

/// Bytes of a header's last field, the checksum.
const CHECKSUM_BYTES: usize = 4;

pub(super) fn parse(file: &[u8]) -> Result<Eif<'_>, EifError> {
    if !file.starts_with(&MAGIC) {
        return Err(EifError::Magic);
    }
    let (header, body) = file
        .split_at_checked(HEADER_BYTES)
        .ok_or(EifError::Truncated)?;
    let header = Header::read(header)?;
    let mut image = Eif {
        architecture: header.architecture,
        version: header.version,
        default_memory: header.default_memory,
        default_processors: header.default_processors,
        kernel: &[],
        command_line: "",
        metadata: None,
        ramdisks: Vec::new(),
        signature: None,
    };
    let mut rest = body;
    for section in 0..header.sections {
        let expected = wide(file.len() - rest.len());
        if header.offsets[section] != expected {
            return Err(EifError::Offset {
                section,
                offset: header.offsets[section],
                expected,
            });
        }
        let (kind, content) = take_section(&mut rest, section, header.sizes[section])?;
        place(&mut image, section, kind, content)?;
    }
    if !rest.is_empty() {
        return Err(EifError::Trailing(rest.len()));
    }
    // Their places are fixed, so two sections are a kernel and a command line.
    if header.sections < 2 {
        return Err(EifError::Missing(match header.sections {
            0 => SectionKind::Kernel,
            _ => SectionKind::CommandLine,
        }));
    }
    if image.ramdisks.is_empty() {
        return Err(EifError::Missing(SectionKind::Ramdisk));
    }
    let computed = checksum(&file[..HEADER_BYTES - CHECKSUM_BYTES], body);
    if computed != header.checksum {
        return Err(EifError::Checksum {
            computed,
            listed: header.checksum,
        });
    }
    Ok(image)
}

/// The fields of the file's header.
struct Header {
    version: u16,
    architecture: Architecture,
    default_memory: u64,
    default_processors: u64,
    sections: usize,
    offsets: [u64; MAX_SECTIONS],
    sizes: [u64; MAX_SECTIONS],
    checksum: u32,
}

impl Header {
    /// Reads a header whose magic has been seen.
    fn read(header: &[u8]) -> Result<Self, EifError> {
        let mut fields = Fields(&header[MAGIC.len()..]);
        let version = fields.u16()?;
        if !matches!(version, 3 | 4) {
            return Err(EifError::Version(version));
        }
        let architecture = match fields.u16()? {
            0 => Architecture::X86_64,
            AARCH64_FLAG => Architecture::Aarch64,
            _ => return Err(EifError::Reserved("a flag of the file")),
        };
        let default_memory = fields.u64()?;
        let default_processors = fields.u64()?;
        if fields.u16()? != 0 {
            return Err(EifError::Reserved("a field of the header"));
        }
        let sections = usize::from(fields.u16()?);
        if sections > MAX_SECTIONS {
            return Err(EifError::TooManySections(sections));
        }
        let mut offsets = [0; MAX_SECTIONS];
        let mut sizes = [0; MAX_SECTIONS];
        for number in offsets.iter_mut().chain(&mut sizes) {
            *number = fields.u64()?;
        }
        let beyond = offsets[sections..].iter().chain(&sizes[sections..]);
        if beyond.into_iter().any(|number| *number != 0) {
            return Err(EifError::Reserved(
                "the place of a section that isn't there",
            ));
        }
        if fields.u32()? != 0 {
            return Err(EifError::Reserved("a field of the header"));
        }
        Ok(Self {
            version,
            architecture,
            default_memory,
            default_processors,
            sections,
            offsets,
            sizes,
            checksum: fields.u32()?,
        })
    }
}

/// Takes the next section off `rest`.
fn take_section<'a>(
    rest: &mut &'a [u8],
    section: usize,
    listed: u64,
) -> Result<(SectionKind, &'a [u8]), EifError> {
    let (header, behind) = rest
        .split_at_checked(SECTION_HEADER_BYTES)
        .ok_or(EifError::Truncated)?;
    let mut fields = Fields(header);
    let kind = fields.u16()?;
    let kind = SectionKind::from_number(kind).ok_or(EifError::Kind { section, kind })?;
    if fields.u16()? != 0 {
        return Err(EifError::Reserved("a flag of a section"));
    }
    let own = fields.u64()?;
    if own != listed {
        return Err(EifError::Size {
            section,
            own,
            listed,
        });
    }
    let (content, behind) = usize::try_from(own)
        .ok()
        .and_then(|size| behind.split_at_checked(size))
        .ok_or(EifError::Truncated)?;
    *rest = behind;
    Ok((kind, content))
}

/// Puts a section where it belongs, if it may be there: kernel, command line, metadata (version 4),
/// ramdisks, signature.
fn place<'a>(
    image: &mut Eif<'a>,
    section: usize,
    kind: SectionKind,
    content: &'a [u8],
) -> Result<(), EifError> {
    let allowed = match kind {
        SectionKind::Kernel => section == 0,
        SectionKind::CommandLine => section == 1,
        SectionKind::Metadata => section == 2 && image.version >= 4,
        SectionKind::Ramdisk => section >= 2 && image.signature.is_none(),
        SectionKind::Signature => !image.ramdisks.is_empty() && image.signature.is_none(),
    };
    if !allowed {
        return Err(EifError::Order { section, kind });
    }
    match kind {
        SectionKind::Kernel if content.is_empty() => return Err(EifError::Missing(kind)),
        SectionKind::Kernel => image.kernel = content,
        SectionKind::CommandLine => {
            let text = std::str::from_utf8(content).map_err(|_| EifError::CommandLine)?;
            check_command_line(text)?;
            image.command_line = text;
        }
        SectionKind::Metadata => image.metadata = Some(content.to_vec()),
        SectionKind::Ramdisk => image.ramdisks.push(content),
        SectionKind::Signature => image.signature = Some(content),
    }
    Ok(())
}

/// Big-endian numbers, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], EifError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EifError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, EifError> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, EifError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, EifError> {
        self.take().map(u64::from_be_bytes)
    }
}

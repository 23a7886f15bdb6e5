//! The program in an image has to be one static executable: beside it there is nothing.

use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::eif::Architecture;

/// Why a program can't be an enclave's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutableError {
    /// It is not a 64-bit ELF executable.
    #[error("not a 64-bit ELF executable")]
    NotElf,
    /// It is for a processor that no enclave has.
    #[error("for another machine (ELF {0}): an enclave's is x86-64 or aarch64")]
    Machine(u16),
    /// It asks for a dynamic loader, which the image does not have.
    #[error(
        "not static: it asks for a dynamic loader. Build it with -C target-feature=+crt-static"
    )]
    Dynamic,
}

/// Checks that a program needs no loader and so no library, and says what machine it is for.
///
/// # Errors
///
/// If it is not an executable for an enclave's machine, or not static.
pub fn static_executable(program: &[u8]) -> Result<Architecture, ExecutableError> {
    let header = FileHeader64::<Endianness>::parse(program).map_err(|_| ExecutableError::NotElf)?;
    let endian = header.endian().map_err(|_| ExecutableError::NotElf)?;
    // A static program that is loaded anywhere is a shared object by its type.
    let kind = header.e_type(endian);
    if endian != Endianness::Little || !matches!(kind, ET_EXEC | ET_DYN) {
        return Err(ExecutableError::NotElf);
    }
    let segments = header
        .program_headers(endian, program)
        .map_err(|_| ExecutableError::NotElf)?;
    if segments.is_empty() || header.e_entry(endian) == 0 {
        return Err(ExecutableError::NotElf);
    }
    let architecture = match header.e_machine(endian) {
        EM_X86_64 => Architecture::X86_64,
        EM_AARCH64 => Architecture::Aarch64,
        other => return Err(ExecutableError::Machine(other.0)),
    };
    if segments
        .iter()
        .any(|segment| segment.p_type(endian) == PT_INTERP)
    {
        return Err(ExecutableError::Dynamic);
    }
    Ok(architecture)
}

/// Whether these bytes begin as an ELF file, as a kernel module does that is not compressed.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest header that says `machine`, with one segment of type `segment`.
    fn program(machine: u16, segment: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
        bytes[16..18].copy_from_slice(&3_u16.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[20..24].copy_from_slice(&1_u32.to_le_bytes());
        bytes[24..32].copy_from_slice(&0x1000_u64.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[52..54].copy_from_slice(&64_u16.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes
    }

    #[test]
    fn only_static_programs_pass() {
        let load = 1;
        assert_eq!(
            static_executable(&program(62, load)),
            Ok(Architecture::X86_64)
        );
        assert_eq!(
            static_executable(&program(183, load)),
            Ok(Architecture::Aarch64)
        );
        assert_eq!(
            static_executable(&program(62, 3)),
            Err(ExecutableError::Dynamic)
        );
        assert_eq!(
            static_executable(&program(243, load)),
            Err(ExecutableError::Machine(243))
        );
        let good = program(62, load);
        for length in 0..good.len() {
            let cut = static_executable(&good[..length]);
            assert_eq!(cut, Err(ExecutableError::NotElf), "{length}");
        }
        assert_eq!(
            static_executable(b"#!/bin/sh\n"),
            Err(ExecutableError::NotElf)
        );
    }

    #[test]
    fn this_test_is_not_static() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let expected = if cfg!(target_feature = "crt-static") {
            static_executable(&own).is_ok()
        } else {
            static_executable(&own) == Err(ExecutableError::Dynamic)
        };
        assert!(expected);
    }
}

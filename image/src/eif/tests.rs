use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn small() -> Vec<u8> {
    Eif::new(Architecture::X86_64, b"kernel", "quiet")
        .with_metadata(&Metadata::new("small", "1"))
        .with_ramdisk(b"one")
        .with_ramdisk(b"two")
        .to_bytes()
        .unwrap()
}

/// A file with its checksum made right again.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&file[..HEADER_BYTES - 4], &file[HEADER_BYTES..]);
    file[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum.to_be_bytes());
    file
}

/// The small file after `edit`, with a right checksum.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = small();
    edit(&mut file);
    sealed(file)
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let good = small();
    assert!(Eif::parse(&good).is_ok());
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Eif::parse(&bad).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_file_that_is_cut_or_goes_on_is_refused() {
    let good = small();
    for length in 0..good.len() {
        assert!(Eif::parse(&good[..length]).is_err(), "{length}");
        if length >= HEADER_BYTES {
            let refused = Eif::parse(&sealed(good[..length].to_vec())).map(|_| ());
            // Cut between two sections, the next one's place is where the file ends.
            assert_eq!(refused, Err(EifError::Truncated), "{length}");
        }
    }
    let refused = Eif::parse(&edited(|file| file.extend([0; 7]))).map(|_| ());
    assert_eq!(refused, Err(EifError::Trailing(7)));
}

#[test]
fn each_rule_of_form_has_its_error() {
    let refusal = |file: Vec<u8>| Eif::parse(&file).map(|_| ()).unwrap_err();
    let offset = |section: usize| 28 + 8 * section + 7;
    let size = |section: usize| 28 + 256 + 8 * section + 7;
    let kernel = HEADER_BYTES;
    let command_line = kernel + SECTION_HEADER_BYTES + b"kernel".len();

    assert_eq!(refusal(edited(|f| f[0] = b'x')), EifError::Magic);
    for version in [0, 1, 2, 5] {
        let file = edited(|f| f[5] = version);
        assert_eq!(refusal(file), EifError::Version(version.into()));
    }
    // Metadata came with version 4.
    assert!(matches!(
        refusal(edited(|f| f[5] = 3)),
        EifError::Order { section: 2, .. }
    ));
    for place in [7, 25, 543, offset(5), size(31), kernel + 3] {
        let file = edited(|f| f[place] = 2);
        assert!(matches!(refusal(file), EifError::Reserved(_)), "{place}");
    }
    assert_eq!(
        refusal(edited(|f| f[27] = 33)),
        EifError::TooManySections(33)
    );
    // Both would be seen by one reader and not by another.
    let overlapping = edited(|f| f[offset(1)] -= 1);
    assert!(matches!(
        refusal(overlapping),
        EifError::Offset { section: 1, .. }
    ));
    assert_eq!(
        refusal(edited(|f| f[size(0)] = 5)),
        EifError::Size {
            section: 0,
            own: 6,
            listed: 5
        }
    );
    let huge = edited(|f| {
        f[size(0) - 7] = 0xff;
        f[kernel + 4] = 0xff;
    });
    assert_eq!(refusal(huge), EifError::Truncated);
    for kind in [0, 6] {
        let file = edited(|f| f[kernel + 1] = kind);
        let kind = kind.into();
        assert_eq!(refusal(file), EifError::Kind { section: 0, kind });
    }
    assert_eq!(
        refusal(edited(|f| f[kernel + 1] = 3)),
        EifError::Order {
            section: 0,
            kind: SectionKind::Ramdisk
        }
    );
    assert_eq!(
        refusal(edited(|f| f[command_line + 1] = 1)),
        EifError::Order {
            section: 1,
            kind: SectionKind::Kernel
        }
    );
    for byte in [0, 0xff] {
        let file = edited(|f| f[command_line + SECTION_HEADER_BYTES] = byte);
        assert_eq!(refusal(file), EifError::CommandLine);
    }
    assert!(matches!(
        refusal({
            let mut file = small();
            file[HEADER_BYTES - 1] ^= 1;
            file
        }),
        EifError::Checksum { .. }
    ));
}

#[test]
fn an_image_needs_its_parts() {
    let made = Eif::new(Architecture::X86_64, b"", "").with_ramdisk(b"r");
    assert_eq!(made.to_bytes(), Err(EifError::Missing(SectionKind::Kernel)));
    let made = Eif::new(Architecture::X86_64, b"k", "");
    assert_eq!(
        made.to_bytes(),
        Err(EifError::Missing(SectionKind::Ramdisk))
    );
    for line in ["a\0b".to_owned(), "x".repeat(2048)] {
        let made = Eif::new(Architecture::X86_64, b"k", &line).with_ramdisk(b"r");
        assert_eq!(made.to_bytes(), Err(EifError::CommandLine));
    }
    let mut made = Eif::new(Architecture::X86_64, b"k", "");
    for _ in 0..31 {
        made = made.with_ramdisk(b"r");
    }
    assert_eq!(made.to_bytes(), Err(EifError::TooManySections(33)));
}

#[test]
fn an_image_of_version_3_is_read() {
    let mut image = Eif::new(Architecture::Aarch64, b"k", "").with_ramdisk(b"r");
    image.version = 3;
    image.signature = Some(b"s");
    let file = image.to_bytes().unwrap();
    assert_eq!(Eif::parse(&file), Ok(image));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        aarch64: bool,
        kernel in vec(any::<u8>(), 1..200),
        command_line in "[ -~]{0,100}",
        ramdisks in vec(vec(any::<u8>(), 0..200), 1..5),
        name in proptest::option::of(".{0,20}"),
        signature in proptest::option::of(vec(any::<u8>(), 0..20)),
    ) {
        let architecture = if aarch64 { Architecture::Aarch64 } else { Architecture::X86_64 };
        let mut image = Eif::new(architecture, &kernel, &command_line);
        if let Some(name) = name {
            image = image.with_metadata(&Metadata::new(name, "1"));
        }
        for ramdisk in &ramdisks {
            image = image.with_ramdisk(ramdisk);
        }
        image.signature = signature.as_deref();
        let file = image.to_bytes().unwrap();
        prop_assert_eq!(Eif::parse(&file), Ok(image));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = Eif::parse(&bytes);
        // And past the doors that random bytes do not open: they are read, or refused.
        let mut file = [&MAGIC, [0, 4, 0, 0].as_slice(), &bytes].concat();
        let _ = Eif::parse(&file);
        if file.len() >= HEADER_BYTES {
            file[24..27].fill(0);
            file[27] %= 33;
            let _ = Eif::parse(&sealed(file));
        }
    }

    /// Whatever is accepted is the only file that says it.
    #[test]
    fn an_accepted_file_is_written_the_same(
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = small();
        for (place, byte) in edits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let file = sealed(file);
        if let Ok(image) = Eif::parse(&file) {
            prop_assert_eq!(image.to_bytes().unwrap(), file);
        }
    }
}

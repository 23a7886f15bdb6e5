//! An enclave image file, from wherever an operator has it.

use ::image::eif::{Eif, HEADER_BYTES};
use ::image::measurements::Measurements;

use crate::edit::edited;

/// An image with every kind of section.
const GENUINE: &[u8] = include_bytes!("../corpus/image/signed");

/// A file as it is, and the same bytes as edits of a genuine one, each also with the checksum made
/// right, which no fuzzer guesses.
pub fn image(data: &[u8]) {
    for mut file in [data.to_vec(), edited(GENUINE, data)] {
        read(&file);
        if let Some((header, body)) = file.split_at_mut_checked(HEADER_BYTES) {
            let (fields, checksum) = header.split_at_mut(HEADER_BYTES - 4);
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(fields);
            hasher.update(body);
            checksum.copy_from_slice(&hasher.finalize().to_be_bytes());
            read(&file);
        }
    }
}

/// Whatever is accepted is the only file that says the same, and can be measured.
fn read(file: &[u8]) {
    let Ok(image) = Eif::parse(file) else {
        return;
    };
    let written = image.to_bytes().expect("an image that was read");
    assert!(written == file, "two files of one image");
    // Its signature may be anything.
    let _ = Measurements::of(&image);
}

//! The certificate in a signature section.
//!
//! The section is CBOR: an array of maps of `signing_certificate` (PEM) and `signature` (a
//! COSE_Sign1 over PCR0). The AWS builder writes one map, and its byte strings as arrays of
//! numbers. The signature itself is for the hypervisor to verify, which does not start an image
//! whose signature is wrong.

use minicbor::Decoder;
use minicbor::data::Type;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why a signature section has no certificate that could be measured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The section is not the CBOR that it should be.
    #[error("the signature section is malformed")]
    Malformed,
    /// The certificate is not PEM.
    #[error("the signature section's certificate is not PEM")]
    Pem,
}

/// The DER of the certificate that signed the image.
pub(crate) fn signing_certificate(section: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let pem = first_certificate(section).ok_or(SignatureError::Malformed)?;
    let text = std::str::from_utf8(&pem).map_err(|_| SignatureError::Pem)?;
    // The first block counts; text around it is a comment.
    let begin = text.find(BEGIN).ok_or(SignatureError::Pem)?;
    let block = &text[begin..];
    let end = block.find(END).ok_or(SignatureError::Pem)?;
    let (_, der) = pem_rfc7468::decode_vec(&block.as_bytes()[..end + END.len()])
        .map_err(|_| SignatureError::Pem)?;
    Ok(der)
}

/// The PEM in the first map of the section, which is read to its end.
fn first_certificate(section: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(section);
    let entries = decoder.array().ok()??;
    let mut first = None;
    for entry in 0..entries {
        let mut certificate = None;
        for _ in 0..decoder.map().ok()?? {
            let value = match decoder.str().ok()? {
                "signing_certificate" => &mut certificate,
                "signature" => &mut None,
                _ => return None,
            };
            // A second value for one name would be another certificate to another reader.
            if value.replace(octets(&mut decoder)?).is_some() {
                return None;
            }
        }
        if entry == 0 {
            first = Some(certificate?);
        }
    }
    (decoder.position() == section.len())
        .then_some(first)
        .flatten()
}

/// A byte string, or an array of numbers below 256.
fn octets(decoder: &mut Decoder<'_>) -> Option<Vec<u8>> {
    if decoder.datatype().ok()? == Type::Bytes {
        return decoder.bytes().ok().map(<[u8]>::to_vec);
    }
    // Pushed one by one: the claimed length may be anything.
    let mut bytes = Vec::new();
    for _ in 0..decoder.array().ok()?? {
        bytes.push(decoder.u8().ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use minicbor::Encoder;

    use super::*;

    const PEM: &str =
        "a comment\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

    /// A section as the AWS builder writes it, or with byte strings.
    fn section(pem: &[u8], as_numbers: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        encoder.array(1).unwrap().map(2).unwrap();
        for (name, value) in [
            ("signing_certificate", pem),
            ("signature", b"\x84".as_slice()),
        ] {
            encoder.str(name).unwrap();
            if as_numbers {
                encoder.array(value.len().try_into().unwrap()).unwrap();
                for byte in value {
                    encoder.u8(*byte).unwrap();
                }
            } else {
                encoder.bytes(value).unwrap();
            }
        }
        encoder.into_writer()
    }

    #[test]
    fn the_certificate_is_found() {
        for as_numbers in [true, false] {
            let found = signing_certificate(&section(PEM.as_bytes(), as_numbers));
            assert_eq!(found, Ok(vec![0x30, 3, 2, 1, 1]));
        }
        let twice = PEM.repeat(2);
        let found = signing_certificate(&section(twice.as_bytes(), true));
        assert_eq!(found, Ok(vec![0x30, 3, 2, 1, 1]));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = section(PEM.as_bytes(), true);
        for length in 0..good.len() {
            let cut = signing_certificate(&good[..length]);
            assert_eq!(cut, Err(SignatureError::Malformed));
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(signing_certificate(&longer), Err(SignatureError::Malformed));
        let no_pem = section(b"MAMCAQE=", true);
        assert_eq!(signing_certificate(&no_pem), Err(SignatureError::Pem));
        // An array that claims 2^63 numbers.
        let claims = b"\x81\xa1\x73signing_certificate\x9b\x80\0\0\0\0\0\0\0";
        assert_eq!(signing_certificate(claims), Err(SignatureError::Malformed));
    }
}

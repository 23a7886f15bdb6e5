//! The ASN.1 that certificates, public keys and CMS messages are made of: a DER writer and a BER
//! reader.
//!
//! The certificates of a document are *not* read with this: the chain verifier has its own,
//! stricter parser.

mod reader;
mod writer;

pub use self::reader::BerError;
pub(crate) use self::reader::Reader;
#[cfg(any(feature = "simulation", test))]
pub(crate) use self::writer::octet_string;
pub(crate) use self::writer::{
    NULL, bit_string, element, element_length, object_identifier, push_head, sequence,
    unsigned_integer,
};

/// Object identifiers, as the contents of an OBJECT IDENTIFIER element.
pub(crate) mod oid {
    /// rsaEncryption, RFC 8017 appendix C.
    pub(crate) const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    /// id-RSAES-OAEP, RFC 4055 section 4.1.
    pub(crate) const RSAES_OAEP: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07";
    /// id-mgf1, RFC 4055 section 2.2.
    pub(crate) const MGF1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    /// id-sha256, RFC 4055 section 2.1.
    pub(crate) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    /// id-aes256-CBC, RFC 3565 section 4.1.
    pub(crate) const AES256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
    /// id-data, RFC 5652 section 4.
    pub(crate) const CMS_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    /// id-envelopedData, RFC 5652 section 6.1.
    pub(crate) const CMS_ENVELOPED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
    /// id-ecPublicKey, RFC 5480 section 2.1.1.
    #[cfg(feature = "simulation")]
    pub(crate) const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
    /// secp384r1, RFC 5480 section 2.1.1.1.
    #[cfg(feature = "simulation")]
    pub(crate) const SECP384R1: &[u8] = b"\x2b\x81\x04\x00\x22";
    /// ecdsa-with-SHA384, RFC 5758 section 3.2.
    #[cfg(feature = "simulation")]
    pub(crate) const ECDSA_WITH_SHA384: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";
}

/// Identifier octets (X.690 section 8.1.2).
pub(crate) mod tag {
    pub(crate) const END_OF_CONTENTS: u8 = 0x00;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    #[cfg(feature = "simulation")]
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    #[cfg(feature = "simulation")]
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    #[cfg(feature = "simulation")]
    pub(crate) const UTC_TIME: u8 = 0x17;
    #[cfg(feature = "simulation")]
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, constructed.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

//! Enclave image files (EIF), the form in which an AWS Nitro Enclave is started.
//!
//! ```
//! use image::eif::{Architecture, Eif};
//! use image::measurements::Measurements;
//! use image::metadata::Metadata;
//!
//! let file = Eif::new(Architecture::X86_64, b"a kernel", "console=ttyS0")
//!     .with_metadata(&Metadata::new("example", "1"))
//!     .with_ramdisk(b"the first ramdisk")
//!     .with_ramdisk(b"the second ramdisk")
//!     .to_bytes()?;
//! let measured = Measurements::of(&Eif::parse(&file)?)?;
//! assert!(measured.pcr0.to_string().starts_with("8d301b9f"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`eif`] writes and strictly reads the file;
//! - [`measurements`] computes what the enclave's PCRs will be;
//! - [`ramdisk`] packs the two ramdisks of this project's enclave, from [`archive`] (cpio) and gzip;
//! - [`executable`] holds that the program in it needs nothing beside itself;
//! - [`metadata`] is what the file says about itself, unmeasured.
//!
//! Bytes in, bytes out: the crate opens no file and asks no clock, so the same parts always make
//! the same image.

pub mod archive;
pub mod eif;
pub mod executable;
pub mod measurements;
pub mod metadata;
pub mod ramdisk;
mod signature;

pub use signature::SignatureError;

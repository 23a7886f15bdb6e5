//! AWS JSON 1.1 as KMS speaks it: from bytes to a typed request, from a typed response to bytes.
//!
//! [`OperationName`] says what is asked for and [`request::parse`] turns the body into the
//! operation's request type, after AWS's constraint checks. What a request *means* is the
//! engine's business; only its shape is decided here.

pub mod context;
pub mod operation;
pub mod request;
pub mod response;
pub mod spec;

mod json;
mod members;
pub(crate) mod violation;

pub use context::EncryptionContext;
pub use operation::OperationName;
pub use request::{Recipient, Request};
pub use response::{Plaintext, Response};

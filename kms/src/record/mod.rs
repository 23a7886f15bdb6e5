//! Sealed records: how state is kept by a store that nobody trusts.
//!
//! The store keeps byte strings under opaque ids and one *head*. Each record is
//! sealed with its kind, id and revision as authenticated data, so it can't be
//! passed off as another one; the head commits to all of them at once, so none can
//! be left out, brought back or replaced by an older version of itself. The
//! format, byte by byte, is `docs/sealed-records.md`.

mod domain_key;
mod error;
mod head;
mod import_token;
mod key_token;
mod naming;
mod object;
mod payload;
mod root_key;
mod sealed;
pub(crate) mod session_token;
mod set_hash;

pub use error::StateError;
pub use head::head_sequence;
pub use naming::{Kind, RecordId};
pub use object::EdgeSecret;
pub use root_key::{RootKey, RootKeyId};

pub(crate) use domain_key::DomainKey;
pub(crate) use head::{Head, head_hash};
pub(crate) use import_token::{ImportToken, open_import_token};
pub(crate) use naming::Name;
pub(crate) use object::Object;
pub(crate) use sealed::{SealedRecord, Stamp};
pub(crate) use session_token::SessionToken;
pub(crate) use set_hash::{KindHash, SetHash, Sum};

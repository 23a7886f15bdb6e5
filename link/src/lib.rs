//! What enclave and host say to each other: addresses, framing, messages.
//!
//! Two kinds of connection cross the border between the enclave and its host,
//! and each is opened by the side that can do so on a Nitro machine:
//!
//! - The **relay** connections carry the clients' bytes. The host dials the
//!   enclave ([`connect`]) and copies; there is no framing and nothing of this
//!   crate but the [`Stream`].
//! - The **link** connections carry messages. The enclave dials the host
//!   ([`open`]) once per [`Channel`]: [`Channel::Store`] for sealed records
//!   ([`StoreRequest`], [`StoreReply`]), [`Channel::Events`] for audit lines,
//!   metrics and published files ([`HostEvent`], [`EventReply`]). The host
//!   takes them with [`accept`].
//!
//! A message is a [`Numbered`] CBOR value in a frame of a four-byte big-endian
//! length. Each side treats the other as hostile: nothing is allocated because
//! of a claimed length, lists and frames are bounded, and what does not decode
//! ends the connection. What is *in* a record is none of this crate's business.

mod address;
mod channel;
mod frame;
mod lines;
mod listener;
mod message;
mod metric;
mod stream;
#[cfg(test)]
mod wire;

pub use address::{Address, AddressError};
pub use channel::{Channel, VERSION, accept, open};
pub use frame::{FrameReader, FrameWriter, LinkError};
pub use lines::Lines;
pub use listener::{Listener, listen};
pub use message::{
    Commit, EventReply, HostEvent, MAX_LINES, MAX_RECORD_BYTES, MAX_RECORDS, Numbered, PublicFile,
    Record, RecordId, RecordIdError, StoreReply, StoreRequest,
};
pub use metric::{Metric, MetricKind, Sample};
pub use stream::{Stream, connect};

/// Where the enclave's listener tells whether it serves: `GET` answers 200.
///
/// The host asks in plain HTTP/1.1 over a relay connection, also when the
/// enclave serves TLS, because the host takes no part in the clients' TLS and
/// has nothing to verify it with. An enclave with TLS therefore tells the two
/// apart by the first byte (0x16 begins a TLS handshake) and answers nothing
/// but this path in plain.
pub const HEALTH_PATH: &str = "/health";

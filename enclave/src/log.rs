//! Everything the enclave may write to its log, and nothing else.
//!
//! Logs go to whoever runs the host, so they may not carry anything of a request or an answer.
//! That is a rule of types here: an entry is a variant of [`Notice`], its fields are [`LogSafe`],
//! and only [`Notice::log`] hands anything to `tracing`. What libraries log is thrown away
//! (`h2` would write whole header fields, `Authorization` among them).

use std::fmt;
use std::io;
use std::time::Duration;

use link::Address;
use tracing::{error, info, warn};
use tracing_subscriber::filter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The `tracing` target of every entry, and the only one that is written.
const TARGET: &str = "claviger";

/// A type whose values can be shown to anybody: it holds nothing that came with a request, and no
/// secret. Implemented for few types on purpose; adding one is a decision to be reviewed.
pub(crate) trait LogSafe {}

impl LogSafe for bool {}
impl LogSafe for u64 {}
impl LogSafe for usize {}
impl LogSafe for &'static str {}
impl LogSafe for Address {}
impl LogSafe for io::ErrorKind {}

/// A place in the source code.
pub(crate) struct CodePlace {
    file: String,
    line: u32,
}

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl LogSafe for CodePlace {}

/// Shows a value in the log, if it may be.
fn safe<T: LogSafe + fmt::Display>(value: T) -> tracing::field::DisplayValue<T> {
    tracing::field::display(value)
}

fn milliseconds(duration: Duration) -> tracing::field::DisplayValue<u64> {
    safe(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// One entry of the log.
pub(crate) enum Notice {
    /// Process 1 has brought up the machine.
    #[cfg(target_os = "linux")]
    Booted { modules: usize },
    /// The parent instance does not listen for word of this enclave, or answers something else.
    #[cfg(target_os = "linux")]
    ParentSilent { kind: io::ErrorKind },
    /// The process has read its settings and begins to start.
    Starting,
    /// Simulated roots are trusted: documents anybody can make open keys.
    TrustingSimulatedRoots { roots: usize },
    /// Documents of enclaves in debug mode are accepted.
    AcceptingDebug,
    /// There is no root key yet: operators have to give shares, or the plan of a genesis.
    WaitingForOperators { sealed: bool },
    /// An operator's share was taken.
    ShareTaken { given: usize, threshold: usize },
    /// The store was empty and has been set up.
    Genesis,
    /// Sealed records are being read; nothing is served before all are in.
    Opening { records: usize, expected: u64 },
    /// The sealed records were read and are complete. Some keys may be left sealed.
    Opened {
        records: usize,
        sealed_keys: u64,
        sequence: u64,
        took: Duration,
    },
    /// Keys that were left sealed are being opened, while others are served.
    OpeningKeys { sealed: u64, expected: u64 },
    /// All keys are open.
    KeysOpened { keys: u64, took: Duration },
    /// The seed changed something.
    Seeded { changes: usize },
    /// The enclave serves.
    Serving { address: Address, tls: bool },
    /// Accepting a connection failed; tried again.
    AcceptFailed { kind: io::ErrorKind },
    /// No further connection is accepted until one ends.
    ConnectionsExhausted { limit: usize },
    /// Something panicked; a call it happened in is answered with KMSInternalException.
    Panicked { place: CodePlace },
    /// The store does not answer.
    StoreAway { kind: &'static str },
    /// The store answers again.
    StoreBack { after: Duration },
    /// A commit's answer was lost, and it turned out to have taken effect.
    CommitResolved,
    /// The store holds what this enclave did not write: it stops serving.
    Fenced,
    /// The host does not take audit events.
    AuditAway { kind: &'static str },
    /// The host takes audit events again.
    AuditBack,
    /// The certificate authority is another than before, which clients still have.
    AuthorityReplaced { days: u64 },
    /// A new server certificate is in use.
    CertificateRenewed,
    /// A new server certificate could not be made; tried again.
    CertificateFailed,
    /// The key stream of the randomness got no new key; tried again, the old one is in use.
    ReseedFailed,
    /// The security module gave no document for a stranger.
    AttestationFailed,
    /// The clock is too far from that of the security module: calls are refused.
    ClockWrong,
    /// The clocks agree again.
    ClockRight,
    /// Enough operators have approved of who is to hold the next root key.
    ResharingApproved,
    /// There is a new root key, and its operators have confirmed their shares.
    RootKeyChanged,
    /// A predecessor has handed over its root key.
    HandedOver,
    /// Another enclave may take over: no more calls are answered.
    HandingOff,
    /// Another enclave has taken over.
    TakenOver,
    /// The successor's message is out.
    RootKeyGiven,
    /// No other enclave has taken over.
    NotTakenOver,
    /// The process was asked to end.
    ShuttingDown,
    /// Some requests did not finish in time.
    ShutdownImpatient { connections: usize },
    /// Some audit events were not handed over, and never will be.
    AuditLost { events: u64 },
    /// The end.
    Stopped,
}

impl Notice {
    /// Writes the entry.
    #[rustfmt::skip]
    pub(crate) fn log(self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Booted { modules } => info!(target: TARGET, modules = safe(modules), "the machine is up"),
            #[cfg(target_os = "linux")]
            Self::ParentSilent { kind } => warn!(target: TARGET, kind = safe(kind), "the parent instance does not take the heartbeat"),
            Self::Starting => info!(target: TARGET, version = env!("CARGO_PKG_VERSION"), "starting"),
            Self::TrustingSimulatedRoots { roots } => warn!(target: TARGET, roots = safe(roots), "TRUSTING SIMULATED ATTESTATION ROOTS: anybody who has their keys can make a document that opens keys here"),
            Self::AcceptingDebug => warn!(target: TARGET, "ACCEPTING DEBUG ENCLAVES: whoever runs such an enclave can read its memory"),
            Self::WaitingForOperators { sealed: true } => warn!(target: TARGET, "SEALED: waiting for the operators' shares of the root key"),
            Self::WaitingForOperators { sealed: false } => warn!(target: TARGET, "NEW: the store is empty; waiting for the plan of a genesis"),
            Self::ShareTaken { given, threshold } => info!(target: TARGET, given = safe(given), threshold = safe(threshold), "a share of the root key was taken"),
            Self::Genesis => info!(target: TARGET, "the store was empty and has been set up"),
            Self::Opening { records, expected } => info!(target: TARGET, records = safe(records), expected = safe(expected), "opening sealed records"),
            Self::Opened { records, sealed_keys, sequence, took } => info!(target: TARGET, records = safe(records), sealed_keys = safe(sealed_keys), sequence = safe(sequence), milliseconds = milliseconds(took), "sealed records read, and complete"),
            Self::OpeningKeys { sealed, expected } => info!(target: TARGET, sealed = safe(sealed), expected = safe(expected), "opening sealed keys"),
            Self::KeysOpened { keys, took } => info!(target: TARGET, keys = safe(keys), milliseconds = milliseconds(took), "all keys are open"),
            Self::Seeded { changes } => info!(target: TARGET, changes = safe(changes), "seed applied"),
            Self::Serving { address, tls } => info!(target: TARGET, address = safe(address), tls = safe(tls), "serving"),
            Self::AcceptFailed { kind } => warn!(target: TARGET, kind = safe(kind), "accepting a connection failed"),
            Self::ConnectionsExhausted { limit } => warn!(target: TARGET, limit = safe(limit), "the connection limit is reached"),
            Self::Panicked { place } => error!(target: TARGET, place = safe(place), "a defect: the program panicked"),
            Self::StoreAway { kind } => warn!(target: TARGET, kind = safe(kind), "the record store does not answer; reads go on, writes wait"),
            Self::StoreBack { after } => info!(target: TARGET, milliseconds = milliseconds(after), "the record store answers again"),
            Self::CommitResolved => info!(target: TARGET, "a commit whose answer was lost had taken effect"),
            Self::Fenced => error!(target: TARGET, "the record store holds a head this enclave did not write; it stops serving"),
            Self::AuditAway { kind } => warn!(target: TARGET, kind = safe(kind), "the host does not take audit events"),
            Self::AuditBack => info!(target: TARGET, "the host takes audit events again"),
            Self::AuthorityReplaced { days } => warn!(target: TARGET, days = safe(days), "there is a new certificate authority: in so many days the former one ends, and every client needs the new ca.pem, by `claviger trust`"),
            Self::CertificateRenewed => info!(target: TARGET, "new server certificate"),
            Self::CertificateFailed => error!(target: TARGET, "a new server certificate could not be made"),
            Self::ReseedFailed => error!(target: TARGET, "no fresh randomness from the Nitro security module; what there is stays in use"),
            Self::AttestationFailed => error!(target: TARGET, "the Nitro security module gave no attestation document"),
            Self::ClockWrong => error!(target: TARGET, "THE CLOCK IS WRONG by the security module's signed time; calls are refused"),
            Self::ClockRight => info!(target: TARGET, "the clock is right again"),
            Self::ResharingApproved => info!(target: TARGET, "a resharing is approved: its operators have to confirm their new shares"),
            Self::RootKeyChanged => info!(target: TARGET, "a new root key is in use; the old shares are void"),
            Self::HandedOver => info!(target: TARGET, "a predecessor has handed over its root key"),
            Self::HandingOff => info!(target: TARGET, "handing off to another enclave"),
            Self::TakenOver => info!(target: TARGET, "another enclave has taken over"),
            Self::RootKeyGiven => info!(target: TARGET, "the root key is given to the other enclave; this one does not serve again"),
            Self::NotTakenOver => warn!(target: TARGET, "no other enclave has taken over in time; serving again"),
            Self::ShuttingDown => info!(target: TARGET, "shutting down"),
            Self::ShutdownImpatient { connections } => warn!(target: TARGET, connections = safe(connections), "connections cut: they did not finish in time"),
            Self::AuditLost { events } => error!(target: TARGET, events = safe(events), "audit events are lost: the host did not take them in time"),
            Self::Stopped => info!(target: TARGET, "stopped"),
        }
    }
}

/// Sends the log to standard error as JSON lines, unless the process has a subscriber already.
///
/// Libraries' events are not written, whatever `RUST_LOG` says, and of a panic only its place is:
/// its message might show what the code was working on.
pub fn log_to_stderr() {
    let ours = filter::filter_fn(|metadata| metadata.target() == TARGET);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(io::stderr)
        .with_filter(ours);
    // Fails when a subscriber is set already, which then decides.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(
            || CodePlace {
                file: "unknown".to_owned(),
                line: 0,
            },
            |place| CodePlace {
                file: place.file().to_owned(),
                line: place.line(),
            },
        );
        Notice::Panicked { place }.log();
    }));
}

/// Waits until a console has shown all that was written; anything else has it at once.
#[cfg(target_os = "linux")]
pub(crate) fn drain() {
    let _ = rustix::termios::tcdrain(io::stderr());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// `tracing` is called nowhere but here: entries can't bypass [`super::Notice`].
    #[test]
    fn nothing_else_in_the_crate_calls_tracing() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut pending = vec![sources];
        while let Some(folder) = pending.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.file_name().is_some_and(|name| name != "log.rs") {
                    let source = std::fs::read_to_string(&path).unwrap();
                    // Sets up the log, and writes nothing.
                    let source = source.replace("log_to_stderr()", "");
                    for forbidden in ["tracing::", "println!", "eprint", "stderr()"] {
                        let found = source.contains(forbidden);
                        // The program's usage and its last error are no log entries.
                        let allowed = path.ends_with("main.rs") && forbidden != "tracing::"
                            || path.ends_with("program.rs") && forbidden == "stderr()";
                        assert!(!found || allowed, "{} has {forbidden}", path.display());
                    }
                }
            }
        }
    }
}

//! The audit trail: one JSON text per line, in files that only grow.
//!
//! An event is acknowledged to the enclave when it is on stable storage. What
//! cannot be written is kept and tried again; what a crash tore is set aside.
//! Nothing is removed unless the operator asked for it, and then it is said.

mod file;
mod sink;

pub(crate) use file::{AuditFile, Limits};
pub(crate) use sink::{AuditSink, Batch};

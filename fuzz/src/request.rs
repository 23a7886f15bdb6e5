//! The body of a request.

use kms::protocol::{OperationName, request};

/// An operation's name, a blank, and the body of a call to it.
///
/// Whatever the body, it is a request or an error that is the caller's fault.
pub fn request_body(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b' ').unwrap_or(0);
    let (name, body) = data.split_at(at);
    let named = OperationName::ALL
        .iter()
        .find(|operation| operation.as_str().as_bytes() == name);
    let operation = named.copied().unwrap_or(OperationName::GenerateDataKey);
    if let Err(error) = request::parse(operation, body) {
        let wire = error.wire();
        assert!(
            wire.status.is_client_error(),
            "{operation}: {} for a body",
            wire.code
        );
    }
}

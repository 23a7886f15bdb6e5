//! States, batches and stores: against a plain model, and against hostile hosts.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod golden;
mod history;
mod hostile;
mod material;
mod model;
mod still_opening;
mod store;
#[path = "../../src/test_random.rs"]
mod test_random;

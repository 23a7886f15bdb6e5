//! Messages: real ones, ours, and broken ones. Keys: every way to get `public_key` wrong.

mod keys;
mod messages;

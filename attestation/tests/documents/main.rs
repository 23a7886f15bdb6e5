//! Attestation documents, from without: real ones, damaged ones, and what others make of them.

mod fixtures;
mod hostile_input;
mod real_documents;
mod second_opinion;

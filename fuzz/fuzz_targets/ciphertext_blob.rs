//! Fuzzes [`claviger_fuzz::ciphertext_blob`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(ciphertext_blob);

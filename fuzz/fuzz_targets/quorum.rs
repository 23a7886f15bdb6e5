//! Fuzzes [`claviger_fuzz::quorum`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(quorum);

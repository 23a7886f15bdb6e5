//! Fuzzes [`claviger_fuzz::sigv4_header`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(sigv4_header);

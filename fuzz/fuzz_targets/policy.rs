//! Fuzzes [`claviger_fuzz::policy`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(policy);

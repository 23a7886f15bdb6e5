//! Fuzzes [`claviger_fuzz::document`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(document);

//! Fuzzes [`claviger_fuzz::cms`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(cms);

//! Fuzzes [`claviger_fuzz::sealed_record`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(sealed_record);

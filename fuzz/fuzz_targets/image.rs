//! Fuzzes [`claviger_fuzz::image`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(image);

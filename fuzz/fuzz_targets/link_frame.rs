//! Fuzzes [`claviger_fuzz::link_frame`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(link_frame);

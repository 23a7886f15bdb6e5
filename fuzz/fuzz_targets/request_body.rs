//! Fuzzes [`claviger_fuzz::request_body`].
#![cfg_attr(fuzzing, no_main)]

claviger_fuzz::target!(request_body);

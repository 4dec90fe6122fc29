#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portpass_hostile::token_response(bytes));

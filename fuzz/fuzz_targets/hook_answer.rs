#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portpass_hostile::hook_answer(bytes));

//! All targets in one binary, chosen by `TARGET`: each is linked with the whole host, which takes longer than a short run.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> =
    LazyLock::new(|| tandem_fuzz::target(&std::env::var("TARGET").expect("scripts/fuzz sets TARGET")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));

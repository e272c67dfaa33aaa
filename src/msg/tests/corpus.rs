//! Replays the fuzzer's seeds and finds with every test run.

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        run(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", dir.display());
}

#[test]
fn h1_head() {
    replay("h1_head", crate::msg::fuzz_h1_head);
}

#[test]
fn chunk() {
    replay("chunk", lighterman_wire::h1::chunk::fuzz_chunk);
}

#[test]
fn proxy_header() {
    replay("proxy_header", lighterman_wire::proxy_header::fuzz_proxy_header);
}

#[test]
fn client_hello() {
    replay("client_hello", lighterman_wire::client_hello::fuzz_client_hello);
}

#[test]
fn cookies() {
    replay("cookies", crate::msg::cookie::fuzz_cookies);
}

/// Bytes that mean something to cookies, in all short orders of chance.
#[test]
fn cookies_of_chance() {
    let parts: [&[u8]; 12] =
        [b"S", b"=", b";", b" ", b"\"", b"~", b"|", b"a=1", b"S=c1", b"; ", b"\t", b"S=c1~x"];
    let mut seed = 1u64;
    for _ in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.extend_from_slice(parts[(seed >> 33) as usize % parts.len()]);
        }
        crate::msg::cookie::fuzz_cookies(&text);
    }
}

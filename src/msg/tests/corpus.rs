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

//! The first contact: TLS offloading from the command line alone.

use lighterman_harness::tls::{Cert, Client};
use lighterman_harness::{Program, Proxy, Server};

use crate::BIN;

fn start(server: &Server, more: &[&str]) -> Proxy {
    let program = Program::fileless(BIN).port("port");
    let to = server.addr().to_string();
    let program = program.args(&["--listen", "127.0.0.1:${port}", "--to", &to]);
    program.args(more).start()
}

#[test]
fn an_offloader_without_a_file() {
    let server = Server::named("behind");
    let proxy = start(&server, &[]);
    let mut client = Client::new().sni("any.test").build().connect(proxy.addr("port"));
    let cert = client.tls().peer_certificate().unwrap();
    assert_eq!(cert.issuer_name().entries().count(), cert.subject_name().entries().count(), "self-signed");
    assert_eq!(client.get("/").text(), "behind");
    assert_eq!(server.last().field("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn the_equivalent_configuration_is_printed_and_works() {
    let server = Server::named("behind");
    let proxy = start(&server, &[]);
    Client::new().build().connect(proxy.addr("port")).get("/");
    let text = proxy.stdout() + &proxy.stderr();
    assert!(text.contains("bind ") && text.contains(&server.addr().to_string()), "{text}");
    // What is indented or a section head is the file.
    let sections = ["global", "defaults", "frontend", "backend", "listen"];
    let lines = text.lines().filter(|l| l.starts_with("    ") || sections.iter().any(|s| l.starts_with(s)));
    let file: String = lines.map(|l| format!("{l}\n")).collect();
    let output = Program::bare(BIN, &file).run(&["-c", "-V"]);
    assert_eq!(output.code(), 0, "{file}\n{}", output.stderr);
}

#[test]
fn a_certificate_of_ones_own_and_several_workers() {
    let server = Server::named("behind");
    let program = Program::fileless(BIN).port("port");
    let pem = program.file("a.pem", Cert::new(&["mine.test"]).pem());
    let to = server.addr().to_string();
    let proxy = program
        .args(&["--listen", "127.0.0.1:${port}", "--to", &to, "--crt", &pem, "--workers", "2"])
        .start();
    let mut client = Client::new().build().connect(proxy.addr("port"));
    assert_eq!(Cert::name_of(&client), "mine.test");
    assert_eq!(client.get("/").text(), "behind");
}

#[test]
fn what_is_missing_is_said() {
    for (args, word) in [
        (&["--listen", ":8443"][..], "--to"),
        (&["--to", "127.0.0.1:1"], "--listen"),
        (&["--listen", "nonsense", "--to", "127.0.0.1:1"], "nonsense"),
        (&["--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--crt", "/nowhere.pem"], "/nowhere.pem"),
    ] {
        let output = Program::fileless(BIN).run(args);
        assert_eq!(output.code(), 1, "{args:?}");
        assert!(output.stderr.contains(word), "{args:?}: {}", output.stderr);
    }
}

//! The command line and the configuration as a person meets them: errors, warnings, exit codes.

use lighterman_harness::program::{run, Output};
use lighterman_harness::tls::Cert;
use lighterman_harness::{Program, Server};

use crate::{program, BIN};

fn checked(text: &str) -> Output {
    Program::bare(BIN, text).run(&["-c", "-V"])
}

const FINE: &str = "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\nlisten fe\n    bind 127.0.0.1:0\n    server s1 127.0.0.1:80\n";

#[test]
fn a_valid_file_says_so() {
    let output = checked(FINE);
    assert_eq!(
        (output.code(), output.stdout.as_str()),
        (0, "Configuration file is valid\n"),
        "{}",
        output.stderr
    );
    assert_eq!(output.stderr, "");
}

#[test]
fn an_error_shows_the_place_the_line_and_the_nearest_word() {
    let output = checked(&FINE.replace("    bind 127", "    blance roundrobin\n    bind 127"));
    assert_eq!(output.code(), 1);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("[ALERT]"), "{}", output.stderr);
    assert!(output.stderr.contains("lighterman.cfg:7:5"), "{}", output.stderr);
    assert!(output.stderr.contains("blance roundrobin\n"), "{}", output.stderr);
    assert!(output.stderr.contains("balance"), "{}", output.stderr);
    let mut lines = output.stderr.lines();
    let shown = lines.find(|l| l.ends_with("blance roundrobin")).unwrap();
    let carets = lines.next().unwrap();
    assert_eq!(carets.find('^'), shown.find("blance"), "the caret stands under the word:\n{}", output.stderr);
    assert_eq!(carets.matches('^').count(), "blance".len());
}

#[test]
fn all_errors_of_a_file_at_once() {
    let text = "defaults\n    mode htp\n    timeout conect 1s\nlisten fe\n    bind 127.0.0.1:99999\n    server s1 127.0.0.1:80 wieght 3\n    balance nothing\nfrontnd x\n";
    let output = checked(text);
    assert_eq!(output.code(), 1);
    for place in [":2:", ":3:", ":5:", ":6:", ":7:", ":8:"] {
        assert!(
            output.stderr.contains(&format!("lighterman.cfg{place}")),
            "no error at {place}:\n{}",
            output.stderr
        );
    }
    for near in ["http", "connect", "weight", "frontend"] {
        assert!(output.stderr.contains(near), "{near}:\n{}", output.stderr);
    }
}

#[test]
fn errors_are_bounded() {
    let output = checked(&format!("listen fe\n{}", "    nonsense\n".repeat(10_000)));
    assert_eq!(output.code(), 1);
    assert!(output.stderr.len() < 100_000, "{} bytes", output.stderr.len());
}

#[test]
fn a_word_of_the_language_that_is_not_built_yet_is_said_to_be_so() {
    for line in ["compression algo gzip", "filter trace"] {
        let output = checked(&format!("{FINE}    {line}\n"));
        assert_eq!(output.code(), 1, "{line}");
        assert!(output.stderr.contains("not supported yet"), "{line}:\n{}", output.stderr);
    }
}

#[test]
fn a_broken_file_does_not_start() {
    let output = Program::bare(BIN, "listen fe\n    nonsense\n").run(&["-d"]);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains("nonsense"), "{}", output.stderr);
}

/// Runs to its end and expects exit code 1 and a short text with these words.
#[track_caller]
fn fails(program: Program, words: &[&str]) {
    let output = program.run(&["-d"]);
    assert_eq!(output.code(), 1, "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in:\n{}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

#[test]
fn what_cannot_be_had_is_named() {
    let missing = run(BIN, &["-c", "-f", "/nowhere/lighterman.cfg"]);
    assert_eq!(missing.code(), 1);
    assert!(missing.stderr.contains("/nowhere/lighterman.cfg"), "{}", missing.stderr);

    let taken = Server::named("x");
    fails(
        program(&format!("listen fe\n    bind {}\n", taken.addr())),
        &[&taken.addr().to_string(), "in use"],
    );
    fails(program("listen fe\n    bind 127.0.0.1:0 ssl crt /nowhere/a.pem\n"), &["/nowhere/a.pem"]);
    fails(program("listen fe\n    bind /nowhere/sock\n"), &["/nowhere/sock"]);
    fails(
        program("global\n    user nobody-of-that-name\nlisten fe\n    bind 127.0.0.1:0\n"),
        &["nobody-of-that-name"],
    );

    let (a, b) = (Cert::new(&["a.test"]), Cert::new(&["b.test"]));
    for (name, bytes, words) in [
        ("no-key.pem", a.cert_pem(), "key"),
        ("mismatch.pem", [a.cert_pem(), b.key_pem()].concat(), "match"),
        ("garbage.pem", b"hello".to_vec(), "certificate"),
        ("empty.pem", Vec::new(), "certificate"),
    ] {
        let program = program("listen fe\n    bind 127.0.0.1:0 ssl crt \"${pem}\"\n");
        let path = program.file(name, bytes);
        fails(program.env("pem", &path), &[name, words]);
    }
}

#[test]
fn names_must_lead_somewhere() {
    for (text, words) in [
        ("frontend fe\n    bind 127.0.0.1:0\n    default_backend nowhere\n", "nowhere"),
        ("frontend fe\n    bind 127.0.0.1:0\n    use_backend nowhere if TRUE\n", "nowhere"),
        ("frontend fe\n    bind 127.0.0.1:0\n    http-request deny if unnamed_acl\n", "unnamed_acl"),
        ("listen a\n    bind 127.0.0.1:0\nlisten a\n    bind 127.0.0.1:0\n", "a"),
        ("listen a\n    bind 127.0.0.1:0\n    server s 127.0.0.1:1\n    server s 127.0.0.1:2\n", "s"),
        ("listen a from nodefaults\n    bind 127.0.0.1:0\n", "nodefaults"),
    ] {
        let output = checked(text);
        assert_eq!(output.code(), 1, "{text}");
        assert!(output.stderr.contains(words), "{text}\n{}", output.stderr);
    }
}

#[test]
fn warnings_are_fatal_when_asked() {
    let text = "defaults\n    mode http\nlisten fe\n    bind 127.0.0.1:0\n    server s1 127.0.0.1:80\n";
    let output = checked(text);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(output.stderr.contains("[WARNING]") && output.stderr.contains("timeout"), "{}", output.stderr);
    let output = Program::bare(BIN, text).run(&["-c", "-dW"]);
    assert_eq!(output.code(), 1, "{}", output.stderr);
    assert_eq!(Program::bare(BIN, FINE).run(&["-c", "-dW"]).code(), 0);
}

#[test]
fn conditions_on_the_command_line() {
    for (text, code) in [
        ("version_atleast(3.0)", 0),
        ("version_atleast(3.5-dev0)", 0),
        ("version_before(3.0)", 1),
        ("feature(OPENSSL)", 0),
        ("feature(THREAD)", 1),
        ("streq(a,a) && !streq(a,b)", 0),
        ("strstr(abc,b)", 0),
        ("defined(PATH)", 0),
        ("defined(SURELY_NOT)", 1),
        ("(0 || 1) && !0", 0),
        ("0", 1),
        ("", 1),
        ("nonsense(", 2),
        ("1 &&", 2),
    ] {
        let output = run(BIN, &["-cc", text]);
        assert_eq!(output.code(), code, "{text:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{text:?}");
        assert_eq!(code == 2, !output.stderr.is_empty(), "{text:?}: {}", output.stderr);
    }
}

#[test]
fn conditions_in_the_file() {
    let text = "\
.if defined(SURELY_NOT)
    this would be an error
.elif streq(\"${WORD}\",yes)
.notice \"the word is ${WORD}\"
.else
.alert \"never\"
.endif
";
    let output = Program::bare(BIN, &format!("{text}{FINE}")).env("WORD", "yes").run(&["-c"]);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(output.stderr.contains("the word is yes"), "{}", output.stderr);
    let output = Program::bare(BIN, &format!("{text}{FINE}")).env("WORD", "no").run(&["-c"]);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains("never"));
}

#[test]
fn quotes_escapes_and_variables() {
    let proxy = program(
        r#"frontend fe
    bind "fd@${fe}"
    http-request return status 200 content-type text/plain string "a \"b\" c" if { path /1 }
    http-request return status 200 content-type text/plain string 'd "e" ${fe} \n' if { path /2 }
    http-request return status 200 content-type text/plain string f\ g\#h if { path /3 } # a comment
    http-request return status 200 content-type text/plain string "${MISSING-i j}" if { path /4 }
    http-request return status 200 content-type text/plain string "k"'l'm if { path /5 }
"#,
    )
    .listen("fe")
    .start();
    let mut client = proxy.connect("fe");
    for (uri, text) in
        [("/1", "a \"b\" c"), ("/2", "d \"e\" ${fe} \\n"), ("/3", "f g#h"), ("/4", "i j"), ("/5", "klm")]
    {
        assert_eq!(client.get(uri).text(), text, "{uri}");
    }
}

#[test]
fn several_files_and_directories() {
    let output = Program::bare(BIN, "listen fe\n    bind 127.0.0.1:0\n    server s1 127.0.0.1:80\n")
        .also(
            "first.cfg",
            "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n",
        )
        .run(&["-c", "-V"]);
    assert_eq!((output.code(), output.stderr.as_str()), (0, ""));

    let program = Program::fileless(BIN);
    let b = program.file("conf.d/2.cfg", "listen fe\n    bind 127.0.0.1:0\n    nonsense\n");
    program.file("conf.d/1.cfg", FINE.split("listen").next().unwrap());
    program.file("conf.d/3.txt", "this is not read");
    let dir = b.strip_suffix("/2.cfg").unwrap().to_string();
    let output = program.run(&["-c", "-f", &dir]);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains("2.cfg:3:") && !output.stderr.contains("3.txt"), "{}", output.stderr);
    assert!(!output.stderr.contains("[WARNING]"), "1.cfg came first: {}", output.stderr);

    let program = Program::fileless(BIN);
    let one = program.file("one.cfg", FINE);
    let output = program.run(&["-c", "-V", "--", &one]);
    assert_eq!(output.stdout, "Configuration file is valid\n", "{}", output.stderr);
}

#[test]
fn versions_are_told() {
    let version = concat!("lighterman version ", env!("CARGO_PKG_VERSION"));
    let short = run(BIN, &["-v"]);
    assert_eq!(short.code(), 0);
    assert!(short.stdout.contains(version), "{}", short.stdout);
    let long = run(BIN, &["-vv"]);
    assert_eq!(long.code(), 0);
    let line = long.stdout.lines().find(|l| l.starts_with(version));
    assert!(line.is_some(), "{}", long.stdout);
    for word in ["3.5", "TLS", "epoll", "h1", "tcp"] {
        assert!(long.stdout.to_lowercase().contains(&word.to_lowercase()), "{word}:\n{}", long.stdout);
    }
}

#[test]
fn help_is_for_people() {
    let help = run(BIN, &["--help"]);
    assert_eq!(help.code(), 0);
    for word in ["-f", "-c", "-W", "--listen", "--to", "Usage"] {
        assert!(help.stdout.contains(word), "{word}:\n{}", help.stdout);
    }
    assert!(help.stdout.lines().all(|l| l.chars().count() <= 100), "{}", help.stdout);
    let wrong = run(BIN, &["--lisen", ":1"]);
    assert_eq!(wrong.code(), 1);
    assert!(wrong.stderr.contains("--listen") && wrong.stderr.contains("--help"), "{}", wrong.stderr);
    let nothing = run(BIN, &[]);
    assert_eq!(nothing.code(), 1);
    assert!(nothing.stderr.contains("-f") || nothing.stdout.contains("-f"));
}

#[test]
fn switches_without_a_meaning_here_are_taken() {
    for flags in [
        vec!["-dM"],
        vec!["-dMno-merge,tag"],
        vec!["-dI", "-dS", "-dr", "-de", "-ds", "-dp", "-dF", "-dZ"],
        vec!["-n", "1000", "-N", "500", "-m", "512", "-L", "name", "-q"],
        vec!["-C", "/"],
        vec!["-dL"],
    ] {
        let mut args = vec!["-c"];
        args.extend(flags);
        let output = Program::bare(BIN, FINE).run(&args);
        assert_eq!(output.code(), 0, "{args:?}: {}", output.stderr);
    }
}

#[test]
fn keywords_are_listed() {
    let output = Program::bare(BIN, FINE).run(&["-c", "-dKall"]);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    for word in ["balance", "timeout", "path_beg", "lower", "set-header", "ssl-min-ver"] {
        assert!(output.stdout.contains(word), "{word}");
    }
}

#[test]
fn hostile_files_give_errors() {
    let deep = ".if 1\n".repeat(2000);
    let long = format!("listen {}\n", "x".repeat(1 << 20));
    let open = "listen fe\n    server \"never closed\n".to_string();
    let escape = "listen fe\n    server \\".to_string();
    let nul = "listen fe\0\n    bind \0\n".to_string();
    let conditions = format!(".if {}1\n.endif\n", "(".repeat(10_000));
    for text in [deep, long, open, escape, nul, conditions] {
        let output = checked(&text);
        assert_eq!(output.code(), 1, "{:.60}: {:.200}", text, output.stderr);
        assert!(
            output.stderr.contains("[ALERT]") && !output.stderr.contains("panicked"),
            "{:.300}",
            output.stderr
        );
        assert!(output.stderr.len() < 200_000);
    }
}

#[test]
fn bytes_that_are_no_text_give_an_error() {
    let program = Program::fileless(BIN);
    let path = program.file("random.cfg", (0..=255u8).cycle().take(5000).collect::<Vec<u8>>());
    let output = program.run(&["-c", "-f", &path]);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains("random.cfg:1"), "{}", output.stderr);
}

//! Converters of maps with real requests: what each of them makes of values of a header. With `LIGHTERMAN_ORACLE` in the
//! environment Debian's haproxy must make the same of them.

use std::path::Path;

use lighterman_harness::{Program, Proxy};

use crate::BIN;

const ORACLE: &str = "/usr/sbin/haproxy";

/// Names and contents of files.
const FILES: &[(&str, &str)] = &[
    ("words", "# remark\none 1\r\n\ntwo   second value  \nnothing\none again\nONE big\n"),
    ("paths", "/ root\n/a A\n/a/b AB\n"),
    ("ends", ".com C\n.example.com EC\nnet N\n"),
    ("doms", "example dom\nb.c bc\n"),
    ("subs", "bc sub\nb first\n"),
    ("regs", "^user([0-9]+)$ id-\\1-\\0\n^/(.*)/(.*)$ \\2+\\1\n^(x)(y)? [\\1\\2]\n"),
    ("nets", "10.0.0.0/8 ten\n10.1.0.0/16 tenone\n2001:db8::/32 six\n9.0.0.9/255.0.0.255 odd\n"),
    ("ints", "1 one\n5:9 five to nine\n7 seven\n:-5 low\n"),
    ("numbers", "a 1\nb -7\nc 4294967296\n"),
    ("addresses", "a 192.0.2.1\n"),
];

/// An expression behind `req.hdr(v)`, and what it makes of values.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    ("map(words)", &[("one", "1"), ("ONE", "big"), ("two", "second value"), ("nothing", ""), ("none", "")]),
    ("map(words,default value)", &[("one", "1"), ("none", "default value")]),
    ("map_str(words,-)", &[("one", "1"), ("on", "-")]),
    ("map_beg(paths,-)", &[("/a", "A"), ("/a/b/c", "AB"), ("/ab", "A"), ("/x", "root"), ("a", "-")]),
    ("map_end(ends,-)", &[("x.com", "C"), ("www.example.com", "C"), ("x.net", "N"), ("com", "-")]),
    ("map_dir(doms,-)", &[("/x/example/y", "dom"), ("/example.com", "-"), ("/b.c", "bc")]),
    ("map_dom(doms,-)", &[("www.example.com", "dom"), ("a.b.c.d", "bc"), ("examples.com", "-")]),
    ("map_sub(subs,-)", &[("abcd", "sub"), ("xb", "first"), ("c", "-")]),
    ("map_reg(regs,-)", &[("user7", "id-\\1-\\0"), ("user", "-")]),
    (
        "map_regm(regs,-)",
        &[("user7", "id-7-user7"), ("/a/b/c", "c+a/b"), ("xy", "[xy]"), ("xz", "[x]"), ("z", "-")],
    ),
    (
        "map_ip(nets,-)",
        &[
            ("10.1.2.3", "tenone"),
            ("10.2.2.3", "ten"),
            ("::ffff:10.1.1.1", "tenone"),
            ("2001:db8::7", "six"),
            ("9.8.7.9", "odd"),
            ("11.1.1.1", "-"),
        ],
    ),
    (
        "map_int(ints,-)",
        &[("1", "one"), ("7", "five to nine"), ("9", "five to nine"), ("10", "-"), ("-9", "low")],
    ),
    ("map_str_int(numbers,42)", &[("a", "1"), ("b", "-7"), ("c", "4294967296"), ("d", "42")]),
    ("map_str_int(numbers),add(1)", &[("a", "2"), ("d", "")]),
    ("map_str_ip(addresses,127.0.0.1)", &[("a", "192.0.2.1"), ("c", "127.0.0.1")]),
    ("length,map_int(ints,-)", &[("x", "one"), ("seven77", "five to nine"), ("xx", "-")]),
];

fn sections() -> String {
    let mut text = String::from(
        "defaults\n    mode http\n    timeout client 20s\n    timeout server 20s\n    timeout connect 20s\nfrontend fe\n    bind \"fd@${fe}\"\n",
    );
    for (nth, (converters, _)) in ROWS.iter().enumerate() {
        let mut converters = converters.to_string();
        for (name, _) in FILES {
            converters = converters.replace(&format!("({name}"), &format!("(${{{name}}}"));
        }
        text.push_str(&format!(
            "    http-request return status 200 content-type text/plain lf-string \"<%[req.hdr(v),{converters}]>\" if {{ req.hdr(n) {nth} }}\n"
        ));
    }
    text
}

/// What comes of every row and value.
fn play(binary: &str, program: fn(&str, &str) -> Program) -> Vec<String> {
    let mut program = program(binary, &sections()).listen("fe");
    for (name, text) in FILES {
        let path = program.file(name, text);
        program = program.env(name, path);
    }
    let proxy: Proxy = program.args(&["-db"]).start_as_given();
    let mut client = proxy.connect("fe");
    let mut seen = Vec::new();
    for (nth, (_, values)) in ROWS.iter().enumerate() {
        for (value, _) in *values {
            client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nN: {nth}\r\nV: {value}\r\n\r\n"));
            seen.push(client.response().text());
        }
    }
    seen
}

#[test]
fn maps_make_of_values_what_their_files_say() {
    let oracle = std::env::var("LIGHTERMAN_ORACLE").is_ok().then(|| {
        assert!(Path::new(ORACLE).exists(), "haproxy is not installed");
        play(ORACLE, Program::other)
    });
    let seen = play(BIN, Program::bare);
    let rows =
        ROWS.iter().flat_map(|(row, values)| values.iter().map(move |(value, made)| (row, value, made)));
    let mut wrong = Vec::new();
    for (nth, (row, value, made)) in rows.enumerate() {
        if seen[nth] != format!("<{made}>") {
            wrong.push(format!("{row} of {value}: {}, expected {made}", seen[nth]));
        }
        if let Some(theirs) = oracle.as_ref().map(|all| &all[nth]).filter(|theirs| **theirs != seen[nth]) {
            wrong.push(format!("{row} of {value}: {}, haproxy {theirs}", seen[nth]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

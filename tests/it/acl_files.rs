//! Flags and files of ACLs with real requests: each row is a condition and the values of a header for which it holds.
//! With `LIGHTERMAN_ORACLE` in the environment Debian's haproxy must say the same.

use std::path::Path;

use lighterman_harness::{Program, Proxy};

use crate::BIN;

const ORACLE: &str = "/usr/sbin/haproxy";

/// Names and contents of files.
const FILES: &[(&str, &str)] = &[
    ("words", "# remark\n\none\r\n  Two\nwith space\n-dash\n#not this\nlast"),
    ("more", "three\n"),
    ("map", "one 1\nfour   4 and more\n# five 5\n"),
    ("nets", "10.0.0.0/8\n10.1.0.0/16\n192.168.1/24\n2001:db8::/32\n172.16.0.1\n9.0.0.9/255.0.0.255\n"),
    ("numbers", "5\n10:20\n1000:\n"),
    ("regs", "^a+$\n^(x|y)z\n"),
    ("ends", ".com\n.example.net\n"),
    ("empty", ""),
    ("remarks", "# nothing\n\n"),
];

/// Values of the header that every condition is tried with.
const VALUES: &[&str] = &[
    "one",
    "ONE",
    "two",
    "Two",
    "three",
    "four",
    "4",
    "5",
    "7",
    "15",
    "20",
    "21",
    "1000",
    "99999",
    "-1",
    "five",
    "with space",
    "-dash",
    "-i",
    "last",
    "#not",
    "on",
    "oneone",
    "10.1.2.3",
    "11.0.0.1",
    "192.168.0.1",
    "192.168.1.9",
    "2001:db8::7",
    "2001:db9::7",
    "::ffff:10.9.9.9",
    "172.16.0.1",
    "172.16.0.2",
    "9.7.7.9",
    "9.7.7.8",
    "aaa",
    "AAA",
    "xz",
    "xxz",
    "www.example.com",
    "www.example.net",
    "example.net",
    "a/one/b",
    "a.one.b",
    "tone",
];

/// A condition, and the values for which it holds: with HAProxy 2.6 the same ones.
type Row = (&'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("req.hdr(v) -f words", &["one", "Two", "with space", "-dash", "last"]),
    ("req.hdr(v) -i -f words", &["one", "ONE", "two", "Two", "with space", "-dash", "last"]),
    ("req.hdr(v) -f words -f more four", &["one", "Two", "three", "four", "with space", "-dash", "last"]),
    ("req.hdr(v) -m str -f more -i", &["three"]),
    ("req.hdr(v) -M -f map", &["one", "four"]),
    ("req.hdr(v) -m beg -f more on", &["one", "three", "on", "oneone"]),
    ("req.hdr(v) -m end -f more ne", &["one", "three", "oneone", "tone"]),
    ("req.hdr(v) -m end -f ends", &["www.example.com", "www.example.net"]),
    (
        "req.hdr(v) -m sub -f more ne",
        &["one", "three", "oneone", "www.example.net", "example.net", "a/one/b", "a.one.b", "tone"],
    ),
    ("req.hdr(v) -m dir one", &["one", "a/one/b"]),
    ("req.hdr(v) -m dom one", &["one", "a/one/b", "a.one.b"]),
    ("req.hdr(v) -m reg -f regs", &["aaa", "xz"]),
    ("req.hdr(v) -m reg -i -f regs", &["aaa", "AAA", "xz"]),
    (
        "req.hdr(v) -m len 2 7:9",
        &[
            "15", "20", "21", "-1", "-i", "on", "10.1.2.3", "11.0.0.1", "9.7.7.9", "9.7.7.8", "xz",
            "a/one/b", "a.one.b",
        ],
    ),
    (
        "req.hdr(v) -m int -f numbers",
        &["5", "15", "20", "1000", "99999", "10.1.2.3", "11.0.0.1", "2001:db8::7", "2001:db9::7"],
    ),
    ("req.hdr(v) -m int eq 4 ge 2000 lt 0", &["4", "99999", "-1", "2001:db8::7", "2001:db9::7"]),
    (
        "req.hdr(v) -m int gt 15 lt 0",
        &[
            "20",
            "21",
            "1000",
            "99999",
            "-1",
            "192.168.0.1",
            "192.168.1.9",
            "2001:db8::7",
            "2001:db9::7",
            "172.16.0.1",
            "172.16.0.2",
        ],
    ),
    ("req.hdr(v) -m int eq 5 eq 7", &["5", "7"]),
    ("req.hdr(v) -m bin 6f6e65 34", &["one", "4"]),
    ("req.hdr(v) -m found", VALUES),
    ("req.hdr(v),length -m bool", VALUES),
    (
        "req.hdr_ip(v) -f nets",
        &["10.1.2.3", "192.168.0.1", "2001:db8::7", "::ffff:10.9.9.9", "172.16.0.1", "9.7.7.9"],
    ),
    ("req.hdr_ip(v) -n 10.1.2.3 2001:db8::/32", &["10.1.2.3", "2001:db8::7"]),
    ("req.hdr(v) -- -i -dash", &["-dash", "-i"]),
    ("req.hdr(v) -i -- ONE", &["one", "ONE"]),
    ("req.hdr(v) -u 9 one", &["one"]),
    ("req.hdr(v) -f empty one", &["one"]),
    ("req.hdr(v) -f empty", &[]),
    ("req.hdr(v) -f remarks", &[]),
];

fn sections() -> String {
    let mut text = String::from(
        "defaults\n    mode http\n    timeout client 20s\n    timeout server 20s\n    timeout connect 20s\nfrontend fe\n    bind \"fd@${fe}\"\n",
    );
    for (nth, (condition, _)) in ROWS.iter().enumerate() {
        let words = condition.split(' ').scan(false, |file, word| {
            let quoted = if *file { format!("\"${{{word}}}\"") } else { word.to_owned() };
            *file = word == "-f";
            Some(quoted)
        });
        let condition = words.collect::<Vec<_>>().join(" ");
        text.push_str(&format!("    http-request set-var(txn.r{nth}) str(y) if {{ {condition} }}\n"));
    }
    let says: Vec<String> = (0..ROWS.len()).map(|nth| format!("%[var(txn.r{nth})]")).collect();
    text.push_str("    http-request return status 200 content-type text/plain lf-string ");
    text.push_str(&says.join(","));
    text.push('\n');
    text
}

/// For each row the values for which its condition holds.
fn play(binary: &str, program: fn(&str, &str) -> Program) -> Vec<Vec<&'static str>> {
    let mut program = program(binary, &sections()).listen("fe");
    for (name, text) in FILES {
        let path = program.file(name, text);
        program = program.env(name, path);
    }
    let proxy: Proxy = program.args(&["-db"]).start_as_given();
    let mut client = proxy.connect("fe");
    let mut held = vec![Vec::new(); ROWS.len()];
    for value in VALUES {
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nV: {value}\r\n\r\n"));
        let text = client.response().text();
        let says = text.split(',').enumerate().filter(|(_, word)| word.trim() == "y");
        says.for_each(|(nth, _)| held[nth].push(*value));
    }
    held
}

#[test]
fn conditions_hold_for_what_their_patterns_say() {
    let oracle = std::env::var("LIGHTERMAN_ORACLE").is_ok().then(|| {
        assert!(Path::new(ORACLE).exists(), "haproxy is not installed");
        play(ORACLE, Program::other)
    });
    let seen = play(BIN, Program::bare);
    let mut wrong = Vec::new();
    for (nth, (condition, values)) in ROWS.iter().enumerate() {
        let mut wanted: Vec<_> = VALUES.iter().copied().filter(|value| values.contains(value)).collect();
        wanted.dedup();
        if seen[nth] != wanted {
            wrong.push(format!("{condition}\n  holds for {:?}\n  expected  {wanted:?}", seen[nth]));
        }
        if let Some(theirs) = oracle.as_ref().map(|all| &all[nth]) {
            if *theirs != seen[nth] {
                wrong.push(format!("{condition}\n  holds for {:?}\n  haproxy   {theirs:?}", seen[nth]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

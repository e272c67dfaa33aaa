//! Maps and ACL files: what rules find in them, and changes by commands and rules, in all workers.

use lighterman_harness::{eventually, procs, Proxy};
use nix::sys::signal::Signal;

use crate::program;

const MAP: &str = "# names\n/a one\n/b two words\n\n/b/c three\n";
const LIST: &str = "10.0.0.0/8\n127.0.0.2\n";

/// A frontend that answers what the maps say, with so many workers.
fn start(workers: u32) -> Proxy {
    let sections = "\
frontend fe
    bind 127.0.0.1:\"${port}\"
    acl blocked hdr_ip(x-ip) -f \"${list}\"
    acl numbered path -u 77 /inline
    http-request set-map(\"${map}\") %[req.hdr(x-set)] %[req.hdr(x-to)] if { req.hdr(x-set) -m found }
    http-request del-map(\"${map}\") %[req.hdr(x-del)] if { req.hdr(x-del) -m found }
    http-request add-acl(\"${list}\") %[req.hdr(x-block)] if { req.hdr(x-block) -m found }
    http-request del-acl(\"${list}\") %[req.hdr(x-unblock)] if { req.hdr(x-unblock) -m found }
    http-request return status 403 content-type text/plain string blocked if blocked
    http-request return status 200 content-type text/plain string numbered if numbered
    http-request return status 200 content-type text/plain lf-string \"%[path,map(${map},none)]|%[path,map_beg(${map},none)]\"
";
    let program = program(sections).port("port").workers(workers);
    let (map, list) = (program.file("names.map", MAP), program.file("addr.lst", LIST));
    let proxy = program.env("map", map).env("list", list).start();
    eventually("the first answer", || proxy.get("port", "/").status == 200);
    proxy
}

/// The answers of several connections, which different workers take.
fn answers(proxy: &Proxy, fields: &str, path: &str) -> Vec<String> {
    let mut texts: Vec<String> = (0..16)
        .map(|_| {
            let mut client = proxy.connect("port");
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
            client.response().text()
        })
        .collect();
    texts.dedup();
    texts
}

fn says(proxy: &Proxy, path: &str) -> Vec<String> {
    answers(proxy, "", path)
}

/// The name of the map, as commands list it.
fn map_name(proxy: &Proxy) -> String {
    let list = proxy.command("show map");
    let name = list.lines().nth(1).and_then(|line| line.split_once('(')?.1.split_once(')'));
    name.unwrap_or_else(|| panic!("{list}")).0.to_owned()
}

/// The answer to a command on the map or the list, without the empty line at its end.
fn ask(proxy: &Proxy, command: &str) -> String {
    let map = map_name(proxy);
    let list = map.replace("names.map", "addr.lst");
    proxy.command(&command.replace("MAP", &map).replace("LIST", &list)).trim_end().to_owned()
}

#[test]
fn files_are_searched_in_every_way_they_are_used() {
    let proxy = start(1);
    assert_eq!(says(&proxy, "/b/c/d"), ["none|three"]);
    assert_eq!(says(&proxy, "/b"), ["two words|two words"]);
    assert_eq!(says(&proxy, "/z"), ["none|none"]);
    assert_eq!(answers(&proxy, "X-Ip: 10.1.2.3\r\n", "/"), ["blocked"]);
    assert_eq!(answers(&proxy, "X-Ip: 11.1.2.3\r\n", "/a"), ["one|one"]);
    assert_eq!(says(&proxy, "/inline"), ["numbered"]);
}

#[test]
fn commands_change_maps_in_all_workers() {
    let proxy = start(4);
    assert_eq!(ask(&proxy, "add map MAP /new v1"), "");
    assert_eq!(says(&proxy, "/new"), ["v1|v1"]);
    assert_eq!(ask(&proxy, "set map MAP /new v2"), "");
    assert_eq!(says(&proxy, "/new"), ["v2|v2"]);
    assert_eq!(ask(&proxy, "set map MAP /none v2"), "entry not found.");
    assert_eq!(ask(&proxy, "del map MAP /none"), "Key not found.");
    assert_eq!(ask(&proxy, "del map MAP /new"), "");
    assert_eq!(says(&proxy, "/new"), ["none|none"]);
    assert_eq!(ask(&proxy, "add acl LIST 11.0.0.0/8"), "");
    assert_eq!(answers(&proxy, "X-Ip: 11.1.2.3\r\n", "/a"), ["blocked"]);
    assert_eq!(ask(&proxy, "add acl LIST nonsense"), "\"nonsense\" is not an address or network");
    assert_eq!(ask(&proxy, "add acl #77 /other"), "");
    assert_eq!(says(&proxy, "/other"), ["numbered"]);
    assert_eq!(ask(&proxy, "clear acl #77"), "");
    assert_eq!(says(&proxy, "/inline"), ["none|none"]);
}

#[test]
fn what_commands_show() {
    let proxy = start(2);
    let shown = ask(&proxy, "show map MAP");
    let lines: Vec<&str> = shown.lines().collect();
    let entries: Vec<(&str, &str)> = lines.iter().filter_map(|line| line.split_once(' ')).collect();
    assert!(entries.iter().all(|(reference, _)| reference.starts_with("0x")), "{shown}");
    assert_eq!(
        entries.iter().map(|(_, rest)| *rest).collect::<Vec<_>>(),
        ["/a one", "/b two words", "/b/c three"]
    );
    assert_eq!(ask(&proxy, &format!("del map MAP #{}", entries[0].0)), "");
    assert_eq!(ask(&proxy, &format!("set map MAP #{} 2", entries[1].0)), "");
    assert_eq!(says(&proxy, "/a"), ["none|none"]);
    assert_eq!(says(&proxy, "/b"), ["2|2"]);
    assert_eq!(
        ask(&proxy, "get map MAP /b/c"),
        "type=str, case=sensitive, found=yes, idx=tree, key=\"/b/c\", value=\"three\", type=\"str\"\n\
         type=beg, case=sensitive, found=yes, idx=tree, key=\"/b/c\", value=\"three\", type=\"str\""
    );
    assert_eq!(
        ask(&proxy, "get acl LIST 10.2.3.4"),
        "type=ip, case=sensitive, match=yes, idx=tree, pattern=\"10.0.0.0/8\""
    );
    assert_eq!(ask(&proxy, "get acl LIST 12.2.3.4"), "type=ip, case=sensitive, match=no");
    let list = ask(&proxy, "show map");
    assert!(list.starts_with("# id (file) description\n"), "{list}");
    assert!(
        list.contains("names.map) pattern loaded from file '")
            && list.contains("curr_ver=0 next_ver=0 entry_cnt=2"),
        "{list}"
    );
    let list = ask(&proxy, "show acl");
    assert!(list.contains("addr.lst) ") && list.contains("\n77 () "), "{list}");
    assert_eq!(ask(&proxy, "show map nope"), "Unknown map identifier. Please use #<id> or <file>.");
    assert_eq!(ask(&proxy, "clear acl"), "Missing ACL identifier.");
    assert!(ask(&proxy, "add map MAP").starts_with("'add map' expects three parameters"));
}

#[test]
fn a_new_version_replaces_the_old_one_at_once() {
    let proxy = start(2);
    assert_eq!(ask(&proxy, "prepare map MAP"), "New version created: 1");
    assert_eq!(ask(&proxy, "add map @1 MAP <<\n/n next\n/m  more words\n\n"), "");
    assert_eq!(
        ask(&proxy, "add map @2 MAP k v"),
        "Version number in the future, please use 'prepare map' before."
    );
    assert_eq!(says(&proxy, "/n"), ["none|none"]);
    assert!(ask(&proxy, "show map @1 MAP").ends_with("/m more words"));
    assert_eq!(ask(&proxy, "commit map MAP"), "Missing version number.");
    assert_eq!(ask(&proxy, "commit map @7 MAP"), "Version number out of range.");
    assert_eq!(ask(&proxy, "commit map @1 MAP"), "");
    assert_eq!(says(&proxy, "/n"), ["next|next"]);
    assert_eq!(says(&proxy, "/a"), ["none|none"]);
    assert_eq!(ask(&proxy, "clear map MAP"), "");
    assert_eq!(says(&proxy, "/m"), ["none|none"]);
}

#[test]
fn rules_change_maps_for_everybody_and_for_the_next_rule() {
    let proxy = start(3);
    let mut client = proxy.connect("port");
    client.send("GET /r HTTP/1.1\r\nHost: x\r\nX-Set: /r\r\nX-To: ruled\r\n\r\n");
    assert_eq!(client.response().text(), "ruled|ruled");
    assert_eq!(says(&proxy, "/r"), ["ruled|ruled"]);
    let mut client = proxy.connect("port");
    client.send("GET /r HTTP/1.1\r\nHost: x\r\nX-Del: /r\r\nX-Block: 13.0.0.1\r\n\r\n");
    assert_eq!(client.response().text(), "none|none");
    assert_eq!(answers(&proxy, "X-Ip: 13.0.0.1\r\n", "/a"), ["blocked"]);
    assert_eq!(answers(&proxy, "X-Ip: 13.0.0.1\r\nX-Unblock: 13.0.0.1\r\n", "/a"), ["one|one"]);
    assert_eq!(ask(&proxy, "get map MAP /r").lines().next(), Some("type=str, case=sensitive, found=no"));
}

#[test]
fn a_new_worker_knows_what_was_changed_and_a_reload_reads_the_files_again() {
    let proxy = start(2);
    assert_eq!(ask(&proxy, "add map MAP /kept yes"), "");
    for pid in proxy.workers() {
        procs::signal(pid, Signal::SIGKILL);
    }
    eventually("new workers know", || says(&proxy, "/kept") == ["yes|yes"]);
    std::fs::write(map_name(&proxy), "/a again\n").unwrap();
    proxy.signal(Signal::SIGUSR2);
    eventually("the files were read again", || says(&proxy, "/a") == ["again|again"]);
    assert_eq!(says(&proxy, "/kept"), ["none|none"]);
    assert_eq!(ask(&proxy, "add map MAP /later yes"), "");
    assert_eq!(says(&proxy, "/later"), ["yes|yes"]);
}

#[test]
fn ten_thousand_changes_are_done_within_a_second() {
    let proxy = start(2);
    let mut client = proxy.connect("cli");
    client.send("prompt\n");
    client.upto("> ");
    let lines: String = (0..10_000).map(|n| format!("/k{n} {n}\n")).collect();
    let name = map_name(&proxy);
    let began = lighterman_harness::Watch::start();
    client.send(format!("add map {name} <<EOF\n{lines}EOF\n"));
    client.upto("\n> ");
    let took = began.elapsed();
    assert_eq!(says(&proxy, "/k9999"), ["9999|9999"]);
    // A build for tests, on a machine that may be busy: released builds do ten times as many.
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn a_change_by_a_rule_that_is_not_possible_is_counted_and_logged() {
    let sections = "frontend fe\n    bind \"fd@${fe}\"\n    acl bad hdr_ip(x-ip) -f virt@bad.lst\n    \
         http-request add-acl(virt@bad.lst) %[req.hdr(x-block)] if { req.hdr(x-block) -m found }\n    \
         http-request set-map(virt@seen.map) %[req.hdr(x-key)] %[req.hdr(x-value)] if { req.hdr(x-key) -m found }\n    \
         http-request return status 403 if bad\n    http-request return status 200 content-type text/plain lf-string %[req.hdr(x-key),map(virt@seen.map)]\n";
    let proxy = program(sections).listen("fe").start();
    let mut client = proxy.connect("fe");
    let mut ask = |fields: &str| {
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        client.response()
    };
    for _ in 0..3 {
        assert_eq!(ask("X-Block: nonsense\r\n").status, 200);
    }
    proxy.says("a rule could not change \"virt@bad.lst\": \"nonsense\" is not an address or network");
    assert_eq!(proxy.count("PatternsRefused"), 3);
    assert_eq!(
        proxy.stderr().matches("a rule could not change").count(),
        1,
        "told once, and not again at once"
    );
    assert_eq!(ask("X-Block: 192.0.2.1\r\n").status, 200);
    assert_eq!((proxy.count("PatternsAdded"), proxy.count("PatternsFreed")), (1, 0));
    assert_eq!(ask("X-Ip: 192.0.2.1\r\n").status, 403);
    // values that fill all the room there is for changes: the service goes on with what it has
    let value = "v".repeat(15_000);
    let mut kept = 0;
    while proxy.count("PatternsRefused") == 3 {
        for _ in 0..50 {
            kept += 1;
            assert_eq!(ask(&format!("X-Key: k{kept}\r\nX-Value: {value}\r\n")).status, 200);
        }
        assert!(kept < 20_000, "no end of room");
    }
    assert!(kept > 1000, "{kept} entries of 15 KB");
    let shorter = &value[1000..];
    assert_eq!(ask(&format!("X-Key: k1\r\nX-Value: {shorter}\r\n")).text(), shorter, "takes no more room");
    assert!(ask(&format!("X-Key: other\r\nX-Value: {value}\r\n")).text().is_empty());
    assert_eq!(ask("X-Key: k2\r\nX-Value: small\r\n").text(), "small");
    assert_eq!(proxy.command("clear map virt@seen.map").trim(), "");
    assert!(ask(&format!("X-Key: other\r\nX-Value: {value}\r\n")).text() == value, "there is room again");
}

//! Plays a case on one program, and makes what was seen comparable: ports, dates and times are masked, the names of fields
//! are in lower case.

use std::time::Duration;

use lighterman_harness::deadline::within;
use lighterman_harness::logs::text;
use lighterman_harness::{Logs, Peer, Program, Reply, Server};

use super::case::Case;

/// What was seen, line by line.
#[derive(Default, PartialEq, Eq)]
pub struct Seen {
    pub backend: Vec<String>,
    pub client: Vec<String>,
    pub log: Vec<String>,
}

/// How long a log line may take.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// How long a program that refuses its configuration may take to end after its sockets were tried.
const END_PATIENCE: Duration = Duration::from_millis(300);

/// What goes before the lines of a case.
const PRELUDE: &str = "\
global
    log LOG local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout http-request 5s
    timeout tarpit 50ms
";

/// Plays the case with this program.
pub fn play(program: fn(&str, &str) -> Program, binary: &str, case: &Case) -> Seen {
    let logs = Logs::udp();
    let answer = case.answer.clone();
    let server = Server::http(move |_| match &answer {
        Some(head) if head.to_ascii_lowercase().contains("content-length") => {
            Reply::raw(format!("{head}\r\n"))
        }
        Some(head) => Reply::raw(format!("{head}Content-Length: 2\r\n\r\nok")),
        None => Reply::status(200, "X-Server: s1\r\n", "ok"),
    });
    let text = configuration(case, &server.addr().to_string(), logs.address());
    let mut proxy = program(binary, &text).listen("fe").args(&["-db"]).start_as_given();
    let mut seen = Seen::default();
    let mut ports = vec![server.addr().port(), proxy.addr("fe").port()];
    let mut peer: Option<Peer> = None;
    for request in &case.requests {
        let mut client = match peer.take() {
            Some(client) if request.same => client,
            _ => match proxy.try_connect("fe") {
                Some(client) => client,
                None => {
                    seen.client.push(format!("it does not run: {}", proxy.stderr()));
                    break;
                }
            },
        };
        ports.push(client.port());
        client.send(&request.bytes);
        if !exchange(&request.bytes, &mut client, &mut seen)
            && within(END_PATIENCE, || proxy.ended().then_some(())).is_some()
        {
            seen.client.push(format!("it does not run: {}", proxy.stderr()));
            break;
        }
        peer = Some(client);
    }
    drop(peer);
    let lines = if proxy.ended() { 0 } else { case.requests.len() };
    seen.log = (0..lines).map_while(|_| logs.within(LOG_PATIENCE)).collect();
    seen.log.iter_mut().for_each(|line| *line = timeless(self::text(line)));
    for request in server.requests() {
        seen.backend.push(request.head.line.clone());
        seen.backend.extend(fields(&request.head.fields));
        if !request.body.is_empty() {
            seen.backend.push(format!("body: {}", String::from_utf8_lossy(&request.body)));
        }
    }
    for line in seen.backend.iter_mut().chain(&mut seen.client).chain(&mut seen.log) {
        *line = portless(line, &ports);
    }
    // datagrams of two connections may overtake each other
    seen.log.sort();
    seen
}

fn configuration(case: &Case, server: &str, log: &str) -> String {
    let prelude = PRELUDE.replace("LOG", log);
    let lines = case.lines.join("\n").replace("SERVER", server).replace("LOG", log);
    if case.whole {
        return format!("{prelude}{lines}\n");
    }
    let lines: Vec<String> = lines.lines().map(|line| format!("    {}\n", line.trim_start())).collect();
    format!("{prelude}listen fe\n    bind \"fd@${{fe}}\"\n{}    server s1 {server}\n", lines.concat())
}

/// Reads what comes back. False: the connection was closed without a response.
fn exchange(request: &str, client: &mut Peer, seen: &mut Seen) -> bool {
    let response = match request.starts_with("HEAD ") {
        true => client.try_response_head(),
        false => client.try_response(),
    };
    let response = match response {
        Ok(response) => response,
        Err(_) => {
            seen.client.push("closed without a response".into());
            return false;
        }
    };
    seen.client.push(response.head.line.clone());
    seen.client.extend(fields(&response.head.fields));
    if !response.body.is_empty() {
        seen.client.push(format!("body: {}", response.text()));
    }
    true
}

/// Fields in the order of their names: that between fields of different names means nothing (RFC 9110 section 5.3).
fn fields(fields: &[(String, String)]) -> Vec<String> {
    let mut lines: Vec<(String, &str)> = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        let value = if name == "date" { "..." } else { value.as_str() };
        lines.push((name, value));
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// A log line without the date in brackets and without the times of its timers: the first word of three or five numbers
/// between slashes. `-1` stays. Bytes of an HTTP response are masked too: ours are those on the wire, the peer's those of its
/// own representation of the message, some bytes more.
fn timeless(line: &str) -> String {
    let mut out = String::new();
    let (mut timers, mut counts, mut bytes_in) = (true, true, 0);
    for word in line.split_inclusive(' ') {
        let numbers: Vec<&str> = word.trim_end().split('/').collect();
        let is_number = |n: &&str| n.trim_start_matches(['+', '-']).parse::<i64>().is_ok();
        bytes_in -= 1;
        if bytes_in == 0 {
            out.push_str("bytes ");
        } else if word.starts_with('[') && word.contains(':') {
            out.push_str("[date] ");
        } else if timers && matches!(numbers.len(), 3 | 5) && numbers.iter().all(is_number) {
            timers = false;
            bytes_in = if numbers.len() == 5 { 2 } else { 0 };
            let masked = numbers.iter().map(|n| if *n == "-1" { "-1" } else { "#" });
            out.push_str(&masked.collect::<Vec<_>>().join("/"));
            out.push(' ');
        } else if counts && numbers.len() == 5 && numbers.iter().all(is_number) {
            // who else is connected depends on how fast the one before was seen to leave
            counts = false;
            out.push_str(&format!("#/#/#/#/{} ", numbers[4]));
        } else {
            out.push_str(word);
        }
    }
    out
}

/// Port numbers of this run are the same word in every run.
fn portless(line: &str, ports: &[u16]) -> String {
    ports.iter().fold(line.to_string(), |line, port| line.replace(&port.to_string(), "PORT"))
}

//! Plays a case on one program and writes down what was seen, made comparable by [`mask`](super::mask).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;

use lighterman_harness::deadline::{pause, within};
use lighterman_harness::logs::text;
use lighterman_harness::{Dir, Logs, Peer, Program, Proxy, Reply, Request, Server};

use super::case::{Case, Step};
use super::mask;

/// What was seen, line by line.
#[derive(Default, PartialEq, Eq)]
pub struct Seen {
    pub backend: Vec<String>,
    pub client: Vec<String>,
    pub log: Vec<String>,
}

/// One of the two programs.
pub struct Player {
    pub start: fn(&str, &str) -> Program,
    pub binary: &'static str,
    /// It gets the lines that are only for haproxy.
    pub is_oracle: bool,
}

/// What both programs meet: the same servers at the same addresses, and the same files.
pub struct Stage {
    servers: [Server; 2],
    backend: Arc<Mutex<Vec<String>>>,
    nobody: String,
    dir: Dir,
}

/// How long a log line may take while the program goes on; not every request has one.
const LOG_PATIENCE: Duration = Duration::from_millis(300);

/// How long a program may take to end its streams.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// How long a program that refuses its configuration may take to end after its sockets were tried.
const END_PATIENCE: Duration = Duration::from_millis(300);

/// How long a client waits.
const CLIENT_PATIENCE: Duration = Duration::from_secs(7);

/// Between what is to arrive one after the other.
const BETWEEN: Duration = Duration::from_millis(20);

/// What goes before the lines of a case.
const PRELUDE: &str = "\
global
    log LOG local0
    stats socket \"fd@${cli}\" level admin
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

impl Stage {
    pub fn new(case: &Case) -> Stage {
        let dir = Dir::new();
        for (name, text) in &case.files {
            dir.file(name, text);
        }
        let backend = Arc::new(Mutex::new(Vec::new()));
        let servers = [1, 2].map(|_| server(case, backend.clone()));
        Stage { servers, backend, nobody: Server::nobody().to_string(), dir }
    }

    /// Plays the case with this program.
    pub fn play(&self, player: &Player, case: &Case) -> Seen {
        let logs = Logs::udp();
        let text = self.configuration(player, case, logs.address());
        let mut proxy = (player.start)(player.binary, &text).listen("fe").args(&["-db"]).start_as_given();
        let mut seen = Seen::default();
        let mut ports: Vec<u16> = self.servers.iter().map(|server| server.addr().port()).collect();
        ports.push(proxy.addr("fe").port());
        self.steps(case, &mut proxy, &mut seen, &mut ports);
        let lines = if proxy.ended() { 0 } else { case.requests() };
        seen.log = (0..lines).map_while(|_| logs.within(LOG_PATIENCE)).collect();
        if seen.log.len() < lines {
            // what is left is told when the last stream is over
            proxy.signal(Signal::SIGUSR1);
            let _ = within(STOP_PATIENCE, || proxy.ended().then_some(()));
            let told = std::iter::from_fn(|| logs.within(Duration::from_millis(1)));
            seen.log.extend(told.filter(|line| !line.contains(": Proxy ")));
        }
        for line in &mut seen.log {
            *line = mask::without(&mask::timeless(self::text(line)), &case.unlike);
        }
        drop(proxy);
        // servers that do not speak HTTP tell what they got when their connection ends
        let _ = within(END_PATIENCE, || self.servers.iter().all(|server| server.open() == 0).then_some(()));
        seen.backend = std::mem::take(&mut *self.backend.lock().unwrap());
        for line in seen.backend.iter_mut().chain(&mut seen.client).chain(&mut seen.log) {
            *line = mask::portless(line, &ports);
        }
        // datagrams of two connections may overtake each other
        seen.log.sort();
        seen
    }

    fn steps(&self, case: &Case, proxy: &mut Proxy, seen: &mut Seen, ports: &mut Vec<u16>) {
        let mut peer: Option<Peer> = None;
        for step in &case.steps {
            let goes_on = matches!(step, Step::Http { same: true, .. });
            if let Some(left) = peer.take_if(|_| !goes_on) {
                drop(left);
                // it is seen to have gone before the next one comes
                pause(BETWEEN);
            }
            let mut client = match (peer.take(), step) {
                (Some(client), _) => client,
                (None, Step::Ask(command)) => {
                    let command = command.replace("FILES", &self.dir.path().display().to_string());
                    seen.client.extend(mask::answer(&proxy.command(&command)));
                    continue;
                }
                (None, Step::Pause(time)) => {
                    pause(*time);
                    continue;
                }
                _ => match proxy.try_connect("fe") {
                    Some(client) => client.limit(case.patience.unwrap_or(CLIENT_PATIENCE)),
                    None => {
                        seen.client.push(format!("it does not run: {}", proxy.stderr()));
                        return;
                    }
                },
            };
            ports.push(client.port());
            let answered = match step {
                Step::Http { bytes, .. } => exchange(&mask::dated(bytes), &mut client, seen),
                Step::Bytes(parts) => talk(parts, &mut client, seen),
                _ => true,
            };
            if !answered && within(END_PATIENCE, || proxy.ended().then_some(())).is_some() {
                seen.client.push(format!("it does not run: {}", proxy.stderr()));
                return;
            }
            peer = Some(client);
        }
    }

    fn configuration(&self, player: &Player, case: &Case, log: &str) -> String {
        let server = self.servers[0].addr().to_string();
        let filled = |text: &str| {
            text.replace("LOG", log)
                .replace("SERVER2", &self.servers[1].addr().to_string())
                .replace("SERVER", &server)
                .replace("NOBODY", &self.nobody)
                .replace("FILES", &self.dir.path().display().to_string())
        };
        let lines = case.lines(player.is_oracle);
        if case.whole {
            return filled(&format!("{PRELUDE}{}\n", lines.join("\n")));
        }
        let lines: Vec<String> = lines.iter().map(|line| format!("    {}\n", line.trim_start())).collect();
        filled(&format!(
            "{PRELUDE}listen fe\n    bind \"fd@${{fe}}\"\n{}    server s1 SERVER\n",
            lines.concat()
        ))
    }
}

fn server(case: &Case, seen: Arc<Mutex<Vec<String>>>) -> Server {
    if let Some((words, at_once)) = case.raw.clone() {
        return Server::start(move |peer, _| raw(peer, &words, at_once, &seen));
    }
    let answer = case.answer.clone();
    Server::http(move |request| {
        seen.lock().unwrap().extend(request_lines(request));
        match &answer {
            Some(head) if head.to_ascii_lowercase().contains("content-length") => {
                Reply::raw(format!("{head}\r\n"))
            }
            Some(head) => Reply::raw(format!("{head}Content-Length: 2\r\n\r\nok")),
            None => Reply::status(200, "X-Server: s1\r\n", "ok"),
        }
    })
}

fn request_lines(request: &Request) -> Vec<String> {
    let mut lines = vec![request.head.line.clone()];
    lines.extend(mask::fields(&request.head.fields));
    if !request.body.is_empty() {
        lines.push(format!("body: {}", String::from_utf8_lossy(&request.body)));
    }
    lines
}

/// A server that says its words, at once or after the first bytes, and listens until the end.
fn raw(mut peer: Peer, words: &[u8], at_once: bool, seen: &Mutex<Vec<String>>) {
    let mut got = Vec::new();
    let mut spoken = at_once && peer.try_send(words).is_ok();
    loop {
        let bytes = peer.some(65536);
        if bytes.is_empty() {
            break;
        }
        got.extend_from_slice(&bytes);
        if !spoken && peer.try_send(words).is_err() {
            break;
        }
        spoken = true;
    }
    let lines = match std::str::from_utf8(&got) {
        Ok(text) => mask::wire(&text.replace('\r', "\\r")).join("\\n"),
        Err(_) => got.escape_ascii().to_string(),
    };
    seen.lock().unwrap().push(format!("bytes: {lines}"));
}

/// Sends bytes, waits for some, ends its side and takes what comes until the end. False: nothing came.
fn talk(parts: &[Vec<u8>], client: &mut Peer, seen: &mut Seen) -> bool {
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            pause(BETWEEN);
        }
        // the proxy may have closed
        let _ = client.try_send(part);
    }
    let mut got = client.some(65536);
    if got.is_empty() {
        seen.client.push("closed without a word".into());
        return false;
    }
    client.half_close();
    got.extend(client.drain().0);
    let text = String::from_utf8_lossy(&got).replace('\r', "");
    seen.client.extend(mask::wire(&text));
    true
}

/// Sends a request and reads what comes back. False: the connection was closed without a response.
fn exchange(request: &str, client: &mut Peer, seen: &mut Seen) -> bool {
    let response = client.try_send(request).map_err(|error| error.to_string()).and_then(|()| {
        match request.starts_with("HEAD ") {
            true => client.try_response_head(),
            false => client.try_response(),
        }
    });
    let response = match response {
        Ok(response) => response,
        Err(_) => {
            seen.client.push("closed without a response".into());
            return false;
        }
    };
    seen.client.push(response.head.line.clone());
    seen.client.extend(mask::fields(&response.head.fields));
    if !response.body.is_empty() {
        seen.client.push(format!("body: {}", response.text()));
    }
    true
}

//! The program under test: written configuration, inherited listeners, captured output, operator's commands.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::sys::signal::Signal;

use crate::deadline::within;
use crate::{procs, until, Dir, Peer, LIMIT};

/// What most tests want around their own sections: a command socket and short words.
const PRELUDE: &str = "\
global
    stats socket \"fd@${cli}\" level admin
defaults
    mode http
    timeout connect 10s
    timeout client 20s
    timeout server 20s
";

/// One spawn at a time: descriptors lose their close-on-exec flag only while their own child is being made.
static SPAWN: Mutex<()> = Mutex::new(());

enum Listening {
    Tcp(SocketAddr),
    Unix(String),
}

/// A run of the program in the making.
pub struct Program {
    binary: String,
    dir: Dir,
    text: String,
    files: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    handed: Vec<OwnedFd>,
    /// Sockets that hold a port and never listen.
    kept: Vec<OwnedFd>,
    listening: BTreeMap<String, Listening>,
    workers: Option<u32>,
    /// No file and no mode arguments: the command line says it all.
    no_file: bool,
}

impl Program {
    /// A run of `binary` with these sections after a prelude (command socket, HTTP mode, timeouts).
    pub fn new(binary: &str, sections: &str) -> Program {
        Program::bare(binary, &format!("{PRELUDE}{sections}"))
    }

    /// A run of `binary` with exactly this configuration.
    pub fn bare(binary: &str, text: &str) -> Program {
        Program {
            // Another build of the program, or another program that speaks its language.
            binary: std::env::var("LIGHTERMAN_BIN").unwrap_or(binary.into()),
            dir: Dir::new(),
            text: text.into(),
            files: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            handed: Vec::new(),
            kept: Vec::new(),
            listening: BTreeMap::new(),
            workers: None,
            no_file: false,
        }
        .unix("cli")
        .unix("master")
    }

    /// A run of exactly this program, whatever build of ours is under test, with exactly this configuration.
    pub fn other(binary: &str, text: &str) -> Program {
        Program { binary: binary.into(), ..Program::bare(binary, text) }
    }

    /// A run of `binary` without a configuration file: only with the arguments given.
    pub fn fileless(binary: &str) -> Program {
        Program { no_file: true, ..Program::bare(binary, "") }
    }

    /// More command line arguments; `${name}` in them is replaced by the variable of that name.
    pub fn args(mut self, args: &[&str]) -> Program {
        self.args.extend(args.iter().map(|a| a.to_string()));
        self
    }

    /// A variable for the configuration: `"${name}"`.
    pub fn env(mut self, name: &str, value: impl ToString) -> Program {
        self.env.push((name.into(), value.to_string()));
        self
    }

    /// Hands over a TCP listener: `bind "fd@${name}"`.
    pub fn listen(mut self, name: &str) -> Program {
        let sock = TcpListener::bind("127.0.0.1:0").unwrap();
        self.listening.insert(name.into(), Listening::Tcp(sock.local_addr().unwrap()));
        self.env(name, sock.as_raw_fd()).hand(sock.into())
    }

    /// Hands over a listener on a UNIX socket: `bind "fd@${name}"`.
    pub fn unix(mut self, name: &str) -> Program {
        let path = self.dir.at(name);
        let sock = UnixListener::bind(&path).unwrap();
        self.listening.insert(name.into(), Listening::Unix(path));
        self.env(name, sock.as_raw_fd()).hand(sock.into())
    }

    /// Keeps a free port for `bind 127.0.0.1:"${name}"`: sockets of the program's own, with SO_REUSEPORT.
    pub fn port(mut self, name: &str) -> Program {
        let sock = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        sock.set_reuse_port(true).unwrap();
        sock.set_reuse_address(true).unwrap();
        sock.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let addr = sock.local_addr().unwrap().as_socket().unwrap();
        self.listening.insert(name.into(), Listening::Tcp(addr));
        self.kept.push(sock.into());
        self.env(name, addr.port())
    }

    fn hand(mut self, fd: OwnedFd) -> Program {
        self.handed.push(fd);
        self
    }

    /// A master and `n` workers (`-W`), with a master command socket.
    pub fn workers(mut self, n: u32) -> Program {
        self.workers = Some(n);
        self
    }

    /// One more configuration file, before the main one.
    pub fn also(mut self, name: &str, text: &str) -> Program {
        let path = self.dir.file(name, text);
        self.files.push(path);
        self
    }

    /// A file beside the configuration; its path for the text.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        self.dir.file(name, text)
    }

    /// Starts it: `-d`, or `-W` with a master socket when it has workers.
    #[track_caller]
    pub fn start(mut self) -> Proxy {
        let mode: &[&str] = match self.workers {
            _ if self.no_file => &[],
            Some(_) => &["-W", "-S", "fd@${master}"],
            None => &["-d"],
        };
        self.args.extend(mode.iter().map(|a| a.to_string()));
        self.start_as_given()
    }

    /// Starts it with no other arguments than those given.
    #[track_caller]
    pub fn start_as_given(mut self) -> Proxy {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = spawn(&mut command, &self.handed);
        self.handed.clear(); // from here on the listeners are the program's alone
        Proxy::new(child, self)
    }

    /// Runs it to its end with the given arguments before the configuration file; its status and output.
    #[track_caller]
    pub fn run(self, args: &[&str]) -> Output {
        let mut command = self.command();
        command.args(args);
        output(&mut command, &self.handed)
    }

    fn command(&self) -> Command {
        let text = match self.workers {
            Some(n) => format!("global\n    nbproc {n}\n{}", self.text),
            None => self.text.clone(),
        };
        let path = self.dir.file("lighterman.cfg", text);
        let mut command = Command::new(&self.binary);
        for file in self.files.iter().chain([&path]).filter(|_| !self.no_file) {
            command.arg("-f").arg(file);
        }
        let filled = |arg: &String| {
            self.env.iter().fold(arg.clone(), |a, (name, value)| a.replace(&format!("${{{name}}}"), value))
        };
        command
            .args(self.args.iter().map(filled))
            .envs(self.env.iter().cloned())
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        command
    }
}

/// What a run that ended left.
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Output {
    /// The exit code; a death by signal N gives 128 + N.
    pub fn code(&self) -> i32 {
        exit_code(self.status)
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a binary with nothing but arguments, to its end.
#[track_caller]
pub fn run(binary: &str, args: &[&str]) -> Output {
    output(Command::new(binary).args(args), &[])
}

#[track_caller]
fn output(command: &mut Command, fds: &[OwnedFd]) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = spawn(command, fds);
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = within(LIMIT, || child.try_wait().unwrap());
    let Some(status) = status else {
        end_all(&mut child);
        panic!("{command:?} did not end within {LIMIT:?}; stderr:\n{}", text(&stderr));
    };
    let done = within(LIMIT, || (stdout.1.is_finished() && stderr.1.is_finished()).then_some(()));
    assert!(done.is_some(), "{command:?} ended, but something still holds its stdout or stderr");
    Output { status, stdout: text(&stdout), stderr: text(&stderr) }
}

type Collected = (Arc<Mutex<Vec<u8>>>, thread::JoinHandle<()>);

fn collect(from: Option<impl Read + Send + 'static>) -> Collected {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let into = bytes.clone();
    let reader = thread::spawn(move || {
        let mut chunk = [0; 4096];
        let Some(mut from) = from else { return };
        while let Ok(n @ 1..) = from.read(&mut chunk) {
            into.lock().unwrap().extend_from_slice(&chunk[..n]);
        }
    });
    (bytes, reader)
}

fn text(from: &Collected) -> String {
    String::from_utf8_lossy(&from.0.lock().unwrap()).into_owned()
}

#[track_caller]
fn spawn(command: &mut Command, fds: &[OwnedFd]) -> Child {
    let _one = SPAWN.lock().unwrap_or_else(|e| e.into_inner());
    let flag = |flag: FdFlag| {
        for fd in fds {
            fcntl(fd.as_fd(), FcntlArg::F_SETFD(flag)).unwrap();
        }
    };
    flag(FdFlag::empty());
    let child = command.spawn();
    flag(FdFlag::FD_CLOEXEC);
    child.unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

fn end_all(child: &mut Child) {
    // The whole process group, and what left it (a daemon's children).
    for pid in procs::descendants(child.id()) {
        procs::signal(pid, Signal::SIGKILL);
    }
    let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    let _ = child.kill();
    let _ = child.wait();
}

/// The program at work. On drop it and all its children are killed; a test that panics prints its stderr.
pub struct Proxy {
    child: Child,
    program: Program,
    stdout: Collected,
    stderr: Collected,
    ended: Option<ExitStatus>,
}

impl Proxy {
    fn new(mut child: Child, program: Program) -> Proxy {
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        Proxy { child, program, stdout, stderr, ended: None }
    }

    /// The PID that was started: the master's, or that of the only process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of a TCP listener.
    #[track_caller]
    pub fn addr(&self, name: &str) -> SocketAddr {
        match self.program.listening.get(name) {
            Some(Listening::Tcp(addr)) => *addr,
            _ => panic!("no TCP listener called {name}"),
        }
    }

    /// The path of a UNIX listener.
    #[track_caller]
    pub fn path(&self, name: &str) -> &str {
        match self.program.listening.get(name) {
            Some(Listening::Unix(path)) => path,
            _ => panic!("no UNIX listener called {name}"),
        }
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Dir {
        &self.program.dir
    }

    /// A connection to one of its listeners.
    #[track_caller]
    pub fn connect(&self, name: &str) -> Peer {
        match &self.program.listening[name] {
            Listening::Tcp(addr) => Peer::connect(*addr),
            Listening::Unix(path) => until(path, || UnixStream::connect(path).ok()).into(),
        }
    }

    /// The same; `None` when it has ended.
    pub fn try_connect(&mut self, name: &str) -> Option<Peer> {
        let addr = self.addr(name);
        let connected = until("a connection or the end", || {
            let stream = std::net::TcpStream::connect(addr).ok();
            (stream.is_some() || self.ended()).then_some(stream)
        });
        connected.map(Peer::from).filter(|_| !self.ended())
    }

    /// One GET on a new connection.
    #[track_caller]
    pub fn get(&self, name: &str, uri: &str) -> crate::Response {
        self.connect(name).get(uri)
    }

    /// The answer to a command line on its socket: send, half-close, read to the end.
    #[track_caller]
    pub fn command(&self, line: &str) -> String {
        self.ask("cli", line)
    }

    /// The answer to a command line on the master's socket.
    #[track_caller]
    pub fn master(&self, line: &str) -> String {
        self.ask("master", line)
    }

    #[track_caller]
    fn ask(&self, socket: &str, line: &str) -> String {
        let mut peer = self.connect(socket);
        peer.send(format!("{line}\n"));
        peer.half_close();
        String::from_utf8_lossy(&peer.rest()).into_owned()
    }

    /// A value of `show info`.
    #[track_caller]
    pub fn info(&self, key: &str) -> String {
        let text = self.command("show info");
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {key} in show info:\n{text}")).to_string()
    }

    /// A number of `show info`.
    #[track_caller]
    pub fn count(&self, key: &str) -> u64 {
        self.info(key).parse().unwrap()
    }

    /// A cell of `show stat`: proxy, server (or FRONTEND, BACKEND), column.
    #[track_caller]
    pub fn stat(&self, proxy: &str, server: &str, column: &str) -> String {
        let text = self.command("show stat");
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default().trim_start_matches("# ");
        let at = names.split(',').position(|n| n == column);
        let at = at.unwrap_or_else(|| panic!("no column {column} in {names}"));
        let row = lines.find(|l| l.starts_with(&format!("{proxy},{server},")));
        let row = row.unwrap_or_else(|| panic!("no row {proxy},{server} in:\n{text}"));
        row.split(',').nth(at).unwrap_or_default().to_string()
    }

    /// The PIDs of the worker processes, as the master's `show proc` tells; those that still live.
    #[track_caller]
    pub fn workers(&self) -> Vec<u32> {
        let text = self.master("show proc");
        let rows = text.lines().take_while(|l| !l.starts_with("# old"));
        let words = rows.map(|l| l.split_whitespace().take(2).collect::<Vec<_>>());
        let pids = words.filter(|w| w.get(1) == Some(&"worker")).filter_map(|w| w[0].parse().ok());
        pids.filter(|p| procs::alive(*p)).collect()
    }

    /// Rewrites the main configuration file (what a reload reads), with the same prelude if there was one.
    pub fn rewrite(&mut self, sections: &str) {
        let prelude = if self.program.text.starts_with(PRELUDE) { PRELUDE } else { "" };
        self.program.text = format!("{prelude}{sections}");
        let _ = self.program.command();
    }

    /// Sends a signal to the started process.
    pub fn signal(&self, signal: Signal) {
        procs::signal(self.pid(), signal);
    }

    /// What it wrote on stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Waits for a text on stderr.
    #[track_caller]
    pub fn says(&self, mark: &str) {
        crate::eventually(&format!("{mark:?} on stderr"), || self.stderr().contains(mark));
    }

    /// Waits for its end: the exit code (128 + N for signal N). Everybody must have given stderr back too.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let began = Instant::now();
        let status = within(LIMIT, || self.child.try_wait().unwrap());
        let Some(status) = status else { panic!("still running after {:?}", began.elapsed()) };
        self.ended = Some(status);
        crate::eventually("all processes to give stdout and stderr back", || {
            self.stdout.1.is_finished() && self.stderr.1.is_finished()
        });
        exit_code(status)
    }

    /// Has the started process ended?
    pub fn ended(&mut self) -> bool {
        self.ended = self.ended.or(self.child.try_wait().unwrap());
        self.ended.is_some()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            let state = match self.child.try_wait() {
                Ok(Some(status)) => format!("ended: {status}"),
                _ => "was running".into(),
            };
            eprintln!("--- the program {state}; stderr:\n{}---", self.stderr());
        }
        if self.ended.is_none() {
            end_all(&mut self.child);
        }
    }
}

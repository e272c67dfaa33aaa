//! The command socket: what a person or a script types at a running lighterman.
//!
//! [`mod@line`] cuts what was typed into commands, [`session`] is one client's conversation without any
//! socket, and every family of commands is a file of rows ([`Command`]) with the [`Job`]s they start.
//! A command that writes acts on shared memory and thereby on every worker; one that reads adds all
//! workers up.

pub mod args;
pub mod fuzz;
pub mod general;
pub mod help;
pub mod limits;
pub mod line;
pub mod maps;
pub mod process;
pub mod servers;
pub mod session;
pub mod sessions;
pub mod ssl_ca;
pub mod ssl_catalog;
pub mod ssl_cert;
pub mod ssl_change;
pub mod ssl_crt_list;
pub mod ssl_edit;
pub mod ssl_ocsp;
pub mod ssl_ocsp_update;
pub mod stat;
pub mod tables;
pub mod tls_explain;
pub mod tls_failures;
pub mod tls_keys;
pub mod vars;
pub mod vitals;

#[cfg(test)]
mod tests;

use crate::base::doc::Doc;
use crate::base::tick::{Now, Tick};
use crate::expr::live::LiveMaps;
use crate::net::contexts::Contexts;
use crate::net::tls::change::Change;
use crate::plan::global::CliLevel;
use crate::plan::Plan;
use crate::service::board::Board;
use crate::service::ocsp::book::Book;
use crate::shm::Shared;
use std::time::Duration;

pub use vitals::{Process, Role, Vitals};

/// All commands, by family.
pub const FAMILIES: &[&[Command]] = &[
    general::ROWS,
    process::ROWS,
    stat::ROWS,
    servers::ROWS,
    limits::ROWS,
    maps::ROWS,
    sessions::ROWS,
    tls_explain::ROWS,
    tls_failures::ROWS,
    vars::ROWS,
    tables::ROWS,
    tls_keys::ROWS,
    ssl_ca::ROWS,
    ssl_cert::ROWS,
    ssl_crt_list::ROWS,
    ssl_ocsp::ROWS,
    ssl_ocsp_update::ROWS,
];

/// Bytes of output at which a job steps back and lets the client read.
pub const OUT_HIGH: usize = 16 * 1024;

/// One command: a row of its family's table.
pub struct Command {
    /// The words it begins with.
    pub path: &'static [&'static str],
    /// Who may give it.
    pub level: CliLevel,
    /// On which sockets it is known.
    pub face: Face,
    /// Reads the arguments and acts, or starts the job that will.
    pub start: fn(&mut Ask<'_>, &mut CliCx<'_>) -> Result<Answer, String>,
    /// `help` and the manual.
    pub doc: Doc,
}

/// Which socket knows a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    /// `stats socket`, and the master's socket behind a prefix such as `@1`.
    Traffic,
    /// The master's socket.
    Master,
    /// Both.
    Both,
}

impl Face {
    /// Whether a command of this face is known on a socket that shows `side`.
    pub fn shows_on(self, side: Face) -> bool {
        self == Face::Both || self == side
    }
}

/// One command as it was typed.
pub struct Ask<'a> {
    /// All words, those of the path included.
    pub words: &'a [String],
    /// What came after `<<`.
    pub payload: Option<&'a [u8]>,
    /// How the client wants to be talked to.
    pub manners: &'a mut Manners,
}

impl Ask<'_> {
    /// The word at `index`, empty when there are fewer.
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }
}

/// What a command has to say.
pub enum Answer {
    /// Done, nothing to say.
    Nothing,
    /// Done with these lines (the last line feed may be missing).
    Text(String),
    /// The answer takes more than one step.
    Work(Box<dyn Job>),
}

/// How a client wants to be talked to, and what it may do. Commands such as `prompt` change it.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What the client may do; it can only be lowered.
    pub level: CliLevel,
    /// Whether the connection outlives the first line.
    pub interactive: bool,
    /// Whether `> ` asks for the next command.
    pub prompt: bool,
    /// Whether the prompt shows how long the program runs.
    pub timed: bool,
    /// `expert-mode` is on.
    pub expert: bool,
    /// `experimental-mode` is on.
    pub experimental: bool,
    /// `quit` was given.
    pub quit: bool,
    /// Which commands are known now.
    pub side: Face,
    /// How long the client may be silent.
    pub timeout: Duration,
}

/// The rest of an answer that is too long, or waits too long, for one step.
pub trait Job {
    /// Appends to `out` until done or until `out` holds [`OUT_HIGH`] bytes.
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep;
}

/// What a job wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobStep {
    /// The answer is complete.
    Done,
    /// `out` is full: again when the client has read.
    Full,
    /// Nothing to say yet: again at that moment, or earlier when something happened.
    Wait(Tick),
}

/// What commands see of the program.
pub struct CliCx<'a> {
    /// The configuration.
    pub plan: &'a Plan,
    /// What time it is.
    pub now: Now,
    /// What all processes share.
    pub shm: &'a Shared,
    /// What only the process itself knows or can do.
    pub host: &'a mut dyn Host,
}

impl CliCx<'_> {
    /// Time since 1970.
    pub fn wall(&self) -> Duration {
        Duration::from_micros(self.now.wall_us)
    }

    /// Numbers and switches that all processes share.
    pub fn board(&self) -> Board<'_> {
        Board { plan: self.plan, shm: self.shm, now: self.now }
    }

    /// What there is to know about the processes.
    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.shm, self.host.facts())
    }
}

/// The process behind the command socket: implemented by the loop that owns it, and by a stand-in in
/// tests.
pub trait Host {
    /// What does not change while it runs.
    fn facts(&self) -> Facts;
    /// Maps and ACL files as they are now; `None` where there are none.
    fn maps(&mut self) -> Option<&mut LiveMaps> {
        None
    }
    /// Everything that was said on stderr since the start.
    fn startup_log(&self) -> Vec<u8>;
    /// Hands a command to every worker. Answers come later, by the ticket; `None` = nobody to ask.
    fn ask_workers(&mut self, command: &str) -> Option<Ticket>;
    /// The answers to a question: `None` while some are missing.
    fn answers(&mut self, ticket: Ticket) -> Option<Vec<u8>>;
    /// TLS of the configuration, as this process has it.
    fn tls(&self) -> Option<&Contexts> {
        None
    }
    /// The OCSP answers that are kept fresh; `None` where none are.
    fn ocsp(&mut self) -> Option<&mut Book> {
        None
    }
    /// Puts a change in force here, and then in all processes: the outcome comes by the ticket, empty when it is in force
    /// everywhere. An error: it cannot be made, and nothing has changed.
    fn change(&mut self, _change: Change) -> Result<Ticket, String> {
        Err("No TLS here.".to_owned())
    }
    /// Asks the master for a new generation; the outcome comes by the ticket as `Success=1` or
    /// `Success=0` and messages. `None` = there is no master.
    fn reload(&mut self) -> Option<Ticket>;
}

/// What a process knows of itself and cannot read in shared memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Descriptor limit of a process.
    pub ulimit_n: u64,
    /// A soft stop has begun.
    pub stopping: bool,
    /// Listening sockets open.
    pub listeners: u32,
    /// Milliseconds that the start took.
    pub boot_ms: u32,
    /// Host name, for `node` when none is configured.
    pub hostname: String,
}

/// Names a question that is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket(pub u64);

/// Writes one answer row by row, as many as the client reads.
pub struct Rows<F> {
    next: usize,
    count: usize,
    write: F,
}

impl<F: FnMut(usize, &mut Vec<u8>, &mut CliCx<'_>)> Rows<F> {
    /// `write` is called for 0 to `count - 1`.
    pub fn new(count: usize, write: F) -> Rows<F> {
        Rows { next: 0, count, write }
    }
}

impl<F: FnMut(usize, &mut Vec<u8>, &mut CliCx<'_>)> Job for Rows<F> {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        while self.next < self.count {
            if out.len() >= OUT_HIGH {
                return JobStep::Full;
            }
            (self.write)(self.next, out, cx);
            self.next += 1;
        }
        JobStep::Done
    }
}

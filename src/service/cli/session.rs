//! One client's conversation on a command socket, without the socket: bytes in, bytes out.
//!
//! The socket side feeds what it reads, calls [`CliSession::run`], sends what [`CliSession::output`]
//! holds and closes when [`CliSession::is_over`]. Output is bounded: no command runs while the client
//! does not read. Without `prompt`, the lines that have arrived are answered, then the session ends.

use super::help;
use super::line::{self, Line, LINE_MAX};
use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, Manners, Role, FAMILIES, OUT_HIGH};
use crate::base::tick::Tick;
use crate::plan::global::CliLevel;
use std::collections::VecDeque;
use std::time::Duration;

/// One client's conversation.
pub struct CliSession {
    manners: Manners,
    /// The side shown when no prefix is given.
    home: Face,
    /// Whom a prefix of the master's socket named last, for the prompt.
    target: Option<String>,
    input: Vec<u8>,
    ended: bool,
    payload: Option<Payload>,
    commands: VecDeque<(Vec<String>, Option<Vec<u8>>)>,
    job: Option<Box<dyn Job>>,
    waiting: Option<Tick>,
    out: Vec<u8>,
    sent: usize,
    served: bool,
    over: bool,
}

/// A payload that is coming in.
struct Payload {
    line: Line,
    end: Vec<u8>,
    body: Vec<u8>,
}

impl CliSession {
    /// A conversation with a client that may do what `level` allows. `home` is the kind of socket.
    pub fn new(level: CliLevel, home: Face, timeout: Duration) -> CliSession {
        let manners = Manners {
            level,
            interactive: false,
            prompt: false,
            timed: false,
            expert: false,
            experimental: false,
            quit: false,
            side: home,
            timeout,
        };
        CliSession {
            manners,
            home,
            target: None,
            input: Vec::new(),
            ended: false,
            payload: None,
            commands: VecDeque::new(),
            job: None,
            waiting: None,
            out: Vec::new(),
            sent: 0,
            served: false,
            over: false,
        }
    }

    /// Bytes that [`CliSession::feed`] takes now. At 0 the client has to wait for its answers.
    pub fn room(&self) -> usize {
        (LINE_MAX + 1).saturating_sub(self.input.len())
    }

    /// Takes bytes from the client and returns how many of them.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.input.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// The client will send no more. It still gets its answers.
    pub fn end_of_input(&mut self) {
        self.ended = true;
    }

    /// What waits for the client.
    pub fn output(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// The client got `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Whether all is said: close when [`CliSession::output`] is empty too.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// How long the client may be silent.
    pub fn timeout(&self) -> Duration {
        self.manners.timeout
    }

    /// When [`CliSession::run`] has to be called even if nothing comes in.
    pub fn wants_wake_at(&self) -> Option<Tick> {
        self.waiting
    }

    /// Whether a command is at work that does not wait for the client: no client timeout then.
    pub fn is_working(&self) -> bool {
        self.job.is_some() && self.output().is_empty()
    }

    /// Runs commands until input, output or time is wanting.
    pub fn run(&mut self, cx: &mut CliCx<'_>) {
        self.waiting = None;
        while !self.over && self.output().len() < OUT_HIGH {
            if self.sent > 0 {
                self.out.drain(..self.sent);
                self.sent = 0;
            }
            if let Some(mut job) = self.job.take() {
                match job.step(&mut self.out, cx) {
                    JobStep::Done => self.finish_command(cx),
                    JobStep::Full => {
                        self.job = Some(job);
                        return;
                    }
                    JobStep::Wait(until) => {
                        self.job = Some(job);
                        self.waiting = Some(until);
                        return;
                    }
                }
            } else if let Some((words, payload)) = self.commands.pop_front() {
                self.start(&words, payload.as_deref(), cx);
            } else if !self.next_line(cx) {
                return;
            }
        }
    }

    /// Takes the next line of the input. `false` when there is none yet.
    fn next_line(&mut self, cx: &CliCx<'_>) -> bool {
        if self.manners.quit {
            self.over = true;
            return false;
        }
        let Some(line) = self.take_line() else {
            self.over = self.ended || (self.served && !self.manners.interactive && self.payload.is_none());
            return false;
        };
        if line.len() > LINE_MAX {
            self.say(&format!("A line may not be longer than {LINE_MAX} bytes."));
            self.finish_command(cx);
            self.over = true;
            return false;
        }
        match self.payload.take() {
            Some(payload) => self.take_payload_line(payload, &line, cx),
            None => self.take_command_line(&line, cx),
        }
        true
    }

    /// Cuts a line off the input. At the end of the input, what is left is a line; a line that is
    /// too long comes as it is.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        if let Some(at) = memchr::memchr(b'\n', &self.input) {
            let mut line: Vec<u8> = self.input.drain(..=at).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some(line);
        }
        let whole = self.input.len() > LINE_MAX || (self.ended && !self.input.is_empty());
        whole.then(|| std::mem::take(&mut self.input))
    }

    fn take_command_line(&mut self, bytes: &[u8], cx: &CliCx<'_>) {
        self.served = true;
        self.manners.side = if self.target.is_some() { Face::Traffic } else { self.home };
        match line::parse(bytes) {
            Err(why) => {
                self.say(&why.message());
                self.finish_command(cx);
            }
            Ok(line) => match line.payload_end.clone() {
                Some(end) => {
                    self.payload = Some(Payload { line, end, body: Vec::new() });
                    self.continue_prompt();
                }
                None if line.commands.is_empty() => self.finish_command(cx),
                None => self.commands.extend(line.commands.into_iter().map(|words| (words, None))),
            },
        }
    }

    fn take_payload_line(&mut self, mut payload: Payload, line: &[u8], cx: &CliCx<'_>) {
        if line == payload.end {
            let last = payload.line.commands.pop();
            self.commands.extend(payload.line.commands.into_iter().map(|words| (words, None)));
            self.commands.extend(last.map(|words| (words, Some(payload.body))));
            return;
        }
        let max = cx.plan.global.tune.cli_max_payload;
        if payload.body.len() + line.len() >= max {
            self.say(&format!(
                "A payload may not be longer than {max} bytes, see \"tune.cli.max-payload-size\"."
            ));
            self.finish_command(cx);
            self.over = true;
            return;
        }
        payload.body.extend_from_slice(line);
        payload.body.push(b'\n');
        self.payload = Some(payload);
        self.continue_prompt();
    }

    fn continue_prompt(&mut self) {
        if self.manners.prompt {
            self.out.extend_from_slice(b"+ ");
        }
    }

    /// Runs one command up to its end or its first pause.
    fn start(&mut self, words: &[String], payload: Option<&[u8]>, cx: &mut CliCx<'_>) {
        if self.manners.quit {
            return;
        }
        let words = match self.follow_prefix(words, cx) {
            Ok([]) => return self.finish_command(cx),
            Ok(rest) => rest,
            Err(message) => {
                self.say(&message);
                return self.finish_command(cx);
            }
        };
        let answer = match find(words, self.manners.side) {
            None => Err(help::unknown(words, &self.manners)),
            Some(command) if command.level > self.manners.level => Err("Permission denied".to_owned()),
            Some(command) => {
                let mut ask = Ask { words, payload, manners: &mut self.manners };
                (command.start)(&mut ask, cx)
            }
        };
        match answer {
            Ok(Answer::Work(job)) => self.job = Some(job),
            Ok(Answer::Nothing) => self.finish_command(cx),
            Ok(Answer::Text(text)) | Err(text) => {
                self.say(&text);
                self.finish_command(cx);
            }
        }
    }

    /// Obeys `@1`, `@!PID` and `@0` of the master's socket: returns the words behind the prefix.
    fn follow_prefix<'w>(&mut self, words: &'w [String], cx: &CliCx<'_>) -> Result<&'w [String], String> {
        let Some((first, rest)) = words.split_first() else { return Ok(words) };
        let Some(name) = first.strip_prefix('@') else { return Ok(words) };
        if self.home != Face::Master {
            return Ok(words);
        }
        let vitals = cx.vitals();
        let process = match name.strip_prefix('!') {
            Some(pid) => vitals.processes.iter().find(|process| process.pid.to_string() == pid),
            None => vitals
                .processes
                .iter()
                .find(|p| p.role == Role::Worker && p.reloads == 0 && p.number.to_string() == name),
        };
        let home = matches!(name, "" | "0" | "master");
        let process = process.filter(|process| process.role != Role::Master);
        if process.is_none() && !home {
            return Err(format!("Can't find the target '{first}', 'show proc' lists them."));
        }
        self.manners.side = if home { Face::Master } else { Face::Traffic };
        // Alone on its line, or in front of a `;`, it stays.
        if rest.is_empty() {
            self.target = process.map(|process| process.pid.to_string());
        }
        Ok(rest)
    }

    /// Appends lines of an answer.
    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        if !text.is_empty() && !text.ends_with('\n') {
            self.out.push(b'\n');
        }
    }

    /// Marks the end of an answer.
    fn finish_command(&mut self, cx: &CliCx<'_>) {
        if self.manners.quit {
            return;
        }
        self.out.push(b'\n');
        if self.manners.prompt {
            let prompt = self.prompt(cx);
            self.out.extend_from_slice(prompt.as_bytes());
        }
    }

    fn prompt(&self, cx: &CliCx<'_>) -> String {
        let whom = match (&self.target, self.home) {
            (Some(target), _) => target.as_str(),
            (None, Face::Master) => "master",
            _ => "",
        };
        if !self.manners.timed {
            return format!("{whom}> ");
        }
        let up = cx.wall().saturating_sub(cx.vitals().started).as_secs();
        let (days, hours, minutes, seconds) = (up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60);
        format!("{whom}[{days}:{hours:02}:{minutes:02}:{seconds:02}]> ")
    }
}

/// The command with the longest path that the words begin with.
fn find(words: &[String], side: Face) -> Option<&'static Command> {
    FAMILIES
        .iter()
        .flat_map(|rows| rows.iter())
        .filter(|command| command.face.shows_on(side))
        .filter(|command| {
            command.path.len() <= words.len() && command.path.iter().eq(&words[..command.path.len()])
        })
        .max_by_key(|command| command.path.len())
}

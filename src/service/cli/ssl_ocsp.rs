//! Commands about OCSP answers: given by an operator in place of what stands in files, and shown.
//!
//! Which certificate an answer is about is found by looking at all of them, a few at a time: their files are read by the
//! process with file rights, and nobody else waits meanwhile.

use super::ssl_change;
use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, OUT_HIGH};
use crate::base::doc::Doc;
use crate::net::contexts::Contexts;
use crate::net::tls::change::{Change, What};
use crate::net::tls::describe::{self, hex};
use crate::net::tls::files::{CrtBytes, Part};
use crate::net::tls::ocsp::{Given, Mark, Subject, ANSWER_MAX};
use crate::net::tls::staple::OcspFault;
use crate::net::tls::store::index::flag;
use crate::net::tls::store::raw::{Parts, Raw};
use crate::plan::global::CliLevel;
use lighterman_wire::ocsp::{self, Fault};
use openssl::base64;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["set", "ssl", "ocsp-response"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set,
        doc: Doc {
            usage: "set ssl ocsp-response <base64> | <<\\n<base64>\\n",
            brief: "staple this OCSP answer from now on",
            text: "The answer, DER in base64, must be about a certificate of a \"bind\" line, count now, and be signed by the \
                   issuer or somebody it has authorized (checked when the issuer is known). It is in force in all processes \
                   when the command says so, in place of the one in the .ocsp file, and outlives a reload.",
            example: "set ssl ocsp-response <<\\n$(base64 resp.der)\\n",
        },
    },
    Command {
        path: &["show", "ssl", "ocsp-response"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: show,
        doc: Doc {
            usage: "show ssl ocsp-response [[text|base64] <id|path>]",
            brief: "show which certificates have an OCSP answer, or one answer",
            text: "Without an argument, id and file of each. With the id or the file of one, what its answer says, or the \
                   answer itself in base64.",
            example: "show ssl ocsp-response base64 /etc/ssl/private/site.pem",
        },
    },
];

/// Files on their way at once.
const AHEAD: usize = 16;
/// Certificates looked at before others get their turn.
const AT_ONCE: usize = 64;
/// How often files on their way are asked for, milliseconds, if nothing wakes the session earlier.
const ASK_AGAIN_MS: u64 = 5;

fn contexts<'c>(cx: &'c CliCx<'_>) -> Result<&'c Contexts, String> {
    cx.host.tls().ok_or_else(|| "No TLS here.".to_owned())
}

/// A certificate that is looked at: place and number in the store, its file.
type Place = (u32, u32, PathBuf);

/// Looks at certificates one after the other.
pub(super) struct Search {
    todo: VecDeque<Place>,
    ahead: VecDeque<Place>,
}

/// What a search has found.
pub(super) enum Found {
    /// This certificate is next.
    One(PathBuf, Box<Subject>),
    /// Nothing yet.
    Wait,
    /// That was all.
    End,
}

impl Search {
    /// Of all certificates with one of these flags (0: of all), or with this file.
    pub(super) fn new(tls: &Contexts, flags: u8, file: Option<&Path>) -> Search {
        let mut todo = VecDeque::new();
        for (place, index) in tls.store().indexes().iter().enumerate() {
            for (number, entry) in index.entries() {
                let path = index.file(&entry);
                if (flags == 0 || entry.flags & flags != 0) && file.is_none_or(|file| file == path) {
                    todo.push_back((place as u32, number, path));
                }
            }
        }
        Search { todo, ahead: VecDeque::new() }
    }

    /// The next one.
    pub(super) fn next(&mut self, tls: &Contexts) -> Found {
        loop {
            while self.ahead.len() < AHEAD {
                let Some(place) = self.todo.pop_front() else { break };
                self.ahead.push_back(place);
            }
            if self.ahead.is_empty() {
                return Found::End;
            }
            let Some(found) = self.take(tls) else { return Found::Wait };
            if let Some((path, subject)) = found {
                return Found::One(path, Box::new(subject));
            }
        }
    }

    /// One that has come; `None`: none has, inside: it is no good.
    fn take(&mut self, tls: &Contexts) -> Option<Option<(PathBuf, Subject)>> {
        for at in 0..self.ahead.len() {
            let (place, number, _) = self.ahead.get(at)?;
            let parts = match tls.store().raw(*place, *number) {
                Raw::Wait => continue,
                Raw::Here(parts) => Some(parts),
                Raw::Failed(_) => None,
            };
            let (.., path) = self.ahead.remove(at)?;
            let subject = parts.and_then(|parts| subject(tls, &path, parts));
            return Some(subject.map(|subject| (path, subject)));
        }
        None
    }
}

/// A certificate of what is in its files.
pub fn subject(tls: &Contexts, path: &Path, parts: Parts) -> Option<Subject> {
    let part =
        |bytes: Option<Vec<u8>>| bytes.map(|bytes| Part { file: path.to_owned(), bytes, named: false });
    let [pem, _, ocsp, issuer, _] = parts;
    let bytes = CrtBytes { pem: part(pem)?, ocsp: part(ocsp), issuer: part(issuer), ..CrtBytes::default() };
    Subject::of(&bytes, &tls.store().settings.how)
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let text = match (ask.payload, ask.word(3)) {
        (Some(payload), "") => String::from_utf8_lossy(payload).into_owned(),
        (_, word) => word.to_owned(),
    };
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if text.is_empty() {
        return Err("'set ssl ocsp-response' expects response in base64 encoding.".to_owned());
    }
    let answer = base64::decode_block(&text)
        .map_err(|_| "'set ssl ocsp-response' received invalid base64 encoded response.".to_owned())?;
    if answer.len() > ANSWER_MAX {
        return Err(format!("An OCSP response may not be longer than {ANSWER_MAX} bytes."));
    }
    match ocsp::parse(&answer) {
        Ok(_) => {}
        Err(Fault::Malformed) => return Err("Unable to parse OCSP response.".to_owned()),
        Err(Fault::Refused(_)) => return Err("OCSP response status not successful.".to_owned()),
    }
    let search = Search::new(contexts(cx)?, 0, None);
    Ok(Answer::Work(Box::new(Set { answer, search, under: None, fault: OcspFault::Other, done: false })))
}

/// What HAProxy's scripts know a fault by.
pub(super) fn words(fault: OcspFault) -> String {
    match fault {
        OcspFault::Malformed => "Unable to parse OCSP response.".to_owned(),
        OcspFault::Refused(_) => "OCSP response status not successful.".to_owned(),
        OcspFault::Other => {
            "OCSP single response: Certificate ID does not match any certificate or issuer.".to_owned()
        }
        OcspFault::Unknown => "OCSP single response: certificate status is unknown.".to_owned(),
        OcspFault::Endless => "OCSP single response: missing nextupdate.".to_owned(),
        OcspFault::Late(_) => "OCSP single response: no longer valid.".to_owned(),
        OcspFault::Early(_) => "OCSP single response: not yet valid.".to_owned(),
        OcspFault::Revoked | OcspFault::Signature => format!("OCSP single response: {fault}."),
    }
}

/// Looks for the certificates an answer is about, and puts it in force.
struct Set {
    answer: Vec<u8>,
    search: Search,
    under: Option<Box<dyn Job>>,
    fault: OcspFault,
    done: bool,
}

impl Set {
    fn look(&mut self, cx: &mut CliCx<'_>) -> Result<Option<JobStep>, String> {
        let now_s = cx.wall().as_secs();
        for _ in 0..AT_ONCE {
            let tls = contexts(cx)?;
            match self.search.next(tls) {
                Found::Wait => return Ok(Some(JobStep::Wait(cx.now.tick.after(ASK_AGAIN_MS)))),
                Found::End => return Err(words(self.fault)),
                Found::One(path, subject) => match subject.judge(&path, &self.answer, now_s) {
                    Err(OcspFault::Other) => {}
                    Err(fault) => self.fault = fault,
                    Ok(given) => {
                        self.under = Some(put(&given, cx, "OCSP Response updated!\n".to_owned())?);
                        return Ok(None);
                    }
                },
            }
        }
        Ok(Some(JobStep::Wait(cx.now.tick)))
    }
}

/// Puts an answer in force everywhere.
pub(super) fn put(given: &Given, cx: &mut CliCx<'_>, said: String) -> Result<Box<dyn Job>, String> {
    match ssl_change::put(change(given), cx, String::new(), said)? {
        Answer::Work(job) => Ok(job),
        _ => Err("OCSP response: cannot be put in force.".to_owned()),
    }
}

/// An answer on its way to all processes.
pub fn change(given: &Given) -> Change {
    Change { what: What::Ocsp, name: hex(&given.mark), content: given.pack() }
}

impl Job for Set {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        if let Some(under) = &mut self.under {
            return under.step(out, cx);
        }
        if self.done {
            return JobStep::Done;
        }
        match self.look(cx) {
            Ok(Some(step)) => step,
            Ok(None) => self.under.as_mut().map_or(JobStep::Done, |under| under.step(out, cx)),
            Err(why) => {
                out.extend_from_slice(why.trim_end().as_bytes());
                out.push(b'\n');
                self.done = true;
                JobStep::Done
            }
        }
    }
}

/// Which answers are shown.
enum Wanted {
    All,
    Id(Vec<u8>),
    File(PathBuf),
}

fn show(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let (plain, name) = match (ask.word(3), ask.word(4)) {
        ("text", name) => (true, name),
        ("base64", name) => (false, name),
        (name, _) => (true, name),
    };
    let wanted = match name {
        "" => Wanted::All,
        name => match from_hex(name) {
            Some(id) => Wanted::Id(id),
            None => Wanted::File(PathBuf::from(name)),
        },
    };
    let tls = contexts(cx)?;
    let search = match &wanted {
        Wanted::File(file) => Search::new(tls, flag::OCSP, Some(file)),
        _ => Search::new(tls, flag::OCSP, None),
    };
    let begun = if matches!(wanted, Wanted::All) { "# Certificate IDs\n" } else { "" };
    let given = tls.responses().all().iter().map(|given| Given::clone(given)).collect();
    Ok(Answer::Work(Box::new(Show { wanted, plain, begun, given, seen: Vec::new(), search })))
}

/// Bytes in hexadecimal digits, as ids are written; a file name is none.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            _ => None,
        })
        .collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

/// Answers that are shown: those that came at run time, then those of files.
struct Show {
    wanted: Wanted,
    plain: bool,
    begun: &'static str,
    given: VecDeque<Given>,
    seen: Vec<Mark>,
    search: Search,
}

impl Show {
    /// Writes one, if it is meant. True: it was the only one.
    fn write(&mut self, out: &mut Vec<u8>, given: &Given) -> bool {
        if self.seen.contains(&given.mark) {
            return false;
        }
        self.seen.push(given.mark);
        let meant = match &self.wanted {
            Wanted::All => {
                out.extend(summary(given).into_bytes());
                return false;
            }
            Wanted::Id(id) => *id == given.id,
            Wanted::File(file) => *file == given.staple.file,
        };
        if meant {
            let text = match self.plain {
                true => describe::ocsp(&given.staple.bytes).unwrap_or_default(),
                false => base64::encode_block(&given.staple.bytes),
            };
            out.extend(text.trim_end().bytes());
            out.push(b'\n');
        }
        meant
    }
}

impl Job for Show {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        out.extend(std::mem::take(&mut self.begun).bytes());
        for _ in 0..AT_ONCE {
            if out.len() >= OUT_HIGH {
                return JobStep::Full;
            }
            let next = match self.given.pop_front() {
                Some(given) => Some(given),
                None => {
                    let Ok(tls) = contexts(cx) else { return JobStep::Done };
                    match self.search.next(tls) {
                        Found::Wait => return JobStep::Wait(cx.now.tick.after(ASK_AGAIN_MS)),
                        Found::One(path, subject) => of_file(path, *subject),
                        Found::End => {
                            if !matches!(self.wanted, Wanted::All) {
                                out.extend_from_slice(b"Certificate ID does not match any certificate.\n");
                            }
                            return JobStep::Done;
                        }
                    }
                }
            };
            if next.is_some_and(|given| self.write(out, &given)) {
                return JobStep::Done;
            }
        }
        JobStep::Wait(cx.now.tick)
    }
}

/// The answer in a certificate's file.
fn of_file(path: PathBuf, subject: Subject) -> Option<Given> {
    let mut staple = subject.staple.clone()?;
    let answers = ocsp::parse(&staple.bytes).ok()?;
    let id = answers.singles.iter().find(|single| subject.is_meant(single))?.id.to_owned();
    staple.file = path;
    Some(Given { mark: subject.mark, id, staple })
}

/// An answer in a list.
fn summary(given: &Given) -> String {
    let answers = ocsp::parse(&given.staple.bytes).ok();
    let single = answers.iter().flat_map(|answers| &answers.singles).find(|single| single.id == given.id);
    let Some(single) = single else { return String::new() };
    format!(
        "Certificate ID key : {}\nCertificate path : {}\n Certificate ID:\n   Issuer Name Hash: {}\n   \
         Issuer Key Hash: {}\n   Serial Number: {}\n",
        hex(&given.id).to_ascii_lowercase(),
        given.staple.file.display(),
        hex(single.issuer_name_hash),
        hex(single.issuer_key_hash),
        describe::serial(single.serial),
    )
}

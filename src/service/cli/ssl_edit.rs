//! Changes of certificates that commands ask for: worked out from what is there now, made by the process with file rights, in
//! force in all workers when the answer comes. What has changed meanwhile is worked out again.

use super::{Answer, CliCx, Job, JobStep, Ticket};
use crate::net::tls::change::{Change, What};
use crate::net::tls::store::edit::{Edits, STALE};

/// How often an answer that is on its way is asked for, in milliseconds, if nothing wakes the session earlier.
const ASK_AGAIN_MS: u64 = 20;
/// How soon it is looked again for a content that is being read, milliseconds.
const READ_AGAIN_MS: u64 = 2;
/// A change is worked out again so often while others change the same.
const TRIES_MAX: u32 = 100;

/// It is looked so often for a content, some seconds in all.
const WAITS_MAX: u32 = 2000;

/// What a command wants next.
pub enum Step {
    /// Something is on its way: again soon.
    Wait,
    /// This first, and then again.
    First(Change),
    /// This, and then the text is the answer.
    Make(Edits, String),
    /// Nothing more; the answer.
    Done(String),
}

/// Works out what is to be done from what there is now. An error is the answer, and nothing has changed.
pub type Next = Box<dyn FnMut(&mut CliCx<'_>) -> Result<Step, String>>;

/// A change; `begin` is said at once, `end` is called when it has been made.
pub fn work(begin: String, next: Next, end: fn(&mut CliCx<'_>)) -> Answer {
    Answer::Work(Box::new(Work { begin, next, end, ticket: None, tries: 0, waits: 0 }))
}

struct Work {
    begin: String,
    next: Next,
    end: fn(&mut CliCx<'_>),
    /// A change under way, and the answer when it has been made, if that is the end.
    ticket: Option<(Ticket, Option<String>)>,
    tries: u32,
    waits: u32,
}

impl Work {
    /// Asks for a change; the answer when it cannot be made.
    fn ask(&mut self, change: Change, done: Option<String>, cx: &mut CliCx<'_>) -> Result<(), String> {
        self.ticket = Some((cx.host.change(change)?, done));
        Ok(())
    }

    fn turn(&mut self, cx: &mut CliCx<'_>) -> Result<Turn, String> {
        if let Some((ticket, done)) = &mut self.ticket {
            let Some(fault) = cx.host.answers(*ticket) else { return Ok(Turn::Wait(ASK_AGAIN_MS)) };
            let done = done.take();
            self.ticket = None;
            match (fault.is_empty(), done) {
                (true, Some(done)) => {
                    (self.end)(cx);
                    return Ok(Turn::Said(done));
                }
                (true, None) => {}
                (false, _) => {
                    let fault = String::from_utf8_lossy(&fault).into_owned();
                    self.tries += 1;
                    return match fault == STALE && self.tries < TRIES_MAX {
                        true => Ok(Turn::Wait(READ_AGAIN_MS)),
                        false => Err(fault),
                    };
                }
            }
        }
        match (self.next)(cx)? {
            Step::Wait if self.waits >= WAITS_MAX => {
                return Err("The certificate cannot be read now.".to_owned())
            }
            Step::Wait => {
                self.waits += 1;
                return Ok(Turn::Wait(READ_AGAIN_MS));
            }
            Step::Done(text) => return Ok(Turn::Said(text)),
            Step::First(change) => self.ask(change, None, cx)?,
            Step::Make(edits, done) => {
                let change = Change { what: What::Certs, name: String::new(), content: edits.encode() };
                match self.ask(change, Some(done), cx) {
                    Err(why) if why == STALE => return Ok(Turn::Wait(READ_AGAIN_MS)),
                    asked => asked?,
                }
            }
        }
        Ok(Turn::Wait(0))
    }
}

enum Turn {
    Wait(u64),
    Said(String),
}

impl Job for Work {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        out.extend(std::mem::take(&mut self.begin).into_bytes());
        loop {
            match self.turn(cx) {
                Ok(Turn::Wait(0)) => {}
                Ok(Turn::Wait(ms)) => return JobStep::Wait(cx.now.tick.after(ms)),
                Ok(Turn::Said(text)) => {
                    out.extend_from_slice(text.as_bytes());
                    return JobStep::Done;
                }
                Err(why) => {
                    out.extend_from_slice(why.as_bytes());
                    if !why.ends_with('\n') {
                        out.push(b'\n');
                    }
                    return JobStep::Done;
                }
            }
        }
    }
}

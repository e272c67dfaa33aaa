//! Changes of TLS that commands ask for: put in force in all processes, and the answer when they are.

use super::{Answer, CliCx, Job, JobStep, Ticket};
use crate::net::tls::change::Change;

/// How often an answer that is on its way is asked for, in milliseconds, if nothing wakes the session earlier.
const ASK_AGAIN_MS: u64 = 20;

/// Makes a change everywhere. Says `begin` when it is on its way and `done` when it is in force in all processes.
pub fn put(change: Change, cx: &mut CliCx<'_>, begin: String, done: String) -> Result<Answer, String> {
    match cx.host.change(change) {
        Ok(ticket) => Ok(Answer::Work(Box::new(Under { ticket, begin, done }))),
        Err(why) => Err(format!("{begin}{}\nFailed!\n", why.trim_end())),
    }
}

/// A change under way.
struct Under {
    ticket: Ticket,
    begin: String,
    done: String,
}

impl Job for Under {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        out.extend(std::mem::take(&mut self.begin).into_bytes());
        match cx.host.answers(self.ticket) {
            None => return JobStep::Wait(cx.now.tick.after(ASK_AGAIN_MS)),
            Some(fault) if fault.is_empty() => out.extend_from_slice(self.done.as_bytes()),
            Some(fault) => {
                out.extend_from_slice(&fault);
                out.extend_from_slice(b"Failed!\n");
            }
        }
        JobStep::Done
    }
}

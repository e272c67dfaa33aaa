//! OCSP answers in the background: files, questions and answers for the [`Book`]. In the process with the command socket only.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use lighterman_sys::fds;
use lighterman_wire::ocsp as wire;

use super::Worker;
use crate::base::ids::TaskId;
use crate::base::tick::Now;
use crate::event::log::sink::Speaker;
use crate::event::sched::Wake;
use crate::net::contexts::Contexts;
use crate::net::tls::describe::hex;
use crate::net::tls::ocsp::Subject;
use crate::net::tls::store::raw::Raw;
use crate::plan::{LogLevel, Plan};
use crate::service::cli::ssl_ocsp;
use crate::service::ocsp::book::{Book, Item, Status};
use crate::service::ocsp::line::{Question, Reply, MESSAGE_MAX, OTHER_TYPE};

/// The number of the task that keeps answers fresh.
pub(super) const OCSP: u16 = 10;

/// How often it looks whether certificates have come or gone, milliseconds.
const LOOK_MS: u64 = 5000;
/// A question that is not answered after so many seconds will not be: names alone may take long.
const PATIENCE_S: u64 = 60;
/// How often files on their way are asked for, milliseconds.
const READ_MS: u64 = 10;

/// The work in the background.
pub(super) struct Refresher {
    line: OwnedFd,
    pub(super) book: Book,
    task: TaskId,
    /// Versions of the indexes at the last look.
    seen: Vec<u32>,
    /// Certificates whose responders were asked.
    subjects: HashMap<PathBuf, Subject>,
}

impl Worker<'_> {
    /// Answers are kept fresh from now on, by asking over this line.
    pub(super) fn keep_fresh(&mut self, line: Option<OwnedFd>) -> io::Result<()> {
        if let Some(line) = line {
            let task = self.house_task(OCSP)?;
            self.house.poll.watch_read(line.as_raw_fd(), task.pack())?;
            let how = &self.plan.global.ocsp;
            let book = Book::new(how.min_delay.into(), how.max_delay.into());
            let subjects = HashMap::new();
            self.refresher = Some(Refresher { line, book, task, seen: Vec::new(), subjects });
            self.house.sched.wake(task, Wake::INIT);
        }
        Ok(())
    }

    /// A command wants an answer, or a file has come.
    pub(super) fn hurry_ocsp(&mut self) {
        if let Some(refresher) = &self.refresher {
            self.house.sched.wake(refresher.task, Wake::IO);
        }
    }

    /// Hears answers, asks what is due.
    pub(super) fn refresh_ocsp(&mut self, task: TaskId) {
        let Some(mut refresher) = self.refresher.take() else { return };
        let idle = refresher.book.is_idle();
        // a new generation keeps them fresh, or nobody wants them
        if !self.house.leaving || !idle {
            self.refresh(&mut refresher);
            let now_s = self.house.now.wall_us / 1_000_000;
            let wait = match refresher.book.next_s() {
                _ if !refresher.book.reading().is_empty() => READ_MS,
                Some(next) => (next.saturating_sub(now_s) * 1000).clamp(READ_MS, LOOK_MS),
                None => LOOK_MS,
            };
            self.house.sched.deadline(task, Some(self.house.now.tick.after(wait)));
        }
        self.refresher = Some(refresher);
    }

    fn refresh(&mut self, refresher: &mut Refresher) {
        let (plan, tls, now) = (self.plan, self.house.tls, self.house.now);
        let now_s = now.wall_us / 1_000_000;
        let versions = tls.store().versions();
        if versions != refresher.seen {
            refresher.seen = versions;
            refresher.book.refresh(marked(plan, tls).into_iter(), now_s);
            if refresher.book.crowded {
                log::warn!("ocsp-update is on for more certificates than are kept fresh: the first ones are");
            }
        }
        let (replies, cut) = replies(&refresher.line);
        for reply in replies {
            self.hear_reply(refresher, reply, now);
        }
        let patient_s = if cut { now_s + 1 } else { now_s.saturating_sub(PATIENCE_S) };
        for item in refresher.book.unheard(patient_s) {
            refresher.subjects.remove(&item.file);
            let why = if cut { "the process that asks responders is gone" } else { "no answer in time" };
            self.end_round(refresher, &item, Err((Status::Http, why.to_owned())), now);
        }
        refresher.book.begin(now_s, self.house.leaving);
        for item in refresher.book.reading() {
            self.read_item(refresher, &item, now);
        }
    }

    fn read_item(&mut self, refresher: &mut Refresher, item: &Item, now: Now) {
        let (tls, now_s) = (self.house.tls, now.wall_us / 1_000_000);
        let subject = match tls.store().raw(item.place.0, item.place.1) {
            Raw::Wait => return,
            Raw::Failed(why) => Err(why),
            Raw::Here(parts) => ssl_ocsp::subject(tls, &item.file, parts)
                .ok_or_else(|| "the certificate cannot be parsed".to_owned()),
        };
        let known = subject.and_then(|subject| {
            let id = subject.cert_id().ok_or("no issuer of the certificate is known")?;
            let url = subject.url.clone().ok_or("the certificate names no OCSP responder")?;
            Ok((subject, id, url))
        });
        let (subject, id, url) = match known {
            Ok(known) => known,
            Err(why) => return self.end_round(refresher, item, Err((Status::Check, why)), now),
        };
        let given = tls.responses().find(&subject.mark);
        let staples = given.iter().map(|given| &given.staple).chain(&subject.staple);
        let until = staples.filter(|staple| staple.judge(now_s).is_ok()).map(|staple| staple.until).max();
        if let Some(until) = until.filter(|_| !item.forced && item.rounds == 0) {
            let known = refresher.book.get(&item.file).is_some_and(|item| item.id.is_empty());
            if known {
                return refresher.book.has_answer(&item.file, hex(&id), until, now_s, &mut self.house.rng);
            }
        }
        let body = wire::request(&id);
        let ticket = refresher.book.ask(&item.file, hex(&id), now_s);
        let proxy = self.plan.global.ocsp.proxy.clone().unwrap_or_default();
        let question = Question { ticket, url, proxy, body }.pack();
        match fds::send_with_fds(refresher.line.as_fd(), &question, &[]) {
            Ok(_) => drop(refresher.subjects.insert(item.file.clone(), subject)),
            Err(error) => {
                let why = format!("the process that asks responders takes no question: {error}");
                self.end_round(refresher, item, Err((Status::Http, why)), now);
            }
        }
    }

    fn hear_reply(&mut self, refresher: &mut Refresher, reply: Reply, now: Now) {
        let now_s = now.wall_us / 1_000_000;
        let Some(item) = refresher.book.asked(reply.ticket).cloned() else { return };
        let Some(subject) = refresher.subjects.remove(&item.file) else { return };
        let outcome = match reply.answer {
            Err(why) if why.ends_with(OTHER_TYPE) => Err((Status::Header, why)),
            Err(why) => Err((Status::Http, why)),
            Ok(answer) => match subject.judge(&item.file, &answer, now_s) {
                Err(fault) => Err((Status::Check, fault.to_string())),
                Ok(given) => self
                    .wish(ssl_ocsp::change(&given))
                    .map(|()| given.staple.until)
                    .map_err(|why| (Status::Insert, why)),
            },
        };
        self.end_round(refresher, &item, outcome, now);
    }

    /// An attempt is over: noted and told.
    fn end_round(
        &mut self,
        refresher: &mut Refresher,
        item: &Item,
        outcome: Result<u64, (Status, String)>,
        now: Now,
    ) {
        let now_s = now.wall_us / 1_000_000;
        let (book, rng) = (&mut refresher.book, &mut self.house.rng);
        let level = match outcome {
            Ok(until) => {
                book.succeeded(&item.file, until, now_s, rng);
                LogLevel::Info
            }
            Err((status, why)) => {
                book.failed(&item.file, status, why, now_s, rng);
                LogLevel::Warning
            }
        };
        let Some(item) = book.get(&item.file) else { return };
        let colon = if item.why.is_empty() { "" } else { ": " };
        let line = format!(
            "OCSP-UPDATE {} {} \"{}\" {} {}{colon}{}",
            item.file.display(),
            item.status as u8,
            item.status.words(),
            item.failures,
            item.successes,
            item.why
        );
        self.house.log.emit(Speaker::Program, level, line.as_bytes());
        self.wake_desk();
    }
}

/// What has come on the line, and whether its other end is gone.
fn replies(line: &OwnedFd) -> (Vec<Reply>, bool) {
    let mut message = vec![0; MESSAGE_MAX];
    let mut all = Vec::new();
    while let Ok(got) = fds::recv_with_fds(line.as_fd(), &mut message) {
        if got.len == 0 {
            return (all, true);
        }
        all.extend(message.get(..got.len).and_then(Reply::unpack));
    }
    (all, false)
}

/// The certificates that are to be kept fresh: file, place and number in the store, content.
fn marked(plan: &Plan, tls: &Contexts) -> Vec<(PathBuf, (u32, u32), u64)> {
    let mut found = Vec::new();
    if plan.global.ocsp.disabled {
        return found;
    }
    for listener in &plan.listeners {
        let (Some(line), Some(bind)) = (listener.tls.as_deref(), tls.bind(listener.id)) else { continue };
        let default = line.ocsp_update.unwrap_or(plan.global.ocsp.update);
        let said = line.said_of_updates();
        if !default && !said.values().any(|on| *on) {
            continue;
        }
        for place in bind.places() {
            let Some((index, _)) = tls.store().index(*place) else { continue };
            for (number, entry) in index.entries() {
                let file = index.file(&entry);
                // the files of a bundle are called by the name of all of them
                let on = said.get(&file).or_else(|| said.get(&file.with_extension(""))).copied();
                if on.unwrap_or(default) {
                    found.push((file, (*place, number), entry.stamp));
                }
            }
        }
    }
    found
}

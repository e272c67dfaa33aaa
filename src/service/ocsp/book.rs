//! Which certificates' OCSP answers are kept fresh, when each is asked for next, and what came of the last time. Pure: the
//! worker's loop reads files, asks, and tells the book.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::base::rng::Rng;

/// Certificates that are kept fresh at once.
pub const ITEMS_MAX: usize = 20_000;
/// Responders asked at the same time.
pub const AT_ONCE: usize = 4;

/// What came of the last time, numbered as HAProxy does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It was not asked yet.
    Unknown,
    /// There is a new answer.
    Good,
    /// The responder gave none.
    Http,
    /// It gave something of another type.
    Header,
    /// The answer may not be stapled, or the certificate cannot be asked about.
    Check,
    /// There is no room for it.
    Insert,
}

impl Status {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Status::Unknown => "Unknown",
            Status::Good => "Update successful",
            Status::Http => "HTTP error",
            Status::Header => "Missing \"ocsp-response\" header",
            Status::Check => "OCSP response check failure",
            Status::Insert => "Error during insertion",
        }
    }
}

/// Where a certificate stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stage {
    /// It waits for its time.
    #[default]
    Idle,
    /// Its files are being read.
    Reading,
    /// Its responder was asked, under this number, at this second.
    Asked(u64, u64),
}

/// A certificate that is kept fresh.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its file.
    pub file: PathBuf,
    /// Its place and number in the store.
    pub place: (u32, u32),
    /// Its content, as the index knows it.
    pub stamp: u64,
    /// What identifies it to the responder, in hexadecimal digits; empty before it was read.
    pub id: String,
    /// When it is looked at next, seconds since 1970.
    pub next_s: u64,
    /// When its answer was renewed.
    pub last_s: Option<u64>,
    /// How often it was.
    pub successes: u32,
    /// How often it was not.
    pub failures: u32,
    /// How often since the last time it was.
    row: u32,
    /// What came of the last time.
    pub status: Status,
    /// What went wrong then.
    pub why: String,
    /// Where it stands.
    pub stage: Stage,
    /// An operator wants a new answer whatever is there.
    pub forced: bool,
    /// How often an attempt was over.
    pub rounds: u64,
}

/// The book.
pub struct Book {
    /// `ocsp-update.mindelay` and `maxdelay`, seconds.
    delays: (u64, u64),
    items: HashMap<PathBuf, Item>,
    ticket: u64,
    /// There were more certificates than are kept.
    pub crowded: bool,
}

impl Book {
    /// An empty one.
    pub fn new(min_s: u64, max_s: u64) -> Book {
        Book {
            delays: (min_s.max(1), max_s.max(min_s).max(1)),
            items: HashMap::new(),
            ticket: 0,
            crowded: false,
        }
    }

    /// The certificates are these now: file, place, content. What is known of those that stay as they are is kept.
    pub fn refresh(&mut self, certs: impl Iterator<Item = (PathBuf, (u32, u32), u64)>, now_s: u64) {
        let mut before = std::mem::take(&mut self.items);
        self.crowded = false;
        for (file, place, stamp) in certs {
            if self.items.contains_key(&file) {
                continue;
            }
            if self.items.len() >= ITEMS_MAX {
                self.crowded = true;
                break;
            }
            let known = before.remove(&file).filter(|item| item.stamp == stamp);
            let fresh = || Item {
                file: file.clone(),
                place,
                stamp,
                id: String::new(),
                next_s: now_s,
                last_s: None,
                successes: 0,
                failures: 0,
                row: 0,
                status: Status::Unknown,
                why: String::new(),
                stage: Stage::Idle,
                forced: false,
                rounds: 0,
            };
            let item = known.map_or_else(fresh, |item| Item { place, ..item });
            self.items.insert(file, item);
        }
    }

    /// All certificates, those that are due first before the others.
    pub fn items(&self) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.items.values().collect();
        items.sort_by(|a, b| (a.next_s, &a.file).cmp(&(b.next_s, &b.file)));
        items
    }

    /// A certificate by its file.
    pub fn get(&self, file: &Path) -> Option<&Item> {
        self.items.get(file)
    }

    /// A new answer for a certificate is wanted at once. False: it is not kept fresh.
    pub fn force(&mut self, file: &Path, now_s: u64) -> bool {
        self.items.get_mut(file).map(|item| (item.forced, item.next_s) = (true, now_s)).is_some()
    }

    /// Certificates whose turn it is, as many as may be under way; their files are to be read. Who is leaving does what an
    /// operator waits for and nothing else.
    pub fn begin(&mut self, now_s: u64, leaving: bool) -> Vec<PathBuf> {
        let busy = self.items.values().filter(|item| item.stage != Stage::Idle).count();
        let due =
            |item: &&Item| item.stage == Stage::Idle && item.next_s <= now_s && (item.forced || !leaving);
        let free = AT_ONCE.saturating_sub(busy);
        let files: Vec<PathBuf> =
            self.items.values().filter(due).take(free).map(|item| item.file.clone()).collect();
        for file in &files {
            if let Some(item) = self.items.get_mut(file) {
                item.stage = Stage::Reading;
            }
        }
        files
    }

    /// Certificates whose files are being read.
    pub fn reading(&self) -> Vec<Item> {
        self.items.values().filter(|item| item.stage == Stage::Reading).cloned().collect()
    }

    /// Its responder is asked now; the number of the question.
    pub fn ask(&mut self, file: &Path, id: String, now_s: u64) -> u64 {
        self.ticket += 1;
        if let Some(item) = self.items.get_mut(file) {
            item.stage = Stage::Asked(self.ticket, now_s);
            item.id = id;
        }
        self.ticket
    }

    /// The certificate a question was about.
    pub fn asked(&self, ticket: u64) -> Option<&Item> {
        self.items.values().find(|item| matches!(item.stage, Stage::Asked(number, _) if number == ticket))
    }

    /// Certificates that were asked about before this second, and nothing was heard since.
    pub fn unheard(&self, before_s: u64) -> Vec<Item> {
        let late = |item: &&Item| matches!(item.stage, Stage::Asked(_, at) if at < before_s);
        self.items.values().filter(late).cloned().collect()
    }

    /// It has an answer until then, which nobody had to ask for.
    pub fn has_answer(&mut self, file: &Path, id: String, until_s: u64, now_s: u64, rng: &mut Rng) {
        let next_s = self.after_success(until_s, now_s, rng);
        if let Some(item) = self.items.get_mut(file) {
            (item.stage, item.id, item.next_s) = (Stage::Idle, id, next_s);
        }
    }

    /// A new answer is in force until then.
    pub fn succeeded(&mut self, file: &Path, until_s: u64, now_s: u64, rng: &mut Rng) {
        let next_s = self.after_success(until_s, now_s, rng);
        if let Some(item) = self.items.get_mut(file) {
            (item.row, item.status, item.last_s) = (0, Status::Good, Some(now_s));
            item.successes = item.successes.saturating_add(1);
            item.close(next_s, String::new());
        }
    }

    /// There is none.
    pub fn failed(&mut self, file: &Path, status: Status, why: String, now_s: u64, rng: &mut Rng) {
        let (min, max) = self.delays;
        let Some(item) = self.items.get_mut(file) else { return };
        item.row = item.row.saturating_add(1);
        let wait = min.saturating_mul(1 << (item.row - 1).min(20)).min(max);
        item.failures = item.failures.saturating_add(1);
        item.status = status;
        item.close(now_s + jitter(wait, rng), why);
    }

    /// Half the time an answer has still to live, within the limits.
    fn after_success(&self, until_s: u64, now_s: u64, rng: &mut Rng) -> u64 {
        let (min, max) = self.delays;
        now_s + jitter((until_s.saturating_sub(now_s) / 2).clamp(min, max), rng)
    }

    /// Whether nothing is under way, and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.items.values().all(|item| item.stage == Stage::Idle && !item.forced)
    }

    /// When something is due next, if nothing is under way.
    pub fn next_s(&self) -> Option<u64> {
        self.items.values().filter(|item| item.stage == Stage::Idle).map(|item| item.next_s).min()
    }
}

impl Item {
    fn close(&mut self, next_s: u64, why: String) {
        (self.stage, self.next_s, self.why, self.forced) = (Stage::Idle, next_s, why, false);
        self.rounds += 1;
    }
}

/// A delay, up to a tenth less: certificates that were made together are not asked for together for ever.
fn jitter(wait: u64, rng: &mut Rng) -> u64 {
    wait - rng.below(wait / 10 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(files: &[&str]) -> Book {
        let mut book = Book::new(100, 1000);
        book.refresh(certs(files).into_iter(), 0);
        book
    }

    fn certs(files: &[&str]) -> Vec<(PathBuf, (u32, u32), u64)> {
        files.iter().enumerate().map(|(n, file)| (PathBuf::from(file), (0, n as u32), n as u64)).collect()
    }

    fn wait(book: &Book, file: &str, now: u64) -> u64 {
        book.get(Path::new(file)).unwrap().next_s - now
    }

    #[test]
    fn answers_are_renewed_at_half_their_time_within_limits() {
        let mut rng = Rng::from_seed(1);
        for (until, longest) in [(1000, 500), (5000, 1000), (50, 100), (0, 100)] {
            let mut book = book(&["a"]);
            assert_eq!(book.begin(0, false), [PathBuf::from("a")]);
            let ticket = book.ask(Path::new("a"), "00".to_owned(), 0);
            assert_eq!((book.unheard(0).len(), book.unheard(1).len()), (0, 1));
            assert_eq!(book.asked(ticket).map(|item| item.id.as_str()), Some("00"));
            book.succeeded(Path::new("a"), until, 0, &mut rng);
            let wait = wait(&book, "a", 0);
            assert!((longest - longest / 10..=longest).contains(&wait), "{until}: {wait}");
            assert!(book.begin(0, false).is_empty());
        }
    }

    #[test]
    fn failures_wait_longer_and_longer() {
        let (mut book, mut rng) = (book(&["a"]), Rng::from_seed(1));
        for longest in [100, 200, 400, 800, 1000, 1000] {
            book.failed(Path::new("a"), Status::Http, "no".to_owned(), 0, &mut rng);
            let wait = wait(&book, "a", 0);
            assert!((longest - longest / 10..=longest).contains(&wait), "{longest}: {wait}");
        }
        book.succeeded(Path::new("a"), 400, 0, &mut rng);
        book.failed(Path::new("a"), Status::Http, "no".to_owned(), 0, &mut rng);
        assert!(wait(&book, "a", 0) <= 100, "a success counts");
        let item = book.get(Path::new("a")).unwrap();
        assert_eq!((item.successes, item.failures, item.status, item.rounds), (1, 7, Status::Http, 8));
    }

    #[test]
    fn few_are_under_way_at_once() {
        let names: Vec<String> = (0..10).map(|n| format!("f{n}")).collect();
        let mut book = book(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((book.begin(0, false).len(), book.begin(0, false).len()), (AT_ONCE, 0));
        let one = book.reading().remove(0);
        book.has_answer(&one.file, "11".to_owned(), 500, 0, &mut Rng::from_seed(1));
        assert_eq!(book.begin(0, true).len(), 0);
        assert_eq!(book.begin(0, false).len(), 1);
        assert!(book.force(&one.file, 0) && !book.force(Path::new("x"), 0));
    }

    #[test]
    fn certificates_come_and_go() {
        let (mut book, mut rng) = (book(&["a", "b"]), Rng::from_seed(1));
        book.succeeded(Path::new("a"), 400, 0, &mut rng);
        let mut now = certs(&["a", "b", "c"]);
        now[1].2 = 77;
        book.refresh(now.into_iter().filter(|(file, ..)| file != Path::new("x")), 5);
        assert_eq!(book.items().len(), 3);
        assert_eq!(book.get(Path::new("a")).unwrap().successes, 1);
        assert_eq!(book.get(Path::new("b")).unwrap().next_s, 5, "it is another one now");
        book.refresh(std::iter::empty(), 6);
        assert_eq!((book.items().len(), book.next_s()), (0, None));
    }
}

//! The certificates of all `bind` lines, as one process has them: indexes, the parsed ones, and those on their way.
//!
//! One store per configuration. The process with file rights fills it before it forks; each process then has its own, and those
//! without file rights are connected to a line ([`Store::connect`]). A handshake asks with [`Store::pick`]; on [`Pick::Wait`]
//! it registers its task with [`Store::wait`] and is woken when the certificate has come, or will not come. The lock is never
//! contended: a process has one event loop.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::draft::Draft;
use super::errand::{self, News, Notice, Open, Request, Wanted, Weight};
use super::index::{flag, Bytes, Entry, Index, SIDES};
use super::lru::Lru;
use super::raw::Wishes;
use super::select::{self, Choice, How};
use super::spool::Spool;
use crate::base::ids::TaskId;
use crate::base::tick::{Now, Tick};
use crate::net::tls::certs::{self, Cert};
use crate::net::tls::change::Paper;
use crate::net::tls::files::{CrtBytes, Files, Part, FILE_MAX};
use crate::net::tls::hello::Can;
use crate::plan::crt::Extras;
use lighterman_sys::sealed::Sealed;

/// A certificate that has not come after this time does not come, milliseconds.
pub const PATIENCE_MS: u64 = 2000;
/// One that could not be read is not asked for again sooner, milliseconds.
const RETRY_MS: u64 = 1000;
/// Requests under way at once: as many answers as a channel holds for sure.
const UNDER_WAY_MAX: usize = 64;
/// Requests answered before the process with file rights looks at something else.
const ANSWERS_AT_ONCE: usize = 64;
/// Lines for the operator that are kept until somebody takes them.
const NEWS_MAX: usize = 100;
/// What an entry takes that says a certificate cannot be read.
const FAILED_BYTES: usize = 200;

/// What a store is made with.
#[derive(Clone)]
pub struct Settings {
    /// `tune.ssl.cert-cache`: bytes of parsed certificates per process.
    pub cache: usize,
    /// Which files belong to a certificate, and chains for those that have none.
    pub how: Arc<Files>,
    /// `ssl-index-dir`.
    pub index_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { cache: 8 << 20, how: Arc::default(), index_dir: None }
    }
}

/// A certificate on its way, as those who wait for it know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    stamp: u64,
    /// Tells this time from others.
    serial: u64,
}

/// What a handshake gets.
pub enum Pick {
    /// This certificate, under this set of options of a `crt-list`.
    Show(Arc<Cert>, u16),
    /// It is on its way.
    Wait(Awaited),
    /// There is none for this client.
    Nothing(How),
    /// There is one, but it cannot be had now.
    Failed,
}

/// Figures of this process since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Certificates that were there when a handshake asked.
    pub hits: u64,
    /// Those that had to be read first.
    pub misses: u64,
    /// Files read and parsed.
    pub loads: u64,
    /// Those that could not be.
    pub failures: u64,
    /// Forgotten for want of room.
    pub evicted: u64,
    /// Parsed certificates kept.
    pub kept: usize,
    /// Bytes they take.
    pub bytes: usize,
}

/// An index in its place.
struct Shelf {
    index: Arc<Index>,
    version: u32,
    /// What happens in its directory is to be seen.
    watched: bool,
}

/// What is known of a certificate's content.
#[derive(Clone)]
enum Parsed {
    Good(Arc<Cert>),
    /// It could not be read; not to be tried again before.
    Bad(Tick),
}

/// A certificate on its way.
struct Asked {
    serial: u64,
    wanted: Wanted,
    tasks: Vec<TaskId>,
    due: Tick,
}

/// Where files come from.
enum Line {
    /// This process opens them itself.
    Here,
    /// Another one does; the task hears its answers.
    Other(OwnedFd, TaskId),
}

pub(super) struct Desk {
    shelves: Vec<Shelf>,
    blobs: HashMap<(u32, u32), Arc<Sealed>>,
    spool: Option<Arc<Spool>>,
    /// What directories are called in the configuration, with the places of their indexes.
    dirs: Vec<(PathBuf, u32)>,
    /// The place of certificates that no line uses.
    loose: Option<u32>,
    /// Contents that are wanted as they are.
    pub(super) raw: Wishes,
    /// What commands have set.
    pub(super) draft: Option<Draft>,
    /// Tasks that must look again after an edit.
    pub(super) woken: Vec<TaskId>,
    how: Arc<Files>,
    lru: Lru<u64, Parsed>,
    /// What has just come, for those who waited: it may not stay in a small cache until they are served.
    fresh: Vec<(u64, Parsed)>,
    line: Line,
    asked: HashMap<u64, Asked>,
    /// In the order in which they were asked for, some of them answered already.
    order: VecDeque<(Tick, u64)>,
    unsent: VecDeque<u64>,
    under_way: usize,
    papers: Vec<Paper>,
    unsent_papers: VecDeque<Paper>,
    serial: u64,
    news: Vec<Notice>,
    figures: Figures,
    /// Figures at the last [`Store::take_counts`].
    told: Figures,
}

/// See the module.
pub struct Store {
    /// What it was made with.
    pub settings: Settings,
    /// Indexes of the configuration before this one.
    before: Vec<Arc<Index>>,
    desk: Mutex<Desk>,
    has_news: AtomicBool,
    /// Figures have changed.
    has_counts: AtomicBool,
    wall_s: AtomicI64,
    tick: AtomicU64,
}

impl Default for Store {
    fn default() -> Self {
        Store::new(Settings::default())
    }
}

impl Store {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let desk = Desk {
            shelves: Vec::new(),
            blobs: HashMap::new(),
            spool: None,
            dirs: Vec::new(),
            loose: None,
            raw: Wishes::default(),
            draft: None,
            woken: Vec::new(),
            how: Arc::clone(&settings.how),
            lru: Lru::new(settings.cache),
            fresh: Vec::new(),
            line: Line::Here,
            asked: HashMap::new(),
            order: VecDeque::new(),
            unsent: VecDeque::new(),
            under_way: 0,
            papers: Vec::new(),
            unsent_papers: VecDeque::new(),
            serial: 0,
            news: Vec::new(),
            figures: Figures::default(),
            told: Figures::default(),
        };
        Store {
            settings,
            before: Vec::new(),
            desk: Mutex::new(desk),
            has_news: AtomicBool::new(false),
            has_counts: AtomicBool::new(false),
            wall_s: AtomicI64::new(0),
            tick: AtomicU64::new(0),
        }
    }

    /// An empty one that takes the place of another: what that one knows of directories is not read again.
    pub fn succeeding(settings: Settings, old: &Store) -> Self {
        let new = Store { before: old.indexes(), ..Store::new(settings) };
        new.desk().spool = old.spool();
        new
    }

    /// Answers come from these bytes, where they are there, from now on.
    pub fn set_spool(&self, spool: Arc<Spool>) {
        self.desk().spool = Some(spool);
    }

    /// This process has no business with files.
    pub fn close_spool(&self) {
        if let Some(spool) = self.desk().spool.take() {
            spool.close();
        }
    }

    /// The last good bytes of certificates in watched directories, if some are watched.
    pub fn spool(&self) -> Option<Arc<Spool>> {
        self.desk().spool.clone()
    }

    /// What the store before this one knew of a directory.
    pub fn before(&self, dir: &Path) -> Option<Arc<Index>> {
        self.before.iter().find(|index| index.dir() == Some(dir)).cloned()
    }

    /// The store before this one can be forgotten.
    pub fn forget_before(&mut self) {
        self.before = Vec::new();
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, once per turn.
    pub fn set_clock(&self, now: Now) {
        self.wall_s.store((now.wall_us / 1_000_000) as i64, Relaxed);
        self.tick.store(now.tick.0, Relaxed);
    }

    pub(super) fn now(&self) -> Tick {
        Tick(self.tick.load(Relaxed))
    }

    /// Puts an index in its place behind the others; the number of the place.
    pub fn add(&self, index: Arc<Index>) -> u32 {
        let mut desk = self.desk();
        desk.shelves.push(Shelf { index, version: 1, watched: false });
        desk.shelves.len() as u32 - 1
    }

    /// What happens in the directory of an index is to be seen.
    pub fn watch(&self, place: u32) {
        if let Some(shelf) = self.desk().shelves.get_mut(place as usize) {
            shelf.watched = true;
        }
    }

    /// The directories that are watched, with the places of their indexes.
    pub fn watched(&self) -> Vec<(u32, PathBuf)> {
        let desk = self.desk();
        let dir = |shelf: &Shelf| shelf.index.dir().filter(|_| shelf.watched).map(Path::to_owned);
        desk.shelves
            .iter()
            .enumerate()
            .filter_map(|(place, shelf)| Some((place as u32, dir(shelf)?)))
            .collect()
    }

    /// The place of the index of a directory, if it is here already.
    pub fn place_of(&self, dir: &Path) -> Option<u32> {
        let desk = self.desk();
        desk.shelves.iter().position(|shelf| shelf.index.dir() == Some(dir)).map(|place| place as u32)
    }

    /// What a directory is called in the configuration.
    pub fn call(&self, dir: &Path, place: u32) {
        let mut desk = self.desk();
        if !desk.dirs.iter().any(|(known, _)| known == dir) {
            desk.dirs.push((dir.to_owned(), place));
        }
    }

    /// What directories are called, with the places of their indexes.
    pub fn called(&self) -> Vec<(PathBuf, u32)> {
        self.desk().dirs.clone()
    }

    /// Certificates that no line uses stand in this place.
    pub fn set_loose(&self, place: u32) {
        self.desk().loose = Some(place);
    }

    /// The place of certificates that no line uses.
    pub fn loose(&self) -> Option<u32> {
        self.desk().loose
    }

    /// The index in a place, with its version.
    pub fn index(&self, place: u32) -> Option<(Arc<Index>, u32)> {
        self.desk().shelves.get(place as usize).map(|shelf| (Arc::clone(&shelf.index), shelf.version))
    }

    /// The versions of all indexes, by place.
    pub fn versions(&self) -> Vec<u32> {
        self.desk().shelves.iter().map(|shelf| shelf.version).collect()
    }

    /// All indexes by place.
    pub fn indexes(&self) -> Vec<Arc<Index>> {
        self.desk().shelves.iter().map(|shelf| Arc::clone(&shelf.index)).collect()
    }

    /// Puts another version of an index in its place: certificates are selected by it from now on. Parsed certificates are
    /// known by content: those it still has stay, the others are forgotten when room is needed. Those who wait must look
    /// again. `version` is a number the caller counts up.
    pub fn replace(&self, place: u32, index: Arc<Index>, version: u32) -> Vec<TaskId> {
        self.desk().replace(place, index, version)
    }

    /// The bytes of a certificate that has no file ([`flag::BLOB`]), for the process that answers requests. `None` forgets
    /// them.
    pub fn set_blob(&self, place: u32, entry: u32, bytes: Option<Arc<Sealed>>) {
        let mut desk = self.desk();
        match bytes {
            Some(bytes) => desk.blobs.insert((place, entry), bytes),
            None => desk.blobs.remove(&(place, entry)),
        };
    }

    /// Keeps a certificate that is parsed already, if there is room without forgetting another one.
    pub fn warm(&self, stamp: u64, cert: Arc<Cert>) {
        let mut desk = self.desk();
        let weight = cert.weight();
        if desk.lru.weight() + weight <= desk.lru.limit() {
            desk.lru.put(stamp, Parsed::Good(cert), weight);
        }
    }

    /// Files are opened by another process from now on; `task` is woken when it has answered.
    pub fn connect(&self, line: OwnedFd, task: TaskId) {
        self.desk().line = Line::Other(line, task);
    }

    /// Which certificates a client could be shown, the best first, by the indexes in these places.
    pub fn choose(&self, places: &[u32], name: Option<&[u8]>, can: Can) -> Choice {
        self.desk().choose(places, name, can, self.wall_s.load(Relaxed))
    }

    /// What a client is shown.
    pub fn pick(&self, places: &[u32], name: Option<&[u8]>, can: Can, strict: bool) -> Pick {
        let now = self.now();
        let mut desk = self.desk();
        self.has_counts.store(true, Relaxed);
        let choice = desk.choose(places, name, can, self.wall_s.load(Relaxed));
        if choice.candidates.is_empty() || strict && choice.how.is_default() {
            return Pick::Nothing(choice.how);
        }
        for candidate in &choice.candidates {
            let Some(place) = places.get(candidate.source as usize) else { continue };
            match desk.take(*place, candidate.entry, now) {
                Take::Here(cert) => return Pick::Show(cert, candidate.options),
                Take::Wait(awaited) => return Pick::Wait(awaited),
                Take::Failed => {}
            }
            if !desk.news.is_empty() {
                self.has_news.store(true, Relaxed);
            }
        }
        Pick::Failed
    }

    /// A task waits for what [`Pick::Wait`] said. Returns the task that must be woken by its deadline, and when.
    pub fn wait(&self, awaited: Awaited, task: TaskId) -> Option<(TaskId, Tick)> {
        let mut desk = self.desk();
        let asked = desk.asked.get_mut(&awaited.stamp)?;
        asked.tasks.push(task);
        match desk.line {
            Line::Here => None,
            Line::Other(_, clerk) => Some((clerk, desk.order.front().map(|(due, _)| *due)?)),
        }
    }

    /// Takes what has come on the line, and gives up on what has not come in time. Tasks that look again, and when this must
    /// be called next.
    pub fn hear(&self, now: Now) -> (Vec<TaskId>, Option<Tick>) {
        self.set_clock(now);
        let mut desk = self.desk();
        let tasks = desk.hear(now.tick);
        self.has_counts.store(true, Relaxed);
        if !desk.news.is_empty() {
            self.has_news.store(true, Relaxed);
        }
        (tasks, desk.order.front().map(|(due, _)| *due))
    }

    /// What has come about changes since the last call.
    pub fn take_papers(&self) -> Vec<Paper> {
        std::mem::take(&mut self.desk().papers)
    }

    /// Says something about changes to the process with file rights, now or when the line takes it.
    pub fn send_paper(&self, paper: Paper) {
        let mut desk = self.desk();
        desk.unsent_papers.push_back(paper);
        desk.send();
    }

    /// Whether something waits for room on the line.
    pub fn has_unsent(&self) -> bool {
        !self.desk().unsent_papers.is_empty()
    }

    /// Lines for the operator since the last call.
    pub fn take_news(&self) -> Vec<Notice> {
        match self.has_news.swap(false, Relaxed) {
            true => std::mem::take(&mut self.desk().news),
            false => Vec::new(),
        }
    }

    /// What this process has done since the last call, when that is something.
    pub fn take_counts(&self) -> Option<Figures> {
        if !self.has_counts.swap(false, Relaxed) {
            return None;
        }
        let now = self.figures();
        let before = std::mem::replace(&mut self.desk().told, now);
        Some(Figures {
            hits: now.hits - before.hits,
            misses: now.misses - before.misses,
            loads: now.loads - before.loads,
            failures: now.failures - before.failures,
            evicted: now.evicted - before.evicted,
            ..now
        })
    }

    /// What this process has done.
    pub fn figures(&self) -> Figures {
        let desk = self.desk();
        let lru = &desk.lru;
        Figures { evicted: lru.evicted(), kept: lru.len(), bytes: lru.weight(), ..desk.figures }
    }

    /// Answers what another process asks for, a bounded number of requests; what is about changes is left to the caller.
    /// False: that process is gone.
    pub fn answer(&self, line: BorrowedFd<'_>, papers: &mut Vec<Paper>) -> bool {
        for _ in 0..ANSWERS_AT_ONCE {
            match errand::next_request(line) {
                Ok(Some(Request::Paper(paper))) => papers.push(paper),
                Ok(Some(Request::File(wanted))) => {
                    let files = self.open(&wanted);
                    // a line that is full, or gone: who asked stops waiting by itself
                    let _ = errand::bring(line, &wanted, files.as_ref().map_err(|error| *error));
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Opens the files of a certificate; an error is the system's number.
    pub fn open(&self, wanted: &Wanted) -> Result<Open, i32> {
        self.desk().open(wanted)
    }
}

/// A certificate, asked for.
enum Take {
    Here(Arc<Cert>),
    Wait(Awaited),
    Failed,
}

impl Desk {
    fn choose(&self, places: &[u32], name: Option<&[u8]>, can: Can, now: i64) -> Choice {
        let shelf = |place: &u32| self.shelves.get(*place as usize).map(|shelf| &*shelf.index);
        select::select(places.iter().filter_map(shelf), name, can, now)
    }

    fn take(&mut self, place: u32, number: u32, now: Tick) -> Take {
        let Some(wanted) = self.wanted(place, number) else { return Take::Failed };
        let stamp = wanted.stamp;
        let known = self.lru.get(&stamp).cloned();
        let known = known.or_else(|| {
            self.fresh.iter().find(|(known, _)| *known == stamp).map(|(_, parsed)| parsed.clone())
        });
        match known {
            Some(Parsed::Good(cert)) => {
                self.figures.hits += 1;
                return Take::Here(cert);
            }
            Some(Parsed::Bad(until)) if now < until => return Take::Failed,
            _ => {}
        }
        if let Some(asked) = self.asked.get(&stamp) {
            return Take::Wait(Awaited { stamp, serial: asked.serial });
        }
        self.figures.misses += 1;
        if let Line::Here = self.line {
            let files = self.open(&wanted);
            return match self.accept(&wanted, files, now) {
                Parsed::Good(cert) => Take::Here(cert),
                Parsed::Bad(_) => Take::Failed,
            };
        }
        let due = now.after(PATIENCE_MS);
        self.serial += 1;
        let awaited = Awaited { stamp, serial: self.serial };
        self.asked.insert(stamp, Asked { serial: self.serial, wanted, tasks: Vec::new(), due });
        self.order.push_back((due, stamp));
        self.unsent.push_back(stamp);
        self.send();
        Take::Wait(awaited)
    }

    /// Sends requests as far as the line takes them.
    fn send(&mut self) {
        let Line::Other(line, _) = &self.line else { return };
        while let Some(paper) = self.unsent_papers.front() {
            match paper.send(line.as_fd()) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // sent, or nobody is there any more to read it
                Ok(()) | Err(_) => self.unsent_papers.pop_front(),
            };
        }
        while self.under_way < UNDER_WAY_MAX {
            let Some(stamp) = self.unsent.pop_front() else { return };
            let Some(asked) = self.asked.get(&stamp) else { continue };
            if errand::ask(line.as_fd(), &asked.wanted).is_err() {
                // it is tried again with the next answer; without one nobody waits for ever
                self.unsent.push_front(stamp);
                return;
            }
            self.under_way += 1;
        }
    }

    fn hear(&mut self, now: Tick) -> Vec<TaskId> {
        self.fresh.clear();
        let mut tasks = Vec::new();
        while let Line::Other(line, _) = &self.line {
            match errand::next_news(line.as_fd()) {
                None => break,
                Some(News::Brought(wanted, files)) => {
                    if self.raw.take(&wanted, &files) {
                        continue;
                    }
                    self.under_way = self.under_way.saturating_sub(1);
                    if files.as_ref().err() == Some(&errand::STALE) {
                        // the new index is on its way, or time runs out
                        continue;
                    }
                    let Some(asked) = self.asked.remove(&wanted.stamp) else { continue };
                    tasks.extend(asked.tasks);
                    let parsed = self.accept(&wanted, files, now);
                    self.fresh.push((wanted.stamp, parsed));
                }
                Some(News::Index(place, version, bytes)) => {
                    let index = Sealed::of_fd(bytes).map_err(|error| error.to_string());
                    let index = index
                        .and_then(|bytes| Index::received(Bytes::Shared(bytes)).map_err(|f| f.to_string()));
                    match index {
                        Ok(index) => tasks.extend(self.replace(place, Arc::new(index), version)),
                        Err(why) => self.tell(format!("an index of certificates cannot be used: {why}")),
                    }
                }
                Some(News::Notice(notice)) => self.note(notice),
                Some(News::Paper(paper)) => self.papers.push(paper),
            }
        }
        self.give_up(now, &mut tasks);
        self.send();
        tasks
    }

    /// Stops waiting for what is overdue.
    fn give_up(&mut self, now: Tick, tasks: &mut Vec<TaskId>) {
        while let Some((due, stamp)) = self.order.front().copied() {
            let waits = self.asked.get(&stamp).is_some_and(|asked| asked.due == due);
            if waits && now < due {
                return;
            }
            self.order.pop_front();
            if !waits {
                continue;
            }
            if let Some(asked) = self.asked.remove(&stamp) {
                self.under_way = self.under_way.saturating_sub(1);
                self.fail(&asked.wanted, "the master did not open it in time", now);
                tasks.extend(asked.tasks);
            }
        }
    }

    fn replace(&mut self, place: u32, index: Arc<Index>, version: u32) -> Vec<TaskId> {
        let Some(shelf) = self.shelves.get_mut(place as usize) else { return Vec::new() };
        (shelf.index, shelf.version) = (index, version);
        let mut tasks = Vec::new();
        self.asked.retain(|_, asked| {
            let stays = asked.wanted.index != place;
            if !stays {
                tasks.append(&mut asked.tasks);
            }
            stays
        });
        self.under_way = self.under_way.min(self.asked.len());
        tasks
    }

    /// Opens the files of a certificate.
    pub(super) fn open(&self, wanted: &Wanted) -> Result<Open, i32> {
        let (index, entry) = self.entry_of(wanted).ok_or(errand::STALE)?;
        let number = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        if let Some(files) = self.spool.as_ref().and_then(|spool| spool.open(entry.stamp)) {
            return files.map_err(number);
        }
        let Some(paths) = paths(index, &entry, self.how.extras()) else {
            let blob = self.blobs.get(&(wanted.index, wanted.entry)).ok_or(libc::ENOENT)?;
            let copy = blob.as_fd().try_clone_to_owned().map_err(number)?;
            return Ok([Some(copy), None, None, None, None]);
        };
        let mut files = [const { None }; 5];
        for (file, path) in files.iter_mut().zip(paths) {
            *file = path.map(|path| errand::open(&path)).transpose().map_err(number)?;
        }
        Ok(files)
    }

    /// Files have come, or not: parses them.
    fn accept(&mut self, wanted: &Wanted, files: Result<Open, i32>, now: Tick) -> Parsed {
        let file = self.file_of(wanted);
        let cert = match files {
            Err(error) => Err(std::io::Error::from_raw_os_error(error).to_string()),
            Ok(files) => parse(&file, files, &self.how),
        };
        match cert {
            Ok(cert) => {
                self.figures.loads += 1;
                let (weight, parsed) = (cert.weight(), Parsed::Good(Arc::new(cert)));
                self.lru.put(wanted.stamp, parsed.clone(), weight);
                parsed
            }
            Err(why) => self.fail(wanted, &why, now),
        }
    }

    fn fail(&mut self, wanted: &Wanted, why: &str, now: Tick) -> Parsed {
        self.figures.failures += 1;
        let parsed = Parsed::Bad(now.after(RETRY_MS));
        self.lru.put(wanted.stamp, parsed.clone(), FAILED_BYTES);
        let file = self.file_of(wanted);
        self.tell(format!("Certificate {} cannot be used: {why}", file.display()));
        parsed
    }

    fn tell(&mut self, text: String) {
        self.note(Notice { weight: Weight::Warning, times: 1, text });
    }

    fn note(&mut self, notice: Notice) {
        if self.news.len() < NEWS_MAX {
            self.news.push(notice);
        }
    }

    /// A request for a certificate.
    pub(super) fn wanted(&self, place: u32, number: u32) -> Option<Wanted> {
        let shelf = self.shelves.get(place as usize)?;
        let entry = shelf.index.entry(number)?;
        Some(Wanted { index: place, version: shelf.version, entry: number, stamp: entry.stamp })
    }

    /// The line to the process with file rights, if that is another one.
    pub(super) fn other(&self) -> Option<BorrowedFd<'_>> {
        match &self.line {
            Line::Here => None,
            Line::Other(line, _) => Some(line.as_fd()),
        }
    }

    fn file_of(&self, wanted: &Wanted) -> PathBuf {
        self.entry_of(wanted).map_or_else(PathBuf::new, |(index, entry)| index.file(&entry))
    }

    fn entry_of(&self, wanted: &Wanted) -> Option<(&Index, Entry)> {
        let shelf =
            self.shelves.get(wanted.index as usize).filter(|shelf| shelf.version == wanted.version)?;
        Some((&shelf.index, shelf.index.entry(wanted.entry)?))
    }
}

impl Store {
    /// The files of an entry: itself, key, ocsp, issuer, sctl. `None` for one that is kept in memory.
    pub fn paths(&self, index: &Index, entry: &Entry) -> Option<[Option<PathBuf>; 5]> {
        paths(index, entry, self.settings.how.extras())
    }
}

fn paths(index: &Index, entry: &Entry, extras: &Extras) -> Option<[Option<PathBuf>; 5]> {
    if entry.flags & flag::BLOB != 0 {
        return None;
    }
    let mut paths = [const { None }; 5];
    if entry.flags & flag::PATHS != 0 {
        let parts = index.file_text(entry).split(|byte| *byte == 0);
        for (path, part) in paths.iter_mut().zip(parts) {
            *path = (!part.is_empty()).then(|| super::index::path_of(part).to_owned());
        }
        return Some(paths);
    }
    let file = index.file(entry);
    for (path, (end, bit)) in paths.iter_mut().skip(1).zip(SIDES) {
        *path = (entry.flags & bit != 0).then(|| extras.beside(&file, end));
    }
    if let Some(first) = paths.first_mut() {
        *first = Some(file);
    }
    Some(paths)
}

/// Reads and parses the files of a certificate.
fn parse(file: &Path, files: Open, how: &Files) -> Result<Cert, String> {
    let mut parts = [const { None }; 5];
    for (part, open) in parts.iter_mut().zip(files) {
        let bytes = open.map(|open| read(open).map_err(|error| error.to_string())).transpose()?;
        *part = bytes.map(|bytes| Part { file: file.to_owned(), bytes, named: false });
    }
    let [pem, key, ocsp, issuer, sctl] = parts;
    let pem = pem.ok_or("it was not brought")?;
    let bytes = CrtBytes { pem, key, issuer, ocsp, sctl, ..CrtBytes::default() };
    let mut cert = certs::build(bytes, how).map_err(|error| error.fault.to_string())?;
    // selection is done by the index: the names are not needed any more
    (cert.names, cert.notes) = (Vec::new(), Vec::new());
    Ok(cert)
}

/// All of a file, from its beginning wherever others have read it to.
pub(super) fn read(open: OwnedFd) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::from(open);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if meta.len() > FILE_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut text = vec![0; meta.len() as usize];
    file.read_exact_at(&mut text, 0)?;
    Ok(text)
}

#[cfg(test)]
mod tests;

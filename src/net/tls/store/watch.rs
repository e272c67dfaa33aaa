//! Watched directories of certificates: what came, changed or went is found, looked at, and becomes a new version of the
//! index.
//!
//! Owned by the process with file rights, which waits for [`Watcher::as_fd`] and until [`Watcher::due`], and then calls
//! [`Watcher::turn`]. Names come from the system as things happen; besides, every file is looked at at the start and now and
//! then, a few in each turn, so that nothing waits long and nothing is missed for ever. What is found good is kept
//! ([`Spool`]) before it is used: a file that is no good any more costs nobody anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lighterman_sys::watch::{DirId, DirWatch, Seen};

use super::errand::{Notice, Weight};
use super::index::{path_of, Entry, Index};
use super::inspect::{Finding, Inspector};
use super::look::{is_side, list, mains, Walk};
use super::patch::{patch, Change};
use super::persist;
use super::spool::Spool;
use super::Store;
use crate::base::tick::{Now, Tick};
use crate::net::tls::certs::CertError;

/// Once nothing more happens for so long, what happened is looked at, milliseconds.
const QUIET_MS: u64 = 30;
/// It is looked at after this time in any case, milliseconds.
const PATIENCE_MS: u64 = 250;
/// A file that somebody writes is looked at again after so long, milliseconds: the system tells when it is complete, as a
/// rule.
const BUSY_MS: u64 = 250;
/// A file that is no good may be half of a change that is under way (a key and its certificate): it is told about when it
/// still is no good after so long, milliseconds.
const DOUBT_MS: u64 = 400;
/// An index is kept on the disk when nothing has changed in it for so long, milliseconds.
const SAVE_MS: u64 = 2000;
/// All files are looked at so often, milliseconds: for changes the system does not tell of, behind links for example.
const EVERY_MS: u64 = 60_000;
/// The same where the system tells nothing at all.
const POLL_MS: u64 = 1000;
/// Looking at everything takes at most one part of so many of the time.
const SHARE: u64 = 20;
/// Files looked at in one turn when all are.
const SLICE: usize = 256;
/// After a look at more files than this, memory is given back to the system.
const MANY: usize = 10_000;
/// Files that are told about one by one; the others are only counted.
const TOLD_MAX: usize = 20;

/// A directory.
struct Dir {
    path: PathBuf,
    place: u32,
    id: Option<DirId>,
    /// Certificates to which something has happened.
    touched: BTreeSet<Vec<u8>>,
    since: Option<Tick>,
    last: Tick,
    /// To be looked at again then.
    again: BTreeMap<Vec<u8>, Tick>,
    /// Those that are no good: what they looked like, and whether that was told.
    bad: HashMap<Vec<u8>, (u64, bool)>,
    /// All files are being looked at.
    pass: Option<Pass>,
    next_pass: Tick,
    unsaved: Option<Tick>,
    /// It cannot be read, which was told.
    lost: bool,
}

/// A look at all files of a directory.
struct Pass {
    names: Vec<Vec<u8>>,
    /// Some of them stand beside others.
    sides: bool,
    /// How far it is.
    at: usize,
    begun: Tick,
}

/// See the module.
pub struct Watcher {
    eyes: Option<DirWatch>,
    dirs: Vec<Dir>,
    spool: Arc<Spool>,
    notices: Vec<Notice>,
}

impl Watcher {
    /// Watches what the store says; `None`: nothing.
    pub fn new(store: &Store, now: Now) -> Option<Watcher> {
        if store.watched().is_empty() {
            return None;
        }
        let mut notices = Vec::new();
        let eyes = DirWatch::new();
        if let Err(error) = &eyes {
            let text =
                format!("changes of certificates are seen late, the system does not tell of them: {error}");
            notices.push(Notice { weight: Weight::Warning, times: 1, text });
        }
        let spool = store.spool().or_else(|| spool_for(store).map(Arc::new).ok())?;
        let mut watcher = Watcher { eyes: eyes.ok(), dirs: Vec::new(), spool, notices };
        watcher.adopt(store, now);
        Some(watcher)
    }

    /// Another configuration is in force: its directories are watched, in its store.
    pub fn adopt(&mut self, store: &Store, now: Now) {
        store.set_spool(Arc::clone(&self.spool));
        let mut before = std::mem::take(&mut self.dirs);
        for (place, path) in store.watched() {
            let known = before.iter().position(|dir| dir.path == path).map(|at| before.swap_remove(at));
            let mut dir = known.unwrap_or_else(|| Dir::new(path, now.tick));
            (dir.place, dir.pass, dir.next_pass) = (place, None, now.tick);
            self.dirs.push(dir);
        }
        if let Some(eyes) = &self.eyes {
            before.iter().filter_map(|dir| dir.id).for_each(|id| eyes.remove(id));
        }
        self.open_eyes();
    }

    /// Directories that are not watched yet, or not any more, are.
    fn open_eyes(&mut self) {
        let Some(eyes) = &self.eyes else { return };
        for dir in self.dirs.iter_mut().filter(|dir| dir.id.is_none()) {
            dir.id = eyes.add(&dir.path).ok();
        }
    }

    /// Readable when something has happened.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.eyes.as_ref().map(DirWatch::as_fd)
    }

    /// When [`Watcher::turn`] must be called again.
    pub fn due(&self) -> Option<Tick> {
        self.dirs.iter().map(Dir::due).min()
    }

    /// Does what is due; `pulse` is called now and then, so that whoever must do other things meanwhile can. What the
    /// operator should know.
    pub fn turn(&mut self, now: Now, store: &Store, pulse: &mut dyn FnMut()) -> Vec<Notice> {
        self.open_eyes();
        self.read_events(now.tick, store);
        for dir in &mut self.dirs {
            let mut work = Work { dir, store, spool: &self.spool, now, notices: &mut self.notices, pulse };
            work.turn(self.eyes.is_some());
        }
        std::mem::take(&mut self.notices)
    }

    fn read_events(&mut self, now: Tick, store: &Store) {
        while let Some(seen) = self.eyes.as_ref().and_then(|eyes| eyes.next().ok()).filter(|s| !s.is_empty())
        {
            for seen in seen {
                let dirs = &mut self.dirs;
                match seen {
                    Seen::Name(id, name) => {
                        if let Some(dir) = dirs.iter_mut().find(|dir| dir.id == Some(id)) {
                            dir.happened(&name, store, now);
                        }
                    }
                    Seen::Gone(id) => {
                        if let Some(dir) = dirs.iter_mut().find(|dir| dir.id == Some(id)) {
                            dir.id = None;
                            dir.look_anew(now);
                        }
                        // one that was moved is still told about
                        self.eyes.iter().for_each(|eyes| eyes.remove(id));
                    }
                    Seen::Lost => dirs.iter_mut().for_each(|dir| dir.look_anew(now)),
                }
            }
        }
    }

    /// Lets go of everything: this process has no business with files.
    pub fn close(&mut self) {
        (self.eyes, self.dirs) = (None, Vec::new());
        self.spool.close();
    }
}

/// Where last good bytes may be kept.
fn spool_places(store: &Store) -> Vec<PathBuf> {
    let dirs = store.watched();
    let dirs = dirs.iter().flat_map(|(_, dir)| [dir.parent().unwrap_or(dir).to_owned(), dir.clone()]);
    store.settings.index_dir.iter().cloned().chain(dirs).collect()
}

fn spool_for(store: &Store) -> std::io::Result<Spool> {
    let places = spool_places(store);
    Spool::new(&places.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

impl Dir {
    fn new(path: PathBuf, now: Tick) -> Dir {
        Dir {
            path,
            place: 0,
            id: None,
            touched: BTreeSet::new(),
            since: None,
            last: now,
            again: BTreeMap::new(),
            bad: HashMap::new(),
            pass: None,
            next_pass: now,
            unsaved: None,
            lost: false,
        }
    }

    fn due(&self) -> Tick {
        let pass = if self.pass.is_some() { Tick(0) } else { self.next_pass };
        let again = self.again.values().min().copied();
        [self.settles(), again, self.unsaved].into_iter().flatten().fold(pass, Tick::min)
    }

    /// When what has happened is looked at.
    fn settles(&self) -> Option<Tick> {
        self.since.map(|since| self.last.after(QUIET_MS).min(since.after(PATIENCE_MS)))
    }

    fn happened(&mut self, name: &[u8], store: &Store, now: Tick) {
        if name.starts_with(b".") {
            // names that are not looked at may be what others lead to: all files of a mounted secret change with one link
            if name.starts_with(b"..") {
                self.look_anew(now);
            }
            return;
        }
        for main in mains(name, store.settings.how.extras()) {
            self.again.remove(&main);
            self.touched.insert(main);
        }
        self.touch(now);
    }

    fn touch(&mut self, now: Tick) {
        self.since.get_or_insert(now);
        self.last = now;
    }

    /// All files are to be looked at, from the first.
    fn look_anew(&mut self, now: Tick) {
        (self.pass, self.next_pass) = (None, now);
    }
}

/// A directory at work, with all it works with.
struct Work<'w> {
    dir: &'w mut Dir,
    store: &'w Store,
    spool: &'w Spool,
    now: Now,
    notices: &'w mut Vec<Notice>,
    pulse: &'w mut dyn FnMut(),
}

impl Work<'_> {
    fn turn(&mut self, told: bool) {
        let now = self.now.tick;
        let again: Vec<Vec<u8>> =
            self.dir.again.iter().filter(|(_, due)| **due <= now).map(|(name, _)| name.clone()).collect();
        for name in again {
            self.dir.again.remove(&name);
            self.dir.touched.insert(name);
            // it has waited already
            self.dir.since.get_or_insert(Tick(now.0.saturating_sub(PATIENCE_MS)));
        }
        if self.dir.pass.is_none() && self.dir.next_pass <= now {
            self.begin_pass();
        }
        self.go_on(told);
        if self.dir.settles().is_some_and(|due| due <= now) {
            self.dir.since = None;
            self.settle();
        }
        if self.dir.unsaved.is_some_and(|due| due <= now) {
            self.dir.unsaved = None;
            self.save();
        }
    }

    fn tell(&mut self, weight: Weight, times: u32, text: String) {
        self.notices.push(Notice { weight, times, text });
    }

    fn begin_pass(&mut self) {
        self.dir.next_pass = self.now.tick.after(EVERY_MS);
        match list(&self.dir.path) {
            Ok(names) => {
                if std::mem::take(&mut self.dir.lost) {
                    self.tell(Weight::Info, 1, format!("{}: the directory is back", self.dir.path.display()));
                }
                let sides = names.iter().any(|name| is_side(name));
                self.dir.pass = Some(Pass { names, sides, at: 0, begun: self.now.tick });
            }
            Err(error) => {
                self.dir.next_pass = self.now.tick.after(POLL_MS);
                if !std::mem::replace(&mut self.dir.lost, true) {
                    let text = format!(
                        "{}: the directory cannot be read, its certificates stay as they were: {error}",
                        self.dir.path.display()
                    );
                    self.tell(Weight::Alarm, 1, text);
                }
            }
        }
    }

    /// Looks at some more files of a pass; finds only who is to be looked at closely.
    fn go_on(&mut self, told: bool) {
        let Some(mut pass) = self.dir.pass.take() else { return };
        let Some((index, _)) = self.store.index(self.dir.place) else { return };
        let (how, dir) = (Arc::clone(&self.store.settings.how), self.dir.path.clone());
        let end = pass.names.len().min(pass.at + SLICE);
        let slice = pass.names.get(pass.at..end).unwrap_or_default();
        if let Ok(walk) = Walk::over(&dir, &how, &pass.names, pass.sides) {
            for name in slice.iter().filter(|name| !is_side(name)) {
                let known = index.entry_named(name).map(|(_, entry)| entry);
                if !self.is_as_known(&walk, name, known.as_ref()) {
                    self.dir.touched.insert(name.clone());
                }
            }
        }
        if end < pass.names.len() {
            pass.at = end;
            self.dir.pass = Some(pass);
            return;
        }
        for (_, entry) in index.entries() {
            let name = index.file_text(&entry);
            if pass.names.binary_search_by(|known| known.as_slice().cmp(name)).is_err() {
                self.dir.touched.insert(name.to_vec());
            }
        }
        if !self.dir.touched.is_empty() {
            self.dir.since.get_or_insert(self.now.tick);
        }
        if pass.names.len() > MANY {
            drop(pass.names);
            lighterman_sys::cred::trim_heap();
        }
        let every = if told && self.dir.id.is_some() { EVERY_MS } else { POLL_MS };
        let took = self.now.tick.since(pass.begun);
        self.dir.next_pass = self.now.tick.after(every.max(took * SHARE));
    }

    fn is_as_known(&self, walk: &Walk<'_>, name: &[u8], known: Option<&Entry>) -> bool {
        match walk.look(name) {
            Ok(Some(seen)) => match known {
                Some(entry) if entry.mark == seen.mark => {
                    let kept = self.spool.has(entry.stamp) || self.spool.is_full();
                    kept || matches!(self.inspector(walk).inspect(name, known), Finding::Same)
                }
                _ => self.dir.bad.get(name).is_some_and(|(mark, _)| *mark == seen.mark),
            },
            Ok(None) => known.is_none(),
            Err(_) => self.dir.bad.contains_key(name),
        }
    }

    fn inspector<'i>(&'i self, walk: &'i Walk<'i>) -> Inspector<'i> {
        let now_s = self.now.wall_us / 1_000_000;
        Inspector { walk, how: &self.store.settings.how, spool: self.spool, now_s }
    }

    /// Looks at everything to which something has happened, and makes a new index of it.
    fn settle(&mut self) {
        let touched = std::mem::take(&mut self.dir.touched);
        let Some((index, version)) = self.store.index(self.dir.place) else { return };
        let (how, dir) = (Arc::clone(&self.store.settings.how), self.dir.path.clone());
        let Ok(walk) = Walk::among(&dir, &how) else {
            // the next pass tells
            return self.dir.look_anew(self.now.tick);
        };
        let mut found = Changes::default();
        for (done, name) in touched.into_iter().enumerate() {
            if done % 32 == 31 {
                (self.pulse)();
            }
            let known = index.entry_named(&name).map(|(_, entry)| entry);
            let finding = self.inspector(&walk).inspect(&name, known.as_ref());
            self.take(name, known.as_ref(), finding, &mut found);
        }
        self.tell_bad(&dir, &found.bad);
        if !found.changes.is_empty() {
            self.put_in_force(&index, version, found);
        }
    }

    /// Takes note of what was found about a file.
    fn take(&mut self, name: Vec<u8>, known: Option<&Entry>, finding: Finding, found: &mut Changes) {
        let now = self.now.tick;
        match finding {
            Finding::Same => {
                self.dir.bad.remove(&name);
            }
            Finding::Busy => {
                self.dir.again.insert(name, now.after(BUSY_MS));
            }
            Finding::Gone => {
                self.dir.bad.remove(&name);
                if let Some(entry) = known {
                    found.removed += 1;
                    self.spool.drop_one(entry.stamp);
                    found.changes.insert(name, Change::Gone);
                }
            }
            Finding::Good(facts, outline) => {
                self.dir.bad.remove(&name);
                match known {
                    None => found.added += 1,
                    Some(entry) if entry.stamp != facts.stamp => {
                        found.replaced += 1;
                        self.spool.drop_one(entry.stamp);
                    }
                    Some(_) => {}
                }
                found.bad.extend(outline.notes.into_iter().map(|note| (note, Kept::Yes)));
                found.changes.insert(name, Change::Is(facts, outline.names));
            }
            Finding::Unkept(facts, outline, error) => {
                let text = format!("{}: no copy can be kept: {error}", self.dir.path.display());
                self.tell(Weight::Warning, 1, text);
                self.take(name, known, Finding::Good(facts, outline), found);
            }
            Finding::Bad(mark, error) => match self.dir.bad.get(&name) {
                Some((before, true)) if *before == mark => {}
                Some((before, false)) if *before == mark => {
                    let kept = if known.is_some() { Kept::AsItWas } else { Kept::No };
                    self.dir.bad.insert(name, (mark, true));
                    found.bad.push((error, kept));
                }
                _ => {
                    self.dir.again.insert(name.clone(), now.after(DOUBT_MS));
                    self.dir.bad.insert(name, (mark, false));
                }
            },
        }
    }

    fn tell_bad(&mut self, dir: &Path, bad: &[(CertError, Kept)]) {
        for (error, kept) in bad.iter().take(TOLD_MAX) {
            let end = match kept {
                Kept::Yes => "",
                Kept::AsItWas => "; the certificate stays as it was",
                Kept::No => "; it is not used",
            };
            self.tell(Weight::Alarm, 1, format!("{error}{end}"));
        }
        if let Some(more) = bad.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            let text = format!("{}: {more} more files are no good", dir.display());
            self.tell(Weight::Alarm, more as u32, text);
        }
    }

    fn put_in_force(&mut self, old: &Index, version: u32, found: Changes) {
        let Changes { changes, added, replaced, removed, .. } = found;
        let dir = self.dir.path.display().to_string();
        let index = match patch(old, &changes) {
            Ok((index, full)) => {
                let full = full.iter().map(|name| self.dir.path.join(path_of(name)));
                let text = |file: PathBuf| format!("{}: no room for it in the index", file.display());
                let full: Vec<String> = full.map(text).collect();
                full.into_iter().for_each(|text| self.tell(Weight::Alarm, 1, text));
                index
            }
            Err(error) => {
                let text =
                    format!("{dir}: changed certificates are not in use, no memory for an index: {error}");
                self.tell(Weight::Alarm, 1, text);
                return self.dir.next_pass = self.now.tick.after(POLL_MS);
            }
        };
        let left = index.len();
        // nobody waits in the process that has the files
        self.store.replace(self.dir.place, Arc::new(index), version.wrapping_add(1));
        self.dir.unsaved = Some(self.now.tick.after(SAVE_MS));
        if left as usize > MANY {
            lighterman_sys::cred::trim_heap();
        }
        if added + replaced + removed > 0 {
            let text =
                format!("{dir}: {added} new, {replaced} replaced, {removed} removed; {left} certificates");
            self.tell(Weight::Info, 1, text);
        }
        let places = spool_places(self.store);
        let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
        let live = || -> HashSet<u64> {
            let indexes = self.store.indexes();
            indexes.iter().flat_map(|index| index.entries().map(|(_, entry)| entry.stamp)).collect()
        };
        if let Err(error) = self.spool.tidy(&places, live) {
            let text = format!("{}: copies of certificates take more room: {error}", self.dir.path.display());
            self.tell(Weight::Warning, 1, text);
        }
    }

    fn save(&mut self) {
        let Some((index, _)) = self.store.index(self.dir.place) else { return };
        let index_dir = self.store.settings.index_dir.as_deref();
        if persist::is_worth_it(&index, index_dir) {
            // that it cannot be kept was told at the start; the next one reads again what has changed
            let _ = persist::save(&persist::place(&self.dir.path, index_dir), &index);
        }
    }
}

/// What has become of a certificate whose file is no good, or whose file has a fault.
enum Kept {
    /// It is used.
    Yes,
    /// As it was last good.
    AsItWas,
    /// There never was a good one.
    No,
}

/// What was found.
#[derive(Default)]
struct Changes {
    changes: BTreeMap<Vec<u8>, Change>,
    bad: Vec<(CertError, Kept)>,
    added: u32,
    replaced: u32,
    removed: u32,
}

#[cfg(test)]
mod tests;

//! Maps and ACL files while traffic flows: [`LiveMaps`] is one process's copy, changed by commands and rules
//! of any process through a log in shared memory.
//!
//! The worker owns it and obeys the log at the beginning of every turn, so that a change that was
//! acknowledged holds for every request that comes later, whichever worker takes it. A change is tried on the
//! copy of the process that makes it, under the log's lock and after all earlier ones: what reaches the log
//! is right, and every other process does the same to its copy in the same order.

use super::map::{MapFile, Maps};
use crate::base::tick::Tick;
use crate::shm::changelog::{ChangeLog, Place, Refusal};

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is done to a file. `number` is an entry or a version where one is due.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $name,)* }

        impl Op {
            const ALL: &'static [Op] = &[$(Op::$name,)*];
        }
    };
}

ops! {
    /// An entry more, to the version in force (`number` 0) or one that is being prepared.
    Add,
    /// An entry more, unless the key is there.
    AddNew,
    /// Another value for a key that is there.
    Set,
    /// Another value for a key, or an entry more.
    Put,
    /// No entries with this key.
    Del,
    /// Not this entry.
    DelEntry,
    /// Another value for this entry.
    SetEntry,
    /// No entries in the version in force.
    Clear,
    /// No entries in a version that is being prepared.
    ClearVersion,
    /// A new version.
    Prepare,
    /// This version is in force.
    Commit,
    /// Of a digest: the file begins anew.
    Restore,
    /// Of a digest: an entry.
    RestoreEntry,
    /// Of a digest: an entry that is not in force.
    RestorePending,
}

/// One change of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// Which file.
    pub map: u32,
    /// What is done.
    pub op: Op,
    /// Entry or version.
    pub number: u32,
    /// The pattern.
    pub key: &'a str,
    /// What it maps to.
    pub value: &'a str,
}

impl<'a> Change<'a> {
    /// A change of a file as a whole.
    pub fn new(map: u32, op: Op) -> Change<'a> {
        Change { map, op, number: 0, key: "", value: "" }
    }

    /// Of an entry or a version.
    pub fn number(self, number: u32) -> Change<'a> {
        Change { number, ..self }
    }

    /// With a key and a value.
    pub fn pair(self, key: &'a str, value: &'a str) -> Change<'a> {
        Change { key, value, ..self }
    }

    /// Bytes for the log.
    fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(self.op as u8);
        out.extend_from_slice(&self.map.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&(self.key.len() as u32).to_le_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(self.value.as_bytes());
    }

    /// Bytes from the log; `None`: they make no sense.
    fn read(bytes: &'a [u8]) -> Option<Change<'a>> {
        let (op, rest) = bytes.split_first()?;
        let (map, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (key_len, rest) = rest.split_first_chunk()?;
        let (key, value) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
        Some(Change {
            op: *Op::ALL.get(usize::from(*op))?,
            map: u32::from_le_bytes(*map),
            number: u32::from_le_bytes(*number),
            key: std::str::from_utf8(key).ok()?,
            value: std::str::from_utf8(value).ok()?,
        })
    }
}

/// A change that a rule asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Which file.
    pub map: u32,
    /// What is done.
    pub op: Op,
    /// The pattern.
    pub key: String,
    /// What it maps to.
    pub value: String,
}

impl Order {
    /// The change.
    pub fn change(&self) -> Change<'_> {
        Change::new(self.map, self.op).pair(&self.key, &self.value)
    }
}

/// Does it. `Ok(false)`: what it is about is not there, nothing was changed.
fn apply(maps: &mut Maps, change: &Change<'_>) -> Result<bool, String> {
    let Some(file) = maps.get_mut(change.map) else { return Ok(false) };
    let Change { number, key, value, .. } = *change;
    let in_force = file.versions().0;
    match change.op {
        Op::Add if number == in_force || number == 0 => file.add(key, value)?,
        Op::Add => file.add_to(number, key, value)?,
        Op::AddNew if file.has(key) => return Ok(false),
        Op::AddNew => file.add(key, value)?,
        Op::Set => return Ok(file.set(key, value)),
        Op::Put if file.set(key, value) => {}
        Op::Put => file.add(key, value)?,
        Op::Del => return Ok(file.del(key)),
        Op::DelEntry => return Ok(file.del_id(number)),
        Op::SetEntry => return Ok(file.set_id(number, value)),
        Op::Clear => file.clear(),
        Op::ClearVersion => file.clear_version(number),
        Op::Prepare => drop(file.prepare()),
        Op::Commit => return Ok(file.commit(number)),
        Op::Restore => {
            let numbers: Option<Vec<u32>> = value.split(' ').map(|n| n.parse().ok()).collect();
            let numbers = numbers.and_then(|list| <[u32; 3]>::try_from(list).ok());
            file.restore(numbers.ok_or("a digest that makes no sense")?);
        }
        Op::RestoreEntry => file.restore_entry(number, key, value),
        Op::RestorePending => file.restore_pending(number, key, value),
    }
    Ok(true)
}

/// The copy of one process.
pub struct LiveMaps {
    maps: Maps,
    log: Option<ChangeLog>,
    place: Place,
    /// Files that were ever changed, by number.
    changed: Vec<bool>,
    /// Records written since sleepers were last told.
    untold: usize,
    /// Entries added and taken away by changes made here.
    moved: (u64, u64),
    /// Changes refused since that was last logged, and when it was.
    refused: (u64, Option<Tick>),
}

impl LiveMaps {
    /// A copy of what the configuration has read; `log` is `None` where nobody else is to hear of changes.
    pub fn new(maps: &Maps, log: Option<ChangeLog>) -> LiveMaps {
        let changed = maps.iter().map(|_| false).collect();
        let (moved, refused) = ((0, 0), (0, None));
        LiveMaps { maps: maps.clone(), log, place: Place::default(), changed, untold: 0, moved, refused }
    }

    /// What is in force.
    #[inline]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Does what other processes did since the last time.
    #[inline]
    pub fn obey(&mut self) {
        if self.log.as_ref().is_some_and(|log| log.has_news(&self.place)) {
            self.catch_up();
        }
    }

    fn catch_up(&mut self) {
        let LiveMaps { maps, log: Some(log), place, changed, .. } = self else { return };
        log.read(place, |record| {
            if let Some(change) = Change::read(record) {
                // What the writer's copy took, this one takes too.
                let _ = apply(maps, &change);
                mark(changed, change.map);
            }
        });
    }

    /// Entries added and taken away by changes made here since it was last asked.
    pub fn moved(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.moved)
    }

    /// What the log should be told of a rule's change that was refused; `None`: it was told a short while ago.
    pub fn complaint(&mut self, order: &Order, why: &str, now: Tick) -> Option<String> {
        self.refused.0 += 1;
        if self.refused.1.is_some_and(|last| now < last.after(COMPLAIN_MS)) {
            return None;
        }
        let name = self.maps.get(order.map).map_or("", |file| &file.name);
        let others = match std::mem::take(&mut self.refused.0) - 1 {
            0 => String::new(),
            n => format!(" ({n} more since it was last told)"),
        };
        self.refused.1 = Some(now);
        Some(format!("a rule could not change \"{name}\": {why}{others}"))
    }

    /// Makes a change in force in all processes. `Ok(false)`: there is nothing of that name. The error is
    /// for people: the key is no pattern, or there is no room.
    pub fn change(&mut self, change: &Change<'_>) -> Result<bool, String> {
        let LiveMaps { maps, log, place, changed, untold, moved, .. } = self;
        let Some(log) = log else { return apply_counted(maps, change, moved) };
        let mut record = Vec::with_capacity(16 + change.key.len() + change.value.len());
        change.write(&mut record);
        let mut pen = log.write().map_err(explain)?;
        log.read(place, |bytes| {
            if let Some(change) = Change::read(bytes) {
                let _ = apply(maps, &change);
                mark(changed, change.map);
            }
        });
        let room = room(log, maps, changed);
        if record.len() + SLACK > room && grows_beyond(change, maps, room) {
            return Err(explain(Refusal::Full));
        }
        let mut fits = pen.fits(record.len());
        if !fits {
            fits = pen.restart(place, |put| digest(maps, changed, put)) && pen.fits(record.len());
        }
        if !fits {
            return Err(explain(Refusal::Full));
        }
        if !apply_counted(maps, change, moved)? {
            return Ok(false);
        }
        mark(changed, change.map);
        *untold += 1;
        pen.append(&record, place).map_err(explain)?;
        Ok(true)
    }

    /// So much was written that processes that sleep should be woken, lest they have it all to do later.
    pub fn wants_telling(&mut self) -> bool {
        let many = self.untold >= TELL_AFTER;
        if many {
            self.untold = 0;
        }
        many
    }
}

/// Bytes by which the files that were changed may still grow. A digest of all of them leaves a quarter of a half free:
/// so many records pay for the work of writing it.
fn room(log: &ChangeLog, maps: &Maps, changed: &[bool]) -> usize {
    let files = maps.iter().zip(changed).filter(|(_, changed)| **changed);
    let bytes: usize = files.map(|(file, _)| file.bytes() + SLACK).sum();
    (log.half_bytes() / 4 * 3).saturating_sub(bytes)
}

/// There is not so much room for what the change adds. What takes away or replaces is always possible.
fn grows_beyond(change: &Change<'_>, maps: &Maps, room: usize) -> bool {
    let Some(file) = maps.get(change.map) else { return false };
    let growth = match change.op {
        Op::AddNew if file.has(change.key) => 0,
        Op::Add | Op::AddNew => isize::MAX,
        Op::Put | Op::Set => file.growth(change.key, change.value),
        Op::SetEntry => change.value.len() as isize,
        _ => 0,
    };
    growth > 0 && growth.unsigned_abs() > room.saturating_sub(SLACK)
}

/// As [`apply`], and counts entries that came and went.
fn apply_counted(maps: &mut Maps, change: &Change<'_>, moved: &mut (u64, u64)) -> Result<bool, String> {
    let entries = |maps: &Maps| maps.get(change.map).map_or(0, MapFile::len) as u64;
    let before = entries(maps);
    let done = apply(maps, change)?;
    let after = entries(maps);
    let (added, freed) = match change.op {
        Op::Commit if done => (after, before),
        _ => (after.saturating_sub(before), before.saturating_sub(after)),
    };
    *moved = (moved.0 + added, moved.1 + freed);
    Ok(done)
}

fn mark(changed: &mut [bool], map: u32) {
    if let Some(flag) = changed.get_mut(map as usize) {
        *flag = true;
    }
}

/// Records that make a file that was just read what it is here, for all that were ever changed.
fn digest(maps: &Maps, changed: &[bool], put: &mut dyn FnMut(&[u8]) -> bool) {
    let mut record = Vec::new();
    let mut put = |change: Change<'_>| {
        change.write(&mut record);
        put(&record)
    };
    for (map, file) in (0..).zip(maps.iter()).filter(|(map, _)| changed.get(*map as usize) == Some(&true)) {
        if !digest_file(map, file, &mut put) {
            return;
        }
    }
}

fn digest_file(map: u32, file: &MapFile, put: &mut dyn FnMut(Change<'_>) -> bool) -> bool {
    let ([next, generation, last], mut entries, pending) = file.state();
    let numbers = format!("{next} {generation} {last}");
    put(Change::new(map, Op::Restore).pair("", &numbers))
        && entries.all(|(id, e)| put(Change::new(map, Op::RestoreEntry).number(id).pair(&e.key, &e.value)))
        && pending
            .iter()
            .all(|(of, e)| put(Change::new(map, Op::RestorePending).number(*of).pair(&e.key, &e.value)))
}

fn explain(why: Refusal) -> String {
    match why {
        Refusal::Busy => {
            "Another process is changing maps and does not come to an end, try again.".to_owned()
        }
        Refusal::Full => "There is no room for more changes of maps.".to_owned(),
    }
}

/// Words of shared memory for the log of these files: room for several times what they hold now.
pub fn log_words(maps: &Maps) -> usize {
    if maps.iter().next().is_none() {
        return 0;
    }
    let bytes: usize =
        maps.iter().flat_map(|file| file.iter()).map(|(_, e)| e.key.len() + e.value.len() + 40).sum();
    ChangeLog::words_needed(LOG_BASE + 4 * bytes)
}

/// Bytes of a half of the log in any case. Pages that are never written are never real.
const LOG_BASE: usize = 32 << 20;
/// Bytes that a change or a file costs beside its entries, at most.
const SLACK: usize = 128;
/// How often the log is told of changes that were refused.
const COMPLAIN_MS: u64 = 10_000;
/// Records after which sleeping processes are woken.
const TELL_AFTER: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::map::MapUse;
    use crate::expr::pattern::Match;
    use crate::expr::sample::Sample;
    use lighterman_sys::map::Region;

    fn files() -> (Maps, MapUse) {
        let mut maps = Maps::default();
        maps.push(MapFile::read("untouched", b"u u\n", true).unwrap());
        let map = maps.push(MapFile::read("m", b"a 1\nb 2\n", true).unwrap());
        let by = maps.use_as(map, Match::Str, false).unwrap();
        (maps, by)
    }

    fn crew(half_bytes: usize) -> (Vec<LiveMaps>, MapUse, impl Fn() -> LiveMaps) {
        let (maps, by) = files();
        let region = Region::alone(ChangeLog::words_needed(half_bytes)).unwrap();
        let hire = move || LiveMaps::new(&maps, ChangeLog::attach(&region));
        ((0..3).map(|_| hire()).collect(), by, hire)
    }

    fn value(live: &mut LiveMaps, by: MapUse, key: &str) -> Option<String> {
        live.obey();
        live.maps().lookup(by, &Sample::text(key)).map(|(_, e)| e.value.to_string())
    }

    #[test]
    fn what_one_changes_holds_for_all() {
        let (mut crew, by, hire) = crew(4096);
        let on = |op| Change::new(by.map, op);
        assert_eq!(crew[0].change(&on(Op::Add).pair("c", "3")), Ok(true));
        assert_eq!(crew[1].change(&on(Op::Set).pair("c", "4")), Ok(true));
        assert_eq!(crew[1].change(&on(Op::Set).pair("z", "4")), Ok(false));
        assert_eq!(crew[2].change(&on(Op::Put).pair("z", "26")), Ok(true));
        assert_eq!(crew[2].change(&on(Op::AddNew).pair("z", "27")), Ok(false));
        assert_eq!(crew[0].change(&on(Op::Del).pair("a", "")), Ok(true));
        crew.push(hire());
        for live in &mut crew {
            let all = ["a", "b", "c", "z"].map(|key| value(live, by, key).unwrap_or_default());
            assert_eq!(all, ["", "2", "4", "26"]);
        }
    }

    #[test]
    fn versions_come_in_force_everywhere_at_once() {
        let (mut crew, by, hire) = crew(4096);
        let on = |op| Change::new(by.map, op);
        crew[0].change(&on(Op::Prepare)).unwrap();
        crew[1].change(&on(Op::Add).number(1).pair("n", "new")).unwrap();
        assert_eq!(value(&mut crew[2], by, "n"), None);
        let mut late = hire();
        assert_eq!(crew[0].change(&on(Op::Commit).number(1)), Ok(true));
        crew.push(hire());
        for live in crew.iter_mut().chain([&mut late]) {
            assert_eq!((value(live, by, "n").as_deref(), value(live, by, "a")), (Some("new"), None));
            assert_eq!(live.maps().get(by.map).unwrap().versions(), (1, 1));
        }
    }

    #[test]
    fn a_full_log_begins_anew_and_latecomers_know_all() {
        let (mut crew, by, hire) = crew(2048);
        let on = |op| Change::new(by.map, op);
        crew[0].change(&on(Op::Prepare)).unwrap();
        crew[0].change(&on(Op::Add).number(1).pair("p", "prepared")).unwrap();
        for n in 0..1000 {
            let writer = &mut crew[n % 2];
            assert_eq!(writer.change(&on(Op::Put).pair("k", &n.to_string())), Ok(true));
        }
        crew.push(hire());
        for live in &mut crew {
            assert_eq!(value(live, by, "k").as_deref(), Some("999"));
            let ids: Vec<_> = live.maps().get(by.map).unwrap().iter().map(|(id, _)| id).collect();
            assert_eq!(ids, [0, 1, 2], "the same numbers everywhere");
        }
        crew[3].change(&on(Op::Commit).number(1)).unwrap();
        assert_eq!(value(&mut crew[2], by, "p").as_deref(), Some("prepared"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (mut crew, by, hire) = crew(4096);
        let add = |live: &mut LiveMaps, key: &str| live.change(&Change::new(by.map, Op::Add).pair(key, "v"));
        let taken = (0..200).take_while(|n| add(&mut crew[0], &format!("key {n}")).is_ok()).count();
        assert!(taken > 20 && taken < 100, "{taken}");
        let mut late = hire();
        assert_eq!(value(&mut late, by, &format!("key {}", taken - 1)).as_deref(), Some("v"));
        assert_eq!(value(&mut late, by, &format!("key {taken}")), None);
        assert_eq!(value(&mut crew[0], by, &format!("key {taken}")), None);
        // what replaces or takes away is possible all the same, as often as one likes
        let on = |op| Change::new(by.map, op);
        for n in 0..500 {
            let n = n % taken;
            assert_eq!(crew[1].change(&on(Op::Put).pair(&format!("key {n}"), "w")), Ok(true));
        }
        assert!(crew[1].change(&on(Op::Put).pair("key 1", &"long".repeat(100))).is_err());
        assert_eq!(crew[0].change(&on(Op::AddNew).pair("key 1", "")), Ok(false));
        for n in 0..9 {
            assert_eq!(crew[0].change(&on(Op::Del).pair(&format!("key {n}"), "")), Ok(true));
        }
        assert_eq!(crew[2].change(&on(Op::Put).pair("another", "w")), Ok(true));
        assert_eq!(value(&mut late, by, "another").as_deref(), Some("w"));
    }

    #[test]
    fn records_that_make_no_sense_are_left_out() {
        let mut bytes = Vec::new();
        let change = Change::new(3, Op::Set).number(7).pair("key", "value");
        change.write(&mut bytes);
        assert_eq!(Change::read(&bytes), Some(change));
        for len in 0..13 {
            assert_eq!(Change::read(&bytes[..len]), None);
        }
        bytes[0] = 99;
        assert_eq!(Change::read(&bytes), None);
    }
}

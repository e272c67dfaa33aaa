//! Operations on a table and on a list in plain memory that does the same: both must say the same after each. For the
//! fuzzer, and for the tests that replay its seeds.

use super::{Data, Held, KeyType, Spec, Store, Table, Tables};

/// Milliseconds an entry lives.
const LIFE: u32 = 100;
/// Entries that a purge or a search for room looks at, as in [`super::expire`].
const STEP: usize = 64;

/// What is known of a key.
#[derive(Clone, Debug)]
struct Known {
    key: u32,
    gpc: u64,
    bytes: u64,
    until: u64,
}

/// The table as a list, the longest untouched entry first.
struct Model {
    size: usize,
    nopurge: bool,
    list: Vec<Known>,
    /// Who holds what: process, key, handle.
    held: Vec<(u32, u32, Held)>,
    now: u64,
}

impl Model {
    fn uses(&self, key: u32) -> u64 {
        self.held.iter().filter(|(_, k, _)| *k == key).count() as u64
    }

    fn at(&self, key: u32) -> Option<usize> {
        self.list.iter().position(|known| known.key == key)
    }

    /// As a search does it: what is too old and not in use goes.
    fn find(&mut self, key: u32) -> Option<usize> {
        let at = self.at(key)?;
        if self.list[at].until <= self.now && self.uses(key) == 0 {
            self.list.remove(at);
            return None;
        }
        Some(at)
    }

    fn touch(&mut self, at: usize) -> usize {
        let mut known = self.list.remove(at);
        known.until = self.now + u64::from(LIFE);
        self.list.push(known);
        self.list.len() - 1
    }

    fn find_or_add(&mut self, key: u32) -> Option<usize> {
        if let Some(at) = self.find(key) {
            return Some(self.touch(at));
        }
        if self.list.len() >= self.size && !self.make_room() {
            return None;
        }
        self.list.push(Known { key, gpc: 0, bytes: 0, until: self.now + u64::from(LIFE) });
        Some(self.list.len() - 1)
    }

    fn make_room(&mut self) -> bool {
        for _ in 0..STEP {
            let Some(oldest) = self.list.first() else { return false };
            if self.uses(oldest.key) > 0 {
                self.list.rotate_left(1);
            } else if self.nopurge && oldest.until > self.now {
                return false;
            } else {
                self.list.remove(0);
                return true;
            }
        }
        false
    }

    fn purge(&mut self) {
        for _ in 0..STEP {
            let Some(oldest) = self.list.first() else { return };
            if oldest.until > self.now {
                return;
            }
            if self.uses(oldest.key) > 0 {
                self.touch(0);
            } else {
                self.list.remove(0);
            }
        }
    }

    fn sweep(&mut self, gone: impl Fn(&Known) -> bool) {
        let (now, list) = (self.now, std::mem::take(&mut self.list));
        for mut known in list {
            if known.until > now && gone(&known) {
                if self.uses(known.key) == 0 {
                    continue;
                }
                (known.gpc, known.bytes) = (0, 0);
            }
            self.list.push(known);
        }
    }
}

/// The first byte says what kind of table it is, each pair behind it is an operation and a key.
pub fn fuzz_stick_ops(data: &[u8]) {
    let (kind, ops) = data.split_first().unwrap_or((&0, &[]));
    let size = [3, 16, 300][usize::from(kind % 3)];
    let store = |data| Store { data, count: 1, period: 1000 };
    let spec = Spec {
        expire: Some(LIFE),
        nopurge: kind & 0x80 != 0,
        stores: [Data::Gpc0, Data::ConnCur, Data::BytesInCnt].map(store).to_vec(),
        ..Spec::new("fuzz", KeyType::Int, 4, size)
    };
    let Ok(mut all) = Tables::new(std::slice::from_ref(&spec), 3) else { return };
    let mut model =
        Model { size: size as usize, nopurge: spec.nopurge, list: Vec::new(), held: Vec::new(), now: 1000 };
    for op in ops.chunks_exact(2) {
        let (op, key) = (op[0] % 13, u32::from(op[1]));
        if op == 12 && model.held.is_empty() {
            reload(&mut all, &mut model);
        } else if let Some(table) = all.get(0) {
            step(op, key, &all, table, &mut model);
        }
        compare(&all, key, &mut model);
    }
    for (slot, _, held) in std::mem::take(&mut model.held) {
        all.release(held, slot, model.now);
    }
    (0..20).for_each(|_| all.tend(1, model.now + u64::from(LIFE)));
    assert_eq!(all.get(0).map(Table::used), Some(0), "everything ends");
}

fn step(op: u8, key: u32, all: &Tables, table: &Table, model: &mut Model) {
    let (name, now) = (key.to_be_bytes(), model.now);
    match op {
        0 | 1 => {
            let done = table.update(&name, now, |e| e.add(Data::Gpc0, 0, 1, now));
            let at = model.find_or_add(key);
            assert_eq!(done.is_some(), at.is_some(), "room for {key}");
            at.into_iter().for_each(|at| model.list[at].gpc += 1);
        }
        2 => {
            table.update(&name, now, |e| e.add(Data::BytesInCnt, 0, 1 << 33, now));
            model.find_or_add(key).into_iter().for_each(|at| model.list[at].bytes += 1 << 33);
        }
        3 => {
            table.update(&name, now, |e| e.set(Data::Gpc0, 0, key.into(), now));
            model.find_or_add(key).into_iter().for_each(|at| model.list[at].gpc = key.into());
        }
        4 | 5 => {
            let slot = u32::from(op) - 3;
            let held = table.hold(&name, true, slot, now);
            assert_eq!(held.is_some(), model.find_or_add(key).is_some(), "room to hold {key}");
            model.held.extend(held.map(|held| (slot, key, held)));
        }
        6 => {
            let nth = key as usize % model.held.len().max(1);
            if nth < model.held.len() {
                let (slot, key, held) = model.held.remove(nth);
                all.release(held, slot, now);
                let at = model.at(key);
                if let Some(at) = at {
                    model.touch(at);
                }
            }
        }
        7 => {
            let gone = table.remove(&name, now);
            let known = model.find(key);
            assert_eq!(gone, known.map(|_| model.uses(key) == 0), "removing {key}");
            if let Some(at) = known.filter(|_| gone == Some(true)) {
                model.list.remove(at);
            }
        }
        8 => {
            all.bury(2);
            model.held.retain(|(slot, ..)| *slot != 2);
        }
        9 => {
            let few = u64::from(key % 8);
            table.sweep(now, |e| e.get(Data::Gpc0, 0, now) == Some(few));
            model.sweep(|known| known.gpc == few);
        }
        10 => {
            table.purge(now);
            model.purge();
        }
        _ => model.now += u64::from(key) / 4,
    }
}

/// The same table under another configuration, with more room: entries go along.
fn reload(all: &mut Tables, model: &mut Model) {
    let Some(mut spec) = all.get(0).map(|table| table.spec().clone()) else { return };
    if spec.size > 3000 {
        return;
    }
    spec.size += 1;
    let Ok((new, _)) = all.renew(&[spec], 3, model.now) else { return };
    *all = new;
    model.size += 1;
    let (now, until) = (model.now, model.now + u64::from(LIFE));
    model.list.retain(|known| known.until > now);
    model.list.iter_mut().for_each(|known| known.until = until);
}

fn compare(all: &Tables, key: u32, model: &mut Model) {
    let Some(table) = all.get(0) else { return };
    let now = model.now;
    let seen = table.find(&key.to_be_bytes(), now, |e| {
        let values = [Data::Gpc0, Data::BytesInCnt, Data::ConnCur].map(|data| e.get(data, 0, now));
        (values, e.holders())
    });
    let want = model.find(key).map(|at| {
        let (known, uses) = (&model.list[at], model.uses(key));
        ([Some(known.gpc), Some(known.bytes), Some(uses)], uses as u32)
    });
    assert_eq!(seen, want, "key {key} at {now}");
    assert_eq!(table.used(), model.list.len() as u64, "entries at {now}");
}

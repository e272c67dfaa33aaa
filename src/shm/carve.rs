//! From plain numbers to one mapping to typed regions. Done by the master before it forks; whoever else
//! gets the mapping cuts it the same way after checking its header.

use std::io;
use std::mem::{align_of, size_of};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::Arc;

use lighterman_sys::map::{Mapping, Plain, Region};

use super::layout::{
    fingerprint, CounterLine, GlobalCell, Header, ObjectCell, ProcessCell, ServerCell, MAGIC, VERSION,
};

/// What the memory must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Objects of the configuration, with room for those of later ones.
    pub rows: usize,
    /// Processes at once, old generations included.
    pub slots: usize,
}

/// The regions of the memory.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What the rest looks like.
    pub header: Region<Header>,
    /// Limits and gauges of the whole program.
    pub global: Region<GlobalCell>,
    /// By slot; one more at the end holds what was set back.
    pub processes: Region<ProcessCell>,
    /// By row.
    pub objects: Region<ObjectCell>,
    /// By row.
    pub servers: Region<ServerCell>,
    /// By slot, then row: each on pages of its own, which cost nothing until they are written.
    pub lines: Vec<Region<CounterLine>>,
    /// By row: what readers subtract.
    pub base: Region<CounterLine>,
}

/// The memory was made by a program with other structures: it starts afresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale;

const PAGE: usize = 4096;

/// Cuts regions one after the other; without a mapping it only measures.
struct Knife<'m> {
    mapping: Option<&'m Arc<Mapping>>,
    at: usize,
}

impl Knife<'_> {
    fn cut<T: Plain>(&mut self, count: usize, align: usize) -> Option<Region<T>> {
        self.at = self.at.next_multiple_of(align.max(align_of::<T>()));
        let region = self.mapping.and_then(|mapping| mapping.region(self.at, count));
        self.at += count * size_of::<T>();
        region
    }

    fn parts(&mut self, sizes: Sizes) -> Option<Parts> {
        let header = self.cut(1, PAGE);
        let global = self.cut(1, 64);
        let processes = self.cut(sizes.slots + 1, 64);
        let objects = self.cut(sizes.rows, PAGE);
        let servers = self.cut(sizes.rows, 64);
        let base = self.cut(sizes.rows, 64);
        let lines: Vec<_> = (0..sizes.slots).map(|_| self.cut(sizes.rows, PAGE)).collect();
        Some(Parts {
            header: header?,
            global: global?,
            processes: processes?,
            objects: objects?,
            servers: servers?,
            base: base?,
            lines: lines.into_iter().collect::<Option<_>>()?,
        })
    }
}

/// Bytes the memory takes for `sizes`; only those written to are ever real.
pub fn bytes_needed(sizes: Sizes) -> usize {
    let mut knife = Knife { mapping: None, at: 0 };
    knife.parts(sizes);
    knife.at
}

/// Maps and prepares the memory.
pub fn make(sizes: Sizes) -> io::Result<Parts> {
    let bytes = bytes_needed(sizes);
    let mapping = Mapping::anonymous(bytes)?;
    let parts = Knife { mapping: Some(&mapping), at: 0 }.parts(sizes);
    let parts = parts.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let header = &parts.header[0];
    header.version.store(VERSION, Relaxed);
    header.layout.store(fingerprint(), Relaxed);
    header.rows.store(sizes.rows as u32, Relaxed);
    header.slots.store(sizes.slots as u32, Relaxed);
    header.bytes.store(bytes as u64, Relaxed);
    header.magic.store(MAGIC, Release);
    Ok(parts)
}

/// Cuts a mapping that another process made, if it means the same by it.
pub fn attach(mapping: &Arc<Mapping>) -> Result<Parts, Stale> {
    let header: Region<Header> = mapping.region(0, 1).ok_or(Stale)?;
    let header = &header[0];
    let same = header.magic.load(Acquire) == MAGIC
        && header.version.load(Relaxed) == VERSION
        && header.layout.load(Relaxed) == fingerprint();
    if !same {
        return Err(Stale);
    }
    let sizes =
        Sizes { rows: header.rows.load(Relaxed) as usize, slots: header.slots.load(Relaxed) as usize };
    if bytes_needed(sizes) > mapping.len() {
        return Err(Stale);
    }
    Knife { mapping: Some(mapping), at: 0 }.parts(sizes).ok_or(Stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_s_memory_is_stale() {
        let sizes = Sizes { rows: 10, slots: 3 };
        let mapping = Mapping::anonymous(bytes_needed(sizes)).unwrap();
        assert_eq!(attach(&mapping).err(), Some(Stale), "no magic");
        let header: Region<Header> = mapping.region(0, 1).unwrap();
        header[0].magic.store(MAGIC, Relaxed);
        header[0].version.store(VERSION, Relaxed);
        header[0].rows.store(10, Relaxed);
        header[0].slots.store(3, Relaxed);
        assert_eq!(attach(&mapping).err(), Some(Stale), "no fingerprint");
        header[0].layout.store(fingerprint(), Relaxed);
        let parts = attach(&mapping).unwrap();
        assert_eq!((parts.objects.len(), parts.lines.len(), parts.processes.len()), (10, 3, 4));
        header[0].rows.store(1000, Relaxed);
        assert_eq!(attach(&mapping).err(), Some(Stale), "longer than the mapping");
    }

    #[test]
    fn parts_do_not_overlap() {
        let sizes = Sizes { rows: 7, slots: 4 };
        let parts = make(sizes).unwrap();
        parts.lines.iter().for_each(|line| line.iter().for_each(|l| l.cells[0].store(1, Relaxed)));
        parts.base.iter().for_each(|line| line.cells[0].store(2, Relaxed));
        assert!(parts.lines.iter().all(|lines| lines.iter().all(|l| l.cells[0].load(Relaxed) == 1)));
        assert!(parts.objects.iter().all(|cell| cell.key.load(Relaxed) == 0));
        assert!(parts.servers.iter().all(|cell| cell.admin.load(Relaxed) == 0));
    }
}

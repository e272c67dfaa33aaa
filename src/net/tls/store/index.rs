//! Which certificate files there are, for which names, until when: a table that is read in place.
//!
//! Made once ([`super::build`]), kept in a file for the next start, and shared by all processes as sealed memory; a hundred
//! thousand certificates take about 15 MB and not one allocation. It comes from a file or from another process: every access is
//! checked against the bounds, and nothing in it is followed blindly. All numbers are little-endian.
//!
//! ```text
//! header 64 | entries 48 each | names 16 each | slots 4 each | lists 4 each | text
//! ```

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use lighterman_sys::sealed::Sealed;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::net::tls::certs::KeyKind;

/// Begins every index; ends with the version of the layout.
pub(super) const MAGIC: [u8; 12] = *b"lm-certs\n\0\0\x01";
pub(super) const HEADER: usize = 64;
pub(super) const ENTRY: usize = 48;
pub(super) const NAME: usize = 16;
/// No index is larger: ten million certificates.
pub const INDEX_MAX: u64 = 2 << 30;
/// Longest name looked up; DNS allows no longer one.
pub const NAME_MAX: usize = 253;
/// An element of a list with this bit is an exception: the certificate's wildcards do not cover the name.
pub(super) const EXCEPT: u32 = 1 << 31;

/// What an entry's flags say.
pub mod flag {
    /// For names nobody has.
    pub const DEFAULT: u8 = 1;
    /// The text holds whole paths: certificate, key, ocsp, issuer, sctl, each after a zero byte.
    pub const PATHS: u8 = 2;
    /// It has no file: the bytes are kept by the process with file rights.
    pub const BLOB: u8 = 4;
    /// A key stands beside it.
    pub const KEY: u8 = 16;
    /// An OCSP response stands beside it.
    pub const OCSP: u8 = 32;
    /// An issuer stands beside it.
    pub const ISSUER: u8 = 64;
    /// Timestamps stand beside it.
    pub const SCTL: u8 = 128;
}

/// Endings of the files beside a certificate, with their flags, in the order of [`flag::PATHS`].
pub const SIDES: [(&str, u8); 4] =
    [("key", flag::KEY), ("ocsp", flag::OCSP), ("issuer", flag::ISSUER), ("sctl", flag::SCTL)];

/// One certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub kind: KeyKind,
    /// See [`flag`].
    pub flags: u8,
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Sizes and dates of its files when it was read, as one number.
    pub mark: u64,
    /// Its content, as one number.
    pub stamp: u64,
    /// The set of options of a `crt-list` line; 0: those of the `bind` line.
    pub options: u16,
    /// How many names it has, 65535 for more.
    pub names: u16,
    /// The first of its names, in lookup order.
    pub(super) first_name: u32,
    pub(super) text_at: u32,
    pub(super) text_len: u16,
}

/// Why bytes are no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexFault {
    /// Something else, or made by another version.
    Foreign,
    /// Damaged or cut.
    Damaged,
}

impl std::fmt::Display for IndexFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IndexFault::Foreign => write!(f, "not an index of this version"),
            IndexFault::Damaged => write!(f, "damaged"),
        }
    }
}

/// Where the bytes are.
pub enum Bytes {
    /// Shared with other processes.
    Shared(Sealed),
    /// This process's own.
    Own(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Shared(sealed) => sealed,
            Bytes::Own(own) => own,
        }
    }
}

/// An index.
pub struct Index {
    bytes: Bytes,
    shape: Shape,
}

/// Where the parts begin.
#[derive(Debug, Clone, Copy)]
struct Shape {
    entries: u32,
    names: u32,
    slots: u32,
    lists: u32,
    names_at: usize,
    slots_at: usize,
    lists_at: usize,
    text_at: usize,
    text_len: usize,
    dir_len: usize,
    defaults: (u32, u32),
    options: u64,
}

/// Sizes that make up a header, in the order in which they stand there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) entries: u32,
    pub(super) names: u32,
    pub(super) slots: u32,
    pub(super) lists: u32,
    pub(super) text: u32,
    pub(super) dir: u32,
    pub(super) defaults_at: u32,
    pub(super) defaults: u32,
    /// What it was made under: settings that change which files belong to an entry.
    pub(super) options: u32,
}

impl Sizes {
    pub(super) fn header(&self, body: &[u8]) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        let numbers = [
            self.entries,
            self.names,
            self.slots,
            self.lists,
            self.text,
            self.dir,
            self.defaults_at,
            self.defaults,
            self.options,
        ];
        numbers.iter().for_each(|number| header.extend(number.to_le_bytes()));
        header.extend([0; HEADER - MAGIC.len() - 9 * 4 - 8]);
        let sum = xxh3_64_with_seed(body, xxh3_64(&header));
        header.extend(sum.to_le_bytes());
        header
    }
}

impl Shape {
    fn read(bytes: &[u8]) -> Result<Shape, IndexFault> {
        let header = bytes.get(..HEADER).ok_or(IndexFault::Foreign)?;
        if !header.starts_with(&MAGIC) {
            return Err(IndexFault::Foreign);
        }
        Self::measure(bytes).filter(|_| is_sound(bytes)).ok_or(IndexFault::Damaged)
    }

    fn measure(bytes: &[u8]) -> Option<Shape> {
        let field = |n: usize| u32_at(bytes, MAGIC.len() + 4 * n);
        let (entries, names, slots, lists) = (field(0)?, field(1)?, field(2)?, field(3)?);
        let (text_len, dir_len) = (field(4)? as usize, field(5)? as usize);
        let names_at = HEADER.checked_add((entries as usize).checked_mul(ENTRY)?)?;
        let slots_at = names_at.checked_add((names as usize).checked_mul(NAME)?)?;
        let lists_at = slots_at.checked_add((slots as usize).checked_mul(4)?)?;
        let text_at = lists_at.checked_add((lists as usize).checked_mul(4)?)?;
        let fits = text_at.checked_add(text_len)? == bytes.len()
            && dir_len <= text_len
            && (slots == 0 && names == 0 || slots.is_power_of_two() && slots > names)
            && entries < EXCEPT;
        fits.then_some(Shape {
            entries,
            names,
            slots,
            lists,
            names_at,
            slots_at,
            lists_at,
            text_at,
            text_len,
            dir_len,
            defaults: (field(6)?, field(7)?),
            options: field(8)?.into(),
        })
    }
}

/// Whether the checksum is right.
fn is_sound(bytes: &[u8]) -> bool {
    let sound = || {
        let (head, body) = bytes.split_at_checked(HEADER)?;
        let (head, sum) = head.split_at_checked(HEADER - 8)?;
        Some(xxh3_64_with_seed(body, xxh3_64(head)).to_le_bytes() == sum)
    };
    sound().unwrap_or(false)
}

impl Index {
    /// Looks at the outside of an index: header, sizes, checksum.
    pub fn open(bytes: Bytes) -> Result<Index, IndexFault> {
        let shape = Shape::read(&bytes)?;
        Ok(Index { bytes, shape })
    }

    /// One that another process of ours has just made: every byte of it need not be looked at.
    pub fn received(bytes: Bytes) -> Result<Index, IndexFault> {
        let shape = Shape::measure(&bytes).filter(|_| bytes.starts_with(&MAGIC));
        shape.map(|shape| Index { bytes, shape }).ok_or(IndexFault::Damaged)
    }

    /// The memory it is in, to be passed on; `None` for one that is this process's own.
    pub fn shared(&self) -> Option<BorrowedFd<'_>> {
        match &self.bytes {
            Bytes::Shared(sealed) => Some(sealed.as_fd()),
            Bytes::Own(_) => None,
        }
    }

    /// The bytes, to be kept or passed on.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many certificates it has.
    pub fn len(&self) -> u32 {
        self.shape.entries
    }

    /// True without any certificate.
    pub fn is_empty(&self) -> bool {
        self.shape.entries == 0
    }

    /// How many different names it knows; an exact name and the wildcard below it are two.
    pub fn name_count(&self) -> u32 {
        self.shape.names
    }

    /// The directory it is of; `None` for files named one by one.
    pub fn dir(&self) -> Option<&Path> {
        let text = self.text(0, self.shape.dir_len)?;
        (!text.is_empty()).then(|| path_of(text))
    }

    /// The settings under which it was made, as [`super::build::Builder::new`] got them.
    pub fn options(&self) -> u64 {
        self.shape.options
    }

    /// A certificate by its number.
    pub fn entry(&self, number: u32) -> Option<Entry> {
        if number >= self.shape.entries {
            return None;
        }
        let at = HEADER + number as usize * ENTRY;
        let raw = self.bytes.get(at..at + ENTRY)?;
        let kind = match raw.get(6)? {
            0 => KeyKind::Rsa,
            _ => KeyKind::Ec,
        };
        Some(Entry {
            kind,
            flags: *raw.get(7)?,
            not_before: u64_at(raw, 8)? as i64,
            not_after: u64_at(raw, 16)? as i64,
            mark: u64_at(raw, 24)?,
            stamp: u64_at(raw, 32)?,
            first_name: u32_at(raw, 40)?,
            options: u16_at(raw, 44)?,
            names: u16_at(raw, 46)?,
            text_at: u32_at(raw, 0)?,
            text_len: u16_at(raw, 4)?,
        })
    }

    /// All certificates with their numbers.
    pub fn entries(&self) -> impl Iterator<Item = (u32, Entry)> + '_ {
        (0..self.len()).filter_map(|number| Some((number, self.entry(number)?)))
    }

    /// The certificate whose file has this name; of a directory, whose entries stand in the order of their names.
    pub fn entry_named(&self, name: &[u8]) -> Option<(u32, Entry)> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let entry = self.entry(middle)?;
            match self.file_text(&entry).cmp(name) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Some((middle, entry)),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// What the index says of an entry's file: its name within the directory, or the paths of [`flag::PATHS`].
    pub fn file_text(&self, entry: &Entry) -> &[u8] {
        self.text(entry.text_at as usize, entry.text_len.into()).unwrap_or_default()
    }

    /// The certificate's file, for messages and to be opened.
    pub fn file(&self, entry: &Entry) -> PathBuf {
        let text = self.file_text(entry);
        let name = text.split(|byte| *byte == 0).next().unwrap_or_default();
        match self.dir() {
            Some(dir) if entry.flags & flag::PATHS == 0 => dir.join(path_of(name)),
            _ => path_of(name).to_owned(),
        }
    }

    /// The certificates for a name in lower case, in order of preference: each with true, or with false when its wildcards
    /// are said not to cover the name. `wild`: those whose `*.` stands before the name.
    pub fn find(&self, name: &[u8], wild: bool) -> impl Iterator<Item = (u32, bool)> + '_ {
        let found = self.find_name(name, wild).and_then(|number| self.list(number));
        found.into_iter().flatten()
    }

    /// The certificates for names nobody has.
    pub fn defaults(&self) -> impl Iterator<Item = u32> + '_ {
        let (at, count) = self.shape.defaults;
        (0..count).map_while(move |n| self.list_item(at.checked_add(n)?))
    }

    /// A name by its number: its text without `*.`, and whether it stood before it.
    pub fn name(&self, number: u32) -> Option<(&[u8], bool)> {
        let raw = self.name_raw(number)?;
        let text = self.text(u32_at(raw, 0)? as usize, u16_at(raw, 4)?.into())?;
        Some((text, u16_at(raw, 6)? != 0))
    }

    /// The certificates of a name by its number, as [`Index::find`] tells them.
    pub fn list(&self, number: u32) -> Option<impl Iterator<Item = (u32, bool)> + '_> {
        let raw = self.name_raw(number)?;
        let (at, count) = (u32_at(raw, 8)?, u32_at(raw, 12)?);
        let items = (0..count).map_while(move |n| match count {
            1 => Some(at),
            _ => self.list_item(at.checked_add(n)?),
        });
        Some(items.map(|item| (item & !EXCEPT, item & EXCEPT == 0)))
    }

    fn find_name(&self, name: &[u8], wild: bool) -> Option<u32> {
        let mask = self.shape.slots.checked_sub(1)?;
        let mut place = hash(name, wild) as u32 & mask;
        for _ in 0..self.shape.slots {
            let slot = u32_at(&self.bytes, self.shape.slots_at + place as usize * 4)?;
            let number = slot.checked_sub(1)?;
            if self.name(number) == Some((name, wild)) {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
        None
    }

    fn name_raw(&self, number: u32) -> Option<&[u8]> {
        let at = self.shape.names_at + number as usize * NAME;
        (number < self.shape.names).then(|| self.bytes.get(at..at + NAME))?
    }

    fn list_item(&self, place: u32) -> Option<u32> {
        (place < self.shape.lists).then(|| u32_at(&self.bytes, self.shape.lists_at + place as usize * 4))?
    }

    fn text(&self, at: usize, len: usize) -> Option<&[u8]> {
        let text = self.bytes.get(self.shape.text_at..)?.get(..self.shape.text_len)?;
        text.get(at..at.checked_add(len)?)
    }
}

/// The hash of a name; one seed for exact names, one for wildcards.
pub(super) fn hash(name: &[u8], wild: bool) -> u64 {
    xxh3_64_with_seed(name, u64::from(wild))
}

/// Bytes of a file name as a path.
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// For fuzzing: any bytes as an index, with a header that is made to fit so that the inside is reached.
pub fn fuzz_cert_index(bytes: &[u8]) {
    let walk = |bytes: Vec<u8>| {
        let Ok(index) = Index::open(Bytes::Own(bytes)) else { return };
        for (_, entry) in index.entries().take(64) {
            let _ = index.file(&entry);
        }
        for number in 0..index.name_count().min(64) {
            let name = index.name(number).map(|(name, wild)| (name.to_vec(), wild));
            if let Some((name, wild)) = name {
                assert!(index.find(&name, wild).take(64).count() <= 64);
            }
            assert!(index.list(number).into_iter().flatten().take(64).count() <= 64);
        }
        assert!(index.find(b"a.test", false).take(64).count() <= 64);
        assert!(index.defaults().take(64).count() <= 64);
    };
    walk(bytes.to_vec());
    if let Some((head, body)) = bytes.split_at_checked(HEADER) {
        let mut head = head.to_vec();
        head.splice(..MAGIC.len(), MAGIC);
        head.truncate(HEADER - 8);
        let sum = xxh3_64_with_seed(body, xxh3_64(&head));
        head.extend(sum.to_le_bytes());
        head.extend(body);
        walk(head);
    }
}

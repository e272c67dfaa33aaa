//! An index with a few entries changed: the others are carried over as they are, without being read or parsed again.

use std::collections::BTreeMap;
use std::io;

use super::build::{Builder, Facts};
use super::index::Index;

/// What has become of a file.
pub enum Change {
    /// It is no certificate any more.
    Gone,
    /// This, with these names.
    Is(Facts, Vec<String>),
}

/// The index of a directory (whose entries stand in the order of their names) after changes by name. Beside it, names for
/// which there was no room.
pub fn patch(old: &Index, changes: &BTreeMap<Vec<u8>, Change>) -> io::Result<(Index, Vec<Vec<u8>>)> {
    let mut builder = Builder::new(old.dir(), u32::try_from(old.options()).unwrap_or_default());
    let mut full = Vec::new();
    let mut add = |builder: &mut Builder, name: &[u8], change: &Change| {
        if let Change::Is(facts, names) = change {
            let added = builder.add(facts, name, names.iter().map(String::as_bytes), std::iter::empty());
            if added.is_none() {
                full.push(name.to_vec());
            }
        }
    };
    let mut places = vec![None; old.len() as usize];
    let mut changes = changes.iter().peekable();
    for ((_, entry), place) in old.entries().zip(&mut places) {
        let file = old.file_text(&entry);
        while let Some((name, change)) = changes.next_if(|(name, _)| name.as_slice() < file) {
            add(&mut builder, name, change);
        }
        match changes.next_if(|(name, _)| name.as_slice() == file) {
            Some((name, change)) => add(&mut builder, name, change),
            None => *place = builder.push_entry(&Facts::of(&entry), file, entry.names),
        }
    }
    changes.for_each(|(name, change)| add(&mut builder, name, change));
    builder.carry_names(old, &places);
    Ok((builder.finish()?, full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::net::tls::certs::KeyKind;
    use std::path::Path;

    fn facts(stamp: u64) -> Facts {
        Facts { kind: KeyKind::Ec, flags: 0, not_before: 0, not_after: 9, mark: stamp, stamp, options: 0 }
    }

    fn whole(files: &BTreeMap<Vec<u8>, (u64, Vec<String>)>) -> Index {
        let mut builder = Builder::new(Some(Path::new("/certs")), 7);
        for (file, (stamp, names)) in files {
            let names = names.iter().map(String::as_bytes);
            builder.add(&facts(*stamp), file, names, std::iter::empty()).unwrap();
        }
        builder.finish().unwrap()
    }

    /// What an index says, whatever its text looks like.
    fn said(index: &Index) -> Vec<String> {
        let entries = index.entries().map(|(number, entry)| {
            let first = index.name(entry.first_name).map(|(name, wild)| (name.to_vec(), wild));
            let file = String::from_utf8_lossy(index.file_text(&entry)).into_owned();
            format!("{number} {file} {} {} {first:?}", entry.stamp, entry.names)
        });
        let names = (0..index.name_count()).map(|number| {
            let list: Vec<_> = index.list(number).into_iter().flatten().collect();
            format!("{:?} {list:?}", index.name(number))
        });
        entries.chain(names).collect()
    }

    #[test]
    fn a_patched_index_is_as_one_made_anew() {
        let mut rng = Rng::from_seed(3);
        let mut files = BTreeMap::new();
        let mut index = whole(&files);
        for round in 0..300 {
            let mut changes = BTreeMap::new();
            for _ in 0..rng.next() % 5 {
                let file = format!("{}.pem", rng.next() % 30).into_bytes();
                let names: Vec<String> = (0..rng.next() % 4)
                    .map(|_| format!("{}n{}.test", ["", "*."][(rng.next() % 2) as usize], rng.next() % 12))
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect();
                if rng.next().is_multiple_of(3) {
                    files.remove(&file);
                    changes.insert(file, Change::Gone);
                } else {
                    files.insert(file.clone(), (round, names.clone()));
                    changes.insert(file, Change::Is(facts(round), names));
                }
            }
            let (patched, full) = patch(&index, &changes).unwrap();
            assert!(full.is_empty());
            assert_eq!(said(&patched), said(&whole(&files)), "round {round}");
            assert_eq!((patched.dir(), patched.options()), (Some(Path::new("/certs")), 7));
            for number in 0..12 {
                let (name, fresh) = (format!("n{number}.test"), whole(&files));
                for wild in [false, true] {
                    let found: Vec<_> = patched.find(name.as_bytes(), wild).collect();
                    assert_eq!(found, fresh.find(name.as_bytes(), wild).collect::<Vec<_>>());
                }
            }
            index = patched;
        }
    }
}

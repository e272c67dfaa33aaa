//! Which certificates deserve attention: those that expire soon, have expired, or are shown to nobody because another one
//! always comes first. A walk through the shared indexes; nothing is read from files.

use std::sync::Arc;

use super::index::{Entry, Index};
use super::select::{self, Candidate};
use crate::net::tls::certs::KeyKind;
use crate::net::tls::hello::Can;

/// A certificate expires soon when it does so within this time, seconds.
pub const SOON_S: i64 = 14 * 86_400;

/// What is to be said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The place of its index.
    pub place: u32,
    /// Its number there.
    pub entry: u32,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Its time is over.
    pub expired: bool,
    /// Its time is over soon.
    pub expiring: bool,
    /// Another one is always shown in its place.
    pub shadowed: bool,
}

/// All that deserve attention, those whose time ends first at the beginning.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Them.
    pub rows: Vec<Row>,
    /// How many there are of each kind: those that expire soon, have expired, are shadowed.
    pub counts: [usize; 3],
}

/// Takes it. `lines`: for each `bind` line the places of its indexes, in order of preference; `now` is seconds since 1970.
pub fn take(indexes: &[Arc<Index>], lines: &[Vec<u32>], now: i64) -> Census {
    let mut shown: Vec<Vec<bool>> = indexes.iter().map(|index| vec![false; index.len() as usize]).collect();
    for places in lines {
        Line { indexes, places, now }.note(&mut shown);
    }
    let mut rows = Vec::new();
    // certificates that no line uses are shown to nobody by somebody's will
    let used = |place: &u32| lines.iter().any(|places| places.contains(place));
    for (place, (index, shown)) in (0..).zip(indexes.iter().zip(&shown)).filter(|(place, _)| used(place)) {
        for ((entry, found), shown) in index.entries().zip(shown) {
            let not_after = found.not_after;
            let (expired, shadowed) = (not_after < now, !shown);
            let expiring = !expired && not_after < now.saturating_add(SOON_S);
            if expired || expiring || shadowed {
                rows.push(Row { place, entry, not_after, expired, expiring, shadowed });
            }
        }
    }
    rows.sort_by_key(|row| (row.not_after, row.place, row.entry));
    let count = |is: fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
    let counts = [count(|row| row.expiring), count(|row| row.expired), count(|row| row.shadowed)];
    Census { rows, counts }
}

/// The certificate that is shown in place of another, for the first of its names; by its index among those of the line.
pub fn instead_of<'i>(
    sources: impl Iterator<Item = &'i Index> + Clone,
    index: &Index,
    entry: &Entry,
    now: i64,
) -> Option<Candidate> {
    let (name, wild) = index.name(entry.first_name)?;
    // one more label stands for all that a wildcard covers
    let name = if wild { [b"*.", name].concat() } else { name.to_vec() };
    let can = Can { ec: entry.kind == KeyKind::Ec };
    select::select(sources, Some(&name), can, now).candidates.first().copied()
}

/// The indexes of a `bind` line.
struct Line<'l> {
    indexes: &'l [Arc<Index>],
    places: &'l [u32],
    now: i64,
}

impl Line<'_> {
    fn sources(&self) -> impl Iterator<Item = &Index> + Clone {
        self.places.iter().filter_map(|place| self.indexes.get(*place as usize).map(|index| &**index))
    }

    /// Marks every certificate that is shown to some client.
    fn note(&self, shown: &mut [Vec<bool>]) {
        let mut mark = |source: usize, entry: u32| {
            let place = self.places.get(source).copied().unwrap_or(u32::MAX);
            let shown = shown.get_mut(place as usize).and_then(|shown| shown.get_mut(entry as usize));
            shown.into_iter().for_each(|shown| *shown = true);
        };
        for ec in [true, false] {
            let choice = select::select(self.sources(), None, Can { ec }, self.now);
            choice.candidates.first().iter().for_each(|best| mark(best.source as usize, best.entry));
        }
        for (source, index) in self.sources().enumerate() {
            for number in 0..index.name_count() {
                let Some((name, wild)) = index.name(number) else { continue };
                if let Some(entry) = self.alone(source, index, (number, name, wild)) {
                    mark(source, entry);
                    continue;
                }
                for ec in [true, false] {
                    let candidates = match wild {
                        true => select::of_wildcard(self.sources(), name),
                        false => select::of_name(self.sources(), name),
                    };
                    let best = select::best(candidates, Can { ec }, self.now);
                    best.iter().for_each(|best| mark(best.source as usize, best.entry));
                }
            }
        }
    }

    /// The certificate of a name, when it needs no thought that no other one is shown for it: that is how most are.
    fn alone(&self, source: usize, index: &Index, (number, name, wild): (u32, &[u8], bool)) -> Option<u32> {
        let mut list = index.list(number)?;
        let (entry, covers) = list.next()?;
        let known = index.entry(entry)?;
        let valid = (known.not_before..=known.not_after).contains(&self.now);
        let mut others = self.sources().enumerate().filter(|(other, _)| *other != source);
        let only = list.next().is_none() && others.all(|(_, other)| other.find(name, wild).next().is_none());
        (covers && valid && only).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{index, NOW, OVER};
    use super::*;
    use KeyKind::{Ec, Rsa};

    #[test]
    fn who_expires_and_who_is_never_shown() {
        let soon = (0, NOW + SOON_S - 1);
        let long = (0, NOW + SOON_S + 1);
        let one = Arc::new(index(&[
            (Ec, long, "a.test"),
            (Ec, long, "a.test"),
            (Rsa, long, "a.test"),
            (Rsa, long, "a.test"),
            (Ec, soon, "b.test"),
            (Ec, OVER, "c.test"),
            (Ec, OVER, "x.w.test"),
            (Ec, long, "*.w.test"),
            (Ec, long, "*.w.test other.w.test"),
            (Ec, long, ""),
            (Ec, long, "a.test d.test"),
        ]));
        let two =
            Arc::new(index(&[(Ec, long, "b.test e.test"), (Ec, long, "e.test"), (Rsa, long, "b.test")]));
        let said = |lines: &[Vec<u32>]| -> Vec<String> {
            let census = take(&[Arc::clone(&one), Arc::clone(&two)], lines, NOW);
            let words = |row: &Row| {
                let word = |is: bool, word: &str| if is { format!(" {word}") } else { String::new() };
                let (place, entry) = (row.place, row.entry);
                let words = [word(row.expired, "expired"), word(row.expiring, "expiring")].concat();
                format!("{place}.{entry}{words}{}", word(row.shadowed, "shadowed"))
            };
            let total = census.rows.iter().filter(|row| row.shadowed).count();
            assert_eq!(census.counts[2], total);
            census.rows.iter().map(words).collect()
        };
        let rest = ["0.1 shadowed", "0.3 shadowed", "0.9 shadowed"];
        let alone = ["0.5 expired", "0.6 expired shadowed", "0.4 expiring"];
        let second = ["1.1 shadowed"];
        assert_eq!(said(&[vec![0], vec![1]]), [&alone[..], &rest, &second].concat());
        // one line with both: what stands first wins, and a line of its own makes up for it
        let both = ["1.1 shadowed"];
        assert_eq!(said(&[vec![0, 1]]), [&alone[..], &rest, &both].concat());
        let turned = ["0.5 expired", "0.6 expired shadowed", "0.4 expiring shadowed"];
        assert_eq!(said(&[vec![1, 0]]), [&turned[..], &rest, &both].concat());
        assert_eq!(said(&[vec![1, 0], vec![0]]), [&alone[..], &rest, &both].concat());
        assert_eq!(take(&[], &[vec![7]], NOW), Census::default());
        assert_eq!(take(&[Arc::clone(&one)], &[], NOW), Census::default());
        let census = take(&[one], &[vec![0]], NOW);
        assert_eq!(census.counts, [1, 2, 4]);
    }
}

//! Sets of integers and ranges (`5`, `1024:65535`, `:10`, versions such as `3.1`).

use smallvec::SmallVec;

use super::string::ReadyMap;

/// Integers and ranges.
#[derive(Clone, Default)]
pub struct NumberIndex {
    single: ReadyMap<u64, SmallVec<[u32; 1]>>,
    ranges: Vec<(i64, i64, u32)>,
}

impl NumberIndex {
    /// Adds a pattern as it is written.
    pub fn add(&mut self, text: &str, id: u32) -> Result<(), String> {
        let (low, high) = range(text)?;
        self.add_range(low, high, id);
        Ok(())
    }

    /// Adds a range, both ends included.
    pub fn add_range(&mut self, low: i64, high: i64, id: u32) {
        // Many single values hash, what comes first among few values and ranges is found by walking.
        if low == high && self.single.len() + self.ranges.len() >= SMALL {
            self.single.entry(key(low)).or_default().push(id);
        } else {
            self.ranges.push((low, high, id));
        }
    }

    /// Takes a pattern away.
    pub fn remove(&mut self, text: &str, id: u32) -> bool {
        let Ok((low, _)) = range(text) else { return false };
        if let Some(ids) = self.single.get_mut(&key(low)) {
            let before = ids.len();
            ids.retain(|i| *i != id);
            let gone = ids.len() < before;
            if ids.is_empty() {
                self.single.remove(&key(low));
            }
            if gone {
                return true;
            }
        }
        let before = self.ranges.len();
        self.ranges.retain(|(_, _, i)| *i != id);
        self.ranges.len() < before
    }

    /// The ids of the patterns with these bounds.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let Ok((low, high)) = range(text) else { return Vec::new() };
        let single = self.single.get(&key(low)).filter(|_| low == high).into_iter().flatten();
        let ranges = self.ranges.iter().filter(|(l, h, _)| (*l, *h) == (low, high)).map(|(_, _, id)| *id);
        single.copied().chain(ranges).collect()
    }

    /// The ids get other numbers.
    pub fn renumber(&mut self, new: &dyn Fn(u32) -> u32) {
        let ranges = self.ranges.iter_mut().map(|(_, _, id)| id);
        self.single.values_mut().flatten().chain(ranges).for_each(|id| *id = new(*id));
    }

    /// The first pattern that holds the number.
    pub fn find(&self, n: i64) -> Option<u32> {
        let single = self.single.get(&key(n)).and_then(|ids| ids.iter().min().copied());
        let range =
            self.ranges.iter().find(|(low, high, _)| (*low..=*high).contains(&n)).map(|(_, _, id)| *id);
        match (single, range) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// Spreads numbers over the whole key; different numbers have different keys.
fn key(n: i64) -> u64 {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The bounds a pattern stands for.
pub fn range(text: &str) -> Result<(i64, i64), String> {
    let bad = || format!("\"{text}\" is not an integer or a range like 1024:65535");
    if text.is_empty() || text == ":" {
        return Err(bad());
    }
    let Some((low, high)) = text.split_once(':') else {
        let n = number(text).ok_or_else(bad)?;
        return Ok((n, n));
    };
    let low = if low.is_empty() { i64::MIN } else { number(low).ok_or_else(bad)? };
    let high = if high.is_empty() { i64::MAX } else { number(high).ok_or_else(bad)? };
    if low > high {
        return Err(format!("\"{text}\" holds nothing: its first number is the larger one"));
    }
    Ok((low, high))
}

/// An integer, or a version `major.minor` as one number.
pub fn number(text: &str) -> Option<i64> {
    if let Some((major, minor)) = text.split_once('.') {
        let (major, minor): (u16, u16) = (major.parse().ok()?, minor.parse().ok()?);
        return Some(i64::from(major) << 16 | i64::from(minor));
    }
    text.parse().ok()
}

/// The bounds behind an operator of a condition (`gt 5`).
pub fn operator(op: &str, text: &str) -> Option<Result<(i64, i64), String>> {
    let bounds = |n: i64| match op {
        "eq" => Some((n, n)),
        "ge" => Some((n, i64::MAX)),
        "gt" => n.checked_add(1).map(|n| (n, i64::MAX)),
        "le" => Some((i64::MIN, n)),
        "lt" => n.checked_sub(1).map(|n| (i64::MIN, n)),
        _ => None,
    };
    if !matches!(op, "eq" | "ge" | "gt" | "le" | "lt") {
        return None;
    }
    // A range after an operator: only the bound that the operator looks at counts.
    Some(range(text).and_then(|(low, high)| {
        let n = match op {
            "eq" if low != high => return Ok((low, high)),
            "ge" | "gt" if low != i64::MIN => low,
            "le" | "lt" if high != i64::MAX => high,
            _ if low == high => low,
            _ => return Err(format!("\"{op} {text}\" has no bound to compare with")),
        };
        bounds(n).ok_or_else(|| format!("no integer is {op} {n}"))
    }))
}

const SMALL: usize = 8;

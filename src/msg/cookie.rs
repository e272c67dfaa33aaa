//! Cookies of a head: found by name, cut out, rewritten. Called by fetches and by persistence.
//!
//! Names are compared with case (RFC 6265 5.4). Several lines of a field are walked as one list.

use lighterman_wire::http::cookie::{set_cookie, Pair, Pairs, Pieces};
use lighterman_wire::http::name::Tag;

use super::edit::EditError;
use super::head::{FieldId, Head};

/// All cookies a request carries: name and value, in order.
pub fn cookies(head: &Head) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
    head.tagged(Tag::Cookie).flat_map(Pairs::new).map(|p| (p.name, p.value))
}

/// The first request cookie of that name.
pub fn cookie<'a>(head: &'a Head, name: &[u8]) -> Option<&'a [u8]> {
    cookies(head).find(|(n, _)| *n == name).map(|(_, v)| v)
}

/// All cookies a response sets: name and value, in order.
pub fn set_cookies(head: &Head) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
    head.tagged(Tag::SetCookie).filter_map(set_cookie).map(|c| (c.pair.name, c.pair.value))
}

/// The value of the first `Set-Cookie` of that name.
pub fn first_set_cookie<'a>(head: &'a Head, name: &[u8]) -> Option<&'a [u8]> {
    set_cookies(head).find(|(n, _)| *n == name).map(|(_, v)| v)
}

/// What becomes of a request cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing.
    Stays,
    /// It goes, with the separator next to it.
    Goes,
    /// So many bytes at the beginning of its value go.
    Loses(usize),
}

/// Decides on every request cookie of that name by its value; a line that becomes empty goes. How many were changed.
///
/// What goes takes its attributes (`$Path`) and the separator behind it along; the separators that stay are written
/// as `; `, as everybody writes them.
pub fn edit_cookies(
    head: &mut Head,
    name: &[u8],
    mut fate: impl FnMut(&[u8]) -> Fate,
) -> Result<usize, EditError> {
    let mut changed = 0;
    for id in lines(head, Tag::Cookie) {
        let Some(line) = head.value(id) else { continue };
        let mut cut = Cut { line, out: Vec::with_capacity(line.len()), copied: 0, gone_from: None };
        let (mut here, mut keeps) = (0, false);
        for piece in Pieces::new(line).filter(|piece| !piece.is_attribute) {
            let fate =
                piece.pair.filter(|pair| pair.name == name).map_or(Fate::Stays, |pair| fate(pair.value));
            here += usize::from(fate != Fate::Stays);
            if fate == Fate::Goes {
                cut.gone_from.get_or_insert(piece.from);
                continue;
            }
            keeps = true;
            cut.close(piece.from);
            if let (Fate::Loses(bytes), Some(pair)) = (fate, piece.pair) {
                cut.copy(pair.value_at);
                cut.copied = pair.value_at + bytes.min(pair.value.len());
            }
        }
        if here == 0 {
            continue;
        }
        let end = cut.gone_from.unwrap_or(line.len());
        cut.copy(end);
        match cut.out {
            left if keeps && !left.is_empty() => head.set_value(id, &left)?,
            _ => head.remove_field(id),
        }
        changed += here;
    }
    Ok(changed)
}

/// A line that is copied without some of its cookies.
struct Cut<'a> {
    line: &'a [u8],
    out: Vec<u8>,
    /// Up to here it was copied or left out.
    copied: usize,
    /// The separator in front of the cookies that go.
    gone_from: Option<usize>,
}

impl Cut<'_> {
    fn copy(&mut self, to: usize) {
        self.out.extend_from_slice(self.line.get(self.copied..to).unwrap_or_default());
        self.copied = to.max(self.copied);
    }

    /// Cookies go up to the separator at `to`, behind which one stays.
    fn close(&mut self, to: usize) {
        let Some(from) = self.gone_from.take() else { return };
        self.copy(from);
        if !self.out.is_empty() {
            let kept = self.out.trim_ascii_end().len();
            self.out.truncate(kept);
            self.out.extend(self.line.get(to));
            self.out.push(b' ');
        }
        let rest = self.line.get(to + 1..).unwrap_or_default();
        self.copied = to + 1 + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }
}

/// Gives every request cookie of that name another value. How many there were.
pub fn replace_cookie(head: &mut Head, name: &[u8], value: &[u8]) -> Result<usize, EditError> {
    let mut changed = 0;
    for id in lines(head, Tag::Cookie) {
        let Some(line) = head.value(id) else { continue };
        let mut out = Vec::with_capacity(line.len() + value.len());
        let (mut from, mut here) = (0, 0);
        for pair in Pairs::new(line).filter(|p| p.name == name) {
            splice(&mut out, line, &mut from, pair, value);
            here += 1;
        }
        if here > 0 {
            out.extend_from_slice(line.get(from..).unwrap_or_default());
            head.set_value(id, &out)?;
        }
        changed += here;
    }
    Ok(changed)
}

/// Rewrites the value of every `Set-Cookie` of that name; attributes stay. How many there were.
pub fn replace_set_cookie(head: &mut Head, name: &[u8], value: &[u8]) -> Result<usize, EditError> {
    let mut changed = 0;
    for id in lines(head, Tag::SetCookie) {
        let Some(line) = head.value(id) else { continue };
        let Some(found) = set_cookie(line).filter(|c| c.pair.name == name) else { continue };
        // what stands around the equals sign goes
        let rest = line.get(found.pair.value_at + found.pair.value.len()..).unwrap_or_default();
        head.set_value(id, &[name, b"=", value, rest].concat())?;
        changed += 1;
    }
    Ok(changed)
}

/// Puts a text in front of the value of every `Set-Cookie` of that name. How many there were.
pub fn prefix_set_cookie(head: &mut Head, name: &[u8], prefix: &[u8]) -> Result<usize, EditError> {
    let mut changed = 0;
    for id in lines(head, Tag::SetCookie) {
        let Some(line) = head.value(id) else { continue };
        let Some(found) = set_cookie(line).filter(|c| c.pair.name == name) else { continue };
        let (before, after) = line.split_at_checked(found.pair.value_at).unwrap_or((line, &[]));
        let out = [before, prefix, after].concat();
        head.set_value(id, &out)?;
        changed += 1;
    }
    Ok(changed)
}

/// Removes every `Set-Cookie` of that name. How many there were.
pub fn remove_set_cookie(head: &mut Head, name: &[u8]) -> usize {
    head.remove_if(|field, value| {
        Tag::of(field) == Tag::SetCookie && set_cookie(value).is_some_and(|c| c.pair.name == name)
    })
}

fn lines(head: &Head, tag: Tag) -> Vec<FieldId> {
    head.entries().filter(|e| e.tag == tag).map(|e| e.id).collect()
}

fn splice(out: &mut Vec<u8>, line: &[u8], from: &mut usize, pair: Pair<'_>, value: &[u8]) {
    out.extend_from_slice(line.get(*from..pair.value_at).unwrap_or_default());
    out.extend_from_slice(value);
    *from = pair.value_at + pair.value.len();
}

/// Any bytes as the cookies of a request and of an answer: after each edit what must be gone is gone, and
/// what is not meant is still there. For fuzzing.
#[doc(hidden)]
pub fn fuzz_cookies(bytes: &[u8]) {
    const NAME: &[u8] = b"S";
    let (mut req, mut res) = (Head::new(), Head::new());
    let started = req.start_request(b"GET", b"/", lighterman_wire::http::Version::V11).is_ok()
        && res.start_response(lighterman_wire::http::Version::V11, 200, b"OK").is_ok();
    let filled = req.add(b"cookie", bytes).is_ok() && res.add(b"set-cookie", bytes).is_ok();
    if !started || !filled {
        return;
    }
    let others = |head: &Head| -> Vec<(Vec<u8>, Vec<u8>)> {
        let kept = cookies(head).filter(|(name, _)| *name != NAME);
        kept.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    };
    let before = others(&req);
    let count = cookies(&req).count();
    // half of a quoted text would be another text
    let shrink = |value: &[u8]| match value.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        true => Fate::Stays,
        false => Fate::Loses(value.len().min(2)),
    };
    let _ = edit_cookies(&mut req, NAME, shrink);
    assert_eq!((others(&req), cookies(&req).count()), (before.clone(), count), "only values shrink");
    if edit_cookies(&mut req, NAME, |_| Fate::Goes).is_ok() {
        assert!(cookie(&req, NAME).is_none(), "it is gone");
        assert_eq!(others(&req), before, "the others stay");
    }
    let set = first_set_cookie(&res, NAME).map(<[u8]>::to_vec);
    if prefix_set_cookie(&mut res, NAME, b"c1~").is_ok() {
        let longer = set.map(|value| [b"c1~", value.as_slice()].concat());
        assert_eq!(first_set_cookie(&res, NAME), longer.as_deref(), "the prefix is in front");
    }
    if replace_set_cookie(&mut res, NAME, b"c2").is_ok() {
        assert!(set_cookies(&res).all(|(name, value)| name != NAME || value == b"c2"), "it has the value");
    }
    remove_set_cookie(&mut res, NAME);
    assert!(first_set_cookie(&res, NAME).is_none(), "it is gone");
}

//! Cookies of a head: found by name, cut out, rewritten. Called by fetches and by persistence.
//!
//! Names are compared with case (RFC 6265 5.4). Several lines of a field are walked as one list.

use lighterman_wire::http::cookie::{set_cookie, Pair, Pairs};
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

/// Decides on every request cookie of that name by its value; all other bytes stay as they are, and a line
/// that becomes empty goes. How many were changed.
pub fn edit_cookies(
    head: &mut Head,
    name: &[u8],
    mut fate: impl FnMut(&[u8]) -> Fate,
) -> Result<usize, EditError> {
    let mut changed = 0;
    for id in lines(head, Tag::Cookie) {
        let Some(line) = head.value(id) else { continue };
        let (mut out, mut from, mut here) = (Vec::with_capacity(line.len()), 0, 0);
        for pair in Pairs::new(line).filter(|pair| pair.name == name) {
            let (keep_to, go_on) = match fate(pair.value) {
                Fate::Stays => continue,
                Fate::Loses(bytes) => (pair.value_at, pair.value_at + bytes.min(pair.value.len())),
                // behind another cookie, the semicolon in front goes too; the first one takes that behind it
                Fate::Goes => (pair.span.0.saturating_sub(1), pair.span.1),
            };
            out.extend_from_slice(line.get(from..keep_to).unwrap_or_default());
            from = go_on;
            here += 1;
        }
        if here == 0 {
            continue;
        }
        out.extend_from_slice(line.get(from..).unwrap_or_default());
        let first = out.iter().take_while(|byte| matches!(byte, b';' | b' ' | b'\t')).count();
        match out.get(first..) {
            Some(left) if !left.is_empty() => head.set_value(id, left)?,
            _ => head.remove_field(id),
        }
        changed += here;
    }
    Ok(changed)
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
        let (mut out, mut from) = (Vec::with_capacity(line.len() + value.len()), 0);
        splice(&mut out, line, &mut from, found.pair, value);
        out.extend_from_slice(line.get(from..).unwrap_or_default());
        head.set_value(id, &out)?;
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
    let _ = edit_cookies(&mut req, NAME, |value| Fate::Loses(value.len().min(2)));
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

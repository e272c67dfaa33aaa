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

/// Cuts every request cookie of that name out; a line that becomes empty goes as well. How many were cut.
pub fn remove_cookie(head: &mut Head, name: &[u8]) -> Result<usize, EditError> {
    let mut cut = 0;
    for id in lines(head, Tag::Cookie) {
        let Some(value) = head.value(id) else { continue };
        let mut kept = Vec::with_capacity(value.len());
        let mut here = 0;
        for pair in Pairs::new(value) {
            if pair.name == name {
                here += 1;
                continue;
            }
            let text = value.get(pair.span.0..pair.span.1).unwrap_or_default();
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(lighterman_wire::scan::trim(text));
        }
        match here {
            0 => continue,
            _ if kept.is_empty() => head.remove_field(id),
            _ => head.set_value(id, &kept)?,
        }
        cut += here;
    }
    Ok(cut)
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

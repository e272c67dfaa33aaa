//! Changing a head: fields added, replaced, removed; start line rewritten.
//!
//! Called by rules and by the muxes. Nothing that would corrupt the message on the wire is let in: names
//! must be tokens, values free of CR, LF and NUL, targets free of spaces and controls. A refused edit
//! changes nothing.

use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::{self, Tag};
use lighterman_wire::http::uri::{self, Form, Layout};
use lighterman_wire::http::Version;
use lighterman_wire::scan::{trim, List};
use lighterman_wire::token;

use super::head::{Field, FieldId, Head, Mark, Span, Start};

/// Why an edit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// Not a field name (RFC 9110 5.1), or longer than 65535 bytes.
    BadName,
    /// CR, LF or NUL in a value, or controls in a reason phrase.
    BadValue,
    /// Not a method (RFC 9110 9.1).
    BadMethod,
    /// Not a request target, or not one that a request of this method can have.
    BadTarget,
    /// Not 100 to 999.
    BadStatus,
    /// The head is not of the kind that has this part.
    WrongKind,
    /// The head has reached its limit of bytes or fields.
    Full,
}

/// Most bytes of a head, received and added; added text that was replaced counts until the head is cleared.
const AREA_MAX: usize = 1 << 20;

/// Most fields of a head, removed ones included.
const FIELDS_MAX: usize = 4096;

impl Head {
    /// Begins a request that no parser made. The head is cleared first.
    pub fn start_request(&mut self, method: &[u8], target: &[u8], version: Version) -> Result<(), EditError> {
        self.clear();
        let kind = Method::of(method);
        let placed = place(kind, target)?;
        if !token::all(method, token::TOKEN) {
            return Err(EditError::BadMethod);
        }
        let method = self.store(method)?;
        let target = self.store(target)?;
        self.start = request(method, kind, target, placed);
        self.version = Some(version);
        self.seal();
        Ok(())
    }

    /// Begins a response that no parser made. The head is cleared first.
    pub fn start_response(&mut self, version: Version, status: u16, reason: &[u8]) -> Result<(), EditError> {
        self.clear();
        self.start = Start::Response { status, reason: Span::default() };
        let set = self.set_status(status, Some(reason));
        if set.is_err() {
            self.clear();
        }
        self.version = Some(version);
        self.seal();
        set
    }

    fn store(&mut self, bytes: &[u8]) -> Result<Span, EditError> {
        let at = self.area.len();
        if bytes.len() > AREA_MAX.saturating_sub(at) {
            return Err(EditError::Full);
        }
        self.area.extend_from_slice(bytes);
        Ok(Span::new(at, at + bytes.len()))
    }

    /// Appends a field at the end.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        if !name::is_valid(name) || name.len() > usize::from(u16::MAX) {
            return Err(EditError::BadName);
        }
        let value = clean(value)?;
        let at = self.area.len();
        if self.fields.len() >= FIELDS_MAX || name.len() + value.len() + 4 > AREA_MAX.saturating_sub(at) {
            return Err(EditError::Full);
        }
        for part in [name, b": ", value, b"\r\n"] {
            self.area.extend_from_slice(part);
        }
        let tag = Tag::of(name);
        self.seen |= tag.bit();
        // AREA_MAX and the check of the name make the casts exact.
        self.fields.push(Field {
            name_at: at as u32,
            value_at: (at + name.len() + 2) as u32,
            value_len: value.len() as u32,
            name_len: name.len() as u16,
            tag,
            mark: Mark::Line,
        });
        Ok(())
    }

    /// Removes every field of that name and appends one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        let before = self.fields.len();
        self.add(name, value)?;
        let tag = Tag::of(name);
        for i in 0..before {
            self.kill_if(i, |head, f| head.is_named(f, tag, name));
        }
        Ok(())
    }

    /// Removes every field of that name; how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let tag = Tag::of(name);
        if self.seen & tag.bit() == 0 {
            return 0;
        }
        (0..self.fields.len()).filter(|&i| self.kill_if(i, |head, f| head.is_named(f, tag, name))).count()
    }

    /// Removes every field with that tag; how many there were.
    pub fn remove_tag(&mut self, tag: Tag) -> usize {
        if self.seen & tag.bit() == 0 {
            return 0;
        }
        let mut removed = 0;
        for f in self.fields.iter_mut().filter(|f| f.tag == tag && f.mark != Mark::Dead) {
            f.mark = Mark::Dead;
            removed += 1;
        }
        removed
    }

    /// Removes every field for which `doomed(name, value)` holds; how many there were.
    pub fn remove_if(&mut self, mut doomed: impl FnMut(&[u8], &[u8]) -> bool) -> usize {
        (0..self.fields.len())
            .filter(|&i| {
                self.kill_if(i, |head, f| {
                    let name = Span { at: f.name_at, len: u32::from(f.name_len) };
                    f.mark != Mark::Dead && doomed(head.bytes(name), head.bytes(f.value()))
                })
            })
            .count()
    }

    /// Removes one field.
    pub fn remove_field(&mut self, id: FieldId) {
        self.kill_if(id.0 as usize, |_, _| true);
    }

    fn kill_if(&mut self, index: usize, mut doomed: impl FnMut(&Head, Field) -> bool) -> bool {
        let Some(field) = self.fields.get(index).copied() else { return false };
        let dead = doomed(self, field);
        if let (true, Some(field)) = (dead, self.fields.get_mut(index)) {
            field.mark = Mark::Dead;
        }
        dead
    }

    /// Gives one field another value, in its place.
    pub fn set_value(&mut self, id: FieldId, value: &[u8]) -> Result<(), EditError> {
        let span = self.store(clean(value)?)?;
        if let Some(f) = self.fields.get_mut(id.0 as usize).filter(|f| f.mark != Mark::Dead) {
            (f.value_at, f.value_len, f.mark) = (span.at, span.len, Mark::Parts);
        }
        Ok(())
    }

    /// Rewrites every line of a field in its place: `new(value, out)` writes the new value and returns
    /// whether there is one. How many lines changed.
    pub fn replace_lines(
        &mut self,
        name: &[u8],
        mut new: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<usize, EditError> {
        let tag = Tag::of(name);
        let (mut out, mut changed) = (Vec::new(), 0);
        for i in 0..self.fields.len() {
            let Some(field) = self.fields.get(i).copied() else { break };
            if !self.is_named(field, tag, name) {
                continue;
            }
            out.clear();
            if new(self.bytes(field.value()), &mut out) {
                self.set_value(FieldId(i as u32), &out)?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// Rewrites every comma-separated element of a field like [`Head::replace_lines`] does lines. The spaces around an
    /// element go with it when it is replaced, and stay when it is not.
    pub fn replace_values(
        &mut self,
        name: &[u8],
        mut new: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<usize, EditError> {
        let mut changed = 0;
        let mut element = Vec::new();
        self.replace_lines(name, |line, out| {
            let mut touched = false;
            for (i, value) in List::untrimmed(line).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                element.clear();
                if new(trim(value), &mut element) {
                    out.extend_from_slice(&element);
                    (touched, changed) = (true, changed + 1);
                } else {
                    out.extend_from_slice(value);
                }
            }
            touched
        })?;
        Ok(changed)
    }

    /// Changes the method.
    pub fn set_method(&mut self, text: &[u8]) -> Result<(), EditError> {
        let Start::Request { target, .. } = self.start else { return Err(EditError::WrongKind) };
        if !token::all(text, token::TOKEN) {
            return Err(EditError::BadMethod);
        }
        let kind = Method::of(text);
        let placed = place(kind, self.bytes(target))?;
        let method = self.store(text)?;
        self.start = request(method, kind, target, placed);
        self.line = Span::default();
        Ok(())
    }

    /// Changes the whole request target; one that names a host changes `Host` too (RFC 9112 3.2.2).
    pub fn set_uri(&mut self, text: &[u8]) -> Result<(), EditError> {
        self.retarget(text)?;
        if self.form() != Some(Form::Absolute) {
            return Ok(());
        }
        let host = self.authority().to_vec();
        let ids: Vec<FieldId> =
            self.entries().filter(|entry| entry.tag == Tag::Host).map(|entry| entry.id).collect();
        let Some((first, others)) = ids.split_first() else { return self.add(b"host", &host) };
        others.iter().for_each(|id| self.remove_field(*id));
        self.set_value(*first, &host)
    }

    fn retarget(&mut self, text: &[u8]) -> Result<(), EditError> {
        let Start::Request { method, kind, .. } = self.start else { return Err(EditError::WrongKind) };
        let placed = place(kind, text)?;
        let target = self.store(text)?;
        self.start = request(method, kind, target, placed);
        self.line = Span::default();
        Ok(())
    }

    /// Changes the path; scheme, authority and query stay.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), EditError> {
        let (old, _) = uri::split_query(self.pathq());
        let rest = self.pathq().get(old.len()..).unwrap_or_default();
        let text = [path, rest].concat();
        self.set_pathq(&text)
    }

    /// Changes path and query; scheme and authority stay.
    pub fn set_pathq(&mut self, pathq: &[u8]) -> Result<(), EditError> {
        let uri = self.uri();
        let before = uri.len() - self.pathq().len();
        let text = [uri.get(..before).unwrap_or_default(), pathq].concat();
        self.retarget(&text)
    }

    /// Changes the query, given without `?`; an empty one removes the `?` as well.
    pub fn set_query(&mut self, query: &[u8]) -> Result<(), EditError> {
        let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
        let text = [uri::split_query(self.pathq()).0, mark, query].concat();
        self.set_pathq(&text)
    }

    /// Changes the status, and the reason; without one it becomes the usual phrase of the code.
    pub fn set_status(&mut self, code: u16, text: Option<&[u8]>) -> Result<(), EditError> {
        if !matches!(self.start, Start::Response { .. }) {
            return Err(EditError::WrongKind);
        }
        if !(100..=999).contains(&code) {
            return Err(EditError::BadStatus);
        }
        let text = text.unwrap_or(lighterman_wire::http::status::reason(code).as_bytes());
        if !text.iter().all(|&b| token::is(b, token::FIELD)) {
            return Err(EditError::BadValue);
        }
        let reason = self.store(text)?;
        self.start = Start::Response { status: code, reason };
        self.line = Span::default();
        Ok(())
    }

    /// Changes the version the head is written as.
    pub fn set_version(&mut self, version: Version) {
        if self.version != Some(version) || self.foreign.len > 0 {
            self.version = Some(version);
            self.foreign = Span::default();
            self.line = Span::default();
        }
    }
}

fn clean(value: &[u8]) -> Result<&[u8], EditError> {
    match memchr::memchr3(b'\r', b'\n', 0, value) {
        None => Ok(trim(value)),
        Some(_) => Err(EditError::BadValue),
    }
}

fn place(kind: Method, target: &[u8]) -> Result<Layout, EditError> {
    if !token::all(target, token::URI_LOOSE) {
        return Err(EditError::BadTarget);
    }
    if kind == Method::Connect {
        let end = target.len();
        return Ok(Layout { form: Form::Authority, authority: (0, end), path: end });
    }
    let found = uri::layout(target).ok_or(EditError::BadTarget)?;
    match found.form {
        Form::Asterisk if kind != Method::Options => Err(EditError::BadTarget),
        _ => Ok(found),
    }
}

fn request(method: Span, kind: Method, target: Span, placed: Layout) -> Start {
    let authority = (placed.authority.0 as u32, placed.authority.1 as u32);
    Start::Request { method, kind, target, form: placed.form, authority, path: placed.path as u32 }
}

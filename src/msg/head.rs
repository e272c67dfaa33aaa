//! One HTTP message head that owns its bytes: start line and an index of fields over one area.
//!
//! Made by `parse` from a receive buffer with a single copy, or field by field (`start_request`,
//! `start_response`, `add`); edited by rules; encoded by the mux of the other side. Added bytes go behind
//! the received ones in the same area, removed fields stay as dead index entries, so an edit never moves
//! what is there. Runs of untouched lines are written as one piece. [`Head::clear`] keeps the memory for
//! the next message.

use lighterman_wire::http::method::Method;
use lighterman_wire::http::name::Tag;
use lighterman_wire::http::uri::{self, Form};
use lighterman_wire::http::Version;
use lighterman_wire::scan::List;
use smallvec::SmallVec;

use super::parse::Scan;

/// A piece of the head's area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Span {
    /// Offsets are below the head limit, which is far below `u32::MAX`.
    pub(super) fn new(at: usize, end: usize) -> Span {
        Span { at: at as u32, len: end.saturating_sub(at) as u32 }
    }

    pub(super) fn end(self) -> u32 {
        self.at + self.len
    }
}

/// Whether a field is written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The area holds `name: value CR LF` in exactly this form.
    Line,
    /// Name and value are apart, or the line was not in plain form.
    Parts,
    /// Removed.
    Dead,
}

/// An index entry: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name_at: u32,
    pub(super) value_at: u32,
    pub(super) value_len: u32,
    pub(super) name_len: u16,
    pub(super) tag: Tag,
    pub(super) mark: Mark,
}

impl Field {
    fn name(self) -> Span {
        Span { at: self.name_at, len: u32::from(self.name_len) }
    }

    pub(super) fn value(self) -> Span {
        Span { at: self.value_at, len: self.value_len }
    }
}

/// The start line, in values and spans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Start {
    #[default]
    None,
    Request {
        method: Span,
        kind: Method,
        target: Span,
        form: Form,
        /// Offsets within the target.
        authority: (u32, u32),
        path: u32,
    },
    Response {
        status: u16,
        reason: Span,
    },
}

/// Names a field of a head until fields are removed by clearing the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldId(pub(super) u32);

/// One field as [`Head::entries`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name for edits.
    pub id: FieldId,
    /// What field it is.
    pub tag: Tag,
    /// As received or added, any case.
    pub name: &'a [u8],
    /// Without white space around it.
    pub value: &'a [u8],
}

/// A message head; see the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub(super) area: Vec<u8>,
    pub(super) fields: Vec<Field>,
    /// Tags that were ever added since the last clear: a clear bit proves absence.
    pub(super) seen: u64,
    pub(super) start: Start,
    /// The start line as received, line end included, while nothing of it was edited.
    pub(super) line: Span,
    pub(super) version: Option<Version>,
    /// Text of the version when it is another protocol's.
    pub(super) foreign: Span,
    pub(super) scan: Scan,
}

/// Areas above this size are given back by [`Head::clear`].
const AREA_KEPT: usize = 16 * 1024;

impl Head {
    /// An empty head; allocates at the first message.
    pub fn new() -> Head {
        Head::default()
    }

    /// Forgets the message and keeps the memory.
    pub fn clear(&mut self) {
        self.area.clear();
        if self.area.capacity() > AREA_KEPT {
            self.area = Vec::new();
        }
        self.fields.clear();
        self.seen = 0;
        self.start = Start::None;
        self.line = Span::default();
        self.version = None;
        self.foreign = Span::default();
        self.scan = Scan::default();
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        matches!(self.start, Start::None)
    }

    /// Whether this is a request (a head without message is none).
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    #[inline]
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.area.get(span.at as usize..span.end() as usize).unwrap_or_default()
    }

    /// The method's text; empty for responses.
    pub fn method(&self) -> &[u8] {
        match self.start {
            Start::Request { method, .. } => self.bytes(method),
            _ => &[],
        }
    }

    /// The method; [`Method::Other`] for responses.
    pub fn method_kind(&self) -> Method {
        match self.start {
            Start::Request { kind, .. } => kind,
            _ => Method::Other,
        }
    }

    /// The request target as it stands; empty for responses.
    pub fn uri(&self) -> &[u8] {
        match self.start {
            Start::Request { target, .. } => self.bytes(target),
            _ => &[],
        }
    }

    /// The shape of the request target.
    pub fn form(&self) -> Option<Form> {
        match self.start {
            Start::Request { form, .. } => Some(form),
            _ => None,
        }
    }

    /// `host[:port]` of an absolute or CONNECT target; empty otherwise.
    pub fn authority(&self) -> &[u8] {
        match self.start {
            Start::Request { authority: (from, to), .. } => {
                self.uri().get(from as usize..to as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// The scheme of an absolute target, as written; empty otherwise.
    pub fn scheme(&self) -> &[u8] {
        match self.start {
            Start::Request { form: Form::Absolute, authority: (from, _), .. } => {
                self.uri().get(..(from as usize).saturating_sub(3)).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// Path and query: the target from its first slash; `*` for the asterisk form.
    pub fn pathq(&self) -> &[u8] {
        match self.start {
            Start::Request { path, .. } => self.uri().get(path as usize..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The path, without query; empty for the asterisk form.
    pub fn path(&self) -> &[u8] {
        match self.form() {
            Some(Form::Asterisk) => &[],
            _ => uri::split_query(self.pathq()).0,
        }
    }

    /// What follows `?`; `None` without `?`, empty when nothing follows.
    pub fn query(&self) -> Option<&[u8]> {
        uri::split_query(self.pathq()).1
    }

    /// The version the message came in, or is to be written as.
    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version::V11)
    }

    /// Text of the version: `HTTP/1.1`, or another protocol's where violations are accepted.
    pub fn version_text(&self) -> &[u8] {
        if self.foreign.len > 0 {
            return self.bytes(self.foreign);
        }
        self.version().name().as_bytes()
    }

    /// The status code; 0 for requests.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Response { status, .. } => status,
            _ => 0,
        }
    }

    /// The reason phrase; empty for requests.
    pub fn reason(&self) -> &[u8] {
        match self.start {
            Start::Response { reason, .. } => self.bytes(reason),
            _ => &[],
        }
    }

    /// All fields in order, with what edits need.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        self.fields.iter().enumerate().filter(|(_, f)| f.mark != Mark::Dead).map(|(i, f)| Entry {
            id: FieldId(i as u32),
            tag: f.tag,
            name: self.bytes(f.name()),
            value: self.bytes(f.value()),
        })
    }

    /// The value of one field, unless it was removed.
    pub fn value(&self, id: FieldId) -> Option<&[u8]> {
        let field = self.fields.get(id.0 as usize).filter(|f| f.mark != Mark::Dead)?;
        Some(self.bytes(field.value()))
    }

    /// All fields in order: name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
        self.entries().map(|e| (e.name, e.value))
    }

    /// Number of fields.
    pub fn field_count(&self) -> usize {
        self.fields.iter().filter(|f| f.mark != Mark::Dead).count()
    }

    /// Whether a field with this tag is there.
    #[inline]
    pub fn has(&self, tag: Tag) -> bool {
        self.seen & tag.bit() != 0 && self.fields.iter().any(|f| f.tag == tag && f.mark != Mark::Dead)
    }

    /// The values of a known field, whole lines, in order.
    #[inline]
    pub fn tagged(&self, tag: Tag) -> impl DoubleEndedIterator<Item = &[u8]> + '_ {
        let fields = if self.seen & tag.bit() == 0 { &[][..] } else { &self.fields[..] };
        fields.iter().filter(move |f| f.tag == tag && f.mark != Mark::Dead).map(|f| self.bytes(f.value()))
    }

    #[inline]
    pub(super) fn is_named(&self, field: Field, tag: Tag, name: &[u8]) -> bool {
        field.mark != Mark::Dead
            && field.tag == tag
            && (tag != Tag::Other || self.bytes(field.name()).eq_ignore_ascii_case(name))
    }

    /// The values of a field, whole lines, in order; the name in any case.
    pub fn values<'a, 'n>(
        &'a self,
        name: &'n [u8],
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 'n> {
        let tag = Tag::of(name);
        let fields = if self.seen & tag.bit() == 0 { &[][..] } else { &self.fields[..] };
        fields.iter().filter(move |f| self.is_named(**f, tag, name)).map(|f| self.bytes(f.value()))
    }

    /// The first value of a field.
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The elements of a field over all its lines, split at commas outside quotes, trimmed.
    ///
    /// A line with an empty value gives one empty element, as rules that count values expect.
    pub fn comma_values<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.values(name).flat_map(List::new)
    }

    /// Gives the encoded head in pieces, in order: as few and as long as edits allow.
    pub fn each_piece(&self, mut piece: impl FnMut(&[u8])) {
        let mut run = self.line;
        if run.len == 0 {
            self.start_line(&mut piece);
        }
        for f in &self.fields {
            match f.mark {
                Mark::Dead => {}
                Mark::Line => {
                    let end = f.value_at + f.value_len + 2;
                    if run.len > 0 && run.end() == f.name_at {
                        run.len = end - run.at;
                    } else {
                        self.flush(run, &mut piece);
                        run = Span { at: f.name_at, len: end - f.name_at };
                    }
                }
                Mark::Parts => {
                    self.flush(run, &mut piece);
                    run = Span::default();
                    piece(self.bytes(f.name()));
                    piece(b": ");
                    piece(self.bytes(f.value()));
                    piece(b"\r\n");
                }
            }
        }
        self.flush(run, &mut piece);
        piece(b"\r\n");
    }

    fn flush(&self, run: Span, piece: &mut impl FnMut(&[u8])) {
        if run.len > 0 {
            piece(self.bytes(run));
        }
    }

    fn start_line(&self, piece: &mut impl FnMut(&[u8])) {
        // HTTP/2 heads leave as HTTP/1.1.
        let version = match self.version() {
            Version::V20 => Version::V11.name().as_bytes(),
            _ => self.version_text(),
        };
        match self.start {
            Start::Request { method, target, .. } => {
                for part in [self.bytes(method), b" ", self.bytes(target), b" ", version, b"\r\n"] {
                    piece(part);
                }
            }
            Start::Response { status, reason } => {
                let digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|d| b'0' + d as u8);
                for part in [version, b" ", &digits[..], b" ", self.bytes(reason), b"\r\n"] {
                    piece(part);
                }
            }
            Start::None => {}
        }
    }

    /// Bytes that [`Head::encode`] will write.
    pub fn encoded_len(&self) -> usize {
        let mut len = 0;
        self.each_piece(|p| len += p.len());
        len
    }

    /// It is longer than that as HTTP/1 text. Cheap while little was edited.
    pub fn exceeds(&self, limit: usize) -> bool {
        // text that was replaced counts for the area, but not for the head
        self.area.len() > limit && self.encoded_len() > limit
    }

    /// Appends the head as HTTP/1 text.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.each_piece(|p| out.extend_from_slice(p));
    }

    /// Writes the head as HTTP/1 text to the front of `out`; `None` (with `out` spoiled) when it is too small.
    pub fn encode_into(&self, out: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        let mut fits = true;
        self.each_piece(|p| {
            match out.get_mut(at..at + p.len()) {
                Some(room) if fits => room.copy_from_slice(p),
                _ => fits = false,
            }
            at += p.len();
        });
        fits.then_some(at)
    }

    /// The lines of a field, joined with `, `: for places that want one text.
    pub fn joined(&self, name: &[u8]) -> Option<SmallVec<[u8; 64]>> {
        let mut values = self.values(name);
        let mut text = SmallVec::from_slice(values.next()?);
        for value in values {
            text.extend_from_slice(b", ");
            text.extend_from_slice(value);
        }
        Some(text)
    }
}

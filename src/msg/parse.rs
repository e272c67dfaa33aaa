//! Parsing a head out of a receive buffer: one pass, resumable, one copy at the end.
//!
//! Called by the h1 mux with the front of its buffer each time bytes came in. What was understood stays in
//! the index, so that a head arriving byte by byte costs no more than one arriving whole. The hot path of
//! the program: no allocation once the head has been used before.

use lighterman_wire::error::{Malformed, Parse, What};
use lighterman_wire::h1::{headers, request_line, status_line, Protocol, Violations};
use lighterman_wire::scan::{line_end, LineEnd, Nul};
use lighterman_wire::token;

use super::head::{Field, Head, Mark, Span, Start};

/// Limits and rigour of one parse.
#[derive(Clone, Copy, Debug)]
pub struct ParseOpts {
    /// Longest head in bytes: `tune.bufsize` less `tune.maxrewrite`.
    pub head_max: usize,
    /// Most fields: `tune.http.maxhdr`.
    pub fields_max: usize,
    /// What happens to bytes the RFCs forbid.
    pub violations: Violations,
}

impl Default for ParseOpts {
    fn default() -> Self {
        ParseOpts { head_max: 16_384 - 1024, fields_max: 101, violations: Violations::Refuse }
    }
}

/// Where a parse that needs more bytes goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    stage: Stage,
    /// Start of the line that is not complete.
    line: u32,
    /// First byte not looked at.
    seek: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    Fields,
    /// Complete, refused, or built by hand: the next parse begins a new message.
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

impl Head {
    /// Parses a request head at the front of `bytes`.
    ///
    /// After `Need`, call again with the same bytes and more behind them. `Done` says how many bytes the
    /// head used, empty lines before it included (RFC 9112 2.2); the head then owns a copy. A head that
    /// holds a message forgets it first.
    pub fn parse_request(&mut self, bytes: &[u8], opts: &ParseOpts) -> Parse<()> {
        self.parse(bytes, opts, Side::Request)
    }

    /// Parses a response head at the front of `bytes`, like [`Head::parse_request`].
    pub fn parse_response(&mut self, bytes: &[u8], opts: &ParseOpts) -> Parse<()> {
        self.parse(bytes, opts, Side::Response)
    }

    /// Marks the message as complete: set by builders, so that a later parse starts afresh.
    pub(super) fn seal(&mut self) {
        self.scan.stage = Stage::Over;
    }

    fn parse(&mut self, bytes: &[u8], opts: &ParseOpts, side: Side) -> Parse<()> {
        if self.scan.stage == Stage::Over {
            self.clear();
        }
        let window = bytes.get(..opts.head_max).unwrap_or(bytes);
        match self.lines(window, opts, side) {
            Ok(Some(used)) => {
                self.area.extend_from_slice(window.get(..used).unwrap_or_default());
                self.seal();
                Parse::Done((), used)
            }
            Ok(None) if bytes.len() < opts.head_max => Parse::Need,
            Ok(None) => self.refuse(Malformed::new(What::HeadTooLarge, opts.head_max)),
            Err(why) => self.refuse(why),
        }
    }

    #[cold]
    fn refuse(&mut self, why: Malformed) -> Parse<()> {
        self.clear();
        self.seal();
        Parse::Bad(why)
    }

    fn lines(&mut self, window: &[u8], opts: &ParseOpts, side: Side) -> Result<Option<usize>, Malformed> {
        let nul = match opts.violations {
            Violations::Refuse => Nul::Refuse,
            Violations::Accept => Nul::Accept,
        };
        let mut line_at = self.scan.line as usize;
        let mut seek = self.scan.seek as usize;
        loop {
            let (end, next) = match line_end(window, seek, nul) {
                LineEnd::Found { end, next } => (end, next),
                LineEnd::Need(at) => {
                    self.scan.line = line_at as u32;
                    self.scan.seek = at as u32;
                    if self.scan.stage == Stage::Start {
                        plausible(window.get(line_at..).unwrap_or_default(), side, opts, line_at)?;
                    }
                    return Ok(None);
                }
                LineEnd::Bad(what, at) => {
                    if self.scan.stage == Stage::Start {
                        plausible(window.get(line_at..).unwrap_or_default(), side, opts, line_at)?;
                    }
                    return Err(Malformed::new(what, at));
                }
            };
            let line = window.get(line_at..end).unwrap_or_default();
            if self.scan.stage == Stage::Fields {
                if line.is_empty() {
                    return Ok(Some(next));
                }
                self.field(line, line_at, next, opts)?;
            } else if !line.is_empty() || side == Side::Response {
                match side {
                    Side::Request => self.request_line(line, line_at, next, opts)?,
                    Side::Response => self.response_line(line, line_at, next, opts)?,
                }
                self.scan.stage = Stage::Fields;
            }
            line_at = next;
            seek = next;
        }
    }

    #[inline]
    fn field(&mut self, line: &[u8], at: usize, next: usize, opts: &ParseOpts) -> Result<(), Malformed> {
        let found = match headers::parse(line, opts.violations) {
            Ok(found) => found,
            Err(why) => {
                let first = self.fields.is_empty() && why.what == What::ObsFold;
                let what = if first { What::LeadingSpace } else { why.what };
                return Err(Malformed::new(what, at + why.at));
            }
        };
        if self.fields.len() >= opts.fields_max {
            return Err(Malformed::new(What::TooManyFields, at));
        }
        let plain = found.value.0 == found.name_end + 2
            && found.value.1 == line.len()
            && next == at + line.len() + 2
            && line.get(found.name_end + 1) == Some(&b' ');
        self.seen |= found.tag.bit();
        // The window is at most `head_max` long and names at most `NAME_MAX`: the casts lose nothing.
        self.fields.push(Field {
            name_at: at as u32,
            value_at: (at + found.value.0) as u32,
            value_len: (found.value.1 - found.value.0) as u32,
            name_len: found.name_end as u16,
            tag: found.tag,
            mark: if plain { Mark::Line } else { Mark::Parts },
        });
        Ok(())
    }

    fn request_line(
        &mut self,
        line: &[u8],
        at: usize,
        next: usize,
        opts: &ParseOpts,
    ) -> Result<(), Malformed> {
        let found = request_line::parse(line, opts.violations).map_err(|e| shift(e, at))?;
        self.start = Start::Request {
            method: Span::new(at, at + found.method_end),
            kind: found.method,
            target: Span::new(at + found.target.0, at + found.target.1),
            form: found.layout.form,
            authority: (found.layout.authority.0 as u32, found.layout.authority.1 as u32),
            path: found.layout.path as u32,
        };
        self.protocol(found.protocol, line, at, next, (found.version_at, line.len()));
        Ok(())
    }

    fn response_line(
        &mut self,
        line: &[u8],
        at: usize,
        next: usize,
        opts: &ParseOpts,
    ) -> Result<(), Malformed> {
        let found = status_line::parse(line, opts.violations).map_err(|e| shift(e, at))?;
        let reason = Span::new(at + found.reason_at, at + line.len());
        self.start = Start::Response { status: found.status, reason };
        self.protocol(found.protocol, line, at, next, (0, found.version_end));
        if reason.len == 0 {
            // Written with the space that RFC 9112 4 asks for even before an empty reason.
            self.line = Span::default();
        }
        Ok(())
    }

    fn protocol(&mut self, found: Protocol, line: &[u8], at: usize, next: usize, text: (usize, usize)) {
        let exact = match found {
            Protocol::Http(version) => {
                self.version = Some(version);
                line.get(text.0..text.1) == Some(version.name().as_bytes())
            }
            Protocol::Foreign => {
                self.foreign = Span::new(at + text.0, at + text.1);
                true
            }
        };
        if exact && next == at + line.len() + 2 {
            self.line = Span::new(at, next);
        }
    }
}

fn shift(why: Malformed, by: usize) -> Malformed {
    Malformed::new(why.what, why.at + by)
}

/// Longest prefix looked at again for each arriving piece of a start line.
const PLAUSIBLE_MAX: usize = 24;

/// Refuses at once what can never become a start line: a TLS hello, a greeting of another protocol.
fn plausible(line: &[u8], side: Side, opts: &ParseOpts, at: usize) -> Result<(), Malformed> {
    let line = line.get(..PLAUSIBLE_MAX).unwrap_or(line);
    match side {
        Side::Request => {
            let end = token::prefix(line, token::TOKEN);
            match line.get(end) {
                // What a CR means, the search for the line's end knows.
                None | Some(b'\r') => Ok(()),
                Some(b' ') if end > 0 => Ok(()),
                Some(_) => Err(Malformed::new(What::Method, at + end)),
            }
        }
        // Other protocols' names may stand there when violations are accepted.
        Side::Response if opts.violations == Violations::Accept => Ok(()),
        Side::Response => match line.iter().zip(b"HTTP/").position(|(a, b)| a != b) {
            Some(_) => Err(Malformed::new(What::Version, at)),
            None => Ok(()),
        },
    }
}

/// Parses any bytes as both kinds of head, strictly and loosely, whole and byte by byte. For fuzzing.
///
/// Checks that arrival makes no difference and that what was understood is written so that it is
/// understood the same again.
pub fn fuzz_h1_head(bytes: &[u8]) {
    for violations in [Violations::Refuse, Violations::Accept] {
        let opts = ParseOpts { head_max: 4096, fields_max: 32, violations };
        for side in [Side::Request, Side::Response] {
            check(bytes, &opts, side);
        }
    }
}

fn check(bytes: &[u8], opts: &ParseOpts, side: Side) {
    let mut whole = Head::new();
    let outcome = whole.parse(bytes, opts, side);
    let mut single = Head::new();
    let mut slow = Parse::Need;
    for n in 0..=bytes.len() {
        slow = single.parse(bytes.get(..n).unwrap_or_default(), opts, side);
        if slow != Parse::Need {
            break;
        }
    }
    match (outcome, slow) {
        (Parse::Bad(_), Parse::Bad(_)) => return,
        (a, b) => assert_eq!(a, b, "arrival changes the outcome"),
    }
    if outcome == Parse::Need {
        return;
    }
    assert!(whole.fields().eq(single.fields()), "arrival changes the fields");
    let mut text = Vec::new();
    whole.encode(&mut text);
    assert_eq!(text.len(), whole.encoded_len());
    let roomy = ParseOpts { head_max: text.len() + 1, ..*opts };
    let mut again = Head::new();
    assert_eq!(again.parse(&text, &roomy, side), Parse::Done((), text.len()), "own text is refused");
    assert!(whole.fields().eq(again.fields()), "own text has other fields");
    assert_eq!((whole.method(), whole.uri(), whole.status()), (again.method(), again.uri(), again.status()));
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(text, twice, "writing is not stable");
    let method = whole.method_kind();
    let decide = |head: &mut Head| match side {
        Side::Request => super::framing::request(head, opts.violations),
        Side::Response => super::framing::response(head, method, opts.violations),
    };
    let framing = decide(&mut whole);
    super::hop::strip(&mut whole);
    let mut stripped = Vec::new();
    whole.encode(&mut stripped);
    // Framing may have added a Host.
    let roomy = ParseOpts { head_max: stripped.len() + 1, fields_max: opts.fields_max + 1, ..*opts };
    assert!(again.parse(&stripped, &roomy, side).done().is_some(), "an edited head is refused");
    if let Ok(framing) = framing {
        let next = decide(&mut again).map(|f| f.body);
        assert_eq!(next, Ok(framing.body), "the next program sees another length");
    }
}

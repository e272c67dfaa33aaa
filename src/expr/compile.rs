//! Text to [`Expr`]: a fetch, then converters, checked and resolved at load time.
//!
//! Called by conditions, log-format strings and every keyword that takes an expression. Names of other
//! sections, files and variables are resolved through [`Names`], which knows the whole configuration
//! before the first line is compiled. Errors carry the place within the text.

use crate::base::ids::{ProxyId, ServerId};
use crate::lang::args::{self, Trouble};
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::{parse_time_us, Unit, Word, Words};

use super::acl::Acls;
use super::args::{Arg, Args, Kind};
use super::cast;
use super::conv::{self, Conv};
use super::fetch::{self, Fetch, Needs, Point};
use super::known;
use super::map::Maps;
use super::pattern::net;
use super::sample::{Got, Sample, Ty};
use super::vars::Var;
use super::view::Facts;

/// What the rest of the configuration is called. Implemented by the loader, which has read the names of
/// all sections, servers and user lists before it compiles the first expression.
pub trait Names {
    /// The frontend of this name.
    fn frontend(&self, name: &str) -> Option<ProxyId>;
    /// The backend of this name.
    fn backend(&self, name: &str) -> Option<ProxyId>;
    /// The server of a backend.
    fn server(&self, backend: ProxyId, name: &str) -> Option<ServerId>;
    /// The section of this name that holds a stick table.
    fn table(&self, name: &str) -> Option<ProxyId>;
    /// The section holds a stick table.
    fn has_table(&self, _id: ProxyId) -> bool {
        false
    }
    /// The place of a section's stick table among all.
    fn table_place(&self, _id: ProxyId) -> Option<u16> {
        None
    }
    /// What keys of the table of a section are made of; `None`: not known.
    fn table_type(&self, _id: ProxyId) -> Option<Ty> {
        None
    }
    /// The user list of this name.
    fn userlist(&self, name: &str) -> Option<u32>;
    /// The number of a variable, made when it is new.
    fn var(&mut self, text: &str) -> Result<Var, String>;
    /// The content of a file named in the configuration.
    fn file(&mut self, path: &str) -> Result<Vec<u8>, String>;
    /// The same, `None` when there is no such file.
    fn file_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        self.file(path).map(Some)
    }
    /// Maps and ACL files read so far.
    fn maps(&mut self) -> &mut Maps;
    /// The page that an `http-errors` section has for a status, head and body.
    fn page(&self, group: &str, _status: u16) -> Result<Option<(Vec<u8>, Vec<u8>)>, String> {
        Err(format!("there is no http-errors section \"{group}\""))
    }
    /// The slot that was set aside for the rule at hand, which captures into one of its own.
    fn next_capture(&mut self) -> Option<u32> {
        None
    }
    /// How many slots the frontend has; `None`: the section is no frontend, which one it will be is not known.
    fn captures(&self, _response: bool) -> Option<u32> {
        None
    }
    /// Whether a section is a frontend, and whether it is a backend.
    fn capable(&self, _section: ProxyId) -> (bool, bool) {
        (true, true)
    }
    /// Environment variable.
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
    /// Names that exist, for suggestions: backends.
    fn backends(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Everything compiling needs: names, the place of use, the section's ACLs.
pub struct ParseCx<'c> {
    /// Names of the configuration.
    pub names: &'c mut dyn Names,
    /// ACLs of the section, all of them, declared before or after the line at hand.
    pub acls: &'c Acls,
    /// The moment at which the expression will be evaluated.
    pub point: Point,
    /// The section at hand.
    pub proxy: ProxyId,
    /// What should be said without refusing the line.
    pub warnings: Vec<Diag>,
}

/// What is wrong with an expression, and where in its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// First byte it is about.
    pub at: usize,
    /// Bytes it is about.
    pub len: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Flaw {
    /// A flaw at a place.
    pub fn new(at: usize, len: usize, what: impl Into<String>) -> Self {
        Flaw { at, len, what: what.into(), help: None }
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// The diagnostic, when the text is that of `word` from byte `offset` on.
    pub fn in_word(self, word: &Word, offset: usize) -> Diag {
        let diag = word.err_at(offset + self.at, self.len, self.what);
        match self.help {
            Some(help) => diag.help(help),
            None => diag,
        }
    }
}

impl From<Trouble> for Flaw {
    fn from(t: Trouble) -> Self {
        Flaw::new(t.at, t.len, t.what)
    }
}

/// A compiled expression.
pub struct Expr {
    fetch: &'static Fetch,
    args: Args,
    convs: Box<[ConvStep]>,
    out: Ty,
}

struct ConvStep {
    conv: &'static Conv,
    args: Args,
}

impl Expr {
    /// The type it yields.
    pub fn ty(&self) -> Ty {
        self.out
    }

    /// What must be there to evaluate it.
    pub fn needs(&self) -> Needs {
        self.fetch.needs
    }

    /// The row of its fetch.
    pub fn fetch(&self) -> &'static Fetch {
        self.fetch
    }

    /// True when it is a fetch alone.
    pub fn is_plain(&self) -> bool {
        self.convs.is_empty()
    }

    /// True when it always yields the same text.
    pub fn is_constant(&self) -> bool {
        self.fetch.kw == "str" && self.is_plain()
    }

    /// Its value now.
    #[inline]
    pub fn eval<'a>(&'a self, facts: &Facts<'a>) -> Got<'a> {
        match (self.fetch.eval)(facts, &self.args) {
            Got::Some(s) => self.convert(s, facts).into(),
            Got::SoFar(s) => match self.convert(s, facts) {
                Some(s) if facts.last => Got::Some(s),
                Some(s) => Got::SoFar(s),
                None if facts.last => Got::None,
                None => Got::NotYet,
            },
            Got::NotYet if !facts.last => Got::NotYet,
            Got::None | Got::NotYet => Got::None,
        }
    }

    /// Its value now as another type.
    pub fn eval_as<'a>(&'a self, facts: &Facts<'a>, to: Ty) -> Got<'a> {
        match self.eval(facts) {
            Got::Some(s) => cast::cast(s, to).into(),
            Got::SoFar(s) => cast::cast(s, to).map_or(Got::None, Got::SoFar),
            other => other,
        }
    }

    /// Hands every value of a fetch that has several (header fields, cookies) to `each` until it says
    /// true. Returns true when the values may still change.
    pub fn each<'a>(&'a self, facts: &Facts<'a>, each: &mut dyn FnMut(Sample<'a>) -> bool) -> bool {
        let Some(walk) = self.fetch.each else {
            return match self.eval(facts) {
                Got::Some(s) => {
                    each(s);
                    false
                }
                Got::SoFar(s) => !each(s),
                Got::NotYet => true,
                Got::None => false,
            };
        };
        walk(facts, &self.args, &mut |s| self.convert(s, facts).is_some_and(&mut *each));
        false
    }

    /// Appends its value as text. False when there is none.
    pub fn write<'a>(&'a self, facts: &Facts<'a>, out: &mut Vec<u8>) -> bool {
        match self.eval(facts).now() {
            Some(s) => {
                s.write_text(out);
                true
            }
            None => false,
        }
    }

    #[inline]
    fn convert<'a>(&'a self, mut s: Sample<'a>, facts: &Facts<'a>) -> Option<Sample<'a>> {
        for step in &self.convs {
            s = (step.conv.eval)(cast::cast(s, step.conv.from)?, &step.args, facts)?;
        }
        Some(s)
    }
}

/// Compiles the expression that begins at byte `from`; returns it and the first byte behind it.
pub fn expr(text: &str, from: usize, cx: &mut ParseCx<'_>) -> Result<(Expr, usize), Flaw> {
    let call = args::call(text, from)?;
    if call.name.is_empty() {
        let found =
            text.get(from..).and_then(|t| t.chars().next()).map_or("nothing".into(), |c| format!("\"{c}\""));
        return Err(Flaw::new(from, 1, format!("expected a sample fetch, found {found}")));
    }
    let fetch = find_fetch(&call, cx)?;
    let args = arguments(&call, fetch.min, fetch.args, cx)?;
    let args = checked(&call, args, fetch.check, cx)?;
    let mut made = Expr { fetch, args, convs: Box::default(), out: fetch.out };
    let mut steps = Vec::new();
    let mut at = call.end;
    while text.as_bytes().get(at) == Some(&b',') {
        at = converter(text, at + 1, &mut made.out, &mut steps, cx)?;
    }
    made.convs = steps.into();
    Ok((made, at))
}

/// Compiles one converter at byte `from`; returns the first byte behind it.
fn converter(
    text: &str,
    from: usize,
    ty: &mut Ty,
    steps: &mut Vec<ConvStep>,
    cx: &mut ParseCx<'_>,
) -> Result<usize, Flaw> {
    let call = args::call(text, from)?;
    if call.name.is_empty() {
        return Err(Flaw::new(from, 1, "expected a converter after the comma"));
    }
    let Some(conv) = conv::find(call.name) else {
        if known::is_known(known::CONVERTERS, call.name) {
            return Err(not_yet("converter", from, call.name));
        }
        let known = conv::all().map(|c| c.kw);
        return Err(Flaw::new(from, call.name.len(), format!("unknown converter \"{}\"", call.name))
            .help(suggest::did_you_mean(call.name, known)));
    };
    if steps.len() >= STEPS_MAX {
        return Err(Flaw::new(from, call.name.len(), format!("more than {STEPS_MAX} converters")));
    }
    if !cast::possible(*ty, conv.from) {
        return Err(Flaw::new(
            from,
            call.name.len(),
            format!(
                "converter \"{}\" takes {}, but what comes in is {}",
                conv.kw,
                conv.from.name(),
                ty.name()
            ),
        ));
    }
    let args = arguments(&call, conv.min, conv.args, cx)?;
    let args = checked(&call, args, conv.check, cx)?;
    if conv.to != Ty::Same {
        *ty = conv.to;
    }
    steps.push(ConvStep { conv, args });
    Ok(call.end)
}

fn not_yet(kind: &str, at: usize, name: &str) -> Flaw {
    Flaw::new(at, name.len(), format!("the {kind} \"{name}\" is known, not supported yet"))
}

fn find_fetch(call: &args::Call<'_>, cx: &ParseCx<'_>) -> Result<&'static Fetch, Flaw> {
    let Some(fetch) = fetch::find(call.name, cx.point) else {
        if known::is_known(known::FETCHES, call.name) {
            return Err(not_yet("sample fetch", call.at, call.name));
        }
        let help = if conv::find(call.name).is_some() {
            Some(format!("\"{}\" is a converter: it comes after a fetch and a comma", call.name))
        } else {
            suggest::did_you_mean(call.name, fetch::all().map(|f| f.kw))
        };
        let what = format!("unknown sample fetch \"{}\"", call.name);
        return Err(Flaw::new(call.at, call.name.len(), what).help(help));
    };
    if !fetch.needs.met_at(cx.point) {
        let what = format!(
            "\"{}\" looks at {}, which {} does not have",
            call.name,
            fetch.needs.name(),
            cx.point.name()
        );
        return Err(Flaw::new(call.at, call.name.len(), what));
    }
    Ok(fetch)
}

/// Compiles a whole word, and converters in the words behind it (the old way to write them).
pub fn expr_words(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Expr, Diag> {
    let word = words.need("a sample expression")?;
    let mut made = expr_word(word, cx)?;
    let mut steps: Vec<ConvStep> = std::mem::take(&mut made.convs).into_vec();
    while let Some(next) = words.peek() {
        let text = next.text.strip_prefix(',').unwrap_or(&next.text);
        let name = args::call(text, 0).map(|c| c.name).unwrap_or("");
        if conv::find(name).is_none() {
            break;
        }
        let start = next.text.len() - text.len();
        let mut at = start;
        loop {
            at = converter(&next.text, at, &mut made.out, &mut steps, cx).map_err(|f| f.in_word(next, 0))?;
            match next.text.as_bytes().get(at) {
                Some(b',') => at += 1,
                None => break,
                Some(_) => return Err(next.err_at(at, 1, "expected a comma or the end of the expression")),
            }
        }
        words.next();
    }
    made.convs = steps.into();
    Ok(made)
}

/// Compiles an expression that is exactly one word.
pub fn expr_word(word: &Word, cx: &mut ParseCx<'_>) -> Result<Expr, Diag> {
    let (made, end) = expr(&word.text, 0, cx).map_err(|flaw| flaw.in_word(word, 0))?;
    if end < word.text.len() {
        let rest = word.text.get(end..).unwrap_or("");
        return Err(word.err_at(end, rest.len(), format!("unexpected \"{rest}\" after the expression")));
    }
    Ok(made)
}

fn checked(
    call: &args::Call<'_>,
    mut args: Vec<Arg>,
    check: Option<fetch::Check>,
    cx: &mut ParseCx<'_>,
) -> Result<Args, Flaw> {
    if let Some(check) = check {
        check(call.name, &mut args, cx)
            .map_err(|what| Flaw::new(call.at, call.end - call.at, format!("{}: {what}", call.name)))?;
    }
    Ok(Args(args.into()))
}

fn arguments(
    call: &args::Call<'_>,
    min: usize,
    kinds: &'static [Kind],
    cx: &mut ParseCx<'_>,
) -> Result<Vec<Arg>, Flaw> {
    let given = match &call.args {
        // `name()`: one empty argument is none at all, unless one is due.
        Some(list) if list.len() == 1 && list[0].text.is_empty() && list[0].len == 0 && min == 0 => &[],
        Some(list) => &list[..],
        None => &[],
    };
    if given.len() > kinds.len() {
        let extra = &given[kinds.len()];
        let what = match kinds.len() {
            0 => format!("\"{}\" takes no argument", call.name),
            n => format!("\"{}\" takes at most {n} argument{}", call.name, if n == 1 { "" } else { "s" }),
        };
        return Err(Flaw::new(extra.at, extra.len.max(1), what));
    }
    if given.len() < min {
        let missing = kinds.get(given.len()).map_or("an argument", |k| k.name());
        let what = format!("\"{}\" needs {missing} as argument {}", call.name, given.len() + 1);
        return Err(Flaw::new(call.at, call.end - call.at, what));
    }
    let mut made = Vec::with_capacity(kinds.len());
    for (i, kind) in kinds.iter().enumerate() {
        let arg = match given.get(i) {
            None => None,
            Some(a) if a.text.is_empty() && i >= min && *kind != Kind::Str => None,
            Some(a) => Some(a),
        };
        let value = match arg {
            None => absent(*kind, cx).map_err(|what| {
                Flaw::new(call.at, call.end - call.at, format!("\"{}\" {what}", call.name))
            })?,
            Some(a) => one(*kind, &a.text, cx).map_err(|(what, help)| {
                Flaw::new(a.at, a.len.max(1), format!("argument {} of \"{}\": {what}", i + 1, call.name))
                    .help(help)
            })?,
        };
        made.push(value);
    }
    Ok(made)
}

/// What an argument that was left out means: the section at hand where a section is due.
fn absent(kind: Kind, cx: &ParseCx<'_>) -> Result<Arg, &'static str> {
    let (front, back) = cx.names.capable(cx.proxy);
    match kind {
        Kind::Frontend if !front => Err("needs the name of a frontend: this section is none"),
        Kind::Backend if !back => Err("needs the name of a backend: this section is none"),
        Kind::Frontend | Kind::Backend => Ok(Arg::Proxy(cx.proxy)),
        Kind::Table => Ok(Arg::Table(cx.proxy)),
        _ => Ok(Arg::Absent),
    }
}

fn one(kind: Kind, text: &str, cx: &mut ParseCx<'_>) -> Result<Arg, (String, Option<String>)> {
    let plain = |what: String| (what, None);
    let expected = || plain(format!("expected {}, found \"{text}\"", kind.name()));
    let int = || text.parse::<i64>().ok();
    match kind {
        Kind::Str | Kind::Custom => Ok(Arg::Str(text.into())),
        Kind::Int => int().map(Arg::Int).ok_or_else(expected),
        Kind::Size => Word::plain(text).size().map(|n| Arg::Int(n as i64)).map_err(|d| (d.what, d.help)),
        Kind::Time => match parse_time_us(text, Unit::Ms) {
            Ok(us) => Ok(Arg::Int((us / 1000) as i64)),
            Err(_) => Err(expected()),
        },
        Kind::Ip4 => text.parse().map(|ip| Arg::Ip(std::net::IpAddr::V4(ip))).map_err(|_| expected()),
        Kind::Ip6 => text.parse().map(|ip| Arg::Ip(std::net::IpAddr::V6(ip))).map_err(|_| expected()),
        Kind::Mask4 => net::mask4(text).map(|m| Arg::Mask4(m.into())).ok_or_else(expected),
        Kind::Mask6 => net::mask6(text).map(|m| Arg::Mask6(m.into())).ok_or_else(expected),
        Kind::Frontend => named(cx.names.frontend(text).map(Arg::Proxy), "frontend", text, cx),
        Kind::Backend => named(cx.names.backend(text).map(Arg::Proxy), "backend", text, cx),
        Kind::Table => match cx.names.table(text) {
            Some(id) => Ok(Arg::Table(id)),
            None => Err(plain(format!("no section \"{text}\" with a stick-table"))),
        },
        Kind::Userlist => match cx.names.userlist(text) {
            Some(id) => Ok(Arg::Userlist(id)),
            None => Err(plain(format!("no userlist \"{text}\""))),
        },
        Kind::Server => server(text, cx).map(Arg::Server).map_err(plain),
        Kind::Var => cx.names.var(text).map(Arg::Var).map_err(plain),
        Kind::VarOrInt => match int() {
            Some(n) => Ok(Arg::Int(n)),
            None => cx.names.var(text).map(Arg::Var).map_err(|_| expected()),
        },
        Kind::VarOrStr => match cx.names.var(text) {
            Ok(var) => Ok(Arg::Var(var)),
            Err(_) => Ok(Arg::Str(text.into())),
        },
        Kind::Choice(known) => match known.iter().position(|word| *word == text) {
            Some(at) => Ok(Arg::Int(at as i64)),
            None => Err((
                format!("unknown word \"{text}\", expected {}", suggest::list_of(known)),
                suggest::did_you_mean(text, known.iter().copied()),
            )),
        },
        Kind::Regex => {
            super::pattern::regex::compile(text, false).map(|r| Arg::Regex(Box::new(r))).map_err(plain)
        }
    }
}

fn named(
    found: Option<Arg>,
    what: &str,
    text: &str,
    cx: &ParseCx<'_>,
) -> Result<Arg, (String, Option<String>)> {
    found.ok_or_else(|| {
        let known = cx.names.backends();
        (format!("no {what} \"{text}\""), suggest::did_you_mean(text, known.iter().map(String::as_str)))
    })
}

fn server(text: &str, cx: &ParseCx<'_>) -> Result<ServerId, String> {
    let (backend, name) = match text.split_once('/') {
        Some((backend, name)) => {
            (cx.names.backend(backend).ok_or_else(|| format!("no backend \"{backend}\""))?, name)
        }
        None => (cx.proxy, text),
    };
    cx.names.server(backend, name).ok_or_else(|| format!("no server \"{text}\""))
}

/// Converters one expression may chain.
const STEPS_MAX: usize = 64;

//! ACLs and conditions: a sample compared with patterns, and such tests combined.
//!
//! A condition is a disjunction of conjunctions of terms (`a b or c !d`). A term refers to a named ACL, or
//! holds tests of its own (`{ ... }`). Predefined ACLs are compiled like those of the configuration.

use std::cell::Cell;
use std::sync::Arc;

use super::cast;
use super::compile::{expr_words, Expr, ParseCx};
use super::conv::map;
use super::fetch;
use super::map::{MapFile, MapUse};
use super::pattern::number::operator;
use super::pattern::{Index, Match};
use super::sample::{Got, Sample, Ty};
use super::view::Facts;
use crate::lang::diag::Diag;
use crate::lang::suggest;
use crate::lang::word::{Word, Words};

/// What a condition says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// More bytes may tell.
    NotYet,
}

impl Verdict {
    fn not(self) -> Verdict {
        match self {
            Verdict::Yes => Verdict::No,
            Verdict::No => Verdict::Yes,
            Verdict::NotYet => Verdict::NotYet,
        }
    }
}

/// One test: an expression and the patterns it is compared with.
struct Test {
    expr: Expr,
    /// The words of the line.
    index: Index,
    /// Files, and the words of a line with `-u`: what may change.
    files: Box<[MapUse]>,
}

/// The tests of one ACL name: one that holds is enough.
#[derive(Default)]
pub struct Acl {
    tests: Vec<Test>,
}

struct Term {
    acl: Arc<Acl>,
    negated: bool,
}

/// A condition: `if` or `unless` and what follows.
pub struct Cond {
    any: Vec<Vec<Term>>,
    unless: bool,
}

/// The `acl` lines of a section, kept as words: they are compiled where they are used, because the place
/// of use decides what may be looked at.
#[derive(Default, Clone)]
pub struct Acls {
    lines: Vec<(String, Vec<Word>)>,
    /// How many ACLs are being compiled, each for the sake of the one before.
    depth: Cell<u8>,
}

impl Acls {
    /// Adds an `acl <name> <criterion> ...` line; several of one name add up.
    pub fn add(&mut self, name: &str, rest: &[Word]) {
        self.lines.push((name.to_owned(), rest.to_vec()));
    }

    /// True when the section has an ACL of this name.
    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|(known, _)| known == name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(name, _)| name.as_str())
    }
}

/// ACLs every section has: name and criterion.
pub const PREDEFINED: &[(&str, &str)] = &[
    ("FALSE", "always_false"),
    ("HTTP", "req.proto_http"),
    ("HTTP_1.0", "req.ver 1.0"),
    ("HTTP_1.1", "req.ver 1.1"),
    ("HTTP_2.0", "req.ver 2.0"),
    ("HTTP_CONTENT", "req.hdr_val(content-length) gt 0"),
    ("HTTP_URL_ABS", "url_reg ^[^/:]*://"),
    ("HTTP_URL_SLASH", "url_beg /"),
    ("HTTP_URL_STAR", "url *"),
    ("LOCALHOST", "src 127.0.0.1/8 ::1"),
    ("METH_CONNECT", "method CONNECT"),
    ("METH_DELETE", "method DELETE"),
    ("METH_GET", "method GET HEAD"),
    ("METH_HEAD", "method HEAD"),
    ("METH_OPTIONS", "method OPTIONS"),
    ("METH_POST", "method POST"),
    ("METH_PUT", "method PUT"),
    ("METH_TRACE", "method TRACE"),
    ("RDP_COOKIE", "req.rdp_cookie_cnt gt 0"),
    ("REQ_CONTENT", "req.len gt 0"),
    ("TRUE", "always_true"),
    ("WAIT_END", "wait_end"),
];

/// Suffixes of criteria that name the way to compare: `path_beg` is `path -m beg`.
const SUFFIXES: &[(&str, Match)] = &[
    ("_beg", Match::Beg),
    ("_bin", Match::Bin),
    ("_dir", Match::Dir),
    ("_dom", Match::Dom),
    ("_end", Match::End),
    ("_len", Match::Len),
    ("_reg", Match::Reg),
    ("_str", Match::Str),
    ("_sub", Match::Sub),
];

impl Cond {
    /// Reads `if ...` or `unless ...` to the end of the line; `None` when there is neither.
    pub fn parse(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Option<Cond>, Diag> {
        let unless = match words.peek() {
            Some(word) if word.is("if") => false,
            Some(word) if word.is("unless") => true,
            Some(word) => {
                return Err(word.err(format!("expected \"if\" or \"unless\", found \"{}\"", word.text)))
            }
            None => return Ok(None),
        };
        words.next();
        Ok(Some(Cond { any: disjunction(words, cx)?, unless }))
    }

    /// ACLs that must all hold, by name, as the `acl` fetch takes them.
    pub fn of_names(names: &[&str], cx: &mut ParseCx<'_>) -> Result<Cond, String> {
        let words: Vec<Word> = names.iter().map(|name| Word::plain(*name)).collect();
        let any = disjunction(&mut Words::new(&words), cx).map_err(|diag| diag.what)?;
        Ok(Cond { any, unless: false })
    }

    /// Evaluates the condition.
    pub fn eval(&self, facts: &Facts<'_>) -> Verdict {
        let mut result = Verdict::No;
        for all in &self.any {
            match conjunction(all, facts) {
                Verdict::Yes => {
                    result = Verdict::Yes;
                    break;
                }
                Verdict::NotYet => {
                    result = Verdict::NotYet;
                    break;
                }
                Verdict::No => {}
            }
        }
        if self.unless {
            result.not()
        } else {
            result
        }
    }
}

fn conjunction(terms: &[Term], facts: &Facts<'_>) -> Verdict {
    for term in terms {
        let verdict = term.acl.eval(facts);
        let verdict = if term.negated { verdict.not() } else { verdict };
        if verdict != Verdict::Yes {
            return verdict;
        }
    }
    Verdict::Yes
}

impl Acl {
    /// Compiles one ACL from its criterion words.
    pub fn compile(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Acl, Diag> {
        Ok(Acl { tests: vec![test(words, cx)?] })
    }

    fn eval(&self, facts: &Facts<'_>) -> Verdict {
        let mut result = Verdict::No;
        for test in &self.tests {
            match test.eval(facts) {
                Verdict::Yes => return Verdict::Yes,
                Verdict::NotYet => result = Verdict::NotYet,
                Verdict::No => {}
            }
        }
        result
    }
}

impl Test {
    fn eval(&self, facts: &Facts<'_>) -> Verdict {
        let how = self.index.how();
        if how == Match::Found {
            return match self.expr.eval(facts) {
                Got::Some(_) | Got::SoFar(_) => Verdict::Yes,
                Got::None => Verdict::No,
                Got::NotYet => Verdict::NotYet,
            };
        }
        let takes = how.takes();
        let mut found = false;
        let open = self.expr.each(facts, &mut |sample| {
            let sample = if takes == Ty::Any { Some(sample) } else { cast::cast(sample, takes) };
            found = sample.is_some_and(|s| self.holds(&s, facts));
            found
        });
        match (found, open) {
            (true, _) => Verdict::Yes,
            (false, true) => Verdict::NotYet,
            (false, false) => Verdict::No,
        }
    }
}

impl Test {
    #[inline]
    fn holds(&self, sample: &Sample<'_>, facts: &Facts<'_>) -> bool {
        self.index.find(sample).is_some() || self.files.iter().any(|by| facts.maps.holds(*by, sample))
    }
}

/// Terms joined by `or` and `||`; what stands side by side must hold together.
fn disjunction(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Vec<Vec<Term>>, Diag> {
    let mut any = vec![Vec::new()];
    let mut negated = false;
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "or" | "||" => {
                words.next();
                if any.last().is_none_or(Vec::is_empty) || negated {
                    return Err(word.err("expected a condition before \"or\""));
                }
                any.push(Vec::new());
            }
            "and" | "&&" => drop(words.next()),
            "!" => {
                words.next();
                negated = !negated;
            }
            "{" | "!{" => {
                words.next();
                negated ^= word.is("!{");
                let acl = Arc::new(anonymous(word, words, cx)?);
                push(&mut any, Term { acl, negated });
                negated = false;
            }
            text => {
                words.next();
                let name = text.trim_start_matches('!');
                negated ^= (text.len() - name.len()) % 2 == 1;
                let acl = named(word, name, cx)?;
                push(&mut any, Term { acl, negated });
                negated = false;
            }
        }
    }
    if any.last().is_none_or(Vec::is_empty) || negated {
        return Err(words.missing("a condition"));
    }
    Ok(any)
}

fn push(any: &mut [Vec<Term>], term: Term) {
    if let Some(last) = any.last_mut() {
        last.push(term);
    }
}

/// `{ <criterion> ... }`
fn anonymous(open: &Word, words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Acl, Diag> {
    let mut inside = Vec::new();
    loop {
        match words.next() {
            Some(word) if word.is("}") => break,
            Some(word) => inside.push(word.clone()),
            None => return Err(open.err("this \"{\" has no \"}\" on the same line, with spaces around it")),
        }
    }
    if inside.is_empty() {
        return Err(open.err("expected a sample and patterns between \"{\" and \"}\""));
    }
    Acl::compile(&mut Words::new(&inside), cx)
}

fn named(word: &Word, name: &str, cx: &mut ParseCx<'_>) -> Result<Arc<Acl>, Diag> {
    let acls = cx.acls;
    let lines: Vec<&Vec<Word>> =
        acls.lines.iter().filter(|(known, _)| known == name).map(|(_, w)| w).collect();
    if !lines.is_empty() {
        if acls.depth.get() >= DEPTH_MAX {
            return Err(
                word.err(format!("the ACL \"{name}\" is told by itself, or by too many others in a row"))
            );
        }
        acls.depth.set(acls.depth.get() + 1);
        let tests = lines.iter().map(|line| test(&mut Words::new(line), cx)).collect::<Result<_, _>>();
        acls.depth.set(acls.depth.get() - 1);
        return Ok(Arc::new(Acl { tests: tests? }));
    }
    if let Some((_, text)) = PREDEFINED.iter().find(|(known, _)| *known == name) {
        let words: Vec<Word> = text.split(' ').map(Word::plain).collect();
        return Acl::compile(&mut Words::new(&words), cx)
            .map(Arc::new)
            .map_err(|diag| word.err(format!("\"{name}\" cannot be used here: {}", diag.what)));
    }
    let known = acls.names().chain(PREDEFINED.iter().map(|(name, _)| *name));
    let diag = word.err(format!("no ACL \"{name}\" in this section"));
    Err(match suggest::did_you_mean(name, known) {
        Some(help) => diag.help(help),
        None => diag,
    })
}

/// ACLs that name each other (`acl()`), at most.
const DEPTH_MAX: u8 = 16;

/// Flags of a criterion.
#[derive(Default)]
struct Flags {
    fold: bool,
    /// Files have values behind their keys.
    map: bool,
    how: Option<Match>,
    files: Vec<Word>,
    id: Option<(u32, Word)>,
}

/// `<criterion>[,<converter>...] [flags] [operator] <patterns>`
fn test(words: &mut Words<'_>, cx: &mut ParseCx<'_>) -> Result<Test, Diag> {
    let first = words.need("a sample or criterion")?;
    let (head, suffix) = criterion(first, cx);
    let head = [head];
    let mut sample = Words::new(&head);
    let expr = expr_words(&mut sample, cx)?;
    let flags = flags(words)?;
    let how = way(first, &expr, flags.how.or(suffix))?;
    let mut index = Index::new(how, flags.fold);
    let mut files = Vec::new();
    for file in &flags.files {
        let by = map::open(&file.text, flags.map, how, flags.fold, cx).map_err(|why| file.err(why))?;
        files.push(by);
    }
    let mut texts = Vec::new();
    patterns(words, how, &mut |text, word| {
        texts.push(text.to_owned());
        index.add(text, texts.len() as u32 - 1).map_err(|why| word.err(why))
    })?;
    if index.is_empty() && flags.files.is_empty() && flags.id.is_none() && !how.is_bare() {
        return Err(first.err(format!("\"{}\" needs something to compare with", first.text)));
    }
    if let Some((id, word)) = &flags.id {
        files.push(numbered(*id, &texts, how, flags.fold, cx).map_err(|why| word.err(why))?);
        index = Index::new(how, flags.fold);
    }
    for by in &files {
        if let Some(file) = cx.names.maps().get_mut(by.map) {
            file.in_acl = true;
        }
    }
    Ok(Test { expr, index, files: files.into() })
}

/// The patterns of a line with `-u`: commands know them by this number. A line is compiled at each place of use.
fn numbered(
    id: u32,
    texts: &[String],
    how: Match,
    fold: bool,
    cx: &mut ParseCx<'_>,
) -> Result<MapUse, String> {
    let maps = cx.names.maps();
    let map = match maps.find_fixed(id) {
        Some(map) => map,
        None => {
            let mut file = MapFile::empty("", false);
            (file.id, file.fixed) = (id, true);
            for text in texts {
                file.add(text, "")?;
            }
            maps.push(file)
        }
    };
    let same =
        |file: &MapFile| file.iter().map(|(_, entry)| &*entry.key).eq(texts.iter().map(String::as_str));
    if !maps.get(map).is_some_and(same) {
        return Err(format!("the number {id} belongs to another line"));
    }
    maps.use_as(map, how, fold).map_err(|flaw| flaw.what)
}

/// The criterion as an expression, and the way to compare that its suffix names.
fn criterion(word: &Word, cx: &ParseCx<'_>) -> (Word, Option<Match>) {
    let end = word.text.find(['(', ',']).unwrap_or(word.text.len());
    let name = &word.text[..end];
    if fetch::find(name, cx.point).is_some() {
        return (word.clone(), None);
    }
    for (suffix, how) in SUFFIXES {
        if let Some(base) = name.strip_suffix(suffix).filter(|base| fetch::find(base, cx.point).is_some()) {
            let text = format!("{base}{}", &word.text[end..]);
            return (Word { text, at: word.at }, Some(*how));
        }
    }
    (word.clone(), None)
}

fn flags(words: &mut Words<'_>) -> Result<Flags, Diag> {
    let mut flags = Flags::default();
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "-i" => flags.fold = true,
            // names are never resolved
            "-n" => {}
            "-u" => {
                words.next();
                let id = words.need("a number")?;
                let number = id
                    .text
                    .parse()
                    .map_err(|_| id.err(format!("expected a number, found \"{}\"", id.text)))?;
                flags.id = Some((number, id.clone()));
                continue;
            }
            "-M" => flags.map = true,
            "-f" => {
                words.next();
                flags.files.push(words.need("a file")?.clone());
                continue;
            }
            "-m" => {
                words.next();
                let how = words.need("a way to compare")?;
                let known: Vec<&str> = Match::ALL.iter().map(|(_, name)| *name).collect();
                flags.how =
                    Some(Match::of(&how.text).ok_or_else(|| how.not_one_of("way to compare", &known))?);
                continue;
            }
            "--" => {
                words.next();
                break;
            }
            _ => break,
        }
        words.next();
    }
    Ok(flags)
}

fn way(word: &Word, expr: &Expr, asked: Option<Match>) -> Result<Match, Diag> {
    let how = asked.or_else(|| Match::of_type(expr.ty()));
    let Some(how) = how else {
        return Err(word.err(format!("\"{}\" can be compared in many ways: say which with -m", word.text)));
    };
    if how.takes() != Ty::Any && !cast::possible(expr.ty(), how.takes()) {
        let what = format!(
            "\"{}\" yields {}, which cannot be compared as \"{}\"",
            word.text,
            expr.ty().name(),
            how.name()
        );
        return Err(word.err(what));
    }
    Ok(how)
}

/// Hands every pattern to `add`: what operators say becomes ranges.
fn patterns(
    words: &mut Words<'_>,
    how: Match,
    add: &mut dyn FnMut(&str, &Word) -> Result<(), Diag>,
) -> Result<(), Diag> {
    let mut op: Option<&Word> = None;
    let mut any = false;
    for word in words.by_ref() {
        let numeric = matches!(how, Match::Int | Match::Len);
        if numeric && matches!(word.text.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
            op = Some(word);
            continue;
        }
        match op.filter(|_| numeric) {
            Some(op) => match operator(&op.text, &word.text) {
                Some(Ok((low, high))) => add(&range_text(low, high), word)?,
                Some(Err(why)) => return Err(word.err(why)),
                None => return Err(op.err(format!("unknown operator \"{}\"", op.text))),
            },
            None => add(&word.text, word)?,
        }
        any = true;
    }
    match op {
        Some(op) if !any => Err(op.err(format!("\"{}\" needs a number behind it", op.text))),
        _ => Ok(()),
    }
}

/// A range as a pattern is written.
fn range_text(low: i64, high: i64) -> String {
    match (low, high) {
        (low, high) if low == high => low.to_string(),
        (i64::MIN, high) => format!(":{high}"),
        (low, i64::MAX) => format!("{low}:"),
        (low, high) => format!("{low}:{high}"),
    }
}

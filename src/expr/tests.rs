//! A bench for tests of expressions: names without a configuration, facts without a connection.

use super::acl::{Acls, Cond, Verdict};
use super::compile::{expr_word, Names, ParseCx};
use super::fetch::Point;
use super::logfmt::{LogFmt, Use};
use super::map::Maps;
use super::vars::{Effect, Effects, Store, Var, VarNames, Vars};
use super::view::{BackFacts, Bytes, ConnFacts, Facts, NoWorld, Txn, World};
use crate::base::ids::{ProxyId, ServerId};
use crate::lang::word::{Word, Words};
use crate::msg::Head;

/// The names tests may use: backend and frontend `px`, its server `s1`, the files of [`FILES`].
#[derive(Default)]
pub struct TestNames {
    vars: VarNames,
    maps: Maps,
}

/// Files tests may name.
const FILES: &[(&str, &str)] = &[
    ("words.map", "# comment\na one\nb  two words \n"),
    ("numbers.map", "a 1\nb 2\n"),
    ("paths.map", "/a a\n/a/b ab\n"),
    ("nets.map", "10.0.0.0/8 ten\n10.1.0.0/16 ten-one\n"),
    ("regs.map", "^user([0-9]+)$ id-\\1-\n"),
    ("ints.map", "1 one\n2:5 few\n"),
    ("squares.map", "3 9\n4 16\n"),
    ("quads.map", "4 192.0.2.4\n"),
    ("addresses.map", "a 192.0.2.1\nb 192.0.2.2\n"),
    ("netnum.map", "10.0.0.0/8 10\n10.1.0.0/16 101\n"),
    ("netip.map", "10.0.0.0/8 192.0.2.10\n"),
    ("hosts.lst", "# comment\nexample.com\n  example.org\n"),
];

impl Names for TestNames {
    fn frontend(&self, name: &str) -> Option<ProxyId> {
        (name == "px").then_some(ProxyId(0))
    }
    fn backend(&self, name: &str) -> Option<ProxyId> {
        (name == "px").then_some(ProxyId(0))
    }
    fn server(&self, _: ProxyId, name: &str) -> Option<ServerId> {
        (name == "s1").then_some(ServerId(0))
    }
    fn table(&self, name: &str) -> Option<ProxyId> {
        (name == "px").then_some(ProxyId(0))
    }
    fn userlist(&self, name: &str) -> Option<u32> {
        (name == "ul").then_some(0)
    }
    fn var(&mut self, text: &str) -> Result<Var, String> {
        self.vars.intern(text)
    }
    fn file(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let found = FILES.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| format!("cannot read \"{path}\""))
    }
    fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home".into())
    }
    fn backends(&self) -> Vec<String> {
        vec!["px".into()]
    }
}

/// Everything an evaluation needs, owned, to be set up by a test.
pub struct Bench {
    /// Names at load time.
    pub names: TestNames,
    /// `acl` lines.
    pub acls: Acls,
    /// Where expressions stand.
    pub point: Point,
    /// Variables of the transaction.
    pub vars: Store,
    /// Client connection.
    pub conn: ConnFacts,
    /// Transaction.
    pub txn: Txn,
    /// Request head.
    pub req: Option<Head>,
    /// Response head.
    pub res: Option<Head>,
    /// Connection to the server.
    pub back: Option<BackFacts>,
    /// All that lies beyond.
    pub world: Box<dyn World>,
    /// Client's bytes, and whether more may come.
    pub bytes: (Vec<u8>, bool),
    /// Nothing more will come.
    pub last: bool,
}

impl Default for Bench {
    /// No traffic at all, the date of RFC 9110's examples.
    fn default() -> Bench {
        Bench {
            names: TestNames::default(),
            acls: Acls::default(),
            point: Point::Request,
            vars: Store::default(),
            conn: ConnFacts::default(),
            txn: Txn::new(ProxyId(0)),
            req: None,
            res: None,
            back: None,
            world: Box::new(NoWorld),
            bytes: (Vec::new(), true),
            last: false,
        }
    }
}

impl Bench {
    /// With a request: a start line and fields, one per line.
    pub fn request(text: &str) -> Bench {
        Bench { req: Some(head(text)), ..Bench::default() }
    }

    fn parse(&mut self) -> ParseCx<'_> {
        ParseCx {
            names: &mut self.names,
            acls: &self.acls,
            point: self.point,
            proxy: ProxyId(0),
            warnings: Vec::new(),
        }
    }

    fn facts<'a>(&'a self, effects: &'a Effects) -> Facts<'a> {
        let (data, more) = (&self.bytes.0, !self.bytes.1);
        let bytes = Bytes { data, whole: !more };
        Facts {
            date_us: 784_111_777_123_456,
            last: self.last,
            conn: &self.conn,
            tls: None,
            back: self.back.as_ref(),
            back_tls: None,
            req: self.req.as_ref(),
            res: self.res.as_ref(),
            req_body: bytes,
            res_body: bytes,
            req_bytes: bytes,
            res_bytes: bytes,
            txn: &self.txn,
            vars: Vars { txn: Some(&self.vars), ..Vars::default() },
            effects,
            maps: &self.names.maps,
            world: &*self.world,
        }
    }

    /// The value of an expression as text, `-` for none, `?` while it may still come; what it does to
    /// variables of the transaction is kept.
    pub fn text(&mut self, text: &str) -> String {
        let made = match expr_word(&Word::plain(text), &mut self.parse()) {
            Ok(made) => made,
            Err(diag) => return format!("error: {}", diag.what),
        };
        let effects = Effects::new();
        let shown = match made.eval(&self.facts(&effects)) {
            super::sample::Got::NotYet => "?".to_string(),
            got => got.now().map_or("-".to_string(), |sample| {
                let mut out = Vec::new();
                sample.write_text(&mut out);
                String::from_utf8_lossy(&out).into_owned()
            }),
        };
        self.settle(effects);
        shown
    }

    /// What a condition (`if ...`) says.
    pub fn holds(&mut self, text: &str) -> Result<Verdict, String> {
        let words: Vec<Word> = text.split(' ').filter(|w| !w.is_empty()).map(Word::plain).collect();
        let made = Cond::parse(&mut Words::new(&words), &mut self.parse()).map_err(|diag| diag.what)?;
        let effects = Effects::new();
        let verdict = made.map_or(Verdict::Yes, |cond| cond.eval(&self.facts(&effects)));
        self.settle(effects);
        Ok(verdict)
    }

    /// What a log-format string writes, or what is wrong with it.
    pub fn format(&mut self, text: &str, usage: Use) -> String {
        let made = match LogFmt::compile(&Word::plain(text), usage, &mut self.parse()) {
            Ok(made) => made,
            Err(diag) => return format!("error: {}", diag.what),
        };
        let mut out = Vec::new();
        self.write(&made, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A log-format string that is known to be good.
    pub fn compiled(&mut self, text: &str, usage: Use) -> LogFmt {
        LogFmt::compile(&Word::plain(text), usage, &mut self.parse()).map_err(|diag| diag.what).unwrap()
    }

    /// Writes one.
    pub fn write(&self, made: &LogFmt, out: &mut Vec<u8>) {
        made.write(&self.facts(&Effects::new()), out);
    }

    fn settle(&mut self, effects: Effects) {
        for effect in effects.take() {
            match effect {
                Effect::Set(var, value) => drop(self.vars.set(var.id, value)),
                Effect::Unset(var) => self.vars.unset(var.id),
                _ => {}
            }
        }
    }
}

/// A request (`GET / HTTP/1.1`) or a response (`HTTP/1.1 200 OK`) with fields, one per line.
pub fn head(text: &str) -> Head {
    use lighterman_wire::http::Version;
    let mut lines = text.lines();
    let start: Vec<&str> = lines.next().unwrap_or("").splitn(3, ' ').collect();
    let version = |text: &str| if text == "HTTP/1.0" { Version::V10 } else { Version::V11 };
    let mut head = Head::new();
    match start[..] {
        [http, status, reason] if http.starts_with("HTTP/") => {
            head.start_response(version(http), status.parse().unwrap(), reason.as_bytes()).unwrap();
        }
        [method, target, http] => {
            head.start_request(method.as_bytes(), target.as_bytes(), version(http)).unwrap();
        }
        _ => panic!("no start line in {text:?}"),
    }
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        head.add(name.as_bytes(), value.trim().as_bytes()).unwrap();
    }
    head
}

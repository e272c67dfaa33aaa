//! Expressions under random bytes: the compiler, what it made of them, payloads, heads.
//!
//! Called by `tests/fuzz` and by tests that replay its seeds. A world of its own: one section that is
//! everything, no files, no network.

use super::acl::{Acls, Cond};
use super::compile::{expr_word, Names, ParseCx};
use super::fetch::Point;
use super::logfmt::{LogFmt, Use};
use super::map::Maps;
use super::vars::{Effects, Var, VarNames, Vars};
use super::view::{Bytes, ConnFacts, Facts, NoWorld, Txn};
use crate::base::ids::{ProxyId, ServerId};
use crate::lang::word::{Word, Words};
use crate::msg::{Head, ParseOpts};
use lighterman_wire::error::Parse;

pub use super::map::fuzz_map;

/// Any name is that of the one section; files are empty.
#[derive(Default)]
struct Anything {
    vars: VarNames,
    maps: Maps,
}

impl Names for Anything {
    fn frontend(&self, _: &str) -> Option<ProxyId> {
        Some(ProxyId(0))
    }
    fn backend(&self, _: &str) -> Option<ProxyId> {
        Some(ProxyId(0))
    }
    fn server(&self, _: ProxyId, _: &str) -> Option<ServerId> {
        Some(ServerId(0))
    }
    fn table(&self, _: &str) -> Option<ProxyId> {
        None
    }
    fn userlist(&self, _: &str) -> Option<u32> {
        None
    }
    fn var(&mut self, text: &str) -> Result<Var, String> {
        self.vars.intern(text)
    }
    fn file(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(b"a b\n1 2\n".to_vec())
    }
    fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }
    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// A line with an expression, a log-format string or a condition, then what it is evaluated on: a head, a
/// body, bytes of a connection. Whatever they are, there is a value, none, or a message.
pub fn fuzz_expr(data: &[u8]) {
    let (flags, rest) = data.split_first().unwrap_or((&0, &[]));
    let (line, traffic) = rest.split_at(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
    let text = String::from_utf8_lossy(line);
    let point = [Point::Request, Point::Response, Point::ReqContent, Point::Log][usize::from(flags >> 2 & 3)];
    let (mut names, acls) = (Anything::default(), Acls::default());
    let mut cx = ParseCx { names: &mut names, acls: &acls, point, proxy: ProxyId(0), warnings: Vec::new() };
    let mut out = Vec::new();
    match flags & 3 {
        0 => {
            let Ok(made) = expr_word(&Word::plain(text), &mut cx) else { return };
            with_facts(traffic, flags & 0x10 != 0, &names.maps, |facts| {
                made.write(facts, &mut out);
            });
        }
        1 => {
            let Ok(made) = LogFmt::compile(&Word::plain(text), Use::Log, &mut cx) else { return };
            with_facts(traffic, flags & 0x10 != 0, &names.maps, |facts| made.write(facts, &mut out));
        }
        _ => {
            let words: Vec<Word> = text.split(' ').filter(|w| !w.is_empty()).map(Word::plain).collect();
            let Ok(Some(made)) = Cond::parse(&mut Words::new(&words), &mut cx) else { return };
            with_facts(traffic, flags & 0x10 != 0, &names.maps, |facts| {
                made.eval(facts);
            });
        }
    }
}

/// Bytes of a connection under every fetch that looks at bytes, with arguments from the first two of them.
pub fn fuzz_payload(data: &[u8]) {
    let (at, len) = (data.first().copied().unwrap_or(0), data.get(1).copied().unwrap_or(0));
    let traffic = data.get(2..).unwrap_or_default();
    let texts = [
        format!("req.payload({at},{len})"),
        format!("req.payload_lv({at},{})", len % 9),
        format!("payload_lv({at},{},-{len})", len % 9),
        "req.body".into(),
        "req.body_param(a)".into(),
        "req.proto_http".into(),
        "req.rdp_cookie".into(),
        "req.rdp_cookie_cnt(msts)".into(),
        "req.ssl_alpn".into(),
        "req.ssl_cipherlist".into(),
        "req.ssl_ec_ext".into(),
        "req.ssl_hello_type".into(),
        "req.ssl_keyshare_groups".into(),
        "req.ssl_sigalgs".into(),
        "req.ssl_sni".into(),
        "req.ssl_supported_groups".into(),
        "req.ssl_ver".into(),
    ];
    each_fetch(&texts, traffic);
}

/// A head under every fetch that walks fields and cookies.
pub fn fuzz_head_fetches(data: &[u8]) {
    let n = i64::from(data.first().copied().unwrap_or(0)) - 128;
    let traffic = data.get(1..).unwrap_or_default();
    let texts = [
        format!("req.hdr(a,{n})"),
        format!("req.fhdr(a,{n})"),
        format!("req.hdr_ip(a,{n})"),
        "req.hdr_names".into(),
        "req.hdrs_bin".into(),
        "req.hdr_cnt".into(),
        "req.cook(a)".into(),
        "req.cook_cnt".into(),
        "req.cook_names".into(),
        "req.cook_val".into(),
        "http_auth_user".into(),
        "http_auth_bearer(a)".into(),
        "url_param(a,?,i)".into(),
        "url_ip".into(),
        "url_port".into(),
        "base32+src".into(),
        "req.hdr(a),rfc7239_field(for),rfc7239_n2nn".into(),
        "req.hdr(a),json_query('$.a[1].b')".into(),
        "req.hdr(a),language(en;fr)".into(),
    ];
    each_fetch(&texts, traffic);
}

fn each_fetch(texts: &[String], traffic: &[u8]) {
    let (mut names, acls) = (Anything::default(), Acls::default());
    for text in texts {
        let mut cx = ParseCx {
            names: &mut names,
            acls: &acls,
            point: Point::ReqContent,
            proxy: ProxyId(0),
            warnings: Vec::new(),
        };
        let Ok(made) = expr_word(&Word::plain(text.as_str()), &mut cx) else { continue };
        for whole in [false, true] {
            with_facts(traffic, whole, &names.maps, |facts| {
                let _ = made.eval(facts).now().map(|sample| sample.ty());
                made.each(facts, &mut |_| false);
            });
        }
    }
}

/// Evaluates on a request of these bytes, if they are one, and on the bytes themselves.
fn with_facts(traffic: &[u8], whole: bool, maps: &Maps, run: impl FnOnce(&Facts<'_>)) {
    let mut head = Head::new();
    let parsed = head.parse_request(traffic, &ParseOpts::default());
    let body = match parsed {
        Parse::Done(_, end) => traffic.get(end..).unwrap_or_default(),
        _ => traffic,
    };
    let conn = ConnFacts { tlvs: traffic.get(..64).unwrap_or(traffic).into(), ..ConnFacts::default() };
    let (txn, effects) = (Txn::new(ProxyId(0)), Effects::new());
    let bytes = |data| Bytes { data, whole };
    let is_head = matches!(parsed, Parse::Done(..));
    run(&Facts {
        date_us: 784_111_777_123_456,
        last: whole,
        conn: &conn,
        tls: None,
        back: None,
        back_tls: None,
        req: is_head.then_some(&head),
        res: None,
        req_body: bytes(body),
        res_body: bytes(body),
        req_bytes: bytes(traffic),
        res_bytes: bytes(traffic),
        txn: &txn,
        vars: Vars::default(),
        effects: &effects,
        maps,
        world: &NoWorld,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn replay(target: &str, fuzz: fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let seeds: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{dir:?}");
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            // every beginning of a seed is a seed too
            (0..=bytes.len()).for_each(|len| fuzz(&bytes[..len]));
        }
    }

    #[test]
    fn seeds_of_the_fuzzers_are_survived() {
        replay("expr", fuzz_expr);
        replay("payload", fuzz_payload);
        replay("head_fetches", fuzz_head_fetches);
        replay("map_file", fuzz_map);
    }
}

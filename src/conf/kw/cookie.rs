//! Persistence: cookies, the cookies of remote desktops, and when neither counts.

use super::value;
use crate::conf::draft::{Later, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::cookie::{Cookie, CookieMode};

/// Keywords of persistence.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "cookie",
        Places::BACK,
        |words, draft, _| {
            draft.proxy.cookie = Some(Box::new(cookie(words)?));
            Ok(())
        },
        doc(
            "cookie <name> [rewrite|insert|prefix] [indirect] [nocache] [postonly] [preserve] [httponly] [secure] \
             [domain <domain>]... [maxidle <time>] [maxlife <time>] [dynamic] [attr <attribute>]...",
            "a cookie keeps clients at their server",
            "Its value is the \"cookie\" of a \"server\" line. insert: set here, unless the client has the right one. \
             rewrite: the server sets it, its value is replaced. prefix: the server sets it, the value gets the one \
             of the server and \"~\" in front, which is taken off again on the way back. With none of them it is only \
             read.\nindirect: servers do not see it. nocache: answers that set it carry \"cache-control: private\" \
             where caches might keep them. postonly: only answers to POST set it. preserve: one that the server sets \
             itself is left alone. maxidle: it does not count when it was not used for so long; maxlife: so long \
             after it was first set; both are in seconds without a unit. dynamic: servers without a \"cookie\" get a \
             value made from their address and \"dynamic-cookie-key\".",
            "cookie SRV insert indirect nocache maxidle 30m maxlife 8h",
        ),
    ),
    row(
        "dynamic-cookie-key",
        Places::BACK,
        |words, draft, _| {
            draft.cookie_key = Some(value::text(words.need("a text")?)?);
            Ok(())
        },
        doc(
            "dynamic-cookie-key <text>",
            "the secret in values of \"cookie ... dynamic\"",
            "Load balancers with the same key give a server the same value.",
            "dynamic-cookie-key some-secret",
        ),
    ),
    row(
        "force-persist",
        Places::BACK_ONLY,
        |words, draft, cx| collect(words, draft, cx, true),
        doc(
            "force-persist if|unless <condition>",
            "who may use a server that is down",
            "The server a cookie names is used whatever its state: to look at it before others see it.",
            "force-persist if { src 127.0.0.0/8 }",
        ),
    ),
    row(
        "ignore-persist",
        Places::BACK_ONLY,
        |words, draft, cx| collect(words, draft, cx, false),
        doc(
            "ignore-persist if|unless <condition>",
            "whose cookies say nothing",
            "Such requests go where the algorithm sends them, and set no cookie. The first of these and of the \
             \"force-persist\" lines whose condition holds counts.",
            "ignore-persist if { path_end .gif .css }",
        ),
    ),
    row(
        "persist",
        Places::BACK,
        |words, draft, _| {
            let word = words.need("rdp-cookie")?;
            draft.proxy.persist_rdp = Some(rdp_name(word)?);
            Ok(())
        },
        doc(
            "persist rdp-cookie[(<name>)]",
            "remote desktop clients go back to the server their cookie names",
            "The cookie, \"msts\" unless said otherwise, holds IPv4 address and port of a server, as brokers of remote \
             desktops set it. A rule must wait for the first bytes: \"tcp-request content accept if RDP_COOKIE\".",
            "tcp-request inspect-delay 5s\ntcp-request content accept if RDP_COOKIE\npersist rdp-cookie",
        ),
    ),
];

fn collect(
    words: &mut Words<'_>,
    draft: &mut ProxyDraft,
    cx: &mut LineCx<'_>,
    force: bool,
) -> Result<(), Diag> {
    let word = words.need("\"if\" or \"unless\"")?;
    if !word.is("if") && !word.is("unless") {
        return Err(word.not_one_of("word", &["if", "unless"]));
    }
    words.rest();
    draft.persist_rules.push((force, Later { line: cx.line.clone(), section: cx.section }));
    Ok(())
}

fn rdp_name(word: &Word) -> Result<String, Diag> {
    let Some(rest) = word.text.strip_prefix("rdp-cookie") else {
        return Err(word.not_one_of("way to persist", &["rdp-cookie"]));
    };
    if rest.is_empty() {
        return Ok("msts".to_string());
    }
    match rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(name) if !name.is_empty() => Ok(name.to_string()),
        _ => Err(word.err("expected the name of a cookie in parentheses behind \"rdp-cookie\"")),
    }
}

const WORDS: &[&str] = &[
    "rewrite", "insert", "prefix", "indirect", "nocache", "postonly", "preserve", "httponly", "secure",
    "domain", "maxidle", "maxlife", "dynamic", "attr",
];

/// `cookie <name> ...`
fn cookie(words: &mut Words<'_>) -> Result<Cookie, Diag> {
    let mut made = Cookie { name: token(words.need("the name of a cookie")?, "name")?, ..Cookie::default() };
    let (mut domains, mut attrs) = (String::new(), String::new());
    let (mut http_only, mut secure) = (false, false);
    while words.left() > 0 {
        let word = words.need("an option")?;
        match word.text.as_str() {
            "rewrite" => mode(&mut made, word, CookieMode::Rewrite)?,
            "insert" => mode(&mut made, word, CookieMode::Insert)?,
            "prefix" => mode(&mut made, word, CookieMode::Prefix)?,
            "indirect" => made.indirect = true,
            "nocache" => made.nocache = true,
            "postonly" => made.postonly = true,
            "preserve" => made.preserve = true,
            "httponly" => http_only = true,
            "secure" => secure = true,
            "dynamic" => made.dynamic = true,
            "domain" => {
                domains.push_str("; domain=");
                domains.push_str(&token(words.need("a domain")?, "domain")?);
            }
            "attr" => {
                let word = words.need("an attribute")?;
                if word.text.is_empty() || word.text.bytes().any(|b| b.is_ascii_control() || b == b';') {
                    return Err(word.err("an attribute is a text without \";\" and control characters"));
                }
                attrs.push_str("; ");
                attrs.push_str(&word.text);
            }
            "maxidle" => made.max_idle = seconds(words.need("a time")?)?,
            "maxlife" => made.max_life = seconds(words.need("a time")?)?,
            _ => return Err(word.not_one_of("option", WORDS)),
        }
        if made.mode == CookieMode::Rewrite && made.indirect {
            return Err(word.err("\"rewrite\" and \"indirect\" exclude each other"));
        }
    }
    if made.preserve && made.mode != CookieMode::Insert && !made.indirect {
        let word = words.whole().iter().find(|word| word.is("preserve"));
        let what = "\"preserve\" goes with \"insert\" or \"indirect\"";
        return Err(word.map_or_else(|| words.missing(what), |word| word.err(what)));
    }
    made.tail = format!("; path=/{domains}");
    for (on, text) in [(http_only, "; HttpOnly"), (secure, "; Secure"), (true, attrs.as_str())] {
        made.tail.push_str(if on { text } else { "" });
    }
    Ok(made)
}

fn mode(cookie: &mut Cookie, word: &Word, mode: CookieMode) -> Result<(), Diag> {
    if cookie.mode != CookieMode::Passive && cookie.mode != mode {
        return Err(word.err("\"rewrite\", \"insert\" and \"prefix\" exclude each other"));
    }
    cookie.mode = mode;
    Ok(())
}

fn seconds(word: &Word) -> Result<u32, Diag> {
    match word.time_ms_from_s()? / 1000 {
        0 => Err(word.err("must be at least a second")),
        seconds => Ok(seconds),
    }
}

/// A text that may stand in a cookie without ending it.
pub fn token(word: &Word, what: &str) -> Result<String, Diag> {
    let bad = |byte: u8| {
        byte <= b' ' || byte == 0x7f || matches!(byte, b';' | b',') || what == "name" && byte == b'='
    };
    match word.text.bytes().position(bad) {
        _ if word.text.is_empty() => Err(word.err(format!("the {what} is empty"))),
        Some(at) => Err(word.err_at(at, 1, format!("this character cannot stand in the {what} of a cookie"))),
        None => Ok(word.text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Cookie, String> {
        let words: Vec<Word> = text.split(' ').map(Word::plain).collect();
        cookie(&mut Words::new(&words)).map_err(|diag| diag.what)
    }

    #[test]
    fn lines() {
        let made = read("S insert indirect nocache postonly preserve domain .a domain .b httponly secure attr SameSite=None maxidle 30m maxlife 8").unwrap();
        assert_eq!((made.name.as_str(), made.mode), ("S", CookieMode::Insert));
        assert!(made.indirect && made.nocache && made.postonly && made.preserve && !made.dynamic);
        assert_eq!((made.max_idle, made.max_life), (1800, 8));
        assert_eq!(made.tail, "; path=/; domain=.a; domain=.b; HttpOnly; Secure; SameSite=None");
        assert_eq!(read("S").unwrap().mode, CookieMode::Passive);
        assert_eq!(read("S prefix indirect preserve").unwrap().tail, "; path=/");
        for bad in [
            "S insert rewrite",
            "S insert prefix",
            "S rewrite prefix",
            "S rewrite indirect",
            "S indirect rewrite",
            "S rewrite preserve",
            "S preserve",
            "S maxidle 0",
            "S maxlife x",
            "S nope",
            "S domain",
            "S attr a;b",
            "a=b",
            "a;b insert",
            "",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_desktop_cookies() {
        let name = |text: &str| rdp_name(&Word::plain(text)).ok();
        assert_eq!(name("rdp-cookie").as_deref(), Some("msts"));
        assert_eq!(name("rdp-cookie(mstshash)").as_deref(), Some("mstshash"));
        for bad in ["rdp", "rdp-cookie()", "rdp-cookie(a", "rdp-cookiea"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}

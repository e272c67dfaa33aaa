//! TLS words that `bind` and `server` lines have in common, and the reading of values for both.

use std::marker::PhantomData;

use super::value;
use crate::base::doc::Doc;
use crate::conf::draft::{LineCx, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::{Word, Words};
use crate::plan::tls::{CaSource, TlsCommon, TlsVersion};

/// A line that may ask for TLS.
pub trait TlsLine: Sized + 'static {
    /// Where words stand that belong to one line.
    const LINE: Places;
    /// Where words stand that `ssl-default-*-options` in `global` may say too.
    const OPTION: Places;
    /// Both.
    const EVERYWHERE: Places;
    /// Ciphers, groups, versions, tickets.
    fn common(&mut self) -> &mut TlsCommon;
    /// What the words about versions leave.
    fn versions(&mut self) -> &mut Versions;
}

/// The words of a kind of line.
pub struct Shared<L>(PhantomData<L>);

impl<L: TlsLine> Shared<L> {
    /// One row per word.
    pub const ROWS: &'static [Keyword<L>] = &[
        row(
            "ciphers",
            L::LINE,
            |words, line, _| text(words, "a list", &mut line.common().ciphers),
            doc("ciphers <list>", "ciphers up to TLS 1.2, in OpenSSL's syntax", "", "ciphers ECDHE+AESGCM"),
        ),
        row(
            "ciphersuites",
            L::LINE,
            |words, line, _| text(words, "a list", &mut line.common().ciphersuites),
            doc("ciphersuites <list>", "cipher suites of TLS 1.3", "", "ciphersuites TLS_AES_128_GCM_SHA256"),
        ),
        row(
            "curves",
            L::LINE,
            |words, line, _| text(words, "a list", &mut line.common().curves),
            doc("curves <list>", "groups, preferred first", "", "curves X25519:P-256"),
        ),
        row("force-sslv3", L::OPTION, |words, _, _| no_sslv3(words), FORCE),
        row("force-tlsv10", L::OPTION, |_, line, _| force(line, TlsVersion::V10), FORCE),
        row("force-tlsv11", L::OPTION, |_, line, _| force(line, TlsVersion::V11), FORCE),
        row("force-tlsv12", L::OPTION, |_, line, _| force(line, TlsVersion::V12), FORCE),
        row("force-tlsv13", L::OPTION, |_, line, _| force(line, TlsVersion::V13), FORCE),
        row(
            "no-sslv3",
            L::OPTION,
            |_, _, _| Ok(()),
            doc("no-sslv3", "read and passed over", "SSL 3 is never spoken.", "no-sslv3"),
        ),
        row(
            "no-tls-tickets",
            L::EVERYWHERE,
            |_, line, _| tickets(line, false),
            doc("no-tls-tickets", "resume by session id only", "", "no-tls-tickets"),
        ),
        row("no-tlsv10", L::OPTION, |_, line, _| without(line, TlsVersion::V10), WITHOUT),
        row("no-tlsv11", L::OPTION, |_, line, _| without(line, TlsVersion::V11), WITHOUT),
        row("no-tlsv12", L::OPTION, |_, line, _| without(line, TlsVersion::V12), WITHOUT),
        row("no-tlsv13", L::OPTION, |_, line, _| without(line, TlsVersion::V13), WITHOUT),
        row(
            "sigalgs",
            L::LINE,
            |words, line, _| text(words, "a list", &mut line.common().sigalgs),
            doc("sigalgs <list>", "signature algorithms", "", "sigalgs ECDSA+SHA256:RSA-PSS+SHA256"),
        ),
        row(
            "ssl-max-ver",
            L::EVERYWHERE,
            |words, line, _| {
                line.versions().max = Some(version(words)?);
                Ok(())
            },
            doc(
                "ssl-max-ver <version>",
                "the highest TLS version",
                "TLSv1.0 to TLSv1.3.",
                "ssl-max-ver TLSv1.3",
            ),
        ),
        row(
            "ssl-min-ver",
            L::EVERYWHERE,
            |words, line, _| {
                line.versions().min = Some(version(words)?);
                Ok(())
            },
            doc("ssl-min-ver <version>", "the lowest TLS version", "Default TLSv1.2.", "ssl-min-ver TLSv1.2"),
        ),
        row(
            "tls-tickets",
            L::EVERYWHERE,
            |_, line, _| tickets(line, true),
            doc("tls-tickets", "the opposite of \"no-tls-tickets\"", "", "tls-tickets"),
        ),
    ];
}

const FORCE: Doc =
    doc("force-tlsv10|force-tlsv11|force-tlsv12|force-tlsv13", "only this TLS version", "", "force-tlsv12");

const WITHOUT: Doc = doc("no-tlsv10|no-tlsv11|no-tlsv12|no-tlsv13", "not this TLS version", "", "no-tlsv11");

/// Versions as configurations spell them.
pub const VERSIONS: &[&str] = &["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

fn text(words: &mut Words<'_>, what: &str, value: &mut Option<String>) -> Result<(), Diag> {
    *value = Some(value::text(words.need(what)?)?);
    Ok(())
}

fn tickets(line: &mut impl TlsLine, wanted: bool) -> Result<(), Diag> {
    line.common().tickets = wanted;
    Ok(())
}

fn force(line: &mut impl TlsLine, version: TlsVersion) -> Result<(), Diag> {
    line.versions().min = Some(version);
    line.versions().max = Some(version);
    Ok(())
}

fn without(line: &mut impl TlsLine, version: TlsVersion) -> Result<(), Diag> {
    line.versions().without.push(version);
    Ok(())
}

fn no_sslv3(words: &Words<'_>) -> Result<(), Diag> {
    let what = format!("SSL 3 is not spoken any more; versions are {}", VERSIONS.join(", "));
    match words.taken() {
        Some(word) => Err(word.err(what)),
        None => Err(words.missing(&what)),
    }
}

/// A TLS version word. SSL 3 as a minimum is read as TLS 1.0, the lowest that is spoken.
fn version(words: &mut Words<'_>) -> Result<TlsVersion, Diag> {
    let word = words.need("a version (like TLSv1.2)")?;
    Ok(match word.text.as_str() {
        "SSLv3" | "TLSv1.0" => TlsVersion::V10,
        "TLSv1.1" => TlsVersion::V11,
        "TLSv1.2" => TlsVersion::V12,
        "TLSv1.3" => TlsVersion::V13,
        _ => return Err(word.not_one_of("TLS version", VERSIONS)),
    })
}

/// Works out the range of versions a line leaves.
pub fn note_versions(versions: &Versions, common: &mut TlsCommon, at: Span) -> Result<(), Diag> {
    let (min, max) = versions.range().map_err(|what| Diag::alert(at, what))?;
    common.min = min;
    common.max = max;
    Ok(())
}

/// A list of ALPN protocols (RFC 7301): 1 to 255 bytes each. `h2` is left out until it is built.
pub fn alpn(word: &Word, cx: &mut LineCx<'_>) -> Result<Vec<String>, Diag> {
    let mut found = Vec::new();
    let mut whole = 0;
    for name in word.text.split(',') {
        if name.is_empty() || name.len() > 255 {
            return Err(word.err("each protocol name has 1 to 255 bytes"));
        }
        whole += name.len() + 1;
        if name == "h2" {
            const LEFT_OUT: &str = "HTTP/2 is not supported yet: \"h2\" is left out of \"alpn\"";
            if !cx.diags.iter().any(|diag| diag.what == LEFT_OUT) {
                cx.say(Diag::warning(word.at, LEFT_OUT));
            }
            continue;
        }
        found.push(name.to_string());
    }
    if whole > 65_535 {
        return Err(word.err("the list is too long"));
    }
    Ok(found)
}

/// A file, a directory or `@system-ca`.
pub fn ca_source(word: &Word, cx: &LineCx<'_>) -> Result<CaSource, Diag> {
    match word.text.as_str() {
        "@system-ca" => Ok(CaSource::System),
        _ => Ok(CaSource::Path(value::path_below(cx.base.ca_base.as_deref(), word)?)),
    }
}

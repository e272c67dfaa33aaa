//! `server` lines: TLS, and what `bind` lines share of it.

use super::value;
use crate::conf::crt;
use crate::conf::draft::{LineCx, ServerDraft, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::{Word, Words};
use crate::plan::tls::{CaSource, TlsCommon, TlsVersion, Verify};

const S: Places = Places::SERVERS;
const O: Places = S.and(Places::SERVER_OPTIONS);

/// TLS options of `server` and `default-server`.
pub const ROWS: &[Keyword<ServerDraft>] = &[
    row(
        "alpn",
        S,
        |words, draft, cx| {
            draft.tls.common.alpn = alpn(words.need("protocols (like http/1.1)")?, cx)?;
            Ok(())
        },
        doc(
            "alpn <protocol>[,<protocol>]...",
            "application protocols offered to the server",
            "",
            "alpn http/1.1",
        ),
    ),
    row(
        "ca-file",
        S,
        |words, draft, cx| {
            draft.tls.ca_file = Some(ca_source(words.need("a file")?, cx)?);
            Ok(())
        },
        doc(
            "ca-file <file|directory|@system-ca>",
            "authorities the server's certificate must come from",
            "",
            "ca-file @system-ca",
        ),
    ),
    row(
        "ciphers",
        S,
        |words, draft, _| {
            draft.tls.common.ciphers = Some(value::text(words.need("a list")?)?);
            Ok(())
        },
        doc("ciphers <list>", "ciphers up to TLS 1.2, in OpenSSL's syntax", "", "ciphers ECDHE+AESGCM"),
    ),
    row(
        "ciphersuites",
        S,
        |words, draft, _| {
            draft.tls.common.ciphersuites = Some(value::text(words.need("a list")?)?);
            Ok(())
        },
        doc("ciphersuites <list>", "cipher suites of TLS 1.3", "", "ciphersuites TLS_AES_128_GCM_SHA256"),
    ),
    row(
        "crl-file",
        S,
        |words, draft, cx| {
            draft.tls.crl_file = Some(value::path_below(cx.base.ca_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("crl-file <file>", "revoked server certificates", "", "crl-file /etc/ssl/crl.pem"),
    ),
    row(
        "crt",
        S,
        |words, draft, cx| {
            draft.tls.crt = Some(crt::files(words.need("a file")?, cx)?);
            Ok(())
        },
        doc(
            "crt <file>",
            "the certificate, with its key, shown to the server",
            "",
            "crt /etc/ssl/private/client.pem",
        ),
    ),
    row(
        "curves",
        S,
        |words, draft, _| {
            draft.tls.common.curves = Some(value::text(words.need("a list")?)?);
            Ok(())
        },
        doc("curves <list>", "groups, preferred first", "", "curves X25519:P-256"),
    ),
    row("force-sslv3", O, |words, _, _| super::bind_tls::no_sslv3(words), FORCE),
    row("force-tlsv10", O, |_, draft, _| force(draft, TlsVersion::V10), FORCE),
    row("force-tlsv11", O, |_, draft, _| force(draft, TlsVersion::V11), FORCE),
    row("force-tlsv12", O, |_, draft, _| force(draft, TlsVersion::V12), FORCE),
    row("force-tlsv13", O, |_, draft, _| force(draft, TlsVersion::V13), FORCE),
    row(
        "no-ssl",
        S,
        |_, draft, _| {
            draft.ssl = false;
            Ok(())
        },
        doc("no-ssl", "the opposite of \"ssl\"", "", "no-ssl"),
    ),
    row(
        "no-ssl-reuse",
        S,
        |_, draft, _| {
            draft.tls.reuse_sessions = false;
            Ok(())
        },
        doc("no-ssl-reuse", "a full TLS handshake for each connection", "", "no-ssl-reuse"),
    ),
    row(
        "no-sslv3",
        O,
        |_, _, _| Ok(()),
        doc("no-sslv3", "read and passed over", "SSL 3 is never spoken.", "no-sslv3"),
    ),
    row(
        "no-tls-tickets",
        O,
        |_, draft, _| {
            draft.tls.common.tickets = false;
            Ok(())
        },
        doc("no-tls-tickets", "resume by session id only", "", "no-tls-tickets"),
    ),
    row(
        "no-sni-auto",
        S,
        |_, draft, _| {
            draft.sni_auto = false;
            Ok(())
        },
        doc("no-sni-auto", "the opposite of \"sni-auto\"", "", "no-sni-auto"),
    ),
    row("no-tlsv10", O, |_, draft, _| without(draft, TlsVersion::V10), WITHOUT),
    row("no-tlsv11", O, |_, draft, _| without(draft, TlsVersion::V11), WITHOUT),
    row("no-tlsv12", O, |_, draft, _| without(draft, TlsVersion::V12), WITHOUT),
    row("no-tlsv13", O, |_, draft, _| without(draft, TlsVersion::V13), WITHOUT),
    row(
        "no-verifyhost",
        S,
        |_, draft, _| {
            draft.tls.verify_host = None;
            Ok(())
        },
        doc("no-verifyhost", "the opposite of \"verifyhost\"", "", "no-verifyhost"),
    ),
    row(
        "sigalgs",
        S,
        |words, draft, _| {
            draft.tls.common.sigalgs = Some(value::text(words.need("a list")?)?);
            Ok(())
        },
        doc("sigalgs <list>", "signature algorithms", "", "sigalgs ECDSA+SHA256"),
    ),
    row(
        "sni",
        S,
        |words, draft, _| {
            draft.sni = Some(words.need("an expression (like req.hdr(host))")?.clone());
            Ok(())
        },
        doc(
            "sni <expression>",
            "the name asked for in the TLS handshake",
            "Evaluated for each connection; str(<name>) for a fixed one.",
            "ssl verify none sni str(www.example.org)",
        ),
    ),
    row(
        "sni-auto",
        S,
        |_, draft, _| {
            draft.sni_auto = true;
            Ok(())
        },
        doc(
            "sni-auto",
            "ask for the name in the Host header of the request",
            "In HTTP, as \"sni req.hdr(host)\"; the port is left out. \"sni\" on the same line counts more.",
            "ssl ca-file @system-ca sni-auto",
        ),
    ),
    row(
        "ssl",
        S,
        |_, draft, _| {
            draft.ssl = true;
            Ok(())
        },
        doc(
            "ssl",
            "the server speaks TLS",
            "Its certificate is checked unless \"verify none\" stands on the line.",
            "ssl verify none",
        ),
    ),
    row(
        "ssl-max-ver",
        O,
        |words, draft, _| {
            draft.versions.max = Some(version(words)?);
            Ok(())
        },
        doc("ssl-max-ver <version>", "the highest TLS version", "TLSv1.0 to TLSv1.3.", "ssl-max-ver TLSv1.3"),
    ),
    row(
        "ssl-min-ver",
        O,
        |words, draft, _| {
            draft.versions.min = Some(version(words)?);
            Ok(())
        },
        doc("ssl-min-ver <version>", "the lowest TLS version", "Default TLSv1.2.", "ssl-min-ver TLSv1.2"),
    ),
    row(
        "ssl-reuse",
        S,
        |_, draft, _| {
            draft.tls.reuse_sessions = true;
            Ok(())
        },
        doc("ssl-reuse", "the opposite of \"no-ssl-reuse\"", "", "ssl-reuse"),
    ),
    row(
        "tls-tickets",
        O,
        |_, draft, _| {
            draft.tls.common.tickets = true;
            Ok(())
        },
        doc("tls-tickets", "the opposite of \"no-tls-tickets\"", "", "tls-tickets"),
    ),
    row(
        "verify",
        S,
        |words, draft, _| {
            let word = words.need("none or required")?;
            draft.tls.verify = match word.text.as_str() {
                "none" => Verify::None,
                "required" => Verify::Required,
                _ => return Err(word.not_one_of("value", &["none", "required"])),
            };
            draft.verify = true;
            Ok(())
        },
        doc(
            "verify none|required",
            "whether the server's certificate is checked",
            "Default required, which needs \"ca-file\".",
            "ssl verify none",
        ),
    ),
    row(
        "verifyhost",
        S,
        |words, draft, _| {
            draft.tls.verify_host = Some(value::text(words.need("a name")?)?);
            Ok(())
        },
        doc(
            "verifyhost <name>",
            "the name the server's certificate must carry",
            "Default: the name of \"sni\".",
            "verifyhost www.example.org",
        ),
    ),
];

const FORCE: crate::base::doc::Doc =
    doc("force-tlsv10|force-tlsv11|force-tlsv12|force-tlsv13", "only this TLS version", "", "force-tlsv12");

const WITHOUT: crate::base::doc::Doc =
    doc("no-tlsv10|no-tlsv11|no-tlsv12|no-tlsv13", "not this TLS version", "", "no-tlsv11");

/// Versions as configurations spell them.
pub const VERSIONS: &[&str] = &["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

fn force(draft: &mut ServerDraft, version: TlsVersion) -> Result<(), Diag> {
    draft.versions.min = Some(version);
    draft.versions.max = Some(version);
    Ok(())
}

fn without(draft: &mut ServerDraft, version: TlsVersion) -> Result<(), Diag> {
    draft.versions.without.push(version);
    Ok(())
}

/// A TLS version word. SSL 3 as a minimum is read as TLS 1.0, the lowest that is spoken.
pub fn version(words: &mut Words<'_>) -> Result<TlsVersion, Diag> {
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

/// What `global` says comes first.
pub fn begin(server: &mut ServerDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    let base = cx.base;
    server.tls.common.ciphers.clone_from(&base.server.ciphers);
    server.tls.common.ciphersuites.clone_from(&base.server.ciphersuites);
    server.tls.common.curves.clone_from(&base.server.curves);
    server.tls.common.sigalgs.clone_from(&base.server.sigalgs);
    if base.no_server_verify {
        server.tls.verify = Verify::None;
    }
    let place = std::mem::replace(&mut cx.place, Places::SERVER_OPTIONS);
    let mut options = Words::new(&base.server.options);
    let result = super::SERVER_INDEX.options(&mut options, server, cx);
    cx.place = place;
    result
}

/// Judges the line as a whole.
pub fn finish(server: &mut ServerDraft, at: Span, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if !server.ssl {
        return Ok(());
    }
    note_versions(&server.versions, &mut server.tls.common, at)?;
    if server.tls.verify == Verify::Required && server.tls.ca_file.is_none() {
        let diag = Diag::alert(at, "the server's certificate is to be checked, but no authorities are given");
        return Err(diag.help("add \"ca-file @system-ca\" (or a file), or \"verify none\" to check nothing"));
    }
    let named = server.sni.is_some() || server.sni_auto || server.tls.verify_host.is_some();
    if server.tls.verify == Verify::Required && !named && server.tls.ca_file == Some(CaSource::System) {
        let what = "any certificate of any public authority is accepted here: no name is expected";
        cx.say(Diag::warning(at, what).help("add \"verifyhost <name>\", or \"sni str(<name>)\""));
    }
    server.server.tls = Some(Box::new(server.tls.clone()));
    Ok(())
}

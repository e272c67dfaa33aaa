//! `server` lines: TLS.

use super::tls_common::{alpn, ca_source, note_versions, TlsLine};
use super::value;
use crate::conf::crt;
use crate::conf::draft::{LineCx, ServerDraft, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::Words;
use crate::plan::tls::{CaSource, TlsCommon, Verify};

const S: Places = Places::SERVERS;
const O: Places = S.and(Places::SERVER_OPTIONS);

impl TlsLine for ServerDraft {
    const LINE: Places = S;
    const OPTION: Places = O;
    const EVERYWHERE: Places = O;

    fn common(&mut self) -> &mut TlsCommon {
        &mut self.tls.common
    }

    fn versions(&mut self) -> &mut Versions {
        &mut self.versions
    }
}

/// TLS options of `server` and `default-server`.
pub const ROWS: &[Keyword<ServerDraft>] = &[
    row(
        "allow-0rtt",
        S,
        |_, draft, _| {
            draft.tls.early_data = true;
            Ok(())
        },
        doc(
            "allow-0rtt",
            "requests may go to the server along with the first flight (TLS 1.3 early data)",
            "Only those that came as early data themselves (they carry \"Early-Data: 1\"), and, with \"retry-on 0rtt-rejected\", GET, HEAD, \
             OPTIONS and TRACE requests without a body. When the server refuses it, \"retry-on 0rtt-rejected\" sends the request \
             again after a handshake; without it the client gets 425 and tries again itself. In HTTP mode.",
            "ssl ca-file @system-ca verifyhost www.example.org allow-0rtt",
        ),
    ),
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
        "no-ssl",
        S,
        |_, draft, _| {
            draft.ssl = false;
            Ok(())
        },
        doc("no-ssl", "the opposite of \"ssl\"", "", "no-ssl"),
    ),
    row(
        "no-allow-0rtt",
        S,
        |_, draft, _| {
            draft.tls.early_data = false;
            Ok(())
        },
        doc("no-allow-0rtt", "the opposite of \"allow-0rtt\"", "", "no-allow-0rtt"),
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
        "no-sni-auto",
        S,
        |_, draft, _| {
            draft.sni_auto = false;
            Ok(())
        },
        doc("no-sni-auto", "the opposite of \"sni-auto\"", "", "no-sni-auto"),
    ),
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
        "ssl-reuse",
        S,
        |_, draft, _| {
            draft.tls.reuse_sessions = true;
            Ok(())
        },
        doc("ssl-reuse", "the opposite of \"no-ssl-reuse\"", "", "ssl-reuse"),
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

//! `bind` lines: TLS. Lines of a `crt-list` use the same words.

use std::sync::Arc;

use super::tls_common::{alpn, ca_source, note_versions, TlsLine};
use super::value;
use crate::conf::crt;
use crate::conf::draft::{BindDraft, LineCx, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::{Word, Words};
use crate::plan::crt::{CrtList, CrtSource};
use crate::plan::tls::{Ignored, TlsCommon, Verify};
use lighterman_sys::tls::verify_errors;

const B: Places = Places::BIND.and(Places::CLI);
const O: Places = B.and(Places::BIND_OPTIONS);
/// What a line of a `crt-list` may change.
const L: Places = B.and(Places::CRT_LIST);
/// What only such a line may say.
const C: Places = Places::CRT_LIST;

impl TlsLine for BindDraft {
    const LINE: Places = L;
    const OPTION: Places = O;
    const EVERYWHERE: Places = O.and(L);

    fn common(&mut self) -> &mut TlsCommon {
        &mut self.tls.common
    }

    fn versions(&mut self) -> &mut Versions {
        &mut self.versions
    }
}

/// TLS options of `bind`.
pub const ROWS: &[Keyword<BindDraft>] = &[
    row(
        "allow-0rtt",
        L,
        |_, draft, _| {
            draft.tls.early_data = true;
            Ok(())
        },
        doc(
            "allow-0rtt",
            "take requests that TLS 1.3 clients send before the handshake is over",
            "Such a request may be a recording of an earlier one. Each ticket counts once, over all workers, which rules \
             out a replay here; requests that go to a server before the handshake is over carry \"Early-Data: 1\", and the \
             server may answer 425 (RFC 8470). \"http-request wait-for-handshake\" holds back what must not be early. \
             In HTTP mode only, and not with \"tls-ticket-keys\", whose tickets other boxes take too: there clients are \
             told to send their request again after the handshake.",
            "allow-0rtt",
        ),
    ),
    row(
        "alpn",
        L,
        |words, draft, cx| {
            draft.tls.common.alpn = alpn(words.need("protocols (like http/1.1)")?, cx)?;
            Ok(())
        },
        doc(
            "alpn <protocol>[,<protocol>]...",
            "application protocols, preferred first",
            "HTTP/2 is not built yet: \"h2\" is left out with a warning.",
            "alpn http/1.1",
        ),
    ),
    row(
        "ca-file",
        L,
        |words, draft, cx| {
            draft.tls.ca_file = Some(ca_source(words.need("a file")?, cx)?);
            Ok(())
        },
        doc(
            "ca-file <file|directory|@system-ca>",
            "authorities that may have signed client certificates",
            "",
            "ca-file /etc/ssl/certs/ca-certificates.crt",
        ),
    ),
    row(
        "ca-ignore-err",
        L,
        |words, draft, _| {
            draft.tls.ca_ignore = ignored(words.need("numbers or names of errors, or \"all\"")?)?;
            Ok(())
        },
        doc(
            "ca-ignore-err all|<error>[,<error>]...",
            "what may be wrong with an authority of a client",
            "Errors are numbers or names as in \"crt-ignore-err\". \"ssl_c_ca_err\" and \"ssl_c_ca_err_depth\" tell \
             rules what was passed over.",
            "ca-ignore-err X509_V_ERR_CERT_HAS_EXPIRED",
        ),
    ),
    row(
        "ca-verify-file",
        L,
        |words, draft, cx| {
            draft.tls.ca_verify_file = Some(ca_source(words.need("a file")?, cx)?);
            Ok(())
        },
        doc(
            "ca-verify-file <file|directory|@system-ca>",
            "further authorities of client certificates, not named to clients",
            "Clients are told the names in \"ca-file\" only; chains are checked with both.",
            "ca-file leafs.pem ca-verify-file roots.pem",
        ),
    ),
    row(
        "crl-file",
        L,
        |words, draft, cx| {
            draft.tls.crl_file = Some(value::path_below(cx.base.ca_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("crl-file <file>", "revoked client certificates", "", "crl-file /etc/ssl/crl.pem"),
    ),
    row(
        "crt",
        B,
        |words, draft, cx| {
            let source = crt::source(words.need("a file or directory")?, cx)?;
            draft.tls.crt.push(source);
            note(words, draft)
        },
        doc(
            "crt <file|directory>",
            "certificates with their keys",
            "A PEM file holds certificate, chain and key in any order; the key may also stand beside it in a file \
             with \".key\" added. A directory: all its files. May be repeated; the first certificate is shown when no \
             name fits.",
            "crt /etc/ssl/private/site.pem",
        ),
    ),
    row(
        "crt-ignore-err",
        L,
        |words, draft, _| {
            draft.tls.crt_ignore = ignored(words.need("numbers or names of errors, or \"all\"")?)?;
            Ok(())
        },
        doc(
            "crt-ignore-err all|<error>[,<error>]...",
            "what may be wrong with the certificate of a client",
            "Errors are numbers, or names like X509_V_ERR_CERT_HAS_EXPIRED, with commas between. The handshake goes on, \
             and \"ssl_c_verify\" and \"ssl_c_err\" tell rules what was passed over. Clients without a certificate \
             are the matter of \"verify\".",
            "crt-ignore-err X509_V_ERR_CERT_HAS_EXPIRED,X509_V_ERR_CERT_REVOKED",
        ),
    ),
    row(
        "crt-list",
        B,
        |words, draft, _| {
            let word = words.need("a file")?;
            draft.lists.push((draft.tls.crt.len(), word.clone()));
            let list = CrtList::new(value::path_below(None, word)?, None);
            draft.tls.crt.push(CrtSource::List(Arc::new(list)));
            note(words, draft)
        },
        doc(
            "crt-list <file>",
            "a list of certificates with the names they are for",
            "One certificate a line: <certificate> [\\[<option> ...\\]] [[!]<name> ...]. Options between brackets replace \
             those of the \"bind\" line for clients that get this certificate; the words that may stand there are \
             marked so. Names replace those in the certificate; \"*.a.test\" stands for one more label, \"!b.a.test\" \
             takes a name away again, \"*\" makes the certificate the one for names nobody has, \"!*\" is for no name at \
             all. \"#\" begins a comment, quotes keep blanks together. Relative certificates are below \"crt-base\". The \
             certificates count in the order of the line, together with those of \"crt\".",
            "crt-list /etc/haproxy/sites.list",
        ),
    ),
    row(
        "ecdhe",
        L,
        |words, draft, _| {
            draft.tls.common.curves = Some(value::text(words.need("a group")?)?);
            Ok(())
        },
        doc("ecdhe <group>", "older word for \"curves\"", "", "ecdhe prime256v1"),
    ),
    row(
        "default-crt",
        B,
        |words, draft, cx| {
            let source = crt::source(words.need("a file")?, cx)?;
            draft.tls.default_crt.push(source);
            note(words, draft)
        },
        doc(
            "default-crt <file>",
            "the certificate for clients that ask for no name, or for one that nobody has",
            "It is also used for the names it carries. May be repeated, for an RSA and an EC certificate. Without it the \
             first \"crt\" counts.",
            "default-crt /etc/ssl/private/default.pem",
        ),
    ),
    row(
        "generate-self-signed",
        B,
        |_, draft, _| {
            draft.tls.self_signed = true;
            Ok(())
        },
        doc(
            "generate-self-signed",
            "a certificate made at start",
            "For a first try: no client trusts it. It counts when no \"crt\" stands on the line.",
            "generate-self-signed",
        ),
    ),
    row(
        "no-allow-0rtt",
        L,
        |_, draft, _| {
            draft.tls.early_data = false;
            Ok(())
        },
        doc("no-allow-0rtt", "the opposite of \"allow-0rtt\"", "", "no-allow-0rtt"),
    ),
    row(
        "no-alpn",
        L,
        |_, draft, _| {
            draft.tls.common.alpn.clear();
            Ok(())
        },
        doc("no-alpn", "negotiate no application protocol", "", "no-alpn"),
    ),
    row(
        "issuer",
        C,
        |words, draft, cx| {
            let path = value::path_below(cx.base.crt_base.as_deref(), words.need("a file")?)?;
            draft.files.get_or_insert_default().issuer = Some(path);
            Ok(())
        },
        doc("issuer <file>", "who signed the certificate of this line: completes the chain", "", "issuer /etc/ssl/ca.pem"),
    ),
    row(
        "key",
        C,
        |words, draft, cx| {
            let path = value::path_below(cx.base.key_base.as_deref(), words.need("a file")?)?;
            draft.files.get_or_insert_default().key = Some(path);
            Ok(())
        },
        doc("key <file>", "the private key of the certificate of this line", "", "key /etc/ssl/private/site.key"),
    ),
    row(
        "no-ca-names",
        L,
        |_, draft, _| {
            draft.tls.no_ca_names = true;
            Ok(())
        },
        doc(
            "no-ca-names",
            "do not tell clients which authorities are believed",
            "For long lists of authorities: they are part of every handshake otherwise.",
            "no-ca-names",
        ),
    ),
    row(
        "no-strict-sni",
        O,
        |_, draft, _| {
            draft.tls.strict_sni = false;
            Ok(())
        },
        doc("no-strict-sni", "the opposite of \"strict-sni\"", "", "no-strict-sni"),
    ),
    row(
        "ocsp",
        C,
        |words, draft, cx| {
            let path = value::path_below(cx.base.crt_base.as_deref(), words.need("a file")?)?;
            draft.files.get_or_insert_default().ocsp = Some(path);
            Ok(())
        },
        doc("ocsp <file>", "an OCSP answer (DER) to staple to the certificate of this line", "", "ocsp /etc/ssl/site.ocsp"),
    ),
    row(
        "ocsp-update",
        L,
        |words, draft, cx| {
            let on = Some(value::on_off(words)?);
            match cx.place.meets(Places::CRT_LIST) {
                true => draft.files.get_or_insert_default().ocsp_update = on,
                false => draft.tls.ocsp_update = on,
            }
            Ok(())
        },
        doc(
            "ocsp-update on|off",
            "keep the OCSP answers of the certificates of this line fresh",
            "The responder that a certificate names is asked over HTTP in the background, at half the time its answer has \
             still to live and within \"ocsp-update.mindelay\" and \"ocsp-update.maxdelay\"; what it says is judged, and \
             stapled by all workers. The issuer must be known: it is part of the chain or an .issuer file. What a line \
             of a list or of a crt-store says goes first, then what the bind line says, then \"ocsp-update.mode\".",
            "ocsp-update on",
        ),
    ),
    row(
        "prefer-client-ciphers",
        O,
        |_, draft, _| {
            draft.tls.prefer_client_ciphers = true;
            Ok(())
        },
        doc(
            "prefer-client-ciphers",
            "choose among ciphers by the client's order",
            "Otherwise by the order here, except that clients that prefer ChaCha20 get it.",
            "prefer-client-ciphers",
        ),
    ),
    row(
        "sctl",
        C,
        |words, draft, cx| {
            let path = value::path_below(cx.base.crt_base.as_deref(), words.need("a file")?)?;
            draft.files.get_or_insert_default().sctl = Some(path);
            Ok(())
        },
        doc("sctl <file>", "timestamps of transparency logs for the certificate of this line", "", "sctl /etc/ssl/site.sctl"),
    ),
    row(
        "ssl",
        B,
        |_, draft, _| {
            draft.ssl = true;
            Ok(())
        },
        doc("ssl", "clients speak TLS", "Needs a certificate (\"crt\").", "ssl crt /etc/ssl/private/site.pem"),
    ),
    row(
        "strict-sni",
        O,
        |_, draft, _| {
            draft.tls.strict_sni = true;
            Ok(())
        },
        doc(
            "strict-sni",
            "refuse names without a certificate",
            "Otherwise the first certificate is shown.",
            "strict-sni",
        ),
    ),
    row(
        "tls-ticket-keys",
        B,
        |words, draft, _| {
            draft.tls.ticket_keys = Some(value::path_below(None, words.need("a file")?)?);
            Ok(())
        },
        doc(
            "tls-ticket-keys <file>",
            "keys of session tickets, shared with other boxes",
            "One key per line in base64, 48 or 80 bytes each (\"openssl rand -base64 80\"), at least three, the newest \
             last. The last but one seals new tickets, the others only open theirs. Lines that name the same file share \
             its keys, and so do all boxes with a copy of it: a session made on one resumes on every other. A reload \
             reads the file again if it changed; \"set ssl tls-key\" adds a key without one. Without this word keys \
             are random and replaced every \"tune.ssl.ticket-rotate\".",
            "tls-ticket-keys /run/lighterman/tickets.keys",
        ),
    ),
    row(
        "verify",
        L,
        |words, draft, _| {
            let word = words.need("none, optional or required")?;
            draft.tls.verify = match word.text.as_str() {
                "none" => Verify::None,
                "optional" => Verify::Optional,
                "required" => Verify::Required,
                _ => return Err(word.not_one_of("value", &["none", "optional", "required"])),
            };
            Ok(())
        },
        doc(
            "verify none|optional|required",
            "whether clients must show a certificate",
            "Default none. Otherwise \"ca-file\" is needed.",
            "verify none",
        ),
    ),
    row(
        "watch",
        B,
        |words, draft, _| {
            draft.tls.watch = true;
            note(words, draft)
        },
        doc(
            "watch",
            "use what changes in directories of certificates at once",
            "A file that is new, replaced or removed in a directory that \"crt\" of this line names is in use by all \
             workers within a second, without a reload. A file that is still written, or is no good, changes \
             nothing: the certificate stays as it was last good, one line in the log says why, and \"SslWatchErrors\" \
             of \"show info\" counts it. \"watch\" in \"global\" counts for all lines.",
            "ssl crt /etc/ssl/sites/ watch",
        ),
    ),
];

/// A list of verification errors: numbers, names, or `all`.
fn ignored(word: &Word) -> Result<Ignored, Diag> {
    let mut found = Ignored::default();
    for name in word.text.split(',') {
        let number = || name.parse::<u8>().ok().filter(|number| *number < 128);
        match name {
            "all" => found = Ignored::ALL,
            _ => match verify_errors::named(name).or_else(number) {
                Some(number) => found.add(number),
                None => {
                    let diag = word.err(format!("\"{name}\" is no error of certificate verification"));
                    return Err(
                        diag.help("write a number, a name like X509_V_ERR_CERT_HAS_EXPIRED, or \"all\"")
                    );
                }
            },
        }
    }
    Ok(found)
}

/// Remembers that a certificate was given, for the case that `ssl` is missing.
fn note(words: &Words<'_>, draft: &mut BindDraft) -> Result<(), Diag> {
    draft.tls_at = draft.tls_at.or(words.taken().map(|word| word.at));
    Ok(())
}

/// What `global` says comes first.
pub fn begin(bind: &mut BindDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    let base = cx.base;
    bind.tls.common.ciphers.clone_from(&base.bind.ciphers);
    bind.tls.common.ciphersuites.clone_from(&base.bind.ciphersuites);
    bind.tls.common.curves.clone_from(&base.bind.curves);
    bind.tls.common.sigalgs.clone_from(&base.bind.sigalgs);
    bind.tls.watch = base.watch;
    cx.place = Places::BIND_OPTIONS;
    let mut options = Words::new(&base.bind.options);
    super::BIND_INDEX.options(&mut options, bind, cx)?;
    bind.tls_at = None;
    Ok(())
}

/// Judges the line as a whole.
pub fn finish(bind: &mut BindDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if !bind.ssl {
        if let Some(at) = bind.tls_at {
            let diag = Diag::warning(at, "a certificate has no effect without \"ssl\"");
            cx.say(diag.help("add \"ssl\" to the line if clients are to speak TLS"));
        }
        return Ok(());
    }
    if bind.tls.crt.is_empty() && bind.tls.default_crt.is_empty() && !bind.tls.self_signed {
        let diag = Diag::alert(bind.at, "\"ssl\" needs a certificate");
        return Err(diag.help("add \"crt <file>\" with certificate and key"));
    }
    judge(bind, bind.at)?;
    crt::read_lists(bind, cx);
    Ok(())
}

/// Judges what both the line and a line of its lists may say.
pub fn judge(bind: &mut BindDraft, at: Span) -> Result<(), Diag> {
    note_versions(&bind.versions, &mut bind.tls.common, at)?;
    if bind.tls.verify != Verify::None && bind.tls.ca_file.is_none() {
        let diag = Diag::alert(at, "\"verify\" needs the authorities to check with");
        return Err(diag.help("add \"ca-file <file>\", or \"ca-file @system-ca\""));
    }
    Ok(())
}

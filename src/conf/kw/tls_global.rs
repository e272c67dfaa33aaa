//! `global`: what TLS lines start from.

use super::value;
use crate::conf::draft::{GlobalDraft, LineCx};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::crt::Extras;

const G: Places = Places::GLOBAL;

/// Defaults of TLS.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "ca-base",
        G,
        |words, draft, _| {
            draft.base.ca_base = Some(value::text(words.need("a directory")?)?);
            Ok(())
        },
        doc("ca-base <directory>", "where relative \"ca-file\" and \"crl-file\" paths begin", "", "ca-base /etc/ssl"),
    ),
    row(
        "crt-base",
        G,
        |words, draft, _| {
            draft.base.crt_base = Some(value::text(words.need("a directory")?)?);
            Ok(())
        },
        doc("crt-base <directory>", "where relative \"crt\" paths begin", "", "crt-base /etc/ssl/private"),
    ),
    row(
        "issuers-chain-path",
        G,
        |words, draft, _| {
            draft.global.extras.issuers_chain_path = Some(value::text(words.need("a directory")?)?.into());
            Ok(())
        },
        doc(
            "issuers-chain-path <directory>",
            "chains for certificates that come without one",
            "Each PEM file of the directory is a chain. A certificate without intermediates gets the chain whose first \
             certificate signed it.",
            "issuers-chain-path /etc/ssl/chains",
        ),
    ),
    row(
        "key-base",
        G,
        |words, draft, _| {
            draft.base.key_base = Some(value::text(words.need("a directory")?)?);
            Ok(())
        },
        doc("key-base <directory>", "where relative \"key\" paths begin", "", "key-base /etc/ssl/private"),
    ),
    row(
        "ssl-default-bind-ciphers",
        G,
        |words, draft, _| list(words, &mut draft.base.bind.ciphers),
        doc(
            "ssl-default-bind-ciphers <list>",
            "ciphers of \"bind\" lines up to TLS 1.2",
            "In OpenSSL's syntax. Counts for lines without \"ciphers\".",
            "ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20",
        ),
    ),
    row(
        "ssl-default-bind-ciphersuites",
        G,
        |words, draft, _| list(words, &mut draft.base.bind.ciphersuites),
        doc(
            "ssl-default-bind-ciphersuites <list>",
            "cipher suites of \"bind\" lines for TLS 1.3",
            "",
            "ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
        ),
    ),
    row(
        "ssl-default-bind-curves",
        G,
        |words, draft, _| list(words, &mut draft.base.bind.curves),
        doc("ssl-default-bind-curves <list>", "groups of \"bind\" lines", "", "ssl-default-bind-curves X25519:P-256"),
    ),
    row(
        "ssl-default-bind-options",
        G,
        |words, draft, _| {
            draft.base.bind.options.push(words.need("an option")?.clone());
            draft.base.bind.options.extend(words.rest().iter().cloned());
            Ok(())
        },
        doc(
            "ssl-default-bind-options <option>...",
            "TLS options every \"bind ... ssl\" line begins with",
            "ssl-min-ver, ssl-max-ver, no-tlsv1x, force-tlsv1x, no-tls-tickets, prefer-client-ciphers, strict-sni.",
            "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        ),
    ),
    row(
        "ssl-default-bind-sigalgs",
        G,
        |words, draft, _| list(words, &mut draft.base.bind.sigalgs),
        doc(
            "ssl-default-bind-sigalgs <list>",
            "signature algorithms of \"bind\" lines",
            "",
            "ssl-default-bind-sigalgs ECDSA+SHA256:RSA-PSS+SHA256",
        ),
    ),
    row(
        "ssl-default-server-ciphers",
        G,
        |words, draft, _| list(words, &mut draft.base.server.ciphers),
        doc(
            "ssl-default-server-ciphers <list>",
            "ciphers of \"server\" lines up to TLS 1.2",
            "",
            "ssl-default-server-ciphers ECDHE+AESGCM",
        ),
    ),
    row(
        "ssl-default-server-ciphersuites",
        G,
        |words, draft, _| list(words, &mut draft.base.server.ciphersuites),
        doc(
            "ssl-default-server-ciphersuites <list>",
            "cipher suites of \"server\" lines for TLS 1.3",
            "",
            "ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256",
        ),
    ),
    row(
        "ssl-default-server-curves",
        G,
        |words, draft, _| list(words, &mut draft.base.server.curves),
        doc("ssl-default-server-curves <list>", "groups of \"server\" lines", "", "ssl-default-server-curves X25519"),
    ),
    row(
        "ssl-default-server-options",
        G,
        |words, draft, _| {
            draft.base.server.options.push(words.need("an option")?.clone());
            draft.base.server.options.extend(words.rest().iter().cloned());
            Ok(())
        },
        doc(
            "ssl-default-server-options <option>...",
            "TLS options every \"server ... ssl\" line begins with",
            "ssl-min-ver, ssl-max-ver, no-tlsv1x, force-tlsv1x, no-tls-tickets.",
            "ssl-default-server-options ssl-min-ver TLSv1.2",
        ),
    ),
    row(
        "ssl-default-server-sigalgs",
        G,
        |words, draft, _| list(words, &mut draft.base.server.sigalgs),
        doc(
            "ssl-default-server-sigalgs <list>",
            "signature algorithms of \"server\" lines",
            "",
            "ssl-default-server-sigalgs ECDSA+SHA256",
        ),
    ),
    row(
        "ocsp-update.disable",
        G,
        |words, draft, _| {
            draft.global.ocsp.disabled = value::on_off(words)?;
            Ok(())
        },
        doc("ocsp-update.disable on|off", "keep no OCSP answer fresh, whatever is said elsewhere", "", "ocsp-update.disable on"),
    ),
    row(
        "ocsp-update.httpproxy",
        G,
        |words, draft, _| {
            let word = words.need("an address")?;
            if lighterman_wire::fetch::host_and_port(&word.text).is_none() {
                return Err(word.err(format!("\"{}\" is no address and port", word.text)));
            }
            draft.global.ocsp.proxy = Some(value::text(word)?);
            Ok(())
        },
        doc(
            "ocsp-update.httpproxy <address>[:<port>]",
            "ask OCSP responders through an HTTP proxy",
            "The port is 80 when nothing is said.",
            "ocsp-update.httpproxy proxy.example.org:3128",
        ),
    ),
    row(
        "ocsp-update.maxdelay",
        G,
        |words, draft, _| ocsp_delay(words, draft, false),
        doc(
            "ocsp-update.maxdelay <seconds>",
            "the longest time between two updates of an OCSP answer",
            "Also between two attempts that fail. Default 3600. \"tune.ssl.ocsp-update.maxdelay\" is the same.",
            "ocsp-update.maxdelay 7200",
        ),
    ),
    row(
        "ocsp-update.mindelay",
        G,
        |words, draft, _| ocsp_delay(words, draft, true),
        doc(
            "ocsp-update.mindelay <seconds>",
            "the shortest time between two updates of an OCSP answer",
            "Also after an attempt that failed; it doubles with each that follows. Default 300. \
             \"tune.ssl.ocsp-update.mindelay\" is the same.",
            "ocsp-update.mindelay 600",
        ),
    ),
    row(
        "ocsp-update.mode",
        G,
        |words, draft, _| {
            draft.global.ocsp.update = value::on_off(words)?;
            Ok(())
        },
        doc(
            "ocsp-update.mode on|off",
            "keep the OCSP answers of all certificates fresh",
            "Holds where nothing is said by \"ocsp-update\". Default off.",
            "ocsp-update.mode on",
        ),
    ),
    row(
        "tune.ssl.ocsp-update.maxdelay",
        G,
        |words, draft, _| ocsp_delay(words, draft, false),
        doc(
            "tune.ssl.ocsp-update.maxdelay <seconds>",
            "the same as \"ocsp-update.maxdelay\"",
            "",
            "tune.ssl.ocsp-update.maxdelay 7200",
        ),
    ),
    row(
        "tune.ssl.ocsp-update.mindelay",
        G,
        |words, draft, _| ocsp_delay(words, draft, true),
        doc(
            "tune.ssl.ocsp-update.mindelay <seconds>",
            "the same as \"ocsp-update.mindelay\"",
            "",
            "tune.ssl.ocsp-update.mindelay 600",
        ),
    ),
    row(
        "ssl-index-dir",
        G,
        |words, draft, _| {
            draft.global.ssl_index_dir = Some(value::path_below(None, words.need("a directory")?)?);
            Ok(())
        },
        doc(
            "ssl-index-dir <directory>",
            "where the indexes of certificate directories are kept",
            "A directory named by \"crt\" is indexed: which file is for which names. The index is kept for the next \
             start, which then reads only files that have changed. Without this keyword it is a hidden file beside \
             the directory, when it has 200 certificates or more.",
            "ssl-index-dir /var/lib/lighterman",
        ),
    ),
    row(
        "ssl-load-extra-del-ext",
        G,
        |_, draft, _| {
            draft.global.extras.del_ext = true;
            Ok(())
        },
        doc(
            "ssl-load-extra-del-ext",
            "files beside a certificate replace its ending",
            "\"site.key\" belongs to \"site.crt\", otherwise \"site.crt.key\" does. Counts for files that end in \
             \".crt\".",
            "ssl-load-extra-del-ext",
        ),
    ),
    row(
        "ssl-load-extra-files",
        G,
        extra_files,
        doc(
            "ssl-load-extra-files none|all|<what>...",
            "which files are looked for beside a certificate",
            "\"key\": its key. \"issuer\": who signed it. \"ocsp\": an answer to staple. \"sctl\": timestamps of \
             transparency logs. \"bundle\": \"site.pem.rsa\" and \"site.pem.ecdsa\" where there is no \"site.pem\". \
             The default is \"all\". What a \"crt-store\" or a \"crt-list\" names is always read.",
            "ssl-load-extra-files key ocsp",
        ),
    ),
    row(
        "ssl-server-verify",
        G,
        |words, draft, _| {
            let word = words.need("none or required")?;
            draft.base.no_server_verify = match word.text.as_str() {
                "none" => true,
                "required" => false,
                _ => return Err(word.not_one_of("value", &["none", "required"])),
            };
            Ok(())
        },
        doc(
            "ssl-server-verify none|required",
            "whether certificates of servers are checked where the line does not say",
            "The default is \"required\", which needs a \"ca-file\" on the line.",
            "ssl-server-verify required",
        ),
    ),
    row(
        "watch",
        G,
        |_, draft, _| {
            draft.base.watch = true;
            Ok(())
        },
        doc(
            "watch",
            "watch all directories of certificates",
            "As if every \"bind\" line that follows said \"watch\".",
            "watch",
        ),
    ),
];

/// The first of the two delays that contradicts the other one is told.
fn ocsp_delay(words: &mut Words<'_>, draft: &mut GlobalDraft, min: bool) -> Result<(), Diag> {
    let word = words.need("a number of seconds")?;
    let delay = word.int_in(1..=31_536_000)? as u32;
    let how = &mut draft.global.ocsp;
    let (low, high) = if min { (delay, how.max_delay) } else { (how.min_delay, delay) };
    if low > high {
        let what = format!("the shortest delay ({low}) must not be longer than the longest ({high})");
        return Err(word.err(what));
    }
    (how.min_delay, how.max_delay) = (low, high);
    Ok(())
}

fn list(words: &mut Words<'_>, into: &mut Option<String>) -> Result<(), Diag> {
    *into = Some(value::text(words.need("a list")?)?);
    Ok(())
}

fn extra_files(words: &mut Words<'_>, draft: &mut GlobalDraft, _: &mut LineCx<'_>) -> Result<(), Diag> {
    let old = std::mem::take(&mut draft.global.extras);
    let mut extras =
        Extras { del_ext: old.del_ext, issuers_chain_path: old.issuers_chain_path, ..Extras::none() };
    let mut word = Some(words.need("what to look for")?);
    while let Some(what) = word {
        match what.text.as_str() {
            "none" => {}
            "all" => {
                (extras.bundle, extras.key, extras.ocsp) = (true, true, true);
                (extras.issuer, extras.sctl) = (true, true);
            }
            "bundle" => extras.bundle = true,
            "issuer" => extras.issuer = true,
            "key" => extras.key = true,
            "ocsp" => extras.ocsp = true,
            "sctl" => extras.sctl = true,
            _ => {
                let known = ["none", "all", "bundle", "sctl", "ocsp", "issuer", "key"];
                return Err(what.not_one_of("value", &known));
            }
        }
        word = words.next();
    }
    draft.global.extras = extras;
    Ok(())
}

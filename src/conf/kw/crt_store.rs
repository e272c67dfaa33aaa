//! The section `crt-store`: certificates with the files that belong to them, by names that `crt` can use.

use super::value;
use crate::conf::draft::{LineCx, LoadDraft, StoreDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;

const STORE: Places = Places::CRT_STORE;
const LOAD: Places = Places::LOAD;

/// Words of the section.
pub const ROWS: &[Keyword<StoreDraft>] = &[
    row(
        "crt-base",
        STORE,
        |words, draft, _| {
            draft.crt_base = Some(value::text(words.need("a directory")?)?);
            Ok(())
        },
        doc("crt-base <directory>", "where relative certificates of this store begin", "", "crt-base /etc/ssl/certs"),
    ),
    row(
        "key-base",
        STORE,
        |words, draft, _| {
            draft.key_base = Some(value::text(words.need("a directory")?)?);
            Ok(())
        },
        doc("key-base <directory>", "where relative keys of this store begin", "", "key-base /etc/ssl/private"),
    ),
    row(
        "load",
        STORE,
        load,
        doc(
            "load crt <file> [key <file>] [ocsp <file>] [issuer <file>] [sctl <file>] [alias <name>]",
            "a certificate and the files that belong to it",
            "\"crt @<store>/<name>\" on a \"bind\" line or in a \"crt-list\" uses it; the name is the alias or the file. \
             A store without a name is called \"@/<name>\", and what it describes also counts where only the file is \
             named. Files that are not named here are looked for beside the certificate, see \"ssl-load-extra-files\".",
            "load crt site.pem key site.key alias site",
        ),
    ),
];

/// Words behind `load`.
pub const LOAD_ROWS: &[Keyword<LoadDraft>] = &[
    row(
        "alias",
        LOAD,
        |words, draft, _| {
            let word = words.need("a name")?;
            draft.files.alias = Some(value::text(word)?);
            draft.alias_at = Some(word.at);
            Ok(())
        },
        doc("alias <name>", "the name lines call this certificate by", "", "alias site"),
    ),
    row(
        "crt",
        LOAD,
        |words, draft, _| {
            let word = words.need("a file")?;
            draft.files.crt = value::path_below(draft.crt_base.as_deref(), word)?;
            draft.written = Some(word.clone());
            Ok(())
        },
        doc("crt <file>", "the certificate, with its chain and perhaps its key", "", "crt site.pem"),
    ),
    row(
        "issuer",
        LOAD,
        |words, draft, _| {
            draft.files.issuer = Some(value::path_below(draft.crt_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("issuer <file>", "who signed it: completes the chain", "", "issuer ca.pem"),
    ),
    row(
        "key",
        LOAD,
        |words, draft, _| {
            draft.files.key = Some(value::path_below(draft.key_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("key <file>", "the private key, when it is not in the certificate's file", "", "key site.key"),
    ),
    row(
        "ocsp",
        LOAD,
        |words, draft, _| {
            draft.files.ocsp = Some(value::path_below(draft.crt_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("ocsp <file>", "an OCSP answer to staple, in DER", "", "ocsp site.ocsp"),
    ),
    row(
        "ocsp-update",
        LOAD,
        |words, draft, _| {
            draft.files.ocsp_update = Some(value::on_off(words)?);
            Ok(())
        },
        doc("ocsp-update on|off", "keep its OCSP answer fresh", "As on a \"bind\" line.", "ocsp-update on"),
    ),
    row(
        "sctl",
        LOAD,
        |words, draft, _| {
            draft.files.sctl = Some(value::path_below(draft.crt_base.as_deref(), words.need("a file")?)?);
            Ok(())
        },
        doc("sctl <file>", "timestamps of certificate transparency logs", "", "sctl site.sctl"),
    ),
];

fn load(words: &mut Words<'_>, draft: &mut StoreDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    let mut load = LoadDraft {
        crt_base: draft.crt_base.clone().or_else(|| cx.base.crt_base.clone()),
        key_base: draft.key_base.clone().or_else(|| cx.base.key_base.clone()),
        ..LoadDraft::default()
    };
    let outer = std::mem::replace(&mut cx.place, LOAD);
    let result = super::LOAD_INDEX.options(words, &mut load, cx);
    cx.place = outer;
    result?;
    let Some(written) = load.written else {
        return Err(Diag::alert(cx.line.span(), "the certificate is missing").help("write load crt <file>"));
    };
    let at = load.alias_at.unwrap_or(written.at);
    let alias = load.files.alias.clone().unwrap_or_default();
    match draft.store.add(load.files, &written.text) {
        true => Ok(()),
        false => Err(Diag::alert(at, format!("the name \"{alias}\" is taken in this store"))),
    }
}

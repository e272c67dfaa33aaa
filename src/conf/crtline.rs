//! A line of a `crt-list` that comes while everything runs: what it says, and what its options make of a `bind` line.
//!
//! Called by the command that adds it, and by every process that puts its options in force. Files are not read here.

use std::sync::Arc;

use super::ast::Line;
use super::crtlist::{self, FilterFault};
use super::draft::{LineCx, Versions};
use super::driver::{Places, Prefix};
use super::env::Env;
use super::{addr, draft, kw};
use crate::lang::diag::{Diag, Diags};
use crate::lang::span::{SourceMap, Span};
use crate::lang::word::{Word, Words};
use crate::plan::tls::BindTls;

/// Longest line.
const LINE_MAX: usize = 16 * 1024;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrtLineText {
    /// The certificate.
    pub crt: String,
    /// What stands between the brackets.
    pub options: String,
    /// The names, as [`crate::plan::crt::Filter::of`] reads them.
    pub filters: Vec<String>,
}

/// Reads a line; an error says what is wrong with it.
pub fn read(text: &str) -> Result<CrtLineText, String> {
    if text.len() > LINE_MAX {
        return Err(format!("a line may not be longer than {LINE_MAX} bytes"));
    }
    let mut lines = text.lines().filter(|line| !line.trim_ascii().is_empty());
    let line = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        return Err("only one line can be added at a time".to_owned());
    }
    let entry = crtlist::entry(line.as_bytes(), 1).ok_or("the line is empty")?;
    let entry = entry.map_err(|fault| format!("at character {}: {}", fault.col, fault.what))?;
    let mut filters = Vec::with_capacity(entry.filters.len());
    for token in &entry.filters {
        match crtlist::filter(&token.text) {
            Ok(filter) => filters.push(filter.into_owned()),
            Err(FilterFault::Bad(why) | FilterFault::Never(why)) => {
                return Err(format!("'{}' is no name to ask for: {why}", token.text));
            }
        }
    }
    let options = entry.options.iter().map(|token| &*token.text).collect::<Vec<_>>();
    Ok(CrtLineText { crt: entry.crt.text.into_owned(), options: options.join(" "), filters })
}

/// A `bind` line as these options change it, without certificates. Relative paths of files are taken as they are.
pub fn with_options(line: &BindTls, options: &str) -> Result<BindTls, String> {
    let said = |diag: Diag| diag.what;
    let place = Span::NONE;
    let words: Vec<Word> =
        options.split_ascii_whitespace().map(|text| Word { text: text.to_owned(), at: place }).collect();
    let (base, env, sources, mut diags) =
        (draft::Base::default(), Env::default(), SourceMap::new(), Diags::new());
    let mut cx = LineCx {
        place: Places::CRT_LIST,
        prefix: Prefix::None,
        line: Arc::new(Line { words: Vec::new() }),
        section: 0,
        replayed: false,
        base: &base,
        env: &env,
        sources: &sources,
        diags: &mut diags,
        resolve: addr::system_resolver,
    };
    let mut bind = kw::bind::options(&mut Words::new(&[]), place, Places::CRT_LIST, &mut cx).map_err(said)?;
    bind.tls = BindTls {
        crt: Vec::new(),
        default_crt: Vec::new(),
        variants: Vec::new(),
        self_signed: false,
        ..line.clone()
    };
    bind.versions =
        Versions { min: Some(line.common.min), max: Some(line.common.max), ..Versions::default() };
    cx.place = Places::CRT_LIST;
    kw::BIND_INDEX.options(&mut Words::new(&words), &mut bind, &mut cx).map_err(said)?;
    kw::bind_tls::judge(&mut bind, place).map_err(said)?;
    if bind.files.is_some() {
        return Err("files beside the certificate are set with 'set ssl cert'".to_owned());
    }
    Ok(bind.tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tls::{TlsVersion, Verify};

    #[test]
    fn lines_are_read() {
        let line = read("a.pem [alpn h2,http/1.1  ssl-min-ver TLSv1.3] X.test !y.test\n\n").unwrap();
        assert_eq!(line.crt, "a.pem");
        assert_eq!(line.options, "alpn h2,http/1.1 ssl-min-ver TLSv1.3");
        assert_eq!(line.filters, ["x.test", "!y.test"]);
        for (text, why) in [
            ("", "the line is empty"),
            ("# nothing", "the line is empty"),
            ("a.pem\nb.pem\n", "only one line can be added at a time"),
            ("[alpn h2] a.pem", "at character 1: the line must begin with a certificate"),
            (
                "a.pem *x.test",
                "'*x.test' is no name to ask for: \"*\" stands for one whole label, as in *.a.test",
            ),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
        assert!(read(&"x".repeat(20_000)).is_err());
    }

    #[test]
    fn options_change_the_line() {
        let line = BindTls { strict_sni: true, self_signed: true, ..BindTls::default() };
        let own = with_options(&line, "").unwrap();
        assert_eq!(own, BindTls { self_signed: false, ..line.clone() });
        let own = with_options(&line, "ssl-min-ver TLSv1.3 alpn http/1.1").unwrap();
        assert_eq!((own.common.min, own.common.alpn.len(), own.strict_sni), (TlsVersion::V13, 1, true));
        let own = with_options(&line, "verify required ca-file /x/ca.pem").unwrap();
        assert_eq!(own.verify, Verify::Required);
        for bad in ["bogus", "verify required", "ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.2", "crt x.pem"] {
            assert!(with_options(&line, bad).is_err(), "{bad}");
        }
    }
}

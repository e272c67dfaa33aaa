//! From the words that name certificates to their place in the plan: paths below `crt-base`, certificates of a
//! `crt-store`, the lines of a `crt-list` with the options they change.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::crtlist::{self, Entry, FilterFault, Token};
use super::draft::{BindDraft, LineCx};
use super::driver::Places;
use super::kw::{self, value};
use crate::lang::diag::{Diag, Diags, Level, Quote};
use crate::lang::span::Span;
use crate::lang::suggest;
use crate::lang::word::{Word, Words};
use crate::plan::crt::{CrtFiles, CrtList, CrtSource, LIST_MAX, OPTIONS_MAX};
use crate::plan::tls::BindTls;

/// All `crt-store` sections, by their name; the one without a name under "".
pub type Stores = HashMap<String, Store>;

/// What a `crt-store` describes.
#[derive(Default)]
pub struct Store {
    /// By alias, by the file as it is written, and by its whole path.
    names: HashMap<String, Arc<CrtFiles>>,
}

impl Store {
    /// Adds a certificate; `written` is its file as it stands in the section. False when its alias is taken.
    pub fn add(&mut self, files: CrtFiles, written: &str) -> bool {
        let files = Arc::new(files);
        if let Some(alias) = &files.alias {
            if self.names.contains_key(alias) {
                return false;
            }
            self.names.insert(alias.clone(), files.clone());
        }
        for name in [written.to_string(), files.crt.display().to_string()] {
            self.names.entry(name).or_insert_with(|| files.clone());
        }
        true
    }
}

/// What `crt` names: a path, or a certificate that a `crt-store` describes.
pub fn source(word: &Word, cx: &LineCx<'_>) -> Result<CrtSource, Diag> {
    if let Some(stored) = stored(word, cx)? {
        return Ok(CrtSource::Stored(stored));
    }
    let path = value::path_below(cx.base.crt_base.as_deref(), word)?;
    let known = cx.base.stores.get("").and_then(|store| store.names.get(path.to_str()?));
    Ok(known.map_or(CrtSource::Path(path), |files| CrtSource::Stored(files.clone())))
}

/// What `crt` of a server names: one certificate.
pub fn files(word: &Word, cx: &LineCx<'_>) -> Result<CrtFiles, Diag> {
    Ok(match source(word, cx)? {
        CrtSource::Stored(files) => (*files).clone(),
        other => CrtFiles::new(other.path().to_owned()),
    })
}

/// The certificate behind `@store/name`, and behind a file name the store without a name knows.
fn stored(word: &Word, cx: &LineCx<'_>) -> Result<Option<Arc<CrtFiles>>, Diag> {
    let Some(rest) = word.text.strip_prefix('@') else {
        return Ok(cx.base.stores.get("").and_then(|store| store.names.get(&word.text)).cloned());
    };
    let Some((store, name)) = rest.split_once('/') else {
        return Err(word
            .err(format!("\"{}\" names no certificate", word.text))
            .help("write @<store>/<name>"));
    };
    let Some(found) = cx.base.stores.get(store) else {
        let what = match store {
            "" => "there is no crt-store without a name".to_string(),
            _ => format!("there is no crt-store \"{store}\""),
        };
        return Err(suggested(word.err(what), store, cx.base.stores.keys()));
    };
    match found.names.get(name) {
        Some(files) => Ok(Some(files.clone())),
        None => {
            let diag = word.err(format!("crt-store \"{store}\" has no certificate \"{name}\""));
            Err(suggested(diag, name, found.names.keys()))
        }
    }
}

fn suggested<'k>(diag: Diag, word: &str, known: impl Iterator<Item = &'k String>) -> Diag {
    match suggest::did_you_mean(word, known.map(String::as_str)) {
        Some(help) => diag.help(help),
        None => diag,
    }
}

/// Reads the lists of a `bind` line that is complete otherwise. What is wrong with them is pushed.
pub fn read_lists(bind: &mut BindDraft, cx: &mut LineCx<'_>) {
    let lists = std::mem::take(&mut bind.lists);
    if lists.is_empty() {
        return;
    }
    let mut template = bind.clone();
    template.tls.crt.clear();
    template.tls.default_crt.clear();
    template.tls.self_signed = false;
    template.versions = bind.versions.clone();
    let mut reader = Reader { template, variants: Vec::new(), known: HashMap::new(), warned: 0 };
    for (place, word) in lists {
        match value::file(&word, LIST_MAX as u64) {
            Ok(text) => {
                let list = reader.list(&word, &text, cx);
                if let Some(source) = bind.tls.crt.get_mut(place) {
                    *source = CrtSource::List(Arc::new(list));
                }
            }
            Err(diag) => cx.diags.push(diag.within("\"crt-list\"")),
        }
    }
    bind.tls.variants = reader.variants;
}

/// A list and the word that names it.
struct File<'l> {
    word: &'l Word,
    text: &'l [u8],
}

struct Reader {
    /// The `bind` line without its certificates: what a line of the list starts from.
    template: BindDraft,
    variants: Vec<BindTls>,
    /// Sets of options by their text.
    known: HashMap<String, usize>,
    /// How many warnings there were.
    warned: usize,
}

/// More warnings about the lists of a line are not told.
const WARNED_MAX: usize = 100;

impl Reader {
    fn list(&mut self, word: &Word, text: &[u8], cx: &mut LineCx<'_>) -> CrtList {
        let base = cx.base.crt_base.as_ref().map(PathBuf::from);
        let mut list = CrtList::new(PathBuf::from(&word.text), base);
        for line in crtlist::lines(text) {
            if cx.diags.is_full() {
                break;
            }
            let added = match &line {
                Ok(entry) => self.entry(entry, &mut list, &File { word, text }, cx),
                Err(fault) => {
                    Err(Diag::alert(place(fault.line, fault.col), fault.what.clone()).help(fault.help))
                }
            };
            if let Err(diag) = added {
                cx.diags.push(moved(diag, word, text));
            }
        }
        list.shrink();
        list
    }

    fn entry(
        &mut self,
        entry: &Entry<'_>,
        list: &mut CrtList,
        file: &File<'_>,
        cx: &mut LineCx<'_>,
    ) -> Result<(), Diag> {
        let crt = word_of(&entry.crt, entry.number);
        let mut files = stored(&crt, cx)?;
        let options = match entry.options.is_empty() {
            true => 0,
            false => {
                let (options, own) = self.options(entry, file, cx)?;
                if let Some(mut own) = own {
                    own.crt = match &files {
                        Some(files) => files.crt.clone(),
                        None => value::path_below(cx.base.crt_base.as_deref(), &crt)?,
                    };
                    files = Some(Arc::new(own));
                }
                options
            }
        };
        let mut filters = Vec::with_capacity(entry.filters.len());
        for token in &entry.filters {
            match crtlist::filter(&token.text) {
                Ok(filter) => filters.push(filter),
                Err(FilterFault::Bad(why)) => return Err(bad_filter(token, entry.number, Level::Alert, why)),
                Err(FilterFault::Never(why)) => {
                    let diag = bad_filter(token, entry.number, Level::Warning, why);
                    self.warn(diag, file, cx);
                }
            }
        }
        if filters.is_empty() && !entry.filters.is_empty() {
            // None of them can match, so the line is for no name.
            filters.push("!*".into());
        }
        match list.push(entry.number, &crt.text, options, files, filters.iter().map(AsRef::as_ref)) {
            true => {
                if !entry.options.is_empty() {
                    list.said(entry.options_text.trim_ascii());
                }
                Ok(())
            }
            false => Err(crt.err("the list is too long")),
        }
    }

    /// The set of options of a line, and the files it names.
    fn options(
        &mut self,
        entry: &Entry<'_>,
        file: &File<'_>,
        cx: &mut LineCx<'_>,
    ) -> Result<(usize, Option<CrtFiles>), Diag> {
        if let Some(known) = self.known.get(entry.options_text) {
            return Ok((*known, None));
        }
        let words: Vec<Word> = entry.options.iter().map(|token| word_of(token, entry.number)).collect();
        let mut draft = self.template.clone();
        let mut diags = Diags::new();
        let mut inner = LineCx {
            place: Places::CRT_LIST,
            line: cx.line.clone(),
            base: cx.base,
            env: cx.env,
            sources: cx.sources,
            diags: &mut diags,
            ..*cx
        };
        let read = kw::BIND_INDEX.options(&mut Words::new(&words), &mut draft, &mut inner);
        let judged = read.and_then(|()| kw::bind_tls::judge(&mut draft, place(entry.number, entry.crt.col)));
        for diag in diags.into_vec() {
            self.warn(diag, file, cx);
        }
        judged?;
        let files = draft.files.take();
        let option = self.variant(draft.tls).ok_or_else(|| {
            let what = format!("more than {OPTIONS_MAX} different sets of options");
            Diag::alert(place(entry.number, entry.crt.col), what)
        })?;
        if files.is_none() {
            self.known.insert(entry.options_text.to_string(), option);
        }
        Ok((option, files))
    }

    /// Says something that does not refuse the line. Not without end: each message looks its line up.
    fn warn(&mut self, diag: Diag, file: &File<'_>, cx: &mut LineCx<'_>) {
        self.warned += 1;
        if self.warned <= WARNED_MAX {
            cx.say(moved(diag, file.word, file.text));
        }
    }

    /// The number of a set of options; `None` when there are too many.
    fn variant(&mut self, tls: BindTls) -> Option<usize> {
        if tls == self.template.tls {
            return Some(0);
        }
        if let Some(known) = self.variants.iter().position(|variant| *variant == tls) {
            return Some(known + 1);
        }
        (self.variants.len() < OPTIONS_MAX).then(|| {
            self.variants.push(tls);
            self.variants.len()
        })
    }
}

fn bad_filter(token: &Token<'_>, line: u32, level: Level, why: &str) -> Diag {
    let what = match level {
        Level::Alert => format!("\"{}\" is no name: {why}", token.text),
        _ => format!("\"{}\" matches no name: {why}", token.text),
    };
    Diag::new(level, Span { file: 0, line, col: token.col, len: token.len }, what)
}

fn word_of(token: &Token<'_>, line: u32) -> Word {
    Word { text: token.text.to_string(), at: Span { file: 0, line, col: token.col, len: token.len } }
}

fn place(line: u32, col: u32) -> Span {
    Span { file: 0, line, col, len: 1 }
}

/// A message about a place in the list, as one about the word that names the list.
fn moved(diag: Diag, list: &Word, text: &[u8]) -> Diag {
    let number = (diag.at.line as usize).saturating_sub(1);
    let line = text.split(|byte| *byte == b'\n').nth(number).unwrap_or(b"");
    let quote = Quote { file: list.text.clone(), text: line.trim_ascii_end().to_vec(), at: diag.at };
    let help = diag.help.filter(|help| !help.is_empty());
    Diag { at: list.at, help, also: None, quote: Some(Box::new(quote)), ..diag }
}

#[cfg(test)]
mod tests;

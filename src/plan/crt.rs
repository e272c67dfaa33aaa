//! Where the certificates of a `bind` line come from, in the order of the line: files, directories, certificates a
//! `crt-store` describes, and lists. Plain data: nothing here has been read but the lists themselves.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One `crt`, `crt-list` or `default-crt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrtSource {
    /// `crt <path>`: a file, a directory, or the base name of a bundle (`site.pem` for `site.pem.rsa`, `site.pem.ecdsa`).
    Path(PathBuf),
    /// `crt @store/alias`, or a path that a `crt-store` describes: what belongs to it is said there.
    Stored(Arc<CrtFiles>),
    /// `crt-list`.
    List(Arc<CrtList>),
}

impl CrtSource {
    /// The file or directory, for messages.
    pub fn path(&self) -> &Path {
        match self {
            CrtSource::Path(path) => path,
            CrtSource::Stored(files) => &files.crt,
            CrtSource::List(list) => &list.file,
        }
    }
}

/// A certificate and the files that were named as belonging to it. What is not named is looked for beside the certificate,
/// as [`Extras`] say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrtFiles {
    /// `crt`: certificate, chain and perhaps key.
    pub crt: PathBuf,
    /// `key`.
    pub key: Option<PathBuf>,
    /// `ocsp`: an answer to staple, DER.
    pub ocsp: Option<PathBuf>,
    /// `issuer`: completes the chain.
    pub issuer: Option<PathBuf>,
    /// `sctl`: timestamps of logs, as RFC 6962 section 3.3 lists them.
    pub sctl: Option<PathBuf>,
    /// `ocsp-update`: whether its OCSP answer is kept fresh.
    pub ocsp_update: Option<bool>,
    /// `alias`: the name lines call it by.
    pub alias: Option<String>,
}

impl CrtFiles {
    /// A certificate of which nothing is known but its file.
    pub fn new(crt: PathBuf) -> Self {
        CrtFiles { crt, ..CrtFiles::default() }
    }
}

/// `ssl-load-extra-files`, `ssl-load-extra-del-ext`, `issuers-chain-path`: what is looked for besides the files that are
/// named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extras {
    /// `site.pem.rsa` and `site.pem.ecdsa` where `site.pem` does not exist.
    pub bundle: bool,
    /// `site.pem.key` where `site.pem` holds no key.
    pub key: bool,
    /// `site.pem.ocsp`.
    pub ocsp: bool,
    /// `site.pem.issuer`.
    pub issuer: bool,
    /// `site.pem.sctl`.
    pub sctl: bool,
    /// The ending of a `.crt` file is replaced: `site.key` beside `site.crt`.
    pub del_ext: bool,
    /// A directory of chains, for certificates that come without one.
    pub issuers_chain_path: Option<PathBuf>,
}

impl Default for Extras {
    fn default() -> Self {
        Extras {
            bundle: true,
            key: true,
            ocsp: true,
            issuer: true,
            sctl: true,
            del_ext: false,
            issuers_chain_path: None,
        }
    }
}

impl Extras {
    /// Nothing is looked for.
    pub fn none() -> Self {
        Extras { bundle: false, key: false, ocsp: false, issuer: false, sctl: false, ..Extras::default() }
    }

    /// The file with this ending that belongs to `crt`.
    pub fn beside(&self, crt: &Path, ending: &str) -> PathBuf {
        if self.del_ext && crt.extension().is_some_and(|own| own == "crt") {
            return crt.with_extension(ending);
        }
        let mut name = crt.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    }
}

/// A `crt-list` that was read: compact, for a list may have hundreds of thousands of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrtList {
    /// The list itself.
    pub file: PathBuf,
    /// `crt-base`: what relative paths are below.
    base: Option<PathBuf>,
    /// Certificate and filters of every line.
    text: String,
    lines: Vec<Row>,
    /// Certificates with files of their own.
    files: Vec<Arc<CrtFiles>>,
    /// Options as they are written, each text once.
    said: Vec<String>,
}

/// One line, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    number: u32,
    /// In `text`: the certificate, then each filter after a blank.
    start: u32,
    crt_len: u32,
    /// 0: none, otherwise one more than the index in `files`.
    files: u32,
    options: u16,
    /// 0: none, otherwise one more than the index in `said`.
    said: u16,
}

/// A list has no more bytes.
pub const LIST_MAX: usize = 256 << 20;
/// A list has no more different sets of options: each costs a TLS context.
pub const OPTIONS_MAX: usize = 1000;

impl CrtList {
    /// An empty list.
    pub fn new(file: PathBuf, base: Option<PathBuf>) -> Self {
        CrtList { file, base, ..CrtList::default() }
    }

    /// Adds a line: its number, the certificate as written, the set of options (0: those of the `bind` line), filters.
    /// False when the list is full.
    pub fn push<'f>(
        &mut self,
        number: u32,
        crt: &str,
        options: usize,
        files: Option<Arc<CrtFiles>>,
        filters: impl Iterator<Item = &'f str>,
    ) -> bool {
        let (Ok(options), Ok(start)) = (u16::try_from(options), u32::try_from(self.text.len())) else {
            return false;
        };
        self.text.push_str(crt);
        for filter in filters {
            self.text.push('\n');
            self.text.push_str(filter);
        }
        let files = match files {
            Some(files) => {
                self.files.push(files);
                self.files.len() as u32
            }
            None => 0,
        };
        self.lines.push(Row { number, start, crt_len: crt.len() as u32, files, options, said: 0 });
        true
    }

    /// The options of the last line, as they are written. Texts are kept for a bounded number of different ones.
    pub fn said(&mut self, options: &str) {
        let Some(row) = self.lines.last_mut() else { return };
        let place = self.said.iter().rposition(|known| known == options).or_else(|| {
            (self.said.len() < OPTIONS_MAX).then(|| {
                self.said.push(options.to_owned());
                self.said.len() - 1
            })
        });
        row.said = place.map_or(0, |place| place as u16 + 1);
    }

    /// What relative paths are below.
    pub fn base(&self) -> Option<&Path> {
        self.base.as_deref()
    }

    /// The line with this number in the file.
    pub fn numbered(&self, number: u32) -> Option<CrtLine<'_>> {
        self.get(self.lines.binary_search_by_key(&number, |row| row.number).ok()?)
    }

    /// Gives back what was kept for growing.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.files.shrink_to_fit();
    }

    /// Bytes it takes, without what its files take.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.lines.capacity() * size_of::<Row>()
            + self.files.capacity() * size_of::<usize>()
    }

    /// How many certificates it has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True without any certificate.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The line at this place, counted from 0 over lines with a certificate.
    pub fn get(&self, index: usize) -> Option<CrtLine<'_>> {
        let row = self.lines.get(index)?;
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next.start as usize);
        let text = self.text.get(row.start as usize..end)?;
        let (crt, filters) = text.split_at_checked(row.crt_len as usize)?;
        let files = (row.files as usize).checked_sub(1).and_then(|index| self.files.get(index));
        Some(CrtLine {
            list: self,
            number: row.number,
            options: row.options.into(),
            crt,
            files,
            said: (row.said as usize).checked_sub(1).and_then(|index| self.said.get(index)).map_or("", |s| s),
            filters: filters.strip_prefix('\n').unwrap_or(""),
        })
    }

    /// All lines in order.
    pub fn lines(&self) -> impl Iterator<Item = CrtLine<'_>> {
        (0..self.lines.len()).filter_map(|index| self.get(index))
    }
}

/// One line of a `crt-list`.
#[derive(Clone, Copy, Debug)]
pub struct CrtLine<'l> {
    list: &'l CrtList,
    /// Its number in the file, from 1.
    pub number: u32,
    /// The set of options: 0 for those of the `bind` line, `n` for the `n - 1`th of `BindTls::variants`.
    pub options: usize,
    /// The certificate as it is written.
    pub crt: &'l str,
    /// What was said of its other files.
    pub files: Option<&'l Arc<CrtFiles>>,
    /// Its options as they are written, without brackets.
    pub said: &'l str,
    filters: &'l str,
}

impl<'l> CrtLine<'l> {
    /// The certificate's file.
    pub fn path(&self) -> Cow<'l, Path> {
        match (self.files, &self.list.base) {
            (Some(files), _) => Cow::Borrowed(files.crt.as_path()),
            (None, Some(base)) => Cow::Owned(base.join(self.crt)),
            (None, None) => Cow::Borrowed(Path::new(self.crt)),
        }
    }

    /// The filters as they are written, each after a line feed but the first.
    pub fn filter_text(&self) -> &'l str {
        self.filters
    }

    /// The names it is for; none: those in the certificate.
    pub fn filters(&self) -> impl Iterator<Item = Filter<'l>> + Clone {
        self.filters.split('\n').filter(|word| !word.is_empty()).map(Filter::of)
    }
}

/// One word of a line that says for which names its certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'l> {
    /// `!` stands before it: not for these.
    pub not: bool,
    /// `*.` stands before it: one more label.
    pub wild: bool,
    /// The name in lower case, without `!` and `*.`; empty for `*`, which means every name nobody else has.
    pub name: &'l str,
}

impl<'l> Filter<'l> {
    /// A filter as it stands in the list.
    pub fn of(word: &'l str) -> Self {
        let (not, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        match word.strip_prefix('*') {
            Some(rest) => Filter { not, wild: true, name: rest.strip_prefix('.').unwrap_or(rest) },
            None => Filter { not, wild: false, name: word },
        }
    }

    /// `*`: every name.
    pub fn is_everything(&self) -> bool {
        self.wild && self.name.is_empty()
    }
}

/// The names a line is for, from its filters and the names in its certificate.
///
/// * `*` makes it a default;
/// * with names of its own the line is for these; without, and unless `!*` stands there, for those of the certificate;
/// * `!name` takes a name away, also one that a wildcard of the same line covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineNames {
    /// Names and `*.` wildcards it is for.
    pub names: Vec<String>,
    /// Exact names its wildcards do not cover.
    pub except: Vec<String>,
    /// A certificate for names nobody has.
    pub default: bool,
}

impl LineNames {
    /// Works them out; `own` are the names in the certificate, in lower case.
    pub fn of<'f>(filters: impl Iterator<Item = Filter<'f>> + Clone, own: &[String]) -> Self {
        let text = |filter: &Filter<'f>| match filter.wild {
            true => format!("*.{}", filter.name),
            false => filter.name.to_string(),
        };
        let everything = |not: bool| filters.clone().any(|f| f.is_everything() && f.not == not);
        let chosen = |not: bool| filters.clone().filter(move |f| !f.is_everything() && f.not == not);
        let away: Vec<String> = chosen(true).map(|f| text(&f)).collect();
        let mut names: Vec<String> = chosen(false).map(|f| text(&f)).collect();
        let own_names = names.is_empty() && !everything(true) && (!everything(false) || !away.is_empty());
        if own_names {
            names.extend_from_slice(own);
        }
        names.retain(|name| !away.contains(name));
        let covered = |name: &String| {
            let parent = name.split_once('.').map(|(_, parent)| parent);
            names.iter().any(|known| known.strip_prefix("*.").is_some_and(|below| Some(below) == parent))
        };
        let except = away.iter().filter(|name| covered(name)).cloned().collect();
        LineNames { names, except, default: everything(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_names() {
        let own = ["a.test".to_string(), "b.test".to_string(), "*.w.test".to_string()];
        // (filters, names, exceptions, default)
        let rows: &[(&str, &str, &str, bool)] = &[
            ("", "a.test b.test *.w.test", "", false),
            ("x.test", "x.test", "", false),
            ("x.test *.y.test", "x.test *.y.test", "", false),
            ("*.y.test !b.y.test", "*.y.test", "b.y.test", false),
            ("*.y.test !b.b.y.test", "*.y.test", "", false),
            ("*.y.test !b.z.test", "*.y.test", "", false),
            ("!*", "", "", false),
            ("!* x.test", "x.test", "", false),
            ("!b.test", "a.test *.w.test", "", false),
            ("!b.test !b.w.test", "a.test *.w.test", "b.w.test", false),
            ("!*.w.test", "a.test b.test", "", false),
            ("*", "", "", true),
            ("* x.test", "x.test", "", true),
            ("* !b.test", "a.test *.w.test", "", true),
        ];
        for (filters, names, except, default) in rows {
            let got = LineNames::of(filters.split_whitespace().map(Filter::of), &own);
            assert_eq!(got.names.join(" "), *names, "{filters}");
            assert_eq!((got.except.join(" ").as_str(), got.default), (*except, *default), "{filters}");
        }
    }

    #[test]
    fn lists_give_back_what_they_were_given() {
        let mut list = CrtList::new("l".into(), Some("/base".into()));
        let files = Arc::new(CrtFiles { key: Some("k".into()), ..CrtFiles::new("/x/b.pem".into()) });
        assert!(list.push(1, "a b.pem", 0, None, ["*.a.test", "!b.a.test"].into_iter()));
        assert!(list.push(7, "b.pem", 2, Some(files), std::iter::empty()));
        assert!(list.push(9, "/c.pem", 0, None, std::iter::empty()));
        assert!(!list.push(9, "", 70_000, None, std::iter::empty()));
        list.shrink();
        let seen: Vec<_> = list
            .lines()
            .map(|line| {
                let path = line.path().display().to_string();
                (line.number, line.options, path, line.filters().collect::<Vec<_>>())
            })
            .collect();
        let filter = |not, wild, name| Filter { not, wild, name };
        assert_eq!(
            seen,
            [
                (
                    1,
                    0,
                    "/base/a b.pem".to_string(),
                    vec![filter(false, true, "a.test"), filter(true, false, "b.a.test")]
                ),
                (7, 2, "/x/b.pem".to_string(), vec![]),
                (9, 0, "/c.pem".to_string(), vec![]),
            ]
        );
    }

    #[test]
    fn files_beside_a_certificate() {
        let plain = Extras::default();
        let replaced = Extras { del_ext: true, ..Extras::default() };
        let rows = [
            ("/d/a.crt", "/d/a.crt.key", "/d/a.key"),
            ("/d/a.pem", "/d/a.pem.key", "/d/a.pem.key"),
            ("/d.crt/a", "/d.crt/a.key", "/d.crt/a.key"),
        ];
        for (crt, added, swapped) in rows {
            assert_eq!(plain.beside(Path::new(crt), "key"), Path::new(added));
            assert_eq!(replaced.beside(Path::new(crt), "key"), Path::new(swapped));
        }
    }
}

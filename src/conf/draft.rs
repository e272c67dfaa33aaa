//! The configuration in the making: what lines have said so far. Rows of `kw` write into these; `link`
//! turns them into the plan.
//!
//! Defaults are not copied but replayed: the lines of a `defaults` section run again on every proxy that
//! inherits them, before its own, and lines of `default-server` on every server. So each setting has one
//! way to be made, and no draft needs to be cloned. Lines that need the names of other sections (rules,
//! ACLs, backends) are only collected here and compiled by `link`.

use std::collections::HashMap;
use std::sync::Arc;

use super::addr::Resolve;
use super::ast::{Kind, Line};
use super::crt::{Store, Stores};
use super::driver::{Places, Prefix};
use super::env::Env;
use crate::lang::diag::{Diag, Diags};
use crate::lang::span::{SourceMap, Span};
use crate::lang::word::Word;
use crate::plan::crt::CrtFiles;
use crate::plan::global::CliLevel;
use crate::plan::rule::Site;
use crate::plan::tls::{BindTls, ServerTls, TlsVersion};
use crate::plan::users::User;
use crate::plan::{ErrorPages, Global, Listener, Proxy, Server, Users};

/// What a row may know besides its words and its draft.
pub struct LineCx<'a> {
    /// Where the line stands.
    pub place: Places,
    /// `no` or `default` before the keyword.
    pub prefix: Prefix,
    /// The line at hand.
    pub line: Arc<Line>,
    /// Index of the section the line stands in.
    pub section: usize,
    /// The line comes from `defaults` and runs again for a proxy: it was judged already.
    pub replayed: bool,
    /// What `global` said; complete, as it is read first.
    pub base: &'a Base,
    /// Variables, complete.
    pub env: &'a Env,
    /// The files, for `file:line` texts.
    pub sources: &'a SourceMap,
    /// Warnings and notices go here.
    pub diags: &'a mut Diags,
    /// Finds host names.
    pub resolve: Resolve,
}

impl LineCx<'_> {
    /// True behind `no`.
    pub fn negated(&self) -> bool {
        self.prefix == Prefix::No
    }

    /// True unless `no` or `default` stands before: the value of a switch that is off by default.
    pub fn on(&self) -> bool {
        self.prefix == Prefix::None
    }

    /// Says something without refusing the line; silent when the line is only replayed.
    pub fn say(&mut self, diag: Diag) {
        if !self.replayed {
            self.diags.push(diag);
        }
    }

    /// What the place is called in messages.
    pub fn place_text(&self) -> String {
        match self.place.names().as_slice() {
            [name] if self.place.meets(Places::SECTIONS) => format!("section \"{name}\""),
            [name] => format!("\"{name}\""),
            _ => "this place".to_string(),
        }
    }

    /// `file:line` of a span.
    pub fn at(&self, span: Span) -> String {
        format!("{}:{}", self.sources.name(span.file), span.line)
    }
}

/// What `global` says that other sections need while they are read.
#[derive(Default)]
pub struct Base {
    /// `crt-base`.
    pub crt_base: Option<String>,
    /// `key-base`.
    pub key_base: Option<String>,
    /// `ca-base`.
    pub ca_base: Option<String>,
    /// The `crt-store` sections.
    pub stores: Stores,
    /// `ssl-default-bind-ciphers` and its family.
    pub bind: TlsDefaults,
    /// `ssl-default-server-ciphers` and its family.
    pub server: TlsDefaults,
    /// `watch`.
    pub watch: bool,
    /// `ssl-server-verify none`.
    pub no_server_verify: bool,
    /// `unix-bind`: prefix of paths.
    pub unix_prefix: Option<String>,
    /// `unix-bind`: mode of sockets.
    pub unix_mode: Option<u32>,
    /// `unix-bind`: owner of sockets.
    pub unix_uid: Option<u32>,
    /// `unix-bind`: group of sockets.
    pub unix_gid: Option<u32>,
    /// The `http-errors` sections by name.
    pub pages: HashMap<String, ErrorPages>,
}

/// TLS settings a `bind` or `server` line starts from.
#[derive(Default)]
pub struct TlsDefaults {
    /// `ssl-default-*-ciphers`.
    pub ciphers: Option<String>,
    /// `ssl-default-*-ciphersuites`.
    pub ciphersuites: Option<String>,
    /// `ssl-default-*-curves`.
    pub curves: Option<String>,
    /// `ssl-default-*-sigalgs`.
    pub sigalgs: Option<String>,
    /// Words of `ssl-default-*-options`.
    pub options: Vec<Word>,
}

/// The `global` section in the making.
#[derive(Default)]
pub struct GlobalDraft {
    /// What goes into the plan.
    pub global: Global,
    /// What other sections need.
    pub base: Base,
    /// `zero-warning`.
    pub zero_warning: bool,
    /// `set-var` lines: compiled by `link`.
    pub vars: Vec<Arc<Line>>,
    /// `fd-hard-limit`.
    pub fd_hard_limit: Option<u32>,
    /// `ulimit-n`, for the judgement of `maxconn`.
    pub ulimit_at: Option<Span>,
    /// `maxconn`, likewise.
    pub maxconn_at: Option<Span>,
    /// Where the section begins.
    pub at: Span,
    /// The `userlist` sections.
    pub users: Users,
}

/// A `userlist` in the making.
#[derive(Default)]
pub struct UserlistDraft {
    /// Users so far.
    pub users: Vec<User>,
    /// `group` lines: the name, and the users they name.
    pub groups: Vec<(Word, Vec<Word>)>,
    /// Groups that users name behind `groups`.
    pub asked: Vec<Word>,
    /// Microseconds of a comparison, by the way and cost of hashes.
    pub costs: HashMap<String, u64>,
}

/// A line whose compilation needs the names of all sections.
#[derive(Clone)]
pub struct Later {
    /// The whole line.
    pub line: Arc<Line>,
    /// The section it was written in: its ACLs are the ones meant.
    pub section: usize,
}

/// A `stick-table` line.
pub struct DraftTable {
    /// What it says.
    pub spec: crate::shm::stick::Spec,
    /// Where it stands.
    pub at: Span,
    /// The table behind `write-to`.
    pub write_to: Option<Word>,
}

/// A proxy in the making.
pub struct ProxyDraft {
    /// What goes into the plan.
    pub proxy: Proxy,
    /// What section it is.
    pub kind: Kind,
    /// Its place in the AST.
    pub section: usize,
    /// The name, for messages.
    pub at: Span,
    /// `mode`, where it was said.
    pub mode_at: Option<Span>,
    /// `bind` lines.
    pub binds: Vec<BindDraft>,
    /// `server` lines: the line, and how many `default-server` lines were there before it.
    pub servers: Vec<(Arc<Line>, usize)>,
    /// `default-server` lines.
    pub default_servers: Vec<Arc<Line>>,
    /// `acl` lines.
    pub acls: Vec<Later>,
    /// Rules by place, in order.
    pub rules: Vec<(Site, Later)>,
    /// Rules that capture into a slot of their own: index in `rules`, slot.
    pub rule_slots: Vec<(usize, u32)>,
    /// `http-error` lines by status.
    pub http_errors: Vec<(u16, Later)>,
    /// `monitor fail` lines.
    pub monitor_fails: Vec<Later>,
    /// `use_backend` lines.
    pub switches: Vec<Later>,
    /// `stick` lines.
    pub sticks: Vec<Later>,
    /// `stick-table`.
    pub stick_table: Option<DraftTable>,
    /// `use-server` lines.
    pub use_servers: Vec<Later>,
    /// `option forwarded`: parts, with the expressions of those that have one.
    pub forwarded: Option<Vec<(&'static str, Option<Word>)>>,
    /// `force-persist` (true) and `ignore-persist` lines.
    pub persist_rules: Vec<(bool, Later)>,
    /// `dynamic-cookie-key`.
    pub cookie_key: Option<String>,
    /// `default_backend`.
    pub default_backend: Option<Word>,
    /// The expression of `balance hash`.
    pub balance_key: Option<Word>,
    /// `log-format`.
    pub log_format: Option<(Word, usize)>,
    /// `error-log-format`.
    pub error_log_format: Option<(Word, usize)>,
    /// `unique-id-format`.
    pub unique_id_format: Option<(Word, usize)>,
    /// `log-format-sd`.
    pub log_format_sd: Option<(Word, usize)>,
    /// `log global`.
    pub log_global: bool,
    /// `id`, when it was written.
    pub puid_at: Option<Span>,
    /// `tcp-request inspect-delay`.
    pub inspect_at: Option<Span>,
    /// `source`: for servers without one of their own.
    pub source: Option<std::net::SocketAddr>,
    /// Where logging by a style that needs HTTP was asked for.
    pub http_log_at: Option<Span>,
}

impl ProxyDraft {
    /// A proxy of which only the section line is known.
    pub fn new(proxy: Proxy, kind: Kind, section: usize, at: Span) -> Self {
        ProxyDraft {
            proxy,
            kind,
            section,
            at,
            mode_at: None,
            binds: Vec::new(),
            servers: Vec::new(),
            default_servers: Vec::new(),
            acls: Vec::new(),
            rules: Vec::new(),
            rule_slots: Vec::new(),
            http_errors: Vec::new(),
            monitor_fails: Vec::new(),
            switches: Vec::new(),
            sticks: Vec::new(),
            stick_table: None,
            use_servers: Vec::new(),
            forwarded: None,
            persist_rules: Vec::new(),
            cookie_key: None,
            default_backend: None,
            balance_key: None,
            log_format: None,
            error_log_format: None,
            unique_id_format: None,
            log_format_sd: None,
            log_global: false,
            puid_at: None,
            inspect_at: None,
            source: None,
            http_log_at: None,
        }
    }
}

impl ProxyDraft {
    /// A proxy in mode tcp that makes HTTP of some connections: its HTTP words count for those.
    pub fn switches_mode(&self) -> bool {
        self.rules.iter().any(|(site, later)| {
            *site == Site::TcpContent && later.line.words.iter().any(|word| word.is("switch-mode"))
        })
    }
}

/// Versions a line asks for in its many ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// `ssl-min-ver`, or `force-*`.
    pub min: Option<TlsVersion>,
    /// `ssl-max-ver`, or `force-*`.
    pub max: Option<TlsVersion>,
    /// `no-tlsv10` and its kin.
    pub without: Vec<TlsVersion>,
}

impl Versions {
    /// The range that is left. A range has no holes: where a version within it is excluded, only what lies
    /// above the hole is kept.
    pub fn range(&self) -> Result<(TlsVersion, TlsVersion), String> {
        const ALL: [TlsVersion; 4] = [TlsVersion::V10, TlsVersion::V11, TlsVersion::V12, TlsVersion::V13];
        let high = self.max.unwrap_or(TlsVersion::V13);
        // A maximum below the default minimum asks for an old version.
        let low = self.min.unwrap_or(TlsVersion::V12.min(high));
        let usable = |version: &TlsVersion| (low..=high).contains(version) && !self.without.contains(version);
        let runs = ALL.split(|version| !usable(version));
        match runs.filter_map(|run| Some((*run.first()?, *run.last()?))).next_back() {
            Some(range) => Ok(range),
            None => Err("no TLS version is left by ssl-min-ver, ssl-max-ver and no-tlsv1x".to_string()),
        }
    }
}

/// A `bind` or `stats socket` line in the making.
#[derive(Clone)]
pub struct BindDraft {
    /// Everything but address and number, which differ between the addresses of a line.
    pub listener: Listener,
    /// The addresses.
    pub addrs: Vec<crate::plan::BindAddr>,
    /// `ssl` and its family.
    pub tls: BindTls,
    /// `ssl` was written.
    pub ssl: bool,
    /// Versions asked for.
    pub versions: Versions,
    /// The first certificate, for the case that `ssl` is missing.
    pub tls_at: Option<Span>,
    /// Lists that are still to be read, with their places among the certificates.
    pub lists: Vec<(usize, Word)>,
    /// In a `crt-list`: the files a line names besides its certificate.
    pub files: Option<CrtFiles>,
    /// `level`, for a command socket.
    pub level: CliLevel,
    /// `id`, when it was written.
    pub puid_at: Option<Span>,
    /// The line, for messages.
    pub at: Span,
    /// The address word.
    pub addr_at: Span,
}

/// A `crt-store` in the making.
#[derive(Default)]
pub struct StoreDraft {
    /// `crt-base` of the section.
    pub crt_base: Option<String>,
    /// `key-base` of the section.
    pub key_base: Option<String>,
    /// What it describes so far.
    pub store: Store,
}

/// A `load` line of a `crt-store` in the making.
#[derive(Default)]
pub struct LoadDraft {
    /// What goes into the store.
    pub files: CrtFiles,
    /// The word behind `crt`.
    pub written: Option<Word>,
    /// The word behind `alias`.
    pub alias_at: Option<Span>,
    /// `crt-base` in force.
    pub crt_base: Option<String>,
    /// `key-base` in force.
    pub key_base: Option<String>,
}

/// A `server` line in the making.
pub struct ServerDraft {
    /// What goes into the plan.
    pub server: Server,
    /// `ssl` and its family.
    pub tls: ServerTls,
    /// `ssl` was written.
    pub ssl: bool,
    /// `verify` was written.
    pub verify: bool,
    /// Versions asked for.
    pub versions: Versions,
    /// `sni`: compiled by `link`.
    pub sni: Option<Word>,
    /// `sni-auto`.
    pub sni_auto: bool,
    /// `id`, when it was written.
    pub puid_at: Option<Span>,
    /// The name, for messages.
    pub at: Span,
}

#[cfg(test)]
mod tests {
    use super::*;
    use TlsVersion::{V10, V11, V12, V13};

    #[test]
    fn versions_leave_a_range() {
        let versions = |min, max, without: &[TlsVersion]| Versions { min, max, without: without.to_vec() };
        let table = [
            (versions(None, None, &[]), Ok((V12, V13))),
            (versions(Some(V10), None, &[]), Ok((V10, V13))),
            (versions(None, Some(V12), &[]), Ok((V12, V12))),
            (versions(None, Some(V11), &[]), Ok((V11, V11))),
            (versions(Some(V13), Some(V13), &[]), Ok((V13, V13))),
            (versions(None, None, &[V13]), Ok((V12, V12))),
            (versions(None, None, &[V12]), Ok((V13, V13))),
            (versions(Some(V10), None, &[V11]), Ok((V12, V13))),
            (versions(Some(V10), Some(V11), &[V11]), Ok((V10, V10))),
        ];
        for (versions, expected) in table {
            assert_eq!(versions.range(), expected, "{versions:?}");
        }
        assert!(versions(Some(V13), Some(V12), &[]).range().is_err());
        assert!(versions(None, None, &[V12, V13]).range().is_err());
    }
}

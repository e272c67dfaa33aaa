//! The keywords, one file per family, one row per word. A new word is a row here and nothing else.

pub mod acl;
pub mod bind;
pub mod bind_tls;
pub mod codes;
pub mod cookie;
pub mod crt_store;
pub mod global;
pub mod limits;
pub mod log;
pub mod old;
pub mod option;
pub mod option_http;
pub mod proxy;
pub mod reply;
pub mod retry;
pub mod rules;
pub mod server;
pub mod server_tls;
pub mod stats;
pub mod stick;
pub mod timeout;
pub mod tls_common;
pub mod tls_global;
pub mod tune;
pub mod users;
pub mod value;
pub mod vars;

use std::sync::LazyLock;

use super::draft::{BindDraft, GlobalDraft, LoadDraft, ProxyDraft, ServerDraft, StoreDraft, UserlistDraft};
use super::driver::{Index, Keyword};
use crate::plan::ErrorPages;

/// Keywords of `global`.
pub const GLOBAL: &[&[Keyword<GlobalDraft>]] = &[
    codes::ROWS,
    global::ROWS,
    limits::ROWS,
    log::GLOBAL_ROWS,
    stats::ROWS,
    tls_global::ROWS,
    tune::ROWS,
    vars::ROWS,
];

/// Keywords of `defaults`, `frontend`, `listen` and `backend`.
pub const PROXY: &[&[Keyword<ProxyDraft>]] = &[
    acl::ROWS,
    bind::LINE_ROWS,
    cookie::ROWS,
    log::PROXY_ROWS,
    old::IDLE_ROWS,
    old::ROWS,
    option::ROWS,
    option_http::ROWS,
    proxy::ROWS,
    reply::ROWS,
    retry::ROWS,
    rules::ROWS,
    rules::SERVER_ROWS,
    server::LINE_ROWS,
    stick::ROWS,
    timeout::ROWS,
];

/// Words of a `bind` or `stats socket` line.
pub const BIND: &[&[Keyword<BindDraft>]] = &[bind::ROWS, bind_tls::ROWS, tls_common::Shared::ROWS];

/// Words of a `server` or `default-server` line.
pub const SERVER: &[&[Keyword<ServerDraft>]] = &[server::ROWS, server_tls::ROWS, tls_common::Shared::ROWS];

/// Keywords of `crt-store`.
pub const CRT_STORE: &[&[Keyword<StoreDraft>]] = &[crt_store::ROWS];

/// Words behind `load` in a `crt-store`.
pub const LOAD: &[&[Keyword<LoadDraft>]] = &[crt_store::LOAD_ROWS];

/// The words behind `load` by name.
pub static LOAD_INDEX: LazyLock<Index<LoadDraft>> = LazyLock::new(|| Index::new(LOAD));
/// Keywords of `http-errors`.
pub const HTTP_ERRORS: &[&[Keyword<ErrorPages>]] = &[reply::SECTION_ROWS];

/// Keywords of `userlist`.
pub const USERLIST: &[&[Keyword<UserlistDraft>]] = &[users::ROWS];

/// The words of `bind` lines by name.
pub static BIND_INDEX: LazyLock<Index<BindDraft>> = LazyLock::new(|| Index::new(BIND));

/// The words of `server` lines by name.
pub static SERVER_INDEX: LazyLock<Index<ServerDraft>> = LazyLock::new(|| Index::new(SERVER));

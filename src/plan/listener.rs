//! One bound address of a `bind` line.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::tls::BindTls;
use crate::base::ids::{ListenerId, ProxyId};

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BindAddr {
    /// `ip:port`, `:port`, `*:port`, `[v6]:port`.
    Inet(SocketAddr),
    /// `/path`, `unix@path`.
    Unix(PathBuf),
    /// `abns@name`: Linux's abstract namespace.
    Abstract(Vec<u8>),
    /// `fd@N`: a socket inherited under this number.
    Fd(i32),
}

/// One bound address with the options of its `bind` line.
#[derive(Clone)]
pub struct Listener {
    /// Its own index.
    pub id: ListenerId,
    /// The frontend it feeds.
    pub proxy: ProxyId,
    /// `name`, else none: shown as `sock-N`.
    pub name: Option<String>,
    /// `id`: the number statistics and rules call it by, from 1 within the frontend.
    pub puid: u32,
    /// Where it listens.
    pub addr: BindAddr,
    /// `ssl` and its family.
    pub tls: Option<Box<BindTls>>,
    /// `accept-proxy`: a PROXY header comes before anything else.
    pub accept_proxy: bool,
    /// `nice`, -1024 to 1024: priority of what is accepted here.
    pub nice: i16,
    /// `maxconn` of the line, 0: only the frontend's.
    pub maxconn: u32,
    /// `backlog`, 0: from `maxconn`.
    pub backlog: u32,
    /// `defer-accept`.
    pub defer_accept: bool,
    /// `tfo`.
    pub tcp_fastopen: bool,
    /// `transparent`.
    pub transparent: bool,
    /// `mss`; negative values lower the kernel's.
    pub mss: i32,
    /// `tcp-ut`, milliseconds, 0: off.
    pub tcp_user_timeout: u32,
    /// `interface`.
    pub interface: Option<String>,
    /// `v4v6` (Some(false)) or `v6only` (Some(true)).
    pub v6only: Option<bool>,
    /// `mode` of a UNIX socket.
    pub unix_mode: Option<u32>,
    /// `uid`/`user` of a UNIX socket.
    pub unix_uid: Option<u32>,
    /// `gid`/`group` of a UNIX socket.
    pub unix_gid: Option<u32>,
    /// The `bind` line, for messages: `file:line`.
    pub at: String,
}

impl Listener {
    /// A listener with nothing but its address.
    pub fn new(id: ListenerId, proxy: ProxyId, addr: BindAddr) -> Self {
        Listener {
            id,
            proxy,
            name: None,
            puid: 1,
            addr,
            tls: None,
            accept_proxy: false,
            nice: 0,
            maxconn: 0,
            backlog: 0,
            defer_accept: false,
            tcp_fastopen: false,
            transparent: false,
            mss: 0,
            tcp_user_timeout: 0,
            interface: None,
            v6only: None,
            unix_mode: None,
            unix_uid: None,
            unix_gid: None,
            at: String::new(),
        }
    }

    /// Its name for logs: `name`, else its number.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => self.puid.to_string(),
        }
    }
}

//! One server of a backend.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::tls::ServerTls;
use crate::base::ids::{ProxyId, ServerId};
use crate::expr::compile::Expr;

/// Where a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddr {
    /// An address and port.
    Inet(SocketAddr),
    /// A UNIX socket.
    Unix(PathBuf),
    /// A name in Linux's abstract namespace.
    Abstract(Vec<u8>),
}

/// What is said to a server about the client before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendProxy {
    /// 1 (text) or 2 (binary).
    pub version: u8,
    /// `send-proxy-v2-ssl`, option `ssl`: the SSL TLV.
    pub ssl: bool,
    /// `send-proxy-v2-ssl-cn`, option `cert-cn`.
    pub cert_cn: bool,
    /// Option `ssl-cipher`.
    pub ssl_cipher: bool,
    /// Option `cert-sig`.
    pub cert_sig: bool,
    /// Option `cert-key`.
    pub cert_key: bool,
    /// Option `authority`: the name the client asked for.
    pub authority: bool,
    /// Option `crc32c`.
    pub crc32c: bool,
    /// Option `unique-id`.
    pub unique_id: bool,
}

/// One `server` line, `default-server` applied.
pub struct Server {
    /// Its own index.
    pub id: ServerId,
    /// Its backend.
    pub proxy: ProxyId,
    /// Its name, unique within the backend.
    pub name: String,
    /// `id`: its number within the backend, from 1.
    pub puid: u32,
    /// Where it is.
    pub addr: ServerAddr,
    /// The port is the one the client connected to, plus this: an address without a port, or with `+n`, `-n`.
    pub port_offset: Option<i32>,
    /// `weight`, 0 to 256.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `maxconn`, 0: unlimited.
    pub maxconn: u32,
    /// `minconn`, 0: `maxconn` is static.
    pub minconn: u32,
    /// `maxqueue`, 0: unlimited.
    pub maxqueue: u32,
    /// `cookie`.
    pub cookie: Option<String>,
    /// The value of the cookie was made from the address.
    pub dynamic_cookie: bool,
    /// `ssl` and its family.
    pub tls: Option<Box<ServerTls>>,
    /// `sni`: the name asked for in the TLS handshake.
    pub sni: Option<Expr>,
    /// `send-proxy` and its family.
    pub send_proxy: Option<SendProxy>,
    /// `source`: address to connect from.
    pub source: Option<SocketAddr>,
    /// `pool-max-conn`: idle connections kept over the process; `None`: as many as there are, 0: none.
    pub pool_max_conn: Option<u32>,
    /// `pool-purge-delay`, milliseconds: half of the surplus idle connections leave that often.
    pub pool_purge_delay: u32,
    /// `max-reuse`: requests over one connection; `None`: no limit.
    pub max_reuse: Option<u32>,
    /// `tcp-ut`, milliseconds, 0: off.
    pub tcp_user_timeout: u32,
    /// `non-stick`: no key is bound to it.
    pub non_stick: bool,
    /// `redir <prefix>`.
    pub redir: Option<String>,
    /// The `server` line, for messages: `file:line`.
    pub at: String,
}

impl Server {
    /// A server with nothing but name and address.
    pub fn new(id: ServerId, proxy: ProxyId, name: &str, addr: ServerAddr) -> Self {
        Server {
            id,
            proxy,
            name: name.to_string(),
            puid: 1,
            addr,
            port_offset: None,
            weight: 1,
            backup: false,
            disabled: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            cookie: None,
            dynamic_cookie: false,
            tls: None,
            sni: None,
            send_proxy: None,
            source: None,
            pool_max_conn: None,
            pool_purge_delay: 5000,
            max_reuse: None,
            tcp_user_timeout: 0,
            non_stick: false,
            redir: None,
            at: String::new(),
        }
    }
}

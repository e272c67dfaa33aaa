//! What expressions may ask of everything beyond one stream: the plan, shared memory, sockets.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::OnceLock;

use super::Below;
use crate::base::ids::{ConnId, ListenerId, ProxyId, ServerId};
use crate::base::tick::Now;
use crate::expr::logfmt::LogFmt;
use crate::expr::stick::Stick;
use crate::expr::view::{Addr, ProcessCount, ProxyCount, ServerCount, Side, TcpInfo, Timeout, World};
use crate::net::cx::Cx;
use crate::plan::{Mode, Plan, ServerAddr};
use crate::shm::{Object, Rate, Role, Shared};
use crate::stream::backends::Backends;
use lighterman_sys::io::Peer;

/// The world as one stream of one worker sees it.
pub(super) struct WorldView<'a> {
    plan: &'a Plan,
    shm: &'a Shared,
    backends: &'a Backends,
    now: Now,
    leaving: bool,
    front: Option<BorrowedFd<'a>>,
    back: Option<BorrowedFd<'a>>,
}

impl<'a> WorldView<'a> {
    /// Lends what is asked about.
    pub(super) fn new(front: ConnId, back: Option<ConnId>, below: &'a Below<'_>, cx: &'a Cx<'_>) -> Self {
        let fd = |id: ConnId| below.conns.get(id).and_then(|conn| conn.fd());
        WorldView {
            plan: cx.plan,
            shm: cx.shm,
            backends: below.backends,
            now: cx.now,
            leaving: cx.leaving,
            front: fd(front),
            back: back.and_then(fd),
        }
    }

    fn current(&self, object: Object) -> i64 {
        self.shm.object(object).current.load(Relaxed).into()
    }

    fn queued(&self, object: Object) -> i64 {
        self.shm.object(object).queued.load(Relaxed).into()
    }

    fn rate(&self, object: Object, rate: Rate) -> i64 {
        self.shm.rate(object, rate, self.now.tick.0).into()
    }
}

impl World for WorldView<'_> {
    fn unique_id_format(&self, frontend: ProxyId) -> Option<&LogFmt> {
        self.plan.proxy(frontend).unique_id.as_ref()
    }

    fn stick(&self) -> Option<Stick<'_>> {
        Some(super::track::stick(self.shm, self.now.tick.0))
    }

    fn table_of(&self, id: ProxyId) -> Option<u16> {
        self.plan.proxy(id).stick_table
    }

    fn proxy_name(&self, id: ProxyId) -> &str {
        &self.plan.proxy(id).name
    }

    fn proxy_puid(&self, id: ProxyId) -> u32 {
        self.plan.proxy(id).puid
    }

    fn status_counts(&self, status: u16) -> (bool, bool) {
        let [errors, failures] = &self.plan.global.codes;
        (errors.has(status), failures.has(status))
    }

    fn proxy_is_http(&self, id: ProxyId) -> bool {
        self.plan.proxy(id).mode == Mode::Http
    }

    fn capture_len(&self, frontend: ProxyId, response: bool, slot: u32) -> Option<usize> {
        let proxy = self.plan.proxy(frontend);
        let slots = if response { &proxy.res_captures } else { &proxy.req_captures };
        slots.get(slot as usize).map(|capture| capture.len)
    }

    fn server_name(&self, id: ServerId) -> &str {
        &self.plan.server(id).name
    }

    fn server_puid(&self, id: ServerId) -> u32 {
        self.plan.server(id).puid
    }

    fn server_addr(&self, id: ServerId) -> Addr {
        match (self.shm.server(id).addr(), &self.plan.server(id).addr) {
            (Some(addr), _) => Addr::Inet(addr),
            (None, ServerAddr::Inet(addr)) => Addr::Inet(*addr),
            (None, ServerAddr::Unix(_) | ServerAddr::Abstract(_)) => Addr::Unix,
        }
    }

    fn listener_name(&self, id: ListenerId) -> Option<&str> {
        self.plan.listener(id).name.as_deref()
    }

    fn listener_puid(&self, id: ListenerId) -> u32 {
        self.plan.listener(id).puid
    }

    fn listener_conns(&self, id: ListenerId) -> i64 {
        self.current(Object::Listener(id))
    }

    fn is_local(&self, ip: IpAddr) -> bool {
        // the kernel lends a port of its own addresses only
        ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
    }

    fn default_backend(&self, id: ProxyId) -> Option<ProxyId> {
        self.plan.proxy(id).default_backend
    }

    fn find_backend(&self, name: &[u8]) -> Option<ProxyId> {
        self.plan.backend(name).map(|proxy| proxy.id)
    }

    fn find_server(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId> {
        let servers = &self.plan.proxy(backend).servers;
        servers.iter().copied().find(|id| self.plan.server(*id).name.as_bytes() == name)
    }

    fn proxy_count(&self, id: ProxyId, what: ProxyCount) -> i64 {
        let views = || self.backends.views(id).iter();
        match what {
            ProxyCount::FrontConns => self.current(Object::Front(id)),
            ProxyCount::FrontConnRate => self.rate(Object::Front(id), Rate::Conn),
            ProxyCount::FrontSessRate => self.rate(Object::Front(id), Rate::Sess),
            ProxyCount::FrontReqRate => self.rate(Object::Front(id), Rate::Req),
            ProxyCount::BackConns => self.current(Object::Back(id)),
            ProxyCount::BackSessRate => self.rate(Object::Back(id), Rate::Sess),
            ProxyCount::ConnSlots => {
                let places = views().filter(|v| v.usable).map(|v| {
                    let queue = self.plan.server(v.id).maxqueue;
                    let left = i64::from(v.maxconn) + i64::from(queue)
                        - self.current(Object::Server(v.id))
                        - self.queued(Object::Server(v.id));
                    (v.maxconn > 0 && queue > 0).then_some(left)
                });
                // without a limit there is no number
                places.sum::<Option<i64>>().unwrap_or(-1)
            }
            ProxyCount::BackConnFree => {
                if views().any(|v| v.usable && v.maxconn == 0) {
                    return -1;
                }
                views()
                    .filter(|v| v.usable)
                    .map(|v| i64::from(v.maxconn) - self.current(Object::Server(v.id)))
                    .sum()
            }
            ProxyCount::ServersUp => views().filter(|v| v.usable).count() as i64,
            ProxyCount::Queue => {
                self.queued(Object::Back(id))
                    + views().map(|v| self.queued(Object::Server(v.id))).sum::<i64>()
            }
            ProxyCount::QueuePerServer => {
                let servers = self.proxy_count(id, ProxyCount::ServersUp).max(1);
                (self.proxy_count(id, ProxyCount::Queue) + servers - 1) / servers
            }
            ProxyCount::Weight => views().filter(|v| v.usable).map(|v| i64::from(v.weight)).sum(),
            ProxyCount::Retries => self.plan.proxy(id).retries.into(),
        }
    }

    fn server_count(&self, id: ServerId, what: ServerCount) -> i64 {
        let view = self.backends.view(id);
        match what {
            ServerCount::Conns => self.current(Object::Server(id)),
            ServerCount::ConnFree if view.maxconn == 0 => -1,
            ServerCount::ConnFree => i64::from(view.maxconn) - self.current(Object::Server(id)),
            ServerCount::Queue => self.queued(Object::Server(id)),
            ServerCount::SessRate => self.rate(Object::Server(id), Rate::Sess),
            ServerCount::Up => view.usable.into(),
            ServerCount::Weight => i64::from(if view.usable { view.weight } else { 0 }),
            ServerCount::InitialWeight => self.plan.server(id).weight.into(),
            ServerCount::UserWeight => view.weight.into(),
        }
    }

    fn process(&self, what: ProcessCount) -> i64 {
        match what {
            ProcessCount::Pid => std::process::id().into(),
            ProcessCount::Worker => self.shm.process().number.load(Relaxed).max(1).into(),
            ProcessCount::Workers => {
                self.shm.processes().filter(|p| p.roles.has(Role::WORKER)).count().max(1) as i64
            }
            ProcessCount::Conns => self.shm.global().conns.load(Relaxed).into(),
            ProcessCount::Uptime => {
                let started = self.shm.process().started_us.load(Relaxed);
                (self.now.wall_us.saturating_sub(started) / 1_000_000) as i64
            }
            ProcessCount::Stopping => self.leaving.into(),
            ProcessCount::Random => {
                let mut bytes = [0; 8];
                // without randomness there would be no TLS either: zeros are only a last resort
                let _ = openssl::rand::rand_bytes(&mut bytes);
                i64::from_ne_bytes(bytes)
            }
            ProcessCount::BufSize => self.plan.global.tune.bufsize as i64,
        }
    }

    fn hostname(&self) -> &str {
        static OWN: OnceLock<String> = OnceLock::new();
        let global = &self.plan.global;
        let named = global.node.as_deref().or(global.log_hostname.as_deref()).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| OWN.get_or_init(lighterman_sys::cred::host_name))
    }

    fn timeout(&self, id: ProxyId, which: Timeout) -> Option<u32> {
        let limits = &self.plan.proxy(id).timeouts;
        match which {
            Timeout::Client => limits.client,
            Timeout::Server => limits.server,
            Timeout::Tunnel => limits.tunnel,
            Timeout::Connect => limits.connect,
            Timeout::Queue => limits.in_queue(),
            Timeout::Tarpit => limits.tarpitted(),
        }
    }

    fn user(&self, list: u32, user: &[u8], password: &[u8]) -> Option<&[Box<str>]> {
        self.plan.users.check(list, user, password, self.now.mono_us)
    }

    fn back_addr(&self) -> Addr {
        match self.back.map(lighterman_sys::io::local_address) {
            Some(Ok(Peer::Inet(addr))) => Addr::Inet(addr),
            Some(Ok(_)) => Addr::Unix,
            _ => Addr::None,
        }
    }

    fn tcp_info(&self, side: Side) -> Option<TcpInfo> {
        let fd = match side {
            Side::Front => self.front?,
            Side::Back => self.back?,
        };
        let info = lighterman_sys::sockopt::tcp_info(fd).ok()?;
        Some(TcpInfo {
            rtt_us: info.rtt_us,
            rttvar_us: info.rtt_var_us,
            unacked: info.unacked,
            lost: info.lost,
            retrans: info.retrans,
            sacked: info.sacked,
            fackets: info.fackets,
            reordering: info.reordering,
        })
    }
}

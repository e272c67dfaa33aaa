//! A client whose handshake failed: it never had a stream to speak for it, so one line is written here
//! (spec "error" format) and the frontend counts it. And a server's, whose stream only knows that it failed.
//!
//! Numbers and words are those of `fc_err` and `fc_err_str`.

use super::gate::GateWorld;
use super::{millis, Client, Peer, ServerSide};
use crate::event::log::sink::Speaker;
use crate::expr::logfmt::LogFmt;
use crate::expr::vars::Vars;
use crate::expr::view::{Addr, Facts, TlsView, Txn};
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault, ProxyFault};
use crate::net::tls::why::Why;
use crate::net::tls::{Reason, TlsEngine};
use crate::net::transport::ssl::SslSock;
use crate::plan::LogLevel;
use crate::shm::{Info, Object, Stat};
use lighterman_sys::localtime::LocalTime;

/// A failure in words.
struct Failure {
    /// `fc_err`
    number: u16,
    /// `fc_err_str`
    text: &'static str,
    /// What more is known.
    detail: Option<&'static str>,
}

/// Nothing was said before the connection ended: `option dontlognull` wants to hear nothing of it.
const SILENT: [u16; 4] = [11, 12, 24, 25];

impl Failure {
    fn of(fault: Fault, tls: bool) -> Failure {
        let (number, text) = match fault.cause {
            Cause::Proxy(why) => match why {
                ProxyFault::Closed => (11, "Connection closed while waiting for PROXY protocol header"),
                ProxyFault::Broken => (12, "Connection error while waiting for PROXY protocol header"),
                ProxyFault::TimedOut => (13, "Timeout while waiting for PROXY protocol header"),
                ProxyFault::Truncated => (14, "Truncated PROXY protocol header received"),
                ProxyFault::Instead(_) => {
                    (15, "Received something which does not look like a PROXY protocol header")
                }
                ProxyFault::Invalid(_) => (16, "Received an invalid PROXY protocol header"),
            },
            Cause::Ended if tls => (24, "Connection closed during SSL handshake"),
            Cause::Reset if tls => (25, "Connection error during SSL handshake"),
            Cause::TimedOut if tls => (26, "Timeout during SSL handshake"),
            Cause::Tls(_) => (34, "SSL handshake failure"),
            _ => (6, "General socket error"),
        };
        let detail = match fault.cause {
            Cause::Proxy(ProxyFault::Instead(came)) => Some(came.text()),
            Cause::Proxy(ProxyFault::Invalid(what)) => Some(what.text()),
            Cause::Tls(words) => Some(words),
            _ => None,
        };
        Failure { number, text, detail }
    }
}

/// What a client's TLS handshake was about, for the line that tells of its failure.
pub(super) struct Story<'s> {
    why: Why,
    engine: &'s TlsEngine,
    /// Bytes received.
    received: u32,
}

impl Story<'_> {
    /// The story of a connection whose handshake failed.
    pub(super) fn of(fault: Fault, ssl: &SslSock) -> Story<'_> {
        let engine = ssl.engine();
        let received = ssl.received();
        Story { why: Why::of(fault.cause, engine.failure(), received > 0), engine, received }
    }
}

/// ` reason=.. sni=.. ver=.. groups=.. alpn=.. cert=.. peer_alert=.. rx=..`; `-` for what is not known.
impl std::fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, " reason={} ", self.why.word())?;
        match self.engine.asked() {
            Some(asked) => asked.fmt(f)?,
            None => f.write_str("sni=- ver=- groups=- alpn=-")?,
        }
        match self.engine.shown().and_then(|cert| cert.file.file_name()) {
            Some(file) => write!(f, " cert={}", file.to_string_lossy())?,
            None => f.write_str(" cert=-")?,
        }
        match self.engine.failure().filter(|failure| failure.reason == Reason::Alert) {
            Some(failure) => write!(f, " peer_alert={}", failure.alert)?,
            None => f.write_str(" peer_alert=-")?,
        }
        write!(f, " rx={}", self.received)
    }
}

/// Counts and logs it. `tls`: what is known of its TLS, if it has any.
pub(super) fn report(
    fault: Fault,
    client: &mut Client,
    story: Option<Story<'_>>,
    tls: Option<&dyn TlsView>,
    cx: &mut Cx<'_>,
) {
    let listener = cx.plan.listener(client.facts.listener);
    let failure = Failure::of(fault, listener.tls.is_some());
    client.facts.err = failure.number;
    client.facts.err_text = failure.text;
    let proxy = cx.plan.proxy(listener.proxy);
    for object in [Object::Front(proxy.id), Object::Listener(listener.id)] {
        cx.shm.count(object, Stat::Ereq, 1);
    }
    if let Some(story) = &story {
        let peer = match client.facts.src {
            Addr::Inet(addr) => Some(addr.ip()),
            Addr::Unix | Addr::None => None,
        };
        cx.tls.note_failure(story.why, cx.now.wall_us, peer);
    }
    let unheard = proxy.dont_log_null && SILENT.contains(&failure.number);
    if unheard || !cx.log.is_heard(Speaker::Proxy(proxy.id)) {
        return;
    }
    let level = if proxy.log_separate_errors { LogLevel::Err } else { LogLevel::Info };
    let line = match &proxy.error_log_format {
        Some(format) => worded(format, tls, client, cx),
        None => format!(
            "{} [{}] {}/{}: {}{}{}{}",
            End(client.facts.src, listener.puid),
            Date(client.facts.accepted_us),
            proxy.name,
            listener.label(),
            failure.text,
            failure.detail.map_or("", |_| ": "),
            failure.detail.unwrap_or_default(),
            Tail(story, cx.now.wall_us.saturating_sub(client.facts.accepted_us) / 1000),
        )
        .into_bytes(),
    };
    cx.log.emit(Speaker::Proxy(proxy.id), level, &line);
}

/// `error-log-format`, as a stream that never came to be would see it.
pub(super) fn worded(format: &LogFmt, tls: Option<&dyn TlsView>, client: &Client, cx: &Cx<'_>) -> Vec<u8> {
    let mut txn = Txn::new(client.facts.frontend);
    txn.front_tls = tls.is_some();
    txn.times.accept_us = client.facts.accepted_us;
    txn.times.total = millis(client.facts.accepted_us, cx.now.wall_us);
    let vars = Vars { proc: Some(cx.proc_vars), sess: Some(&client.vars), ..Vars::default() };
    let world = GateWorld { plan: cx.plan, shm: cx.shm, now_ms: cx.now.tick.0 };
    let bare = Facts::bare(&client.facts, &txn, vars, cx.effects, cx.maps.maps(), &world);
    let facts = Facts { date_us: cx.now.wall_us, tls, ..bare };
    let mut line = Vec::with_capacity(256);
    format.write(&facts, &mut line);
    line
}

/// A client was sent away because too many wait for a full handshake: counted, and told once in a while, because there
/// are thousands of them when it happens.
pub(super) fn report_busy(peer: &Peer, cx: &mut Cx<'_>) {
    cx.shm.process().count(Info::SslBusy, 1);
    let from = match peer {
        Peer::Client(client) => client.facts.src.ip(),
        Peer::Server(_) => None,
    };
    cx.tls.note_failure(Why::Busy, cx.now.wall_us, from);
    if cx.tls.may_tell_busy(cx.now.tick.0) {
        cx.log.emit_fmt(
            Speaker::Program,
            LogLevel::Warning,
            format_args!(
                "More TLS handshakes than can be made: {} wait, further ones are refused (SslBusy in \"show info\" counts them)",
                cx.sched.heavy_waiting()
            ),
        );
    }
}

/// A server's handshake failed: what fetches say of it, and a warning for the operator, not more often than
/// once in a while for each server.
pub(super) fn report_server(fault: Fault, side: &mut ServerSide, cx: &mut Cx<'_>) {
    let failure = Failure::of(fault, true);
    side.facts.err = failure.number;
    side.facts.err_text = failure.text;
    let server = cx.plan.server(side.server);
    let proxy = cx.plan.proxy(server.proxy);
    let speaks = cx.tls.server(server.id).is_some_and(|tls| tls.may_warn(cx.now.tick.0));
    if !speaks {
        return;
    }
    cx.log.emit_fmt(
        Speaker::Proxy(proxy.id),
        LogLevel::Warning,
        format_args!(
            "Server {}/{}: {}{}{}",
            proxy.name,
            server.name,
            failure.text,
            failure.detail.map_or("", |_| ": "),
            failure.detail.unwrap_or_default(),
        ),
    );
}

/// What follows the words that every HAProxy says: what TLS knows, and how long it took.
struct Tail<'s>(Option<Story<'s>>, u64);

impl std::fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(story) => write!(f, "{story} ms={}", self.1),
            None => Ok(()),
        }
    }
}

/// `%ci:%cp`
struct End(Addr, u32);

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Addr::Inet(addr) => write!(f, "{}:{}", addr.ip().to_canonical(), addr.port()),
            Addr::Unix | Addr::None => write!(f, "unix:{}", self.1),
        }
    }
}

/// `%t`, out of microseconds since 1970.
struct Date(u64);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = LocalTime::at((self.0 / 1_000_000) as i64);
        let ms = self.0 / 1000 % 1000;
        let (day, month, year) = (t.day, t.month_name(), t.year);
        write!(f, "{day:02}/{month}/{year}:{:02}:{:02}:{:02}.{ms:03}", t.hour, t.minute, t.second)
    }
}

//! A client whose handshake failed: it never had a stream to speak for it, so one line is written here
//! (spec "error" format) and the frontend counts it. And a server's, whose stream only knows that it failed.
//!
//! Numbers and words are those of `fc_err` and `fc_err_str`.

use super::{Client, ServerSide};
use crate::event::log::sink::Speaker;
use crate::expr::view::Addr;
use crate::net::cx::Cx;
use crate::net::fault::{Cause, Fault, ProxyFault};
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

/// Counts and logs it.
pub(super) fn report(fault: Fault, client: &mut Client, cx: &mut Cx<'_>) {
    let listener = cx.plan.listener(client.facts.listener);
    let failure = Failure::of(fault, listener.tls.is_some());
    client.facts.err = failure.number;
    client.facts.err_text = failure.text;
    let proxy = cx.plan.proxy(listener.proxy);
    for object in [Object::Front(proxy.id), Object::Listener(listener.id)] {
        cx.shm.count(object, Stat::Ereq, 1);
    }
    let unheard = proxy.dont_log_null && SILENT.contains(&failure.number);
    if unheard || !cx.log.is_heard(Speaker::Proxy(proxy.id)) {
        return;
    }
    let level = if proxy.log_separate_errors { LogLevel::Err } else { LogLevel::Info };
    let line = format!(
        "{} [{}] {}/{}: {}{}{}",
        End(client.facts.src, listener.puid),
        Date(client.facts.accepted_us),
        proxy.name,
        listener.label(),
        failure.text,
        failure.detail.map_or("", |_| ": "),
        failure.detail.unwrap_or_default(),
    );
    cx.log.emit(Speaker::Proxy(proxy.id), level, line.as_bytes());
}

/// A client was sent away because too many wait for a full handshake: counted, and told once in a while, because there
/// are thousands of them when it happens.
pub(super) fn report_busy(cx: &mut Cx<'_>) {
    cx.shm.process().count(Info::SslBusy, 1);
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

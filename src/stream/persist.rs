//! Persistence: the server a cookie names is found before any algorithm is asked, and the answer tells the
//! client which server it got (`cookie`, `persist rdp-cookie`, `force-persist`, `ignore-persist`).

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};

use super::backends::is_alive;
use super::world::WorldView;
use super::{Below, Stream};
use crate::base::ids::ServerId;
use crate::expr::acl::Verdict;
use crate::msg::cookie::{self, Fate};
use crate::msg::EditError;
use crate::net::cx::Cx;
use crate::plan::cookie::{is_over, read_date, write_date, Cookie, CookieMode};
use crate::plan::{Mode, ServerAddr};
use lighterman_wire::error::Parse;
use lighterman_wire::http::method::Method;
use lighterman_wire::rdp;

/// What persistence knows of a request and its answer.
#[derive(Default)]
pub(super) struct Persistence {
    /// The client's cookie, as logs say it; `None`: it brought none.
    seen: Option<u8>,
    /// The answer's cookie, as logs say it; `None`: it sets none.
    told: Option<u8>,
    /// The client goes to the server its cookie names.
    direct: bool,
    /// `force-persist` holds.
    forced: bool,
    /// `ignore-persist` holds.
    ignored: bool,
    /// When the cookie was last used and first set, if it says so.
    last: Option<u64>,
    first: Option<u64>,
    /// The answer has been seen to.
    answered: bool,
}

/// What stands between the value of a server and its dates, and in front of a prefixed value.
const DATE_MARK: u8 = b'|';
const PREFIX_MARK: u8 = b'~';

impl Stream {
    /// Looks for the server that the request names. An error: the head has no room for the change.
    pub(super) fn persist_request(
        &mut self,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(), EditError> {
        let plan = cx.plan;
        let backend = plan.proxy(self.backend);
        self.persist_rules(below, cx);
        if let (Mode::Tcp, Some(name), None) = (self.mode, &backend.persist_rdp, self.server) {
            self.server = self.rdp_server(name, below, cx);
            return Ok(());
        }
        match &backend.cookie {
            Some(cookie) if self.mode == Mode::Http => self.request_cookie(cookie, below, cx),
            _ => Ok(()),
        }
    }

    /// `force-persist` and `ignore-persist`: the first whose condition holds.
    fn persist_rules(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let rules = &cx.plan.proxy(self.backend).persist_rules;
        if rules.is_empty() {
            return;
        }
        let world = WorldView::new(self.front, self.back, below, cx);
        let Some(acx) = self.last_look(below, cx, &world) else { return };
        let facts = acx.facts();
        let found = rules.iter().find(|rule| rule.cond.eval(&facts) == Verdict::Yes);
        let force = found.map(|rule| rule.force);
        self.persist.forced = force == Some(true);
        self.persist.ignored = force == Some(false);
    }

    /// The server with the address in the cookie of a remote desktop client.
    fn rdp_server(&self, name: &str, below: &mut Below<'_>, cx: &Cx<'_>) -> Option<ServerId> {
        let Parse::Done(found, _) = rdp::cookie(self.req.bytes()) else { return None };
        let wanted = found.name.eq_ignore_ascii_case(name.as_bytes()).then(|| msts(found.value)).flatten()?;
        if self.persist.ignored {
            return None;
        }
        let (plan, persist_down) = (cx.plan, cx.plan.proxy(self.backend).persist_down);
        let at = |id: &&ServerId| {
            let now = below.backends.server(**id).addr;
            let address = match &plan.server(**id).addr {
                ServerAddr::Inet(configured) => now.unwrap_or(*configured),
                _ => return false,
            };
            address == wanted && (persist_down || self.persist.forced || is_alive(cx.shm, **id))
        };
        plan.proxy(self.backend).servers.iter().find(at).copied()
    }

    /// Reads the cookie, hides from the server what is not for it.
    fn request_cookie(
        &mut self,
        cookie: &Cookie,
        below: &mut Below<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(), EditError> {
        let name = cookie.name.as_bytes();
        let Some(head) = &self.req.head else { return Ok(()) };
        let of_name = cookie::cookies(head).filter(|(found, _)| *found == name);
        let values: Vec<Vec<u8>> = of_name.map(|(_, value)| value.to_vec()).collect();
        for value in &values {
            // the first that leads to a server counts
            if !self.persist.direct {
                self.try_cookie(cookie, value, below, cx);
            }
        }
        if values.is_empty() {
            return Ok(());
        }
        self.hide_cookie(cookie)
    }

    /// Judges one value the client brings.
    fn try_cookie(&mut self, cookie: &Cookie, value: &[u8], below: &mut Below<'_>, cx: &mut Cx<'_>) {
        let mark = if cookie.mode == CookieMode::Prefix { PREFIX_MARK } else { DATE_MARK };
        let mut parts = value.split(|byte| *byte == mark);
        let named = parts.next().unwrap_or_default();
        let now = cx.now.wall_us / 1_000_000;
        let (mut last, mut first) = (None, None);
        if cookie.mode != CookieMode::Prefix {
            (last, first) = (parts.next().and_then(read_date), parts.next().and_then(read_date));
        }
        let old = is_over(first, cookie.max_life, now);
        if old || is_over(last, cookie.max_idle, now) {
            self.persist.seen = Some(if old { b'O' } else { b'E' });
            return;
        }
        (self.persist.last, self.persist.first) = (last, first);
        self.named_server(cookie, named, below, cx);
    }

    /// The first server of that value that may be used.
    fn named_server(&mut self, cookie: &Cookie, named: &[u8], below: &mut Below<'_>, cx: &mut Cx<'_>) {
        if self.persist.ignored || self.server.is_some() {
            self.persist.seen = Some(b'U');
            return;
        }
        self.persist.seen = Some(b'I');
        let (plan, backend) = (cx.plan, cx.plan.proxy(self.backend));
        for id in backend.servers.iter().copied().filter(|_| !named.is_empty()) {
            if cookie_of(cookie, id, below, cx).is_none_or(|value| value.as_bytes() != named) {
                continue;
            }
            let alive = is_alive(cx.shm, id);
            self.persist.seen = Some(if alive { b'V' } else { b'D' });
            if alive || self.persist.forced || plan.proxy(self.backend).persist_down {
                self.persist.direct = true;
                self.server = Some(id);
                return;
            }
        }
    }

    /// `insert indirect`: the whole cookie goes; `prefix`: the server's part of it.
    fn hide_cookie(&mut self, cookie: &Cookie) -> Result<(), EditError> {
        let Some(head) = &mut self.req.head else { return Ok(()) };
        match cookie.mode {
            CookieMode::Insert if cookie.indirect => {
                cookie::edit_cookies(head, cookie.name.as_bytes(), |_| Fate::Goes)
            }
            CookieMode::Prefix => cookie::edit_cookies(head, cookie.name.as_bytes(), |value| {
                value
                    .iter()
                    .position(|byte| *byte == PREFIX_MARK)
                    .map_or(Fate::Stays, |at| Fate::Loses(at + 1))
            }),
            _ => Ok(0),
        }
        .map(drop)
    }

    /// The server the request is bound to, while it may be used: else it is free to go elsewhere.
    pub(super) fn bound_server(&mut self, cx: &Cx<'_>) -> Option<ServerId> {
        let id = self.server?;
        let down_too = self.persist.forced || self.persist.direct && cx.plan.proxy(self.backend).persist_down;
        if down_too || is_alive(cx.shm, id) {
            return Some(id);
        }
        self.server = None;
        self.unbind();
        None
    }

    /// `force-persist` holds: the request goes to its server, come what may.
    pub(super) fn is_forced(&self) -> bool {
        self.persist.forced
    }

    /// The server the cookie names is given up.
    pub(super) fn unbind(&mut self) {
        self.persist.direct = false;
        self.attempt.bound = false;
        if self.persist.seen == Some(b'V') {
            self.persist.seen = Some(b'D');
        }
    }

    /// Tells the client its server, or puts that into the server's own cookie, once for each answer. An
    /// error: the head has no room for it.
    pub(super) fn persist_answer(&mut self, below: &mut Below<'_>, cx: &mut Cx<'_>) -> Result<(), EditError> {
        let Some(cookie) = &cx.plan.proxy(self.backend).cookie else { return Ok(()) };
        let Some(server) = self.server else { return Ok(()) };
        if std::mem::replace(&mut self.persist.answered, true) || self.mode != Mode::Http {
            return Ok(());
        }
        let value = cookie_of(cookie, server, below, cx).map(Cow::into_owned);
        self.servers_cookie(cookie, value.as_deref())?;
        let now = cx.now.wall_us / 1_000_000;
        if !self.wants_cookie(cookie, now) {
            return Ok(());
        }
        let private = cookie.nocache && self.may_be_cached();
        let Some(head) = &mut self.res.head else { return Ok(()) };
        head.add(b"set-cookie", &self.persist.text(cookie, value.as_deref(), now))?;
        let same = self.attempt.bound && value.is_some();
        self.persist.told = Some(if same { b'U' } else { b'I' });
        if private {
            head.add(b"cache-control", b"private")?;
        }
        Ok(())
    }

    /// What the server sets under this name is removed, rewritten, prefixed or left alone.
    fn servers_cookie(&mut self, cookie: &Cookie, value: Option<&str>) -> Result<(), EditError> {
        let name = cookie.name.as_bytes();
        let Some(head) = &mut self.res.head else { return Ok(()) };
        if cookie::first_set_cookie(head, name).is_none() {
            return Ok(());
        }
        self.persist.told = Some(match (cookie.mode, value) {
            _ if cookie.preserve => b'P',
            (CookieMode::Insert, _) => {
                cookie::remove_set_cookie(head, name);
                b'D'
            }
            _ if cookie.indirect && self.attempt.bound => {
                cookie::remove_set_cookie(head, name);
                b'D'
            }
            (CookieMode::Rewrite, Some(value)) => {
                cookie::replace_set_cookie(head, name, value.as_bytes())?;
                b'R'
            }
            (CookieMode::Prefix, Some(value)) => {
                let mut prefix = value.as_bytes().to_vec();
                prefix.push(PREFIX_MARK);
                cookie::prefix_set_cookie(head, name, &prefix)?;
                b'R'
            }
            _ => b'P',
        });
        Ok(())
    }

    /// The client must be told its server, or other dates.
    fn wants_cookie(&self, cookie: &Cookie, now: u64) -> bool {
        let persist = &self.persist;
        let posted = self.req.head.as_ref().is_some_and(|head| head.method_kind() == Method::Post);
        let stale = match persist.last {
            Some(last) => last < now,
            None => cookie.max_idle > 0,
        };
        let dates = stale || (cookie.max_life > 0) != persist.first.is_some();
        cookie.mode == CookieMode::Insert
            && !(cookie.preserve && persist.told.is_some())
            && (!self.attempt.bound || dates)
            && (!cookie.postonly || posted)
            && !persist.ignored
    }

    /// A cache may keep the answer: its status allows it, nothing forbids it, and something tells how long
    /// it is good for (RFC 9111 section 3).
    fn may_be_cached(&self) -> bool {
        let Some(head) = &self.res.head else { return false };
        let (mut public, mut fresh, mut private) = (false, false, false);
        for word in head.comma_values(b"cache-control") {
            let word = word.to_ascii_lowercase();
            match word.as_slice() {
                b"private" | b"no-store" | b"no-cache" | b"max-age=0" | b"s-maxage=0" => private = true,
                b"public" => public = true,
                other => fresh |= other.starts_with(b"max-age=") || other.starts_with(b"s-maxage="),
            }
        }
        private |= head.comma_values(b"pragma").any(|word| word.eq_ignore_ascii_case(b"no-cache"));
        fresh |= [&b"expires"[..], b"last-modified", b"etag"].iter().any(|name| head.first(name).is_some());
        let status = matches!(head.status(), 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
        !private && fresh && (public || status)
    }

    /// Completes the state that logs show: what the client's cookie was, what became of the answer's.
    pub(super) fn note_cookies(&mut self, cx: &Cx<'_>) {
        let cookie = cx.plan.proxy(self.backend).cookie.as_ref();
        if cookie.is_some_and(|c| c.mode != CookieMode::Passive) && self.req.head.is_some() {
            self.txn.term[2] = self.persist.seen.unwrap_or(b'N');
            self.txn.term[3] = self.persist.told.unwrap_or(b'N');
        }
    }
}

impl Persistence {
    /// The field that is set: a server without a value takes the cookie away.
    fn text(&self, cookie: &Cookie, value: Option<&str>, now: u64) -> Vec<u8> {
        let mut out = format!("{}=", cookie.name).into_bytes();
        let Some(value) = value else {
            out.extend_from_slice(b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT");
            out.extend_from_slice(cookie.tail.as_bytes());
            return out;
        };
        out.extend_from_slice(value.as_bytes());
        if cookie.max_idle > 0 || cookie.max_life > 0 {
            out.push(DATE_MARK);
            write_date(now + 3, &mut out);
        }
        if cookie.max_life > 0 {
            out.push(DATE_MARK);
            write_date(self.first.unwrap_or(now + 3), &mut out);
        }
        out.extend_from_slice(cookie.tail.as_bytes());
        out
    }
}

/// The value that stands for a server: configured, or made from the address it has now.
fn cookie_of<'p>(cookie: &Cookie, id: ServerId, below: &mut Below<'_>, cx: &Cx<'p>) -> Option<Cow<'p, str>> {
    let server = cx.plan.server(id);
    match below.backends.server(id).addr.filter(|_| server.dynamic_cookie) {
        Some(addr) => Some(Cow::Owned(cookie.made_from(addr))),
        None => server.cookie.as_deref().map(Cow::Borrowed),
    }
}

/// The address in a cookie of remote desktop brokers (MS-RDPBCGR 3.2.5.3.1): `address.port.reserved`, both
/// decimal, both as a little-endian machine reads the bytes of the network.
fn msts(value: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.splitn(3, '.');
    let ip: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    parts.next()?;
    Some((Ipv4Addr::from(ip.to_le_bytes()), port.swap_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_desktop_cookies() {
        for (value, found) in [
            ("67305985.15629.0000", Some("1.2.3.4:3389")),
            ("16777343.20480.", Some("127.0.0.1:80")),
            ("67305985.15629", None),
            ("67305985", None),
            ("4294967296.1.0000", None),
            ("1.65536.0000", None),
            ("x.y.z", None),
            ("", None),
        ] {
            assert_eq!(msts(value.as_bytes()), found.map(|text| text.parse().unwrap()), "{value}");
        }
    }

    #[test]
    fn what_is_set() {
        let mut cookie = Cookie { name: "S".into(), tail: "; path=/".into(), ..Cookie::default() };
        let text = |persist: &Persistence, cookie: &Cookie, value| {
            String::from_utf8(persist.text(cookie, value, 1_795_213_073)).unwrap()
        };
        let mut persist = Persistence::default();
        assert_eq!(text(&persist, &cookie, Some("c1")), "S=c1; path=/");
        assert_eq!(text(&persist, &cookie, None), "S=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/");
        cookie.max_idle = 60;
        assert_eq!(text(&persist, &cookie, Some("c1")), "S=c1|awDHF; path=/");
        cookie.max_life = 60;
        assert_eq!(text(&persist, &cookie, Some("c1")), "S=c1|awDHF|awDHF; path=/");
        persist.first = read_date(b"awDHA");
        assert_eq!(text(&persist, &cookie, Some("c1")), "S=c1|awDHF|awDHA; path=/");
    }
}

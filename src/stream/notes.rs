//! What is written down about an exchange for logs and servers: captured fields, the unique id.

use super::world::WorldView;
use super::{Below, Stream};
use crate::msg::Head;
use crate::net::cx::Cx;
use crate::plan::proxy::Capture;
use crate::plan::rule::Site;
use lighterman_wire::http::method::Method;

/// Fields a head shows, each in its slot: the last one of its name, cut to its length.
pub(super) fn capture(slots: &mut Vec<Option<Box<[u8]>>>, wanted: &[Capture], head: &Head) {
    slots.clear();
    slots.extend(wanted.iter().map(|capture| {
        let name = capture.name.as_deref()?;
        let value = head.values(name.as_bytes()).last()?;
        Some(value.get(..capture.len).unwrap_or(value).into())
    }));
}

/// The first cookie that begins as wanted, with its name, cut to its length.
pub(super) fn capture_cookie(head: &Head, field: &[u8], wanted: &(String, usize)) -> Option<Box<[u8]>> {
    let request = field == b"cookie";
    let begins = |text: &&[u8]| text.starts_with(wanted.0.as_bytes());
    let found = head.values(field).find_map(|value| match request {
        true => value.split(|b| *b == b';').map(<[u8]>::trim_ascii).find(begins),
        false => value.split(|b| *b == b';').next().map(<[u8]>::trim_ascii).filter(begins),
    })?;
    Some(found.get(..wanted.1).unwrap_or(found).into())
}

impl Stream {
    /// The answer sets a cookie, and nothing in it or in the request keeps caches from handing that cookie
    /// to others (`option checkcache`).
    pub(super) fn would_leak_a_cookie(&self) -> bool {
        let (Some(req), Some(res)) = (&self.req.head, &self.res.head) else { return false };
        if res.first(b"set-cookie").is_none() {
            return false;
        }
        let (mut public, mut lasts) = (false, false);
        for word in res.comma_values(b"cache-control") {
            let word = word.to_ascii_lowercase();
            match word.as_slice() {
                b"private" | b"no-store" | b"no-cache" | b"max-age=0" | b"s-maxage=0" => return false,
                other if other.starts_with(b"no-cache=\"set-cookie") => return false,
                other => {
                    public |= other == b"public";
                    lasts |= other.starts_with(b"max-age=") || other.starts_with(b"s-maxage=");
                }
            }
        }
        if res.comma_values(b"pragma").any(|word| word.eq_ignore_ascii_case(b"no-cache")) {
            return false;
        }
        let status = matches!(res.status(), 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
        let method =
            matches!(req.method_kind(), Method::Get | Method::Head | Method::Options | Method::Trace);
        // without a date or a validator caches keep nothing on their own
        let dated = [&b"expires"[..], b"last-modified", b"etag"].iter().any(|name| res.first(name).is_some());
        public || (status && method && (lasts || dated))
    }

    /// Makes the unique id, unless rules wanted it before, and puts it into the request.
    pub(super) fn make_unique_id(&mut self, below: &Below<'_>, cx: &Cx<'_>) {
        let proxy = cx.plan.proxy(self.frontend);
        if proxy.unique_id.is_none() {
            return;
        }
        let world = WorldView::new(self.front, self.back, below, cx);
        if let Some(acx) = self.action_cx(Site::HttpRequest, below, cx, &world) {
            acx.facts().unique_id();
        }
        let id = self.txn.unique_id.get();
        if let (Some(name), Some(head), Some(id)) = (&proxy.unique_id_header, &mut self.req.head, id) {
            // a head that is full goes on without it
            let _ = head.add(name.as_bytes(), id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_wire::http::Version;

    #[test]
    fn the_first_cookie_that_begins_so_is_kept() {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::V11).unwrap();
        head.add(b"cookie", b"a=1; SESSION=abcdef; SESS=2").unwrap();
        let kept = |name: &str, len| capture_cookie(&head, b"cookie", &(name.to_string(), len));
        assert_eq!(kept("SESS", 30).as_deref(), Some(&b"SESSION=abcdef"[..]));
        assert_eq!(kept("SESS=", 30).as_deref(), Some(&b"SESS=2"[..]));
        assert_eq!(kept("SESSION", 10).as_deref(), Some(&b"SESSION=ab"[..]));
        assert_eq!(kept("none", 10), None);
    }

    #[test]
    fn the_last_field_of_a_name_fills_its_slot() {
        let mut head = Head::new();
        head.start_request(b"GET", b"/", Version::V11).unwrap();
        for (name, value) in [("host", "a"), ("x", "one"), ("x", "second")] {
            head.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let want = |name: Option<&str>, len| Capture { name: name.map(String::from), len };
        let wanted = [want(Some("X"), 3), want(Some("nope"), 9), want(None, 5), want(Some("Host"), 9)];
        let mut slots = Vec::new();
        capture(&mut slots, &wanted, &head);
        let texts: Vec<_> = slots.iter().map(|slot| slot.as_deref()).collect();
        assert_eq!(texts, [Some(&b"sec"[..]), None, None, Some(b"a")]);
    }
}

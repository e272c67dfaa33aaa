//! What is written down about an exchange for logs and servers: captured fields, the unique id.

use super::world::WorldView;
use super::{Below, Stream};
use crate::msg::Head;
use crate::net::cx::Cx;
use crate::plan::proxy::Capture;
use crate::plan::rule::Site;

/// Fields a head shows, each in its slot: the last one of its name, cut to its length.
pub(super) fn capture(slots: &mut Vec<Option<Box<[u8]>>>, wanted: &[Capture], head: &Head) {
    slots.clear();
    slots.extend(wanted.iter().map(|capture| {
        let name = capture.name.as_deref()?;
        let value = head.values(name.as_bytes()).last()?;
        Some(value.get(..capture.len).unwrap_or(value).into())
    }));
}

impl Stream {
    /// Makes the unique id, once, and puts it into the request.
    pub(super) fn make_unique_id(&mut self, below: &Below<'_>, cx: &Cx<'_>) {
        let proxy = cx.plan.proxy(self.frontend);
        let Some(format) = proxy.unique_id.as_ref().filter(|_| self.txn.unique_id.is_none()) else { return };
        let world = WorldView::new(self.front, self.back, below, cx);
        let mut id = Vec::new();
        match self.action_cx(Site::HttpRequest, below, cx, &world) {
            Some(acx) => format.write(&acx.facts(), &mut id),
            None => return,
        }
        if let (Some(name), Some(head)) = (&proxy.unique_id_header, &mut self.req.head) {
            // a head that is full goes on without it
            let _ = head.add(name.as_bytes(), &id);
        }
        self.txn.unique_id = Some(id.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_wire::http::Version;

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

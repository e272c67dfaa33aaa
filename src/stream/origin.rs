//! What servers are told about where a request comes from: `option forwardfor`, `originalto`, `forwarded`.
//!
//! Each is the backend's where it has one, else the frontend's. A head that has no room goes on without.

use std::io::Write;
use std::net::IpAddr;

use super::world::WorldView;
use super::{Below, Stream};
use crate::expr::sample::{Sample, Scratch};
use crate::expr::view::{Addr, Facts};
use crate::msg::Head;
use crate::net::cx::Cx;
use crate::plan::proxy::{ForwardFor, Forwarded, Part};
use crate::plan::rule::Site;
use lighterman_wire::token;

impl Stream {
    /// A request that came before the end of the handshake may be a recording: the server should know (RFC 8470
    /// section 5.1). A head without room for it goes as it is, as it does without an address.
    fn tell_of_early_data(&mut self, below: &Below<'_>) {
        let early = below.conns.get(self.front).and_then(|conn| conn.tls()).is_some_and(|tls| tls.early());
        if let Some(head) = self.req.head.as_mut().filter(|head| early && head.first(b"early-data").is_none())
        {
            let _ = head.add(b"Early-Data", b"1");
        }
    }

    /// Adds the fields, on the way out.
    pub(super) fn add_forwarding_fields(&mut self, below: &Below<'_>, cx: &Cx<'_>) {
        self.tell_of_early_data(below);
        let (front, back) = (cx.plan.proxy(self.frontend), cx.plan.proxy(self.backend));
        let client = back.forward_for.as_ref().or(front.forward_for.as_ref());
        let target = back.original_to.as_ref().or(front.original_to.as_ref());
        let forwarded = back.forwarded.as_ref().or(front.forwarded.as_ref());
        if client.is_none() && target.is_none() && forwarded.is_none() {
            return;
        }
        let mut value = Scratch::new();
        let (src, dst) = {
            let world = WorldView::new(self.front, self.back, below, cx);
            let Some(acx) = self.action_cx(Site::HttpRequest, below, cx, &world) else { return };
            let facts = acx.facts();
            forwarded.into_iter().for_each(|parts| write_forwarded(parts, &facts, &mut value));
            (facts.src().ip(), facts.dst().ip())
        };
        let if_none = front.forward_for.iter().chain(&back.forward_for).any(|option| option.if_none);
        let Some(head) = &mut self.req.head else { return };
        if let (Some(option), Some(src)) = (client, src.map(|ip| ip.to_canonical())) {
            add_forwarded_for(head, option, if_none, src);
        }
        if let (Some(option), Some(dst)) = (target, dst.map(|ip| ip.to_canonical())) {
            add_address(head, &option.header, option.except, dst);
        }
        if !value.is_empty() {
            let _ = head.add(b"forwarded", &value);
        }
    }

    /// The client's address as rules see it.
    pub(super) fn source(&self, below: &Below<'_>) -> Option<IpAddr> {
        match self.txn.settings.src {
            Some(set) => Some(set.ip()),
            None => below.conns.get(self.front)?.client()?.facts.src.ip(),
        }
    }
}

fn add_forwarded_for(head: &mut Head, option: &ForwardFor, if_none: bool, src: IpAddr) {
    if if_none && head.first(option.header.as_bytes()).is_some() {
        return;
    }
    add_address(head, &option.header, option.except, src);
}

fn add_address(head: &mut Head, name: &str, except: Option<(IpAddr, u8)>, addr: IpAddr) {
    if except.is_some_and(|(net, bits)| covers(net, bits, addr)) {
        return;
    }
    let mut text = [0u8; 48];
    let mut room = &mut text[..];
    // an address always fits: the longest has 45 characters
    let _ = write!(room, "{addr}");
    let used = 48 - room.len();
    let _ = head.add(name.as_bytes(), &text[..used]);
}

/// Whether an address lies in a network.
fn covers(net: IpAddr, bits: u8, addr: IpAddr) -> bool {
    match (net, addr) {
        (IpAddr::V4(n), IpAddr::V4(a)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            n.to_bits() & mask == a.to_bits() & mask
        }
        (IpAddr::V6(n), IpAddr::V6(a)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            n.to_bits() & mask == a.to_bits() & mask
        }
        _ => false,
    }
}

/// `proto=https;host=x;by=..;for=..` (RFC 7239 section 4).
fn write_forwarded(parts: &Forwarded, facts: &Facts<'_>, out: &mut Vec<u8>) {
    if parts.proto {
        out.extend_from_slice(if facts.txn.front_tls { b"proto=https" } else { b"proto=http" });
    }
    let host = match &parts.host {
        Part::None => None,
        Part::Own => facts.req.and_then(|req| req.first(b"host")).map(Scratch::of),
        Part::Expr(expr) => {
            let mut text = Scratch::new();
            expr.write(facts, &mut text).then_some(text)
        }
    };
    // a name that would break the field is not told
    let sound = |host: &Scratch| {
        !host.is_empty() && host.iter().all(|b| b.is_ascii_graphic() && !b"\"\\,;".contains(b))
    };
    if let Some(host) = host.filter(sound) {
        begin("host", out);
        quote(&host, out);
    }
    write_node("by", &parts.by, &parts.by_port, facts.dst(), facts, out);
    write_node("for", &parts.client, &parts.client_port, facts.src(), facts, out);
}

fn begin(name: &str, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b';');
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

/// A token stands as it is, anything else in quotes.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    if token::all(text, token::TOKEN) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// `node = nodename [ ":" node-port ]` (RFC 7239 section 6).
fn write_node(name: &str, node: &Part, port: &Part, addr: Addr, facts: &Facts<'_>, out: &mut Vec<u8>) {
    if matches!((node, port), (Part::None, Part::None)) {
        return;
    }
    let mut text = Scratch::new();
    match node {
        Part::Own => write_ip(addr.ip(), &mut text),
        Part::None => {}
        Part::Expr(expr) => match expr.eval(facts).now() {
            Some(Sample::Ip4(ip)) => write_ip(Some(ip.into()), &mut text),
            Some(Sample::Ip6(ip)) => write_ip(Some(ip.into()), &mut text),
            Some(other) => {
                let mut given = Scratch::new();
                other.write_text(&mut given);
                match std::str::from_utf8(&given).ok().and_then(|text| text.parse().ok()) {
                    Some(ip) => write_ip(Some(ip), &mut text),
                    None if is_obfuscated(&given) => text.extend_from_slice(&given),
                    None => {}
                }
            }
            None => {}
        },
    }
    if text.is_empty() {
        text.extend_from_slice(b"unknown");
    }
    let mut number = Scratch::new();
    match port {
        Part::None => {}
        Part::Own => addr.port().into_iter().for_each(|port| drop(write!(&mut *number, "{port}"))),
        Part::Expr(expr) => {
            expr.write(facts, &mut number);
            if !(is_obfuscated(&number) || is_port(&number)) {
                number.clear();
            }
        }
    }
    if !number.is_empty() {
        text.push(b':');
        text.extend_from_slice(&number);
    }
    begin(name, out);
    quote(&text, out);
}

fn write_ip(ip: Option<IpAddr>, out: &mut Vec<u8>) {
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => drop(write!(out, "{ip}")),
        Some(IpAddr::V6(ip)) => drop(write!(out, "[{ip}]")),
        None => {}
    }
}

/// `"_" 1*( ALPHA / DIGIT / "." / "_" / "-")`
fn is_obfuscated(text: &[u8]) -> bool {
    text.len() > 1
        && text.first() == Some(&b'_')
        && text.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_cover_their_addresses() {
        let table = [
            ("10.0.0.0", 8, "10.9.9.9", true),
            ("10.0.0.0", 8, "11.0.0.1", false),
            ("0.0.0.0", 0, "11.0.0.1", true),
            ("2001:db8::", 32, "2001:db8::1", true),
            ("2001:db8::", 32, "10.0.0.1", false),
        ];
        for (net, bits, addr, expected) in table {
            assert_eq!(covers(net.parse().unwrap(), bits, addr.parse().unwrap()), expected, "{addr}");
        }
    }

    #[test]
    fn nodes_are_quoted_when_they_must_be() {
        let mut out = Vec::new();
        for text in ["10.0.0.1", "[::1]", "10.0.0.1:80", "_a.b"] {
            quote(text.as_bytes(), &mut out);
            out.push(b' ');
        }
        assert_eq!(out, b"10.0.0.1 \"[::1]\" \"10.0.0.1:80\" _a.b ");
        assert!(
            is_obfuscated(b"_x1") && !is_obfuscated(b"_") && !is_obfuscated(b"x") && !is_obfuscated(b"_x;y")
        );
        assert!(is_port(b"80") && !is_port(b"") && !is_port(b"8o"));
    }
}

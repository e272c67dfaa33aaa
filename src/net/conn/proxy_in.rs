//! The PROXY header of a client's connection (`accept-proxy`): it must come first, whole and correct.
//!
//! Nothing is guessed: a peer that may choose whether to send one could claim any address. What was read
//! behind the header belongs to TLS or to the mux and is handed on ([`ProxyIn::rest`]), so that one read
//! may bring the header and the first bytes of traffic.

use lighterman_wire::error::{Parse, What};
use lighterman_wire::proxy_header::{self, Addresses, Carrier, ProxyHeader};

use crate::base::buffer::Buffer;
use crate::base::ids::TaskId;
use crate::base::pool::{Pool, WaitClass};
use crate::event::ready::Ready;
use crate::expr::view::{Addr, ConnFacts};
use crate::net::conn::handshake::Step;
use crate::net::fault::{Cause, Fault, ProxyFault};
use crate::net::sock::Sock;
use crate::net::transport::{recv_sock, Io};

/// A header on its way in.
#[derive(Default)]
pub(super) struct ProxyIn {
    buf: Option<Buffer>,
}

impl ProxyIn {
    /// Reads and parses; on success the facts tell whom the header speaks of.
    pub(super) fn step(
        &mut self,
        sock: &mut Sock,
        ready: &mut Ready,
        facts: &mut ConnFacts,
        (task, pool): (TaskId, &mut Pool),
    ) -> Step {
        loop {
            if !ready.readable() {
                return Step::Wait;
            }
            let Some(mut buf) = self.buf.take().or_else(|| pool.get()) else {
                pool.wait(task, WaitClass::New);
                return Step::Wait;
            };
            if !buf.make_room(1) && !pool.grow(&mut buf) {
                self.buf = Some(buf);
                return failed(ProxyFault::Invalid(What::ProxyLength));
            }
            let io = recv_sock(sock, &mut buf, ready);
            let parsed = self.look(buf, io, facts, pool);
            if !matches!(parsed, Step::Wait) {
                return parsed;
            }
        }
    }

    /// What a read brought.
    fn look(&mut self, mut buf: Buffer, io: Io, facts: &mut ConnFacts, pool: &mut Pool) -> Step {
        let step = match io {
            Io::Done(_) => match proxy_header::parse(buf.readable()) {
                Parse::Done(header, used) => {
                    learn(&header, facts);
                    buf.consume(used);
                    Step::Done
                }
                Parse::Need => Step::Wait,
                Parse::Bad(why) if why.what == What::ProxySignature => {
                    failed(ProxyFault::Instead(proxy_header::diagnose(buf.readable())))
                }
                Parse::Bad(why) => failed(ProxyFault::Invalid(why.what)),
            },
            Io::Again => Step::Wait,
            Io::Eof if buf.is_empty() => failed(ProxyFault::Closed),
            Io::Eof => failed(ProxyFault::Truncated),
            Io::Fault(_) => failed(ProxyFault::Broken),
        };
        if buf.is_empty() {
            pool.put(buf);
        } else {
            self.buf = Some(buf);
        }
        step
    }

    /// What came behind the header.
    pub(super) fn rest(&mut self) -> Option<Buffer> {
        self.buf.take()
    }
}

fn failed(why: ProxyFault) -> Step {
    Step::Failed(Fault::new(Cause::Proxy(why)))
}

/// Takes over what the header says.
fn learn(header: &ProxyHeader<'_>, facts: &mut ConnFacts) {
    facts.proxied = true;
    if header.local {
        return;
    }
    match header.addresses {
        Addresses::Inet { src, dst, carrier: Carrier::Stream } => {
            facts.src = Addr::Inet(src);
            facts.dst = Addr::Inet(dst);
        }
        Addresses::Unix { carrier: Carrier::Stream, .. } => {
            facts.src = Addr::Unix;
            facts.dst = Addr::Unix;
        }
        // datagrams did not become this connection: whoever says so is not believed
        Addresses::Inet { .. } | Addresses::Unix { .. } | Addresses::Unknown => {}
    }
    facts.tlvs = header.tlvs.bytes().into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::arena::Id;
    use crate::net::sock::mem;

    /// Sends `parts` one by one and tells how it ended, and what was left behind the header.
    fn shake(parts: &[&[u8]], close: bool) -> (Option<ProxyFault>, ConnFacts, Vec<u8>) {
        let mut pool = Pool::new(1024, 1 << 20);
        let (mut peer, ours) = mem::pair(1 << 16);
        let mut sock = Sock::Mem(ours);
        let mut facts = ConnFacts::default();
        let mut shake = ProxyIn::default();
        let mut step = Step::Wait;
        for part in parts {
            peer.send(part).unwrap();
            step = shake.step(&mut sock, &mut Ready::TRY.clone(), &mut facts, (Id::new(0, 0), &mut pool));
            if !matches!(step, Step::Wait) {
                break;
            }
        }
        if close && matches!(step, Step::Wait) {
            peer.shut_write();
            step = shake.step(&mut sock, &mut Ready::TRY.clone(), &mut facts, (Id::new(0, 0), &mut pool));
        }
        let rest = shake.rest().map_or(Vec::new(), |b| b.readable().to_vec());
        match step {
            Step::Failed(Fault { cause: Cause::Proxy(why) }) => (Some(why), facts, Vec::new()),
            Step::Done => (None, facts, rest),
            _ => panic!("not over"),
        }
    }

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n";

    #[test]
    fn header_and_traffic_in_pieces_of_any_size() {
        let all = [LINE, b"GET / HTTP/1.1\r\n"].concat();
        for size in 1..all.len() {
            let parts: Vec<&[u8]> = all.chunks(size).collect();
            let (fault, facts, rest) = shake(&parts, false);
            assert_eq!(fault, None, "{size}");
            assert_eq!(facts.src, Addr::Inet("192.0.2.1:4000".parse().unwrap()));
            assert_eq!(facts.dst, Addr::Inet("198.51.100.2:443".parse().unwrap()));
            assert!(facts.proxied && all[LINE.len()..].starts_with(&rest));
        }
    }

    #[test]
    fn what_came_instead_is_named() {
        use lighterman_wire::proxy_header::Came;
        let rows: [(&[u8], ProxyFault); 6] = [
            (b"GET / HTTP/1.1\r\n\r\n", ProxyFault::Instead(Came::Http1)),
            (b"\x16\x03\x01\x02\x00\x01\x00", ProxyFault::Instead(Came::Tls)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ProxyFault::Instead(Came::Http2)),
            (b"PROXY TCP4 300.0.2.1 198.51.100.2 4000 443\r\n", ProxyFault::Invalid(What::ProxyAddress)),
            (b"PROXY TCP4 192.0.2.1", ProxyFault::Truncated),
            (b"", ProxyFault::Closed),
        ];
        for (bytes, expected) in rows {
            assert_eq!(shake(&[bytes], true).0, Some(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn local_and_unknown_keep_the_real_ends() {
        let local = [proxy_header::SIGNATURE.as_slice(), b"\x20\x00\x00\x00"].concat();
        for header in [local.as_slice(), b"PROXY UNKNOWN ffff::1 whatever\r\n"] {
            let (fault, facts, _) = shake(&[header], false);
            assert_eq!((fault, facts.src, facts.proxied), (None, Addr::None, true));
        }
    }

    #[test]
    fn headers_larger_than_a_small_buffer() {
        let mut header = [proxy_header::SIGNATURE.as_slice(), b"\x21\x11\x0f\xa0"].concat();
        header.extend([1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187]);
        header.extend([0xe0, 0x0f, 0x91]);
        header.resize(16 + 4000, b'x');
        let (fault, facts, rest) = shake(&[&header, b"tail"], false);
        assert_eq!((fault, facts.tlvs.len(), rest.len()), (None, 3988, 0));
        assert_eq!(facts.src, Addr::Inet("1.2.3.4:80".parse().unwrap()));
    }
}

//! The PROXY header for a server (`send-proxy` and its family), made of what is known of the client.
//!
//! It is not a step that waits: it lies in front of the first bytes, TLS's or the mux's, and leaves with
//! them in one send.

use lighterman_wire::proxy_header::{
    build_v1, build_v2, kind, Addresses, Carrier, Checksum, Out, Ssl, SslOut, Tlvs,
};
use openssl::pkey::Id;
use openssl::x509::X509;

use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::expr::view::{Addr, TlsView};
use crate::net::tls::info::common_name;
use crate::plan::server::SendProxy;

/// What a header is made of.
pub struct Greeting<'a> {
    /// The client, as rules see it.
    pub src: Addr,
    /// What the client asked for, as rules see it.
    pub dst: Addr,
    /// TLS of the client's connection.
    pub tls: Option<&'a dyn TlsView>,
    /// TLVs that the client's connection brought itself.
    pub tlvs: &'a [u8],
    /// `unique-id-format`, if there is one.
    pub unique_id: Option<&'a [u8]>,
}

impl Greeting<'_> {
    /// The header as this server wants it, in a buffer; `None`: it cannot be expressed.
    pub fn encode(&self, how: &SendProxy, pool: &mut Pool) -> Option<Buffer> {
        let mut out = Vec::with_capacity(256);
        if how.version == 1 {
            build_v1(self.addresses(), &mut out);
        } else {
            self.encode_v2(how, &mut out)?;
        }
        // one of the pool has room for a request head behind the header
        let mut buf = match pool.get() {
            Some(buf) if buf.room() >= out.len() => buf,
            small => {
                small.into_iter().for_each(|buf| pool.put(buf));
                Buffer::with_capacity(out.len())
            }
        };
        buf.push(&out);
        Some(buf)
    }

    fn addresses(&self) -> Option<Addresses<'static>> {
        let carrier = Carrier::Stream;
        match (self.src, self.dst) {
            (Addr::Inet(src), Addr::Inet(dst)) => Some(Addresses::Inet { src, dst, carrier }),
            (Addr::Unix, Addr::Unix) => Some(Addresses::Unix { src: b"", dst: b"", carrier }),
            _ => None,
        }
    }

    fn encode_v2(&self, how: &SendProxy, out: &mut Vec<u8>) -> Option<()> {
        let received = Tlvs::kept(self.tlvs);
        let facts = SslFacts::of(self.tls, how);
        let ssl = match self.tls {
            Some(_) => Some(facts.out()),
            None => received.ssl().as_ref().map(Ssl::out),
        };
        let sni = self.tls.and_then(|tls| tls.sni()).or_else(|| received.get(kind::AUTHORITY));
        let header = Out {
            alpn: self.tls.and_then(|tls| tls.alpn()).or_else(|| received.get(kind::ALPN)),
            authority: sni.filter(|_| how.authority),
            unique_id: self.unique_id.filter(|_| how.unique_id).map(|id| id.get(..128).unwrap_or(id)),
            ssl: how.ssl.then(|| ssl.unwrap_or_default()),
            checksum: if how.crc32c { Checksum::Crc32c } else { Checksum::Absent },
            ..Out::plain(self.addresses())
        };
        build_v2(&header, out).ok()
    }
}

/// What the SSL TLV tells of the client's TLS, as far as it was asked for.
#[derive(Default)]
struct SslFacts {
    client: u8,
    verify: u32,
    version: Option<String>,
    cn: Option<String>,
    cipher: Option<String>,
    sig: Option<&'static str>,
    key: Option<String>,
}

impl SslFacts {
    fn of(tls: Option<&dyn TlsView>, how: &SendProxy) -> SslFacts {
        let Some(tls) = tls.filter(|_| how.ssl) else { return SslFacts::default() };
        let cert = tls.peer_cert();
        let mut client = Ssl::TLS;
        // 0 says that a certificate was presented and verified
        let mut verify = 1;
        if cert.is_some() {
            client |= Ssl::CERT_SESS | if tls.cert_now() { Ssl::CERT_CONN } else { 0 };
            verify = u32::try_from(tls.verify().0).unwrap_or(1);
        }
        let own = if how.cert_sig || how.cert_key { tls.own_cert() } else { None };
        SslFacts {
            client,
            verify,
            version: tls.version().map(str::to_owned),
            cn: cert.as_ref().filter(|_| how.cert_cn).and_then(common_name),
            cipher: tls.cipher().filter(|_| how.ssl_cipher).map(str::to_owned),
            sig: own.as_ref().filter(|_| how.cert_sig).and_then(signature),
            key: own.as_ref().filter(|_| how.cert_key).and_then(key),
        }
    }

    fn out(&self) -> SslOut<'_> {
        SslOut {
            client: self.client,
            verify: self.verify,
            version: self.version.as_deref().map(str::as_bytes),
            cn: self.cn.as_deref().map(str::as_bytes),
            cipher: self.cipher.as_deref().map(str::as_bytes),
            sig_alg: self.sig.map(str::as_bytes),
            key_alg: self.key.as_deref().map(str::as_bytes),
            ..SslOut::default()
        }
    }
}

/// The algorithm that signed a certificate: `RSA-SHA256`.
fn signature(cert: &X509) -> Option<&'static str> {
    cert.signature_algorithm().object().nid().short_name().ok()
}

/// The algorithm and size of its key: `RSA2048`, `EC256`.
fn key(cert: &X509) -> Option<String> {
    let key = cert.public_key().ok()?;
    let name = match key.id() {
        Id::RSA => "RSA",
        Id::EC => "EC",
        Id::DSA => "DSA",
        _ => return None,
    };
    Some(format!("{name}{}", key.bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_wire::proxy_header;

    fn greeting() -> Greeting<'static> {
        Greeting {
            src: Addr::Inet("192.0.2.1:4000".parse().unwrap()),
            dst: Addr::Inet("198.51.100.2:443".parse().unwrap()),
            tls: None,
            tlvs: &[],
            unique_id: Some(b"id-1"),
        }
    }

    fn encoded(greeting: &Greeting<'_>, how: &SendProxy) -> Vec<u8> {
        greeting.encode(how, &mut Pool::new(1024, 1 << 20)).unwrap().readable().to_vec()
    }

    #[test]
    fn text() {
        let how = SendProxy { version: 1, ..SendProxy::default() };
        assert_eq!(encoded(&greeting(), &how), b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n");
        let unix = Greeting { src: Addr::Unix, dst: Addr::Unix, ..greeting() };
        assert_eq!(encoded(&unix, &how), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn binary_with_options() {
        let how = SendProxy { version: 2, crc32c: true, unique_id: true, ssl: true, ..SendProxy::default() };
        let bytes = encoded(&greeting(), &how);
        let (header, used) = proxy_header::parse(&bytes).done().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(header.tlvs.get(kind::UNIQUE_ID), Some(&b"id-1"[..]));
        assert_eq!(header.tlvs.ssl().map(|s| (s.client, s.verify)), Some((0, 0)));
        assert!(header.tlvs.get(kind::CRC32C).is_some() && header.tlvs.get(kind::AUTHORITY).is_none());
    }

    #[test]
    fn facts_of_an_earlier_tier_travel_on() {
        let tlvs = b"\x02\x00\x05a.org\x20\x00\x05\x01\x00\x00\x00\x00";
        let how = SendProxy { version: 2, ssl: true, authority: true, ..SendProxy::default() };
        let bytes = encoded(&Greeting { tlvs, ..greeting() }, &how);
        let (header, _) = proxy_header::parse(&bytes).done().unwrap();
        assert_eq!(header.tlvs.get(kind::AUTHORITY), Some(&b"a.org"[..]));
        assert_eq!(header.tlvs.ssl().map(|s| s.client), Some(Ssl::TLS));
    }
}

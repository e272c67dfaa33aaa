//! Vectors of both versions, refusals, and that every prefix of a good header is in need of more.

use super::*;

fn inet(src: &str, dst: &str, carrier: Carrier) -> Addresses<'static> {
    Addresses::Inet { src: src.parse().unwrap(), dst: dst.parse().unwrap(), carrier }
}

/// All proper prefixes need more, and what follows is not used.
fn whole(bytes: &[u8]) -> ProxyHeader<'_> {
    for n in 0..bytes.len() {
        assert_eq!(parse(&bytes[..n]), Parse::Need, "{n}");
    }
    let mut longer = bytes.to_vec();
    longer.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert!(matches!(parse(&longer), Parse::Done(_, used) if used == bytes.len()));
    parse(bytes).done().unwrap().0
}

#[test]
fn version_1_lines() {
    for (line, want) in [
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9 65535\r\n", inet("1.2.3.4:9", "5.6.7.8:65535", Carrier::Stream)),
        (
            "PROXY TCP4 255.255.255.255 0.0.0.0 0 1\r\n",
            inet("255.255.255.255:0", "0.0.0.0:1", Carrier::Stream),
        ),
        ("PROXY TCP6 ::1 2001:db8::2 1 2\r\n", inet("[::1]:1", "[2001:db8::2]:2", Carrier::Stream)),
        ("PROXY UNKNOWN\r\n", Addresses::Unknown),
        ("PROXY UNKNOWN ffff::1 whatever this is 65535\r\n", Addresses::Unknown),
    ] {
        let h = whole(line.as_bytes());
        assert_eq!((h.version, h.local, h.addresses), (ProxyVersion::One, false, want), "{line:?}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 16));
    assert_eq!(longest.len(), V1_MAX);
    whole(longest.as_bytes());
}

#[test]
fn version_1_refusals() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 15));
    for (line, what) in [
        ("PROXY TCP5 1.2.3.4 5.6.7.8 9 1\r\n", What::ProxyFamily),
        ("PROXY  TCP4 1.2.3.4 5.6.7.8 9 1\r\n", What::ProxyFamily),
        ("PROXY tcp4 1.2.3.4 5.6.7.8 9 1\r\n", What::ProxyFamily),
        ("PROXY UNKNOWNX\r\n", What::ProxyFamily),
        ("PROXY \r\n", What::ProxyFamily),
        ("PROXY TCP4 1.2.3.4  5.6.7.8 9 1\r\n", What::ProxySyntax),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9 1 \r\n", What::ProxySyntax),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", What::ProxySyntax),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9 1\n", What::ProxySyntax),
        ("PROXY TCP4 01.2.3.4 5.6.7.8 9 1\r\n", What::ProxyAddress),
        ("PROXY TCP4 ::1 ::2 9 1\r\n", What::ProxyAddress),
        ("PROXY TCP6 1.2.3.4 5.6.7.8 9 1\r\n", What::ProxyAddress),
        ("PROXY TCP6 fe80::1%eth0 ::2 9 1\r\n", What::ProxyAddress),
        ("PROXY TCP4 1.2.3.256 5.6.7.8 9 1\r\n", What::ProxyAddress),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 09 1\r\n", What::ProxyPort),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n", What::ProxyPort),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 +9 1\r\n", What::ProxyPort),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 9 1\r\r\n", What::ProxyPort),
        ("PROXYTCP4 1.2.3.4 5.6.7.8 9 1\r\n", What::ProxySignature),
        ("POST / HTTP/1.1\r\n", What::ProxySignature),
        ("GET / HTTP/1.1\r\n", What::ProxySignature),
        ("\r\nGET / HTTP/1.1\r\n", What::ProxySignature),
        (&too_long, What::ProxySyntax),
    ] {
        assert_eq!(parse(line.as_bytes()).bad().map(|b| b.what), Some(what), "{line:?}");
    }
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    [&SIGNATURE[..], &[command, family], &len, body].concat()
}

const V4_BLOCK: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34, 0x01, 0xbb];

#[test]
fn version_2_families() {
    let v6 = [&[0u8; 15][..], &[1], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[2], &[0, 1, 0, 2]].concat();
    let mut unix = [0u8; 216];
    unix[..4].copy_from_slice(b"/tmp");
    unix[108..112].copy_from_slice(b"\0abs");
    for (family, block, want) in [
        (0x00, &[][..], Addresses::Unknown),
        (0x11, &V4_BLOCK, inet("1.2.3.4:4660", "5.6.7.8:443", Carrier::Stream)),
        (0x12, &V4_BLOCK, inet("1.2.3.4:4660", "5.6.7.8:443", Carrier::Datagram)),
        (0x21, &v6, inet("[::1]:1", "[2001:db8::2]:2", Carrier::Stream)),
        (0x22, &v6, inet("[::1]:1", "[2001:db8::2]:2", Carrier::Datagram)),
        (0x31, &unix, Addresses::Unix { src: b"/tmp", dst: b"\0abs", carrier: Carrier::Stream }),
        (0x32, &unix, Addresses::Unix { src: b"/tmp", dst: b"\0abs", carrier: Carrier::Datagram }),
    ] {
        let bytes = v2(0x21, family, block);
        let h = whole(&bytes);
        assert_eq!((h.version, h.local, h.addresses), (ProxyVersion::Two, false, want), "{family:#x}");
        let mut out = Vec::new();
        build_v2(&Out::plain(Some(want)), &mut out).unwrap();
        assert_eq!(out, bytes);
    }
    for (family, body) in [(0x00, &[][..]), (0x11, &V4_BLOCK), (0xff, b"anything"), (0x11, b"short")] {
        let bytes = v2(0x20, family, body);
        let h = whole(&bytes);
        assert_eq!((h.local, h.addresses, h.tlvs), (true, Addresses::Unknown, Tlvs::default()));
    }
}

#[test]
fn version_2_refusals() {
    let with = |tlvs: &[u8]| v2(0x21, 0x11, &[&V4_BLOCK[..], tlvs].concat());
    for (bytes, what) in [
        (v2(0x11, 0x11, &V4_BLOCK), What::ProxyVersion),
        (v2(0x31, 0x11, &V4_BLOCK), What::ProxyVersion),
        (v2(0x22, 0x11, &V4_BLOCK), What::ProxyCommand),
        (v2(0x21, 0x01, &V4_BLOCK), What::ProxyFamily),
        (v2(0x21, 0x10, &V4_BLOCK), What::ProxyFamily),
        (v2(0x21, 0x13, &V4_BLOCK), What::ProxyFamily),
        (v2(0x21, 0x41, &V4_BLOCK), What::ProxyFamily),
        (v2(0x21, 0x11, &V4_BLOCK[..11]), What::ProxyLength),
        (v2(0x21, 0x21, &V4_BLOCK), What::ProxyLength),
        (v2(0x21, 0x31, &[0; 215]), What::ProxyLength),
        (v2(0x21, 0x11, &[0; V2_MAX - 15]), What::ProxyLength),
        (v2(0x20, 0x00, &[0; V2_MAX - 15]), What::ProxyLength),
        (with(&[1]), What::ProxyTlv),
        (with(&[1, 0]), What::ProxyTlv),
        (with(&[1, 0, 3, b'h', b'2']), What::ProxyTlv),
        (with(&[1, 0xff, 0xff, b'h']), What::ProxyTlv),
        (with(&[3, 0, 3, 1, 2, 3]), What::ProxyTlvContent),
        (with(&[3, 0, 4, 1, 2, 3, 4]), What::ProxyChecksum),
        (with(&[&[5, 0, 129][..], &[b'x'; 129]].concat()), What::ProxyTlvContent),
        (with(&[0x20, 0, 4, 1, 0, 0, 0]), What::ProxyTlvContent),
        (with(&[0x20, 0, 7, 1, 0, 0, 0, 0, 0x21, 0]), What::ProxyTlvContent),
        (with(&[0x20, 0, 8, 1, 0, 0, 0, 0, 0x21, 0, 9]), What::ProxyTlvContent),
    ] {
        assert_eq!(parse(&bytes).bad().map(|b| b.what), Some(what), "{:?}", &bytes[12..bytes.len().min(40)]);
    }
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\r"), bad(What::ProxySignature, 11));
}

#[test]
fn every_tlv_there_and_back() {
    let ssl = SslOut {
        client: Ssl::TLS | Ssl::CERT_CONN,
        verify: 10,
        version: Some(b"TLSv1.3"),
        cn: Some(b"client.example"),
        cipher: Some(b"TLS_AES_128_GCM_SHA256"),
        sig_alg: Some(b"RSA-SHA256"),
        key_alg: Some(b"RSA2048"),
        group: Some(b"X25519"),
        sig_scheme: Some(b"rsa_pss_rsae_sha256"),
        client_cert: Some(&[0x30; 900]),
    };
    let out = Out {
        addresses: Some(inet("1.2.3.4:1", "5.6.7.8:2", Carrier::Stream)),
        alpn: Some(b"h2"),
        authority: Some(b"example.org"),
        unique_id: Some(&[7; 128]),
        ssl: Some(ssl),
        netns: Some(b"blue"),
        extra: &[(kind::NOOP, b"\0\0"), (0xe0, b"custom")],
        checksum: Checksum::Crc32c,
    };
    let mut bytes = b"before".to_vec();
    build_v2(&out, &mut bytes).unwrap();
    let bytes = bytes.split_off(6);
    let h = whole(&bytes);
    assert_eq!(Some(h.addresses), out.addresses);
    let t = h.tlvs;
    for (kind, want) in [
        (kind::ALPN, out.alpn),
        (kind::AUTHORITY, out.authority),
        (kind::UNIQUE_ID, out.unique_id),
        (kind::NETNS, out.netns),
        (0xe0, Some(&b"custom"[..])),
        (0xe1, None),
    ] {
        assert_eq!(t.get(kind), want, "{kind:#x}");
    }
    assert_eq!(t.ssl().unwrap().out(), ssl);
    assert_eq!(Tlvs::kept(t.bytes()), t);
    assert_eq!(t.iter().count(), 8);
    // At 28 is the checksum's own type: damaged, there is no checksum.
    for at in (0..bytes.len()).filter(|&at| at != 28) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(parse(&damaged).done().is_none(), "damage at {at} goes unnoticed");
    }
}

#[test]
fn what_cannot_be_said_is_refused() {
    let client = inet("1.2.3.4:1", "5.6.7.8:2", Carrier::Stream);
    let mut out = b"kept".to_vec();
    let huge = vec![0u8; 70_000];
    let large = vec![0u8; V2_MAX];
    for header in [
        Out { unique_id: Some(&[0; 129]), ..Out::plain(Some(client)) },
        Out { authority: Some(&huge), ..Out::plain(Some(client)) },
        Out { authority: Some(&large), ..Out::plain(Some(client)) },
        Out { ssl: Some(SslOut { cn: Some(&huge), ..SslOut::default() }), ..Out::plain(Some(client)) },
        Out::plain(Some(Addresses::Unix { src: &[b'x'; 109], dst: b"", carrier: Carrier::Stream })),
    ] {
        assert_eq!(build_v2(&header, &mut out), Err(TooLong));
        assert_eq!(out, b"kept");
    }
}

#[test]
fn version_1_is_written() {
    for (addresses, want) in [
        (Some(inet("1.2.3.4:5", "6.7.8.9:10", Carrier::Stream)), "PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n"),
        (Some(inet("[::1]:5", "[::2]:10", Carrier::Stream)), "PROXY TCP6 ::1 ::2 5 10\r\n"),
        (Some(inet("1.2.3.4:5", "[::2]:10", Carrier::Stream)), "PROXY TCP6 ::ffff:1.2.3.4 ::2 5 10\r\n"),
        (Some(inet("1.2.3.4:5", "6.7.8.9:10", Carrier::Datagram)), "PROXY UNKNOWN\r\n"),
        (Some(Addresses::Unknown), "PROXY UNKNOWN\r\n"),
        (None, "PROXY UNKNOWN\r\n"),
    ] {
        let mut out = Vec::new();
        build_v1(addresses, &mut out);
        assert_eq!(out, want.as_bytes());
        whole(&out);
    }
}

#[test]
fn what_came_instead() {
    for (bytes, came) in [
        (&b""[..], Came::Nothing),
        (b"\x16", Came::Tls),
        (b"\x16\x03\x01\x02\x00\x01", Came::Tls),
        (b"GET / HTTP/1.1\r\n", Came::Http1),
        (b"POST /", Came::Http1),
        (b"M-SEARCH * ", Came::Http1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Came::Http2),
        (b"SSH-2.0-x\r\n", Came::Ssh),
        (b"PROXY TCP4 1.2.3.4", Came::ProxyV1),
        (b"PROX", Came::ProxyV1),
        (&SIGNATURE[..], Came::ProxyV2),
        (b"\r\n\r\n\0\r\nQUIT", Came::ProxyV2),
        (b"EHLO x", Came::Http1),
        (b"\x00\x01", Came::Other),
        (b"\r\n\r\nG", Came::Other),
        (b"hello world", Came::Other),
        (b"P", Came::Other),
    ] {
        assert_eq!(diagnose(bytes), came, "{:?}", bytes.escape_ascii().to_string());
        assert!(!came.text().is_empty());
    }
}

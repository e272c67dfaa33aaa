//! Hellos of real clients, hellos made by hand, and every way to break one.

use super::*;

const OPENSSL: &[u8] = include_bytes!("../../../tests/fuzz/corpus/client_hello/openssl_tls13");
const OPENSSL_12: &[u8] = include_bytes!("../../../tests/fuzz/corpus/client_hello/openssl_tls12");

fn vec8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

fn vec16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn ext(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vec16(content)].concat()
}

fn sni(name: &[u8]) -> Vec<u8> {
    ext(extension::SERVER_NAME, &vec16(&[&[0][..], &vec16(name)].concat()))
}

fn body(extensions: &[u8]) -> Vec<u8> {
    [&[3, 3][..], &[7; 32], &vec8(&[9; 32]), &vec16(&[0x13, 1, 0x13, 2]), &[1, 0], &vec16(extensions)]
        .concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[1][..], &len[1..], body].concat()
}

/// Spreads a message over records of `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &vec16(piece)].concat()).collect()
}

fn refusal(bytes: &[u8]) -> Option<What> {
    parse(bytes, &mut Vec::new()).bad().map(|b| b.what)
}

#[test]
fn a_hello_of_openssl() {
    let mut scratch = Vec::new();
    let (hello, used) = parse(OPENSSL, &mut scratch).done().unwrap();
    assert_eq!(used, OPENSSL.len());
    assert_eq!(hello.sni(), Some(&b"www.example.org"[..]));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!((hello.legacy_version, hello.version()), (0x0303, 0x0304));
    assert!(hello.ciphers().any(|c| c == 0x1301));
    assert!(hello.groups().any(|g| g == 0x001d));
    assert!(hello.key_share_groups().count() >= 1);
    assert!(hello.signature_algorithms().any(|s| s == 0x0804));
    assert_eq!((hello.session_id.len(), hello.random.len()), (32, 32));
    assert!(scratch.is_empty());

    let (hello, _) = parse(OPENSSL_12, &mut scratch).done().unwrap();
    assert_eq!((hello.version(), hello.sni(), hello.versions().count()), (0x0303, None, 0));
    assert!(hello.extension(extension::SESSION_TICKET).is_some());
}

#[test]
fn a_hello_over_many_records_is_the_same() {
    let message = &OPENSSL[5..];
    let mut one = Vec::new();
    let want = parse(OPENSSL, &mut one).done().unwrap().0;
    for size in [1, 2, 3, 4, 5, 100, message.len() - 1, message.len()] {
        let mut scratch = Vec::new();
        let bytes = records(message, size);
        let (hello, used) = parse(&bytes, &mut scratch).done().unwrap();
        assert_eq!((hello, used), (want, bytes.len()), "{size}");
    }
}

#[test]
fn every_prefix_needs_more() {
    for size in [1000, 50] {
        let bytes = records(&OPENSSL[5..], size);
        let mut scratch = Vec::new();
        for n in 0..bytes.len() {
            assert_eq!(parse(&bytes[..n], &mut scratch), Parse::Need, "{n}");
        }
    }
}

#[test]
fn small_hellos() {
    let mut scratch = Vec::new();
    let plain = body(&[]);
    let (hello, _) =
        parse(&records(&message(&plain), 1000), &mut scratch).done().map(|(h, n)| (h.version(), n)).unwrap();
    assert_eq!(hello, 0x0303);
    // Without the extensions field at all, as SSLv3 clients sent.
    let bare = &plain[..plain.len() - 2];
    assert!(ClientHello::of_body(bare).unwrap().extensions().next().is_none());
    let grease = [ext(0x0a0a, b"x"), sni(b"a.b")].concat();
    let full = body(&grease);
    let hello = ClientHello::of_body(&full).unwrap();
    assert_eq!(hello.sni(), Some(&b"a.b"[..]));
    assert_eq!(hello.ciphers().collect::<Vec<_>>(), [0x1301, 0x1302]);
    let old = body(&ext(extension::SUPPORTED_VERSIONS, &vec8(&[0x7a, 0x7a, 3, 1, 3, 4, 3, 3])));
    assert_eq!(ClientHello::of_body(&old).unwrap().version(), 0x0304);
}

#[test]
fn refused_records() {
    let good = records(&message(&body(&[])), 1000);
    let broken = |at: usize, b: u8| {
        let mut bytes = good.clone();
        bytes[at] = b;
        bytes
    };
    let second = [records(&message(&body(&[]))[..20], 20), vec![21, 3, 3, 0, 2, 1, 0]].concat();
    for (bytes, what) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), What::TlsRecordType),
        (vec![0x80, 0x2e, 1, 3, 1], What::TlsRecordType),
        (broken(1, 2), What::TlsRecordVersion),
        (broken(2, 9), What::TlsRecordVersion),
        (vec![22, 3, 1, 0, 0], What::TlsRecordLength),
        (vec![22, 3, 1, 0x40, 1], What::TlsRecordLength),
        (broken(5, 2), What::TlsNotHello),
        (vec![22, 3, 1, 2, 0, 2], What::TlsNotHello),
        (broken(6, 1), What::TlsHelloTooLarge),
        (second, What::TlsRecordType),
        (broken(9, 2), What::TlsHello),
    ] {
        assert_eq!(refusal(&bytes), Some(what), "{:?}", &bytes[..bytes.len().min(12)]);
    }
}

#[test]
fn refused_bodies() {
    let all: Vec<u8> = (0..200u16).flat_map(|kind| ext(1000 + kind, b"")).collect();
    for (body, what) in [
        (body(&[]).split_off(1), What::TlsHello),
        (body(&[])[..30].to_vec(), What::TlsHello),
        ([body(&[]), vec![0]].concat(), What::TlsHello),
        ([&[3, 3][..], &[7; 32], &vec8(&[9; 33]), &vec16(&[0x13, 1]), &[1, 0]].concat(), What::TlsHello),
        ([&[3, 3][..], &[7; 32], &[0], &vec16(&[0x13]), &[1, 0]].concat(), What::TlsHello),
        ([&[3, 3][..], &[7; 32], &[0], &vec16(&[]), &[1, 0]].concat(), What::TlsHello),
        ([&[3, 3][..], &[7; 32], &[0], &vec16(&[0x13, 1]), &[0]].concat(), What::TlsHello),
        (body(&[0, 0, 0]), What::TlsExtension),
        (body(&[0, 9, 0, 1]), What::TlsExtension),
        (body(&[sni(b"a"), sni(b"b")].concat()), What::TlsExtension),
        (body(&all), What::TlsExtension),
        (body(&sni(b"")), What::TlsExtension),
        (body(&sni(b"a\0b")), What::TlsExtension),
        (body(&sni(b"a b")), What::TlsExtension),
        (body(&sni(&[b'a'; 256])), What::TlsExtension),
        (body(&ext(0, &vec16(&[1, 0, 1, b'a']))), What::TlsExtension),
        (body(&ext(0, &vec16(&[]))), What::TlsExtension),
        (body(&ext(0, b"")), What::TlsExtension),
        (body(&ext(16, &vec16(&[]))), What::TlsExtension),
        (body(&ext(16, &vec16(&[0]))), What::TlsExtension),
        (body(&ext(16, &vec16(&[3, b'h', b'2']))), What::TlsExtension),
    ] {
        assert_eq!(ClientHello::of_body(&body), Err(what), "{body:?}");
    }
}

#[test]
fn reassembly_is_bounded() {
    // A client that announces little and sends records for ever is cut off by the message's own length;
    // one that announces much is refused at the header.
    let announced = (HELLO_MAX as u32 - 4 + 1).to_be_bytes();
    let header = [&[1][..], &announced[1..]].concat();
    assert_eq!(refusal(&records(&header, 1)), Some(What::TlsHelloTooLarge));
    let most = message(&vec![0; HELLO_MAX - 4]);
    let mut scratch = Vec::new();
    assert!(parse(&records(&most, 16_384), &mut scratch).bad().is_some());
    assert!(scratch.len() <= HELLO_MAX + RECORD_MAX);
}

#[test]
fn types_and_grease() {
    assert_eq!(hello_type(OPENSSL), Parse::Done(1, 6));
    assert_eq!(hello_type(&[22, 3, 3, 0, 5, 2]), Parse::Done(2, 6));
    assert_eq!(hello_type(&[22, 3, 3]), Parse::Need);
    assert!(hello_type(b"GET").bad().is_some());
    assert!(hello_type(&[22, 9]).bad().is_some());
    for (n, want) in [(0x0a0a, true), (0xfafa, true), (0x0a1a, false), (0x1301, false), (0xaaaa, true)] {
        assert_eq!(is_grease(n), want, "{n:#x}");
    }
}

#[test]
fn a_hello_has_arrived_when_all_of_it_is_there() {
    for message in [message(&body(&sni(b"a.test"))), OPENSSL[5..].to_vec(), OPENSSL_12[5..].to_vec()] {
        for size in [1, 7, 100, 16_384] {
            let bytes = records(&message, size);
            for n in 0..bytes.len() {
                assert_eq!(arrival(&bytes[..n]), Arrival::More, "{n} of {}", bytes.len());
            }
            assert_eq!(arrival(&bytes), Arrival::Whole(message.len()));
            // what follows in the same flight does not matter
            let more = [&bytes[..], b"\x14\x03\x03\x00\x01\x01"].concat();
            assert_eq!(arrival(&more), Arrival::Whole(message.len()));
        }
    }
    let large = [&[1][..], &(HELLO_MAX as u32).to_be_bytes()[1..]].concat();
    for odd in [
        &b"GET"[..],
        b"\x15",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\x00\x02\x02",
    ] {
        assert_eq!(arrival(odd), Arrival::Odd, "{odd:x?}");
    }
    assert_eq!(arrival(&records(&large, 100)), Arrival::Odd);
}

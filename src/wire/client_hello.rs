//! The TLS ClientHello (RFC 8446 4.1.2): what a passthrough proxy may know without being the TLS server.
//!
//! Called on the first bytes of a connection (passthrough, inspection) and on the message that the TLS
//! library hands to its early callback. The message may be spread over several records (RFC 8446 5.1); then,
//! and only then, it is put together in the caller's scratch buffer, at most [`HELLO_MAX`] bytes.

use crate::error::{Malformed, Parse, What};
use crate::scan::Reader;

/// Largest ClientHello taken: post-quantum key shares and all, real ones stay below 4 KB.
pub const HELLO_MAX: usize = 32 * 1024;

/// Most extensions of one hello; real ones have about twenty.
const EXTENSIONS_MAX: usize = 128;

/// Largest record of plaintext (RFC 8446 5.1).
const RECORD_MAX: usize = 1 << 14;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extension types that have readers here.
pub mod extension {
    /// RFC 6066: the name asked for.
    pub const SERVER_NAME: u16 = 0;
    /// RFC 6066: OCSP stapling.
    pub const STATUS_REQUEST: u16 = 5;
    /// RFC 8446 4.2.7
    pub const SUPPORTED_GROUPS: u16 = 10;
    /// RFC 8422
    pub const EC_POINT_FORMATS: u16 = 11;
    /// RFC 8446 4.2.3
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    /// RFC 7301
    pub const ALPN: u16 = 16;
    /// RFC 6962 section 3.3.1
    pub const CERTIFICATE_TIMESTAMP: u16 = 18;
    /// RFC 5077
    pub const SESSION_TICKET: u16 = 35;
    /// RFC 8446 4.2.11
    pub const PRE_SHARED_KEY: u16 = 41;
    /// RFC 8446 4.2.10
    pub const EARLY_DATA: u16 = 42;
    /// RFC 8446 4.2.1
    pub const SUPPORTED_VERSIONS: u16 = 43;
    /// RFC 8446 4.2.8
    pub const KEY_SHARE: u16 = 51;
}

/// A ClientHello, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The version field, 0x0303 for TLS 1.2 and 1.3: see [`ClientHello::version`].
    pub legacy_version: u16,
    /// 32 bytes.
    pub random: &'a [u8],
    /// At most 32 bytes.
    pub session_id: &'a [u8],
    ciphers: &'a [u8],
    extensions: &'a [u8],
    sni: Option<&'a [u8]>,
}

/// Reads a ClientHello from the first bytes of a connection.
///
/// `scratch` is used only when the message spans records. `used` counts whole records.
pub fn parse<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Parse<ClientHello<'a>> {
    scratch.clear();
    let mut r = Reader::new(bytes);
    let first = match record(&mut r, 0) {
        Ok(Some(fragment)) => fragment,
        Ok(None) => return early(bytes),
        Err(why) => return Parse::Bad(why),
    };
    let mut total = match message_len(first) {
        Ok(total) => total,
        Err(what) => return Parse::Bad(Malformed::new(what, 5)),
    };
    if let Some(message) = total.and_then(|n| first.get(..n)) {
        return finish(message, bytes.len() - r.rest().len());
    }
    scratch.extend_from_slice(first);
    loop {
        let at = bytes.len() - r.rest().len();
        match record(&mut r, at) {
            Ok(Some(fragment)) => scratch.extend_from_slice(fragment),
            Ok(None) => return Parse::Need,
            Err(why) => return Parse::Bad(why),
        }
        total = match message_len(scratch) {
            Ok(total) => total,
            Err(what) => return Parse::Bad(Malformed::new(what, at)),
        };
        if total.is_some_and(|n| n <= scratch.len()) {
            break;
        }
    }
    let used = bytes.len() - r.rest().len();
    finish(scratch.get(..total.unwrap_or(0)).unwrap_or_default(), used)
}

/// How far a hello has come, without a look inside: for those who let a TLS library read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It may still become one.
    More,
    /// All of its records are there; the message has so many bytes.
    Whole(usize),
    /// It is none, or too long: whoever reads it will say what is wrong.
    Odd,
}

/// Looks at the first bytes of a connection.
pub fn arrival(bytes: &[u8]) -> Arrival {
    let (mut r, mut head, mut have) = (Reader::new(bytes), [0; 4], 0);
    loop {
        let before = r.rest();
        let Ok(whole) = record(&mut r, 0) else { return Arrival::Odd };
        let fragment = whole.unwrap_or(before.get(5..).unwrap_or_default());
        for (to, from) in head.iter_mut().skip(have).zip(fragment) {
            *to = *from;
        }
        have += fragment.len();
        let [kind, len @ ..] = head;
        let len = 4 + len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if have > 0 && kind != CLIENT_HELLO || have >= 4 && len > HELLO_MAX {
            return Arrival::Odd;
        }
        match whole {
            None => return Arrival::More,
            Some(_) if have >= 4 && have >= len => return Arrival::Whole(len),
            Some(_) => {}
        }
    }
}

fn finish(message: &[u8], used: usize) -> Parse<ClientHello<'_>> {
    match ClientHello::of_message(message) {
        Ok(hello) => Parse::Done(hello, used),
        Err(what) => Parse::Bad(Malformed::new(what, 5)),
    }
}

/// The payload of the next handshake record; `None` while it is not whole.
fn record<'a>(r: &mut Reader<'a>, at: usize) -> Result<Option<&'a [u8]>, Malformed> {
    let bad = |what, offset| Err(Malformed::new(what, at + offset));
    let Some(kind) = r.u8() else { return Ok(None) };
    if kind != HANDSHAKE {
        return bad(What::TlsRecordType, 0);
    }
    let Some(major) = r.u8() else { return Ok(None) };
    let minor = r.u8();
    if major != 3 || minor.is_some_and(|m| m > 4) {
        return bad(What::TlsRecordVersion, 1);
    }
    let Some(len) = r.u16().map(usize::from) else { return Ok(None) };
    if len == 0 || len > RECORD_MAX {
        return bad(What::TlsRecordLength, 3);
    }
    Ok(r.take(len))
}

/// Judges the beginning of a first record that is not whole: no hello is waited for that cannot come.
fn early(bytes: &[u8]) -> Parse<ClientHello<'_>> {
    match message_len(bytes.get(5..).unwrap_or_default()) {
        Ok(_) => Parse::Need,
        Err(what) => Parse::Bad(Malformed::new(what, 5)),
    }
}

/// Length of the handshake message with its header, once those four bytes are there.
fn message_len(fragment: &[u8]) -> Result<Option<usize>, What> {
    let mut r = Reader::new(fragment);
    match r.u8() {
        None => return Ok(None),
        Some(CLIENT_HELLO) => {}
        Some(_) => return Err(What::TlsNotHello),
    }
    match r.u24() {
        None => Ok(None),
        Some(len) if len as usize > HELLO_MAX - 4 => Err(What::TlsHelloTooLarge),
        Some(len) => Ok(Some(4 + len as usize)),
    }
}

impl<'a> ClientHello<'a> {
    /// Reads a whole handshake message: type, length, body.
    fn of_message(message: &'a [u8]) -> Result<ClientHello<'a>, What> {
        ClientHello::of_body(message.get(4..).unwrap_or_default())
    }

    /// Reads the body of the message, as TLS libraries hand it to their early callback.
    pub fn of_body(body: &'a [u8]) -> Result<ClientHello<'a>, What> {
        let mut r = Reader::new(body);
        let mut fields = || {
            let legacy_version = r.u16()?;
            let random = r.take(32)?;
            let session_id = r.vec8().filter(|id| id.len() <= 32)?;
            let ciphers = r.vec16().filter(|c| c.len() >= 2 && c.len() % 2 == 0)?;
            let _compression = r.vec8().filter(|c| !c.is_empty())?;
            // Hellos of old clients end here.
            let extensions = if r.is_empty() { &[][..] } else { r.vec16()? };
            let hello = ClientHello { legacy_version, random, session_id, ciphers, extensions, sni: None };
            r.is_empty().then_some(hello)
        };
        let mut hello = fields().filter(|h| h.legacy_version >> 8 == 3).ok_or(What::TlsHello)?;
        hello.check_extensions()?;
        hello.sni = match hello.extension(extension::SERVER_NAME) {
            Some(list) => Some(server_name(list).ok_or(What::TlsExtension)?),
            None => None,
        };
        if hello.extension(extension::ALPN).is_some_and(|list| !is_protocol_list(list)) {
            return Err(What::TlsExtension);
        }
        Ok(hello)
    }

    fn check_extensions(&self) -> Result<(), What> {
        let mut seen = [0u16; EXTENSIONS_MAX];
        let mut count = 0;
        let mut r = Reader::new(self.extensions);
        while !r.is_empty() {
            let (Some(kind), Some(_)) = (r.u16(), r.vec16()) else { return Err(What::TlsExtension) };
            if seen.iter().take(count).any(|k| *k == kind) {
                return Err(What::TlsExtension);
            }
            *seen.get_mut(count).ok_or(What::TlsExtension)? = kind;
            count += 1;
        }
        Ok(())
    }

    /// All extensions in order: type and content.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.extensions);
        std::iter::from_fn(move || Some((r.u16()?, r.vec16()?)))
    }

    /// The content of one extension.
    pub fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        self.extensions().find(|(k, _)| *k == kind).map(|(_, content)| content)
    }

    /// The host name asked for: never empty, without NUL, case as sent.
    pub fn sni(&self) -> Option<&'a [u8]> {
        self.sni
    }

    /// The application protocols offered, in the client's order.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.extension(extension::ALPN).and_then(|e| Reader::new(e).vec16());
        let mut r = Reader::new(list.unwrap_or_default());
        std::iter::from_fn(move || r.vec8())
    }

    /// The cipher suites offered, in the client's order, GREASE included.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + use<'a> {
        numbers(self.ciphers)
    }

    /// The cipher suites as bytes.
    pub fn cipher_bytes(&self) -> &'a [u8] {
        self.ciphers
    }

    /// The versions offered in the extension, in the client's order; none before TLS 1.3.
    pub fn versions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let list = self.extension(extension::SUPPORTED_VERSIONS).and_then(|e| Reader::new(e).vec8());
        numbers(list.unwrap_or_default())
    }

    /// The highest version offered: 0x0301 TLS 1.0 ... 0x0304 TLS 1.3.
    pub fn version(&self) -> u16 {
        self.versions().filter(|v| v >> 8 == 3).max().unwrap_or(self.legacy_version)
    }

    /// The key exchange groups offered.
    pub fn groups(&self) -> impl Iterator<Item = u16> + use<'a> {
        numbers(self.vec16_of(extension::SUPPORTED_GROUPS))
    }

    /// The signature schemes offered.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = u16> + use<'a> {
        numbers(self.vec16_of(extension::SIGNATURE_ALGORITHMS))
    }

    /// The groups a key share was sent for.
    pub fn key_share_groups(&self) -> impl Iterator<Item = u16> + use<'a> {
        let mut r = Reader::new(self.vec16_of(extension::KEY_SHARE));
        std::iter::from_fn(move || {
            let group = r.u16()?;
            r.vec16().map(|_| group)
        })
    }

    /// The formats of elliptic points, one byte each.
    pub fn point_formats(&self) -> &'a [u8] {
        self.extension(extension::EC_POINT_FORMATS).and_then(|e| Reader::new(e).vec8()).unwrap_or_default()
    }

    fn vec16_of(&self, kind: u16) -> &'a [u8] {
        self.extension(kind).and_then(|e| Reader::new(e).vec16()).unwrap_or_default()
    }
}

/// Whether a number is one of those sent only to keep servers tolerant (RFC 8701).
pub fn is_grease(n: u16) -> bool {
    n & 0x0f0f == 0x0a0a && n >> 8 == n & 0xff
}

fn numbers<'a>(bytes: &'a [u8]) -> impl Iterator<Item = u16> + use<'a> {
    let mut r = Reader::new(bytes);
    std::iter::from_fn(move || r.u16())
}

/// The one host name of a server name list. IP addresses are no host names, but clients send them.
fn server_name(extension: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader::new(extension);
    let list = outer.vec16().filter(|_| outer.is_empty())?;
    let mut r = Reader::new(list);
    // Only type 0 was ever defined, and no type may come twice (RFC 6066 3).
    let name = (r.u8()? == 0).then(|| r.vec16())??;
    let clean = !name.is_empty() && name.len() <= 255 && name.iter().all(|b| b.is_ascii_graphic());
    (clean && r.is_empty()).then_some(name)
}

fn is_protocol_list(extension: &[u8]) -> bool {
    let mut outer = Reader::new(extension);
    let Some(list) = outer.vec16().filter(|l| !l.is_empty() && outer.is_empty()) else { return false };
    let mut r = Reader::new(list);
    while !r.is_empty() {
        if r.vec8().is_none_or(|name| name.is_empty()) {
            return false;
        }
    }
    true
}

/// The type of the first handshake message, once six bytes are there: 1 ClientHello, 2 ServerHello.
pub fn hello_type(bytes: &[u8]) -> Parse<u8> {
    for (at, what) in [(0, What::TlsRecordType), (1, What::TlsRecordVersion)] {
        let want = if at == 0 { HANDSHAKE } else { 3 };
        match bytes.get(at) {
            None => return Parse::Need,
            Some(b) if *b != want => return Parse::Bad(Malformed::new(what, at)),
            Some(_) => {}
        }
    }
    bytes.get(5).map_or(Parse::Need, |kind| Parse::Done(*kind, 6))
}

/// Reads any bytes as a hello and walks all its lists. For fuzzing.
pub fn fuzz_client_hello(bytes: &[u8]) {
    let _ = hello_type(bytes);
    let _ = ClientHello::of_body(bytes);
    let mut scratch = Vec::new();
    let mut other = Vec::new();
    let whole = parse(bytes, &mut scratch);
    let arrived = arrival(bytes);
    assert!(
        !matches!((arrived, whole), (Arrival::More | Arrival::Odd, Parse::Done(..))),
        "a good hello is not known"
    );
    assert!(!matches!((arrived, whole), (Arrival::Whole(_), Parse::Need)), "a part of a hello is whole");
    for n in 0..bytes.len().min(4096) {
        if let Parse::Done(hello, used) = parse(bytes.get(..n).unwrap_or_default(), &mut other) {
            assert_eq!(whole, Parse::Done(hello, used), "a prefix gives another hello");
        }
    }
    let Parse::Done(hello, used) = whole else { return };
    assert!(used <= bytes.len());
    assert!(hello.sni().is_none_or(|n| !n.is_empty()));
    let counted = hello.ciphers().count()
        + hello.groups().count()
        + hello.versions().count()
        + hello.signature_algorithms().count()
        + hello.key_share_groups().count()
        + hello.alpn().count()
        + hello.point_formats().len()
        + hello.extensions().count();
    assert!(counted <= bytes.len());
}

#[cfg(test)]
mod tests;

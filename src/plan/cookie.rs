//! The persistence cookie of a backend (`cookie`), the dates it may carry, and values made from addresses.

use std::net::SocketAddr;

/// What the proxy does with the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CookieMode {
    /// It is only read: servers set it on their own, with the right value.
    #[default]
    Passive,
    /// `rewrite`: the server sets it, its value is replaced.
    Rewrite,
    /// `insert`: set here.
    Insert,
    /// `prefix`: the server sets it, its value is prefixed, and the prefix taken off again in requests.
    Prefix,
}

/// The `cookie` line of a backend.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Who sets it.
    pub mode: CookieMode,
    /// `indirect`: servers do not see it, and clients that have the right one are not told again.
    pub indirect: bool,
    /// `nocache`: answers that set it are kept out of caches.
    pub nocache: bool,
    /// `postonly`: only answers to POST set it.
    pub postonly: bool,
    /// `preserve`: what the server sets is left alone.
    pub preserve: bool,
    /// `maxidle`, seconds; 0: for ever.
    pub max_idle: u32,
    /// `maxlife`, seconds; 0: for ever.
    pub max_life: u32,
    /// `dynamic`: servers without a value of their own get one made from their address.
    pub dynamic: bool,
    /// `dynamic-cookie-key`.
    pub key: String,
    /// What follows the value where it is set here: path, `domain`, `HttpOnly`, `Secure`, `attr`.
    pub tail: String,
}

/// A condition under which persistence is forced or ignored.
pub struct PersistRule {
    /// `force-persist`: servers that are down are used all the same; else `ignore-persist`: cookies say nothing.
    pub force: bool,
    /// When.
    pub cond: crate::expr::acl::Cond,
}

/// Dates further in the future than this are not believed, seconds.
const AHEAD_MAX: u64 = 86_400;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes a date, in seconds since 1970: five base64 digits of its quarter.
pub fn write_date(seconds: u64, out: &mut Vec<u8>) {
    let units = (seconds >> 2) & 0x3fff_ffff;
    out.extend((0..5).rev().map(|nth| DIGITS[(units >> (nth * 6)) as usize & 63]));
}

/// Reads a date; `None`: there is none.
pub fn read_date(text: &[u8]) -> Option<u64> {
    let units = text.get(..5)?.iter().try_fold(0u64, |sum, byte| {
        let digit = DIGITS.iter().position(|known| known == byte)?;
        Some(sum << 6 | digit as u64)
    })?;
    (units > 0).then_some(units << 2)
}

/// Whether a date is too old to count, or too far ahead to be true; `max` 0: never.
pub fn is_over(date: Option<u64>, max: u32, now: u64) -> bool {
    match date {
        Some(date) if max > 0 => now > date + u64::from(max) || date > now + AHEAD_MAX,
        _ => false,
    }
}

impl Cookie {
    /// The value that stands for a server at this address (`dynamic`): a hash of key, address and port.
    pub fn made_from(&self, addr: SocketAddr) -> String {
        let mut bytes = self.key.clone().into_bytes();
        match addr.ip() {
            std::net::IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
            std::net::IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
        }
        bytes.extend_from_slice(&u32::from(addr.port()).to_be_bytes());
        format!("{:016x}", xxhash_rust::xxh64::xxh64(&bytes, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_five_digits() {
        let mut out = Vec::new();
        write_date(1_795_213_073 + 3, &mut out);
        assert_eq!(out, b"awDHF");
        assert_eq!(read_date(b"awDHF|more"), Some(1_795_213_076));
        for none in [&b""[..], b"awDH", b"aw!HF", b"AAAAA"] {
            assert_eq!(read_date(none), None, "{none:?}");
        }
        out.clear();
        write_date(u64::MAX, &mut out);
        assert_eq!(out, b"/////");
    }

    #[test]
    fn values_are_made_as_everywhere() {
        let cookie = Cookie { key: "secret".into(), ..Cookie::default() };
        assert_eq!(cookie.made_from("127.0.0.1:51839".parse().unwrap()), "2651ca987841cb71");
    }

    #[test]
    fn dates_grow_old() {
        let day = 86_400;
        for (date, max, now, over) in [
            (None, 10, 1000, false),
            (Some(1000), 0, 9_000_000, false),
            (Some(1000), 10, 1010, false),
            (Some(1000), 10, 1011, true),
            (Some(1000 + day), 10, 1000, false),
            (Some(1001 + day), 10, 1000, true),
        ] {
            assert_eq!(is_over(date, max, now), over, "{date:?} {max} {now}");
        }
    }
}

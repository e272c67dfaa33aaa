//! Byte classes of HTTP and URIs as one table of 256 bit sets.
//!
//! Called for every byte of a field name and a request target: one load and one test per byte.

/// RFC 9110 5.6.2 `tchar`: methods, field names, codings.
pub const TOKEN: u8 = 1;
/// Bytes of a request target: what is visible but `#`. RFC 3986 excludes `"<>\^{|}` and the grave accent as well, but
/// browsers send most of them as they are, and nothing is ended by them.
pub const URI: u8 = 2;
/// Bytes of a target that are let through when violations are accepted: all but controls, space, DEL.
pub const URI_LOOSE: u8 = 4;
/// RFC 9110 5.5 field content: HTAB, SP, VCHAR, obs-text. Reason phrases share it.
pub const FIELD: u8 = 8;
/// Decimal digits.
pub const DIGIT: u8 = 16;
/// Hexadecimal digits.
pub const HEX: u8 = 32;
/// RFC 3986 `reg-name` and IP literal bytes of a host, colon and brackets excluded.
pub const HOST: u8 = 64;
/// RFC 6265 4.1.1 `cookie-octet`.
pub const COOKIE: u8 = 128;

const TABLE: [u8; 256] = build();

const fn build() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0usize;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        let alnum = b.is_ascii_alphanumeric();
        if alnum || in_set(b, b"!#$%&'*+-.^_`|~") {
            class |= TOKEN;
        }
        if b > b' ' && b < 127 && b != b'#' {
            class |= URI;
        }
        if b > b' ' && b != 127 {
            class |= URI_LOOSE;
        }
        if b == b'\t' || (b >= b' ' && b != 127) {
            class |= FIELD;
        }
        if b.is_ascii_digit() {
            class |= DIGIT;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if alnum || in_set(b, b"-._~!$&'()*+,;=%") {
            class |= HOST;
        }
        if b == 0x21 || (b >= 0x23 && b <= 0x2b) || (b >= 0x2d && b <= 0x3a) || (b >= 0x3c && b <= 0x5b) {
            class |= COOKIE;
        }
        if b >= 0x5d && b <= 0x7e {
            class |= COOKIE;
        }
        set(&mut table, i, class);
        i += 1;
    }
    table
}

const fn in_set(b: u8, set: &[u8]) -> bool {
    let mut rest = set;
    while let Some((first, tail)) = rest.split_first() {
        if *first == b {
            return true;
        }
        rest = tail;
    }
    false
}

const fn set(table: &mut [u8; 256], at: usize, class: u8) {
    let (_, right) = table.split_at_mut(at);
    if let Some((cell, _)) = right.split_first_mut() {
        *cell = class;
    }
}

/// Whether `b` belongs to one of the classes in `set`.
#[inline(always)]
pub fn is(b: u8, set: u8) -> bool {
    class(b) & set != 0
}

#[inline(always)]
fn class(b: u8) -> u8 {
    // A byte is always a valid index; the compiler drops the check.
    TABLE.get(usize::from(b)).copied().unwrap_or(0)
}

/// Length of the prefix of `bytes` made only of bytes of the class `set`.
#[inline]
pub fn prefix(bytes: &[u8], set: u8) -> usize {
    bytes.iter().position(|&b| class(b) & set == 0).unwrap_or(bytes.len())
}

/// Whether `bytes` is not empty and made only of `class`.
#[inline]
pub fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is(b, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_grammar() {
        for b in 0..=255u8 {
            let token = b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            assert_eq!(is(b, TOKEN), token, "{b:#x}");
            assert_eq!(is(b, DIGIT), b.is_ascii_digit());
            assert_eq!(is(b, HEX), b.is_ascii_hexdigit());
            assert_eq!(is(b, FIELD), b == 9 || (b >= 32 && b != 127));
            assert_eq!(is(b, URI_LOOSE), b > 32 && b != 127);
            assert_eq!(is(b, URI), (33..127).contains(&b) && b != b'#', "{b:#x}");
            assert_eq!(is(b, COOKIE), b > 32 && b < 127 && !b"\",;\\".contains(&b), "{b:#x}");
            assert!(!is(b, HOST) || is(b, URI));
        }
    }

    #[test]
    fn prefix_and_all() {
        assert_eq!(prefix(b"abc def", TOKEN), 3);
        assert_eq!(prefix(b"", TOKEN), 0);
        assert!(all(b"0129", DIGIT));
        assert!(!all(b"", DIGIT));
        assert!(!all(b"12a", DIGIT));
    }
}

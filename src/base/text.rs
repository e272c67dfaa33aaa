//! Text for people and for tools: escaping for logs, JSON, HTML and CSV; sizes and times as words.

use std::fmt::{self, Write};

/// Appends `bytes` as a log field: control characters, non-ASCII bytes and those in `also` become `#XX`
/// (configuration manual 8.6).
pub fn log_escape(out: &mut Vec<u8>, bytes: &[u8], also: &[u8]) {
    for &byte in bytes {
        if (0x20..0x7f).contains(&byte) && !also.contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'#', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

/// What log fields escape besides the unprintable: the quote.
pub const LOG_PLAIN: &[u8] = b"\"#";

/// What captured headers escape in logs: the delimiters too.
pub const LOG_CAPTURE: &[u8] = b"\"#{|}";

/// The upper case hexadecimal digit of `nibble` (0..=15).
pub fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + (nibble & 15) - 10,
    }
}

/// Appends `bytes` as upper case hexadecimal digits.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]));
}

/// Appends `bytes` with everything unprintable as C escapes, as `show errors` prints input.
pub fn c_escape(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            0x1b => out.push_str("\\e"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02X}");
            }
        }
    }
}

/// Writes text as a quoted JSON string.
pub struct Json<'a>(pub &'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if (c as u32) < 0x20 || c == '\u{7f}' => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Writes text so that HTML shows it as it is, in elements and in quoted attributes.
pub struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Writes a CSV field: quoted only when it must be, quotes doubled (RFC 4180 section 2).
pub struct Csv<'a>(pub &'a str);

impl fmt::Display for Csv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains([',', '"', '\n', '\r']) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// Writes a number of bytes with a binary unit: `512`, `16k`, `1.5M`.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            n if n >= 1 << 30 => (1u64 << 30, "G"),
            n if n >= 1 << 20 => (1 << 20, "M"),
            n if n >= 1 << 10 => (1 << 10, "k"),
            n => return write!(f, "{n}"),
        };
        let tenths = (u128::from(self.0) * 10 / u128::from(unit)) as u64;
        match tenths % 10 {
            0 => write!(f, "{}{name}", tenths / 10),
            rest => write!(f, "{}.{rest}{name}", tenths / 10),
        }
    }
}

/// Writes seconds as `show info` does: `0d 0h00m04s`.
pub struct Uptime(pub u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        write!(f, "{}d {}h{:02}m{:02}s", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60)
    }
}

/// Writes milliseconds in the largest two units that matter: `250ms`, `1.5s`, `2m05s`, `3h00m`, `4d02h`.
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0 / 1000;
        match self.0 {
            ms if ms < 1000 => write!(f, "{ms}ms"),
            ms if ms < 60_000 && ms % 1000 >= 100 => write!(f, "{s}.{}s", ms % 1000 / 100),
            ms if ms < 60_000 => write!(f, "{s}s"),
            ms if ms < 3_600_000 => write!(f, "{}m{:02}s", s / 60, s % 60),
            ms if ms < 86_400_000 => write!(f, "{}h{:02}m", s / 3600, s / 60 % 60),
            _ => write!(f, "{}d{:02}h", s / 86400, s / 3600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let mut out = Vec::new();
        log_escape(&mut out, b"a\"b\x01\xe9{", LOG_PLAIN);
        assert_eq!(out, b"a#22b#01#E9{");
        out.clear();
        log_escape(&mut out, b"{|}", LOG_CAPTURE);
        assert_eq!(out, b"#7B#7C#7D");
        out.clear();
        hex(&mut out, &[0, 0xab, 0xff]);
        assert_eq!(out, b"00ABFF");
        let mut text = String::new();
        c_escape(&mut text, b"GET\t\\\r\n\x1b\x00\xff");
        assert_eq!(text, "GET\\t\\\\\\r\\n\\e\\x00\\xFF");
        assert_eq!(Json("a\"\\\n\u{1}é").to_string(), "\"a\\\"\\\\\\n\\u0001é\"");
        assert_eq!(Html("<a href='x'>&\"").to_string(), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!(Csv("plain").to_string(), "plain");
        assert_eq!(Csv("a,\"b\"").to_string(), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn sizes_and_times() {
        let sizes =
            [(0, "0"), (1023, "1023"), (16384, "16k"), (1536 << 10, "1.5M"), (u64::MAX, "17179869183.9G")];
        sizes.iter().for_each(|(n, text)| assert_eq!(Bytes(*n).to_string(), *text));
        assert_eq!(Uptime(4).to_string(), "0d 0h00m04s");
        assert_eq!(Uptime(90_061).to_string(), "1d 1h01m01s");
        let spans = [
            (0, "0ms"),
            (1500, "1.5s"),
            (1050, "1s"),
            (125_000, "2m05s"),
            (10_800_000, "3h00m"),
            (352_800_000, "4d02h"),
        ];
        spans.iter().for_each(|(n, text)| assert_eq!(Span(*n).to_string(), *text));
    }
}

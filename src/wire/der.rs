//! The Distinguished Encoding Rules of ASN.1 (X.690), as far as certificates and OCSP answers need them: tag, length,
//! contents. Read-only, borrowed, never recursive by itself.

/// Universal tags (X.690 8.1.2), with the bit that marks a constructed value.
pub mod tag {
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BITS: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTETS: u8 = 0x04;
    /// OBJECT IDENTIFIER.
    pub const OBJECT: u8 = 0x06;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// UTCTime.
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime.
    pub const TIME: u8 = 0x18;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;

    /// A context-specific tag with contents of its own, `[n]`.
    pub const fn context(n: u8) -> u8 {
        0xa0 | n
    }
}

/// Values one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Der<'a> {
    rest: &'a [u8],
}

impl<'a> Der<'a> {
    /// A reader of all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Der { rest: bytes }
    }

    /// True when everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next value.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value: tag, contents, and all its bytes. `None` when there is none, or it does not fit.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would hide that what is left may be rubbish"
    )]
    pub fn next(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (tag, after) = self.rest.split_first()?;
        // Tags of more than one byte are in no structure that is read here.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, after) = after.split_first()?;
        let (len, after) = match *first {
            short @ 0..=0x7f => (usize::from(short), after),
            0x81..=0x84 => {
                let (digits, after) = after.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0usize, |len, digit| len << 8 | usize::from(*digit)), after)
            }
            _ => return None,
        };
        let (contents, after) = after.split_at_checked(len)?;
        let whole = self.rest.get(..self.rest.len() - after.len())?;
        self.rest = after;
        Some((*tag, contents, whole))
    }

    /// The contents of the next value, which must have this tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, contents, _) = ahead.next()?;
        (found == tag).then(|| {
            *self = ahead;
            contents
        })
    }

    /// As [`Der::take`], as a reader of what is inside.
    pub fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der::new)
    }
}

/// GeneralizedTime as RFC 5280 4.1.2.5.2 has it, `YYYYMMDDHHMMSSZ`, in seconds since the epoch.
pub fn time(text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.len() == 14)?;
    let number = |from: usize, len: usize| {
        let part = digits.get(from..from + len)?;
        part.iter()
            .try_fold(0u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    crate::http::date::Civil {
        year: number(0, 4)?,
        month: number(4, 2)?,
        day: number(6, 2)?,
        hour: number(8, 2)?,
        minute: number(10, 2)?,
        second: number(12, 2)?,
        weekday: 0,
    }
    .unix_s()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut() {
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let rows: &[(&[u8], Option<(u8, usize, usize)>)] = &[
            (&[0x02, 0x01, 0x05, 0xff], Some((0x02, 1, 3))),
            (&[0x30, 0x00], Some((0x30, 0, 2))),
            (&long, Some((0x04, 256, 260))),
            (&[0x04, 0x81, 0x01, 0x00], Some((0x04, 1, 4))),
            (&[], None),
            (&[0x02], None),
            (&[0x02, 0x02, 0x00], None),
            (&[0x02, 0x80, 0x00, 0x00], None),
            (&[0x02, 0x85, 0, 0, 0, 0, 1, 0], None),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x1f, 0x01, 0x00], None),
        ];
        for (bytes, expected) in rows {
            let got = Der::new(bytes).next().map(|(tag, inside, whole)| (tag, inside.len(), whole.len()));
            assert_eq!(got, *expected, "{bytes:x?}");
        }
        let mut der = Der::new(&[0x02, 0x01, 0x05, 0x30, 0x02, 0x0a, 0x00]);
        assert_eq!(der.take(tag::OCTETS), None);
        assert_eq!(der.take(tag::INTEGER), Some(&[5][..]));
        let mut inside = der.enter(tag::SEQUENCE).unwrap();
        assert_eq!(inside.peek(), Some(tag::ENUMERATED));
        assert_eq!(inside.take(tag::ENUMERATED), Some(&[][..]));
        assert!(inside.is_empty() && der.is_empty());
    }

    #[test]
    fn times_are_read() {
        let rows: &[(&[u8], Option<u64>)] = &[
            (b"19700101000000Z", Some(0)),
            (b"20261121073000Z", Some(1_795_246_200)),
            (b"99991231235959Z", Some(253_402_300_799)),
            (b"20261121073000", None),
            (b"20261121073000.5Z", None),
            (b"20261321073000Z", None),
            (b"2026112107300xZ", None),
            (b"202611210730+0Z", None),
        ];
        for (text, expected) in rows {
            assert_eq!(time(text), *expected, "{}", text.escape_ascii());
        }
    }
}

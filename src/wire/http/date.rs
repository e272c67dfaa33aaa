//! HTTP dates (RFC 9110 5.6.7): written as IMF-fixdate, read in all three forms.
//!
//! Times are whole seconds since 1970-01-01 00:00:00 UTC, given by the caller: no clock here.

use crate::scan::Reader;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A broken-down UTC time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, 1970 or later.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59 (60 is read and counts as 59).
    pub second: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

impl Civil {
    /// Breaks down seconds since the epoch.
    pub fn of(unix_s: u64) -> Civil {
        let days = unix_s / 86_400;
        let rest = (unix_s % 86_400) as u32;
        // Days are counted from 0000-03-01 in eras of 400 years, so that a leap day ends its year.
        let z = days + 719_468;
        let era = z / 146_097;
        let day_of_era = z % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Civil {
            year: year as u32,
            month: month as u32,
            day: day as u32,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: ((days + 4) % 7) as u32,
        }
    }

    /// Seconds since the epoch; `None` for times before it or fields out of range.
    pub fn unix_s(&self) -> Option<u64> {
        let valid = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60;
        if !valid {
            return None;
        }
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let shifted = (u64::from(self.month) + 9) % 12;
        let day_of_year = (153 * shifted + 2) / 5 + u64::from(self.day) - 1;
        let era = year / 400;
        let year_of_era = year % 400;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
        let time = u64::from(self.hour) * 3600 + u64::from(self.minute) * 60 + u64::from(self.second.min(59));
        Some(days * 86_400 + time)
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: always 29 bytes up to the year 9999.
pub fn format(unix_s: u64) -> String {
    let c = Civil::of(unix_s);
    let weekday = DAYS.get(c.weekday as usize).unwrap_or(&"");
    let month = MONTHS.get(c.month.wrapping_sub(1) as usize).unwrap_or(&"");
    format!("{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", c.day, c.year, c.hour, c.minute, c.second)
}

/// Reads any of the three forms; the name of the day is not checked.
pub fn parse(text: &[u8]) -> Option<u64> {
    let comma = memchr::memchr(b',', text);
    let civil = match comma {
        Some(3) => fixdate(text.get(4..)?),
        Some(_) => rfc850(text.get(comma? + 1..)?),
        None => asctime(text),
    };
    civil?.unix_s()
}

fn fixdate(text: &[u8]) -> Option<Civil> {
    let mut r = Reader::new(text);
    skip(&mut r, b' ')?;
    let day = number(&mut r, 2)?;
    skip(&mut r, b' ')?;
    let month = month(&mut r)?;
    skip(&mut r, b' ')?;
    let year = number(&mut r, 4)?;
    skip(&mut r, b' ')?;
    let (hour, minute, second) = time(&mut r)?;
    (r.rest() == b" GMT").then_some(Civil { year, month, day, hour, minute, second, weekday: 0 })
}

fn rfc850(text: &[u8]) -> Option<Civil> {
    let mut r = Reader::new(text);
    skip(&mut r, b' ')?;
    let day = number(&mut r, 2)?;
    skip(&mut r, b'-')?;
    let month = month(&mut r)?;
    skip(&mut r, b'-')?;
    let short = number(&mut r, 2)?;
    let year = if short < 70 { 2000 + short } else { 1900 + short };
    skip(&mut r, b' ')?;
    let (hour, minute, second) = time(&mut r)?;
    (r.rest() == b" GMT").then_some(Civil { year, month, day, hour, minute, second, weekday: 0 })
}

fn asctime(text: &[u8]) -> Option<Civil> {
    let mut r = Reader::new(text);
    r.take(3)?;
    skip(&mut r, b' ')?;
    let month = month(&mut r)?;
    skip(&mut r, b' ')?;
    let day = match r.take(2)? {
        [b' ', d] if d.is_ascii_digit() => u32::from(d - b'0'),
        digits => digits_of(digits)?,
    };
    skip(&mut r, b' ')?;
    let (hour, minute, second) = time(&mut r)?;
    skip(&mut r, b' ')?;
    let year = number(&mut r, 4)?;
    r.is_empty().then_some(Civil { year, month, day, hour, minute, second, weekday: 0 })
}

fn time(r: &mut Reader<'_>) -> Option<(u32, u32, u32)> {
    let hour = number(r, 2)?;
    skip(r, b':')?;
    let minute = number(r, 2)?;
    skip(r, b':')?;
    Some((hour, minute, number(r, 2)?))
}

fn skip(r: &mut Reader<'_>, byte: u8) -> Option<()> {
    (r.u8()? == byte).then_some(())
}

fn number(r: &mut Reader<'_>, digits: usize) -> Option<u32> {
    digits_of(r.take(digits)?)
}

fn digits_of(text: &[u8]) -> Option<u32> {
    crate::scan::decimal(text).and_then(|n| u32::try_from(n).ok())
}

fn month(r: &mut Reader<'_>) -> Option<u32> {
    let name = r.take(3)?;
    let at = MONTHS.iter().position(|m| m.as_bytes() == name)?;
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_both_ways() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_795_213_073, "Fri, 20 Nov 2026 22:17:53 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(format(unix_s), text);
            assert_eq!(parse(text.as_bytes()), Some(unix_s), "{text}");
        }
    }

    #[test]
    fn obsolete_forms() {
        for text in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        assert_eq!(parse(b"Tuesday, 05-Nov-30 08:49:37 GMT").map(|s| Civil::of(s).year), Some(2030));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            ",",
            "Sun",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 2000 00:00:00 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 00 Nov 1994 00:00:00 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994 ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_round_trips() {
        for day in 0..73_000u64 {
            let civil = Civil::of(day * 86_400 + 12_345);
            assert_eq!(civil.unix_s(), Some(day * 86_400 + 12_345));
        }
    }
}

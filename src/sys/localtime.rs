//! The calendar of the machine's time zone.
//!
//! Why unsafe: only the C library knows the zone's rules, and `localtime_r` writes through a
//! pointer. Sound because the result is a local, fully initialised `tm` that the call only fills.

/// A moment in local time, with the distance to UTC that holds at that moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LocalTime {
    /// Full year, such as 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// 0 (Sunday) to 6.
    pub weekday: u8,
    /// Seconds east of UTC.
    pub offset: i32,
}

impl LocalTime {
    /// The local calendar at `unix` seconds after 1970. The zone is read once, at the first call of
    /// the process: make one before `chroot`.
    pub fn at(unix: i64) -> LocalTime {
        static ZONE: std::sync::Once = std::sync::Once::new();
        ZONE.call_once(|| {
            // SAFETY: tzset only reads the environment and the zone file; no thread of ours
            // changes the environment while it runs.
            unsafe { tzset() }
        });
        LocalTime::broken_down(unix, |at, tm| {
            // SAFETY: both pointers come from live references for the length of the call.
            unsafe { libc::localtime_r(at, tm) };
        })
    }

    /// The same in UTC.
    pub fn utc(unix: i64) -> LocalTime {
        LocalTime::broken_down(unix, |at, tm| {
            // SAFETY: both pointers come from live references for the length of the call.
            unsafe { libc::gmtime_r(at, tm) };
        })
    }

    fn broken_down(unix: i64, fill: impl FnOnce(&libc::time_t, &mut libc::tm)) -> LocalTime {
        // SAFETY: every field of `tm` is an integer or a pointer, for which zero is valid.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        fill(&(unix as libc::time_t), &mut tm);
        LocalTime {
            year: tm.tm_year.saturating_add(1900),
            month: (tm.tm_mon + 1) as u8,
            day: tm.tm_mday as u8,
            hour: tm.tm_hour as u8,
            minute: tm.tm_min as u8,
            second: tm.tm_sec as u8,
            weekday: tm.tm_wday as u8,
            offset: tm.tm_gmtoff as i32,
        }
    }

    /// English three-letter name of the month, as dates on the wire and in logs spell it.
    pub fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        NAMES.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("???")
    }

    /// Sign, hours and minutes of the distance to UTC.
    pub fn zone(&self) -> (char, u32, u32) {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs() / 60;
        (sign, minutes / 60, minutes % 60)
    }
}

extern "C" {
    fn tzset();
}

#[cfg(test)]
mod tests {
    use super::LocalTime;

    #[test]
    fn known_moments_in_utc() {
        let t = LocalTime::utc(1_795_213_073);
        assert_eq!((t.year, t.month, t.day), (2026, 11, 20));
        assert_eq!((t.hour, t.minute, t.second, t.weekday), (22, 17, 53, 5));
        assert_eq!(t.month_name(), "Nov");
        assert_eq!(LocalTime::utc(0).year, 1970);
    }

    #[test]
    fn local_is_utc_shifted_by_its_offset() {
        let at = 1_795_213_073;
        let local = LocalTime::at(at);
        let shifted = LocalTime { offset: local.offset, ..LocalTime::utc(at + i64::from(local.offset)) };
        assert_eq!(local, shifted);
    }

    #[test]
    fn zones_have_a_sign() {
        let zone = |offset| LocalTime { offset, ..LocalTime::default() }.zone();
        assert_eq!(zone(0), ('+', 0, 0));
        assert_eq!(zone(-12_600), ('-', 3, 30));
        assert_eq!(zone(20_700), ('+', 5, 45));
    }
}

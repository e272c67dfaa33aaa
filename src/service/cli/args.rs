//! Reading the arguments that several commands share.

use std::time::Duration;

/// A delay such as `10s`, `500ms` or `2`, the last one counted in `unit`.
pub fn delay(text: &str, unit: Duration) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros = match suffix {
        "" => unit.as_micros() as u64,
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

/// Days, hours, minutes and seconds as `show proc` writes them: `0d00h02m07s`.
pub fn uptime(up: Duration) -> String {
    let s = up.as_secs();
    format!("{}d{:02}h{:02}m{:02}s", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_units() {
        let second = Duration::from_secs(1);
        let rows = [
            ("10", Some(10_000_000)),
            ("10s", Some(10_000_000)),
            ("2ms", Some(2_000)),
            ("7us", Some(7)),
            ("1d", Some(86_400_000_000)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("9999999999999999h", None),
        ];
        for (text, micros) in rows {
            assert_eq!(delay(text, second), micros.map(Duration::from_micros), "{text:?}");
        }
        assert_eq!(delay("5", Duration::from_millis(1)), Some(Duration::from_millis(5)));
    }

    #[test]
    fn uptime_is_split() {
        assert_eq!(uptime(Duration::from_secs(127)), "0d00h02m07s");
        assert_eq!(uptime(Duration::from_secs(90_061)), "1d01h01m01s");
    }
}

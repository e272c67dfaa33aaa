//! Numbers as people read them, four or five characters wide: `83k7` requests, `4.265m` (milliseconds), `383.8u`.

/// A count: up to 9999 as it is, then with a letter in the place of the point.
pub fn count(value: u64) -> String {
    if value < 10_000 {
        return value.to_string();
    }
    let mut scaled = value;
    for letter in ["k", "M", "G", "T", "P", "E"] {
        let (whole, rest) = (scaled / 1000, scaled % 1000);
        if whole < 1000 {
            return match whole {
                100.. => format!("{whole}{letter}"),
                10.. => format!("{whole}{letter}{}", rest / 100),
                _ => format!("{whole}{letter}{:02}", rest / 10),
            };
        }
        scaled = whole;
    }
    value.to_string()
}

/// A time given in microseconds, four digits and a unit; `-` when there is none.
pub fn time(micros: Option<f64>) -> String {
    let Some(us) = micros else { return "-".into() };
    let (value, unit) = match us {
        us if us < 1000.0 => (us, "u"),
        us if us < 1e6 => (us / 1e3, "m"),
        us => (us / 1e6, "s"),
    };
    let decimals = match value {
        v if v < 9.9995 => 3,
        v if v < 99.995 => 2,
        _ => 1,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let table = [
            (0, "0"),
            (9999, "9999"),
            (10_000, "10k0"),
            (83_700, "83k7"),
            (837_000, "837k"),
            (1_234_567, "1M23"),
            (999_999_999, "999M"),
            (1_000_000_000, "1G00"),
            (u64::MAX, "18E4"),
        ];
        for (value, want) in table {
            assert_eq!(count(value), want);
        }
    }

    #[test]
    fn times() {
        let table = [
            (None, "-"),
            (Some(0.0), "0.000u"),
            (Some(383.8), "383.8u"),
            (Some(4265.0), "4.265m"),
            (Some(42_650.0), "42.65m"),
            (Some(2_500_000.0), "2.500s"),
        ];
        for (value, want) in table {
            assert_eq!(time(value), want);
        }
    }
}

//! Converters of dates: seconds since 1970 as text.

use lighterman_sys::localtime::LocalTime;

use super::Conv;
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{write_fmt, Sample, Scratch, Ty};
use crate::expr::view::Facts;

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("http_date", Ty::Int, Ty::Str, http_date, "a date as HTTP writes it")
        .args("http_date([<offset>[,<unit>]])", 0, &[Kind::Int, Kind::Choice(&["s", "ms", "us"])])
        .text("Value and offset are in the unit given; below seconds, the fraction is written as well."),
    Conv::new(
        "ltime",
        Ty::Int,
        Ty::Str,
        |s, a, _| written(s, a, LocalTime::at),
        "a date in local time, as a format says",
    )
    .args("ltime(<format>[,<offset>])", 1, FORMAT)
    .text("The format is that of strftime(3), in English. The offset is in seconds.")
    .example("http-request set-header X-Now %[date,ltime(%Y-%m-%dT%H:%M:%S%z)]"),
    Conv::new(
        "utime",
        Ty::Int,
        Ty::Str,
        |s, a, _| written(s, a, LocalTime::utc),
        "a date in UTC, as a format says",
    )
    .args("utime(<format>[,<offset>])", 1, FORMAT)
    .text("As \"ltime\", in UTC."),
];

const FORMAT: &[Kind] = &[Kind::Str, Kind::Int];

fn http_date<'a>(s: Sample<'a>, args: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Int(n) = s else { return None };
    let n = n.saturating_add(args.int(0, 0));
    let unit = match args.int(1, 0) {
        0 => 1,
        1 => 1000,
        _ => 1_000_000,
    };
    let (t, _) = calendar(n.div_euclid(unit), LocalTime::utc)?;
    let mut out = Scratch::new();
    write_fmt(&mut out, format_args!("{}, {:02} {} {:04} ", day(&t), t.day, t.month_name(), t.year));
    write_fmt(&mut out, format_args!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second));
    if unit > 1 {
        write_fmt(&mut out, format_args!(".{}", n.rem_euclid(unit)));
    }
    out.extend_from_slice(b" GMT");
    Some(Sample::Str(out.into()))
}

/// Years 0 to 9999 only: what formats can write.
fn calendar(unix: i64, zone: fn(i64) -> LocalTime) -> Option<(LocalTime, i64)> {
    (-62_167_132_800..253_402_214_400).contains(&unix).then(|| (zone(unix), unix))
}

fn written<'a>(s: Sample<'a>, args: &'a Args, zone: fn(i64) -> LocalTime) -> Option<Sample<'a>> {
    let Sample::Int(n) = s else { return None };
    let (t, unix) = calendar(n.saturating_add(args.int(1, 0)), zone)?;
    let mut out = Scratch::new();
    strftime(&mut out, args.str(0), &t, unix);
    Some(Sample::Str(out.into()))
}

fn day(t: &LocalTime) -> &'static str {
    DAYS.get(usize::from(t.weekday)).map_or("", |d| &d[..3])
}

/// The conversions of strftime(3) in the C locale. What is none stays as it is.
fn strftime(out: &mut Vec<u8>, format: &str, t: &LocalTime, unix: i64) {
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let mut which = chars.next().unwrap_or('%');
        if matches!(which, 'E' | 'O') {
            which = chars.next().unwrap_or('%');
        }
        if !names(out, which, t) && !numbers(out, which, t, unix) {
            write_fmt(out, format_args!("%{which}"));
        }
    }
}

/// Conversions into words and into other conversions.
fn names(out: &mut Vec<u8>, which: char, t: &LocalTime) -> bool {
    let month = MONTHS.get(usize::from(t.month).wrapping_sub(1)).copied().unwrap_or("");
    let weekday = DAYS.get(usize::from(t.weekday)).copied().unwrap_or("");
    let (sign, hours, minutes) = t.zone();
    match which {
        'a' => out.extend_from_slice(day(t).as_bytes()),
        'A' => out.extend_from_slice(weekday.as_bytes()),
        'b' | 'h' => out.extend_from_slice(t.month_name().as_bytes()),
        'B' => out.extend_from_slice(month.as_bytes()),
        'c' => strftime(out, "%a %b %e %H:%M:%S %Y", t, 0),
        'D' | 'x' => strftime(out, "%m/%d/%y", t, 0),
        'F' => strftime(out, "%Y-%m-%d", t, 0),
        'r' => strftime(out, "%I:%M:%S %p", t, 0),
        'R' => strftime(out, "%H:%M", t, 0),
        'T' | 'X' => strftime(out, "%H:%M:%S", t, 0),
        'p' => out.extend_from_slice(if t.hour < 12 { b"AM" } else { b"PM" }),
        'P' => out.extend_from_slice(if t.hour < 12 { b"am" } else { b"pm" }),
        'n' => out.push(b'\n'),
        't' => out.push(b'\t'),
        '%' => out.push(b'%'),
        'z' => write_fmt(out, format_args!("{sign}{hours:02}{minutes:02}")),
        'Z' if t.offset == 0 => out.extend_from_slice(b"GMT"),
        'Z' => write_fmt(out, format_args!("{sign}{hours:02}")),
        _ => return false,
    }
    true
}

fn numbers(out: &mut Vec<u8>, which: char, t: &LocalTime, unix: i64) -> bool {
    let in_year = day_of_year(t);
    let weekday = i32::from(t.weekday);
    let hour12 = (t.hour + 11) % 12 + 1;
    let (iso_year, iso_week) = iso_week(t.year, in_year, weekday);
    match which {
        'C' => write_fmt(out, format_args!("{:02}", t.year.div_euclid(100))),
        'd' => write_fmt(out, format_args!("{:02}", t.day)),
        'e' => write_fmt(out, format_args!("{:2}", t.day)),
        'g' => write_fmt(out, format_args!("{:02}", iso_year.rem_euclid(100))),
        'G' => write_fmt(out, format_args!("{iso_year}")),
        'H' => write_fmt(out, format_args!("{:02}", t.hour)),
        'I' => write_fmt(out, format_args!("{hour12:02}")),
        'j' => write_fmt(out, format_args!("{:03}", in_year + 1)),
        'k' => write_fmt(out, format_args!("{:2}", t.hour)),
        'l' => write_fmt(out, format_args!("{hour12:2}")),
        'm' => write_fmt(out, format_args!("{:02}", t.month)),
        'M' => write_fmt(out, format_args!("{:02}", t.minute)),
        's' => write_fmt(out, format_args!("{unix}")),
        'S' => write_fmt(out, format_args!("{:02}", t.second)),
        'u' => write_fmt(out, format_args!("{}", if weekday == 0 { 7 } else { weekday })),
        'U' => write_fmt(out, format_args!("{:02}", (in_year + 7 - weekday) / 7)),
        'V' => write_fmt(out, format_args!("{iso_week:02}")),
        'w' => write_fmt(out, format_args!("{weekday}")),
        'W' => write_fmt(out, format_args!("{:02}", (in_year + 7 - (weekday + 6) % 7) / 7)),
        'y' => write_fmt(out, format_args!("{:02}", t.year.rem_euclid(100))),
        'Y' => write_fmt(out, format_args!("{}", t.year)),
        _ => return false,
    }
    true
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// From 0.
fn day_of_year(t: &LocalTime) -> i32 {
    const BEFORE: [i32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let month = usize::from(t.month);
    let before = BEFORE.get(month.wrapping_sub(1)).copied().unwrap_or(0);
    before + i32::from(t.day) - 1 + i32::from(month > 2 && is_leap(t.year))
}

/// Week and its year by ISO 8601: weeks begin on Monday, the first one holds 4 January.
fn iso_week(year: i32, in_year: i32, weekday: i32) -> (i32, i32) {
    let week = (in_year - (weekday + 6) % 7 + 10) / 7;
    let weeks_in = |year: i32| {
        let last = |y: i32| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
        if last(year) == 4 || last(year - 1) == 3 {
            53
        } else {
            52
        }
    };
    match week {
        0 => (year - 1, weeks_in(year - 1)),
        53 if weeks_in(year) == 52 => (year + 1, 1),
        _ => (year, week),
    }
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn dates() {
        table(&[
            ("int(784111777),http_date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("int(784111777),http_date(60)", "Sun, 06 Nov 1994 08:50:37 GMT"),
            ("int(784111777000),http_date(0,ms)", "Sun, 06 Nov 1994 08:49:37.0 GMT"),
            ("int(784111777000000),http_date(5,us)", "Sun, 06 Nov 1994 08:49:37.5 GMT"),
            ("int(9223372036854775807),http_date", "-"),
            ("int(784111777),utime(%Y%m%d %H:%M:%S)", "19941106 08:49:37"),
            (
                "int(784111777),utime(%j %a %A %b %B %p %e %D %T %y)",
                "310 Sun Sunday Nov November AM  6 11/06/94 08:49:37 94",
            ),
            (
                "int(784111777),utime(%Z %z %s %u %w %% %F %R %I %l %k %C)",
                "GMT +0000 784111777 7 0 % 1994-11-06 08:49 08  8  8 19",
            ),
            (
                "int(784111777),utime(%G %V %g %U %W %h %c %q)",
                "1994 44 94 45 44 Nov Sun Nov  6 08:49:37 1994 %q",
            ),
            ("int(784111777),utime(%H:%M,3600)", "09:49"),
            ("int(1230768000),utime(%G-%V)", "2009-01"),
            ("int(1104537600),utime(%G-%V %j)", "2004-53 001"),
            ("int(1735603200),utime(%G-%V %j)", "2025-01 366"),
        ]);
    }
}

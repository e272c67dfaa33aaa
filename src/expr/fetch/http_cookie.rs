//! Fetches of cookies: the client's (`req.cook*`), the server's (`res.cook*`).

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::msg::cookie::{cookies, set_cookies};

const NAME: &[Kind] = &[Kind::Str];

macro_rules! rows {
    ($($p:literal $head:ident $needs:ident $walk:ident $whose:literal;)*) => {
        &[$(
            Fetch::new(concat!($p, ".cook"), Ty::Str, Needs::$needs, |f, a| text(one(f.$head.map($walk), a)), concat!("value of a cookie of the ", $whose))
                .args(concat!($p, ".cook([<name>])"), 0, NAME)
                .text("Of several with the same name, the last; in a condition, every one is looked at.")
                .each(|f, a, v| each(f.$head.map($walk), a, v)),
            Fetch::new(concat!($p, ".cook_cnt"), Ty::Int, Needs::$needs, |f, a| count(f.$head.map($walk), a), concat!("how many cookies of that name, or at all, the ", $whose, " has"))
                .args(concat!($p, ".cook_cnt([<name>])"), 0, NAME),
            Fetch::new(concat!($p, ".cook_names"), Ty::Str, Needs::$needs, |f, a| names(f.$head.map($walk), a), concat!("names of all cookies of the ", $whose))
                .args(concat!($p, ".cook_names([<delimiter>])"), 0, NAME),
            Fetch::new(concat!($p, ".cook_val"), Ty::Int, Needs::$needs, |f, a| number(one(f.$head.map($walk), a)), concat!("a cookie of the ", $whose, " as a number"))
                .args(concat!($p, ".cook_val([<name>])"), 0, NAME),
        )*]
    };
}

/// The rows of this family.
pub const ROWS: &[Fetch] = rows! {
    "req" req REQ cookies "request";
    "res" res RES set_cookies "response";
};

type Pair<'a> = (&'a [u8], &'a [u8]);

fn wanted(args: &Args, name: &[u8]) -> bool {
    args.str(0).is_empty() || args.str(0).as_bytes() == name
}

/// The last cookie of the name; without a name, the first of all.
fn one<'a>(mut pairs: Option<impl Iterator<Item = Pair<'a>>>, args: &'a Args) -> Option<&'a [u8]> {
    let pairs = pairs.as_mut()?;
    if args.str(0).is_empty() {
        return pairs.next().map(|(_, value)| value);
    }
    pairs.filter(|(name, _)| wanted(args, name)).last().map(|(_, value)| value)
}

fn each<'a>(
    pairs: Option<impl Iterator<Item = Pair<'a>>>,
    args: &'a Args,
    visit: &mut dyn FnMut(Sample<'a>) -> bool,
) {
    let mut values = pairs.into_iter().flatten().filter(|(name, _)| wanted(args, name));
    let _ = values.any(|(_, value)| visit(Sample::Str(Data::Ref(value))));
}

fn text<'a>(value: Option<&'a [u8]>) -> Got<'a> {
    value.map(|v| Sample::Str(Data::Ref(v))).into()
}

fn number<'a>(value: Option<&'a [u8]>) -> Got<'a> {
    value.and_then(cast::int_prefix).map(Sample::Int).into()
}

fn count<'a>(pairs: Option<impl Iterator<Item = Pair<'a>>>, args: &'a Args) -> Got<'a> {
    let pairs = pairs.into_iter().flatten();
    Got::Some(Sample::Int(pairs.filter(|(name, _)| wanted(args, name)).count() as i64))
}

fn names<'a>(pairs: Option<impl Iterator<Item = Pair<'a>>>, args: &'a Args) -> Got<'a> {
    let delimiter = args.str(0).bytes().next().unwrap_or(b',');
    let mut out = Scratch::new();
    let mut any = false;
    for (name, _) in pairs.into_iter().flatten() {
        if any {
            out.push(delimiter);
        }
        out.extend_from_slice(name);
        any = true;
    }
    any.then(|| Sample::Str(out.into())).into()
}

#[cfg(test)]
mod tests {
    use crate::expr::fetch::Point;
    use crate::expr::tests::{head, Bench};

    #[test]
    fn cookies_of_both_sides() {
        let mut bench = Bench::request("GET / HTTP/1.1\nCookie: s=1; t=\"q\"; n=42\nCookie: s=2");
        let table = [
            ("req.cook(s)", "2"),
            ("cook(t)", "\"q\""),
            ("req.cook(nope)", "-"),
            ("req.cook", "1"),
            ("req.cook_cnt(s)", "2"),
            ("req.cook_cnt", "4"),
            ("req.cook_val(n),add(1)", "43"),
            ("req.cook_names", "s,t,n,s"),
            ("req.cook_names(;)", "s;t;n;s"),
        ];
        for (text, expected) in table {
            assert_eq!(bench.text(text), expected, "{text}");
        }
        bench.res = Some(head("HTTP/1.1 200 OK\nSet-Cookie: a=1; path=/\nSet-Cookie: b=2"));
        bench.point = Point::Response;
        for (text, expected) in [("res.cook(b)", "2"), ("scook_cnt", "2"), ("res.cook_names", "a,b")] {
            assert_eq!(bench.text(text), expected, "{text}");
        }
    }
}

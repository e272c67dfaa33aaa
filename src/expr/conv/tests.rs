//! What converter tests share: tables of (expression, text of the result; `-` for none).

use crate::expr::args::Kind;
use crate::expr::sample::Ty;
use crate::expr::tests::Bench;

/// Compiles and evaluates each expression without any traffic.
pub fn table(rows: &[(&str, &str)]) {
    let mut bench = Bench::default();
    for (text, expected) in rows {
        assert_eq!(bench.text(text), *expected, "{text}");
    }
}

#[test]
fn rows_are_unique_and_say_what_they_do() {
    let mut seen = std::collections::HashSet::new();
    for row in super::all() {
        assert!(seen.insert(row.kw), "{} twice", row.kw);
        assert!(!row.doc.brief.is_empty() && row.doc.usage.starts_with(row.kw), "{}", row.kw);
        assert!(row.min <= row.args.len(), "{}", row.kw);
    }
}

/// No converter is without a row `("expression", "result")` in some table of the tests.
#[test]
fn every_converter_stands_in_a_table() {
    let mut rows = String::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["src/expr", "src/expr/conv", "src/expr/fetch", "src/expr/map", "tests/it"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let is_row =
                    |line: &&str| ["(\"", "(r"].iter().any(|begin| line.trim_start().starts_with(begin));
                text.lines().filter(is_row).for_each(|line| rows += line);
            }
        }
    }
    let stands = |kw: &str| ["(", ",", "\""].iter().any(|end| rows.contains(&format!(",{kw}{end}")));
    let missing: Vec<&str> = super::all().map(|row| row.kw).filter(|kw| !stands(kw)).collect();
    assert!(missing.is_empty(), "no table has {missing:?}");
}

/// What is wrong with an expression; empty when it compiles.
fn flaw(text: &str) -> String {
    Bench::default().text(text).strip_prefix("error: ").map_or(String::new(), str::to_owned)
}

/// A value to hand to a converter of this kind.
fn subject(ty: Ty) -> &'static str {
    match ty {
        Ty::Int => "int(1)",
        Ty::Bool => "bool(1)",
        Ty::Addr | Ty::Ip4 => "ipv4(10.0.0.1)",
        Ty::Ip6 => "ipv6(::1)",
        _ => "str(a)",
    }
}

/// Every converter refuses too many arguments, too few, and text where a number is due, each with a message
/// that names it.
#[test]
fn wrong_arguments_of_every_converter() {
    for row in super::all() {
        let (kw, from) = (row.kw, subject(row.from));
        let many = vec!["1"; row.args.len() + 1].join(",");
        let what = flaw(&format!("{from},{kw}({many})"));
        let counts = match row.args.len() {
            0 => format!("\"{kw}\" takes no argument"),
            1 => format!("\"{kw}\" takes at most 1 argument"),
            n => format!("\"{kw}\" takes at most {n} arguments"),
        };
        assert_eq!(what, counts);
        if row.min > 0 {
            let what = flaw(&format!("{from},{kw}"));
            assert!(
                what.starts_with(&format!("\"{kw}\" needs ")) && what.ends_with("as argument 1"),
                "{what}"
            );
        }
        for (at, kind) in row.args.iter().enumerate() {
            let wrong = match kind {
                Kind::Int => "an integer, found \"x y\"",
                Kind::VarOrInt => "an integer or a variable, found \"x y\"",
                Kind::Ip4 => "an IPv4 address, found \"x y\"",
                Kind::Mask4 => "an IPv4 mask, found \"x y\"",
                Kind::Choice(_) => "unknown word \"x y\"",
                _ => continue,
            };
            if row.args[..at].contains(&Kind::Table) {
                continue; // there is none here, which is told first
            }
            let count = row.min.max(at + 1);
            let args: Vec<&str> =
                (0..count).map(|n| if n == at { "x y" } else { good(row.args[n]) }).collect();
            let what = flaw(&format!("{from},{kw}({})", args.join(",")));
            let place = format!("argument {} of \"{kw}\": ", at + 1);
            assert!(what.starts_with(&place) && what.contains(wrong), "{kw}: {what}");
        }
    }
}

/// An argument that is right for its kind.
fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Mask4 => "8",
        Kind::Mask6 => "32",
        Kind::Ip4 => "10.0.0.1",
        Kind::Var => "txn.x",
        Kind::Choice(words) => words[0],
        _ => "1",
    }
}

#[test]
fn values_of_the_wrong_type() {
    let takes = |text, what: &str| assert_eq!(flaw(text), what, "{text}");
    takes("ipv6(::1),add(1)", "converter \"add\" takes integer, but what comes in is ipv6");
    takes("str(a),nope", "unknown converter \"nope\"");
    takes("str(a),jwt_verify(a,b)", "the converter \"jwt_verify\" is known, not supported yet");
    takes("lua.mine", "the sample fetch \"lua.mine\" is known, not supported yet");
    takes("str(a),", "expected a converter after the comma");
    takes("lower", "unknown sample fetch \"lower\"");
}

/// What HAProxy 2.6 answers to the same expressions.
const ANSWERS: &[(&str, &str)] = &[
        ("str(abc),base64", "YWJj"),
        ("str(YWJj),b64dec", "abc"),
        ("str(YWJj),ub64dec", "abc"),
        ("str(abc??>),ub64enc", "YWJjPz8-"),
        ("str(abc),hex", "616263"),
        ("str(abc),bytes(1)", "bc"),
        ("str(abc),bytes(1,1)", "b"),
        ("str(abc),bytes(0,9)", "abc"),
        ("str(abc),length", "3"),
        ("str(AbC),lower", "abc"),
        ("str(AbC),upper", "ABC"),
        ("str(a/b/c),field(2,/)", "b"),
        ("str(a/b/c),field(-1,/)", "c"),
        ("str(a/b/c),field(2,/,2)", "b/c"),
        ("str(a/b/c/d),field(-1,/,2)", "c/d"),
        ("str(a//b),word(2,/)", "b"),
        ("str(a/b/c),word(-1,/)", "c"),
        ("str(a/b/c/d),word(2,/,0)", "b/c/d"),
        ("str(a/b/c/d),word(2,/,2)", "b/c"),
        ("str(a/b/c/d),word(-2,/,2)", "b/c"),
        ("str(abc),field(1,x)", "abc"),
        ("str(abc),crc32", "891568578"),
        ("str(abc),crc32(1)", "930845320"),
        ("str(abc),crc32c", "910901175"),
        ("str(abc),djb2", "193485963"),
        ("str(abc),djb2(1)", "2235766107"),
        ("str(abc),sdbm", "807794786"),
        ("str(abc),sdbm(1)", "659243622"),
        ("str(abc),wt6", "2483038440"),
        ("str(abc),wt6(1)", "266135527"),
        ("str(abc),xxh32", "852579327"),
        ("str(abc),xxh32(5)", "1562728233"),
        ("str(abc),xxh64", "4952883123889572249"),
        ("str(abc),xxh64(7)", "-7028621457359472937"),
        ("str(abc),xxh3", "8696274497037089104"),
        ("str(abc),xxh3(9)", "1778861875469414733"),
        ("str(abc),sha1,hex", "A9993E364706816ABA3E25717850C26C9CD0D89D"),
        ("str(abc),sha2,hex", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("str(abc),sha2(384),hex", "CB00753F45A35E8BB5A03D699AC65007272C32AB0EDED1631A8B605A43FF5BED8086072BA1E7CC2358BAECA134C825A7"),
        ("str(abc),sha2(512),hex", "DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A2192992A274FC1A836BA3C23A3FEEBBD454D4423643CE80E2A9AC94FA54CA49F"),
        ("str(abc),sha2(224),hex", "23097D223405D8228642A477BDA255B32AADBCE4BDA0B3F7E36C9DA7"),
        ("str(abc),digest(sha256),hex", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("str(abc),digest(md5),hex", "900150983CD24FB0D6963F7D28E17F72"),
        ("str(abc),hmac(sha256,a2V5),hex", "9C196E32DC0175F86F4B1CB89289D6619DE6BEE699E4C378E68309ED97A1A6AB"),
        ("str(a),concat(b)", "ab"),
        ("int(7),add(3)", "10"),
        ("int(7),sub(10)", "-3"),
        ("int(7),mul(3)", "21"),
        ("int(7),div(2)", "3"),
        ("int(7),div(0)", "9223372036854775807"),
        ("int(7),mod(4)", "3"),
        ("int(7),mod(0)", "0"),
        ("int(7),neg", "-7"),
        ("int(7),cpl", "-8"),
        ("int(7),not", "0"),
        ("int(0),not", "1"),
        ("int(7),bool", "1"),
        ("int(7),even", "0"),
        ("int(7),odd", "1"),
        ("int(6),and(3)", "2"),
        ("int(6),or(1)", "7"),
        ("int(6),xor(3)", "5"),
        ("int(9223372036854775807),add(1)", "9223372036854775807"),
        ("int(-9223372036854775808),sub(1)", "-9223372036854775808"),
        ("int(9223372036854775807),mul(2)", "9223372036854775807"),
        ("int(65),hex", "0000000000000041"),
        ("int(7),be2dec(,2)", "0007"),
        ("bin(0102030405),be2dec(:,2)", "258:772:5"),
        ("bin(0102030405),be2dec(-,2,1)", "258-772"),
        ("bin(0102030405),be2hex(:,2)", "0102:0304:05"),
        ("bin(0102030405),be2hex(:,2,1)", "0102:0304"),
        ("str(ff),hex2i", "255"),
        ("ipv4(10.1.2.3),ipmask(8)", "10.0.0.0"),
        ("ipv4(10.1.2.3),ipmask(255.255.0.0)", "10.1.0.0"),
        ("ipv6(2001:db8::1),ipmask(24,32)", "2001:db8::"),
        ("str(10.1.2.3),ipmask(16)", "10.1.0.0"),
        ("str(a%20b+c),url_dec", "a b+c"),
        ("str(a%20b+c),url_dec(1)", "a b c"),
        ("str(/a b/c?d=e&f),url_enc", "%2Fa%20b%2Fc%3Fd%3De%26f"),
        ("str(/a b/c?d=e&f),url_enc(query)", "%2Fa%20b%2Fc%3Fd%3De%26f"),
        ("str(abcabc),regsub(b,X)", "aXcabc"),
        ("str(abcabc),regsub(b,X,g)", "aXcaXc"),
        ("str(ABC),regsub(b,X,i)", "AXC"),
        ("str(ABCabc),regsub(b,X,ig)", "AXCaXc"),
        ("str(foobar),regsub(o+,[\\\\0])", "f[oo]bar"),
        ("str(Www.Example.COM:8080),host_only", "www.example.com"),
        ("str(Www.Example.COM:8080),port_only", "8080"),
        ("str([::1]:80),host_only", "[::1]"),
        ("str([::1]:80),port_only", "80"),
        ("str(host),port_only", "0"),
        ("str(::1),host_only", ":"),
        ("str(a),iif(yes,no)", "no"),
        ("int(0),iif(yes,no)", "no"),
        ("bool(true),iif(yes,no)", "yes"),
        ("bool(false),iif(yes,no)", "no"),
        ("int(784111777),http_date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("int(784111777),http_date(1)", "Sun, 06 Nov 1994 08:49:38 GMT"),
        ("int(784111777123),http_date(0,ms)", "Sun, 06 Nov 1994 08:49:37.123 GMT"),
        ("str(abc),htonl,hex", "00000000"),
        ("int(258),htonl,hex", "00000102"),
        ("str(--a--),rtrim(-)", "--a"),
        ("str(--a--),ltrim(-)", "a--"),
        ("str(a),add_item(:,,!)", "a:!"),
        ("str(2.5),add(1)", "3"),
        ("str(5x),add(1)", "6"),
        ("str(true),bool", "0"),
        ("str(12),add(1)", "13"),
        ("int(5),length", "1"),
        ("ipv4(1.2.3.4),length", "7"),
        ("ipv4(1.2.3.4),hex", "01020304"),
        ("ipv6(::1),hex", "00000000000000000000000000000001"),
        ("ipv4(1.2.3.4),add(0)", "16909060"),
        ("bool(true)", "1"),
        ("int(5)", "5"),
        ("str(x)", "x"),
        ("bin(4142)", "AB"),
        ("ipv4(1.2.3.4)", "1.2.3.4"),
        ("ipv6(::1)", "::1"),
        ("str(abc),hmac(sha1,a2V5),base64", "T9CyFSdu8S8rPkyOysKBFJi2Vvw="),
        ("str(abc),sha1,base64", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        ("str(1.2.3.4),ipmask(24),concat(/24)", "1.2.3.0/24"),
        ("int(1),iif(a,b),upper", "A"),
        ("int(3),div(-2)", "-1"),
        ("int(-7),mod(4)", "-3"),
        ("int(-7),div(2)", "-3"),
        ("str(%41),url_dec,hex", "41"),
        ("str(a+b),url_dec(0)", "a+b"),
        ("str(x-y_z),url_enc", "x-y_z"),
        ("str(abc),length,add(1),hex", "0000000000000004"),
        ("int(-1),hex", "FFFFFFFFFFFFFFFF"),
    ];

#[test]
fn answers_of_haproxy() {
    table(ANSWERS);
}

#[test]
fn maps_of_every_kind() {
    table(&[
        ("str(b),map(words.map)", "two words"),
        ("str(b),map_str(words.map)", "two words"),
        ("str(c),map_str(words.map,none)", "none"),
        ("str(c),map_str(words.map)", "-"),
        ("str(b),map_str_int(numbers.map)", "2"),
        ("str(c),map_str_int(numbers.map,7),add(1)", "8"),
        ("str(b),map_str_ip(addresses.map)", "192.0.2.2"),
        ("str(abc),map_beg(words.map)", "one"),
        ("str(abc),map_beg_int(numbers.map)", "1"),
        ("str(abc),map_beg_ip(addresses.map)", "192.0.2.1"),
        ("str(cba),map_end(words.map)", "one"),
        ("str(cba),map_end_int(numbers.map)", "1"),
        ("str(cba),map_end_ip(addresses.map)", "192.0.2.1"),
        ("str(xbx),map_sub(words.map)", "two words"),
        ("str(xbx),map_sub_int(numbers.map)", "2"),
        ("str(xbx),map_sub_ip(addresses.map)", "192.0.2.2"),
        ("str(/x/b/y),map_dir(words.map)", "two words"),
        ("str(/x/b/y),map_dir_int(numbers.map)", "2"),
        ("str(/x/b/y),map_dir_ip(addresses.map)", "192.0.2.2"),
        ("str(www.b.test),map_dom(words.map)", "two words"),
        ("str(www.b.test),map_dom_int(numbers.map)", "2"),
        ("str(www.b.test),map_dom_ip(addresses.map)", "192.0.2.2"),
        ("str(user12),map_reg(regs.map)", "id-\\1-"),
        ("str(user12),map_regm(regs.map)", "id-12-"),
        ("str(xbx),map_reg_int(numbers.map)", "2"),
        ("str(xbx),map_reg_ip(addresses.map)", "192.0.2.2"),
        ("int(4),map_int(ints.map)", "few"),
        ("int(9),map_int(ints.map)", "-"),
        ("int(4),map_int_int(squares.map)", "16"),
        ("int(4),map_int_ip(quads.map)", "192.0.2.4"),
        ("ipv4(10.1.2.3),map_ip(nets.map)", "ten-one"),
        ("ipv4(10.1.2.3),map_ip_int(netnum.map)", "101"),
        ("ipv4(10.2.2.3),map_ip_int(netnum.map)", "10"),
        ("ipv4(10.1.2.3),map_ip_ip(netip.map)", "192.0.2.10"),
    ]);
}

#[test]
fn the_rest_of_the_answers() {
    table(&[
        ("str(a),debug", "a"),
        ("str(a),debug(here,stderr)", "a"),
        ("int(0),ltime(x)", "x"),
        ("str(a),capture-req(0)", "a"),
        ("str(a),capture-res(0)", "a"),
        ("int(0),x509_v_err_str", "X509_V_OK"),
        ("int(9999),x509_v_err_str", "9999"),
        ("int(10),x509_v_err_str", "X509_V_ERR_CERT_HAS_EXPIRED"),
    ]);
}

/// Converters of later versions, and values that are none.
#[test]
fn more_answers() {
    table(&[
        ("str(abc),reverse", "cba"),
        ("str(www.example.com),reverse_dom", "com.example.www"),
        ("str(a=1&b=2&a=3),param(a)", "1"),
        ("str(a=1&b=2),param(c)", "-"),
        ("bin(0102030405),le2dec(:,2)", "513:1027:5"),
        ("int(7),div(0)", "9223372036854775807"),
        ("str(zz),b64dec,hex", "-"),
        ("str(a),field(2,/)", "-"),
    ]);
}

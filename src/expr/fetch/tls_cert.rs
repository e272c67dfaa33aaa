//! Fetches of certificates: the client's (`ssl_c_*`), our own (`ssl_f_*`), the server's (`ssl_s_*`).

use lighterman_wire::der::{tag, Der};
use lighterman_wire::x509::dotted;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509NameRef, X509};

use super::{Fetch, Needs};
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::{Facts, TlsView};

type Pick = for<'a> fn(&Facts<'a>) -> Option<X509>;

macro_rules! certs {
    ($(($prefix:literal, $needs:ident, $pick:ident, $whose:literal)),*) => {
        &[$(
            Fetch::new(concat!($prefix, "der"), Ty::Bin, Needs::$needs, |f, _| bytes($pick(f).and_then(|c| c.to_der().ok())), concat!($whose, " certificate, DER")),
            Fetch::new(concat!($prefix, "i_dn"), Ty::Str, Needs::$needs, |f, a| $pick(f).map_or(Got::None, |c| name(c.issuer_name(), a)), concat!("issuer of ", $whose, " certificate"))
                .args(concat!($prefix, "i_dn([<entry>[,<occurrence>[,<format>]]])"), 0, &[Kind::Str, Kind::Int, FORMAT]).text(NAMES),
            Fetch::new(concat!($prefix, "s_dn"), Ty::Str, Needs::$needs, |f, a| $pick(f).map_or(Got::None, |c| name(c.subject_name(), a)), concat!("subject of ", $whose, " certificate"))
                .args(concat!($prefix, "s_dn([<entry>[,<occurrence>[,<format>]]])"), 0, &[Kind::Str, Kind::Int, FORMAT]).text(NAMES),
            Fetch::new(concat!($prefix, "key_alg"), Ty::Str, Needs::$needs, |f, _| words(key_alg($pick(f))), concat!("key algorithm of ", $whose, " certificate")),
            Fetch::new(concat!($prefix, "notafter"), Ty::Str, Needs::$needs, |f, _| text($pick(f).map(|c| date(&c.not_after().to_string()))), concat!("end of validity of ", $whose, " certificate, YYMMDDhhmmss[Z]")),
            Fetch::new(concat!($prefix, "notbefore"), Ty::Str, Needs::$needs, |f, _| text($pick(f).map(|c| date(&c.not_before().to_string()))), concat!("begin of validity of ", $whose, " certificate, YYMMDDhhmmss[Z]")),
            Fetch::new(concat!($prefix, "serial"), Ty::Bin, Needs::$needs, |f, _| bytes($pick(f).and_then(|c| c.serial_number().to_bn().ok()).map(|n| n.to_vec())), concat!("serial number of ", $whose, " certificate")),
            Fetch::new(concat!($prefix, "sha1"), Ty::Bin, Needs::$needs, |f, _| bytes($pick(f).and_then(|c| c.digest(MessageDigest::sha1()).ok()).map(|d| d.to_vec())), concat!("SHA-1 fingerprint of ", $whose, " certificate")),
            Fetch::new(concat!($prefix, "sig_alg"), Ty::Str, Needs::$needs, |f, _| words($pick(f).and_then(|c| c.signature_algorithm().object().nid().short_name().ok())), concat!("signature algorithm of ", $whose, " certificate")),
            Fetch::new(concat!($prefix, "version"), Ty::Int, Needs::$needs, |f, _| $pick(f).and_then(|c| c.to_der().ok()).map_or(Got::None, |der| Got::Some(Sample::Int(version(&der)))), concat!("X.509 version of ", $whose, " certificate")),
        )*
            Fetch::new("ssl_c_chain_der", Ty::Bin, Needs::SESS, |f, _| bytes(f.tls.and_then(TlsView::peer_chain)), "the client's chain as it was sent, DER certificates one after the other"),
            Fetch::new("ssl_s_chain_der", Ty::Bin, Needs::BACK, |f, _| bytes(f.back_tls.and_then(TlsView::peer_chain)), "the server's chain as it was sent, DER certificates one after the other"),
            Fetch::new("ssl_c_policies", Ty::Str, Needs::SESS, |f, _| text(client(f).and_then(|c| c.to_der().ok()).and_then(|der| policies(&der))), "policies of the client's certificate, object identifiers with commas between"),
            Fetch::new("ssl_c_r_dn", Ty::Str, Needs::SESS, |f, a| f.tls.and_then(TlsView::peer_root).map_or(Got::None, |root| name(&root, a)), "name of the authority at the root of the client's chain")
                .args("ssl_c_r_dn([<entry>[,<occurrence>[,<format>]]])", 0, &[Kind::Str, Kind::Int, FORMAT]).text(NAMES),
            Fetch::new("ssl_c_used", Ty::Bool, Needs::SESS, |f, _| Got::Some(Sample::Bool(client(f).is_some())), "the client's session goes back to a certificate"),
            Fetch::new("ssl_c_verify", Ty::Int, Needs::SESS, |f, _| f.tls.map_or(Got::None, |t| Got::Some(Sample::Int(t.verify_result()))), "what the check of the client's certificate came to, 0: fine"),
            Fetch::new("ssl_c_err", Ty::Int, Needs::SESS, |f, _| f.tls.map_or(Got::None, |t| Got::Some(Sample::Int(t.verify().0))), "error of the client's own certificate, 0: none"),
            Fetch::new("ssl_c_ca_err", Ty::Int, Needs::SESS, |f, _| f.tls.map_or(Got::None, |t| Got::Some(Sample::Int(t.verify().1))), "error of an authority of the client, 0: none"),
            Fetch::new("ssl_c_ca_err_depth", Ty::Int, Needs::SESS, |f, _| f.tls.map_or(Got::None, |t| Got::Some(Sample::Int(t.verify().2))), "depth of the error of an authority"),
        ]
    };
}

/// The rows of this family.
pub const ROWS: &[Fetch] = certs!(
    ("ssl_c_", SESS, client, "the client's"),
    ("ssl_f_", SESS, own, "our own"),
    ("ssl_s_", BACK, server, "the server's")
);

const _: [Pick; 3] = [client, own, server];

fn client(facts: &Facts<'_>) -> Option<X509> {
    facts.tls?.peer_cert()
}

fn own(facts: &Facts<'_>) -> Option<X509> {
    facts.tls.and_then(TlsView::own_cert)
}

fn server(facts: &Facts<'_>) -> Option<X509> {
    facts.back_tls?.peer_cert()
}

fn bytes<'a>(bytes: Option<Vec<u8>>) -> Got<'a> {
    bytes.map_or(Got::None, |b| Got::Some(Sample::Bin(Data::Own(Scratch::of(&b)))))
}

fn text<'a>(text: Option<String>) -> Got<'a> {
    text.map_or(Got::None, |t| Got::Some(Sample::Str(Data::Own(Scratch::of(t.as_bytes())))))
}

fn words<'a>(text: Option<&'static str>) -> Got<'a> {
    text.map_or(Got::None, |t| Got::Some(Sample::text(t)))
}

/// The version field, tagged 0 and one byte long, in front of all else; without one it is 1 (RFC 5280 section 4.1.2.1).
fn version(der: &[u8]) -> i64 {
    match inside(der).and_then(inside) {
        Some([0xa0, 3, 2, 1, number, ..]) => i64::from(*number) + 1,
        _ => 1,
    }
}

/// The content of a sequence, and what follows it.
fn inside(der: &[u8]) -> Option<&[u8]> {
    let long = der.get(1).filter(|n| **n >= 0x80)?;
    der.get(2 + usize::from(long & 0x7f)..)
}

fn key_alg(cert: Option<X509>) -> Option<&'static str> {
    let key = cert?.public_key().ok()?;
    let nid = match key.id().as_raw() {
        id if id == Nid::RSAENCRYPTION.as_raw() => Nid::RSAENCRYPTION,
        id => Nid::from_raw(id),
    };
    nid.short_name().ok()
}

/// The format of names: ours, or that of RFC 2253.
const FORMAT: Kind = Kind::Choice(&["", "rfc2253"]);
const NAMES: &str = "All of it, as /C=FR/O=Example/CN=www, or the value of one entry: the first, the one of this number, or with a \
                     negative number counted from the end. With \"rfc2253\" as third argument: CN=www,O=Example,C=FR.";

/// The certificate policies extension (RFC 5280 section 4.2.1.4), dotted.
fn policies(der: &[u8]) -> Option<String> {
    let mut parts = Der::new(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
    while let Some((kind, contents, _)) = parts.next() {
        if kind != tag::context(3) {
            continue;
        }
        let mut extensions = Der::new(contents).enter(tag::SEQUENCE)?;
        while let Some(mut extension) = extensions.enter(tag::SEQUENCE) {
            if extension.take(tag::OBJECT)? != CERTIFICATE_POLICIES {
                continue;
            }
            // whether it is critical may stand in between
            while extension.peek()? != tag::OCTETS {
                extension.next()?;
            }
            let mut list = extension.enter(tag::OCTETS)?.enter(tag::SEQUENCE)?;
            let ids = std::iter::from_fn(|| list.enter(tag::SEQUENCE)?.take(tag::OBJECT).and_then(dotted));
            return Some(ids.collect::<Vec<_>>().join(","));
        }
    }
    None
}

/// 2.5.29.32
const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];

/// A name as RFC 2253 writes it: the last entry first, with what would be misread after a backslash.
fn rfc2253(name: &X509NameRef) -> String {
    let entry = |e: &openssl::x509::X509NameEntryRef| {
        let value = e.data().to_string().unwrap_or_default();
        let mut out = format!("{}=", e.object().nid().short_name().unwrap_or("UNDEF"));
        let last = value.chars().count().saturating_sub(1);
        for (at, c) in value.chars().enumerate() {
            let edge = (at == 0 && (c == '#' || c == ' ')) || (at == last && c == ' ');
            if edge || ",+\"\\<>;".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let mut entries: Vec<String> = name.entries().map(entry).collect();
    entries.reverse();
    entries.join(",")
}

/// A distinguished name: all of it as `/C=FR/O=...`, or one entry of it.
fn name<'a>(name: &X509NameRef, args: &'a Args) -> Got<'a> {
    let wanted = args.str(0);
    let short =
        |e: &openssl::x509::X509NameEntryRef| e.object().nid().short_name().unwrap_or("UNDEF").to_owned();
    if wanted.is_empty() && args.int(2, 0) == 1 {
        return text(Some(rfc2253(name)));
    }
    if wanted.is_empty() {
        let mut all = String::new();
        for entry in name.entries() {
            let value = entry.data().to_string().unwrap_or_default();
            all.push_str(&format!("/{}={value}", short(entry)));
        }
        return text(Some(all));
    }
    let values: Vec<String> = name
        .entries()
        .filter(|e| short(e) == wanted)
        .map(|e| e.data().to_string().unwrap_or_default())
        .collect();
    let at = match args.int(1, 1) {
        n if n > 0 => n as usize - 1,
        n => match values.len().checked_sub(n.unsigned_abs() as usize) {
            Some(at) if n < 0 => at,
            _ => return Got::None,
        },
    };
    text(values.into_iter().nth(at))
}

/// `Nov 21 03:04:05 2026 GMT` as `261121030405Z`.
fn date(printed: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = printed.split_whitespace().collect();
    let [month, day, time, year, ..] = parts[..] else { return printed.to_owned() };
    let month = MONTHS.iter().position(|m| *m == month).map_or(0, |m| m + 1);
    let day: u32 = day.parse().unwrap_or(0);
    format!("{}{month:02}{day:02}{}Z", year.get(2..).unwrap_or(year), time.replace(':', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&[tag, body.len() as u8][..], &body].concat()
    }

    fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
        let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        der(tag::SEQUENCE, &[&der(tag::OBJECT, &[oid]), flag, &der(tag::OCTETS, &[value])])
    }

    #[test]
    fn policies_are_listed() {
        // 2.23.140.1.2.1 with a qualifier, 1.3.6.1.4.1
        let first = der(
            tag::SEQUENCE,
            &[&der(tag::OBJECT, &[&[0x67, 0x81, 0x0c, 1, 2, 1]]), &der(tag::SEQUENCE, &[])],
        );
        let second = der(tag::SEQUENCE, &[&der(tag::OBJECT, &[&[0x2b, 6, 1, 4, 1]])]);
        let list = der(tag::SEQUENCE, &[&first, &second]);
        let other = extension(&[0x55, 0x1d, 0x0f], true, &[3, 2, 5, 0xa0]);
        for critical in [false, true] {
            let own = extension(CERTIFICATE_POLICIES, critical, &list);
            let all = der(tag::context(3), &[&der(tag::SEQUENCE, &[&other, &own])]);
            let cert = der(tag::SEQUENCE, &[&der(tag::SEQUENCE, &[&der(tag::INTEGER, &[&[1]]), &all])]);
            assert_eq!(policies(&cert).as_deref(), Some("2.23.140.1.2.1,1.3.6.1.4.1"));
            let without = der(tag::context(3), &[&der(tag::SEQUENCE, &[&other])]);
            let cert = der(tag::SEQUENCE, &[&der(tag::SEQUENCE, &[&without])]);
            assert_eq!(policies(&cert), None);
            assert_eq!(policies(cert.get(..cert.len() - 3).unwrap()), None);
        }
    }

    #[test]
    fn names_by_rfc_2253() {
        let mut name = openssl::x509::X509NameBuilder::new().unwrap();
        for (entry, value) in [("C", "FR"), ("O", "a, \"b\"+c"), ("CN", "#x ")] {
            name.append_entry_by_text(entry, value).unwrap();
        }
        assert_eq!(rfc2253(&name.build()), "CN=\\#x\\ ,O=a\\, \\\"b\\\"\\+c,C=FR");
    }
}

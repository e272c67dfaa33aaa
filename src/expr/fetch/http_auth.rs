//! Fetches of the credentials in a request.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::{Fetch, Needs};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::Facts;
use crate::msg::Head;

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "http_auth",
        Ty::Bool,
        Needs::REQ,
        |f, a| Got::Some(Sample::Bool(groups(f, a).is_some())),
        "a user list knows the client's name and password",
    )
    .args("http_auth(<userlist>)", 1, &[Kind::Userlist])
    .text("Only the Basic scheme is looked at."),
    Fetch::new("http_auth_bearer", Ty::Str, Needs::REQ, bearer, "the token of the Bearer scheme").args(
        "http_auth_bearer([<field>])",
        0,
        &[Kind::Str],
    ),
    Fetch::new(
        "http_auth_group",
        Ty::Str,
        Needs::REQ,
        |f, a| groups(f, a).and_then(|g| g.first()).map(|g| Sample::text(&**g)).into(),
        "groups of the client's user, when the password is right",
    )
    .args("http_auth_group(<userlist>)", 1, &[Kind::Userlist])
    .each(|f, a, v| {
        let _ = groups(f, a).unwrap_or_default().iter().any(|g| v(Sample::text(&**g)));
    }),
    Fetch::new("http_auth_pass", Ty::Str, Needs::REQ, |f, _| basic(f, 1), "the password the client sent"),
    Fetch::new(
        "http_auth_type",
        Ty::Str,
        Needs::REQ,
        |f, _| f.req.and_then(credentials).map(|(scheme, _)| Sample::text(scheme)).into(),
        "the scheme of the client's credentials",
    ),
    Fetch::new("http_auth_user", Ty::Str, Needs::REQ, |f, _| basic(f, 0), "the user name the client sent"),
];

/// Scheme and what follows it.
fn credentials(head: &Head) -> Option<(&[u8], &[u8])> {
    split(head.first(b"authorization")?)
}

fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', value)?;
    Some((&value[..at], value[at..].trim_ascii_start()))
}

/// Name and password, parted by the first colon.
fn name_and_password(facts: &Facts<'_>) -> Option<(Scratch, usize)> {
    let (scheme, rest) = credentials(facts.req?)?;
    if !scheme.eq_ignore_ascii_case(b"basic") || rest.len() > CREDENTIALS_MAX {
        return None;
    }
    let mut out = Scratch::new();
    STANDARD.decode_vec(rest, &mut out).ok()?;
    let colon = memchr::memchr(b':', &out)?;
    Some((out, colon))
}

fn basic<'a>(facts: &Facts<'a>, which: usize) -> Got<'a> {
    let Some((both, colon)) = name_and_password(facts) else { return Got::None };
    let len = both.len();
    let data = Data::Own(both);
    Got::Some(Sample::Str(if which == 0 { data.part(0, colon) } else { data.part(colon + 1, len) }))
}

/// The groups of the user when name and password fit.
fn groups<'a>(facts: &Facts<'a>, args: &'a Args) -> Option<&'a [Box<str>]> {
    let Arg::Userlist(list) = args.get(0) else { return None };
    let (both, colon) = name_and_password(facts)?;
    facts.world.user(*list, &both[..colon], &both[colon + 1..])
}

fn bearer<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let Some(head) = facts.req else { return Got::None };
    let found = match args.str(0).as_bytes() {
        [] => credentials(head),
        name => head.first(name).and_then(split),
    };
    let token = found.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer"));
    token.map(|(_, token)| Sample::text(token)).into()
}

/// Bytes of encoded credentials that are looked at.
const CREDENTIALS_MAX: usize = 4096;

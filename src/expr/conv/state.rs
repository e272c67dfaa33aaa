//! Converters that use or change what lies beside the value: variables, captures, proxies, servers.

use lighterman_sys::tls::verify_errors;

use super::Conv;
use crate::expr::args::{Args, Kind};
use crate::expr::cast;
use crate::expr::sample::{Sample, Ty};
use crate::expr::vars::{Effect, Scope};
use crate::expr::view::{Facts, ProxyCount, ServerCount};

/// The rows of this family.
pub const ROWS: &[Conv] = &[
    Conv::new("capture-req", Ty::Str, Ty::Same, |s, a, f| capture(s, a, f, Effect::CaptureReq), "keeps the text in a request capture slot").args("capture-req(<slot>)", 1, &[Kind::Int]),
    Conv::new("capture-res", Ty::Str, Ty::Same, |s, a, f| capture(s, a, f, Effect::CaptureRes), "keeps the text in a response capture slot").args("capture-res(<slot>)", 1, &[Kind::Int]),
    Conv::new("debug", Ty::Any, Ty::Same, |s, _, _| Some(s), "hands the value on; accepted so that files with it load").args("debug([<prefix>[,<destination>]])", 0, &[Kind::Str, Kind::Str]),
    Conv::new("nbsrv", Ty::Str, Ty::Int, nbsrv, "servers in service of the backend the text names"),
    Conv::new("secure_memcmp", Ty::Bin, Ty::Bool, secure_memcmp, "whether a variable holds the same bytes, told in constant time").args("secure_memcmp(<var>)", 1, &[Kind::Var]),
    Conv::new("set-var", Ty::Any, Ty::Same, set_var, "keeps the value in a variable")
        .args("set-var(<scope.name>[,<condition>]...)", 1, &[Kind::Var, WHEN, WHEN, WHEN, WHEN])
        .text("Conditions must all hold: ifexists, ifnotexists, ifset, ifnotset look at the variable, ifempty and ifnotempty at the value, ifgt and iflt compare the variable with the value."),
    Conv::new("srv_queue", Ty::Str, Ty::Int, srv_queue, "requests waiting for the server the text names"),
    Conv::new("strcmp", Ty::Str, Ty::Int, strcmp, "0 when a variable holds the same text, else below or above 0").args("strcmp(<var>)", 1, &[Kind::Var]),
    Conv::new("unset-var", Ty::Any, Ty::Same, unset_var, "forgets a variable").args("unset-var(<scope.name>)", 1, &[Kind::Var]),
    Conv::new("x509_v_err_str", Ty::Int, Ty::Str, verify_error, "the name of an error of certificate verification, or its number"),
];

const WHEN: Kind =
    Kind::Choice(&["ifexists", "ifnotexists", "ifempty", "ifnotempty", "ifset", "ifnotset", "ifgt", "iflt"]);

fn capture<'a>(
    s: Sample<'a>,
    args: &'a Args,
    facts: &Facts<'a>,
    how: fn(u32, Box<[u8]>) -> Effect,
) -> Option<Sample<'a>> {
    let slot = u32::try_from(args.int(0, 0)).ok()?;
    facts.effects.push(how(slot, s.as_bytes()?.into()));
    Some(s)
}

fn nbsrv<'a>(s: Sample<'a>, _: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let id = facts.world.find_backend(s.as_bytes()?)?;
    Some(Sample::Int(facts.world.proxy_count(id, ProxyCount::ServersUp)))
}

fn srv_queue<'a>(s: Sample<'a>, _: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let text = s.as_bytes()?;
    let (backend, name) = match memchr::memchr(b'/', text) {
        Some(at) => (facts.world.find_backend(&text[..at])?, &text[at + 1..]),
        None => (facts.proxy(), text),
    };
    let id = facts.world.find_server(backend, name)?;
    Some(Sample::Int(facts.world.server_count(id, ServerCount::Queue)))
}

fn secure_memcmp<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let other = cast::cast(facts.var(args.var(0)?)?, Ty::Bin)?;
    let (a, b) = (s.as_bytes()?, other.as_bytes()?);
    Some(Sample::Bool(a.len() == b.len() && openssl::memcmp::eq(a, b)))
}

fn strcmp<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let other = cast::cast(facts.var(args.var(0)?)?, Ty::Str)?;
    let (a, b) = (s.as_bytes()?, other.as_bytes()?);
    let differs = a.iter().zip(b).map(|(x, y)| i64::from(*x) - i64::from(*y)).find(|d| *d != 0);
    Some(Sample::Int(differs.unwrap_or((a.len() as i64 - b.len() as i64).signum())))
}

fn set_var<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    let var = args.var(0)?;
    let before = if (1..5).any(|at| args.has(at)) { facts.var(var) } else { None };
    let holds = |at: usize| {
        if !args.has(at) {
            return true;
        }
        let order = match (&before, &s) {
            (Some(Sample::Int(old)), Sample::Int(new)) => Some(old.cmp(new)),
            _ => None,
        };
        let empty = s.as_bytes().is_some_and(<[u8]>::is_empty);
        // a variable of the process exists from the start
        let exists = before.is_some() || var.scope == Scope::Proc;
        match args.int(at, 0) {
            0 => exists,
            1 => !exists,
            2 => empty,
            3 => !empty,
            4 => before.is_some(),
            5 => before.is_none(),
            6 => order.is_none_or(|o| o.is_gt()),
            _ => order.is_none_or(|o| o.is_lt()),
        }
    };
    if (1..5).all(holds) {
        facts.effects.push(Effect::Set(var, s.to_value()));
    }
    Some(s)
}

fn unset_var<'a>(s: Sample<'a>, args: &'a Args, facts: &Facts<'a>) -> Option<Sample<'a>> {
    facts.effects.push(Effect::Unset(args.var(0)?));
    Some(s)
}

fn verify_error<'a>(s: Sample<'a>, _: &'a Args, _: &Facts<'a>) -> Option<Sample<'a>> {
    let Sample::Int(number) = s else { return None };
    let named = i32::try_from(number).ok().and_then(verify_errors::name);
    let text = match (number, named) {
        (0, _) => "X509_V_OK".to_owned(),
        (_, Some(name)) => format!("X509_V_ERR_{}", name.trim_start_matches("X509_V_ERR_")),
        (number, None) => number.to_string(),
    };
    Some(super::text_of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use crate::expr::conv::tests::table;

    #[test]
    fn variables_change_within_an_expression() {
        table(&[
            ("str(a),set-var(txn.x),concat(-,txn.x)", "a-a"),
            ("str(a),set-var(txn.x),unset-var(txn.x),concat(-,txn.x)", "a-"),
            ("int(3),set-var(txn.n),add(txn.n)", "6"),
            ("int(3),set-var(txn.n),set-var(txn.n,ifnotset),add(txn.n)", "6"),
            ("int(3),set-var(txn.n),add(1),set-var(txn.n,iflt),mul(0),add(txn.n)", "4"),
            ("int(3),set-var(txn.n),add(1),set-var(txn.n,ifgt),mul(0),add(txn.n)", "3"),
            ("str(b),set-var(txn.s),strcmp(txn.s)", "0"),
            ("str(b),strcmp(txn.none)", "-"),
            ("str(k),set-var(txn.s),secure_memcmp(txn.s)", "1"),
            ("str(k),set-var(txn.s),concat(x),secure_memcmp(txn.s)", "0"),
        ]);
    }
}

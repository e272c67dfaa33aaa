//! Fetches about this stream: its proxies by name, its captures, its identity, its rules.

use super::{Fetch, Needs};
use crate::expr::acl::{Cond, Verdict};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Got, Sample, Ty};
use crate::expr::view::{Facts, ProxyCount, Timeout};

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "be_id",
        Ty::Int,
        Needs::STREAM,
        |f, _| f.txn.backend.map_or(Got::None, |id| int(f.world.proxy_puid(id))),
        "number of the backend",
    ),
    Fetch::new(
        "be_name",
        Ty::Str,
        Needs::STREAM,
        |f, _| f.txn.backend.map_or(Got::None, |id| text(f.world.proxy_name(id))),
        "name of the backend",
    ),
    Fetch::new(
        "be_connect_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| of_backend(f, Timeout::Connect),
        "timeout connect of the backend, milliseconds",
    ),
    Fetch::new(
        "be_queue_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| of_backend(f, Timeout::Queue),
        "timeout queue of the backend, milliseconds",
    ),
    Fetch::new(
        "be_server_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| of_backend(f, Timeout::Server),
        "timeout server of the backend, milliseconds",
    ),
    Fetch::new(
        "be_tarpit_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| of_backend(f, Timeout::Tarpit),
        "timeout tarpit of the backend, milliseconds",
    ),
    Fetch::new(
        "be_tunnel_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| of_backend(f, Timeout::Tunnel),
        "timeout tunnel of the backend, milliseconds",
    ),
    Fetch::new(
        "be_max_retries",
        Ty::Int,
        Needs::STREAM,
        |f, _| {
            f.txn
                .backend
                .map_or(Got::None, |id| Got::Some(Sample::Int(f.world.proxy_count(id, ProxyCount::Retries))))
        },
        "retries of the backend",
    ),
    Fetch::new(
        "cur_max_retries",
        Ty::Int,
        Needs::STREAM,
        |f, _| {
            Got::Some(Sample::Int(
                f.txn
                    .settings
                    .retries
                    .map_or_else(|| f.world.proxy_count(f.proxy(), ProxyCount::Retries), i64::from),
            ))
        },
        "retries in force",
    ),
    Fetch::new(
        "fe_defbe",
        Ty::Str,
        Needs::CONN,
        |f, _| f.world.default_backend(f.txn.frontend).map_or(Got::None, |id| text(f.world.proxy_name(id))),
        "name of the frontend's default backend",
    ),
    Fetch::new(
        "internal.strm.is_htx",
        Ty::Bool,
        Needs::STREAM,
        |f, _| Got::Some(Sample::Bool(f.world.proxy_is_http(f.proxy()))),
        "the stream carries HTTP",
    ),
    Fetch::new(
        "prio_class",
        Ty::Int,
        Needs::STREAM,
        |f, _| Got::Some(Sample::Int(f.txn.settings.priority_class.unwrap_or(0).into())),
        "class given by set-priority-class",
    ),
    Fetch::new(
        "prio_offset",
        Ty::Int,
        Needs::STREAM,
        |f, _| Got::Some(Sample::Int(f.txn.settings.priority_offset.unwrap_or(0).into())),
        "offset given by set-priority-offset, milliseconds",
    ),
    Fetch::new("acl", Ty::Bool, Needs::NOTHING, conditions, "all these ACLs hold")
        .args("acl([!]<name>[,[!]<name>...])", 1, &[Kind::Custom; 12])
        .check(named_acls)
        .text("What an ACL looks at must be there at this place. An ACL that is told by itself is an error."),
    Fetch::new(
        "capture.req.hdr",
        Ty::Str,
        Needs::REQ_KEPT,
        |f, a| capture(&f.txn.req_caps, a),
        "a captured request field",
    )
    .args("capture.req.hdr(<slot>)", 1, &[Kind::Int]),
    Fetch::new(
        "capture.res.hdr",
        Ty::Str,
        Needs::RES_KEPT,
        |f, a| capture(&f.txn.res_caps, a),
        "a captured response field",
    )
    .args("capture.res.hdr(<slot>)", 1, &[Kind::Int]),
    Fetch::new(
        "cur_client_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Client, false),
        "timeout client in force, milliseconds",
    ),
    Fetch::new(
        "cur_connect_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Connect, true),
        "timeout connect in force, milliseconds",
    ),
    Fetch::new(
        "cur_queue_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Queue, true),
        "timeout queue in force, milliseconds",
    ),
    Fetch::new(
        "cur_server_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Server, true),
        "timeout server in force, milliseconds",
    ),
    Fetch::new(
        "cur_tarpit_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Tarpit, true),
        "timeout tarpit in force, milliseconds",
    ),
    Fetch::new(
        "cur_tunnel_timeout",
        Ty::Int,
        Needs::STREAM,
        |f, _| limit(f, Timeout::Tunnel, true),
        "timeout tunnel in force, milliseconds",
    ),
    Fetch::new(
        "fe_id",
        Ty::Int,
        Needs::CONN,
        |f, _| int(f.world.proxy_puid(f.txn.frontend)),
        "number of the frontend",
    ),
    Fetch::new(
        "fe_name",
        Ty::Str,
        Needs::CONN,
        |f, _| text(f.world.proxy_name(f.txn.frontend)),
        "name of the frontend",
    ),
    Fetch::new(
        "fe_client_timeout",
        Ty::Int,
        Needs::CONN,
        |f, _| f.world.timeout(f.txn.frontend, Timeout::Client).map_or(Got::None, int),
        "timeout client of the frontend, milliseconds",
    ),
    Fetch::new(
        "http_first_req",
        Ty::Bool,
        Needs::REQ_KEPT,
        |f, _| Got::Some(Sample::Bool(f.txn.request_index == 0)),
        "the first request of its connection",
    ),
    Fetch::new(
        "last_rule_file",
        Ty::Str,
        Needs::STREAM,
        |f, _| f.txn.last_rule.map_or(Got::None, |(file, _)| text(f.world.file_name(file))),
        "file of the rule that decided",
    ),
    Fetch::new(
        "last_rule_line",
        Ty::Int,
        Needs::STREAM,
        |f, _| f.txn.last_rule.map_or(Got::None, |(_, line)| int(line)),
        "line of the rule that decided",
    ),
    Fetch::new(
        "srv_id",
        Ty::Int,
        Needs::SERVER,
        |f, _| f.txn.server.map_or(Got::None, |id| int(f.world.server_puid(id))),
        "number of the server",
    ),
    Fetch::new(
        "srv_name",
        Ty::Str,
        Needs::SERVER,
        |f, _| f.txn.server.map_or(Got::None, |id| text(f.world.server_name(id))),
        "name of the server",
    ),
    Fetch::new(
        "txn.conn_retries",
        Ty::Int,
        Needs::SERVER,
        |f, _| int(f.txn.retries),
        "attempts to connect after the first",
    ),
    Fetch::new(
        "unique-id",
        Ty::Str,
        Needs::STREAM,
        |f, _| f.unique_id().map_or(Got::None, |id| Got::Some(Sample::text(id))),
        "the identity given by unique-id-format",
    ),
];

/// Compiles the ACLs named, as if they stood behind `if`.
fn named_acls(_: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String> {
    let names: Vec<&str> =
        args.iter().filter_map(|a| if let Arg::Str(name) = a { Some(&**name) } else { None }).collect();
    // what is wrong several ACLs deep is told once
    let told = |why: String| why.trim_start_matches("acl: ").to_owned();
    let cond = Cond::of_names(&names, cx).map_err(told)?;
    if let Some(first) = args.first_mut() {
        *first = Arg::Cond(std::sync::Arc::new(cond));
    }
    Ok(())
}

fn conditions<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let Arg::Cond(cond) = args.get(0) else { return Got::None };
    match cond.eval(facts) {
        Verdict::Yes => Got::Some(Sample::Bool(true)),
        Verdict::No => Got::Some(Sample::Bool(false)),
        Verdict::NotYet => Got::NotYet,
    }
}

fn of_backend<'a>(facts: &Facts<'a>, which: Timeout) -> Got<'a> {
    facts.txn.backend.and_then(|id| facts.world.timeout(id, which)).map_or(Got::None, int)
}

fn int<'a>(n: u32) -> Got<'a> {
    Got::Some(Sample::Int(n.into()))
}

fn text(text: &str) -> Got<'_> {
    Got::Some(Sample::text(text))
}

fn capture<'a>(slots: &'a [Option<Box<[u8]>>], args: &'a Args) -> Got<'a> {
    let slot = usize::try_from(args.int(0, 0)).ok().and_then(|at| slots.get(at));
    match slot {
        Some(Some(bytes)) => Got::Some(Sample::text(bytes)),
        _ => Got::None,
    }
}

fn limit<'a>(facts: &Facts<'a>, which: Timeout, back: bool) -> Got<'a> {
    let set = facts.txn.settings.timeouts[which as usize];
    let proxy = if back { facts.proxy() } else { facts.txn.frontend };
    set.or_else(|| facts.world.timeout(proxy, which)).map_or(Got::None, int)
}

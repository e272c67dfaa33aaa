//! Judges a configuration as a whole: what no single line can know. A table of checks, run by `load`.
//!
//! Warnings are given where HAProxy gives them or where silence would hurt, as -dW makes them fatal.

use std::collections::HashMap;

use super::ast::Kind;
use super::draft::ProxyDraft;
use super::link::Whole;
use crate::lang::diag::{Diag, Diags, Level};
use crate::lang::span::Span;
use crate::plan::proxy::{LogStyle, SwitchTo};
use crate::plan::rule::Site;
use crate::plan::{Mode, Plan};

type Check = fn(&Whole<'_>, &mut Diags);

/// Checks of the drafts, where every span is still known.
const BEFORE: &[Check] = &[
    names,
    frontends_listen,
    timeouts,
    http_words_in_tcp,
    tls_and_numbers,
    inspect_delay,
    limits,
    logs_go_somewhere,
];

/// Runs the checks that need no ids. Where lines could not be read, warnings about the whole would only
/// repeat it: errors alone are kept then.
pub fn before(whole: &Whole<'_>, diags: &mut Diags) {
    let mut found = Diags::new();
    for check in BEFORE {
        check(whole, &mut found);
    }
    let errors_only = diags.has_alerts();
    found
        .into_vec()
        .into_iter()
        .filter(|diag| !errors_only || diag.level == Level::Alert)
        .for_each(|d| diags.push(d));
}

/// Runs the checks that need the plan.
pub fn after(_: &Whole<'_>, plan: &Plan, diags: &mut Diags) {
    modes_fit(plan, diags);
}

/// What messages call a proxy.
fn text(draft: &ProxyDraft) -> String {
    let kind = match draft.kind {
        Kind::Frontend => "frontend",
        Kind::Backend => "backend",
        _ => "listen",
    };
    format!("{kind} \"{}\"", draft.proxy.name)
}

/// A frontend and a backend may share a name, two of a kind may not.
fn names(whole: &Whole<'_>, diags: &mut Diags) {
    let mut fronts: HashMap<&str, Span> = HashMap::new();
    let mut backs: HashMap<&str, Span> = HashMap::new();
    for draft in whole.proxies.iter().filter(|draft| !draft.proxy.name.is_empty()) {
        let name = draft.proxy.name.as_str();
        let mut first = None;
        if draft.proxy.is_frontend {
            first = fronts.get(name).copied();
            fronts.entry(name).or_insert(draft.at);
        }
        if draft.proxy.is_backend {
            first = first.or(backs.get(name).copied());
            backs.entry(name).or_insert(draft.at);
        }
        if let Some(first) = first {
            let diag = Diag::alert(draft.at, format!("a second section \"{name}\" of the same kind"));
            diags.push(diag.also(first, "the first one is here"));
        }
    }
}

fn frontends_listen(whole: &Whole<'_>, diags: &mut Diags) {
    for draft in whole.proxies.iter().filter(|draft| draft.kind == Kind::Frontend && draft.binds.is_empty()) {
        let diag = Diag::warning(draft.at, format!("{} listens nowhere", text(draft)));
        diags.push(diag.help("add a \"bind\" line, or make it a \"backend\""));
    }
}

/// Without a timeout a dead peer holds its connection for ever.
fn timeouts(whole: &Whole<'_>, diags: &mut Diags) {
    for draft in whole.proxies.iter().filter(|draft| !draft.proxy.disabled) {
        let set = &draft.proxy.timeouts;
        let mut missing = Vec::new();
        if draft.proxy.is_frontend && set.client.is_none() {
            missing.push("client");
        }
        if draft.proxy.is_backend && !draft.servers.is_empty() {
            if set.connect.is_none() {
                missing.push("connect");
            }
            if set.server.is_none() && (draft.proxy.mode == Mode::Http || set.tunnel.is_none()) {
                missing.push("server");
            }
        }
        if missing.is_empty() {
            continue;
        }
        let list: Vec<String> = missing.iter().map(|name| format!("\"timeout {name}\"")).collect();
        let diag = Diag::warning(draft.at, format!("{} has no {}", text(draft), list.join(", no ")));
        diags.push(diag.help(
            "a peer that vanished holds its connection for ever; add them, or put them into \"defaults\"",
        ));
    }
}

/// HTTP words of a proxy in mode tcp do nothing.
fn http_words_in_tcp(whole: &Whole<'_>, diags: &mut Diags) {
    let in_tcp = |draft: &&ProxyDraft| draft.proxy.mode == Mode::Tcp && !draft.switches_mode();
    for draft in whole.proxies.iter().filter(in_tcp) {
        let mut say = |at: Span, what: &str| {
            let diag =
                Diag::warning(at, format!("{what} has no effect in {}, which is in mode tcp", text(draft)));
            diags.push(diag.help("add \"mode http\""));
        };
        let own = |section: usize| section == draft.section;
        for (site, what) in [
            (Site::HttpRequest, "\"http-request\""),
            (Site::HttpResponse, "\"http-response\""),
            (Site::HttpAfter, "\"http-after-response\""),
        ] {
            if let Some((_, rule)) = draft.rules.iter().find(|(at, rule)| *at == site && own(rule.section)) {
                say(rule.line.span(), what);
            }
        }
        let log_style = matches!(draft.proxy.log_style, LogStyle::Http | LogStyle::Clf | LogStyle::Https);
        if let Some(at) = draft.http_log_at.filter(|_| log_style && draft.proxy.is_frontend) {
            say(at, "this log format");
        }
        if draft.proxy.forward_for.is_some() {
            say(draft.at, "\"option forwardfor\"");
        }
    }
}

/// Numbers of listeners within one frontend are unique.
fn tls_and_numbers(whole: &Whole<'_>, diags: &mut Diags) {
    for draft in &whole.proxies {
        let mut seen: HashMap<u32, Span> = HashMap::new();
        for bind in &draft.binds {
            let Some(at) = bind.puid_at else { continue };
            if let Some(first) = seen.insert(bind.listener.puid, at) {
                let diag = Diag::alert(at, format!("the id {} is taken", bind.listener.puid));
                diags.push(diag.also(first, "it was given here"));
            }
            if bind.addrs.len() > 1 {
                let diag = Diag::alert(at, "one \"id\" cannot name several addresses");
                diags.push(diag.also(bind.addr_at, "these addresses"));
            }
        }
    }
}

/// Rules on content that are never given time see nothing.
fn inspect_delay(whole: &Whole<'_>, diags: &mut Diags) {
    for draft in whole.proxies.iter().filter(|draft| draft.proxy.mode == Mode::Tcp) {
        let waits = |words: &crate::lang::word::Word| {
            ["req.", "req_", "WAIT_END", "ssl_hello", "payload", "wait_end"]
                .iter()
                .any(|part| words.text.contains(part))
        };
        if draft.proxy.inspect_delay.is_some() {
            continue;
        }
        let rule = draft.rules.iter().find(|(site, rule)| {
            *site == Site::TcpContent && rule.section == draft.section && rule.line.words.iter().any(waits)
        });
        if let Some((_, rule)) = rule {
            let what = "this rule looks at bytes, but nothing waits for them";
            let diag = Diag::warning(rule.line.span(), what);
            diags.push(diag.help("add \"tcp-request inspect-delay 5s\""));
        }
    }
}

/// `ulimit-n` must leave room for `maxconn`: two descriptors per connection.
fn limits(whole: &Whole<'_>, diags: &mut Diags) {
    let (Some(maxconn_at), Some(ulimit_at)) = (whole.global.maxconn_at, whole.global.ulimit_at) else {
        return;
    };
    let (maxconn, ulimit) = (whole.global.global.maxconn, whole.global.global.ulimit_n);
    if ulimit > 0 && u64::from(maxconn) * 2 > u64::from(ulimit) {
        let what = format!("{ulimit} descriptors are not enough for {maxconn} connections");
        let diag = Diag::warning(ulimit_at, what);
        diags.push(
            diag.also(maxconn_at, "which are asked for here").help("leave \"ulimit-n\" out: it is computed"),
        );
    }
}

/// A log format without a place to log to.
fn logs_go_somewhere(whole: &Whole<'_>, diags: &mut Diags) {
    for draft in whole.proxies.iter().filter(|draft| draft.proxy.is_frontend) {
        let global = draft.log_global && !whole.global.global.logs.is_empty();
        if draft.proxy.log_style != LogStyle::Default && draft.proxy.logs.is_empty() && !global {
            let what = format!("{} has a log format, but logs nowhere", text(draft));
            diags.push(
                Diag::warning(draft.at, what)
                    .help("add \"log global\" here and a \"log\" line in \"global\""),
            );
        }
    }
}

/// A frontend in one mode and its backend in another.
fn modes_fit(plan: &Plan, diags: &mut Diags) {
    for front in plan.proxies.iter().filter(|proxy| proxy.is_frontend) {
        let switched = front.switches.iter().filter_map(|switch| match switch.to {
            SwitchTo::Backend(id) => Some(id),
            SwitchTo::Named(_) => None,
        });
        let targets = front.default_backend.into_iter().chain(switched);
        for target in targets {
            let back = plan.proxy(target);
            if front.mode == Mode::Http && back.mode == Mode::Tcp {
                let what = format!(
                    "frontend \"{}\" ({}) is in mode http, its backend \"{}\" ({}) in mode tcp",
                    front.name, front.at, back.name, back.at
                );
                diags.push(Diag::alert(Span::NONE, what).help("give both the same \"mode\""));
            }
        }
    }
}

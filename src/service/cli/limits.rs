//! Commands about frontends and limits of the whole program.

use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::plan::global::CliLevel;
use crate::plan::{Plan, Proxy};
use crate::service::board::{configured_maxconn, Limit};
use crate::shm::FrontState;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "backend"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show_backend,
        doc: Doc {
            usage: "show backend",
            brief: "list backends in the current running config",
            text: "One name per line.",
            example: "show backend",
        },
    },
    Command {
        path: &["enable", "frontend"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| set_front(ask, cx, FrontState::Open),
        doc: Doc {
            usage: "enable frontend <frontend>",
            brief: "re-enable specific frontend",
            text: "Accepts connections again after 'disable frontend'.",
            example: "enable frontend web",
        },
    },
    Command {
        path: &["disable", "frontend"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| set_front(ask, cx, FrontState::Paused),
        doc: Doc {
            usage: "disable frontend <frontend>",
            brief: "temporarily disable specific frontend",
            text: "Accepts no more connections until 'enable frontend'. Those that exist go on.",
            example: "disable frontend web",
        },
    },
    Command {
        path: &["shutdown", "frontend"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| set_front(ask, cx, FrontState::Stopped),
        doc: Doc {
            usage: "shutdown frontend <frontend>",
            brief: "stop a specific frontend",
            text: "Closes its listening sockets until the next reload. Connections that exist go on.",
            example: "shutdown frontend web",
        },
    },
    Command {
        path: &["set", "maxconn", "frontend"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_front_maxconn,
        doc: Doc {
            usage: "set maxconn frontend <frontend> <value>",
            brief: "change a frontend's maxconn setting",
            text: "Connections above a lowered limit go on; new ones wait.",
            example: "set maxconn frontend web 1000",
        },
    },
    Command {
        path: &["set", "maxconn", "global"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_global_maxconn,
        doc: Doc {
            usage: "set maxconn global <value>",
            brief: "change the limit on connections over all workers",
            text: "0 sets it back to the configured value; higher than that is not possible.",
            example: "set maxconn global 5000",
        },
    },
    Command {
        path: &["set", "rate-limit"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_rate,
        doc: Doc {
            usage: "set rate-limit <setting> <value>",
            brief: "change a rate limiting value",
            text: "connections global, sessions global, ssl-sessions global: how many per second over all \
                   workers, 0 for no limit.",
            example: "set rate-limit connections global 500",
        },
    },
];

fn show_backend(_: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let backends = cx.plan.proxies.iter().filter(|proxy| proxy.is_backend);
    let names: String = backends.map(|proxy| format!("{}\n", proxy.name)).collect();
    Ok(Answer::Text(format!("# name\n{names}")))
}

fn find_front<'p>(plan: &'p Plan, name: &str) -> Result<&'p Proxy, String> {
    if name.is_empty() {
        return Err("A frontend name is expected.".to_owned());
    }
    let mut fronts = plan.proxies.iter().filter(|proxy| proxy.is_frontend);
    fronts.find(|proxy| proxy.name == name).ok_or_else(|| "No such frontend.".to_owned())
}

fn set_front(ask: &mut Ask<'_>, cx: &mut CliCx<'_>, wanted: FrontState) -> Result<Answer, String> {
    let id = find_front(cx.plan, ask.word(2))?.id;
    let refused = match (cx.board().front(id), wanted) {
        (FrontState::Open, FrontState::Open) => "All sockets are already enabled.",
        (FrontState::Paused, FrontState::Paused) => "All sockets are already disabled.",
        (FrontState::Stopped, FrontState::Open) => "Frontend was previously shut down, cannot enable.",
        (FrontState::Stopped, FrontState::Paused) => "Frontend was previously shut down, cannot disable.",
        (FrontState::Stopped, FrontState::Stopped) => "Frontend was already shut down.",
        _ => {
            cx.board().set_front(id, wanted);
            return Ok(Answer::Nothing);
        }
    };
    Err(refused.to_owned())
}

/// A count of connections.
fn number(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Err("Expects an integer value.".to_owned());
    }
    text.parse().map_err(|_| "Value out of range.".to_owned())
}

fn set_front_maxconn(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let id = find_front(cx.plan, ask.word(3))?.id;
    cx.board().set_front_maxconn(id, number(ask.word(4))?);
    Ok(Answer::Nothing)
}

fn set_global_maxconn(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let hard = configured_maxconn(cx.plan, cx.vitals().workers as usize);
    match number(ask.word(3))? {
        value if value > hard => Err("Value out of range.".to_owned()),
        value => {
            cx.board().set_limit(Limit::Maxconn, if value == 0 { hard } else { value });
            Ok(Answer::Nothing)
        }
    }
}

fn set_rate(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    const USAGE: &str = "'set rate-limit' only supports:\n\
                         \x20  - 'connections global' to set the maximum connection rate\n\
                         \x20  - 'sessions global' to set the maximum session rate\n\
                         \x20  - 'ssl-sessions global' to set the maximum TLS session rate\n";
    let limit = match (ask.word(2), ask.word(3)) {
        ("connections", "global") => Limit::ConnRate,
        ("sessions", "global") => Limit::SessRate,
        ("ssl-sessions", "global") => Limit::SslRate,
        _ => return Err(USAGE.to_owned()),
    };
    cx.board().set_limit(limit, number(ask.word(4))?);
    Ok(Answer::Nothing)
}

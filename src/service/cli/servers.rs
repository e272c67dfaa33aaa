//! Commands about servers: weights, states, addresses, limits.

use super::{Answer, Ask, CliCx, Command, Face, Rows};
use crate::base::doc::Doc;
use crate::base::ids::{ProxyId, ServerId};
use crate::plan::global::CliLevel;
use crate::plan::server::Server;
use crate::plan::{Plan, Proxy, ServerAddr};
use crate::service::board::ServerView;
use crate::service::stats::columns::Col;
use crate::shm::{Admin, Object};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["get", "weight"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: report_weight,
        doc: Doc {
            usage: "get weight <bk>/<srv>",
            brief: "report a server's current weight",
            text: "The weight now and the configured one.",
            example: "get weight web/s1",
        },
    },
    Command {
        path: &["set", "weight"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| {
            let server = find_server(cx.plan, ask.word(2))?.id;
            set_weight(server, ask.word(3), cx)
        },
        doc: Doc {
            usage: "set weight <bk>/<srv> <weight>[%]",
            brief: "change a server's weight",
            text:
                "Between 0 and 256, or a percentage of the configured weight. Weight 0 keeps only sessions \
                   bound by persistence.",
            example: "set weight web/s1 50%",
        },
    },
    Command {
        path: &["enable", "server"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| set_admin(ask.word(2), Admin::Ready, cx),
        doc: Doc {
            usage: "enable server <bk>/<srv>",
            brief: "take a server out of maintenance",
            text: "The same as 'set server <bk>/<srv> state ready'.",
            example: "enable server web/s1",
        },
    },
    Command {
        path: &["disable", "server"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| set_admin(ask.word(2), Admin::Maint, cx),
        doc: Doc {
            usage: "disable server <bk>/<srv>",
            brief: "put a server into maintenance",
            text: "The same as 'set server <bk>/<srv> state maint'.",
            example: "disable server web/s1",
        },
    },
    Command {
        path: &["set", "server"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_server,
        doc: Doc {
            usage: "set server <bk>/<srv> [opts]",
            brief: "change a server's state, weight or address",
            text: "state ready|drain|maint: takes traffic, only what persistence binds, nothing. weight: as \
                   'set weight'. addr <ip> [port <port>]: another address; connections in use stay where \
                   they are.",
            example: "set server web/s1 addr 192.0.2.7 port 8080",
        },
    },
    Command {
        path: &["set", "maxconn", "server"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set_maxconn,
        doc: Doc {
            usage: "set maxconn server <bk>/<srv> <value>",
            brief: "change a server's maxconn setting",
            text: "0 means no limit.",
            example: "set maxconn server web/s1 200",
        },
    },
    Command {
        path: &["shutdown", "sessions", "server"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: |ask, cx| {
            let server = find_server(cx.plan, ask.word(3))?.id;
            cx.board().shutdown_sessions(server);
            Ok(Answer::Nothing)
        },
        doc: Doc {
            usage: "shutdown sessions server <bk>/<srv>",
            brief: "kill sessions on a server",
            text: "Ends every session that uses the server now; they are logged with termination state K.",
            example: "shutdown sessions server web/s1",
        },
    },
    Command {
        path: &["show", "servers", "state"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show_state,
        doc: Doc {
            usage: "show servers state [<backend>]",
            brief: "dump volatile server information (all or for a single backend)",
            text: "Version of the format, names of the columns, then one line per server.",
            example: "show servers state web",
        },
    },
    Command {
        path: &["show", "servers", "conn"],
        level: CliLevel::User,
        face: Face::Traffic,
        start: show_conn,
        doc: Doc {
            usage: "show servers conn [<backend>]",
            brief: "dump server connections status (all or for a single backend)",
            text: "Connections in use and idle, one line per server.",
            example: "show servers conn web",
        },
    },
];

/// The server of `backend/server`; either may be `#` and its number.
pub fn find_server<'p>(plan: &'p Plan, path: &str) -> Result<&'p Server, String> {
    let (backend, server) = path.split_once('/').ok_or("Require 'backend/server'.")?;
    let backend = find_backend(plan, backend).ok_or("No such backend.")?;
    let number: Option<u32> = server.strip_prefix('#').and_then(|number| number.parse().ok());
    let mut servers = backend.servers.iter().map(|id| plan.server(*id));
    let found = servers.find(|known| known.name == server || Some(known.puid) == number);
    found.ok_or_else(|| "No such server.".to_owned())
}

/// The backend of that name, or of that number behind a `#`.
pub fn find_backend<'p>(plan: &'p Plan, name: &str) -> Option<&'p Proxy> {
    let number: Option<u32> = name.strip_prefix('#').and_then(|number| number.parse().ok());
    let mut backends = plan.proxies.iter().filter(|proxy| proxy.is_backend);
    backends.find(|known| known.name == name || Some(known.puid) == number)
}

fn report_weight(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let server = find_server(cx.plan, ask.word(2))?;
    let now = cx.board().server(server.id).weight;
    Ok(Answer::Text(format!("{now} (initial {})", server.weight)))
}

fn set_weight(id: ServerId, text: &str, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    if text.is_empty() {
        return Err("Require <weight> or <weight%>.".to_owned());
    }
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let number: i64 = number.parse().map_err(|_| format!("Invalid weight '{text}'."))?;
    let weight = if percent {
        if number < 0 {
            return Err("Relative weight must be positive.".to_owned());
        }
        i64::from(cx.plan.server(id).weight).saturating_mul(number) / 100
    } else {
        number
    };
    match u32::try_from(weight) {
        Ok(weight) if weight <= 256 => {
            cx.board().set_weight(id, weight);
            Ok(Answer::Nothing)
        }
        _ => Err("Absolute weight can only be between 0 and 256 inclusive.".to_owned()),
    }
}

fn set_admin(path: &str, admin: Admin, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let server = find_server(cx.plan, path)?;
    cx.board().set_admin(server.id, admin);
    Ok(Answer::Nothing)
}

fn set_server(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let server = find_server(cx.plan, ask.word(2))?;
    let id = server.id;
    match ask.word(3) {
        "weight" => set_weight(id, ask.word(4), cx),
        "state" => {
            let admin = match ask.word(4) {
                "ready" => Admin::Ready,
                "drain" => Admin::Drain,
                "maint" => Admin::Maint,
                _ => return Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'.".to_owned()),
            };
            cx.board().set_admin(id, admin);
            Ok(Answer::Nothing)
        }
        "addr" => set_addr(server, ask, cx).map(Answer::Text),
        "agent" | "agent-addr" | "agent-port" | "agent-send" | "check-addr" | "check-port" | "fqdn"
        | "health" | "ssl" => {
            Err(format!("'set server <srv> {}' is known, but not supported yet.", ask.word(3)))
        }
        _ => Err("usage: set server <backend>/<server> addr | state | weight".to_owned()),
    }
}

fn set_addr(server: &Server, ask: &Ask<'_>, cx: &CliCx<'_>) -> Result<String, String> {
    const BY: &str = "by 'stats socket command'";
    let text = ask.word(4);
    if text.is_empty() {
        return Err("set server <b>/<s> addr requires an address and optionally a port.".to_owned());
    }
    let ip: IpAddr = text.parse().map_err(|_| format!("Invalid addr '{text}' {BY}"))?;
    let (ServerAddr::Inet(configured), now) = (&server.addr, cx.board().server(server.id).addr) else {
        return Err(format!("the address of a server on a UNIX socket cannot be changed {BY}"));
    };
    let old = now.unwrap_or(*configured);
    let mut said = if old.ip() == ip {
        "no need to change the addr".to_owned()
    } else {
        format!("IP changed from '{}' to '{ip}'", old.ip())
    };
    let mut port = old.port();
    match ask.word(5) {
        "" => {}
        "port" => {
            let text = ask.word(6);
            port = text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("Invalid port '{text}' {BY}"))?;
            said.push_str(&if port == old.port() {
                ", no need to change the port".to_owned()
            } else {
                format!(", port changed from '{}' to '{port}'", old.port())
            });
        }
        other => return Err(format!("Expects 'port' instead of '{other}'.")),
    }
    let new = SocketAddr::new(ip, port);
    if new != old {
        cx.board().set_addr(server.id, new);
    }
    Ok(format!("{said} {BY}"))
}

fn set_maxconn(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let server = find_server(cx.plan, ask.word(3))?;
    if ask.word(4).is_empty() {
        return Err("Require <maxconn>.".to_owned());
    }
    let maxconn = ask.word(4).parse().map_err(|_| "Value out of range.".to_owned())?;
    cx.board().set_server_maxconn(server.id, maxconn);
    Ok(Answer::Nothing)
}

/// Servers of one backend or of all, with their backends.
fn chosen(ask: &Ask<'_>, plan: &Plan) -> Result<Vec<(ProxyId, ServerId)>, String> {
    let only = match ask.word(3) {
        "" => None,
        name => Some(find_backend(plan, name).ok_or("Can't find backend.")?.id),
    };
    let backends = plan.proxies.iter().filter(|proxy| proxy.is_backend);
    let backends = backends.filter(|proxy| only.is_none_or(|only| only == proxy.id));
    Ok(backends.flat_map(|proxy| proxy.servers.iter().map(|id| (proxy.id, *id))).collect())
}

/// A command that prints one line per server below a title.
fn per_server(
    ask: &Ask<'_>,
    cx: &CliCx<'_>,
    title: &'static str,
    line: fn(&Proxy, &Server, &CliCx<'_>) -> String,
) -> Result<Answer, String> {
    let servers = chosen(ask, cx.plan)?;
    Ok(Answer::Work(Box::new(Rows::new(servers.len() + 1, move |row, out, cx| {
        // Writing to memory cannot fail.
        let _ = match row.checked_sub(1).and_then(|row| servers.get(row)) {
            None => writeln!(out, "{title}"),
            Some((proxy, server)) => {
                writeln!(out, "{}", line(cx.plan.proxy(*proxy), cx.plan.server(*server), cx))
            }
        };
    }))))
}

/// Address and port as the listings print them.
fn address(server: &Server, view: &ServerView) -> (String, u16) {
    match (&view.addr, &server.addr) {
        (Some(addr), _) | (None, ServerAddr::Inet(addr)) => (addr.ip().to_string(), addr.port()),
        (None, ServerAddr::Unix(_) | ServerAddr::Abstract(_)) => ("-".to_owned(), 0),
    }
}

fn show_state(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    const TITLE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
                         srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
                         srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id \
                         srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
                         srv_agent_port";
    per_server(ask, cx, TITLE, |proxy, server, cx| {
        let view = cx.board().server(server.id);
        let (addr, port) = address(server, &view);
        // Operation: 0 stopped, 2 running. Administration: 1 forced maintenance, 4 by configuration,
        // 8 forced drain.
        let running = view.up && view.admin != Admin::Maint;
        let admin = match view.admin {
            Admin::Ready => 0,
            Admin::Maint if cx.board().is_disabled(server.id) => 4,
            Admin::Maint => 1,
            Admin::Drain => 8,
        };
        format!(
            "{} {} {} {} {addr} {} {admin} {} {} {} 1 0 2 0 0 0 0 - {port} - {} 0 - - 0",
            proxy.puid,
            proxy.name,
            server.puid,
            server.name,
            if running { 2 } else { 0 },
            view.weight,
            server.weight,
            view.since_change,
            u32::from(server.tls.is_some()),
        )
    })
}

fn show_conn(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    const TITLE: &str =
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb \
                         safe_nb idle_lim idle_cur idle_per_thr[1]";
    per_server(ask, cx, TITLE, |proxy, server, cx| {
        let count = |col: Col| cx.board().count(Object::Server(server.id), col);
        let (addr, port) = address(server, &cx.board().server(server.id));
        let used = count(Col::UsedConnCur);
        let idle = count(Col::SrvIcur);
        let limit = server.pool_max_conn.map_or(-1, i64::from);
        format!(
            "{}/{} {}/{} {addr} {port} - {} {used} {} {} {} {} {limit} {idle} {idle}",
            proxy.name,
            server.name,
            proxy.puid,
            server.puid,
            server.pool_purge_delay,
            count(Col::Smax).max(used),
            count(Col::NeedConnEst),
            count(Col::IdleConnCur),
            count(Col::SafeConnCur),
        )
    })
}

//! Commands about the program and its processes: version, environment, sockets, `show proc`,
//! `reload`, what was said at start-up.

use super::args::uptime;
use super::general::level_name;
use super::{Answer, Ask, CliCx, Command, Face, Job, JobStep, Process, Role, Ticket};
use crate::base::doc::Doc;
use crate::plan::global::CliLevel;
use crate::plan::BindAddr;

/// The version that every face of the program names.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often an answer that is on its way is asked for, in milliseconds, if nothing wakes the session earlier.
const ASK_AGAIN_MS: u64 = 20;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["show", "version"],
        level: CliLevel::User,
        face: Face::Both,
        start: |_, _| Ok(Answer::Text(VERSION.to_owned())),
        doc: Doc {
            usage: "show version",
            brief: "show version of the current process",
            text: "The number alone, for scripts.",
            example: "show version",
        },
    },
    Command {
        path: &["show", "env"],
        level: CliLevel::Operator,
        face: Face::Both,
        start: show_env,
        doc: Doc {
            usage: "show env [<var>]",
            brief: "dump environment variables known to the process",
            text: "All variables, or the one of that name.",
            example: "show env PATH",
        },
    },
    Command {
        path: &["show", "cli", "sockets"],
        level: CliLevel::Operator,
        face: Face::Both,
        start: show_sockets,
        doc: Doc {
            usage: "show cli sockets",
            brief: "dump list of cli sockets",
            text: "Address, level and processes of every command socket.",
            example: "show cli sockets",
        },
    },
    Command {
        path: &["show", "startup-logs"],
        level: CliLevel::Operator,
        face: Face::Both,
        start: |_, cx| Ok(Answer::Text(String::from_utf8_lossy(&cx.host.startup_log()).into_owned())),
        doc: Doc {
            usage: "show startup-logs",
            brief: "report what was said while the program started",
            text: "The notices and warnings that went to stderr, those of the last reload included.",
            example: "show startup-logs",
        },
    },
    Command {
        path: &["show", "proc"],
        level: CliLevel::Operator,
        face: Face::Both,
        start: show_proc,
        doc: Doc {
            usage: "show proc",
            brief: "show the processes and their age",
            text: "PID, role, number of reloads since the start, uptime and version of every process. Old \
                   workers are those that still serve connections from before the last reload.",
            example: "show proc",
        },
    },
    Command {
        path: &["reload"],
        level: CliLevel::Operator,
        face: Face::Master,
        start: |_, cx| match cx.host.reload() {
            Some(ticket) => Ok(Answer::Work(Box::new(Await(ticket)))),
            None => Err("There is no master process that could reload.".to_owned()),
        },
        doc: Doc {
            usage: "reload",
            brief: "read the configuration again and replace the workers",
            text:
                "Answers when the outcome is known: Success=1 when the new workers serve, Success=0 and the \
                   messages when the old ones go on.",
            example: "reload",
        },
    },
];

fn show_env(ask: &mut Ask<'_>, _: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(2);
    let mut out = String::new();
    for (key, value) in std::env::vars_os() {
        if name.is_empty() || key == *name {
            out.push_str(&format!("{}={}\n", key.to_string_lossy(), value.to_string_lossy()));
        }
    }
    if out.is_empty() && !name.is_empty() {
        return Err("Variable not found".to_owned());
    }
    Ok(Answer::Text(out))
}

fn show_sockets(_: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let mut out = String::from("# socket lvl processes\n");
    for socket in &cx.plan.global.cli {
        let address = socket_name(&socket.addr);
        out.push_str(&format!("{address} {} all\n", level_name(socket.level)));
    }
    Ok(Answer::Text(out))
}

/// An address with the prefix that tells its family.
pub fn socket_name(addr: &BindAddr) -> String {
    match addr {
        BindAddr::Inet(at) if at.is_ipv4() => format!("ipv4@{at}"),
        BindAddr::Inet(at) => format!("ipv6@{at}"),
        BindAddr::Unix(path) => format!("unix@{}", path.display()),
        BindAddr::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        BindAddr::Fd(fd) => format!("fd@{fd}"),
    }
}

fn show_proc(_: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let processes = cx.vitals().processes;
    let mut out = format!(
        "{:<15} {:<15} {:<15} {:<15} {:<15}\n",
        "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"
    );
    let mut part = |title: &str, wanted: &dyn Fn(&Process) -> bool| {
        out.push_str(title);
        for process in processes.iter().filter(|process| wanted(process)) {
            let kind = match process.role {
                Role::Master => "master",
                Role::Control => "control",
                Role::Worker => "worker",
            };
            let up = uptime(cx.wall().saturating_sub(process.started));
            out.push_str(&format!(
                "{:<15} {kind:<15} {:<15} {up:<15} {VERSION:<15}\n",
                process.pid, process.reloads
            ));
        }
    };
    part("", &|process| process.role == Role::Master);
    part("# workers\n", &|process| process.role == Role::Worker && process.reloads == 0);
    part("# old workers\n", &|process| process.role == Role::Worker && process.reloads > 0);
    part("# control\n", &|process| process.role == Role::Control);
    Ok(Answer::Text(out))
}

/// Waits for an answer that comes from other processes.
pub struct Await(pub Ticket);

impl Job for Await {
    fn step(&mut self, out: &mut Vec<u8>, cx: &mut CliCx<'_>) -> JobStep {
        match cx.host.answers(self.0) {
            Some(text) => {
                out.extend_from_slice(&text);
                JobStep::Done
            }
            None => JobStep::Wait(cx.now.tick.after(ASK_AGAIN_MS)),
        }
    }
}

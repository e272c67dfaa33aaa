//! `get var`, `set var`: the variables of the service.

use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::base::ids::{ProxyId, ServerId};
use crate::expr::acl::Acls;
use crate::expr::compile::{expr_word, Names, ParseCx};
use crate::expr::fetch::Point;
use crate::expr::logfmt::{LogFmt, Use};
use crate::expr::map::Maps;
use crate::expr::sample::Value;
use crate::expr::vars::{ProcVars, Scope, Var};
use crate::lang::diag::Diag;
use crate::lang::word::Word;
use crate::plan::global::CliLevel;
use crate::plan::{Plan, StartValue};
use crate::service::vars;

/// The commands of this family.
pub const ROWS: &[Command] = &[
    Command {
        path: &["get", "var"],
        level: CliLevel::Operator,
        face: Face::Traffic,
        start: get,
        doc: Doc {
            usage: "get var <name>",
            brief: "retrieve contents of a process-wide variable",
            text: "Its type and value, as all workers see them.",
            example: "get var proc.limit",
        },
    },
    Command {
        path: &["set", "var"],
        level: CliLevel::Admin,
        face: Face::Traffic,
        start: set,
        doc: Doc {
            usage: "set var <name> [fmt|expr] <value>",
            brief: "set variable from an expression/format",
            text: "For all workers at once. The variable must be one that the configuration names; its new value may \
                   look at other variables of the service. Needs experimental-mode.",
            example: "experimental-mode on; set var proc.limit int(50)",
        },
    },
];

fn get(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let name = ask.word(2);
    if name.is_empty() {
        return Err("Missing process-wide variable identifier.".to_owned());
    }
    let proc_vars = ProcVars::attach(cx.shm, 0);
    let var = cx.plan.vars.find(name).filter(|var| var.scope == Scope::Proc);
    let value = var.and_then(|var| proc_vars.get(var.id)).ok_or("Variable not found.")?;
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (kind, text) = match &value {
        Value::Bool(b) => ("bool", u8::from(*b).to_string()),
        Value::Int(n) => ("sint", n.to_string()),
        Value::Ip4(ip) => ("ipv4", ip.to_string()),
        Value::Ip6(ip) => ("ipv6", ip.to_string()),
        Value::Str(bytes) => ("str", shown(bytes)),
        Value::Bin(bytes) => ("bin", shown(bytes)),
        Value::Meth(bytes) => ("meth", shown(bytes)),
    };
    Ok(Answer::Text(format!("{name}: type={kind} value=<{text}>\n")))
}

fn set(ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    if !ask.manners.experimental {
        return Err("This command is restricted to experimental mode only.".to_owned());
    }
    let name = ask.word(2);
    let at = if matches!(ask.word(3), "fmt" | "expr") { 4 } else { 3 };
    let text = ask.words.get(at..).unwrap_or_default().join(" ");
    if text.is_empty() {
        return Err("'set var': missing variable name and/or expression/format.".to_owned());
    }
    if !name.starts_with("proc.") {
        return Err(format!("'set var': cannot set variable '{name}', only scope 'proc' is permitted here."));
    }
    let Some(var) = cx.plan.vars.find(name) else {
        return Err(format!("'set var': no rule of the configuration uses '{name}'."));
    };
    let say = |diag: Diag| format!("'set var': {}", diag.what);
    let (mut offline, acls) = (Offline { plan: cx.plan, maps: Maps::default() }, Acls::default());
    let names = &mut offline;
    let mut parse =
        ParseCx { names, acls: &acls, point: Point::Nowhere, proxy: ProxyId(0), warnings: Vec::new() };
    let word = Word::plain(&text);
    let value = match ask.word(3) {
        "fmt" => StartValue::Text(LogFmt::compile(&word, Use::Text, &mut parse).map_err(say)?),
        _ => StartValue::Expr(expr_word(&word, &mut parse).map_err(say)?),
    };
    match vars::set(var, &value, cx.plan, cx.shm, cx.now.wall_us) {
        true => Ok(Answer::Nothing),
        false => Err("'set var': there is no value, or it does not fit.".to_owned()),
    }
}

/// What an expression typed in may name: variables of the configuration, and no file.
struct Offline<'p> {
    plan: &'p Plan,
    maps: Maps,
}

impl Names for Offline<'_> {
    fn frontend(&self, _: &str) -> Option<ProxyId> {
        None
    }
    fn backend(&self, _: &str) -> Option<ProxyId> {
        None
    }
    fn server(&self, _: ProxyId, _: &str) -> Option<ServerId> {
        None
    }
    fn table(&self, _: &str) -> Option<ProxyId> {
        None
    }
    fn userlist(&self, _: &str) -> Option<u32> {
        None
    }
    fn var(&mut self, text: &str) -> Result<Var, String> {
        self.plan.vars.find(text).ok_or_else(|| format!("the configuration knows no variable \"{text}\""))
    }
    fn file(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Err("files are read when the service starts".to_owned())
    }
    fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }
}

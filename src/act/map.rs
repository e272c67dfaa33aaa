//! Actions that change maps and ACL files, in force in all processes.

use super::ActionKw;
use crate::expr::compile::ParseCx;
use crate::expr::conv::map;
use crate::expr::live::{Op, Order};
use crate::expr::logfmt::{LogFmt, Use};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::rule::{Act, Action, ActionCx, Sites};

/// Where maps may be changed.
const SITES: Sites = Sites::TCP_REQ.or(Sites::TCP_RES).or(Sites::HTTP);

/// The rows of this family.
pub const ROWS: &[ActionKw] = &[
    ActionKw::new(
        "add-acl(",
        SITES,
        |words, cx| parse(words, Op::AddNew, false, cx),
        "add-acl(<file>) <key fmt>",
        "adds a pattern to an ACL file",
        "http-request add-acl(virt@seen.lst) %[src]",
    )
    .text("A pattern that is there already is not added again. The file on disk stays as it is."),
    ActionKw::new(
        "del-acl(",
        SITES,
        |words, cx| parse(words, Op::Del, false, cx),
        "del-acl(<file>) <key fmt>",
        "takes a pattern out of an ACL file",
        "http-request del-acl(virt@seen.lst) %[src]",
    ),
    ActionKw::new(
        "del-map(",
        SITES,
        |words, cx| parse(words, Op::Del, true, cx),
        "del-map(<file>) <key fmt>",
        "takes a key out of a map",
        "http-request del-map(virt@names.map) %[src]",
    ),
    ActionKw::new(
        "set-map(",
        SITES,
        |words, cx| parse(words, Op::Put, true, cx),
        "set-map(<file>) <key fmt> <value fmt>",
        "gives a key of a map a value",
        "http-request set-map(virt@names.map) %[src] %[req.hdr(x-name)]",
    )
    .text("The key is added when it is not there. The next rule sees the change already, other workers with their next request."),
];

struct ChangeMap {
    map: u32,
    op: Op,
    key: LogFmt,
    value: Option<LogFmt>,
}

fn parse(words: &mut Words<'_>, op: Op, is_map: bool, cx: &mut ParseCx<'_>) -> Result<Box<dyn Action>, Diag> {
    let Some(word) = words.taken() else { return Err(words.missing("an action")) };
    let inside = word.text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let Some(name) = inside.filter(|name| !name.is_empty()) else {
        return Err(word.err(format!(
            "expected a file in parentheses, such as {}(/etc/list)",
            word.text.split('(').next().unwrap_or("")
        )));
    };
    let map = map::open_file(name, is_map, cx).map_err(|why| word.err(why))?;
    if let Some(file) = cx.names.maps().get_mut(map) {
        (file.in_map, file.in_acl) = (file.in_map | is_map, file.in_acl | !is_map);
    }
    let key = LogFmt::compile(words.need("a key")?, Use::Text, cx)?;
    let value = match op {
        Op::Put => Some(LogFmt::compile(words.need("a value")?, Use::Text, cx)?),
        _ => None,
    };
    Ok(Box::new(ChangeMap { map, op, key, value }))
}

impl Action for ChangeMap {
    fn run<'p>(&'p self, cx: &mut ActionCx<'_>) -> Act<'p> {
        let facts = cx.facts();
        let text = |fmt: &LogFmt| {
            let mut out = Vec::new();
            fmt.write(&facts, &mut out);
            // Keys and values are lines of a file.
            String::from_utf8_lossy(&out).replace(['\n', '\r', '\0'], " ")
        };
        let key = text(&self.key);
        if key.is_empty() {
            return Act::Next;
        }
        let value = self.value.as_ref().map(text).unwrap_or_default();
        Act::Change(Box::new(Order { map: self.map, op: self.op, key, value }))
    }
}

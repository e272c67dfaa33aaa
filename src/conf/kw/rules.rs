//! Lines that are rules: they are collected here and compiled by `link`, which knows all names. The
//! actions themselves are the tables of `act`.

use crate::conf::draft::{Later, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::conf::rules::point;
use crate::expr::fetch::Point;
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::proxy::Capture;
use crate::plan::rule::Site;

/// Rule keywords.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "http-after-response",
        Places::PROXY,
        |words, draft, cx| collect(words, draft, cx, Site::HttpAfter),
        doc(
            "http-after-response <action> [if|unless <condition>]",
            "what happens to every answer, also to those made here",
            "",
            "http-after-response set-header Strict-Transport-Security max-age=31536000",
        ),
    ),
    row(
        "http-request",
        Places::PROXY,
        |words, draft, cx| collect(words, draft, cx, Site::HttpRequest),
        doc(
            "http-request <action> [if|unless <condition>]",
            "what happens to a request",
            "Rules run in order, the frontend's before the backend's, until one ends them.",
            "http-request deny if { path_beg /admin }",
        ),
    ),
    row(
        "http-response",
        Places::PROXY,
        |words, draft, cx| collect(words, draft, cx, Site::HttpResponse),
        doc(
            "http-response <action> [if|unless <condition>]",
            "what happens to a server's answer",
            "",
            "http-response del-header Server",
        ),
    ),
    row(
        "redirect",
        Places::PROXY,
        |words, draft, cx| collect(words, draft, cx, Site::HttpRequest),
        doc(
            "redirect location|prefix|scheme <to> [code <code>] [<option>...] [if|unless <condition>]",
            "short for \"http-request redirect\"",
            "Runs among the \"http-request\" rules, where it is written.",
            "redirect scheme https if !{ ssl_fc }",
        ),
    ),
    row(
        "tcp-request connection",
        Places::FRONT,
        |words, draft, cx| collect(words, draft, cx, Site::TcpConnection),
        doc(
            "tcp-request connection <action> [if|unless <condition>]",
            "what happens to a connection right after it was accepted",
            "Before TLS and before the PROXY header: only addresses are known.",
            "tcp-request connection reject if { src 192.0.2.0/24 }",
        ),
    ),
    row(
        "tcp-request content",
        Places::PROXY,
        |words, draft, cx| collect(words, draft, cx, Site::TcpContent),
        doc(
            "tcp-request content <action> [if|unless <condition>]",
            "what happens once bytes of the client are there",
            "Conditions that need bytes wait for them as long as \"tcp-request inspect-delay\" says.",
            "tcp-request content accept if { req.len gt 0 }",
        ),
    ),
    row(
        "tcp-request inspect-delay",
        Places::PROXY,
        |words, draft, cx| {
            draft.proxy.inspect_delay = delay(words)?;
            draft.inspect_at = Some(cx.line.span());
            Ok(())
        },
        doc(
            "tcp-request inspect-delay <time>",
            "how long \"tcp-request content\" rules may wait for bytes",
            "",
            "tcp-request inspect-delay 5s",
        ),
    ),
    row(
        "tcp-request session",
        Places::FRONT,
        |words, draft, cx| collect(words, draft, cx, Site::TcpSession),
        doc(
            "tcp-request session <action> [if|unless <condition>]",
            "what happens to a connection after its handshakes",
            "TLS and the PROXY header are known, no byte of the session is.",
            "tcp-request session reject if { src 192.0.2.0/24 }",
        ),
    ),
    row(
        "tcp-response content",
        Places::BACK,
        |words, draft, cx| collect(words, draft, cx, Site::TcpResponse),
        doc(
            "tcp-response content <action> [if|unless <condition>]",
            "what happens once bytes of the server are there",
            "",
            "tcp-response content accept",
        ),
    ),
    row(
        "tcp-response inspect-delay",
        Places::BACK,
        |words, draft, _| {
            draft.proxy.res_inspect_delay = delay(words)?;
            Ok(())
        },
        doc(
            "tcp-response inspect-delay <time>",
            "how long \"tcp-response content\" rules may wait for bytes",
            "",
            "tcp-response inspect-delay 5s",
        ),
    ),
];

/// Keywords that choose a server.
pub const SERVER_ROWS: &[Keyword<ProxyDraft>] = &[row(
    "use-server",
    Places::BACK_ONLY,
    |words, draft, cx| {
        words.need("the name of a server")?;
        words.rest();
        draft.use_servers.push(Later { line: cx.line.clone(), section: cx.section });
        Ok(())
    },
    doc(
        "use-server <name> [if|unless <condition>]",
        "which server takes what",
        "The first rule whose condition holds decides, before the algorithm is asked; a server that is down is passed \
         over. The name may be a log-format string.",
        "server s1 127.0.0.1:8001\nuse-server s1 if { path_beg /static }",
    ),
)];

fn collect(
    words: &mut Words<'_>,
    draft: &mut ProxyDraft,
    cx: &mut LineCx<'_>,
    site: Site,
) -> Result<(), Diag> {
    let action = words.need("an action")?;
    let rest = words.rest();
    if action.is("capture") && draft.proxy.is_frontend && point(site) != Point::Response {
        own_slot(rest, draft);
    }
    draft.rules.push((site, Later { line: cx.line.clone(), section: cx.section }));
    Ok(())
}

/// `capture <expr> len <bytes>` has a slot of its own, numbered where the rule is written.
fn own_slot(rest: &[Word], draft: &mut ProxyDraft) {
    let len = rest.iter().position(|word| word.is("len")).and_then(|at| rest.get(at + 1));
    // a length that is none is complained about when the rule is compiled
    let Some(len) = len.and_then(|word| word.text.parse().ok()) else { return };
    let slots = &mut draft.proxy.req_captures;
    draft.rule_slots.push((draft.rules.len(), slots.len() as u32));
    slots.push(Capture { name: None, len });
}

fn delay(words: &mut Words<'_>) -> Result<Option<u32>, Diag> {
    Ok(Some(words.need("a time")?.time_ms()?).filter(|ms| *ms > 0))
}

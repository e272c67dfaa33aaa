//! `option ...` of both modes: balancing, sockets, logs. HTTP's are in `option_http`.

use crate::conf::draft::{LineCx, ProxyDraft};
use crate::conf::driver::{doc, switch, Keyword, Places, Prefix};
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::proxy::LogStyle;

/// Options of both modes.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    switch(
        "option abortonclose",
        Places::BACK.and(Places::FRONT),
        |_, draft, cx| set(cx, &mut draft.proxy.abort_on_close),
        doc(
            "[no] option abortonclose",
            "drop a queued request when its client closed",
            "Clients that half-close on purpose are dropped too, so it is off by default.",
            "option abortonclose",
        ),
    ),
    switch(
        "option allbackups",
        Places::BACK,
        |_, draft, cx| set(cx, &mut draft.proxy.all_backups),
        doc(
            "[no] option allbackups",
            "use all backup servers together",
            "Otherwise only the first usable one serves when no other server is left.",
            "option allbackups",
        ),
    ),
    switch(
        "option clitcpka",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.client_keepalive),
        doc("[no] option clitcpka", "TCP keep-alive probes to clients", "", "option clitcpka"),
    ),
    switch(
        "option dontlog-normal",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.dont_log_normal),
        doc(
            "[no] option dontlog-normal",
            "log only what went wrong",
            "Errors, timeouts, retries, redispatches and statuses from 500 on.",
            "option dontlog-normal",
        ),
    ),
    switch(
        "option dontlognull",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.dont_log_null),
        doc(
            "[no] option dontlognull",
            "no log line for connections without a byte",
            "",
            "option dontlognull",
        ),
    ),
    switch("option independant-streams", Places::PROXY, |_, draft, cx| independent(draft, cx), INDEPENDENT),
    switch("option independent-streams", Places::PROXY, |_, draft, cx| independent(draft, cx), INDEPENDENT),
    switch(
        "option log-separate-errors",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.log_separate_errors),
        doc(
            "[no] option log-separate-errors",
            "log errors at level err instead of info",
            "",
            "option log-separate-errors",
        ),
    ),
    switch(
        "option logasap",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.log_asap),
        doc(
            "[no] option logasap",
            "log as soon as the answer begins",
            "Byte counts and times that are not known yet are marked with \"+\".",
            "option logasap",
        ),
    ),
    switch(
        "option persist",
        Places::BACK,
        |_, draft, cx| set(cx, &mut draft.proxy.persist_down),
        doc(
            "[no] option persist",
            "send a client to its server even if the server is down",
            "",
            "option persist",
        ),
    ),
    switch("option redispatch", Places::BACK, redispatch, REDISPATCH),
    switch(
        "option socket-stats",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.socket_stats),
        doc("[no] option socket-stats", "count for each bound address as well", "", "option socket-stats"),
    ),
    switch(
        "option splice-auto",
        Places::PROXY,
        |_, draft, cx| {
            draft.proxy.splice = (cx.on(), cx.on());
            Ok(())
        },
        doc("[no] option splice-auto", "let the kernel move bytes both ways", "", "option splice-auto"),
    ),
    switch(
        "option splice-request",
        Places::PROXY,
        |_, draft, cx| set(cx, &mut draft.proxy.splice.0),
        doc(
            "[no] option splice-request",
            "let the kernel move bytes to servers",
            "",
            "option splice-request",
        ),
    ),
    switch(
        "option splice-response",
        Places::PROXY,
        |_, draft, cx| set(cx, &mut draft.proxy.splice.1),
        doc(
            "[no] option splice-response",
            "let the kernel move bytes to clients",
            "",
            "option splice-response",
        ),
    ),
    switch(
        "option srvtcpka",
        Places::BACK,
        |_, draft, cx| set(cx, &mut draft.proxy.server_keepalive),
        doc("[no] option srvtcpka", "TCP keep-alive probes to servers", "", "option srvtcpka"),
    ),
    switch(
        "option tcpka",
        Places::PROXY,
        |_, draft, cx| {
            draft.proxy.client_keepalive = cx.on();
            draft.proxy.server_keepalive = cx.on();
            Ok(())
        },
        doc("[no] option tcpka", "TCP keep-alive probes on both sides", "", "option tcpka"),
    ),
    switch(
        "option tcplog",
        Places::FRONT,
        |words, draft, cx| {
            let style = if words.eat("clf") { LogStyle::TcpClf } else { LogStyle::Tcp };
            draft.proxy.log_style = if cx.on() { style } else { LogStyle::Default };
            Ok(())
        },
        doc(
            "[no] option tcplog [clf]",
            "one log line per connection, with timers and sizes",
            "For mode tcp, or for HTTP when only connections matter.",
            "option tcplog",
        ),
    ),
];

const INDEPENDENT: crate::base::doc::Doc = doc(
    "[no] option independent-streams",
    "traffic in one direction does not keep the other alive",
    "",
    "option independent-streams",
);

const REDISPATCH: crate::base::doc::Doc = doc(
    "[no] option redispatch [<interval>]",
    "try another server when one fails",
    "Without an interval only the last retry goes elsewhere; n: every n-th one; -n: the n-th from the last. A request \
     that is bound to no server goes elsewhere at once with \"balance roundrobin\", \"static-rr\" and \"random\", \
     and so does one whose server went down.",
    "option redispatch 1",
);

/// A switch that is off by default.
pub fn set(cx: &LineCx<'_>, into: &mut bool) -> Result<(), Diag> {
    *into = cx.on();
    Ok(())
}

fn independent(draft: &mut ProxyDraft, cx: &LineCx<'_>) -> Result<(), Diag> {
    set(cx, &mut draft.proxy.independent_streams)
}

fn redispatch(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if cx.prefix != Prefix::None {
        draft.proxy.redispatch = 0;
        return Ok(());
    }
    draft.proxy.redispatch = match words.next() {
        None => -1,
        Some(word) => word.int_in(-1_000_000..=1_000_000)? as i32,
    };
    Ok(())
}

//! `timeout ...` and the older words for the same.

use crate::conf::draft::{LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;

/// Timeouts.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "timeout check",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.check),
        doc("timeout check <time>", "how long a health check may take once connected", "", "timeout check 2s"),
    ),
    row(
        "timeout client",
        Places::FRONT,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.client),
        doc(
            "timeout client <time>",
            "how long a client may be silent",
            "Times are milliseconds unless a unit (us ms s m h d) follows. 0 or nothing at all: for ever, which \
             gives a warning.",
            "timeout client 30s",
        ),
    ),
    row(
        "timeout client-fin",
        Places::FRONT,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.client_fin),
        doc(
            "timeout client-fin <time>",
            "how long a client that closed its half may be silent",
            "",
            "timeout client-fin 5s",
        ),
    ),
    row(
        "timeout client-hs",
        Places::FRONT,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.client_hs),
        doc(
            "timeout client-hs <time>",
            "how long the TLS handshake of a client may take",
            "Defaults to \"timeout client\".",
            "timeout client-hs 5s",
        ),
    ),
    row(
        "timeout clitimeout",
        Places::FRONT,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.client),
        doc("timeout clitimeout <time>", "older word for \"timeout client\"", "", "timeout clitimeout 30s"),
    ),
    row(
        "timeout connect",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.connect),
        doc("timeout connect <time>", "how long connecting to a server may take", "", "timeout connect 5s"),
    ),
    row(
        "timeout contimeout",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.connect),
        doc("timeout contimeout <time>", "older word for \"timeout connect\"", "", "timeout contimeout 5s"),
    ),
    row(
        "timeout http-keep-alive",
        Places::PROXY,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.http_keep_alive),
        doc(
            "timeout http-keep-alive <time>",
            "how long to wait for the next request of a connection",
            "Defaults to \"timeout http-request\", then \"timeout client\".",
            "timeout http-keep-alive 10s",
        ),
    ),
    row(
        "timeout http-request",
        Places::PROXY,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.http_request),
        doc(
            "timeout http-request <time>",
            "until a whole request head must be there",
            "Slow clients that send a byte now and then do not get around it.",
            "timeout http-request 5s",
        ),
    ),
    row(
        "timeout queue",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.queue),
        doc(
            "timeout queue <time>",
            "how long a request may wait for a server to be free",
            "Defaults to \"timeout connect\". Answered with 503 then.",
            "timeout queue 10s",
        ),
    ),
    row(
        "timeout server",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.server),
        doc("timeout server <time>", "how long a server may be silent", "", "timeout server 30s"),
    ),
    row(
        "timeout server-fin",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.server_fin),
        doc(
            "timeout server-fin <time>",
            "how long a server that closed its half may be silent",
            "",
            "timeout server-fin 5s",
        ),
    ),
    row(
        "timeout srvtimeout",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.server),
        doc("timeout srvtimeout <time>", "older word for \"timeout server\"", "", "timeout srvtimeout 30s"),
    ),
    row(
        "timeout tarpit",
        Places::PROXY,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.tarpit),
        doc(
            "timeout tarpit <time>",
            "how long a tarpitted request is held",
            "Defaults to \"timeout connect\".",
            "timeout tarpit 15s",
        ),
    ),
    row(
        "timeout tunnel",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.tunnel),
        doc(
            "timeout tunnel <time>",
            "how long both ends of a tunnel may be silent",
            "Counts instead of the client's and server's timeout once a connection became a tunnel.",
            "timeout tunnel 1h",
        ),
    ),
    row(
        "clitimeout",
        Places::FRONT,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.client),
        doc("clitimeout <time>", "older word for \"timeout client\"", "", "clitimeout 30000"),
    ),
    row(
        "contimeout",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.connect),
        doc("contimeout <time>", "older word for \"timeout connect\"", "", "contimeout 5000"),
    ),
    row(
        "srvtimeout",
        Places::BACK,
        |words, draft, cx| set(words, cx, &mut draft.proxy.timeouts.server),
        doc("srvtimeout <time>", "older word for \"timeout server\"", "", "srvtimeout 30000"),
    ),
];

/// Zero is "never".
fn set(words: &mut Words<'_>, _: &LineCx<'_>, into: &mut Option<u32>) -> Result<(), Diag> {
    *into = Some(words.need("a time")?.time_ms()?).filter(|ms| *ms > 0);
    Ok(())
}

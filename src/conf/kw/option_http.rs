//! `option ...` of HTTP mode.

use super::option::set;
use crate::conf::addr;
use crate::conf::draft::{LineCx, ProxyDraft};
use crate::conf::driver::{doc, switch, Keyword, Places, Prefix};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::proxy::{ForwardFor, HttpConnection, LogStyle, OddNames, OriginalTo};

/// Options of HTTP mode.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    switch(
        "option accept-invalid-http-request",
        Places::FRONT,
        |_, draft, cx| loose_req(draft, cx),
        LOOSE_REQ,
    ),
    switch(
        "option accept-invalid-http-response",
        Places::BACK,
        |_, draft, cx| loose_res(draft, cx),
        LOOSE_RES,
    ),
    switch(
        "option accept-unsafe-violations-in-http-request",
        Places::FRONT,
        |_, draft, cx| loose_req(draft, cx),
        LOOSE_REQ,
    ),
    switch(
        "option accept-unsafe-violations-in-http-response",
        Places::BACK,
        |_, draft, cx| loose_res(draft, cx),
        LOOSE_RES,
    ),
    switch(
        "option forceclose",
        Places::PROXY,
        |_, draft, cx| connection(draft, cx, HttpConnection::Close),
        CLOSE,
    ),
    switch(
        "option checkcache",
        Places::BACK,
        |_, draft, cx| set(cx, &mut draft.proxy.check_cache),
        doc(
            "[no] option checkcache",
            "refuse answers that caches would keep with a cookie",
            "Such an answer, with a Set-Cookie and nothing that forbids caching it, becomes a 502.",
            "option checkcache",
        ),
    ),
    switch("option forwarded", Places::PROXY, forwarded, FORWARDED),
    switch("option forwardfor", Places::PROXY, forwardfor, FORWARDFOR),
    switch(
        "option http-buffer-request",
        Places::PROXY,
        |_, draft, cx| set(cx, &mut draft.proxy.buffer_request),
        doc(
            "[no] option http-buffer-request",
            "wait for the body, or a full buffer of it, before the server is chosen",
            "Rules may look at the body then, and slow uploads do not hold a server.",
            "option http-buffer-request",
        ),
    ),
    switch("option http-restrict-req-hdr-names", Places::PROXY, odd_names, ODD_NAMES),
    switch(
        "option http-ignore-probes",
        Places::FRONT,
        |_, draft, cx| set(cx, &mut draft.proxy.ignore_probes),
        doc(
            "[no] option http-ignore-probes",
            "say and log nothing when a connection ends before its first request",
            "",
            "option http-ignore-probes",
        ),
    ),
    switch(
        "option http-keep-alive",
        Places::PROXY,
        |_, draft, cx| connection(draft, cx, HttpConnection::KeepAlive),
        doc(
            "[no] option http-keep-alive",
            "keep connections on both sides",
            "The default; written to undo what defaults say.",
            "option http-keep-alive",
        ),
    ),
    switch(
        "option http-no-delay",
        Places::PROXY,
        |_, draft, cx| set(cx, &mut draft.proxy.no_delay),
        doc(
            "[no] option http-no-delay",
            "never wait to fill a packet",
            "For applications that abuse HTTP as a channel of small messages. Costs packets.",
            "option http-no-delay",
        ),
    ),
    switch(
        "option http-pretend-keepalive",
        Places::BACK,
        |_, draft, cx| set(cx, &mut draft.proxy.pretend_keep_alive),
        doc(
            "[no] option http-pretend-keepalive",
            "close towards servers without telling them before",
            "For servers that answer worse when they are told that the connection will close.",
            "option http-pretend-keepalive",
        ),
    ),
    switch(
        "option http-server-close",
        Places::PROXY,
        |_, draft, cx| connection(draft, cx, HttpConnection::ServerClose),
        doc(
            "[no] option http-server-close",
            "keep the client's connection, close the server's after each answer",
            "",
            "option http-server-close",
        ),
    ),
    switch(
        "option originalto",
        Places::PROXY,
        originalto,
        doc(
            "[no] option originalto [except <network>] [header <name>]",
            "tell servers the address the client asked for",
            "Adds a header, X-Original-To unless another name is given. \"except\": not for addresses of this network.",
            "option originalto except 127.0.0.1",
        ),
    ),
    switch(
        "option httpclose",
        Places::PROXY,
        |_, draft, cx| connection(draft, cx, HttpConnection::Close),
        CLOSE,
    ),
    switch(
        "option httplog",
        Places::FRONT,
        |words, draft, cx| {
            let clf = words.eat("clf");
            let style = if clf { LogStyle::Clf } else { LogStyle::Http };
            log_style(draft, cx, style)
        },
        doc(
            "[no] option httplog [clf]",
            "one log line per request, with timers, status and the request line",
            "\"clf\": in the common log format, for the tools that want it.",
            "option httplog",
        ),
    ),
    switch(
        "option httpslog",
        Places::FRONT,
        |_, draft, cx| log_style(draft, cx, LogStyle::Https),
        doc(
            "[no] option httpslog",
            "as \"option httplog\", with what is known of TLS",
            "",
            "option httpslog",
        ),
    ),
];

const ODD_NAMES: crate::base::doc::Doc = doc(
    "[no] option http-restrict-req-hdr-names preserve|delete|reject",
    "what becomes of request fields with unusual characters in their names",
    "Characters other than letters, digits and \"-\": applications that turn names into variables mix \"_\" with \"-\". \
     \"delete\" removes such fields, \"reject\" answers with 403. Checked before the rules of the proxy.",
    "option http-restrict-req-hdr-names delete",
);

fn odd_names(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    draft.proxy.odd_names = OddNames::Preserve;
    if cx.prefix != Prefix::None {
        return Ok(());
    }
    let word = words.need("\"preserve\", \"delete\" or \"reject\"")?;
    draft.proxy.odd_names = match word.text.as_str() {
        "preserve" => OddNames::Preserve,
        "delete" => OddNames::Delete,
        "reject" => OddNames::Reject,
        _ => return Err(word.not_one_of("policy", &["preserve", "delete", "reject"])),
    };
    Ok(())
}

const LOOSE_REQ: crate::base::doc::Doc = doc(
    "[no] option accept-unsafe-violations-in-http-request",
    "let some malformed requests pass",
    "Only for old clients that cannot be mended: what passes here may be read differently by the server.",
    "option accept-unsafe-violations-in-http-request",
);

const LOOSE_RES: crate::base::doc::Doc = doc(
    "[no] option accept-unsafe-violations-in-http-response",
    "let some malformed responses pass",
    "Only for old servers that cannot be mended.",
    "option accept-unsafe-violations-in-http-response",
);

const CLOSE: crate::base::doc::Doc =
    doc("[no] option httpclose", "close both connections after each answer", "", "option httpclose");

const FORWARDED: crate::base::doc::Doc = doc(
    "[no] option forwarded [proto] [host|host-expr <expr>] [by|by-expr <expr>] [by_port|by_port-expr <expr>] \
     [for|for-expr <expr>] [for_port|for_port-expr <expr>]",
    "tell servers where a request comes from, by the field Forwarded (RFC 7239)",
    "\"proto for\" when nothing is said.",
    "option forwarded proto host for for_port",
);

const FORWARDFOR: crate::base::doc::Doc = doc(
    "[no] option forwardfor [except <network>] [header <name>] [if-none]",
    "tell servers the client's address",
    "Adds a header, X-Forwarded-For unless another name is given. \"except\": not for clients of this network; \
     \"if-none\": not when the request has one already.",
    "option forwardfor except 127.0.0.0/8",
);

fn loose_req(draft: &mut ProxyDraft, cx: &LineCx<'_>) -> Result<(), Diag> {
    set(cx, &mut draft.proxy.loose_request)
}

fn loose_res(draft: &mut ProxyDraft, cx: &LineCx<'_>) -> Result<(), Diag> {
    set(cx, &mut draft.proxy.loose_response)
}

/// The last of these options wins; `no` takes back only its own.
fn connection(draft: &mut ProxyDraft, cx: &LineCx<'_>, how: HttpConnection) -> Result<(), Diag> {
    match cx.prefix {
        Prefix::None => draft.proxy.http_connection = how,
        _ if draft.proxy.http_connection == how => draft.proxy.http_connection = HttpConnection::KeepAlive,
        _ => {}
    }
    Ok(())
}

fn log_style(draft: &mut ProxyDraft, cx: &LineCx<'_>, style: LogStyle) -> Result<(), Diag> {
    draft.proxy.log_style = if cx.on() { style } else { LogStyle::Default };
    draft.http_log_at = cx.on().then(|| cx.line.span());
    Ok(())
}

fn forwardfor(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if cx.prefix != Prefix::None {
        draft.proxy.forward_for = None;
        return Ok(());
    }
    let mut option = ForwardFor { except: None, header: "X-Forwarded-For".to_string(), if_none: false };
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "except" => option.except = Some(addr::network(words.need("a network")?)?),
            "header" => option.header = header_name(words.need("a header name")?)?,
            "if-none" => option.if_none = true,
            _ => return Err(word.not_one_of("word", &["except", "header", "if-none"])),
        }
    }
    draft.proxy.forward_for = Some(option);
    Ok(())
}

fn originalto(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if cx.prefix != Prefix::None {
        draft.proxy.original_to = None;
        return Ok(());
    }
    let mut option = OriginalTo { except: None, header: "X-Original-To".to_string() };
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "except" => option.except = Some(addr::network(words.need("a network")?)?),
            "header" => option.header = header_name(words.need("a header name")?)?,
            _ => return Err(word.not_one_of("word", &["except", "header"])),
        }
    }
    draft.proxy.original_to = Some(option);
    Ok(())
}

fn forwarded(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    const PARTS: [&str; 6] = ["proto", "host", "by", "by_port", "for", "for_port"];
    if cx.prefix != Prefix::None {
        draft.forwarded = None;
        return Ok(());
    }
    let mut parts = Vec::new();
    while let Some(word) = words.next() {
        let name = word.text.strip_suffix("-expr").unwrap_or(&word.text);
        let Some(part) = PARTS.iter().copied().find(|part| *part == name) else {
            return Err(word.not_one_of("part", &PARTS));
        };
        let expr = match word.text.ends_with("-expr") {
            true if part == "proto" => return Err(word.not_one_of("part", &PARTS)),
            true => Some(words.need("an expression")?.clone()),
            false => None,
        };
        parts.push((part, expr));
    }
    if parts.is_empty() {
        parts = vec![("proto", None), ("for", None)];
    }
    draft.forwarded = Some(parts);
    Ok(())
}

/// A field name (RFC 9110, 5.1): a token.
pub fn header_name(word: &Word) -> Result<String, Diag> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match word.text.bytes().position(|b| !token(b)) {
        None if !word.text.is_empty() => Ok(word.text.clone()),
        None => Err(word.err("the header name is empty")),
        Some(at) => Err(word.err_at(at, 1, "this character cannot stand in a header name")),
    }
}

//! `server` and `default-server` lines: everything but TLS.

use super::value;
use crate::base::ids::{ProxyId, ServerId};
use crate::conf::addr::{self, ServerPort};
use crate::conf::draft::{LineCx, ProxyDraft, ServerDraft, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::{Word, Words};
use crate::plan::server::SendProxy;
use crate::plan::tls::ServerTls;
use crate::plan::{Server, ServerAddr};

const S: Places = Places::SERVERS;
const ONE: Places = Places::SERVER;

/// The lines themselves.
pub const LINE_ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "default-server",
        Places::BACK,
        |words, draft, cx| {
            let mut server = blank(cx);
            options(words, &mut server, Places::DEFAULT_SERVER, cx)?;
            draft.default_servers.push(cx.line.clone());
            Ok(())
        },
        doc(
            "default-server <option>...",
            "options of the \"server\" lines that follow",
            "",
            "default-server maxconn 100 weight 10",
        ),
    ),
    row(
        "server",
        Places::BACK_ONLY,
        |words, draft, cx| {
            words.need("a name")?;
            words.need("an address")?;
            words.rest();
            draft.servers.push((cx.line.clone(), draft.default_servers.len()));
            Ok(())
        },
        doc(
            "server <name> <address>[:<port>] [<option>...]",
            "a server of the backend",
            "An address is ip:port, name:port, the path of a UNIX socket or abns@<name>. Without a port the one the \
             client connected to is used, with +n or -n a port that far from it.",
            "server s1 127.0.0.1:8080 maxconn 100",
        ),
    ),
];

/// Options of the lines.
pub const ROWS: &[Keyword<ServerDraft>] = &[
    row(
        "non-stick",
        S,
        |_, draft, _| {
            draft.server.non_stick = true;
            Ok(())
        },
        doc("non-stick", "no key is bound to it by \"stick\" rules", "", "non-stick"),
    ),
    row(
        "stick",
        S,
        |_, draft, _| {
            draft.server.non_stick = false;
            Ok(())
        },
        doc("stick", "keys are bound to it again, after a \"non-stick\" of default-server", "", "stick"),
    ),
    row(
        "backup",
        S,
        |_, draft, _| {
            draft.server.backup = true;
            Ok(())
        },
        doc("backup", "serves only when no other server can", "", "backup"),
    ),
    row(
        "cookie",
        S,
        |words, draft, _| {
            draft.server.cookie = Some(super::cookie::token(words.need("a value")?, "value")?);
            Ok(())
        },
        doc(
            "cookie <value>",
            "the value that stands for this server in a persistence cookie",
            "",
            "cookie s1",
        ),
    ),
    row(
        "disabled",
        S,
        |_, draft, _| {
            draft.server.disabled = true;
            Ok(())
        },
        doc("disabled", "starts in maintenance", "", "disabled"),
    ),
    row(
        "enabled",
        S,
        |_, draft, _| {
            draft.server.disabled = false;
            Ok(())
        },
        doc("enabled", "the opposite of \"disabled\"", "", "enabled"),
    ),
    row(
        "id",
        ONE,
        |words, draft, _| {
            let word = words.need("a number")?;
            draft.server.puid = word.int_in(1..=i64::from(i32::MAX))? as u32;
            draft.puid_at = Some(word.at);
            Ok(())
        },
        doc("id <number>", "the number of this server within its backend", "", "id 7"),
    ),
    row("init-addr", S, |words, _, _| init_addr(words.need("methods")?), INIT_ADDR),
    row(
        "max-reuse",
        S,
        |words, draft, _| {
            let times = words.need("a number")?.int_in(-1..=i64::from(i32::MAX))?;
            draft.server.max_reuse = u32::try_from(times).ok();
            Ok(())
        },
        doc("max-reuse <number>", "times a connection is reused; -1: any", "", "max-reuse 1000"),
    ),
    row(
        "maxconn",
        S,
        |words, draft, _| {
            draft.server.maxconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc(
            "maxconn <number>",
            "concurrent connections to this server, over all workers",
            "More requests wait in a queue. 0: any.",
            "maxconn 100",
        ),
    ),
    row(
        "maxqueue",
        S,
        |words, draft, _| {
            draft.server.maxqueue = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxqueue <number>", "requests that may wait for this server; 0: any", "", "maxqueue 50"),
    ),
    row(
        "minconn",
        S,
        |words, draft, _| {
            draft.server.minconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc(
            "minconn <number>",
            "makes \"maxconn\" follow the load",
            "From this much up to \"maxconn\", as the backend's load rises to \"fullconn\".",
            "minconn 10",
        ),
    ),
    row(
        "no-backup",
        S,
        |_, draft, _| {
            draft.server.backup = false;
            Ok(())
        },
        doc("no-backup", "the opposite of \"backup\"", "", "no-backup"),
    ),
    row("no-send-proxy", S, |_, draft, _| no_send_proxy(draft), NO_SEND_PROXY),
    row("no-send-proxy-v2", S, |_, draft, _| no_send_proxy(draft), NO_SEND_PROXY),
    row("no-send-proxy-v2-ssl", S, |_, draft, _| no_send_proxy(draft), NO_SEND_PROXY),
    row("no-send-proxy-v2-ssl-cn", S, |_, draft, _| no_send_proxy(draft), NO_SEND_PROXY),
    row(
        "pool-max-conn",
        S,
        |words, draft, _| {
            let most = words.need("a number")?.int_in(-1..=i64::from(i32::MAX))?;
            draft.server.pool_max_conn = u32::try_from(most).ok();
            Ok(())
        },
        doc("pool-max-conn <number>", "idle connections kept; -1: any, 0: none", "", "pool-max-conn 100"),
    ),
    row(
        "pool-purge-delay",
        S,
        |words, draft, _| {
            draft.server.pool_purge_delay = words.need("a time")?.time_ms()?;
            Ok(())
        },
        doc(
            "pool-purge-delay <time>",
            "how often half of the idle connections nobody used are closed",
            "Default 5s; 0: never.",
            "pool-purge-delay 10s",
        ),
    ),
    row(
        "proto",
        S,
        |words, _, _| super::bind::protocol(words.need("h1 or none")?),
        doc("proto h1|none", "the protocol spoken, whatever ALPN says", "", "proto h1"),
    ),
    row("proxy-v2-options", S, |words, draft, _| v2_options(words.need("options")?, draft), V2_OPTIONS),
    row(
        "redir",
        S,
        |words, draft, _| {
            draft.server.redir = Some(value::text(words.need("a prefix")?)?);
            Ok(())
        },
        doc(
            "redir <prefix>",
            "send clients there instead of passing GET and HEAD requests on",
            "",
            "redir https://s1.example.org",
        ),
    ),
    row("send-proxy", S, |_, draft, _| send_proxy(draft, 1, |_| {}), SEND_PROXY),
    row("send-proxy-v2", S, |_, draft, _| send_proxy(draft, 2, |_| {}), SEND_PROXY_V2),
    row("send-proxy-v2-ssl", S, |_, draft, _| send_proxy(draft, 2, |how| how.ssl = true), SEND_PROXY_SSL),
    row(
        "send-proxy-v2-ssl-cn",
        S,
        |_, draft, _| {
            send_proxy(draft, 2, |how| {
                how.ssl = true;
                how.cert_cn = true;
            })
        },
        SEND_PROXY_SSL,
    ),
    row(
        "source",
        S,
        |words, draft, cx| {
            draft.server.source = Some(addr::ip_port(words.need("an address")?, cx.resolve)?);
            match words.peek() {
                Some(word) if word.is("usesrc") || word.is("interface") => {
                    Err(word.err(format!("\"{}\" is known, not supported yet", word.text)))
                }
                _ => Ok(()),
            }
        },
        doc("source <address>[:<port>]", "the address to connect from", "", "source 127.0.0.1"),
    ),
    row(
        "tcp-ut",
        S,
        |words, draft, _| {
            draft.server.tcp_user_timeout = words.need("a time")?.time_ms()?;
            Ok(())
        },
        doc("tcp-ut <time>", "how long sent bytes may stay unacknowledged", "", "tcp-ut 30s"),
    ),
    row(
        "weight",
        S,
        |words, draft, _| {
            draft.server.weight = words.need("a number")?.int_in(0..=256)? as u32;
            Ok(())
        },
        doc(
            "weight <number>",
            "share of the load, 0 to 256",
            "Default 1. 0: only persistent clients.",
            "weight 10",
        ),
    ),
];

const INIT_ADDR: crate::base::doc::Doc = doc(
    "init-addr <method>[,<method>]...",
    "how the address is found at start",
    "\"last\", \"libc\", \"none\" or an address. Names are resolved by the system at start, and must be known then.",
    "init-addr libc",
);

const NO_SEND_PROXY: crate::base::doc::Doc =
    doc("no-send-proxy", "the opposite of \"send-proxy\"", "", "no-send-proxy");

const SEND_PROXY: crate::base::doc::Doc = doc(
    "send-proxy",
    "begin each connection with a PROXY header, version 1",
    "The server learns the client's address; it must expect the header.",
    "send-proxy",
);

const SEND_PROXY_V2: crate::base::doc::Doc =
    doc("send-proxy-v2", "begin each connection with a PROXY header, version 2", "", "send-proxy-v2");

const SEND_PROXY_SSL: crate::base::doc::Doc = doc(
    "send-proxy-v2-ssl|send-proxy-v2-ssl-cn",
    "as \"send-proxy-v2\", with what is known of the client's TLS",
    "With -cn also the name in the client's certificate.",
    "send-proxy-v2-ssl",
);

const V2_OPTIONS: crate::base::doc::Doc = doc(
    "proxy-v2-options <option>[,<option>]...",
    "what a PROXY header of version 2 also tells",
    "ssl, cert-cn, ssl-cipher, cert-sig, cert-key, authority, crc32c, unique-id.",
    "send-proxy-v2 proxy-v2-options ssl,authority",
);

/// A server of which nothing is known.
fn blank(cx: &LineCx<'_>) -> ServerDraft {
    let addr = ServerAddr::Inet(([0, 0, 0, 0], 0).into());
    let mut server = Server::new(ServerId(0), ProxyId(0), "", addr);
    server.at = cx.at(cx.line.at());
    ServerDraft {
        server,
        tls: ServerTls::default(),
        ssl: false,
        verify: false,
        versions: Versions::default(),
        sni: None,
        sni_auto: false,
        puid_at: None,
        at: cx.line.at(),
    }
}

fn options(
    words: &mut Words<'_>,
    server: &mut ServerDraft,
    place: Places,
    cx: &mut LineCx<'_>,
) -> Result<(), Diag> {
    let outer = std::mem::replace(&mut cx.place, place);
    let result = super::SERVER_INDEX.options(words, server, cx);
    cx.place = outer;
    result
}

/// Makes the server of a `server` line, after the `default-server` lines before it. Called by `link`.
pub fn make(draft: &ProxyDraft, nth: usize, cx: &mut LineCx<'_>) -> Result<ServerDraft, Diag> {
    let (line, defaults) = &draft.servers[nth];
    let mut server = blank(cx);
    super::server_tls::begin(&mut server, cx)?;
    let replayed = std::mem::replace(&mut cx.replayed, true);
    for default in &draft.default_servers[..*defaults] {
        let mut words = default.cursor();
        words.next();
        // It was judged where it was written.
        let _ = options(&mut words, &mut server, Places::DEFAULT_SERVER, cx);
    }
    cx.replayed = replayed;
    let mut words = line.cursor();
    words.next();
    let name = words.need("a name")?;
    check_name(name)?;
    server.server.name = name.text.clone();
    server.at = name.at;
    let (addr, port) = addr::server(words.need("an address")?, cx.resolve)?;
    server.server.addr = addr;
    server.server.port_offset = match port {
        ServerPort::Fixed => None,
        ServerPort::Mapped(offset) => Some(offset),
    };
    options(&mut words, &mut server, Places::SERVER, cx)?;
    super::server_tls::finish(&mut server, line.span(), cx)?;
    Ok(server)
}

fn check_name(name: &Word) -> Result<(), Diag> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    match name.text.find(|c| !fine(c)) {
        None if !name.text.is_empty() => Ok(()),
        None => Err(name.err("the name is empty")),
        Some(at) => {
            Err(name.err_at(at, 1, "a server name is made of letters, digits and \"-\", \"_\", \".\", \":\""))
        }
    }
}

fn no_send_proxy(draft: &mut ServerDraft) -> Result<(), Diag> {
    draft.server.send_proxy = None;
    Ok(())
}

fn send_proxy(draft: &mut ServerDraft, version: u8, more: fn(&mut SendProxy)) -> Result<(), Diag> {
    let how = draft.server.send_proxy.get_or_insert_with(SendProxy::default);
    how.version = version;
    more(how);
    Ok(())
}

fn v2_options(word: &Word, draft: &mut ServerDraft) -> Result<(), Diag> {
    let how = draft.server.send_proxy.get_or_insert_with(|| SendProxy { version: 2, ..SendProxy::default() });
    let mut at = 0;
    for option in word.text.split(',') {
        match option {
            "ssl" => how.ssl = true,
            "cert-cn" => (how.ssl, how.cert_cn) = (true, true),
            "ssl-cipher" => (how.ssl, how.ssl_cipher) = (true, true),
            "cert-sig" => (how.ssl, how.cert_sig) = (true, true),
            "cert-key" => (how.ssl, how.cert_key) = (true, true),
            "authority" => how.authority = true,
            "crc32c" => how.crc32c = true,
            "unique-id" => how.unique_id = true,
            _ => {
                const KNOWN: &[&str] = &[
                    "ssl",
                    "cert-cn",
                    "ssl-cipher",
                    "cert-sig",
                    "cert-key",
                    "authority",
                    "crc32c",
                    "unique-id",
                ];
                let at = word.part(at, option.len());
                return Err(Word { text: option.to_string(), at }.not_one_of("option", KNOWN));
            }
        }
        at += option.len() + 1;
    }
    Ok(())
}

fn init_addr(word: &Word) -> Result<(), Diag> {
    for method in word.text.split(',') {
        let known = matches!(method, "last" | "libc" | "none") || method.parse::<std::net::IpAddr>().is_ok();
        if !known {
            return Err(word.not_one_of("method", &["last", "libc", "none"]));
        }
    }
    Ok(())
}

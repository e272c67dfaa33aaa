//! `bind` lines: the address and everything but TLS. `stats socket` lines use the same words.

use super::value;
use crate::base::ids::{ListenerId, ProxyId};
use crate::conf::addr;
use crate::conf::draft::{BindDraft, LineCx, ProxyDraft, Versions};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::{Word, Words};
use crate::plan::global::CliLevel;
use crate::plan::tls::BindTls;
use crate::plan::{BindAddr, Listener};

const B: Places = Places::BIND;
const BOTH: Places = Places::BIND.and(Places::CLI);

/// The line itself.
pub const LINE_ROWS: &[Keyword<ProxyDraft>] = &[row(
    "bind",
    Places::FRONT_ONLY,
    |words, draft, cx| {
        let word = words.need("an address (like :80)")?;
        let addrs = addr::bind(word, cx.resolve)?;
        let mut bind = options(words, word.at, Places::BIND, cx)?;
        bind.addrs = addrs.into_iter().map(|addr| prefixed(addr, cx)).collect();
        draft.binds.push(bind);
        Ok(())
    },
    doc(
        "bind <address>[,<address>]... [<option>...]",
        "where a frontend listens",
        "An address is ip:port, :port (all of IPv4), [::]:port, a port range ip:first-last, the path of a UNIX socket, \
         abns@<name>, or fd@<n> for a socket that was inherited. ipv4@, ipv6@ and unix@ before it force a family.",
        "bind :8080,[::1]:8080 name main",
    ),
)];

/// Options of the line.
pub const ROWS: &[Keyword<BindDraft>] = &[
    row(
        "accept-proxy",
        B,
        |_, draft, _| {
            draft.listener.accept_proxy = true;
            Ok(())
        },
        doc(
            "accept-proxy",
            "every connection begins with a PROXY protocol header",
            "Version 1 or 2. The addresses in it count as the client's, so only trusted peers may connect.",
            "accept-proxy",
        ),
    ),
    row(
        "backlog",
        BOTH,
        |words, draft, _| {
            draft.listener.backlog = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("backlog <number>", "connections that may wait in the kernel", "", "backlog 10000"),
    ),
    row(
        "defer-accept",
        B,
        |_, draft, _| {
            draft.listener.defer_accept = true;
            Ok(())
        },
        doc("defer-accept", "accept only once the first bytes are there", "", "defer-accept"),
    ),
    row(
        "gid",
        BOTH,
        |words, draft, _| {
            draft.listener.unix_gid = Some(words.need("a group number")?.uint()?);
            Ok(())
        },
        doc("gid <number>", "group of a UNIX socket", "", "gid 0"),
    ),
    row(
        "group",
        BOTH,
        |words, draft, _| {
            draft.listener.unix_gid = Some(value::group(words.need("a group name")?)?);
            Ok(())
        },
        doc("group <name>", "group of a UNIX socket", "", "group root"),
    ),
    row(
        "id",
        BOTH,
        |words, draft, _| {
            let word = words.need("a number")?;
            draft.listener.puid = word.int_in(1..=i64::from(i32::MAX))? as u32;
            draft.puid_at = Some(word.at);
            Ok(())
        },
        doc("id <number>", "the number of this listener in statistics", "", "id 7"),
    ),
    row(
        "interface",
        B,
        |words, draft, _| {
            draft.listener.interface = Some(value::text(words.need("an interface name")?)?);
            Ok(())
        },
        doc("interface <name>", "accept only what comes in there", "", "interface lo"),
    ),
    row(
        "level",
        BOTH,
        |words, draft, _| {
            let word = words.need("user, operator or admin")?;
            draft.level = match word.text.as_str() {
                "user" => CliLevel::User,
                "operator" => CliLevel::Operator,
                "admin" => CliLevel::Admin,
                _ => return Err(word.not_one_of("level", &["user", "operator", "admin"])),
            };
            Ok(())
        },
        doc(
            "level user|operator|admin",
            "what clients of a command socket may do",
            "user: look at what is not sensitive. operator, the default: look at everything. admin: change things.",
            "level admin",
        ),
    ),
    row(
        "maxconn",
        BOTH,
        |words, draft, _| {
            draft.listener.maxconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("maxconn <number>", "concurrent connections of this address", "", "maxconn 1000"),
    ),
    row(
        "mode",
        BOTH,
        |words, draft, _| {
            draft.listener.unix_mode = Some(value::mode(words.need("a file mode")?)?);
            Ok(())
        },
        doc("mode <mode>", "file mode of a UNIX socket, octal", "", "mode 660"),
    ),
    row(
        "mss",
        B,
        |words, draft, _| {
            let word = words.need("a number of bytes")?;
            draft.listener.mss = word.int_in(-65_535..=65_535)? as i32;
            Ok(())
        },
        doc("mss <bytes>", "largest TCP segment told to clients", "A negative value lowers the kernel's.", "mss 1200"),
    ),
    row(
        "name",
        BOTH,
        |words, draft, _| {
            draft.listener.name = Some(value::text(words.need("a name")?)?);
            Ok(())
        },
        doc("name <name>", "the name of this listener in logs and statistics", "", "name public"),
    ),
    row(
        "nice",
        B,
        |words, draft, _| {
            draft.listener.nice = words.need("a number")?.int_in(-1024..=1024)? as i16;
            Ok(())
        },
        doc(
            "nice <number>",
            "priority of what is accepted here, -1024 to 1024",
            "Smaller runs earlier. 0 is the default.",
            "nice 20",
        ),
    ),
    row(
        "proto",
        B,
        |words, _, _| protocol(words.need("h1 or none")?),
        doc("proto h1|none", "the protocol spoken, whatever ALPN says", "\"none\" is for mode tcp.", "proto h1"),
    ),
    row(
        "tcp-ut",
        B,
        |words, draft, _| {
            draft.listener.tcp_user_timeout = words.need("a time")?.time_ms()?;
            Ok(())
        },
        doc("tcp-ut <time>", "how long sent bytes may stay unacknowledged", "", "tcp-ut 30s"),
    ),
    row(
        "tfo",
        B,
        |_, draft, _| {
            draft.listener.tcp_fastopen = true;
            Ok(())
        },
        doc("tfo", "TCP Fast Open: accept data in the first packet", "", "tfo"),
    ),
    row(
        "transparent",
        B,
        |_, draft, _| {
            draft.listener.transparent = true;
            Ok(())
        },
        doc("transparent", "accept connections to addresses this box does not have", "", "transparent"),
    ),
    row(
        "uid",
        BOTH,
        |words, draft, _| {
            draft.listener.unix_uid = Some(words.need("a user number")?.uint()?);
            Ok(())
        },
        doc("uid <number>", "owner of a UNIX socket", "", "uid 0"),
    ),
    row(
        "user",
        BOTH,
        |words, draft, _| {
            draft.listener.unix_uid = Some(value::user(words.need("a user name")?)?);
            Ok(())
        },
        doc("user <name>", "owner of a UNIX socket", "", "user root"),
    ),
    row(
        "v4v6",
        B,
        |_, draft, _| {
            draft.listener.v6only = Some(false);
            Ok(())
        },
        doc("v4v6", "an IPv6 address takes IPv4 too", "", "v4v6"),
    ),
    row(
        "v6only",
        B,
        |_, draft, _| {
            draft.listener.v6only = Some(true);
            Ok(())
        },
        doc("v6only", "an IPv6 address takes IPv6 only", "", "v6only"),
    ),
];

/// Reads the options of a `bind` or `stats socket` line.
pub fn options(
    words: &mut Words<'_>,
    addr_at: Span,
    place: Places,
    cx: &mut LineCx<'_>,
) -> Result<BindDraft, Diag> {
    let at = cx.line.span();
    // The true number, proxy and address are given by `link`.
    let mut listener = Listener::new(ListenerId(0), ProxyId(0), BindAddr::Fd(-1));
    listener.at = cx.at(at);
    listener.unix_mode = cx.base.unix_mode;
    listener.unix_uid = cx.base.unix_uid;
    listener.unix_gid = cx.base.unix_gid;
    let tls = BindTls::default();
    let mut bind = BindDraft {
        listener,
        addrs: Vec::new(),
        tls,
        ssl: false,
        versions: Versions::default(),
        tls_at: None,
        lists: Vec::new(),
        files: None,
        level: CliLevel::Operator,
        puid_at: None,
        at,
        addr_at,
    };
    let outer = std::mem::replace(&mut cx.place, place);
    let result = super::bind_tls::begin(&mut bind, cx).and_then(|()| {
        cx.place = place;
        super::BIND_INDEX.options(words, &mut bind, cx)
    });
    cx.place = outer;
    result?;
    super::bind_tls::finish(&mut bind, cx)?;
    Ok(bind)
}

/// `proto`: what is built.
pub fn protocol(word: &Word) -> Result<(), Diag> {
    match word.text.as_str() {
        "h1" | "none" => Ok(()),
        "h2" | "fcgi" | "spop" | "quic" => {
            Err(word.err(format!("\"{}\" is known, not supported yet", word.text)))
        }
        _ => Err(word.not_one_of("protocol", &["h1", "none"])),
    }
}

fn prefixed(addr: BindAddr, cx: &LineCx<'_>) -> BindAddr {
    match (addr, &cx.base.unix_prefix) {
        (BindAddr::Unix(path), Some(prefix)) => {
            let mut whole = std::ffi::OsString::from(prefix);
            whole.push(path);
            BindAddr::Unix(whole.into())
        }
        (addr, _) => addr,
    }
}

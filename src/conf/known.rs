//! Words of HAProxy 1.4 to 3.x that have no row yet. Asked by the driver before it calls a word unknown,
//! so that a file written for HAProxy gets a clear answer for each of them.
//!
//! Two kinds: words that would change what the proxy does are refused as "known, not supported yet"
//! ([`LATER`]); words whose absence nobody can notice (they tune a part that is built otherwise, or ask for
//! what is always so) are passed over with a notice ([`IGNORED`]). A word leaves these lists when it gets
//! its row; a test sees to that.

use super::driver::Places;
use crate::lang::diag::{Diag, Level};
use crate::lang::word::Word;

const G: Places = Places::GLOBAL;
const P: Places = Places::PROXY;
const B: Places = Places(Places::BIND.0 | Places::CLI.0 | Places::BIND_OPTIONS.0);
const L: Places = Places::CRT_LIST;
const T: Places = Places(Places::CRT_STORE.0 | Places::LOAD.0);
const S: Places = Places(Places::SERVERS.0 | Places::SERVER_OPTIONS.0);

/// An error for a word that is known and not built; `word` is the one to point at.
pub fn later(text: &str, word: &Word, place: Places) -> Option<Diag> {
    if text == "appsession" && place.meets(P) {
        let help = "a table does the same: \"stick-table type string len 52 size 1m expire 30m\", \"stick store-response \
                    res.cook(NAME)\" and \"stick match req.cook(NAME)\"";
        return Some(word.err("\"appsession\" is gone from the language").help(help));
    }
    let known = LATER.iter().any(|(places, words)| places.meets(place) && words.contains(&text));
    known.then(|| word.err(format!("\"{text}\" is known, not supported yet")))
}

/// A notice for a word that may be passed over. `both` is the word with the one behind it.
pub fn ignored(both: &str, word: &Word, place: Places) -> Option<Diag> {
    let is = |known: &str| known == both || known == word.text;
    let known = IGNORED.iter().filter(|(places, _)| places.meets(place));
    let found = known.flat_map(|(_, words)| words.iter()).find(|(known, _)| is(known))?;
    Some(word.diag(Level::Notice, format!("\"{}\" is read and passed over: {}", found.0, found.1)))
}

/// All words of a place, for suggestions.
pub fn words(place: Places) -> impl Iterator<Item = &'static str> {
    let later =
        LATER.iter().filter(move |(at, _)| at.meets(place)).flat_map(|(_, words)| words.iter().copied());
    let ignored = IGNORED.iter().filter(move |(at, _)| at.meets(place));
    later.chain(ignored.flat_map(|(_, words)| words.iter().map(|(word, _)| *word)))
}

/// How many words an option that is passed over takes: all words of a line but for options of `bind` and
/// `server`, where the next option follows.
pub fn ignored_arguments(word: &str) -> usize {
    const WITH_ONE: &[&str] = &[
        "agent-inter",
        "check-alpn",
        "check-proto",
        "check-sni",
        "downinter",
        "error-limit",
        "expose-fd",
        "fall",
        "fastinter",
        "inter",
        "observe",
        "on-error",
        "on-marked-down",
        "npn",
        "on-marked-up",
        "pool-low-conn",
        "port",
        "process",
        "rise",
        "severity-output",
        "shard",
        "shards",
        "slowstart",
        "thread",
        "ws",
    ];
    usize::from(WITH_ONE.contains(&word))
}

/// Known, not built.
pub const LATER: &[(Places, &[&str])] =
    &[(G, GLOBAL), (P, PROXY), (P, PROXY_OPTIONS), (B, BIND), (L, CRT_LIST), (T, CRT_STORE), (S, SERVER)];

/// Passed over, with the reason.
pub const IGNORED: &[(Places, &[(&str, &str)])] =
    &[(G, GLOBAL_IGNORED), (P, PROXY_IGNORED), (B, BIND_IGNORED), (L, CRT_LIST_IGNORED), (S, SERVER_IGNORED)];

#[rustfmt::skip]
const GLOBAL: &[&str] = &[
    "51degrees-allow-unmatched", "51degrees-cache-size", "51degrees-data-file", "51degrees-difference",
    "51degrees-drift", "51degrees-property-name-list", "51degrees-property-separator", "51degrees-use-performance-graph",
    "51degrees-use-predictive-graph", "acme.scheduler", "ca-file", "cluster-secret", "default-path",
    "deviceatlas-json-file", "deviceatlas-log-level", "deviceatlas-properties-cookie", "deviceatlas-separator",
    "email-alert", "external-check", "h1-accept-payload-with-any-method", "h1-case-adjust", "h1-case-adjust-file",
    "h1-do-not-close-on-insecure-transfer-encoding", "httpclient.resolvers.disabled",
    "httpclient.resolvers.id", "httpclient.resolvers.prefer", "httpclient.retries", "httpclient.ssl.ca-file",
    "httpclient.ssl.verify", "httpclient.timeout.connect", "jwt.decrypt_alg_list",
    "lua-load", "lua-load-per-thread", "lua-prepend-path", "maxcompcpuusage", "maxcomprate", "maxpipes", "maxzlibmem",
    "namespace_list", 
    "ot", "server-state-base", "server-state-file", "setcap",
    "ssl-default-bind-client-sigalgs", "ssl-default-server-client-sigalgs", "ssl-dh-param-file", "ssl-engine",
    "ssl-f-use", "ssl-passphrase-cmd", "ssl-propquery", "ssl-provider",
    "ssl-provider-path", "ssl-security-level", "ssl-skip-self-issued-ca", "stats admin", "stats-file",
    "tune.disable-zero-copy-forwarding", "tune.lua.bool-sample-conversion",
    "use-fcgi-app", "wait-ssl-conn",
    "wurfl-cache-size", "wurfl-data-file", "wurfl-engine-mode", "wurfl-information-list",
    "wurfl-information-list-separator", "wurfl-patch-file", "wurfl-useragent-priority",
];

#[rustfmt::skip]
const GLOBAL_IGNORED: &[(&str, &str)] = &[
    ("anonkey", "nothing is anonymised here"),
    ("tune.http.cookielen", "captures are as long as their lines say"),
    ("busy-polling", "an idle worker sleeps"),
    ("close-spread-time", "idle connections are closed as they come"),
    ("cpu-policy", "\"cpu-map\" says where workers run"),
    ("cpu-set", "\"cpu-map\" says where workers run"),
    ("debug", "use -d on the command line"),
    ("dns-accept-family", "names are resolved by the system"),
    ("expose-deprecated-directives", "nothing is hidden"),
    ("expose-experimental-directives", "nothing is hidden"),
    ("force-cfg-parser-pause", "reading a configuration takes no pause"),
    ("grace", "listeners close at once"),
    ("h2-workaround-bogus-websocket-clients", "HTTP/2 is not built yet"),
    ("harden.reject-privileged-ports.quic", "QUIC is not built"),
    ("harden.reject-privileged-ports.tcp", "ports are not judged"),
    ("insecure-fork-wanted", "workers never start programs"),
    ("insecure-setuid-wanted", "workers never start programs"),
    ("limited-quic", "QUIC is not built"),
    ("localpeer", "peers are not built yet"),
    ("log-server-hostname", "see \"log-send-hostname\""),
    ("max-spread-checks", "health checks are not built yet"),
    ("mworker-max-reloads", "old generations leave on their own"),
    ("no-memory-trimming", "memory is not trimmed"),
    ("no-quic", "QUIC is not built"),
    ("noepoll", "there is one way to poll on each system"),
    ("noevports", "there is one way to poll on each system"),
    ("nogetaddrinfo", "names are resolved by the system"),
    ("noktls", "kernel TLS is not used"),
    ("nokqueue", "there is one way to poll on each system"),
    ("nopoll", "there is one way to poll on each system"),
    ("noreuseport", "each worker has its own socket of each address"),
    ("nosplice", "splicing is used only where a proxy asks for it"),
    ("numa-cpu-mapping", "\"cpu-map\" says where workers run"),
    ("pp2-never-send-local", "headers of own connections are not sent"),
    ("prealloc-fd", "descriptor tables grow as needed"),
    ("profiling.memory", "there is no profiler inside"),
    ("profiling.memory.on", "there is no profiler inside"),
    ("profiling.tasks", "there is no profiler inside"),
    ("profiling.tasks.on", "there is no profiler inside"),
    ("set-dumpable", "the system's settings count"),
    ("shm-stats-file", "counters are shared among workers already"),
    ("shm-stats-file-max-objects", "counters are shared among workers already"),
    ("spread-checks", "health checks are not built yet"),
    ("ssl-mode-async", "handshakes do not wait for engines"),
    ("stats bind-process", "all workers answer as one"),
    ("stress-level", "made for the developers of HAProxy"),
    ("strict-limits", "limits that cannot be set are errors"),
    ("thread-group", "there are no threads: workers are processes"),
    ("thread-groups", "there are no threads: workers are processes"),
    ("thread-hard-limit", "there are no threads: workers are processes"),
    ("tune.applet.zero-copy-forwarding", "it has no counterpart here"),
    ("tune.buffers.reserve", "buffers come from a pool that grows"),
    ("tune.bufsize.large", "buffers grow as needed"),
    ("tune.bufsize.small", "an idle connection owns no buffer"),
    ("tune.chksize", "the size of a buffer counts"),
    ("tune.comp.maxlevel", "compression is not built yet"),
    ("tune.defaults.purge", "defaults are not kept"),
    ("tune.epoll.mask-events", "it has no counterpart here"),
    ("tune.events.max-events-at-once", "it has no counterpart here"),
    ("tune.fail-alloc", "made for the developers of HAProxy"),
    ("tune.fd.edge-triggered", "polling is edge-triggered always"),
    ("tune.glitches.kill.cpu-usage", "it has no counterpart here"),
    ("tune.h1.zero-copy-fwd-recv", "it has no counterpart here"),
    ("tune.h1.zero-copy-fwd-send", "it has no counterpart here"),
    ("tune.h1.be.glitches-threshold", "it has no counterpart here"),
    ("tune.h1.fe.glitches-threshold", "it has no counterpart here"),
    ("tune.h2.be.glitches-threshold", "HTTP/2 is not built yet"),
    ("tune.h2.be.initial-window-size", "HTTP/2 is not built yet"),
    ("tune.h2.be.max-concurrent-streams", "HTTP/2 is not built yet"),
    ("tune.h2.be.max-frames-at-once", "HTTP/2 is not built yet"),
    ("tune.h2.be.rxbuf", "HTTP/2 is not built yet"),
    ("tune.h2.fe.glitches-threshold", "HTTP/2 is not built yet"),
    ("tune.h2.fe.initial-window-size", "HTTP/2 is not built yet"),
    ("tune.h2.fe.max-concurrent-streams", "HTTP/2 is not built yet"),
    ("tune.h2.fe.max-frames-at-once", "HTTP/2 is not built yet"),
    ("tune.h2.fe.max-rst-at-once", "HTTP/2 is not built yet"),
    ("tune.h2.fe.max-total-streams", "HTTP/2 is not built yet"),
    ("tune.h2.fe.rxbuf", "HTTP/2 is not built yet"),
    ("tune.h2.header-table-size", "HTTP/2 is not built yet"),
    ("tune.h2.initial-window-size", "HTTP/2 is not built yet"),
    ("tune.h2.log-errors", "HTTP/2 is not built yet"),
    ("tune.h2.max-concurrent-streams", "HTTP/2 is not built yet"),
    ("tune.h2.max-frame-size", "HTTP/2 is not built yet"),
    ("tune.h2.zero-copy-fwd-send", "HTTP/2 is not built yet"),
    ("tune.idle-pool.shared", "each worker has its own idle connections"),
    ("tune.idletimer", "record sizes follow the traffic"),
    ("tune.listener.default-shards", "each worker has its own socket of each address"),
    ("tune.listener.multi-queue", "each worker has its own socket of each address"),
    ("tune.lua.burst-timeout", "Lua is not built"),
    ("tune.lua.forced-yield", "Lua is not built"),
    ("tune.lua.log.loggers", "Lua is not built"),
    ("tune.lua.log.stderr", "Lua is not built"),
    ("tune.lua.maxmem", "Lua is not built"),
    ("tune.lua.openlibs", "Lua is not built"),
    ("tune.lua.service-timeout", "Lua is not built"),
    ("tune.lua.session-timeout", "Lua is not built"),
    ("tune.lua.task-timeout", "Lua is not built"),
    ("tune.max-checks-per-thread", "health checks are not built yet"),
    ("tune.max-rules-at-once", "rules run in one go"),
    ("tune.memory.hot-size", "it has no counterpart here"),
    ("tune.notsent-lowat.client", "the system's setting counts"),
    ("tune.notsent-lowat.server", "the system's setting counts"),
    ("tune.pattern.cache-size", "patterns need no cache"),
    ("tune.peers.max-updates-at-once", "peers are not built yet"),
    ("tune.pipesize", "the system's setting counts"),
    ("tune.pool-high-fd-ratio", "idle connections have limits of their own"),
    ("tune.pool-low-fd-ratio", "idle connections have limits of their own"),
    ("tune.pt.zero-copy-forwarding", "it has no counterpart here"),
    ("tune.rcvbuf.backend", "the system's setting counts"),
    ("tune.rcvbuf.frontend", "the system's setting counts"),
    ("tune.recv_enough", "one read fills a buffer"),
    ("tune.renice.runtime", "the system's setting counts"),
    ("tune.renice.startup", "the system's setting counts"),
    ("tune.ring.queues", "it has no counterpart here"),
    ("tune.sched.low-latency", "the order of tasks is fair already"),
    ("tune.sndbuf.backend", "the system's setting counts"),
    ("tune.sndbuf.frontend", "the system's setting counts"),
    ("tune.ssl.capture-cipherlist-size", "the ClientHello is kept as long as rules need it"),
    ("tune.ssl.certificate-compression", "certificates are not compressed"),
    ("tune.ssl.default-dh-param", "finite-field Diffie-Hellman is not used"),
    ("tune.ssl.force-private-cache", "the session cache is shared among workers"),
    ("tune.ssl.hard-maxrecord", "see \"tune.ssl.maxrecord\""),
    ("tune.ssl.ssl-ctx-cache-size", "certificates are not made on the fly"),
    ("tune.takeover-other-tg-connections", "there are no threads: workers are processes"),
    ("tune.zlib.memlevel", "compression is not built yet"),
    ("tune.zlib.windowsize", "compression is not built yet"),
    ("tune.quic.be.max-idle-timeout", "QUIC is not built"),
    ("tune.quic.disable-udp-gso", "QUIC is not built"),
    ("tune.quic.fe.cc.hystart", "QUIC is not built"),
    ("tune.quic.fe.max-idle-timeout", "QUIC is not built"),
    ("tune.quic.frontend.conn-tx-buffers.limit", "QUIC is not built"),
    ("tune.quic.frontend.glitches-threshold", "QUIC is not built"),
    ("tune.quic.frontend.max-data-size", "QUIC is not built"),
    ("tune.quic.frontend.max-idle-timeout", "QUIC is not built"),
    ("tune.quic.frontend.max-streams-bidi", "QUIC is not built"),
    ("tune.quic.frontend.max-tx-mem", "QUIC is not built"),
    ("tune.quic.frontend.stream-data-ratio", "QUIC is not built"),
    ("tune.quic.listen", "QUIC is not built"),
    ("tune.quic.max-frame-loss", "QUIC is not built"),
    ("tune.quic.mem.tx-max", "QUIC is not built"),
    ("tune.quic.reorder-ratio", "QUIC is not built"),
    ("tune.quic.retry-threshold", "QUIC is not built"),
    ("tune.quic.socket-owner", "QUIC is not built"),
    ("tune.quic.zero-copy-fwd-send", "QUIC is not built"),
    ("warn-blocked-traffic-after", "a worker that stands still is noticed by the others"),
];

#[rustfmt::skip]
const PROXY: &[&str] = &[
    "appsession",
    "clitcpka-cnt", "clitcpka-idle", "clitcpka-intvl", "compression",
    "dispatch", "email-alert", "external-check", "filter",
    "filter-sequence",  "fe-ssl-conn", "guid",
    "hash-preserve-affinity", "http-check", "http-drop-request-trailers", "http-drop-response-trailers",
    "load-server-state-from-file", "log-format-sd",
    "log-steps", "max-session-srv-conns", "monitor-net",
    "publish", "quic-initial",
    "server-state-file-name",
    "server-template", "srvtcpka-cnt", "srvtcpka-idle", "srvtcpka-intvl", "stats", 
    "tcp-check", "transparent", "use-fcgi-app", 
    "http-request cache-use", "http-response cache-store", "mode log", "mode spop", "balance log-hash",
    "tcp-response inspect",
];

#[rustfmt::skip]
const PROXY_OPTIONS: &[&str] = &[
    "option disable-h2-upgrade", "option external-check", 
    "option h1-case-adjust-bogus-client", "option h1-case-adjust-bogus-server", "option http-drop-request-trailers",
    "option http-drop-response-trailers", "option http-use-proxy-header",
    "option http_proxy", "option httpchk", "option ldap-check", "option mysql-check",
    "option pgsql-check", "option redis-check", "option smtpchk", "option spop-check",
    "option ssl-hello-chk", "option tcp-check", "option transparent", "option use-small-buffers",
];

#[rustfmt::skip]
const PROXY_IGNORED: &[(&str, &str)] = &[
    ("force-be-switch", "a backend takes what it is given unless it is disabled"),
    ("bind-process", "every worker serves every frontend"),
    ("max-keep-alive-queue", "queues are judged by \"maxqueue\""),
    ("option contstats", "counters always go on while a transfer lasts"),
    ("option http-tunnel", "tunnels begin with 101 and CONNECT only"),
    ("option http-use-htx", "there is one way to read HTTP"),
    ("option idle-close-on-response", "idle connections are closed politely"),
    ("option log-health-checks", "health checks are not built yet"),
    ("option nolinger", "sockets are closed politely"),
    ("option prefer-last-server", "a kept connection is preferred where it can be"),
    ("option tcp-smart-accept", "packets are merged where they can be"),
    ("option tcp-smart-connect", "packets are merged where they can be"),
    ("grace", "listeners close at once"),
    ("timeout client-fin-ack", "it has no counterpart here"),
];

#[rustfmt::skip]
const BIND: &[&str] = &[
    "accept-netscaler-cip", "ca-sign-file", "ca-sign-pass", "ca-sign-use", "cc",
    "client-sigalgs", "ech", "generate-certificates", "guid-prefix", "idle-ping",
    "ktls", "label", "namespace", "nbconn", "quic-cc-algo", "quic-force-retry",
    "quic-socket", "rate-limit", "renegotiate", "tcp-md5sig", "tcp-ss", "tls-tickets-keys",
];

#[rustfmt::skip]
const CRT_LIST: &[&str] = &[
    "client-sigalgs", "ech", "label",
];

const CRT_LIST_IGNORED: &[(&str, &str)] = &[("npn", "clients use ALPN for long")];

const CRT_STORE: &[&str] = &["acme", "domains", "generate-dummy", "jwt", "keytype"];

#[rustfmt::skip]
const BIND_IGNORED: &[(&str, &str)] = &[
    ("expose-fd", "sockets are handed over at every reload"),
    ("npn", "clients use ALPN for long"),
    ("process", "every worker serves every address"),
    ("severity-output", "messages carry no severity"),
    ("shards", "each worker has its own socket of each address"),
    ("thread", "every worker serves every address"),
];

#[rustfmt::skip]
const SERVER: &[&str] = &[
    "addr", "agent-addr", "agent-check", "agent-inter", "agent-port", "agent-send", "cc", "check", "check-pool-conn-name",
    "check-reuse-pool", "check-send-proxy", "check-via-socks4", "client-sigalgs", "curves-list", "from",
    "guid", "hash-key", "healthcheck", "idle-ping", "ktls", "log-bufsize", "log-proto", "namespace", "no-renegotiate",
    "observe", "pool-conn-name", "quic-cc-algo", "renegotiate", "resolve-net", "resolve-opts", "resolve-prefer",
    "resolvers", "set-proxy-v2-tlv-fmt", "socks4", "ssl-f-use", "strict-maxconn", "tcp-md5sig", "tfo", "track",
    "usesrc",
];

#[rustfmt::skip]
const SERVER_IGNORED: &[(&str, &str)] = &[
    ("check-alpn", "it says nothing without \"check\""),
    ("check-proto", "it says nothing without \"check\""),
    ("check-sni", "it says nothing without \"check\""),
    ("check-ssl", "it says nothing without \"check\""),
    ("downinter", "it says nothing without \"check\""),
    ("error-limit", "it says nothing without \"observe\""),
    ("fall", "it says nothing without \"check\""),
    ("fastinter", "it says nothing without \"check\""),
    ("inter", "it says nothing without \"check\""),
    ("no-agent-check", "there is no agent check"),
    ("no-check", "there is no check"),
    ("no-check-send-proxy", "there is no check"),
    ("no-check-sni-auto", "there is no check"),
    ("no-check-ssl", "there is no check"),
    ("no-tfo", "TCP Fast Open is not used"),
    ("npn", "servers use ALPN for long"),
    ("on-error", "it says nothing without \"observe\""),
    ("on-marked-down", "it says nothing without \"check\""),
    ("on-marked-up", "it says nothing without \"check\""),
    ("pool-low-conn", "each worker has its own idle connections"),
    ("port", "it says nothing without \"check\""),
    ("rise", "it says nothing without \"check\""),
    ("shard", "peers are not built yet"),
    ("slowstart", "it says nothing without \"check\""),
    ("ws", "servers speak HTTP/1"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::kw;

    /// A word with a row must not stand here as well: the row would be hidden by nothing, the list would lie.
    #[test]
    fn no_word_is_both_built_and_missing() {
        let mut rows: Vec<(Places, &str)> = Vec::new();
        rows.extend(kw::GLOBAL.iter().flat_map(|f| f.iter()).map(|row| (row.within, row.kw)));
        rows.extend(kw::PROXY.iter().flat_map(|f| f.iter()).map(|row| (row.within, row.kw)));
        rows.extend(kw::BIND.iter().flat_map(|f| f.iter()).map(|row| (row.within, row.kw)));
        rows.extend(kw::SERVER.iter().flat_map(|f| f.iter()).map(|row| (row.within, row.kw)));
        let listed = LATER.iter().flat_map(|(at, words)| words.iter().map(move |word| (*at, *word)));
        let ignored = IGNORED.iter().flat_map(|(at, words)| words.iter().map(move |(word, _)| (*at, *word)));
        let listed: Vec<(Places, &str)> = listed.chain(ignored).collect();
        for (place, word) in &listed {
            assert!(!rows.iter().any(|(at, kw)| at.meets(*place) && kw == word), "{word} has a row");
            let twice = listed.iter().filter(|(at, other)| at.meets(*place) && other == word).count();
            assert_eq!(twice, 1, "{word} is listed {twice} times");
        }
    }
}

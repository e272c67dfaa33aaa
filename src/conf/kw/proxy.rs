//! Proxies: what they are, their limits, how they reach servers.

use super::value;
use crate::balance::{self, BalanceCx};
use crate::conf::addr;
use crate::conf::draft::{Later, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::plan::proxy::HttpReuse;
use crate::plan::Mode;

/// Keywords of proxies that belong to no other family.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "backlog",
        Places::FRONT,
        |words, draft, _| {
            draft.proxy.backlog = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("backlog <number>", "connections that may wait in the kernel", "Default: \"maxconn\".", "backlog 10000"),
    ),
    row(
        "balance",
        Places::BACK,
        |words, draft, _| {
            let mut cx = BalanceCx::default();
            draft.proxy.scheme = balance::parse::scheme(words, &mut cx)?;
            draft.balance_key = cx.key;
            draft.proxy.buffer_request |= cx.wants_body;
            Ok(())
        },
        doc(
            "balance <algorithm> [<argument>...]",
            "how a server is chosen",
            "Algorithms that look for a key (source, uri, url_param, hdr, rdp-cookie, hash) send equal keys to the \
             same server, in the way \"hash-type\" says; the others spread. Default: roundrobin.",
            "balance leastconn",
        ),
    ),
    row(
        "default_backend",
        Places::FRONT,
        |words, draft, _| {
            draft.default_backend = Some(words.need("the name of a backend")?.clone());
            Ok(())
        },
        doc(
            "default_backend <name>",
            "the backend of what no \"use_backend\" rule takes",
            "",
            "default_backend be",
        ),
    ),
    row(
        "description",
        Places::NO_DEFAULTS,
        |words, draft, _| {
            let text: Vec<&str> = words.rest().iter().map(|word| word.text.as_str()).collect();
            draft.proxy.description = Some(text.join(" "));
            Ok(())
        },
        doc("description <text>", "a text shown with statistics", "", "description the shop"),
    ),
    row(
        "disabled",
        Places::PROXY,
        |_, draft, _| {
            draft.proxy.disabled = true;
            Ok(())
        },
        doc("disabled", "the proxy does not start", "Its lines are checked all the same.", "disabled"),
    ),
    row(
        "enabled",
        Places::PROXY,
        |_, draft, _| {
            draft.proxy.disabled = false;
            Ok(())
        },
        doc("enabled", "the opposite of \"disabled\"", "Useful where defaults say \"disabled\".", "enabled"),
    ),
    row(
        "fullconn",
        Places::BACK,
        |words, draft, _| {
            draft.proxy.fullconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc(
            "fullconn <number>",
            "load at which servers with \"minconn\" reach their \"maxconn\"",
            "Default: a tenth of the \"maxconn\" of all frontends that may use the backend.",
            "fullconn 10000",
        ),
    ),
    row(
        "hash-balance-factor",
        Places::BACK,
        |words, draft, _| {
            let word = words.need("a percentage")?;
            draft.proxy.hash_type.load_factor = match word.uint()? {
                1..=100 => return Err(word.err("must be more than 100 percent, or 0")),
                percent => percent.min(65535),
            };
            Ok(())
        },
        doc(
            "hash-balance-factor <percent>",
            "how much more than the mean a server may get by hashing",
            "With \"hash-type consistent\": keys of a server that has more go to the next one. 0, the default: no bound.",
            "hash-balance-factor 150",
        ),
    ),
    row(
        "hash-type",
        Places::BACK,
        |words, draft, _| {
            draft.proxy.hash_type = balance::parse::hash_type(words, draft.proxy.hash_type)?;
            Ok(())
        },
        doc(
            "hash-type map-based|consistent [sdbm|djb2|wt6|crc32|none [avalanche]]",
            "how a hash becomes a server",
            "map-based (the default): by a table; when a server comes or goes, most keys change theirs. consistent: by \
             a ring; only the keys of that server do. \"avalanche\" mixes the result of the function; it is on when \
             consistent names no function.",
            "hash-type consistent djb2 avalanche",
        ),
    ),
    row(
        "http-reuse",
        Places::BACK,
        |words, draft, _| {
            let word = words.need("never, safe, aggressive or always")?;
            draft.proxy.http_reuse = match word.text.as_str() {
                "never" => HttpReuse::Never,
                "safe" => HttpReuse::Safe,
                "aggressive" => HttpReuse::Aggressive,
                "always" => HttpReuse::Always,
                _ => return Err(word.not_one_of("value", &["never", "safe", "aggressive", "always"])),
            };
            Ok(())
        },
        doc(
            "http-reuse never|safe|aggressive|always",
            "when a request may use an idle connection of another client",
            "safe, the default: not for the first request of a client, as it could not be tried again. aggressive: \
             also for first requests, over connections that were reused before. always: for all of them.",
            "http-reuse always",
        ),
    ),
    row(
        "id",
        Places::NO_DEFAULTS,
        |words, draft, _| {
            let word = words.need("a number")?;
            draft.proxy.puid = word.int_in(1..=i64::from(i32::MAX))? as u32;
            draft.puid_at = Some(word.at);
            Ok(())
        },
        doc("id <number>", "the number of this proxy in statistics", "Must be unique.", "id 100"),
    ),
    row(
        "maxconn",
        Places::FRONT,
        |words, draft, _| {
            draft.proxy.maxconn = words.need("a number")?.uint()?;
            Ok(())
        },
        doc(
            "maxconn <number>",
            "concurrent connections of this frontend, over all workers",
            "New ones wait in the kernel when it is reached. Default: the global \"maxconn\".",
            "maxconn 5000",
        ),
    ),
    row(
        "mode",
        Places::PROXY,
        |words, draft, _| {
            let word = words.need("tcp or http")?;
            draft.proxy.mode = match word.text.as_str() {
                "tcp" => Mode::Tcp,
                "http" => Mode::Http,
                "log" | "spop" | "haterm" => {
                    return Err(word.err(format!("mode \"{}\" is known, not supported yet", word.text)));
                }
                "health" => {
                    let diag = word.err("mode \"health\" is gone from the language");
                    return Err(diag.help("use mode http with \"http-request return status 200\""));
                }
                _ => return Err(word.not_one_of("mode", &["tcp", "http"])),
            };
            draft.mode_at = Some(word.at);
            Ok(())
        },
        doc("mode tcp|http", "what travels through", "The default is tcp.", "mode http"),
    ),
    row(
        "http-send-name-header",
        Places::BACK,
        |words, draft, _| {
            let word = words.need("the name of a field")?;
            let fits = !word.text.is_empty() && lighterman_wire::token::all(word.text.as_bytes(), lighterman_wire::token::TOKEN);
            let framing = ["connection", "content-length", "host", "transfer-encoding"];
            if !fits || framing.iter().any(|name| word.text.eq_ignore_ascii_case(name)) {
                return Err(word.err(format!("\"{}\" cannot be sent as a field", word.text)));
            }
            draft.proxy.send_name = Some(word.text.clone());
            Ok(())
        },
        doc(
            "http-send-name-header <name>",
            "tell each server its name in a request field",
            "A field of this name that the client sent is replaced.",
            "http-send-name-header X-Backend-Server",
        ),
    ),
    row(
        "rate-limit sessions",
        Places::FRONT,
        |words, draft, _| {
            draft.proxy.session_rate_limit = words.need("a number")?.uint()?;
            Ok(())
        },
        doc("rate-limit sessions <number>", "new sessions per second; 0: any", "", "rate-limit sessions 100"),
    ),
    row(
        "redispatch",
        Places::BACK,
        |_, draft, _| {
            draft.proxy.redispatch = -1;
            Ok(())
        },
        doc("redispatch", "older word for \"option redispatch\"", "", "redispatch"),
    ),
    row(
        "source",
        Places::BACK,
        |words, draft, cx| {
            let word = words.need("an address")?;
            draft.source = Some(addr::ip_port(word, cx.resolve)?);
            match words.peek() {
                Some(word) if word.is("usesrc") || word.is("interface") => {
                    Err(word.err(format!("\"{}\" is known, not supported yet", word.text)))
                }
                _ => Ok(()),
            }
        },
        doc(
            "source <address>[:<port>]",
            "the address servers are connected from",
            "Counts for servers without a \"source\" of their own.",
            "source 127.0.0.1",
        ),
    ),
    row(
        "use_backend",
        Places::FRONT_ONLY,
        |words, draft, cx| {
            let word = words.need("the name of a backend")?;
            value::text(word)?;
            words.rest();
            draft.switches.push(Later { line: cx.line.clone(), section: cx.section });
            Ok(())
        },
        doc(
            "use_backend <name> [if|unless <condition>]",
            "which backend takes what",
            "The first rule whose condition holds decides.",
            "use_backend be if { path_beg /static }",
        ),
    ),
];

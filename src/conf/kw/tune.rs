//! `global`: the `tune.*` words of what is built.

use std::ops::RangeInclusive;

use crate::conf::draft::GlobalDraft;
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::word::Words;

const G: Places = Places::GLOBAL;

/// Tunables.
pub const ROWS: &[Keyword<GlobalDraft>] = &[
    row(
        "tune.buffers.limit",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.buffers_limit, 0..=1 << 30),
        doc("tune.buffers.limit <number>", "buffers one process may hold; 0: any", "", "tune.buffers.limit 10000"),
    ),
    row(
        "tune.bufsize",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.bufsize, 1024..=1 << 28),
        doc(
            "tune.bufsize <size>",
            "bytes of a buffer",
            "A request or response head must fit into a buffer, less \"tune.maxrewrite\". Default 16384.",
            "tune.bufsize 32k",
        ),
    ),
    row(
        "tune.cli.max-payload-size",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.cli_max_payload, 1024..=1 << 28),
        doc(
            "tune.cli.max-payload-size <size>",
            "bytes of what follows \"<<\" on the command socket",
            "Certificates, lists and maps that commands bring. Default 1 MB.",
            "tune.cli.max-payload-size 4m",
        ),
    ),
    row(
        "tune.http.logurilen",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.log_uri_len, 1..=65_536),
        doc(
            "tune.http.logurilen <number>",
            "bytes of a request line that logs show, less one",
            "Default 1024.",
            "tune.http.logurilen 4096",
        ),
    ),
    row(
        "tune.http.maxhdr",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.maxhdr, 1..=32_767),
        doc("tune.http.maxhdr <number>", "header fields of one head", "Default 101.", "tune.http.maxhdr 200"),
    ),
    row(
        "tune.maxaccept",
        G,
        |words, draft, _| match words.peek_text() {
            "-1" => {
                words.next();
                draft.global.tune.maxaccept = usize::MAX;
                Ok(())
            }
            _ => number(words, &mut draft.global.tune.maxaccept, 1..=1 << 20),
        },
        doc("tune.maxaccept <number>", "connections accepted in a row; -1: any", "", "tune.maxaccept 100"),
    ),
    row(
        "tune.maxpollevents",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.maxpollevents, 1..=1 << 20),
        doc("tune.maxpollevents <number>", "events taken from the kernel at once", "", "tune.maxpollevents 200"),
    ),
    row(
        "tune.stick-counters",
        G,
        |words, _, _| {
            words.need("a number")?.int_in(1..=12)?;
            Ok(())
        },
        doc(
            "tune.stick-counters <number>",
            "stick table entries a session may track at once",
            "There is room for twelve in any case; an entry costs a session nothing until it is tracked.",
            "tune.stick-counters 5",
        ),
    ),
    row(
        "tune.maxrewrite",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.maxrewrite, 0..=1 << 27),
        doc(
            "tune.maxrewrite <size>",
            "bytes of a buffer kept free for what rules add to a head",
            "Default 1024; at most half of \"tune.bufsize\" counts.",
            "tune.maxrewrite 1024",
        ),
    ),
    row(
        "tune.rcvbuf.client",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.rcvbuf_client, 0..=1 << 30),
        doc("tune.rcvbuf.client <size>", "kernel's receive buffer towards clients", "", "tune.rcvbuf.client 64k"),
    ),
    row(
        "tune.rcvbuf.server",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.rcvbuf_server, 0..=1 << 30),
        doc("tune.rcvbuf.server <size>", "kernel's receive buffer towards servers", "", "tune.rcvbuf.server 64k"),
    ),
    row(
        "tune.runqueue-depth",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.runqueue_depth, 1..=1 << 20),
        doc("tune.runqueue-depth <number>", "tasks run per turn of the loop", "", "tune.runqueue-depth 200"),
    ),
    row(
        "tune.sndbuf.client",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.sndbuf_client, 0..=1 << 30),
        doc("tune.sndbuf.client <size>", "kernel's send buffer towards clients", "", "tune.sndbuf.client 64k"),
    ),
    row(
        "tune.sndbuf.server",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.sndbuf_server, 0..=1 << 30),
        doc("tune.sndbuf.server <size>", "kernel's send buffer towards servers", "", "tune.sndbuf.server 64k"),
    ),
    row(
        "tune.ssl.cachesize",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.ssl_cachesize, 0..=1 << 26),
        doc(
            "tune.ssl.cachesize <number>",
            "entries of the TLS session cache all workers share",
            "An entry takes about 200 bytes; a session with a client certificate takes several. 0 turns it off. \
             Default 20000.",
            "tune.ssl.cachesize 100000",
        ),
    ),
    row(
        "tune.ssl.capture-buffer-size",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.ssl_capture, 0..=65_536),
        doc(
            "tune.ssl.capture-buffer-size <size>",
            "keep what clients offered in their ClientHello",
            "So many bytes of each of its lists are kept for as long as the connection lasts, for \"ssl_fc_cipherlist_bin\" and its \
             kin. Default 0: nothing is kept.",
            "tune.ssl.capture-buffer-size 96",
        ),
    ),
    row(
        "tune.ssl.keylog",
        G,
        |words, draft, _| {
            let word = words.need("on or off")?;
            draft.global.tune.ssl_keylog = match word.text.as_str() {
                "on" => true,
                "off" => false,
                _ => return Err(word.not_one_of("value", &["off", "on"])),
            };
            Ok(())
        },
        doc(
            "tune.ssl.keylog on|off",
            "keep the secrets of TLS connections for fetches that log them",
            "Fetches such as \"ssl_fc_client_traffic_secret_0\" have a value only then. With what they say anybody can \
             read recorded traffic: for debugging only. Default off.",
            "tune.ssl.keylog on",
        ),
    ),
    row(
        "tune.ssl.cert-cache",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.ssl_cert_cache, 65_536..=1 << 40),
        doc(
            "tune.ssl.cert-cache <size>",
            "memory for certificates that were used lately, per process",
            "A certificate is read when the first client asks for it, and forgotten when others need its room. One with \
             an EC key takes about 4 KB, one with an RSA key 9 KB. Default 8m.",
            "tune.ssl.cert-cache 64m",
        ),
    ),
    row(
        "tune.ssl.lifetime",
        G,
        |words, draft, _| {
            let word = words.need("a time")?;
            draft.global.tune.ssl_lifetime = word.time_ms_from_s()? / 1000;
            Ok(())
        },
        doc(
            "tune.ssl.lifetime <time>",
            "how long a TLS session may be resumed",
            "In seconds unless a unit is given. Default 300.",
            "tune.ssl.lifetime 10m",
        ),
    ),
    row(
        "tune.ssl.maxrecord",
        G,
        |words, draft, _| size(words, &mut draft.global.tune.ssl_maxrecord, 0..=16_384),
        doc(
            "tune.ssl.maxrecord <size>",
            "bytes of the first TLS records of a connection; 0: 16384",
            "A peer can use a record only when all of it has arrived, so the first 32 kB go out in small ones, and again \
             after a second of silence. Later records have 16384 bytes, which costs least. Default 4096.",
            "tune.ssl.maxrecord 1400",
        ),
    ),
    row(
        "tune.ssl.tickets",
        G,
        |words, draft, _| number(words, &mut draft.global.tune.ssl_tickets, 0..=4),
        doc(
            "tune.ssl.tickets <number>",
            "tickets a TLS 1.3 client is given after a full handshake",
            "A client that opens several connections at once may use a ticket for each. A resumed connection gets one. \
             0: no resumption in TLS 1.3. Default 1.",
            "tune.ssl.tickets 2",
        ),
    ),
    row(
        "tune.ssl.ticket-rotate",
        G,
        |words, draft, _| {
            let word = words.need("a time")?;
            draft.global.tune.ssl_ticket_rotate = word.time_ms_from_s()? / 1000;
            Ok(())
        },
        doc(
            "tune.ssl.ticket-rotate <time>",
            "how often a new key for TLS session tickets is made",
            "In seconds unless a unit is given; 0: never. The two keys before it still open their tickets. \
             Default 12h.",
            "tune.ssl.ticket-rotate 6h",
        ),
    ),
];

fn number(words: &mut Words<'_>, into: &mut usize, range: RangeInclusive<i64>) -> Result<(), Diag> {
    *into = words.need("a number")?.int_in(range)? as usize;
    Ok(())
}

fn size(words: &mut Words<'_>, into: &mut usize, range: RangeInclusive<u64>) -> Result<(), Diag> {
    let word = words.need("a size")?;
    let size = word.size()?;
    if !range.contains(&size) {
        let what = format!("\"{}\" is out of range ({} to {})", word.text, range.start(), range.end());
        return Err(word.err(what));
    }
    *into = size as usize;
    Ok(())
}

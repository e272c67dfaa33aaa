//! `stick-table` and `stick`: tables of what is known of clients, and servers they are bound to.

use crate::conf::draft::{DraftTable, Later, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::Diag;
use crate::lang::span::Span;
use crate::lang::word::{Word, Words};
use crate::plan::stick::StickWhen;
use crate::shm::stick::spec::{Form, ARRAY_MAX, KEY_MAX, SIZE_MAX};
use crate::shm::stick::{Data, KeyType, ServerKey, Spec, Store};

/// The rows.
pub const ROWS: &[Keyword<ProxyDraft>] = &[
    row(
        "stick",
        Places::BACK,
        |words, draft, cx| {
            let when = words.need("\"on\", \"match\", \"store-request\" or \"store-response\"")?;
            if !StickWhen::WORDS.iter().any(|(word, _)| when.is(word)) {
                return Err(when.not_one_of("kind of stick rule", &StickWhen::WORDS.map(|(word, _)| word)));
            }
            words.rest();
            draft.sticks.push(Later { line: cx.line.clone(), section: cx.section });
            Ok(())
        },
        doc(
            "stick on|match|store-request|store-response <key> [table <table>] [if|unless <condition>]",
            "binds a key to the server that served it",
            "\"match\" looks for the server a key is bound to, \"store-request\" binds the key to the server that was \
             chosen, \"on\" does both; \"store-response\" takes the key from the answer. The first match that names a usable \
             server wins. Servers with \"non-stick\" are never bound.",
            "stick on src table per_client",
        ),
    ),
    row(
        "stick-table",
        Places::PROXY,
        table,
        doc(
            "stick-table type <type> size <size> [expire <time>] [nopurge] [store <data>,...] [srvkey name|addr] \
             [brates-factor <bytes>] [write-to <table>] [recv-only]",
            "a table of what is known of clients, shared by all workers",
            "Types: ip, ipv6, integer, string [len <n>], binary [len <n>]. The size is a number of entries (k, m, g are \
             powers of 1024); the oldest makes room in a full table unless \"nopurge\" is written. An entry ends when it was \
             not touched for the time of \"expire\". Tables survive reloads. Data: server_id, gpt0, gpc0, gpc0_rate(<period>), \
             gpc1, gpc1_rate(<period>), conn_cnt, conn_cur, conn_rate(<period>), sess_cnt, sess_rate(<period>), http_req_cnt, \
             http_req_rate(<period>), http_err_cnt, http_err_rate(<period>), http_fail_cnt, http_fail_rate(<period>), \
             bytes_in_cnt, bytes_in_rate(<period>), bytes_out_cnt, bytes_out_rate(<period>), glitch_cnt, \
             glitch_rate(<period>), gpc(<n>), gpc_rate(<n>,<period>), gpt(<n>), server_key. A server that a key is bound to is \
             known by its name, with \"srvkey addr\" by its address and port. \"brates-factor\" counts bytes in steps, for \
             rates of more than 4 GB per period; what is shown is bytes all the same. What others than the workers put into \
             the table (\"set table\") is written to the table of \"write-to\" too. \"recv-only\" is accepted: nothing is told \
             to other machines anyway, so \"peers\" is an error.",
            "stick-table type ip size 100k expire 30m store conn_cur,http_req_rate(10s)",
        ),
    ),
];

/// Bytes of a key when no length is written.
const LEN: usize = 32;

fn table(words: &mut Words<'_>, draft: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    if let Some(DraftTable { at: first, .. }) = draft.stick_table.as_ref().filter(|_| !cx.replayed) {
        return Err(Diag::alert(cx.line.span(), "a second \"stick-table\" in this section")
            .also(*first, "the first one is here")
            .help("a section has one table; put the other into a backend of its own"));
    }
    let mut spec = Spec::new(&draft.proxy.name, KeyType::Ip4, 0, 0);
    let mut write_to = None;
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "type" => key_type(words, &mut spec)?,
            "size" => spec.size = size(words.need("a number of entries")?)?,
            "expire" => spec.expire = Some(words.need("a time")?.time_ms()?).filter(|ms| *ms > 0),
            "nopurge" => spec.nopurge = true,
            "store" => stores(words.need("kinds of data")?, &mut spec)?,
            "srvkey" => spec.server_key = server_key(words.need("\"name\" or \"addr\"")?)?,
            "brates-factor" => spec.brates_factor = words.need("a number of bytes")?.int_in(1..=1024)? as u32,
            "write-to" => write_to = Some(words.need("the name of a table")?.clone()),
            // nothing that is learned here is told to other machines anyway
            "recv-only" => {}
            "peers" => {
                return Err(word
                    .err("tables are not exchanged with other machines: peers are not built")
                    .help("all workers of this machine share the table without it"));
            }
            _ => {
                return Err(word.not_one_of("word", WORDS));
            }
        }
    }
    if spec.len == 0 {
        return Err(words.missing("\"type\""));
    }
    if spec.size == 0 {
        return Err(words.missing("\"size\""));
    }
    both_kinds(&spec, cx.line.span())?;
    draft.stick_table = Some(DraftTable { spec, at: cx.line.span(), write_to });
    Ok(())
}

/// The words of the line.
const WORDS: &[&str] =
    &["type", "size", "expire", "nopurge", "store", "srvkey", "brates-factor", "write-to", "recv-only"];

fn server_key(word: &Word) -> Result<ServerKey, Diag> {
    match word.text.as_str() {
        "name" => Ok(ServerKey::Name),
        "addr" => Ok(ServerKey::Addr),
        _ => Err(word.not_one_of("way to know a server", &["name", "addr"])),
    }
}

/// `gpc0` is the first of `gpc`: a table that kept both would have two of that name.
fn both_kinds(spec: &Spec, at: Span) -> Result<(), Diag> {
    let pairs = [
        (Data::Gpc, [Data::Gpc0, Data::Gpc1]),
        (Data::GpcRate, [Data::Gpc0Rate, Data::Gpc1Rate]),
        (Data::Gpt, [Data::Gpt0, Data::Gpt0]),
    ];
    for (array, lone) in pairs.into_iter().filter(|(array, _)| spec.store(*array).is_some()) {
        if let Some(lone) = lone.into_iter().find(|data| spec.store(*data).is_some()) {
            let what = format!("\"{}\" and \"{}\" in one table", array.word(), lone.word());
            let help = format!("\"{}\" is one of the elements of \"{}\"", lone.word(), array.word());
            return Err(Diag::alert(at, what).help(help));
        }
    }
    Ok(())
}

fn key_type(words: &mut Words<'_>, spec: &mut Spec) -> Result<(), Diag> {
    let word = words.need("a type")?;
    let known = KeyType::WORDS.iter().find(|(name, _)| word.is(name));
    let Some((_, key)) = known else {
        return Err(word.not_one_of("type of key", &KeyType::WORDS.map(|(name, _)| name)));
    };
    spec.key = *key;
    spec.len = match key {
        KeyType::Ip4 | KeyType::Int => 4,
        KeyType::Ip6 => 16,
        KeyType::Str | KeyType::Bin if words.eat("len") => {
            words.need("a number of bytes")?.int_in(1..=KEY_MAX as i64)? as usize
        }
        KeyType::Str | KeyType::Bin => LEN,
    };
    // one byte tells where a text ends
    spec.len += usize::from(*key == KeyType::Str);
    Ok(())
}

fn size(word: &Word) -> Result<u32, Diag> {
    match word.size()? {
        0 => Err(word.err("a table needs room for an entry")),
        n if n > u64::from(SIZE_MAX) => Err(word.err(format!("a table has at most {SIZE_MAX} entries"))),
        n => Ok(n as u32),
    }
}

/// `gpc0,conn_rate(10s),gpc(3)`
fn stores(word: &Word, spec: &mut Spec) -> Result<(), Diag> {
    let mut rest = word.text.as_str();
    while !rest.is_empty() {
        // commas within parentheses belong to one kind
        let end = rest.find([',', '(']).unwrap_or(rest.len());
        let end = match rest[end..].starts_with('(') {
            true => rest.find(')').map_or(rest.len(), |at| at + 1),
            false => end,
        };
        store(word, &rest[..end], spec)?;
        rest = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
    }
    Ok(())
}

fn store(word: &Word, text: &str, spec: &mut Spec) -> Result<(), Diag> {
    let (name, args) = text.split_once('(').unwrap_or((text, ""));
    let args = args.strip_suffix(')').unwrap_or(args);
    let at = text.as_ptr() as usize - word.text.as_ptr() as usize;
    let Some(data) = Data::find(name) else {
        let known: Vec<&str> = Data::ALL.iter().map(|data| data.word()).collect();
        let diag = word.err_at(at, name.len(), format!("unknown kind of data \"{name}\""));
        return Err(match crate::lang::suggest::did_you_mean(name, known.iter().copied()) {
            Some(help) => diag.help(help),
            None => diag.help(format!("there are {}", known.join(", "))),
        });
    };
    let mut args = args.split(',').map(str::trim).filter(|arg| !arg.is_empty());
    let wrong = |what: String| word.err_at(at, text.len(), what);
    let count = match data.is_array() {
        true => args.next().and_then(|n| n.parse().ok()).filter(|n| (1..=ARRAY_MAX).contains(n)),
        false => Some(1),
    };
    let Some(count) = count else {
        return Err(wrong(format!("\"{name}\" needs a number from 1 to {ARRAY_MAX} in parentheses")));
    };
    let period = match data.form() {
        Form::Rate => {
            let Some(time) = args.next() else {
                return Err(
                    wrong(format!("\"{name}\" needs a period")).help(format!("for example {name}(10s)"))
                );
            };
            Word::plain(time).time_ms().map_err(|diag| wrong(diag.what))?.max(1)
        }
        _ => 0,
    };
    if let Some(more) = args.next() {
        return Err(wrong(format!("\"{name}\" takes no \"{more}\"")));
    }
    spec.keep(Store { data, count, period });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::word::Word;

    fn made(text: &str) -> Result<Spec, String> {
        let mut spec = Spec::new("t", KeyType::Ip4, 4, 1);
        stores(&Word::plain(text), &mut spec).map(|()| spec).map_err(|diag| diag.what)
    }

    #[test]
    fn data_is_read_with_counts_and_periods() {
        let spec = made("conn_rate(10s),gpc0,gpc_rate(3,1m),gpt(2),gpc0").unwrap();
        let seen: Vec<_> = spec.stores.iter().map(|s| (s.data, s.count, s.period)).collect();
        assert_eq!(
            seen,
            [(Data::Gpc0, 1, 0), (Data::ConnRate, 1, 10_000), (Data::Gpt, 2, 0), (Data::GpcRate, 3, 60_000)]
        );
        for (text, what) in [
            ("gpc9", "unknown kind of data \"gpc9\""),
            ("conn_rate", "\"conn_rate\" needs a period"),
            ("conn_rate(x)", "x"),
            ("gpc", "\"gpc\" needs a number from 1 to 100 in parentheses"),
            ("gpc(101)", "\"gpc\" needs a number from 1 to 100 in parentheses"),
            ("gpc0(5)", "\"gpc0\" takes no \"5\""),
            ("gpc_rate(3)", "\"gpc_rate\" needs a period"),
        ] {
            let said = made(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
        }
    }
}

//! Words of HAProxy 1.5 and before that rules have replaced: they are read, do what they did, and a notice says
//! how it is written today. The actions behind them are `act::lines`.

use crate::conf::draft::{Later, LineCx, ProxyDraft};
use crate::conf::driver::{doc, row, Keyword, Places};
use crate::lang::diag::{Diag, Level};
use crate::lang::word::Words;
use crate::plan::rule::Site;

const LINE: &str =
    "The expression is searched in the start line, then in each field as \"Name: value\". An old word; \
    a notice says how it is written today.";

macro_rules! olds {
    ($( $kw:literal $site:ident $usage:literal, $brief:literal, $now:literal, $example:literal; )*) => { &[ $(
        row(
            $kw,
            Places::NO_DEFAULTS,
            |words, draft, cx| old(words, draft, cx, Site::$site, $now),
            doc($usage, $brief, LINE, $example),
        ),
    )* ] };
}

/// The old words.
#[rustfmt::skip]
pub const ROWS: &[Keyword<ProxyDraft>] = olds! {
    "block" HttpRequest "block if|unless <condition>", "refuses requests with 403", "http-request deny if ...", "block if { path_beg /private }";
    "reqadd" HttpRequest "reqadd <field> [if|unless <condition>]", "adds a field to requests", "http-request add-header <name> <fmt>", "reqadd X-Proto:\\ https if { ssl_fc }";
    "reqallow" HttpRequest "reqallow <search> [if|unless <condition>]", "requests with such a line are not refused by the old words behind it", "http-request allow if ...", "reqallow ^Host:\\ www";
    "reqdel" HttpRequest "reqdel <search> [if|unless <condition>]", "removes fields from requests", "http-request del-header <name>", "reqdel ^X-Forwarded-For:";
    "reqdeny" HttpRequest "reqdeny <search> [if|unless <condition>]", "refuses requests with such a line", "http-request deny if ...", "reqdeny ^[^:\\ ]*\\ /private";
    "reqiallow" HttpRequest "reqiallow <search> [if|unless <condition>]", "as \"reqallow\", case does not count", "http-request allow if ...", "reqiallow ^host:\\ www";
    "reqidel" HttpRequest "reqidel <search> [if|unless <condition>]", "as \"reqdel\", case does not count", "http-request del-header <name>", "reqidel ^x-forwarded-for:";
    "reqideny" HttpRequest "reqideny <search> [if|unless <condition>]", "as \"reqdeny\", case does not count", "http-request deny if ...", "reqideny /cmd\\.exe";
    "reqirep" HttpRequest "reqirep <search> <string> [if|unless <condition>]", "as \"reqrep\", case does not count", "http-request replace-header, replace-path or replace-uri", "reqirep ^host:\\ www Host:\\ web";
    "reqisetbe" HttpRequest "reqisetbe <search> <backend> [if|unless <condition>]", "as \"reqsetbe\", case does not count", "use_backend <name> if ...", "reqisetbe ^host:\\ img be";
    "reqitarpit" HttpRequest "reqitarpit <search> [if|unless <condition>]", "as \"reqtarpit\", case does not count", "http-request tarpit if ...", "reqitarpit ^user-agent:.*bot";
    "reqrep" HttpRequest "reqrep <search> <string> [if|unless <condition>]", "puts another line in the place of such lines of requests", "http-request replace-header, replace-path or replace-uri", "reqrep ^([^\\ :]*)\\ /static/(.*) \\1\\ /\\2";
    "reqsetbe" HttpRequest "reqsetbe <search> <backend> [if|unless <condition>]", "chooses the backend of requests with such a line", "use_backend <name> if ...", "reqsetbe ^Host:\\ img be";
    "reqtarpit" HttpRequest "reqtarpit <search> [if|unless <condition>]", "holds requests with such a line, then refuses them", "http-request tarpit if ...", "reqtarpit ^User-Agent:.*bot";
    "rspadd" HttpResponse "rspadd <field> [if|unless <condition>]", "adds a field to answers", "http-response add-header <name> <fmt>", "rspadd X-Via:\\ edge";
    "rspdel" HttpResponse "rspdel <search> [if|unless <condition>]", "removes fields from answers", "http-response del-header <name>", "rspdel ^Server:";
    "rspdeny" HttpResponse "rspdeny <search> [if|unless <condition>]", "answers with such a line become 502", "http-response deny if ...", "rspdeny ^X-Secret:";
    "rspidel" HttpResponse "rspidel <search> [if|unless <condition>]", "as \"rspdel\", case does not count", "http-response del-header <name>", "rspidel ^server:";
    "rspideny" HttpResponse "rspideny <search> [if|unless <condition>]", "as \"rspdeny\", case does not count", "http-response deny if ...", "rspideny ^x-secret:";
    "rspirep" HttpResponse "rspirep <search> <string> [if|unless <condition>]", "as \"rsprep\", case does not count", "http-response replace-header or set-status", "rspirep ^location:\\ http: Location:\\ https:";
    "rsprep" HttpResponse "rsprep <search> <string> [if|unless <condition>]", "puts another line in the place of such lines of answers", "http-response replace-header or set-status", "rsprep ^Location:\\ http:(.*) Location:\\ https:\\1";
};

/// Words that have no effect, as in HAProxy 1.5.
#[rustfmt::skip]
pub const IDLE_ROWS: &[Keyword<ProxyDraft>] = &[
    row("reqipass", Places::NO_DEFAULTS, pass, doc("reqipass <search> [if|unless <condition>]", "is read and has no effect", "", "reqipass ^x-any:")),
    row("reqpass", Places::NO_DEFAULTS, pass, doc("reqpass <search> [if|unless <condition>]", "is read and has no effect", "", "reqpass ^X-Any:")),
];

fn pass(words: &mut Words<'_>, _: &mut ProxyDraft, cx: &mut LineCx<'_>) -> Result<(), Diag> {
    words.need("a regular expression")?;
    words.rest();
    cx.say(Diag::new(
        Level::Notice,
        cx.line.at(),
        "it is read and passed over: it had no effect in HAProxy either",
    ));
    Ok(())
}

fn old(
    words: &mut Words<'_>,
    draft: &mut ProxyDraft,
    cx: &mut LineCx<'_>,
    site: Site,
    now: &str,
) -> Result<(), Diag> {
    words.need("more words")?;
    words.rest();
    cx.say(
        Diag::new(Level::Notice, cx.line.at(), "an old word: it does what it did")
            .help(format!("today: {now}")),
    );
    draft.rules.push((site, Later { line: cx.line.clone(), section: cx.section }));
    Ok(())
}

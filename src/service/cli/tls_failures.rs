//! `show ssl failures`: why handshakes of clients failed.

use super::{Answer, Ask, CliCx, Command, Face};
use crate::base::doc::Doc;
use crate::base::text::Span;
use crate::net::contexts;
use crate::net::tls::why::Why;
use crate::plan::global::CliLevel;

/// The commands of this family.
pub const ROWS: &[Command] = &[Command {
    path: &["show", "ssl", "failures"],
    level: CliLevel::User,
    face: Face::Traffic,
    start: show,
    doc: Doc {
        usage: "show ssl failures",
        brief: "show why TLS handshakes of clients failed",
        text: "One line per reason that has happened since the start, over all workers and reloads, the most frequent \
               first: how often, how long ago the last time, the address of the last client, and what it means. The \
               words are those of \"reason=\" in the log.",
        example: "show ssl failures",
    },
}];

fn show(_ask: &mut Ask<'_>, cx: &mut CliCx<'_>) -> Result<Answer, String> {
    let mut out = String::from("# reason count last_seen last_source meaning\n");
    let Some(failures) = contexts::failures(cx.shm) else { return Ok(Answer::Text(out)) };
    let mut rows: Vec<_> =
        Why::ALL.iter().filter_map(|why| Some((*why, failures.seen(*why as usize)?))).collect();
    rows.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
    for (why, seen) in rows {
        let ago = Span(cx.now.wall_us.saturating_sub(seen.last_us) / 1000);
        let peer = seen.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
        out.push_str(&format!("{} {} {ago} {peer} {}\n", why.word(), seen.count, why.meaning()));
    }
    Ok(Answer::Text(out))
}

//! Converters of stick tables: what a table knows of a value.

use super::Conv;
use crate::expr::args::{Args, Kind};
use crate::expr::sample::{Sample, Ty};
use crate::expr::stick::{key_of, Stick};
use crate::expr::view::Facts;
use crate::shm::stick::{Data, Entry, Table};

const TABLE: &[Kind] = &[Kind::Table];
const TABLE_N: &[Kind] = &[Kind::Table, Kind::Int];
const N_TABLE: &[Kind] = &[Kind::Int, Kind::Table];

/// The rows of this family.
#[rustfmt::skip]
pub const ROWS: &[Conv] = &[
    Conv::new("in_table", Ty::Any, Ty::Bool, in_table, "whether a stick table has the key")
        .args("in_table(<table>)", 1, TABLE),
    Conv::new("table_bytes_in_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::BytesInRate, 0, now)), "bytes in rate of the key")
        .args("table_bytes_in_rate(<table>)", 1, TABLE),
    Conv::new("table_bytes_out_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::BytesOutRate, 0, now)), "bytes out rate of the key")
        .args("table_bytes_out_rate(<table>)", 1, TABLE),
    Conv::new("table_conn_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::ConnCnt, 0, now)), "conn cnt of the key")
        .args("table_conn_cnt(<table>)", 1, TABLE),
    Conv::new("table_conn_cur", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::ConnCur, 0, now)), "conn cur of the key")
        .args("table_conn_cur(<table>)", 1, TABLE),
    Conv::new("table_conn_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::ConnRate, 0, now)), "conn rate of the key")
        .args("table_conn_rate(<table>)", 1, TABLE),
    Conv::new("table_expire", Ty::Any, Ty::Int, |s, a, f| left(s, a, f, false), "milliseconds the key has left")
        .args("table_expire(<table>[,<default>])", 1, TABLE_N),
    Conv::new("table_glitch_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::GlitchCnt, 0, now)), "glitch cnt of the key")
        .args("table_glitch_cnt(<table>)", 1, TABLE),
    Conv::new("table_glitch_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::GlitchRate, 0, now)), "glitch rate of the key")
        .args("table_glitch_rate(<table>)", 1, TABLE),
    Conv::new("table_gpc", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 1, |e, now| e.get(Data::Gpc, usize::try_from(a.int(0, 0)).ok()?, now)), "one of several of the key")
        .args("table_gpc(<n>,<table>)", 2, N_TABLE),
    Conv::new("table_gpc0", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::Gpc0, 0, now)), "gpc0 of the key")
        .args("table_gpc0(<table>)", 1, TABLE),
    Conv::new("table_gpc0_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::Gpc0Rate, 0, now)), "gpc0 rate of the key")
        .args("table_gpc0_rate(<table>)", 1, TABLE),
    Conv::new("table_gpc1", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::Gpc1, 0, now)), "gpc1 of the key")
        .args("table_gpc1(<table>)", 1, TABLE),
    Conv::new("table_gpc1_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::Gpc1Rate, 0, now)), "gpc1 rate of the key")
        .args("table_gpc1_rate(<table>)", 1, TABLE),
    Conv::new("table_gpc_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 1, |e, now| e.get(Data::GpcRate, usize::try_from(a.int(0, 0)).ok()?, now)), "one of several of the key")
        .args("table_gpc_rate(<n>,<table>)", 2, N_TABLE),
    Conv::new("table_gpt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 1, |e, now| e.get(Data::Gpt, usize::try_from(a.int(0, 0)).ok()?, now)), "one of several of the key")
        .args("table_gpt(<n>,<table>)", 2, N_TABLE),
    Conv::new("table_gpt0", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::Gpt0, 0, now)), "gpt0 of the key")
        .args("table_gpt0(<table>)", 1, TABLE),
    Conv::new("table_http_err_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpErrCnt, 0, now)), "http err cnt of the key")
        .args("table_http_err_cnt(<table>)", 1, TABLE),
    Conv::new("table_http_err_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpErrRate, 0, now)), "http err rate of the key")
        .args("table_http_err_rate(<table>)", 1, TABLE),
    Conv::new("table_http_fail_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpFailCnt, 0, now)), "http fail cnt of the key")
        .args("table_http_fail_cnt(<table>)", 1, TABLE),
    Conv::new("table_http_fail_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpFailRate, 0, now)), "http fail rate of the key")
        .args("table_http_fail_rate(<table>)", 1, TABLE),
    Conv::new("table_http_req_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpReqCnt, 0, now)), "http req cnt of the key")
        .args("table_http_req_cnt(<table>)", 1, TABLE),
    Conv::new("table_http_req_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::HttpReqRate, 0, now)), "http req rate of the key")
        .args("table_http_req_rate(<table>)", 1, TABLE),
    Conv::new("table_idle", Ty::Any, Ty::Int, |s, a, f| left(s, a, f, true), "milliseconds the key was not touched for")
        .args("table_idle(<table>[,<default>])", 1, TABLE_N),
    Conv::new("table_kbytes_in", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::BytesInCnt, 0, now).map(|n| n >> 10)), "kilobytes from clients of the key")
        .args("table_kbytes_in(<table>)", 1, TABLE),
    Conv::new("table_kbytes_out", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::BytesOutCnt, 0, now).map(|n| n >> 10)), "kilobytes to clients of the key")
        .args("table_kbytes_out(<table>)", 1, TABLE),
    Conv::new("table_server_id", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::ServerId, 0, now)), "server id of the key")
        .args("table_server_id(<table>)", 1, TABLE),
    Conv::new("table_sess_cnt", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::SessCnt, 0, now)), "sess cnt of the key")
        .args("table_sess_cnt(<table>)", 1, TABLE),
    Conv::new("table_sess_rate", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, now| e.get(Data::SessRate, 0, now)), "sess rate of the key")
        .args("table_sess_rate(<table>)", 1, TABLE),
    Conv::new("table_trackers", Ty::Any, Ty::Int, |s, a, f| of_key(s, a, f, 0, |e, _| Some(e.holders().into())), "sessions that track the key")
        .args("table_trackers(<table>)", 1, TABLE),
];

fn place<'a>(
    s: Sample<'_>,
    args: &'a Args,
    f: &Facts<'a>,
    at: usize,
) -> Option<(Stick<'a>, &'a Table, Vec<u8>)> {
    let stick = f.world.stick()?;
    let table = stick.tables.get(f.world.table_of(args.proxy(at)?)?)?;
    let key = key_of(table.spec(), s)?;
    Some((stick, table, key))
}

/// A value of the key's entry; 0 when there is none.
fn of_key<'a>(
    s: Sample<'a>,
    args: &'a Args,
    f: &Facts<'a>,
    at: usize,
    value: impl Fn(Entry<'_>, u64) -> Option<u64>,
) -> Option<Sample<'a>> {
    let (stick, table, key) = place(s, args, f, at)?;
    let found = table.find(&key, stick.now_ms, |entry| value(entry, stick.now_ms));
    Some(Sample::Int(i64::try_from(found.unwrap_or(Some(0))?).unwrap_or(i64::MAX)))
}

fn in_table<'a>(s: Sample<'a>, args: &'a Args, f: &Facts<'a>) -> Option<Sample<'a>> {
    let found = place(s, args, f, 0).and_then(|(stick, table, key)| table.find(&key, stick.now_ms, |_| ()));
    Some(Sample::Bool(found.is_some()))
}

fn left<'a>(s: Sample<'a>, args: &'a Args, f: &Facts<'a>, idle: bool) -> Option<Sample<'a>> {
    let (stick, table, key) = place(s, args, f, 0)?;
    let life = u64::from(table.spec().expire?);
    let found = table.find(&key, stick.now_ms, |entry| {
        let left = entry.expires_in(stick.now_ms);
        if idle {
            life.saturating_sub(left)
        } else {
            left
        }
    });
    match found {
        Some(ms) => Some(Sample::Int(ms as i64)),
        None => args.has(1).then(|| Sample::Int(args.int(1, 0))),
    }
}

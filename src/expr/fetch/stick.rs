//! Fetches of stick tables: what is known of the entries a session tracks (`sc_...`), and of the client's address
//! (`src_...`).

use super::{Fetch, Needs};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Got, Sample, Ty};
use crate::expr::stick::{key_again, key_of};
use crate::expr::view::Facts;
use crate::shm::stick::{Data, Entry, Table};

const CTR_TABLE: &[Kind] = &[Kind::Int, Kind::Str];
const N_CTR_TABLE: &[Kind] = &[Kind::Int, Kind::Int, Kind::Str];
const OTHER: &[Kind] = &[Kind::Str];
const N_OTHER: &[Kind] = &[Kind::Int, Kind::Str];
const TABLE: &[Kind] = &[Kind::Table];
const N_TABLE: &[Kind] = &[Kind::Int, Kind::Table];

/// A kind of data and what is done with it.
#[derive(Clone, Copy)]
struct What(Data, How);

#[derive(Clone, Copy)]
enum How {
    Get,
    Kilo,
    Raise,
    Clear,
    Holders,
}

/// The rows of the families.
#[rustfmt::skip]
pub const ROWS: &[Fetch] = &[
    Fetch::new("sc0_bytes_in_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInRate, How::Get), 0, 0, 0), "bytes from the client per period").args("sc0_bytes_in_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_bytes_out_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutRate, How::Get), 0, 0, 0), "bytes to the client per period").args("sc0_bytes_out_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_clr_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Clear), 0, a.int(0, 0), 1), "sets a counter to 0; yields what it was").args("sc0_clr_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc0_clr_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Clear), 0, 0, 0), "sets gpc0 to 0; yields what it was").args("sc0_clr_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_clr_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Clear), 0, 0, 0), "sets gpc1 to 0; yields what it was").args("sc0_clr_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_conn_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCnt, How::Get), 0, 0, 0), "connections so far").args("sc0_conn_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_conn_cur", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Get), 0, 0, 0), "connections now, over all workers").args("sc0_conn_cur([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_conn_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnRate, How::Get), 0, 0, 0), "connections per period").args("sc0_conn_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_get_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Get), 0, a.int(0, 0), 1), "a counter").args("sc0_get_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc0_get_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Get), 0, 0, 0), "gpc0").args("sc0_get_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_get_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Get), 0, 0, 0), "gpc1").args("sc0_get_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_get_gpt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt, How::Get), 0, a.int(0, 0), 1), "a tag").args("sc0_get_gpt(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc0_get_gpt0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt0, How::Get), 0, 0, 0), "gpt0").args("sc0_get_gpt0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_glitch_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchCnt, How::Get), 0, 0, 0), "protocol glitches so far").args("sc0_glitch_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_glitch_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchRate, How::Get), 0, 0, 0), "protocol glitches per period").args("sc0_glitch_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_gpc0_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0Rate, How::Get), 0, 0, 0), "increments of gpc0 per period").args("sc0_gpc0_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_gpc1_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1Rate, How::Get), 0, 0, 0), "increments of gpc1 per period").args("sc0_gpc1_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_gpc_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GpcRate, How::Get), 0, a.int(0, 0), 1), "increments of a counter per period").args("sc0_gpc_rate(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc0_http_err_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrCnt, How::Get), 0, 0, 0), "errors of the client so far").args("sc0_http_err_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_http_err_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrRate, How::Get), 0, 0, 0), "errors of the client per period").args("sc0_http_err_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_http_fail_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailCnt, How::Get), 0, 0, 0), "errors of servers so far").args("sc0_http_fail_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_http_fail_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailRate, How::Get), 0, 0, 0), "errors of servers per period").args("sc0_http_fail_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_http_req_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqCnt, How::Get), 0, 0, 0), "requests so far").args("sc0_http_req_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_http_req_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqRate, How::Get), 0, 0, 0), "requests per period").args("sc0_http_req_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_inc_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Raise), 0, a.int(0, 0), 1), "adds 1 to a counter; yields the sum").args("sc0_inc_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc0_inc_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Raise), 0, 0, 0), "adds 1 to gpc0; yields the sum").args("sc0_inc_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_inc_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Raise), 0, 0, 0), "adds 1 to gpc1; yields the sum").args("sc0_inc_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_kbytes_in", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInCnt, How::Kilo), 0, 0, 0), "kilobytes from the client so far").args("sc0_kbytes_in([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_kbytes_out", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutCnt, How::Kilo), 0, 0, 0), "kilobytes to the client so far").args("sc0_kbytes_out([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_sess_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessCnt, How::Get), 0, 0, 0), "sessions so far").args("sc0_sess_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_sess_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessRate, How::Get), 0, 0, 0), "sessions per period").args("sc0_sess_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc0_trackers", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Holders), 0, 0, 0), "sessions that track the entry now").args("sc0_trackers([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_bytes_in_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInRate, How::Get), 1, 0, 0), "bytes from the client per period").args("sc1_bytes_in_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_bytes_out_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutRate, How::Get), 1, 0, 0), "bytes to the client per period").args("sc1_bytes_out_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_clr_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Clear), 1, a.int(0, 0), 1), "sets a counter to 0; yields what it was").args("sc1_clr_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc1_clr_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Clear), 1, 0, 0), "sets gpc0 to 0; yields what it was").args("sc1_clr_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_clr_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Clear), 1, 0, 0), "sets gpc1 to 0; yields what it was").args("sc1_clr_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_conn_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCnt, How::Get), 1, 0, 0), "connections so far").args("sc1_conn_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_conn_cur", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Get), 1, 0, 0), "connections now, over all workers").args("sc1_conn_cur([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_conn_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnRate, How::Get), 1, 0, 0), "connections per period").args("sc1_conn_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_get_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Get), 1, a.int(0, 0), 1), "a counter").args("sc1_get_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc1_get_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Get), 1, 0, 0), "gpc0").args("sc1_get_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_get_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Get), 1, 0, 0), "gpc1").args("sc1_get_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_get_gpt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt, How::Get), 1, a.int(0, 0), 1), "a tag").args("sc1_get_gpt(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc1_get_gpt0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt0, How::Get), 1, 0, 0), "gpt0").args("sc1_get_gpt0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_glitch_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchCnt, How::Get), 1, 0, 0), "protocol glitches so far").args("sc1_glitch_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_glitch_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchRate, How::Get), 1, 0, 0), "protocol glitches per period").args("sc1_glitch_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_gpc0_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0Rate, How::Get), 1, 0, 0), "increments of gpc0 per period").args("sc1_gpc0_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_gpc1_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1Rate, How::Get), 1, 0, 0), "increments of gpc1 per period").args("sc1_gpc1_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_gpc_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GpcRate, How::Get), 1, a.int(0, 0), 1), "increments of a counter per period").args("sc1_gpc_rate(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc1_http_err_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrCnt, How::Get), 1, 0, 0), "errors of the client so far").args("sc1_http_err_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_http_err_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrRate, How::Get), 1, 0, 0), "errors of the client per period").args("sc1_http_err_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_http_fail_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailCnt, How::Get), 1, 0, 0), "errors of servers so far").args("sc1_http_fail_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_http_fail_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailRate, How::Get), 1, 0, 0), "errors of servers per period").args("sc1_http_fail_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_http_req_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqCnt, How::Get), 1, 0, 0), "requests so far").args("sc1_http_req_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_http_req_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqRate, How::Get), 1, 0, 0), "requests per period").args("sc1_http_req_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_inc_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Raise), 1, a.int(0, 0), 1), "adds 1 to a counter; yields the sum").args("sc1_inc_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc1_inc_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Raise), 1, 0, 0), "adds 1 to gpc0; yields the sum").args("sc1_inc_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_inc_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Raise), 1, 0, 0), "adds 1 to gpc1; yields the sum").args("sc1_inc_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_kbytes_in", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInCnt, How::Kilo), 1, 0, 0), "kilobytes from the client so far").args("sc1_kbytes_in([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_kbytes_out", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutCnt, How::Kilo), 1, 0, 0), "kilobytes to the client so far").args("sc1_kbytes_out([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_sess_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessCnt, How::Get), 1, 0, 0), "sessions so far").args("sc1_sess_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_sess_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessRate, How::Get), 1, 0, 0), "sessions per period").args("sc1_sess_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc1_trackers", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Holders), 1, 0, 0), "sessions that track the entry now").args("sc1_trackers([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_bytes_in_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInRate, How::Get), 2, 0, 0), "bytes from the client per period").args("sc2_bytes_in_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_bytes_out_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutRate, How::Get), 2, 0, 0), "bytes to the client per period").args("sc2_bytes_out_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_clr_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Clear), 2, a.int(0, 0), 1), "sets a counter to 0; yields what it was").args("sc2_clr_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc2_clr_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Clear), 2, 0, 0), "sets gpc0 to 0; yields what it was").args("sc2_clr_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_clr_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Clear), 2, 0, 0), "sets gpc1 to 0; yields what it was").args("sc2_clr_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_conn_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCnt, How::Get), 2, 0, 0), "connections so far").args("sc2_conn_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_conn_cur", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Get), 2, 0, 0), "connections now, over all workers").args("sc2_conn_cur([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_conn_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnRate, How::Get), 2, 0, 0), "connections per period").args("sc2_conn_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_get_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Get), 2, a.int(0, 0), 1), "a counter").args("sc2_get_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc2_get_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Get), 2, 0, 0), "gpc0").args("sc2_get_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_get_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Get), 2, 0, 0), "gpc1").args("sc2_get_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_get_gpt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt, How::Get), 2, a.int(0, 0), 1), "a tag").args("sc2_get_gpt(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc2_get_gpt0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt0, How::Get), 2, 0, 0), "gpt0").args("sc2_get_gpt0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_glitch_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchCnt, How::Get), 2, 0, 0), "protocol glitches so far").args("sc2_glitch_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_glitch_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchRate, How::Get), 2, 0, 0), "protocol glitches per period").args("sc2_glitch_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_gpc0_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0Rate, How::Get), 2, 0, 0), "increments of gpc0 per period").args("sc2_gpc0_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_gpc1_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1Rate, How::Get), 2, 0, 0), "increments of gpc1 per period").args("sc2_gpc1_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_gpc_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GpcRate, How::Get), 2, a.int(0, 0), 1), "increments of a counter per period").args("sc2_gpc_rate(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc2_http_err_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrCnt, How::Get), 2, 0, 0), "errors of the client so far").args("sc2_http_err_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_http_err_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrRate, How::Get), 2, 0, 0), "errors of the client per period").args("sc2_http_err_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_http_fail_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailCnt, How::Get), 2, 0, 0), "errors of servers so far").args("sc2_http_fail_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_http_fail_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailRate, How::Get), 2, 0, 0), "errors of servers per period").args("sc2_http_fail_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_http_req_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqCnt, How::Get), 2, 0, 0), "requests so far").args("sc2_http_req_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_http_req_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqRate, How::Get), 2, 0, 0), "requests per period").args("sc2_http_req_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_inc_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Raise), 2, a.int(0, 0), 1), "adds 1 to a counter; yields the sum").args("sc2_inc_gpc(<n>[,<table>])", 1, N_OTHER).check(other_table),
    Fetch::new("sc2_inc_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Raise), 2, 0, 0), "adds 1 to gpc0; yields the sum").args("sc2_inc_gpc0([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_inc_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Raise), 2, 0, 0), "adds 1 to gpc1; yields the sum").args("sc2_inc_gpc1([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_kbytes_in", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInCnt, How::Kilo), 2, 0, 0), "kilobytes from the client so far").args("sc2_kbytes_in([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_kbytes_out", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutCnt, How::Kilo), 2, 0, 0), "kilobytes to the client so far").args("sc2_kbytes_out([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_sess_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessCnt, How::Get), 2, 0, 0), "sessions so far").args("sc2_sess_cnt([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_sess_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessRate, How::Get), 2, 0, 0), "sessions per period").args("sc2_sess_rate([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc2_trackers", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Holders), 2, 0, 0), "sessions that track the entry now").args("sc2_trackers([<table>])", 0, OTHER).check(other_table),
    Fetch::new("sc_bytes_in_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInRate, How::Get), a.int(0, 0), 0, 1), "bytes from the client per period").args("sc_bytes_in_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_bytes_out_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutRate, How::Get), a.int(0, 0), 0, 1), "bytes to the client per period").args("sc_bytes_out_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_clr_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Clear), a.int(1, 0), a.int(0, 0), 2), "sets a counter to 0; yields what it was").args("sc_clr_gpc(<n>,<ctr>[,<table>])", 2, N_CTR_TABLE).check(other_table),
    Fetch::new("sc_clr_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Clear), a.int(0, 0), 0, 1), "sets gpc0 to 0; yields what it was").args("sc_clr_gpc0(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_clr_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Clear), a.int(0, 0), 0, 1), "sets gpc1 to 0; yields what it was").args("sc_clr_gpc1(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_conn_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCnt, How::Get), a.int(0, 0), 0, 1), "connections so far").args("sc_conn_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_conn_cur", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Get), a.int(0, 0), 0, 1), "connections now, over all workers").args("sc_conn_cur(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_conn_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnRate, How::Get), a.int(0, 0), 0, 1), "connections per period").args("sc_conn_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_get_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Get), a.int(1, 0), a.int(0, 0), 2), "a counter").args("sc_get_gpc(<n>,<ctr>[,<table>])", 2, N_CTR_TABLE).check(other_table),
    Fetch::new("sc_get_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Get), a.int(0, 0), 0, 1), "gpc0").args("sc_get_gpc0(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_get_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Get), a.int(0, 0), 0, 1), "gpc1").args("sc_get_gpc1(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_get_gpt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt, How::Get), a.int(1, 0), a.int(0, 0), 2), "a tag").args("sc_get_gpt(<n>,<ctr>[,<table>])", 2, N_CTR_TABLE).check(other_table),
    Fetch::new("sc_get_gpt0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpt0, How::Get), a.int(0, 0), 0, 1), "gpt0").args("sc_get_gpt0(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_glitch_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchCnt, How::Get), a.int(0, 0), 0, 1), "protocol glitches so far").args("sc_glitch_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_glitch_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GlitchRate, How::Get), a.int(0, 0), 0, 1), "protocol glitches per period").args("sc_glitch_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_gpc0_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0Rate, How::Get), a.int(0, 0), 0, 1), "increments of gpc0 per period").args("sc_gpc0_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_gpc1_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1Rate, How::Get), a.int(0, 0), 0, 1), "increments of gpc1 per period").args("sc_gpc1_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_gpc_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::GpcRate, How::Get), a.int(1, 0), a.int(0, 0), 2), "increments of a counter per period").args("sc_gpc_rate(<n>,<ctr>[,<table>])", 2, N_CTR_TABLE).check(other_table),
    Fetch::new("sc_http_err_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrCnt, How::Get), a.int(0, 0), 0, 1), "errors of the client so far").args("sc_http_err_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_http_err_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpErrRate, How::Get), a.int(0, 0), 0, 1), "errors of the client per period").args("sc_http_err_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_http_fail_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailCnt, How::Get), a.int(0, 0), 0, 1), "errors of servers so far").args("sc_http_fail_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_http_fail_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpFailRate, How::Get), a.int(0, 0), 0, 1), "errors of servers per period").args("sc_http_fail_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_http_req_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqCnt, How::Get), a.int(0, 0), 0, 1), "requests so far").args("sc_http_req_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_http_req_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::HttpReqRate, How::Get), a.int(0, 0), 0, 1), "requests per period").args("sc_http_req_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_inc_gpc", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc, How::Raise), a.int(1, 0), a.int(0, 0), 2), "adds 1 to a counter; yields the sum").args("sc_inc_gpc(<n>,<ctr>[,<table>])", 2, N_CTR_TABLE).check(other_table),
    Fetch::new("sc_inc_gpc0", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc0, How::Raise), a.int(0, 0), 0, 1), "adds 1 to gpc0; yields the sum").args("sc_inc_gpc0(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_inc_gpc1", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::Gpc1, How::Raise), a.int(0, 0), 0, 1), "adds 1 to gpc1; yields the sum").args("sc_inc_gpc1(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_kbytes_in", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesInCnt, How::Kilo), a.int(0, 0), 0, 1), "kilobytes from the client so far").args("sc_kbytes_in(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_kbytes_out", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::BytesOutCnt, How::Kilo), a.int(0, 0), 0, 1), "kilobytes to the client so far").args("sc_kbytes_out(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_sess_cnt", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessCnt, How::Get), a.int(0, 0), 0, 1), "sessions so far").args("sc_sess_cnt(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_sess_rate", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::SessRate, How::Get), a.int(0, 0), 0, 1), "sessions per period").args("sc_sess_rate(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("sc_trackers", Ty::Int, Needs::CONN, |f, a| tracked(f, a, What(Data::ConnCur, How::Holders), a.int(0, 0), 0, 1), "sessions that track the entry now").args("sc_trackers(<ctr>[,<table>])", 1, CTR_TABLE).check(other_table),
    Fetch::new("src_bytes_in_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::BytesInRate, How::Get), 0, 0), "bytes from the client per period").args("src_bytes_in_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_bytes_out_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::BytesOutRate, How::Get), 0, 0), "bytes to the client per period").args("src_bytes_out_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_clr_gpc", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc, How::Clear), a.int(0, 0), 1), "sets a counter to 0; yields what it was").args("src_clr_gpc(<n>[,<table>])", 1, N_TABLE).check(own_table),
    Fetch::new("src_clr_gpc0", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc0, How::Clear), 0, 0), "sets gpc0 to 0; yields what it was").args("src_clr_gpc0([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_clr_gpc1", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc1, How::Clear), 0, 0), "sets gpc1 to 0; yields what it was").args("src_clr_gpc1([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_conn_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::ConnCnt, How::Get), 0, 0), "connections so far").args("src_conn_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_conn_cur", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::ConnCur, How::Get), 0, 0), "connections now, over all workers").args("src_conn_cur([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_conn_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::ConnRate, How::Get), 0, 0), "connections per period").args("src_conn_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_get_gpc", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc, How::Get), a.int(0, 0), 1), "a counter").args("src_get_gpc(<n>[,<table>])", 1, N_TABLE).check(own_table),
    Fetch::new("src_get_gpc0", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc0, How::Get), 0, 0), "gpc0").args("src_get_gpc0([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_get_gpc1", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc1, How::Get), 0, 0), "gpc1").args("src_get_gpc1([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_get_gpt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpt, How::Get), a.int(0, 0), 1), "a tag").args("src_get_gpt(<n>[,<table>])", 1, N_TABLE).check(own_table),
    Fetch::new("src_get_gpt0", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpt0, How::Get), 0, 0), "gpt0").args("src_get_gpt0([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_glitch_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::GlitchCnt, How::Get), 0, 0), "protocol glitches so far").args("src_glitch_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_glitch_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::GlitchRate, How::Get), 0, 0), "protocol glitches per period").args("src_glitch_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_gpc0_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc0Rate, How::Get), 0, 0), "increments of gpc0 per period").args("src_gpc0_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_gpc1_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc1Rate, How::Get), 0, 0), "increments of gpc1 per period").args("src_gpc1_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_gpc_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::GpcRate, How::Get), a.int(0, 0), 1), "increments of a counter per period").args("src_gpc_rate(<n>[,<table>])", 1, N_TABLE).check(own_table),
    Fetch::new("src_http_err_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpErrCnt, How::Get), 0, 0), "errors of the client so far").args("src_http_err_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_http_err_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpErrRate, How::Get), 0, 0), "errors of the client per period").args("src_http_err_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_http_fail_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpFailCnt, How::Get), 0, 0), "errors of servers so far").args("src_http_fail_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_http_fail_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpFailRate, How::Get), 0, 0), "errors of servers per period").args("src_http_fail_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_http_req_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpReqCnt, How::Get), 0, 0), "requests so far").args("src_http_req_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_http_req_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::HttpReqRate, How::Get), 0, 0), "requests per period").args("src_http_req_rate([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_inc_gpc", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc, How::Raise), a.int(0, 0), 1), "adds 1 to a counter; yields the sum").args("src_inc_gpc(<n>[,<table>])", 1, N_TABLE).check(own_table),
    Fetch::new("src_inc_gpc0", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc0, How::Raise), 0, 0), "adds 1 to gpc0; yields the sum").args("src_inc_gpc0([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_inc_gpc1", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::Gpc1, How::Raise), 0, 0), "adds 1 to gpc1; yields the sum").args("src_inc_gpc1([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_kbytes_in", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::BytesInCnt, How::Kilo), 0, 0), "kilobytes from the client so far").args("src_kbytes_in([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_kbytes_out", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::BytesOutCnt, How::Kilo), 0, 0), "kilobytes to the client so far").args("src_kbytes_out([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_sess_cnt", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::SessCnt, How::Get), 0, 0), "sessions so far").args("src_sess_cnt([<table>])", 0, TABLE).check(own_table),
    Fetch::new("src_sess_rate", Ty::Int, Needs::CONN, |f, a| of_src(f, a, What(Data::SessRate, How::Get), 0, 0), "sessions per period").args("src_sess_rate([<table>])", 0, TABLE).check(own_table),
];

/// The rows that are one of a kind.
pub const OWN_ROWS: &[Fetch] = &[
    Fetch::new(
        "sc_tracked",
        Ty::Bool,
        Needs::CONN,
        |f, a| is_tracked(f, a.int(0, 0)),
        "whether a counter tracks something",
    )
    .args("sc_tracked(<ctr>)", 1, &[Kind::Int]),
    Fetch::new("sc0_tracked", Ty::Bool, Needs::CONN, |f, _| is_tracked(f, 0), "whether sc0 tracks something"),
    Fetch::new("sc1_tracked", Ty::Bool, Needs::CONN, |f, _| is_tracked(f, 1), "whether sc1 tracks something"),
    Fetch::new("sc2_tracked", Ty::Bool, Needs::CONN, |f, _| is_tracked(f, 2), "whether sc2 tracks something"),
    Fetch::new(
        "src_updt_conn_cnt",
        Ty::Int,
        Needs::CONN,
        updt_conn_cnt,
        "counts a connection of the client's address",
    )
    .args("src_updt_conn_cnt([<table>])", 0, TABLE)
    .check(own_table)
    .text("Makes the entry if there is none, adds 1 to conn_cnt and yields the sum."),
    Fetch::new(
        "table_avl",
        Ty::Int,
        Needs::NOTHING,
        |f, a| sum(f, a, |t| i64::from(t.spec().size) - t.used() as i64),
        "entries a stick table has room for",
    )
    .args("table_avl([<table>])", 0, TABLE)
    .check(own_table),
    Fetch::new(
        "table_cnt",
        Ty::Int,
        Needs::NOTHING,
        |f, a| sum(f, a, |t| t.used() as i64),
        "entries of a stick table",
    )
    .args("table_cnt([<table>])", 0, TABLE)
    .check(own_table),
];

impl What {
    /// The kind that is kept: what is called gpc0 may be the first of the array.
    fn place(self, table: &Table, nth: usize) -> (Data, usize) {
        let array = match self.0 {
            Data::Gpc0 => (Data::Gpc, 0),
            Data::Gpc1 => (Data::Gpc, 1),
            Data::Gpc0Rate => (Data::GpcRate, 0),
            Data::Gpc1Rate => (Data::GpcRate, 1),
            Data::Gpt0 => (Data::Gpt, 0),
            _ => return (self.0, nth),
        };
        if table.spec().store(self.0).is_some() {
            (self.0, 0)
        } else {
            array
        }
    }

    fn of(self, entry: Entry<'_>, table: &Table, nth: usize, now_ms: u64) -> Option<i64> {
        let (data, nth) = self.place(table, nth);
        let value = match self.1 {
            How::Holders => entry.holders().into(),
            How::Get => entry.get(data, nth, now_ms)?,
            How::Kilo => entry.get(data, nth, now_ms)? >> 10,
            How::Clear => {
                let was = entry.get(data, nth, now_ms)?;
                entry.set(data, nth, 0, now_ms);
                was
            }
            How::Raise => raise(entry, data, nth, 1, now_ms)?,
        };
        Some(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// Adds to a counter and to its rate; yields the sum. `None`: neither is kept.
pub fn raise(entry: Entry<'_>, data: Data, nth: usize, by: u64, now_ms: u64) -> Option<u64> {
    let rate = match data {
        Data::Gpc0 => Data::Gpc0Rate,
        Data::Gpc1 => Data::Gpc1Rate,
        _ => Data::GpcRate,
    };
    let rated = entry.add(rate, nth, by, now_ms);
    let counted = entry.add(data, nth, by, now_ms);
    let kept = if counted { data } else { rate };
    if rated || counted {
        entry.get(kept, nth, now_ms)
    } else {
        None
    }
}

/// The entry a counter tracks: the stream's own, else that of the client's connection.
fn held(f: &Facts<'_>, ctr: i64) -> Option<crate::shm::stick::Held> {
    let ctr = usize::try_from(ctr).ok()?;
    f.txn.tracks.get(ctr).or_else(|| f.txn.sess_tracks.get(ctr))
}

fn is_tracked<'a>(f: &Facts<'a>, ctr: i64) -> Got<'a> {
    Got::Some(Sample::Bool(held(f, ctr).is_some()))
}

/// The value of what a counter tracks, or of the same key in the table named at `other`; nothing is tracked: no value.
fn tracked<'a>(f: &Facts<'a>, args: &'a Args, what: What, ctr: i64, nth: i64, other: usize) -> Got<'a> {
    let (Some(stick), Some(held)) = (f.world.stick(), held(f, ctr)) else { return Got::None };
    let (Some(table), Ok(nth)) = (stick.table(held), usize::try_from(nth)) else { return Got::None };
    let entry = table.held(held);
    let Some(id) = args.proxy(other) else { return got(what.of(entry, table, nth, stick.now_ms)) };
    let Some(wanted) = f.world.table_of(id).and_then(|index| stick.tables.get(index)) else {
        return Got::None;
    };
    let Some(key) = key_again(table.spec(), &entry.key(), wanted.spec()) else { return Got::None };
    let value = wanted.find(&key, stick.now_ms, |entry| what.of(entry, wanted, nth, stick.now_ms));
    got(value.unwrap_or(Some(0)))
}

/// The value of the client's address; 0 when the table does not know it.
fn of_src<'a>(f: &Facts<'a>, args: &'a Args, what: What, nth: i64, table: usize) -> Got<'a> {
    let Some((stick, table, key)) = src_key(f, args, table) else { return Got::None };
    let Ok(nth) = usize::try_from(nth) else { return Got::None };
    let work = |entry: Entry<'_>| what.of(entry, table, nth, stick.now_ms);
    let value = match what.1 {
        How::Raise => table.update(&key, stick.now_ms, work),
        _ => table.find(&key, stick.now_ms, work),
    };
    got(value.unwrap_or(Some(0)))
}

fn src_key<'a>(
    f: &Facts<'a>,
    args: &'a Args,
    at: usize,
) -> Option<(crate::expr::stick::Stick<'a>, &'a Table, Vec<u8>)> {
    let stick = f.world.stick()?;
    let table = stick.tables.get(f.world.table_of(args.proxy(at)?)?)?;
    let key = key_of(table.spec(), Sample::addr(f.src().ip()?))?;
    Some((stick, table, key))
}

fn updt_conn_cnt<'a>(f: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let Some((stick, table, key)) = src_key(f, args, 0) else { return Got::None };
    let count = |entry: Entry<'_>| {
        entry.add(Data::ConnRate, 0, 1, stick.now_ms);
        entry.add(Data::ConnCnt, 0, 1, stick.now_ms);
        entry.get(Data::ConnCnt, 0, stick.now_ms).map(|n| n as i64)
    };
    got(table.update(&key, stick.now_ms, count).flatten())
}

fn sum<'a>(f: &Facts<'a>, args: &'a Args, of: fn(&Table) -> i64) -> Got<'a> {
    let table = |stick: crate::expr::stick::Stick<'a>| stick.tables.get(f.world.table_of(args.proxy(0)?)?);
    got(f.world.stick().and_then(table).map(of))
}

fn got<'a>(value: Option<i64>) -> Got<'a> {
    value.map_or(Got::None, |n| Got::Some(Sample::Int(n)))
}

/// The section's own table is meant, so it must have one.
fn own_table(_: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String> {
    match args.iter().find_map(|arg| if let Arg::Table(id) = arg { Some(*id) } else { None }) {
        Some(id) if !cx.names.has_table(id) => {
            Err("this section has no stick-table: name one that has".into())
        }
        _ => Ok(()),
    }
}

/// Another table may be named; it must exist.
fn other_table(_: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String> {
    for arg in args {
        if let Arg::Str(name) = arg {
            match cx.names.table(name) {
                Some(id) => *arg = Arg::Table(id),
                None => return Err(format!("no section \"{name}\" with a stick-table")),
            }
        }
    }
    Ok(())
}

//! Converters that look at tables and servers, in traffic.

use crate::program;

#[test]
fn every_converter_of_tables_and_servers() {
    let rows = [
        ("ipv4(10.0.0.1),in_table(t)", "1"),
        ("ipv4(10.0.0.2),in_table(t)", "0"),
        ("str(10.0.0.1),in_table(t)", "1"),
        ("ipv4(10.0.0.2),table_conn_cnt(t)", "0"),
        ("ipv4(10.0.0.1),table_server_id(t)", "1"),
        ("ipv4(10.0.0.1),table_gpc0(t)", "2"),
        ("ipv4(10.0.0.1),table_gpc0_rate(t)", "3"),
        ("ipv4(10.0.0.1),table_gpc1(t)", "4"),
        ("ipv4(10.0.0.1),table_gpc1_rate(t)", "5"),
        ("ipv4(10.0.0.1),table_gpt0(t)", "6"),
        ("ipv4(10.0.0.1),table_conn_cnt(t)", "7"),
        ("ipv4(10.0.0.1),table_conn_cur(t)", "8"),
        ("ipv4(10.0.0.1),table_conn_rate(t)", "9"),
        ("ipv4(10.0.0.1),table_sess_cnt(t)", "10"),
        ("ipv4(10.0.0.1),table_sess_rate(t)", "11"),
        ("ipv4(10.0.0.1),table_http_req_cnt(t)", "12"),
        ("ipv4(10.0.0.1),table_http_req_rate(t)", "13"),
        ("ipv4(10.0.0.1),table_http_err_cnt(t)", "14"),
        ("ipv4(10.0.0.1),table_http_err_rate(t)", "15"),
        ("ipv4(10.0.0.1),table_http_fail_cnt(t)", "16"),
        ("ipv4(10.0.0.1),table_http_fail_rate(t)", "17"),
        ("ipv4(10.0.0.1),table_kbytes_in(t)", "18"),
        ("ipv4(10.0.0.1),table_bytes_in_rate(t)", "19"),
        ("ipv4(10.0.0.1),table_kbytes_out(t)", "20"),
        ("ipv4(10.0.0.1),table_bytes_out_rate(t)", "21"),
        ("ipv4(10.0.0.1),table_glitch_cnt(t)", "22"),
        ("ipv4(10.0.0.1),table_glitch_rate(t)", "23"),
        ("ipv4(10.0.0.1),table_trackers(t)", "0"),
        ("ipv4(10.0.0.1),table_expire(t),div(1000000)", "3"),
        ("ipv4(10.0.0.1),table_idle(t),div(100000)", "0"),
        ("src,table_gpc(1,u)", "2"),
        ("src,table_gpc_rate(1,u)", "2"),
        ("src,table_gpt(1,u)", "33"),
        ("str(be),nbsrv", "2"),
        ("str(none),nbsrv", "-"),
        ("str(be/s1),srv_queue", "0"),
    ];
    let fields: String =
        rows.iter().enumerate().map(|(n, (text, _))| format!(" hdr X-{n} \"%[{text}]\"")).collect();
    let proxy = program(&format!(
        "frontend fe\n    bind \"fd@${{fe}}\"\n    http-request track-sc0 src table u\n    \
         http-request sc-inc-gpc(1,0)\n    http-request sc-inc-gpc(1,0)\n    http-request sc-set-gpt(1,0) 33\n    \
         http-request return status 200{fields}\n\
         backend be\n    server s1 127.0.0.1:1\n    server s2 127.0.0.1:1\n\
         backend t\n    stick-table type ip size 10 expire 1h store server_id,gpc0,gpc0_rate(1h),gpc1,gpc1_rate(1h),\
         gpt0,conn_cnt,conn_cur,conn_rate(1h),sess_cnt,sess_rate(1h),http_req_cnt,http_req_rate(1h),http_err_cnt,\
         http_err_rate(1h),http_fail_cnt,http_fail_rate(1h),bytes_in_cnt,bytes_in_rate(1h),bytes_out_cnt,\
         bytes_out_rate(1h),glitch_cnt,glitch_rate(1h)\n\
         backend u\n    stick-table type ip size 10 expire 1h store gpc(2),gpc_rate(2,1h),gpt(2)\n"
    ))
    .listen("fe")
    .start();
    let said = proxy.command(
        "set table t key 10.0.0.1 data.server_id 1 data.gpc0 2 data.gpc0_rate 3 data.gpc1 4 data.gpc1_rate 5 data.gpt0 6 \
         data.conn_cnt 7 data.conn_cur 8 data.conn_rate 9 data.sess_cnt 10 data.sess_rate 11 data.http_req_cnt 12 \
         data.http_req_rate 13 data.http_err_cnt 14 data.http_err_rate 15 data.http_fail_cnt 16 data.http_fail_rate 17 \
         data.bytes_in_cnt 18432 data.bytes_in_rate 19 data.bytes_out_cnt 20480 data.bytes_out_rate 21 \
         data.glitch_cnt 22 data.glitch_rate 23",
    );
    assert_eq!(said.trim(), "");
    let response = proxy.get("fe", "/");
    for (n, (text, wanted)) in rows.iter().enumerate() {
        let found = response.field(&format!("x-{n}")).unwrap_or_default();
        let found = if found.is_empty() { "-" } else { found };
        assert_eq!(found, *wanted, "{text}");
    }
}

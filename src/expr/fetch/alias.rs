//! Old names of fetches, and names that mean request or response by the place they stand in.

use super::Point;

/// `(name, request-side row, response-side row)`; an empty name: not there on that side.
pub const ALIASES: &[(&str, &str, &str)] = &[
    ("hdr", "req.hdr", "res.hdr"),
    ("fhdr", "req.fhdr", "res.fhdr"),
    ("hdr_cnt", "req.hdr_cnt", "res.hdr_cnt"),
    ("fhdr_cnt", "req.fhdr_cnt", "res.fhdr_cnt"),
    ("hdr_ip", "req.hdr_ip", "res.hdr_ip"),
    ("hdr_val", "req.hdr_val", "res.hdr_val"),
    ("shdr", "res.hdr", "res.hdr"),
    ("shdr_cnt", "res.hdr_cnt", "res.hdr_cnt"),
    ("shdr_ip", "res.hdr_ip", "res.hdr_ip"),
    ("shdr_val", "res.hdr_val", "res.hdr_val"),
    ("cook", "req.cook", "req.cook"),
    ("cook_cnt", "req.cook_cnt", "req.cook_cnt"),
    ("cook_val", "req.cook_val", "req.cook_val"),
    ("cookie", "req.cook", "res.cook"),
    ("scook", "res.cook", "res.cook"),
    ("scook_cnt", "res.cook_cnt", "res.cook_cnt"),
    ("scook_val", "res.cook_val", "res.cook_val"),
    ("set-cookie", "res.cook", "res.cook"),
    ("payload", "req.payload", "res.payload"),
    ("req_len", "req.len", "req.len"),
    ("req_ver", "req.ver", "req.ver"),
    ("resp_ver", "res.ver", "res.ver"),
    ("rdp_cookie", "req.rdp_cookie", "req.rdp_cookie"),
    ("rdp_cookie_cnt", "req.rdp_cookie_cnt", "req.rdp_cookie_cnt"),
    ("req_rdp_cookie", "req.rdp_cookie", "req.rdp_cookie"),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", "req.rdp_cookie_cnt"),
    ("req_proto_http", "req.proto_http", "req.proto_http"),
    ("req_ssl_hello_type", "req.ssl_hello_type", "req.ssl_hello_type"),
    ("rep.ssl_hello_type", "res.ssl_hello_type", "res.ssl_hello_type"),
    ("rep_ssl_hello_type", "res.ssl_hello_type", "res.ssl_hello_type"),
    ("req_ssl_sni", "req.ssl_sni", "req.ssl_sni"),
    ("req_ssl_ver", "req.ssl_ver", "req.ssl_ver"),
    ("is_ssl", "ssl_fc", "ssl_fc"),
    ("ssl_fc_hsk_err", "ssl_fc_err", "ssl_fc_err"),
    ("ssl_fc_hsk_err_str", "ssl_fc_err_str", "ssl_fc_err_str"),
    ("ssl_bc_hsk_err", "ssl_bc_err", "ssl_bc_err"),
    ("ssl_bc_hsk_err_str", "ssl_bc_err_str", "ssl_bc_err_str"),
    ("ssl_has_sni", "ssl_fc_has_sni", "ssl_fc_has_sni"),
    ("ssl_sni", "ssl_fc_sni", "ssl_fc_sni"),
    ("urlp", "url_param", "url_param"),
    ("urlp_val", "url_param_val", "url_param_val"),
    ("always_true", "always_true", "always_true"),
];

/// The row a name stands for at a point.
pub fn target(name: &str, point: Point) -> Option<&'static str> {
    let (_, req, res) = ALIASES.iter().find(|(alias, ..)| *alias == name)?;
    let row = if point.is_response() { *res } else { *req };
    (row != name && !row.is_empty()).then_some(row)
}

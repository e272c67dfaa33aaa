//! Fetches of the connections: addresses, the PROXY header, the socket, TCP.

use super::{Fetch, Needs};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::{Got, Sample, Ty};
use crate::expr::view::{Addr, Facts, Side, TcpInfo};

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "bc_dst",
        Ty::Addr,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| ip(b.dst)),
        "address the server was reached at",
    ),
    Fetch::new(
        "bc_dst_port",
        Ty::Int,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| port(b.dst)),
        "port the server was reached at",
    ),
    Fetch::new(
        "bc_err",
        Ty::Int,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| Got::Some(Sample::Int(b.err.into()))),
        "why the server's connection failed, by number",
    ),
    Fetch::new(
        "bc_err_str",
        Ty::Str,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| Got::Some(Sample::text(b.err_text))),
        "why the server's connection failed",
    ),
    Fetch::new(
        "bc_http_major",
        Ty::Int,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| Got::Some(Sample::Int(b.http_major.into()))),
        "HTTP major version towards the server",
    ),
    Fetch::new(
        "bc_reused",
        Ty::Bool,
        Needs::BACK,
        |f, _| f.back.map_or(Got::None, |b| Got::Some(Sample::Bool(b.reused))),
        "the server's connection had been used before",
    ),
    Fetch::new(
        "bc_rtt",
        Ty::Int,
        Needs::BACK,
        |f, a| tcp(f, a, Side::Back, |t| t.rtt_us),
        "round trip to the server",
    )
    .args("bc_rtt([<unit>])", 0, &[UNIT]),
    Fetch::new(
        "bc_rttvar",
        Ty::Int,
        Needs::BACK,
        |f, a| tcp(f, a, Side::Back, |t| t.rttvar_us),
        "variance of the round trip to the server",
    )
    .args("bc_rttvar([<unit>])", 0, &[UNIT]),
    Fetch::new("bc_src", Ty::Addr, Needs::BACK, |f, _| ip(f.back_src()), "address we reach the server from"),
    Fetch::new(
        "bc_src_port",
        Ty::Int,
        Needs::BACK,
        |f, _| port(f.back_src()),
        "port we reach the server from",
    ),
    Fetch::new("dst", Ty::Addr, Needs::CONN, |f, _| ip(f.dst()), "address the client asked for"),
    Fetch::new("dst_port", Ty::Int, Needs::CONN, |f, _| port(f.dst()), "port the client asked for"),
    Fetch::new("fc_dst", Ty::Addr, Needs::CONN, |f, _| ip(f.conn.dst), "address the client connected to"),
    Fetch::new("fc_dst_port", Ty::Int, Needs::CONN, |f, _| port(f.conn.dst), "port the client connected to"),
    Fetch::new(
        "fc_err",
        Ty::Int,
        Needs::CONN,
        |f, _| Got::Some(Sample::Int(f.conn.err.into())),
        "why the client's connection failed, by number",
    ),
    Fetch::new(
        "fc_err_str",
        Ty::Str,
        Needs::CONN,
        |f, _| Got::Some(Sample::text(f.conn.err_text)),
        "why the client's connection failed",
    ),
    Fetch::new(
        "fc_http_major",
        Ty::Int,
        Needs::CONN,
        |f, _| Got::Some(Sample::Int(f.conn.http_major.into())),
        "HTTP major version of the client's connection",
    ),
    Fetch::new(
        "fc_pp_authority",
        Ty::Str,
        Needs::SESS,
        |f, _| tlv(f, 2),
        "name the client asked for, by the PROXY header",
    ),
    Fetch::new("fc_pp_tlv", Ty::Str, Needs::SESS, |f, a| tlv(f, a.int(0, -1)), "a TLV of the PROXY header")
        .args("fc_pp_tlv(<type>)", 1, &[Kind::Custom])
        .check(check_tlv)
        .text("The type is a number, as 5 or 0x05, or one of ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS.")
        .example("http-request set-var(txn.zone) fc_pp_tlv(0xE0)"),
    Fetch::new(
        "fc_pp_unique_id",
        Ty::Str,
        Needs::SESS,
        |f, _| tlv(f, 5),
        "identity given by the PROXY header",
    ),
    Fetch::new(
        "fc_rcvd_proxy",
        Ty::Bool,
        Needs::SESS,
        |f, _| Got::Some(Sample::Bool(f.conn.proxied)),
        "the connection began with a PROXY header",
    ),
    Fetch::new(
        "fc_rtt",
        Ty::Int,
        Needs::CONN,
        |f, a| tcp(f, a, Side::Front, |t| t.rtt_us),
        "round trip to the client",
    )
    .args("fc_rtt([<unit>])", 0, &[UNIT]),
    Fetch::new(
        "fc_rttvar",
        Ty::Int,
        Needs::CONN,
        |f, a| tcp(f, a, Side::Front, |t| t.rttvar_us),
        "variance of the round trip to the client",
    )
    .args("fc_rttvar([<unit>])", 0, &[UNIT]),
    Fetch::new("fc_src", Ty::Addr, Needs::CONN, |f, _| ip(f.conn.src), "address of the client's connection"),
    Fetch::new(
        "fc_src_port",
        Ty::Int,
        Needs::CONN,
        |f, _| port(f.conn.src),
        "port of the client's connection",
    ),
    Fetch::new(
        "so_id",
        Ty::Int,
        Needs::CONN,
        |f, _| Got::Some(Sample::Int(f.world.listener_puid(f.conn.listener).into())),
        "number of the bind line",
    ),
    Fetch::new(
        "so_name",
        Ty::Str,
        Needs::CONN,
        |f, _| f.world.listener_name(f.conn.listener).map_or(Got::None, |n| Got::Some(Sample::text(n))),
        "name of the bind line",
    ),
    Fetch::new(
        "fc_fackets",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.fackets),
        "forward acknowledgements of the client's connection",
    ),
    Fetch::new(
        "fc_lost",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.lost),
        "packets of the client's connection believed lost",
    ),
    Fetch::new(
        "fc_reordering",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.reordering),
        "how much packets of the client's connection change places",
    ),
    Fetch::new(
        "fc_retrans",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.retrans),
        "packets to the client being sent again",
    ),
    Fetch::new(
        "fc_sacked",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.sacked),
        "packets the client has out of order",
    ),
    Fetch::new(
        "fc_unacked",
        Ty::Int,
        Needs::CONN,
        |f, _| tcp_count(f, |t| t.unacked),
        "packets to the client without an answer yet",
    ),
    Fetch::new(
        "dst_is_local",
        Ty::Bool,
        Needs::CONN,
        |f, _| local(f, f.dst()),
        "the address the client asked for is one of this machine",
    ),
    Fetch::new(
        "fc_dst_is_local",
        Ty::Bool,
        Needs::CONN,
        |f, _| local(f, f.conn.dst),
        "the address the client connected to is one of this machine",
    ),
    Fetch::new(
        "fc_src_is_local",
        Ty::Bool,
        Needs::CONN,
        |f, _| local(f, f.conn.src),
        "the client's connection comes from this machine",
    ),
    Fetch::new(
        "src_is_local",
        Ty::Bool,
        Needs::CONN,
        |f, _| local(f, f.src()),
        "the client's address is one of this machine",
    ),
    Fetch::new(
        "dst_conn",
        Ty::Int,
        Needs::CONN,
        |f, _| Got::Some(Sample::Int(f.world.listener_conns(f.conn.listener))),
        "connections on the address the client came to, this one included",
    ),
    Fetch::new("src", Ty::Addr, Needs::CONN, |f, _| ip(f.src()), "address of the client"),
    Fetch::new("src_port", Ty::Int, Needs::CONN, |f, _| port(f.src()), "port of the client"),
];

const UNIT: Kind = Kind::Choice(&["ms", "us"]);

fn ip<'a>(addr: Addr) -> Got<'a> {
    addr.ip().map_or(Got::None, |ip| Got::Some(Sample::addr(ip)))
}

fn port<'a>(addr: Addr) -> Got<'a> {
    addr.port().map_or(Got::None, |port| Got::Some(Sample::Int(port.into())))
}

fn tcp<'a>(facts: &Facts<'a>, args: &'a Args, side: Side, of: fn(&TcpInfo) -> u32) -> Got<'a> {
    let Some(info) = facts.world.tcp_info(side) else { return Got::None };
    let us = i64::from(of(&info));
    Got::Some(Sample::Int(if args.int(0, 0) == 0 { us / 1000 } else { us }))
}

fn tcp_count<'a>(facts: &Facts<'a>, of: fn(&TcpInfo) -> u32) -> Got<'a> {
    facts.world.tcp_info(Side::Front).map_or(Got::None, |info| Got::Some(Sample::Int(of(&info).into())))
}

fn local<'a>(facts: &Facts<'a>, addr: Addr) -> Got<'a> {
    match addr {
        Addr::None => Got::None,
        Addr::Unix => Got::Some(Sample::Bool(true)),
        Addr::Inet(addr) => Got::Some(Sample::Bool(facts.world.is_local(addr.ip()))),
    }
}

/// The type of a TLV (PROXY protocol, section 2.2), by number or name.
fn check_tlv(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let Some(Arg::Str(word)) = args.first() else { return Ok(()) };
    let number = match word.to_ascii_uppercase().as_str() {
        "ALPN" => Ok(0x01),
        "AUTHORITY" => Ok(0x02),
        "CRC32C" => Ok(0x03),
        "NOOP" => Ok(0x04),
        "UNIQUE_ID" => Ok(0x05),
        "SSL" => Ok(0x20),
        "NETNS" => Ok(0x30),
        other => other.strip_prefix("0X").map_or(other.parse(), |digits| u8::from_str_radix(digits, 16)),
    };
    let number =
        number.map_err(|_| format!("\"{word}\" is no type of a PROXY header's part: 0 to 255, or a name"))?;
    args[0] = Arg::Int(number.into());
    Ok(())
}

fn tlv<'a>(facts: &Facts<'a>, wanted: i64) -> Got<'a> {
    let mut rest: &'a [u8] = &facts.conn.tlvs;
    while let [kind, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, next)) = tail.split_at_checked(len) else { break };
        if i64::from(*kind) == wanted {
            return Got::Some(Sample::text(value));
        }
        rest = next;
    }
    Got::None
}

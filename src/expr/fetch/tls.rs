//! Fetches of the TLS layer, on both sides.

use super::{Fetch, Needs};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::TlsView;
use lighterman_sys::tls::library_text;

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new(
        "ssl_bc",
        Ty::Bool,
        Needs::BACK,
        |f, _| Got::Some(Sample::Bool(f.back_tls.is_some())),
        "the server's connection is TLS",
    ),
    Fetch::new(
        "ssl_bc_alg_keysize",
        Ty::Int,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.cipher_bits().map(|(_, n)| Sample::Int(n.into()))),
        "key bits of the algorithm of the cipher with the server",
    ),
    Fetch::new(
        "ssl_bc_alpn",
        Ty::Str,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.alpn().map(Sample::text)),
        "protocol agreed on with the server",
    ),
    Fetch::new(
        "ssl_bc_cipher",
        Ty::Str,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.cipher().map(Sample::text)),
        "cipher suite with the server",
    ),
    Fetch::new(
        "ssl_bc_client_random",
        Ty::Bin,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.randoms().map(|(client, _)| binary(&client))),
        "random bytes of the client in the handshake with the server",
    ),
    Fetch::new(
        "ssl_bc_curve",
        Ty::Str,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.curve().map(Sample::text)),
        "group of the key exchange with the server",
    ),
    Fetch::new(
        "ssl_bc_err",
        Ty::Int,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| Some(Sample::Int(t.err()))),
        "first error of the server's TLS",
    ),
    Fetch::new(
        "ssl_bc_err_str",
        Ty::Str,
        Needs::BACK,
        |f, _| of(f.back_tls, error_text),
        "first error of the server's TLS, in the library's words",
    ),
    Fetch::new(
        "ssl_bc_is_resumed",
        Ty::Bool,
        Needs::BACK,
        |f, _| Got::Some(Sample::Bool(f.back_tls.is_some_and(|t| t.resumed()))),
        "the server resumed a session",
    ),
    Fetch::new(
        "ssl_bc_protocol",
        Ty::Str,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.version().map(Sample::text)),
        "TLS version with the server",
    ),
    Fetch::new(
        "ssl_bc_server_random",
        Ty::Bin,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.randoms().map(|(_, server)| binary(&server))),
        "random bytes of the server in the handshake with the server",
    ),
    Fetch::new(
        "ssl_bc_session_id",
        Ty::Bin,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.session_id().map(|id| binary(&id))),
        "id of the TLS session with the server",
    ),
    Fetch::new(
        "ssl_bc_session_key",
        Ty::Bin,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.session_key().map(|bytes| binary(&bytes))),
        "master secret of the TLS session with the server",
    ),
    Fetch::new(
        "ssl_bc_unique_id",
        Ty::Bin,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.unique().map(|bytes| binary(&bytes))),
        "first proof that ended the handshake with the server: \"tls-unique\" (RFC 5929)",
    ),
    Fetch::new(
        "ssl_bc_use_keysize",
        Ty::Int,
        Needs::BACK,
        |f, _| of(f.back_tls, |t| t.cipher_bits().map(|(n, _)| Sample::Int(n.into()))),
        "key bits in use with the server",
    ),
    Fetch::new(
        "ssl_fc",
        Ty::Bool,
        Needs::SESS,
        |f, _| Got::Some(Sample::Bool(f.tls.is_some())),
        "the client's connection is TLS",
    ),
    Fetch::new(
        "ssl_fc_alg_keysize",
        Ty::Int,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.cipher_bits().map(|(_, n)| Sample::Int(n.into()))),
        "key bits of the cipher's algorithm",
    ),
    Fetch::new(
        "ssl_fc_alpn",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.alpn().map(Sample::text)),
        "protocol agreed on with the client",
    ),
    Fetch::new(
        "ssl_fc_cipher",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.cipher().map(Sample::text)),
        "cipher suite with the client",
    ),
    Fetch::new(
        "ssl_fc_client_random",
        Ty::Bin,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.randoms().map(|(client, _)| binary(&client))),
        "random bytes of the client in the handshake with the client",
    ),
    Fetch::new(
        "ssl_fc_curve",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.curve().map(Sample::text)),
        "group of the key exchange with the client",
    ),
    Fetch::new(
        "ssl_fc_early_rcvd",
        Ty::Bool,
        Needs::SESS,
        |f, _| of(f.tls, |t| Some(Sample::Bool(t.early_rcvd()))),
        "early data was taken on the client's connection",
    ),
    Fetch::new(
        "ssl_fc_err",
        Ty::Int,
        Needs::SESS,
        |f, _| of(f.tls, |t| Some(Sample::Int(t.err()))),
        "first error of the client's TLS",
    ),
    Fetch::new(
        "ssl_fc_err_str",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, error_text),
        "first error of the client's TLS, in the library's words",
    ),
    Fetch::new(
        "ssl_fc_has_crt",
        Ty::Bool,
        Needs::SESS,
        |f, _| of(f.tls, |t| Some(Sample::Bool(t.cert_now()))),
        "the client showed a certificate in this handshake",
    ),
    Fetch::new(
        "ssl_fc_has_early",
        Ty::Bool,
        Needs::SESS,
        |f, _| of(f.tls, |t| Some(Sample::Bool(t.early()))),
        "early data came, and the client's handshake is not over",
    ),
    Fetch::new(
        "ssl_fc_has_sni",
        Ty::Bool,
        Needs::SESS,
        |f, _| of(f.tls, |t| Some(Sample::Bool(t.sni().is_some()))),
        "the client asked for a name",
    ),
    Fetch::new(
        "ssl_fc_is_resumed",
        Ty::Bool,
        Needs::SESS,
        |f, _| Got::Some(Sample::Bool(f.tls.is_some_and(|t| t.resumed()))),
        "the client resumed a session",
    ),
    Fetch::new(
        "ssl_fc_protocol",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.version().map(Sample::text)),
        "TLS version with the client",
    ),
    Fetch::new(
        "ssl_fc_server_random",
        Ty::Bin,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.randoms().map(|(_, server)| binary(&server))),
        "random bytes of the server in the handshake with the client",
    ),
    Fetch::new(
        "ssl_fc_session_id",
        Ty::Bin,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.session_id().map(|id| binary(&id))),
        "id of the TLS session with the client",
    ),
    Fetch::new(
        "ssl_fc_sni",
        Ty::Str,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.sni().map(Sample::text)),
        "name the client asked for",
    ),
    Fetch::new(
        "ssl_fc_session_key",
        Ty::Bin,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.session_key().map(|bytes| binary(&bytes))),
        "master secret of the TLS session with the client",
    ),
    Fetch::new(
        "ssl_fc_unique_id",
        Ty::Bin,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.unique().map(|bytes| binary(&bytes))),
        "first proof that ended the handshake with the client: \"tls-unique\" (RFC 5929)",
    ),
    Fetch::new(
        "ssl_fc_use_keysize",
        Ty::Int,
        Needs::SESS,
        |f, _| of(f.tls, |t| t.cipher_bits().map(|(n, _)| Sample::Int(n.into()))),
        "key bits in use",
    ),
];

fn of<'a>(tls: Option<&'a dyn TlsView>, ask: impl FnOnce(&'a dyn TlsView) -> Option<Sample<'a>>) -> Got<'a> {
    tls.and_then(ask).map_or(Got::None, Got::Some)
}

fn binary(bytes: &[u8]) -> Sample<'static> {
    Sample::Bin(Data::Own(Scratch::of(bytes)))
}

fn error_text(tls: &dyn TlsView) -> Option<Sample<'_>> {
    let code = u64::try_from(tls.err()).ok().filter(|code| *code != 0)?;
    Some(Sample::Str(Data::Own(Scratch::of(library_text(code).as_bytes()))))
}

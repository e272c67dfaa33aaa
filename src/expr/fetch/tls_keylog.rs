//! Secrets of TLS connections, for logs that a packet analyser reads (`tune.ssl.keylog`).

use super::{Fetch, Needs};
use crate::expr::sample::{Data, Got, Sample, Scratch, Ty};
use crate::expr::view::TlsView;

/// One row per secret and side: name, label in a key log file.
macro_rules! secrets {
    ($($front:literal $back:literal $label:literal $brief:literal;)*) => {
        /// The rows of this family.
        pub const ROWS: &[Fetch] = &[
            $(
                Fetch::new($back, Ty::Str, Needs::BACK, |f, _| secret(f.back_tls, $label), concat!($brief, ", server's side"))
                    .text("In hexadecimal digits; only with \"tune.ssl.keylog on\"."),
            )*
            $(
                Fetch::new($front, Ty::Str, Needs::SESS, |f, _| secret(f.tls, $label), concat!($brief, ", client's side"))
                    .text("In hexadecimal digits; only with \"tune.ssl.keylog on\"."),
            )*
        ];
    };
}

secrets! {
    "ssl_fc_client_early_traffic_secret" "ssl_bc_client_early_traffic_secret" "CLIENT_EARLY_TRAFFIC_SECRET" "secret of the client's early data";
    "ssl_fc_client_handshake_traffic_secret" "ssl_bc_client_handshake_traffic_secret" "CLIENT_HANDSHAKE_TRAFFIC_SECRET" "secret of the client's handshake";
    "ssl_fc_client_traffic_secret_0" "ssl_bc_client_traffic_secret_0" "CLIENT_TRAFFIC_SECRET_0" "first secret of what the client sends";
    "ssl_fc_early_exporter_secret" "ssl_bc_early_exporter_secret" "EARLY_EXPORTER_SECRET" "secret that others are derived from during early data";
    "ssl_fc_exporter_secret" "ssl_bc_exporter_secret" "EXPORTER_SECRET" "secret that others are derived from";
    "ssl_fc_server_handshake_traffic_secret" "ssl_bc_server_handshake_traffic_secret" "SERVER_HANDSHAKE_TRAFFIC_SECRET" "secret of the server's handshake";
    "ssl_fc_server_traffic_secret_0" "ssl_bc_server_traffic_secret_0" "SERVER_TRAFFIC_SECRET_0" "first secret of what the server sends";
}

fn secret<'a>(tls: Option<&'a dyn TlsView>, label: &str) -> Got<'a> {
    let found = tls.and_then(|tls| tls.secret(label));
    found.map_or(Got::None, |text| Got::Some(Sample::Str(Data::Own(Scratch::of(&text)))))
}

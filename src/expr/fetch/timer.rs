//! How long the parts of an exchange took, as logs show it.

use super::{Fetch, Needs};
use crate::expr::alias::{active, asked, used};
use crate::expr::sample::{Got, Sample, Ty};
use crate::expr::view::Facts;

macro_rules! timers {
    ($($kw:literal $needs:ident $read:expr, $brief:literal;)*) => {
        /// The rows of this family.
        pub const ROWS: &[Fetch] = &[
            $(Fetch::new($kw, Ty::Int, Needs::$needs, |f, _| reached(i64::from(($read)(f))), $brief),)*
        ];
    };
}

timers! {
    "bc.timer.connect" SERVER |f: &Facts<'_>| f.txn.times.connect, "milliseconds of connecting to the server (%Tc)";
    "fc.timer.handshake" SESS |f: &Facts<'_>| f.txn.times.handshake, "milliseconds of the client's handshakes (%Th)";
    "fc.timer.total" SESS |f: &Facts<'_>| f.txn.times.total, "milliseconds in all, once it is over (%Tt)";
    "req.timer.hdr" REQ_KEPT |f: &Facts<'_>| f.txn.times.request, "milliseconds of the request head (%TR)";
    "req.timer.idle" REQ_KEPT |f: &Facts<'_>| f.txn.times.idle, "milliseconds before the request (%Ti)";
    "req.timer.queue" SERVER |f: &Facts<'_>| f.txn.times.queue, "milliseconds in queues (%Tw)";
    "req.timer.tq" REQ_KEPT asked, "milliseconds until the request was there (%Tq)";
    "res.timer.data" RES_KEPT |f: &Facts<'_>| f.txn.times.data, "milliseconds of the response's body (%Td)";
    "res.timer.hdr" RES_KEPT |f: &Facts<'_>| f.txn.times.response, "milliseconds until the response head (%Tr)";
    "txn.timer.total" STREAM active, "milliseconds of the exchange, once it is over (%Ta)";
    "txn.timer.user" STREAM used, "milliseconds as its user feels them, once it is over (%Tu)";
}

/// None before that was reached.
fn reached<'a>(ms: i64) -> Got<'a> {
    if ms < 0 {
        return Got::None;
    }
    Got::Some(Sample::Int(ms))
}

//! What streams count in the stick table entries they track, and when they let go of them.

use super::Stream;
use crate::expr::stick::{Stick, Tracks};
use crate::net::cx::Cx;
use crate::plan::Mode;
use crate::shm::stick::{Data, Held};
use crate::shm::Shared;

/// The stick tables for this process at this moment.
pub fn stick<'a>(shm: &'a Shared, now_ms: u64) -> Stick<'a> {
    Stick { tables: shm.stick(), slot: shm.slot(), now_ms }
}

/// A connection of a client ends: what it tracked is let go of.
pub fn let_go(tracks: &Tracks, shm: &Shared, now_ms: u64) {
    tracks.clone().release(stick(shm, now_ms));
}

impl Stream {
    /// Every entry tracked; what the stream tracks under a number stands before what its connection does.
    fn tracked(&self) -> impl Iterator<Item = Held> + '_ {
        let own = &self.txn.tracks;
        let session = self.txn.sess_tracks.iter().filter(|(nth, _)| own.get(*nth).is_none());
        own.iter().chain(session).map(|(_, held)| held)
    }

    fn tracks_any(&self) -> bool {
        !self.txn.tracks.is_empty() || !self.txn.sess_tracks.is_empty()
    }

    fn track_event(&self, count: Data, rate: Data, n: u64, cx: &Cx<'_>) {
        if n > 0 && self.tracks_any() {
            let stick = stick(cx.shm, cx.now.tick.0);
            self.tracked().for_each(|held| stick.count(held, count, rate, n));
        }
    }

    /// A request was seen.
    pub(super) fn track_request(&self, cx: &Cx<'_>) {
        self.track_event(Data::HttpReqCnt, Data::HttpReqRate, 1, cx);
    }

    /// The client did wrong: refused, not understood, answered with a 4xx status.
    pub(super) fn track_error(&self, cx: &Cx<'_>) {
        if self.mode == Mode::Http {
            self.track_event(Data::HttpErrCnt, Data::HttpErrRate, 1, cx);
        }
    }

    /// The client broke the rules of the protocol.
    pub(super) fn track_glitch(&self, cx: &Cx<'_>) {
        self.track_event(Data::GlitchCnt, Data::GlitchRate, 1, cx);
    }

    /// The server answered with a status.
    pub(super) fn track_status(&self, cx: &Cx<'_>) {
        let [errors, failures] = &cx.plan.global.codes;
        if errors.has(self.txn.server_status) {
            self.track_error(cx);
        }
        if failures.has(self.txn.server_status) {
            self.track_failure(cx);
        }
    }

    /// The server failed.
    pub(super) fn track_failure(&self, cx: &Cx<'_>) {
        if self.mode == Mode::Http {
            self.track_event(Data::HttpFailCnt, Data::HttpFailRate, 1, cx);
        }
    }

    /// Bytes that moved since it was last asked.
    pub(super) fn track_bytes(&mut self, cx: &Cx<'_>) {
        if !self.tracks_any() {
            return;
        }
        let now = (self.txn.bytes_in, self.txn.bytes_out);
        let before = std::mem::replace(&mut self.sticky.bytes_tracked, now);
        self.track_event(Data::BytesInCnt, Data::BytesInRate, now.0.saturating_sub(before.0), cx);
        self.track_event(Data::BytesOutCnt, Data::BytesOutRate, now.1.saturating_sub(before.1), cx);
    }

    /// The exchange ends.
    pub(super) fn release_tracks(&mut self, cx: &Cx<'_>) {
        if self.tracks_any() {
            self.track_bytes(cx);
            self.txn.tracks.release(stick(cx.shm, cx.now.tick.0));
        }
    }

    /// Its client's connection is gone already: nobody else will let go of what it tracked.
    pub(super) fn release_session(&mut self, cx: &Cx<'_>) {
        if !self.txn.sess_tracks.is_empty() {
            self.txn.sess_tracks.release(stick(cx.shm, cx.now.tick.0));
        }
    }
}

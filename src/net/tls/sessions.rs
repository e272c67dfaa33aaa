//! Client sessions of one server: what it gave us, offered again at the next connection of this process.

use std::sync::{Mutex, PoisonError};

use openssl::ssl::SslSession;

/// Names (SNI) whose sessions are kept per server.
const NAMES_MAX: usize = 16;

/// The newest session per name asked for. The lock is never contended: a process has one event loop.
#[derive(Default)]
pub struct ServerSessions {
    kept: Mutex<Vec<(Box<str>, SslSession)>>,
}

impl ServerSessions {
    /// Keeps a session in place of an older one for the same name.
    pub fn keep(&self, name: &str, session: SslSession) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = kept.iter_mut().find(|(known, _)| **known == *name) {
            *known = session;
            return;
        }
        if kept.len() == NAMES_MAX {
            kept.remove(0);
        }
        kept.push((name.into(), session));
    }

    /// The session to offer for this name.
    pub fn find(&self, name: &str) -> Option<SslSession> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| **known == *name).map(|(_, session)| session.clone())
    }

    /// Forgets the session of a name: the handshake that offered it failed.
    pub fn forget(&self, name: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| **known != *name);
    }
}

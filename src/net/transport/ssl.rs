//! TLS over a socket.

use std::convert::Infallible;

use crate::base::buffer::Buffer;
use crate::base::pool::Pool;
use crate::event::ready::Ready;
use crate::net::sock::Sock;
use crate::net::transport::{Hands, Io};

/// One TLS connection.
pub struct SslSock {
    never: Infallible,
}

#[allow(missing_docs, reason = "wip")]
impl SslSock {
    pub fn sock(&self) -> &Sock {
        match self.never {}
    }
    pub fn holds_input(&self) -> bool {
        match self.never {}
    }
    pub fn handshake(&mut self, _ready: &mut Ready, _pool: &mut Pool) -> Hands {
        match self.never {}
    }
    pub fn close(&mut self, _ready: &mut Ready, _pool: &mut Pool) {
        match self.never {}
    }
    pub fn recv(&mut self, _into: &mut Buffer, _ready: &mut Ready, _pool: &mut Pool) -> Io {
        match self.never {}
    }
    pub fn send(&mut self, _bytes: &[u8], _ready: &mut Ready, _pool: &mut Pool) -> Io {
        match self.never {}
    }
    pub fn send2(&mut self, _a: &[u8], _b: &[u8], _ready: &mut Ready, _pool: &mut Pool) -> Io {
        match self.never {}
    }
    pub fn flush(&mut self, _ready: &mut Ready, _pool: &mut Pool) -> bool {
        match self.never {}
    }
    pub fn shut_write(&mut self, _ready: &mut Ready, _pool: &mut Pool) {
        match self.never {}
    }
    pub fn rest(&mut self, _pool: &mut Pool) {
        match self.never {}
    }
}

impl crate::expr::view::TlsView for SslSock {
    fn version(&self) -> Option<&str> {
        match self.never {}
    }
    fn cipher(&self) -> Option<&str> {
        match self.never {}
    }
    fn cipher_bits(&self) -> Option<(i32, i32)> {
        match self.never {}
    }
    fn sni(&self) -> Option<&[u8]> {
        match self.never {}
    }
    fn alpn(&self) -> Option<&[u8]> {
        match self.never {}
    }
    fn resumed(&self) -> bool {
        match self.never {}
    }
    fn session_id(&self) -> Option<Vec<u8>> {
        match self.never {}
    }
    fn peer_cert(&self) -> Option<openssl::x509::X509> {
        match self.never {}
    }
    fn own_cert(&self) -> Option<openssl::x509::X509> {
        match self.never {}
    }
    fn verify(&self) -> (i64, i64, i64) {
        match self.never {}
    }
}

//! The injector's TLS client: the library works on memory only ([`Mem`]), so that a flight is one send and what one receive
//! brought is handed over at once; sessions are kept per server name for resumption.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};

use crate::clock;

/// A kept session is replaced by a newer one after this time, well before servers forget theirs.
const RENEW: Duration = Duration::from_secs(10);

/// How sessions are resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Every handshake is a full one.
    None,
    /// By session id (TLS 1.2): tickets are not offered.
    Id,
    /// By ticket or, from a server without tickets, by id.
    Ticket,
}

/// What TLS is to look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Lowest and highest version; None = the library's.
    pub version: Option<SslVersion>,
    /// Ciphers of TLS 1.2 and older, in the library's syntax.
    pub ciphers: Option<String>,
    /// Cipher suites of TLS 1.3.
    pub suites: Option<String>,
    /// Key exchange groups. P-256 must be among them for a TLS 1.2 server with an ECDSA certificate (RFC 8422 5.1.1).
    pub groups: String,
    /// Names to ask for, one connection after the other; empty: no SNI.
    pub names: Vec<String>,
    /// Resumption.
    pub resume: Resume,
}

/// Reads names from a file, one a line; empty lines and `#` comments do not count.
pub fn names_of(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(str::to_string)
        .collect();
    if names.is_empty() {
        return Err(format!("{}: no name in it", path.display()));
    }
    Ok(names)
}

type Kept = Arc<Mutex<Vec<Option<(SslSession, Instant)>>>>;

/// What all TLS connections of a process share.
pub struct Client {
    context: SslContext,
    names: Vec<String>,
    next: usize,
    resume: Resume,
    kept: Kept,
    index: Index<Ssl, usize>,
}

impl Client {
    /// A client that verifies nothing: it measures.
    pub fn new(wishes: &Wishes) -> Result<Client, String> {
        Self::build(wishes).map_err(|e| format!("TLS settings: {e}"))
    }

    fn build(wishes: &Wishes) -> Result<Client, ErrorStack> {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::NONE);
        if let Some(version) = wishes.version {
            builder.set_min_proto_version(Some(version))?;
            builder.set_max_proto_version(Some(version))?;
        }
        if let Some(ciphers) = &wishes.ciphers {
            builder.set_cipher_list(ciphers)?;
        }
        if let Some(suites) = &wishes.suites {
            lighterman_sys::tls::set_ciphersuites(&mut builder, suites)?;
        }
        builder.set_groups_list(&wishes.groups)?;
        let index = Ssl::new_ex_index::<usize>()?;
        let count = wishes.names.len().max(1);
        let kept: Kept = Arc::new(Mutex::new((0..count).map(|_| None).collect()));
        match wishes.resume {
            Resume::None => {
                builder.set_session_cache_mode(SslSessionCacheMode::OFF);
            }
            Resume::Id | Resume::Ticket => {
                builder
                    .set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
                let store = Arc::clone(&kept);
                builder.set_new_session_callback(move |ssl, session| {
                    let Some(&name) = ssl.ex_data(index) else { return };
                    let Ok(mut store) = store.lock() else { return };
                    let Some(place) = store.get_mut(name) else { return };
                    let now = clock::now();
                    if place.as_ref().is_none_or(|(_, since)| now.duration_since(*since) > RENEW) {
                        *place = Some((session, now));
                    }
                });
            }
        }
        if wishes.resume == Resume::Id {
            builder.set_options(SslOptions::NO_TICKET);
        }
        Ok(Client {
            context: builder.build(),
            names: wishes.names.clone(),
            next: 0,
            resume: wishes.resume,
            kept,
            index,
        })
    }

    /// The first connection should finish before the others begin: it brings the session they resume.
    pub fn wants_a_first(&self) -> bool {
        self.resume != Resume::None && self.names.len() <= 1 && self.kept.lock().is_ok_and(|k| k[0].is_none())
    }

    /// A TLS connection that has not sent anything.
    pub fn connect(&mut self) -> Result<Tls, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let name = if self.names.is_empty() { 0 } else { self.next % self.names.len() };
        self.next = name + 1;
        if let Some(host) = self.names.get(name) {
            ssl.set_hostname(host)?;
        }
        if self.resume != Resume::None {
            ssl.set_ex_data(self.index, name);
            if let Ok(kept) = self.kept.lock() {
                if let Some(Some((session, _))) = kept.get(name) {
                    lighterman_sys::resume::offer_session(&mut ssl, session)?;
                }
            }
        }
        Ok(Tls { stream: SslStream::new(ssl, Mem::default())? })
    }
}

/// Both directions of a connection in memory.
#[derive(Debug, Default)]
struct Mem {
    /// What the socket brought, and how much of it is used; lent for one call.
    input: Vec<u8>,
    at: usize,
    end: usize,
    /// What is to be sent.
    output: Vec<u8>,
}

impl Read for Mem {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.end - self.at);
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into[..n].copy_from_slice(&self.input[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Mem {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Done; bytes, where it is about bytes.
    Done(usize),
    /// More input is needed.
    Again,
    /// The peer said it will send no more.
    End,
    /// The peer does not speak TLS as asked.
    Failed,
}

/// One TLS connection.
pub struct Tls {
    stream: SslStream<Mem>,
}

impl Tls {
    /// Lends `n` bytes of `buffer`, just received. They must be used up by calls that end in `Again` before
    /// [`Tls::give_back`].
    pub fn lend(&mut self, buffer: &mut Vec<u8>, n: usize) {
        let mem = self.stream.get_mut();
        std::mem::swap(&mut mem.input, buffer);
        (mem.at, mem.end) = (0, n);
    }

    /// Returns what was lent.
    pub fn give_back(&mut self, buffer: &mut Vec<u8>) {
        let mem = self.stream.get_mut();
        std::mem::swap(&mut mem.input, buffer);
        (mem.at, mem.end) = (0, 0);
    }

    /// Goes on with the handshake.
    pub fn handshake(&mut self) -> Step {
        match self.stream.connect() {
            Ok(()) => Step::Done(0),
            Err(e) => step_of(&e),
        }
    }

    /// Whether the handshake resumed a session.
    pub fn resumed(&self) -> bool {
        self.stream.ssl().session_reused()
    }

    /// Decrypts.
    pub fn read(&mut self, into: &mut [u8]) -> Step {
        match self.stream.ssl_read(into) {
            Ok(n) => Step::Done(n),
            Err(e) => step_of(&e),
        }
    }

    /// Encrypts into what is to be sent.
    pub fn write(&mut self, from: &[u8]) -> Step {
        match self.stream.ssl_write(from) {
            Ok(n) => Step::Done(n),
            Err(e) => step_of(&e),
        }
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.stream.get_mut().output
    }
}

fn step_of(error: &openssl::ssl::Error) -> Step {
    match error.code() {
        ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => Step::Again,
        ErrorCode::ZERO_RETURN => Step::End,
        _ => Step::Failed,
    }
}

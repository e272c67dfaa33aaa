//! What the library asks while it works on a connection, and the values it is answered with.

use openssl::ssl::SslSession;

use super::lib_face;

/// The surroundings of one call of [`super::Conn`]: ciphertext in and out, and the answers to the library's questions.
///
/// Every method has an answer that means "nothing": a host implements what its side needs.
pub trait Host {
    /// The received ciphertext that has not been consumed yet; empty when there is none now.
    fn received(&mut self) -> &[u8];

    /// The first `n` bytes of [`Host::received`] have been taken.
    fn consume(&mut self, n: usize);

    /// Takes ciphertext to be sent; 0 when there is no room now.
    fn send(&mut self, bytes: &[u8]) -> usize;

    /// Server: a ClientHello came; give the connection its credentials. Asked again after [`Select::Suspend`].
    fn hello(&mut self, hello: &Hello<'_>, setup: &mut Setup<'_>) -> Select {
        let _ = (hello, setup);
        Select::Go
    }

    /// Server: chooses among the protocols a client offers (length-prefixed, RFC 7301); `None` goes on without one. What is
    /// returned must be one of the offered names.
    fn alpn<'o>(&mut self, offered: &'o [u8]) -> Option<&'o [u8]> {
        let _ = offered;
        None
    }

    /// Server: a session was made that its id names; `bytes` is all that is needed to resume it.
    fn store_session(&mut self, id: &[u8], bytes: &[u8]) {
        let _ = (id, bytes);
    }

    /// Server: the bytes of the session with this id.
    fn find_session(&mut self, id: &[u8]) -> Option<Vec<u8>> {
        let _ = id;
        None
    }

    /// Client: the server gave a session that a later connection may offer.
    fn keep_session(&mut self, session: SslSession) {
        let _ = session;
    }

    /// Server: the key to protect a new ticket with.
    fn ticket_key(&mut self) -> Option<TicketKey> {
        None
    }

    /// Server: the key with this name, and whether its tickets should be replaced.
    fn find_ticket_key(&mut self, name: &[u8; 16]) -> Option<(TicketKey, TicketUse)> {
        let _ = name;
        None
    }

    /// A certificate of the peer failed: the X509 error and its depth (0: the peer's own). True goes on nevertheless.
    fn accept_bad_certificate(&mut self, error: i32, depth: i32) -> bool {
        let _ = (error, depth);
        false
    }

    /// One line for a key log file.
    fn key_line(&mut self, line: &[u8]) {
        let _ = line;
    }
}

/// What becomes of a handshake after its ClientHello was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// It goes on.
    Go,
    /// It waits: the call returns [`super::Outcome::Suspended`], and the next one asks again.
    Suspend,
    /// It ends with this alert (RFC 8446 section 6).
    Refuse(u8),
}

/// How a ticket key that was found may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketUse {
    /// It is the current one.
    Use,
    /// It is being phased out: the client gets a new ticket.
    Renew,
}

/// Keys of one generation of tickets: name, then the key of AES-CBC and that of HMAC-SHA256.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    /// Public name, found in front of each ticket.
    pub name: [u8; 16],
    /// AES key: all 32 bytes, or the first 16 when `short`.
    pub aes: [u8; 32],
    /// HMAC key: all 32 bytes, or the first 16 when `short`.
    pub hmac: [u8; 32],
    /// 128-bit keys (from a file of 48-byte keys).
    pub short: bool,
}

impl TicketKey {
    /// The AES key as it is used.
    pub fn aes(&self) -> &[u8] {
        &self.aes[..if self.short { 16 } else { 32 }]
    }

    /// The HMAC key as it is used.
    pub fn hmac(&self) -> &[u8] {
        &self.hmac[..if self.short { 16 } else { 32 }]
    }
}

/// Never shows key bytes.
impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TicketKey({:02x?}..)", &self.name[..4])
    }
}

/// A ClientHello as it came, before anything was decided. Only its outer form has been checked by the library.
pub struct Hello<'h> {
    pub(super) raw: lib_face::RawHello<'h>,
}

impl Hello<'_> {
    /// Body of an extension; `None` when the client did not send it.
    pub fn extension(&self, number: u16) -> Option<&[u8]> {
        self.raw.extension(number)
    }

    /// Cipher suites, two bytes each.
    pub fn ciphers(&self) -> &[u8] {
        self.raw.ciphers()
    }

    /// `legacy_version`.
    pub fn version(&self) -> u16 {
        self.raw.version()
    }

    /// `random`.
    pub fn random(&self) -> &[u8] {
        self.raw.random()
    }

    /// `legacy_session_id`.
    pub fn session_id(&self) -> &[u8] {
        self.raw.session_id()
    }

    /// All extensions as they came (RFC 8446 section 4.2, without the outer length); empty where the library hides them.
    pub fn extensions(&self) -> &[u8] {
        self.raw.extensions()
    }
}

/// What can be set on a connection while its ClientHello waits.
pub struct Setup<'c> {
    pub(super) raw: lib_face::RawSetup<'c>,
}

impl Setup<'_> {
    /// Shows this certificate. Only for contexts without default credentials, or to replace those of the same key type:
    /// the library may choose any key type that is set.
    pub fn credentials(&mut self, credentials: &lib_face::Credentials) -> bool {
        self.raw.credentials(credentials)
    }

    /// Takes no early data on this connection: the client sends it again after the handshake.
    pub fn refuse_early_data(&mut self) {
        self.raw.refuse_early_data();
    }

    /// Staples this OCSP response when the client asks for one.
    pub fn ocsp(&mut self, response: &[u8]) -> bool {
        self.raw.ocsp(response)
    }

    /// Shows certificate timestamps (the list of RFC 6962 section 3.3) when the client asks for them. False where the library
    /// cannot.
    pub fn timestamps(&mut self, list: &[u8]) -> bool {
        self.raw.timestamps(list)
    }
}

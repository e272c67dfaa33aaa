//! The timeouts of a proxy, in milliseconds; `None` is "never".

/// All timeouts of one proxy (manual: `timeout <name> <time>`). Where one falls back on another the
/// accessor says so, the fields hold only what was written.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout client`: silence of the client.
    pub client: Option<u32>,
    /// `timeout client-fin`: silence of a client that has half-closed.
    pub client_fin: Option<u32>,
    /// `timeout client-hs`: until the TLS handshake is complete.
    pub client_hs: Option<u32>,
    /// `timeout connect`: until a server accepted the connection.
    pub connect: Option<u32>,
    /// `timeout server`: silence of the server.
    pub server: Option<u32>,
    /// `timeout server-fin`: silence of a server that has half-closed.
    pub server_fin: Option<u32>,
    /// `timeout http-request`: until a whole request head is there.
    pub http_request: Option<u32>,
    /// `timeout http-keep-alive`: between two requests of a connection.
    pub http_keep_alive: Option<u32>,
    /// `timeout queue`: in the queue of a backend.
    pub queue: Option<u32>,
    /// `timeout tarpit`: how long a tarpitted request is held.
    pub tarpit: Option<u32>,
    /// `timeout tunnel`: silence of both sides of a tunnel.
    pub tunnel: Option<u32>,
    /// `timeout check`: of a health check once connected.
    pub check: Option<u32>,
}

impl Timeouts {
    /// Until the handshake of a new client is over.
    pub fn handshake(&self) -> Option<u32> {
        self.client_hs.or(self.client)
    }

    /// Until a request head is whole.
    pub fn request(&self) -> Option<u32> {
        self.http_request.or(self.client)
    }

    /// Until the next request of a kept connection begins.
    pub fn keep_alive(&self) -> Option<u32> {
        self.http_keep_alive.or(self.http_request).or(self.client)
    }

    /// In the queue.
    pub fn in_queue(&self) -> Option<u32> {
        self.queue.or(self.connect)
    }

    /// While tarpitted.
    pub fn tarpitted(&self) -> Option<u32> {
        self.tarpit.or(self.connect)
    }
}

//! Fetches: what an expression begins with. One file per family, each with its `ROWS`.
//!
//! A row says what it takes, what it yields, what must be there ([`Needs`]) and how it is evaluated.
//! Old names and names that mean request or response by the place they stand in are in [`alias::ALIASES`].

use crate::base::doc::Doc;

use super::args::{Arg, Args, Kind};
use super::compile::ParseCx;
use super::sample::{Got, Sample, Ty};
use super::view::Facts;

pub mod alias;
pub mod constant;
pub mod http;
pub mod http_auth;
pub mod http_cookie;
pub mod internal;
pub mod l4;
pub mod payload;
pub mod proxy;
pub mod stick;
pub mod timer;
pub mod tls;
pub mod tls_cert;
pub mod tls_hello;
pub mod tls_keylog;

/// Every family.
pub const FAMILIES: &[&[Fetch]] = &[
    constant::ROWS,
    internal::ROWS,
    proxy::PROXY_ROWS,
    proxy::ROWS,
    l4::ROWS,
    timer::ROWS,
    tls::ROWS,
    tls_cert::ROWS,
    tls_hello::LIST_ROWS,
    tls_hello::ROWS,
    tls_keylog::ROWS,
    payload::ROWS,
    http::ROWS,
    http::REQ_ROWS,
    http::RES_ROWS,
    http_auth::ROWS,
    http_cookie::ROWS,
    stick::ROWS,
    stick::OWN_ROWS,
];

/// Evaluates a fetch.
pub type Eval = for<'a> fn(&Facts<'a>, &'a Args) -> Got<'a>;
/// Visits every value of a fetch that has several, until the visitor says true.
pub type Each = for<'a> fn(&Facts<'a>, &'a Args, &mut dyn FnMut(Sample<'a>) -> bool);
/// Checks arguments together and turns them into what evaluation wants.
pub type Check = fn(kw: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String>;

/// One fetch.
#[derive(Clone, Copy)]
pub struct Fetch {
    /// Its name.
    pub kw: &'static str,
    /// How many arguments must be given.
    pub min: usize,
    /// The arguments.
    pub args: &'static [Kind],
    /// What it yields.
    pub out: Ty,
    /// What must be there.
    pub needs: Needs,
    /// Checks arguments together.
    pub check: Option<Check>,
    /// Evaluates it.
    pub eval: Eval,
    /// Walks its values, when it may have several.
    pub each: Option<Each>,
    /// Its manual text.
    pub doc: Doc,
}

impl Fetch {
    /// A row without arguments.
    pub const fn new(kw: &'static str, out: Ty, needs: Needs, eval: Eval, brief: &'static str) -> Fetch {
        let doc = Doc { usage: kw, brief, text: "", example: "" };
        Fetch { kw, min: 0, args: &[], out, needs, check: None, eval, each: None, doc }
    }

    /// With arguments, of which the first `min` must be given.
    pub const fn args(mut self, usage: &'static str, min: usize, args: &'static [Kind]) -> Fetch {
        self.doc.usage = usage;
        self.min = min;
        self.args = args;
        self
    }

    /// With a check over all arguments.
    pub const fn check(mut self, check: Check) -> Fetch {
        self.check = Some(check);
        self
    }

    /// With a walk over several values.
    pub const fn each(mut self, each: Each) -> Fetch {
        self.each = Some(each);
        self
    }

    /// With more to say than the brief.
    pub const fn text(mut self, text: &'static str) -> Fetch {
        self.doc.text = text;
        self
    }

    /// With an example.
    pub const fn example(mut self, example: &'static str) -> Fetch {
        self.doc.example = example;
        self
    }
}

/// What must be there for a fetch: any one of the marked things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needs(u16);

impl Needs {
    /// Nothing: process and proxies.
    pub const NOTHING: Needs = Needs(0);
    /// The client's connection.
    pub const CONN: Needs = Needs(1);
    /// The client's connection after its handshakes.
    pub const SESS: Needs = Needs(2);
    /// A stream: its backend, captures, identity.
    pub const STREAM: Needs = Needs(4);
    /// The client's bytes.
    pub const REQ_BYTES: Needs = Needs(8);
    /// The request head.
    pub const REQ: Needs = Needs(16);
    /// The request body.
    pub const REQ_BODY: Needs = Needs(32);
    /// The chosen server.
    pub const SERVER: Needs = Needs(64);
    /// The connection to the server.
    pub const BACK: Needs = Needs(128);
    /// The server's bytes.
    pub const RES_BYTES: Needs = Needs(256);
    /// The response head.
    pub const RES: Needs = Needs(512);
    /// The response body.
    pub const RES_BODY: Needs = Needs(1024);
    /// The end of the transaction.
    pub const END: Needs = Needs(2048);
    /// What is kept of the request until the end: method, captures.
    pub const REQ_KEPT: Needs = Needs(4096);
    /// What is kept of the response until the end: status.
    pub const RES_KEPT: Needs = Needs(8192);

    /// Either of two.
    pub const fn or(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// True when it can be evaluated at a point.
    pub const fn met_at(self, point: Point) -> bool {
        self.0 == 0 || self.0 & point.has() != 0
    }

    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Needs::CONN => "the client's connection",
            Needs::SESS => "the client's connection after its handshakes",
            Needs::STREAM => "the stream",
            Needs::REQ_BYTES => "the client's bytes",
            Needs::REQ | Needs::REQ_KEPT => "the request",
            Needs::REQ_BODY => "the request body",
            Needs::SERVER => "the chosen server",
            Needs::BACK => "the server's connection",
            Needs::RES_BYTES => "the server's bytes",
            Needs::RES | Needs::RES_KEPT => "the response",
            Needs::RES_BODY => "the response body",
            Needs::END => "the end of the transaction",
            _ => "the traffic",
        }
    }
}

/// A moment in a stream's life at which expressions are evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content`.
    ReqContent,
    /// `http-request`, `use_backend`, `redirect`, captures, `unique-id-format`, `balance hash`, `stick on`.
    Request,
    /// `use-server`, server options with expressions: the backend and its server are known.
    Server,
    /// `tcp-response content`.
    ResContent,
    /// `http-response`, `http-after-response`, `stick store-response`.
    Response,
    /// `log-format`.
    Log,
    /// `http-check`, `tcp-check`.
    Check,
    /// `set-var` of the global section, the command socket, `monitor fail`.
    Nowhere,
}

impl Point {
    /// What is there, as bits of [`Needs`].
    const fn has(self) -> u16 {
        const CONN: u16 = Needs::CONN.0;
        const SESS: u16 = CONN | Needs::SESS.0;
        const REQ: u16 = SESS
            | Needs::STREAM.0
            | Needs::REQ_BYTES.0
            | Needs::REQ.0
            | Needs::REQ_BODY.0
            | Needs::REQ_KEPT.0;
        const KEPT: u16 = SESS | Needs::STREAM.0 | Needs::REQ_KEPT.0 | Needs::SERVER.0 | Needs::BACK.0;
        const RES: u16 = KEPT | Needs::RES_BYTES.0 | Needs::RES.0 | Needs::RES_BODY.0 | Needs::RES_KEPT.0;
        match self {
            Point::Connection => CONN,
            Point::Session => SESS,
            Point::ReqContent | Point::Request => REQ,
            Point::Server => REQ | Needs::SERVER.0 | Needs::BACK.0,
            Point::ResContent | Point::Response => RES,
            Point::Log => KEPT | Needs::RES_KEPT.0 | Needs::END.0,
            Point::Check | Point::Nowhere => 0,
        }
    }

    /// True where names without `req.` or `res.` mean the response.
    pub fn is_response(self) -> bool {
        matches!(self, Point::ResContent | Point::Response)
    }

    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Point::Connection => "a rule at connection time",
            Point::Session => "a rule at session time",
            Point::ReqContent => "a rule on request contents",
            Point::Request => "a request rule",
            Point::Server => "the choice of a server",
            Point::ResContent => "a rule on response contents",
            Point::Response => "a response rule",
            Point::Log => "a log line",
            Point::Check => "a health check",
            Point::Nowhere => "this place",
        }
    }
}

/// The fetch of this name at a point: rows, old names, names that follow the direction.
pub fn find(name: &str, point: Point) -> Option<&'static Fetch> {
    row(name).or_else(|| row(alias::target(name, point)?))
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Fetch> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

fn row(name: &str) -> Option<&'static Fetch> {
    all().find(|fetch| fetch.kw == name)
}

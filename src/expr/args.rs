//! Arguments of fetches and converters: what a row declares ([`Kind`]) and what the compiler made of
//! the text ([`Arg`]). A row's function may rely on the kinds its row declares.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::bytes::Regex;

use super::map::MapUse;
use super::sample::{Sample, Value};
use super::vars::Var;
use crate::base::ids::{ProxyId, ServerId};

/// What a row expects at one place of its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any text.
    Str,
    /// An integer.
    Int,
    /// A size with an optional suffix k, m, g.
    Size,
    /// A time, in milliseconds.
    Time,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// An IPv4 mask: dotted or a number of bits.
    Mask4,
    /// An IPv6 mask: an address or a number of bits.
    Mask6,
    /// Name of a frontend.
    Frontend,
    /// Name of a backend.
    Backend,
    /// A server: `name` or `backend/name`.
    Server,
    /// Name of a proxy that holds a stick table.
    Table,
    /// Name of a user list.
    Userlist,
    /// A variable: `scope.name`.
    Var,
    /// A variable or an integer.
    VarOrInt,
    /// A variable or any text.
    VarOrStr,
    /// One of a closed list; kept as its index.
    Choice(&'static [&'static str]),
    /// A regular expression; a later `Flags` argument may hold `i`.
    Regex,
    /// Text for which the row's `check` makes something of its own.
    Custom,
}

impl Kind {
    /// What the manual and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Str | Kind::Custom => "text",
            Kind::Int => "an integer",
            Kind::Size => "a size",
            Kind::Time => "a time",
            Kind::Ip4 => "an IPv4 address",
            Kind::Ip6 => "an IPv6 address",
            Kind::Mask4 => "an IPv4 mask",
            Kind::Mask6 => "an IPv6 mask",
            Kind::Frontend => "a frontend",
            Kind::Backend => "a backend",
            Kind::Server => "a server",
            Kind::Table => "a stick table",
            Kind::Userlist => "a user list",
            Kind::Var => "a variable",
            Kind::VarOrInt => "an integer or a variable",
            Kind::VarOrStr => "text or a variable",
            Kind::Choice(_) => "a word",
            Kind::Regex => "a regular expression",
        }
    }
}

/// One argument, checked and resolved.
#[derive(Clone)]
pub enum Arg {
    /// Not given.
    Absent,
    /// Text.
    Str(Box<str>),
    /// An integer, a size, a time in milliseconds, the index of a choice.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// An IPv4 mask.
    Mask4(Ipv4Addr),
    /// An IPv6 mask.
    Mask6(Ipv6Addr),
    /// A proxy.
    Proxy(ProxyId),
    /// A server.
    Server(ServerId),
    /// A stick table.
    Table(ProxyId),
    /// A user list.
    Userlist(u32),
    /// A variable.
    Var(Var),
    /// A regular expression.
    Regex(Box<Regex>),
    /// A map or ACL file with the way it is searched.
    Map(MapUse),
    /// A value worked out at load time.
    Value(Value),
    /// Replacement text of `regsub`.
    Template(Template),
    /// Conditions of the `acl()` fetch.
    Cond(std::sync::Arc<super::acl::Cond>),
}

/// The arguments of one step.
#[derive(Clone, Default)]
pub struct Args(pub Box<[Arg]>);

impl Args {
    /// The argument at a place, absent when there is none.
    pub fn get(&self, at: usize) -> &Arg {
        self.0.get(at).unwrap_or(&Arg::Absent)
    }

    /// True when the argument was given.
    pub fn has(&self, at: usize) -> bool {
        !matches!(self.get(at), Arg::Absent)
    }

    /// Text; empty when absent.
    pub fn str(&self, at: usize) -> &str {
        match self.get(at) {
            Arg::Str(s) => s,
            _ => "",
        }
    }

    /// Text, when given.
    pub fn opt_str(&self, at: usize) -> Option<&str> {
        match self.get(at) {
            Arg::Str(s) => Some(s),
            _ => None,
        }
    }

    /// An integer, or `default` when absent.
    pub fn int(&self, at: usize, default: i64) -> i64 {
        match self.get(at) {
            Arg::Int(n) => *n,
            _ => default,
        }
    }

    /// A proxy, when given.
    pub fn proxy(&self, at: usize) -> Option<ProxyId> {
        match self.get(at) {
            Arg::Proxy(id) | Arg::Table(id) => Some(*id),
            _ => None,
        }
    }

    /// A server, when given.
    pub fn server(&self, at: usize) -> Option<ServerId> {
        match self.get(at) {
            Arg::Server(id) => Some(*id),
            _ => None,
        }
    }

    /// A variable, when given.
    pub fn var(&self, at: usize) -> Option<Var> {
        match self.get(at) {
            Arg::Var(var) => Some(*var),
            _ => None,
        }
    }

    /// A value worked out at load time.
    pub fn value(&self, at: usize) -> Option<Sample<'_>> {
        match self.get(at) {
            Arg::Value(v) => Some(v.sample()),
            _ => None,
        }
    }

    /// A regular expression.
    pub fn regex(&self, at: usize) -> Option<&Regex> {
        match self.get(at) {
            Arg::Regex(r) => Some(r),
            _ => None,
        }
    }
}

/// A replacement text with `\0` to `\9` for the parts a regular expression found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

impl Template {
    /// Reads a replacement; `groups` is how many parts the regular expression has, the whole included.
    pub fn parse(text: &str, groups: usize) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                plain.push(byte);
                continue;
            }
            match bytes.next() {
                Some(d @ b'0'..=b'9') => {
                    let group = usize::from(d - b'0');
                    if group >= groups {
                        return Err(format!(
                            "\\{group} stands for nothing: the expression has {} groups",
                            groups - 1
                        ));
                    }
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(Piece::Group(group));
                }
                Some(b'x') => {
                    let pair = (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit));
                    let (Some(high), Some(low)) = pair else {
                        return Err("\\x needs two hexadecimal digits".into());
                    };
                    plain.push(high << 4 | low);
                }
                Some(b'n') => plain.push(b'\n'),
                Some(b'r') => plain.push(b'\r'),
                Some(b't') => plain.push(b'\t'),
                Some(other) => plain.push(other),
                None => return Err("the replacement ends in a lone backslash".into()),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Template(pieces.into()))
    }

    /// Appends the replacement for one match.
    pub fn expand(&self, found: &regex::bytes::Captures<'_>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Group(n) => out.extend_from_slice(found.get(*n).map_or(&b""[..], |m| m.as_bytes())),
            }
        }
    }
}

/// The value of a hexadecimal digit.
pub fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|d| d as u8)
}

/// Bytes written as hexadecimal digits in pairs.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?)).collect()
}

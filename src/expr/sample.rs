//! The value an expression yields: typed, borrowed from the message or the plan wherever possible.
//!
//! Bytes that a converter makes live in a [`Scratch`], a vector lent by the thread and given back when
//! the sample is dropped: evaluating an expression allocates nothing once the thread is warm.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Deref, DerefMut};

/// The type of a sample, or what a fetch or converter takes and yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ty {
    /// Any type (fetches whose type shows at run time only: `var`).
    Any,
    /// The type that came in (output of a converter that hands its input on).
    Same,
    /// True or false.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// An address of either family.
    Addr,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// Text.
    Str,
    /// Bytes.
    Bin,
    /// An HTTP method.
    Meth,
}

impl Ty {
    /// The word used in messages and in the manual.
    pub fn name(self) -> &'static str {
        match self {
            Ty::Any => "any",
            Ty::Same => "same",
            Ty::Bool => "boolean",
            Ty::Int => "integer",
            Ty::Addr => "ip",
            Ty::Ip4 => "ipv4",
            Ty::Ip6 => "ipv6",
            Ty::Str => "string",
            Ty::Bin => "binary",
            Ty::Meth => "method",
        }
    }
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample<'a> {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// Text: no promise of UTF-8, as traffic makes none.
    Str(Data<'a>),
    /// Bytes.
    Bin(Data<'a>),
    /// An HTTP method.
    Meth(Data<'a>),
}

impl<'a> Sample<'a> {
    /// Text that lives elsewhere.
    pub fn text(bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Sample::Str(Data::Ref(bytes.as_ref()))
    }

    /// Bytes that live elsewhere.
    pub fn bytes(bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Sample::Bin(Data::Ref(bytes.as_ref()))
    }

    /// An address of either family.
    pub fn addr(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(ip) => Sample::Ip4(ip),
            IpAddr::V6(ip) => Sample::Ip6(ip),
        }
    }

    /// Its type.
    pub fn ty(&self) -> Ty {
        match self {
            Sample::Bool(_) => Ty::Bool,
            Sample::Int(_) => Ty::Int,
            Sample::Ip4(_) => Ty::Ip4,
            Sample::Ip6(_) => Ty::Ip6,
            Sample::Str(_) => Ty::Str,
            Sample::Bin(_) => Ty::Bin,
            Sample::Meth(_) => Ty::Meth,
        }
    }

    /// The bytes of text, binary and method samples.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Sample::Str(d) | Sample::Bin(d) | Sample::Meth(d) => Some(d),
            _ => None,
        }
    }

    /// The same value without any borrow, for variables.
    pub fn to_value(&self) -> Value {
        match self {
            Sample::Bool(b) => Value::Bool(*b),
            Sample::Int(n) => Value::Int(*n),
            Sample::Ip4(ip) => Value::Ip4(*ip),
            Sample::Ip6(ip) => Value::Ip6(*ip),
            Sample::Str(d) => Value::Str(d[..].into()),
            Sample::Bin(d) => Value::Bin(d[..].into()),
            Sample::Meth(d) => Value::Meth(d[..].into()),
        }
    }

    /// Appends the text form: what the cast to string yields.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Sample::Bool(b) => out.push(b'0' + u8::from(*b)),
            Sample::Int(n) => write_int(out, *n),
            Sample::Ip4(ip) => write_ip4(out, *ip),
            Sample::Ip6(ip) => write_fmt(out, format_args!("{ip}")),
            Sample::Str(d) | Sample::Meth(d) => out.extend_from_slice(d),
            Sample::Bin(d) => out.extend_from_slice(until_nul(d)),
        }
    }
}

/// A value that owns its bytes: what variables and maps hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// Text.
    Str(Box<[u8]>),
    /// Bytes.
    Bin(Box<[u8]>),
    /// An HTTP method.
    Meth(Box<[u8]>),
}

impl Value {
    /// The value as a sample that borrows from it.
    pub fn sample(&self) -> Sample<'_> {
        match self {
            Value::Bool(b) => Sample::Bool(*b),
            Value::Int(n) => Sample::Int(*n),
            Value::Ip4(ip) => Sample::Ip4(*ip),
            Value::Ip6(ip) => Sample::Ip6(*ip),
            Value::Str(d) => Sample::Str(Data::Ref(d)),
            Value::Bin(d) => Sample::Bin(Data::Ref(d)),
            Value::Meth(d) => Sample::Meth(Data::Ref(d)),
        }
    }

    /// The value as a sample of its own.
    pub fn into_sample(self) -> Sample<'static> {
        let own = |bytes: Box<[u8]>| Data::Own(Scratch(bytes.into_vec()));
        match self {
            Value::Bool(b) => Sample::Bool(b),
            Value::Int(n) => Sample::Int(n),
            Value::Ip4(ip) => Sample::Ip4(ip),
            Value::Ip6(ip) => Sample::Ip6(ip),
            Value::Str(d) => Sample::Str(own(d)),
            Value::Bin(d) => Sample::Bin(own(d)),
            Value::Meth(d) => Sample::Meth(own(d)),
        }
    }

    /// Bytes it holds beyond its own size.
    pub fn heap(&self) -> usize {
        match self {
            Value::Str(d) | Value::Bin(d) | Value::Meth(d) => d.len(),
            _ => 0,
        }
    }
}

/// What a fetch or an expression found.
#[derive(Clone, Debug, PartialEq)]
pub enum Got<'a> {
    /// A value.
    Some(Sample<'a>),
    /// A value that more bytes may change: a match counts, a mismatch waits.
    SoFar(Sample<'a>),
    /// There is no such thing, and more bytes will not bring it.
    None,
    /// Not there yet: ask again when more bytes came.
    NotYet,
}

impl<'a> Got<'a> {
    /// The value as it is now, final or not.
    pub fn now(self) -> Option<Sample<'a>> {
        match self {
            Got::Some(s) | Got::SoFar(s) => Some(s),
            Got::None | Got::NotYet => None,
        }
    }
}

impl<'a> From<Option<Sample<'a>>> for Got<'a> {
    fn from(found: Option<Sample<'a>>) -> Self {
        found.map_or(Got::None, Got::Some)
    }
}

/// Bytes borrowed from the message, the plan or a variable, or made by a converter.
#[derive(Clone)]
pub enum Data<'a> {
    /// Borrowed.
    Ref(&'a [u8]),
    /// Made here.
    Own(Scratch),
}

impl<'a> Data<'a> {
    /// A part of it; a borrowed one stays borrowed. Bounds are clamped.
    pub fn part(self, start: usize, end: usize) -> Self {
        match self {
            Data::Ref(d) => {
                let end = end.min(d.len());
                Data::Ref(&d[start.min(end)..end])
            }
            Data::Own(mut s) => {
                s.truncate(end);
                let start = start.min(s.len());
                s.drain(..start);
                Data::Own(s)
            }
        }
    }

    /// For changing in place: borrowed bytes are copied first.
    pub fn to_mut(self) -> Scratch {
        match self {
            Data::Ref(d) => Scratch::of(d),
            Data::Own(s) => s,
        }
    }
}

impl Deref for Data<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Data::Ref(d) => d,
            Data::Own(s) => s,
        }
    }
}

impl PartialEq for Data<'_> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl<'a> From<Cow<'a, [u8]>> for Data<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(d) => Data::Ref(d),
            Cow::Owned(v) => Data::Own(Scratch(v)),
        }
    }
}

impl From<Scratch> for Data<'_> {
    fn from(s: Scratch) -> Self {
        Data::Own(s)
    }
}

/// A byte vector lent by the thread; empty when taken, given back when dropped.
pub struct Scratch(Vec<u8>);

thread_local! {
    static SPARE: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

impl Scratch {
    /// An empty one.
    pub fn new() -> Self {
        SPARE.with(|cell| {
            let mut spare = cell.take();
            let lent = spare.pop().unwrap_or_default();
            cell.set(spare);
            Scratch(lent)
        })
    }

    /// One that holds a copy.
    pub fn of(bytes: &[u8]) -> Self {
        let mut s = Self::new();
        s.extend_from_slice(bytes);
        s
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::of(self)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut lent = std::mem::take(&mut self.0);
        if lent.capacity() == 0 || lent.capacity() > SPARE_BYTES_MAX {
            return;
        }
        lent.clear();
        // At thread end the cell may be gone already: then the vector is simply freed.
        let _ = SPARE.try_with(|cell| {
            let mut spare = cell.take();
            if spare.len() < SPARE_MAX {
                spare.push(lent);
            }
            cell.set(spare);
        });
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Appends a decimal integer.
pub fn write_int(out: &mut Vec<u8>, n: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut left = n.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if n < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a dotted IPv4 address.
pub fn write_ip4(out: &mut Vec<u8>, ip: Ipv4Addr) {
    for (i, byte) in ip.octets().into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        write_int(out, i64::from(byte));
    }
}

/// Appends an address of either family.
pub fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => write_ip4(out, ip),
        IpAddr::V6(ip) => write_fmt(out, format_args!("{ip}")),
    }
}

/// Appends formatted text; a vector never refuses.
pub fn write_fmt(out: &mut Vec<u8>, args: fmt::Arguments<'_>) {
    let _ = std::io::Write::write_fmt(out, args);
}

/// Binary seen as text ends at the first NUL, as in C.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).map_or(bytes, |end| &bytes[..end])
}

/// Vectors a thread keeps, and how large one may be to be kept.
const SPARE_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
        let table: [(Sample, &str); 9] = [
            (Sample::Bool(true), "1"),
            (Sample::Int(0), "0"),
            (Sample::Int(i64::MIN), "-9223372036854775808"),
            (Sample::Int(i64::MAX), "9223372036854775807"),
            (Sample::Ip4([10, 0, 200, 3].into()), "10.0.200.3"),
            (Sample::Ip6(Ipv6Addr::LOCALHOST), "::1"),
            (Sample::text("x\0y"), "x\0y"),
            (Sample::bytes("x\0y"), "x"),
            (Sample::Meth(Data::Ref(b"GET")), "GET"),
        ];
        for (sample, expected) in table {
            let mut out = Vec::new();
            sample.write_text(&mut out);
            assert_eq!(out, expected.as_bytes());
            assert_eq!(sample.to_value().sample(), sample);
        }
    }

    #[test]
    fn scratch_vectors_come_back() {
        let first = Scratch::of(&[7; 100]);
        let place = first.as_ptr();
        drop(first);
        let again = Scratch::new();
        assert!(again.is_empty() && again.as_ptr() == place);
    }

    #[test]
    fn parts_are_clamped() {
        let own = || Data::Own(Scratch::of(b"hello"));
        for data in [Data::Ref(b"hello"), own()] {
            assert_eq!(&data.clone().part(1, 3)[..], b"el");
            assert_eq!(&data.clone().part(4, 99)[..], b"o");
            assert_eq!(&data.clone().part(9, 2)[..], b"");
        }
    }
}

//! Patterns: the ways a sample is compared with what a configuration, an ACL file or a map holds.
//!
//! [`Match`] is the closed set of ways (`-m`), [`Index`] a set of patterns searched in one of them.
//! Lookups of strings, prefixes, suffixes, path parts, domains and addresses do not scale with the
//! number of patterns. Each pattern carries an id that rises in the order of insertion: where several
//! match, the finest wins for prefixes and addresses, the first inserted elsewhere.

pub mod flat;
pub mod index;
pub mod net;
pub mod number;
pub mod regex;
pub mod string;

pub use index::Index;

use super::sample::Ty;

/// How a sample is compared (`-m`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Match {
    /// There is a sample.
    Found,
    /// It is true.
    Bool,
    /// Integers and ranges.
    Int,
    /// Addresses and networks.
    Ip,
    /// Bytes given as hexadecimal digits.
    Bin,
    /// Length of the text.
    Len,
    /// The whole text.
    Str,
    /// The text begins so.
    Beg,
    /// The text holds it.
    Sub,
    /// A part between slashes.
    Dir,
    /// A part between dots, slashes, colons.
    Dom,
    /// The text ends so.
    End,
    /// A regular expression.
    Reg,
}

impl Match {
    /// Every way with its word.
    pub const ALL: [(Match, &'static str); 13] = [
        (Match::Found, "found"),
        (Match::Bool, "bool"),
        (Match::Int, "int"),
        (Match::Ip, "ip"),
        (Match::Bin, "bin"),
        (Match::Len, "len"),
        (Match::Str, "str"),
        (Match::Beg, "beg"),
        (Match::Sub, "sub"),
        (Match::Dir, "dir"),
        (Match::Dom, "dom"),
        (Match::End, "end"),
        (Match::Reg, "reg"),
    ];

    /// The way behind a word.
    pub fn of(word: &str) -> Option<Match> {
        Self::ALL.iter().find(|(_, text)| *text == word).map(|(how, _)| *how)
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(how, _)| *how == self).map_or("", |(_, text)| text)
    }

    /// The type a sample is converted to before it is compared.
    pub fn takes(self) -> Ty {
        match self {
            Match::Found => Ty::Any,
            Match::Bool => Ty::Bool,
            Match::Int => Ty::Int,
            Match::Ip => Ty::Addr,
            Match::Bin => Ty::Bin,
            _ => Ty::Str,
        }
    }

    /// The way implied by the type of the sample; binary has none.
    pub fn of_type(ty: Ty) -> Option<Match> {
        match ty {
            Ty::Bool => Some(Match::Bool),
            Ty::Int => Some(Match::Int),
            Ty::Addr | Ty::Ip4 | Ty::Ip6 => Some(Match::Ip),
            Ty::Str | Ty::Meth => Some(Match::Str),
            Ty::Any | Ty::Same | Ty::Bin => None,
        }
    }

    /// It needs no patterns.
    pub fn is_bare(self) -> bool {
        matches!(self, Match::Found | Match::Bool)
    }
}

#[cfg(test)]
mod tests;

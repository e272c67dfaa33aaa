//! The words behind `balance` and `hash-type`. Called by the configuration.

use super::{BalanceCx, ROWS};
use crate::base::hash::HashFn;
use crate::lang::diag::Diag;
use crate::lang::word::Words;
use crate::plan::scheme::{HashType, Scheme};

/// Algorithms of HAProxy that have no row.
const LATER: &[&str] = &["log-hash", "log-sticky", "sticky"];

/// Rows whose word may carry an argument in parentheses.
const WITH_ARGUMENT: &[&str] = &["hdr", "random", "rdp-cookie"];

/// `balance <algorithm> [<argument>...]`
pub fn scheme(words: &mut Words<'_>, cx: &mut BalanceCx) -> Result<Box<dyn Scheme>, Diag> {
    let word = words.need("an algorithm")?;
    let (name, argument) = match word.text.split_once('(') {
        None => (word.text.as_str(), None),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(argument) => (name, Some(argument)),
            None => return Err(word.err("missing \")\"")),
        },
    };
    if let Some(row) = ROWS.iter().find(|row| row.kw == name) {
        if argument.is_some() && !WITH_ARGUMENT.contains(&name) {
            return Err(word.err(format!("\"{name}\" takes no argument in parentheses")));
        }
        cx.argument = argument.map(str::to_owned);
        return (row.parse)(words, cx);
    }
    if LATER.contains(&name) {
        return Err(word.err(format!("\"{name}\" is known, not supported yet")));
    }
    let known: Vec<&str> = ROWS.iter().map(|row| row.kw).collect();
    Err(word.not_one_of("algorithm", &known))
}

/// `hash-type <way> [<function> [avalanche]]`; the one word `avalanche` of old files means a map with it.
pub fn hash_type(words: &mut Words<'_>, so_far: HashType) -> Result<HashType, Diag> {
    const FUNCTIONS: &[(&str, HashFn)] = &[
        ("crc32", HashFn::Crc32),
        ("djb2", HashFn::Djb2),
        ("none", HashFn::None),
        ("sdbm", HashFn::Sdbm),
        ("wt6", HashFn::Wt6),
    ];
    let way = words.need("\"map-based\" or \"consistent\"")?;
    let mut made = match way.text.as_str() {
        "map-based" => HashType::default(),
        "consistent" => HashType::consistent(),
        "avalanche" => HashType { avalanche: true, ..HashType::default() },
        _ => return Err(way.not_one_of("hash type", &["map-based", "consistent"])),
    };
    made.load_factor = so_far.load_factor;
    if let Some(word) = words.next() {
        let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| word.is(name)) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            return Err(word.not_one_of("hash function", &known));
        };
        (made.function, made.avalanche) = (*function, false);
    }
    if let Some(word) = words.next() {
        match word.is("avalanche") {
            true => made.avalanche = true,
            false => return Err(word.not_one_of("modifier", &["avalanche"])),
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::word::Word;

    fn read<T>(text: &str, parse: impl FnOnce(&mut Words<'_>) -> Result<T, Diag>) -> Result<T, String> {
        let words: Vec<Word> = text.split(' ').map(Word::plain).collect();
        let mut words = Words::new(&words);
        let made = parse(&mut words).map_err(|diag| diag.what)?;
        words.done().map_err(|diag| diag.what)?;
        Ok(made)
    }

    #[test]
    fn algorithms_and_their_mistakes() {
        let table = [
            ("roundrobin", Ok("roundrobin")),
            ("static-rr", Ok("static-rr")),
            ("uri whole len 20 depth 3 path-only", Ok("uri")),
            ("url_param user check_post 64", Ok("url_param")),
            ("hdr(User-Agent)", Ok("hdr")),
            ("hdr(host) use_domain_only", Ok("hdr")),
            ("rdp-cookie", Ok("rdp-cookie")),
            ("rdp-cookie(msts)", Ok("rdp-cookie")),
            ("random", Ok("random")),
            ("random(3)", Ok("random")),
            ("hash req.hdr(x)", Ok("hash")),
            ("random(0)", Err("expected")),
            ("random(two)", Err("expected")),
            ("hdr", Err("the name of a field")),
            ("hdr(", Err("missing \")\"")),
            ("source(1)", Err("no argument")),
            ("uri deep 1", Err("unknown word \"deep\"")),
            ("uri depth", Err("missing a number of directories")),
            ("leastcon", Err("unknown algorithm \"leastcon\"")),
            ("leastconn x", Err("unexpected word \"x\"")),
            ("sticky", Err("not supported yet")),
        ];
        for (text, expected) in table {
            let made = read(text, |words| scheme(words, &mut BalanceCx::default()));
            match (made, expected) {
                (Ok(scheme), Ok(name)) => assert_eq!(scheme.name(), name),
                (Err(what), Err(part)) => assert!(what.contains(part), "{text}: {what}"),
                (made, _) => panic!("{text}: {:?}", made.map(|scheme| scheme.name())),
            }
        }
    }

    #[test]
    fn hash_types() {
        let plain = HashType::default();
        let table = [
            ("map-based", Ok(plain)),
            ("map-based sdbm avalanche", Ok(HashType { avalanche: true, ..plain })),
            ("avalanche", Ok(HashType { avalanche: true, ..plain })),
            ("consistent", Ok(HashType { consistent: true, avalanche: true, ..plain })),
            ("consistent djb2", Ok(HashType { consistent: true, function: HashFn::Djb2, ..plain })),
            ("map-based none", Ok(HashType { function: HashFn::None, ..plain })),
            ("mapbased", Err("unknown hash type")),
            ("map-based md5", Err("unknown hash function")),
            ("map-based wt6 x", Err("unknown modifier")),
        ];
        for (text, expected) in table {
            match (read(text, |words| hash_type(words, plain)), expected) {
                (Ok(made), Ok(expected)) => assert_eq!(made, expected, "{text}"),
                (Err(what), Err(part)) => assert!(what.contains(part), "{text}: {what}"),
                (made, _) => panic!("{text}: {made:?}"),
            }
        }
    }
}

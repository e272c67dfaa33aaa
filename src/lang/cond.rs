//! Conditions (manual 2.4): the expressions of `.if`, `.elif` and `-cc`, and the nesting of blocks.
//! Called by the configuration reader and the command line.
//!
//! Grammar: `||` of `&&` of terms; a term is an integer, a predicate with arguments, a parenthesised
//! expression, or one of these behind `!`. Both sides of an operator are always read, so that an error
//! never hides behind a short cut. Depth is bounded.

use super::args::{self, Trouble};
use super::diag::Diag;
use super::lexer::Vars;
use super::span::Span;
use super::suggest;
use super::word::Word;

/// What predicates ask about: filled by whoever knows the program.
pub struct Answers<'a> {
    /// Environment variables.
    pub vars: Vars<'a>,
    /// Names of features that are built in.
    pub features: &'a [&'a str],
    /// Names of options that are on.
    pub enabled: &'a [&'a str],
    /// The configuration language answered for, like `3.5.0`.
    pub language: &'a str,
    /// The TLS library's OpenSSL version number, `0xMNNFFPPS`.
    pub openssl_number: u64,
    /// The TLS library's name and version.
    pub ssl_library: &'a str,
    /// AWS-LC's API number, when it is AWS-LC.
    pub awslc_api: Option<u64>,
    /// The TLS library runs in its validated mode.
    pub fips: bool,
}

/// Evaluates a condition; an empty one is false.
pub fn eval(word: &Word, answers: &Answers<'_>) -> Result<bool, Diag> {
    let mut reader = Reader { text: &word.text, at: 0, depth: 0, answers };
    reader.blanks();
    if reader.at == word.text.len() {
        return Ok(false);
    }
    let whole = reader.any().and_then(|value| match reader.text.get(reader.at..) {
        None | Some("") => Ok(value),
        Some(rest) => Err(Trouble::new(reader.at, rest.len(), "this does not belong to the condition")),
    });
    whole.map_err(|trouble| trouble.in_word(word, 0))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    answers: &'a Answers<'a>,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        let found =
            self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(token.as_bytes()));
        if found {
            self.at += token.len();
            self.blanks();
        }
        found
    }

    fn any(&mut self) -> Result<bool, Trouble> {
        let mut value = self.all()?;
        while self.eat("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, Trouble> {
        let mut value = self.term()?;
        while self.eat("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, Trouble> {
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
        }
        let open = self.at;
        if self.eat("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(Trouble::new(open, 1, format!("more than {DEPTH_MAX} parentheses deep")));
            }
            let value = self.any()?;
            if !self.eat(")") {
                return Err(Trouble::new(open, 1, "this parenthesis is not closed"));
            }
            self.depth -= 1;
            return Ok(value != negated);
        }
        if let Some(value) = self.integer() {
            return Ok(value != negated);
        }
        Ok(self.predicate()? != negated)
    }

    fn integer(&mut self) -> Option<bool> {
        let rest = self.text.get(self.at..)?;
        let sign = usize::from(rest.starts_with(['-', '+']));
        let digits = rest.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
        let end = rest.as_bytes().get(sign + digits).copied().unwrap_or(b' ');
        if digits == 0 || args::is_name_byte(end) || end == b'(' {
            return None;
        }
        self.at += sign + digits;
        let value = rest.bytes().skip(sign).take(digits).any(|digit| digit != b'0');
        self.blanks();
        Some(value)
    }

    fn predicate(&mut self) -> Result<bool, Trouble> {
        let call = args::call(self.text, self.at)?;
        let Some(predicate) = PREDICATES.iter().find(|predicate| predicate.kw == call.name) else {
            return Err(self.unknown(call.name, call.at));
        };
        let given: Vec<&str> = match &call.args {
            None => Vec::new(),
            Some(list) if predicate.args == 0 && list.len() == 1 && list[0].text.is_empty() => Vec::new(),
            Some(list) => list.iter().map(|arg| arg.text.as_str()).collect(),
        };
        let len = call.end - call.at;
        if given.len() != predicate.args || call.args.is_none() {
            let plural = if predicate.args == 1 { "" } else { "s" };
            let what =
                format!("{}() takes {} argument{plural}, found {}", call.name, predicate.args, given.len());
            return Err(Trouble::new(call.at, len, what));
        }
        let value =
            (predicate.eval)(&given, self.answers).map_err(|what| Trouble::new(call.at, len, what))?;
        self.at = call.end;
        self.blanks();
        Ok(value)
    }

    fn unknown(&self, name: &str, at: usize) -> Trouble {
        if name.is_empty() {
            let what = match self.text.get(at..) {
                None | Some("") => "the condition ends where a term is expected",
                _ => "expected an integer, a predicate, \"!\" or \"(\"",
            };
            return Trouble::new(at, 1, what);
        }
        let hint = suggest::did_you_mean(name, PREDICATES.iter().map(|predicate| predicate.kw));
        let hint = hint.map_or(String::new(), |hint| format!(", {hint}"));
        Trouble::new(at, name.len(), format!("unknown predicate \"{name}\"{hint}"))
    }
}

/// One predicate.
pub struct Predicate {
    /// Its name.
    pub kw: &'static str,
    /// How many arguments it takes.
    pub args: usize,
    /// What it says, for the manual.
    pub brief: &'static str,
    eval: fn(&[&str], &Answers<'_>) -> Result<bool, String>,
}

/// All predicates, by name.
pub const PREDICATES: &[Predicate] = &[
    Predicate {
        kw: "awslc_api_atleast",
        args: 1,
        brief: "the TLS library is AWS-LC and its API number is at least this",
        eval: |args, answers| Ok(answers.awslc_api.is_some_and(|api| number(args).is_ok_and(|n| api >= n))),
    },
    Predicate {
        kw: "awslc_api_before",
        args: 1,
        brief: "the TLS library is AWS-LC and its API number is lower than this",
        eval: |args, answers| Ok(answers.awslc_api.is_some_and(|api| number(args).is_ok_and(|n| api < n))),
    },
    Predicate {
        kw: "defined",
        args: 1,
        brief: "an environment variable of this name exists, even if empty",
        eval: |args, answers| Ok((answers.vars)(args[0]).is_some()),
    },
    Predicate {
        kw: "enabled",
        args: 1,
        brief: "an option of this name is on in this process",
        eval: |args, answers| Ok(answers.enabled.contains(&args[0])),
    },
    Predicate {
        kw: "feature",
        args: 1,
        brief: "a feature of this name is built in, as -vv lists them",
        eval: |args, answers| Ok(answers.features.contains(&args[0])),
    },
    Predicate {
        kw: "fips_mode",
        args: 0,
        brief: "the TLS library runs in its validated mode",
        eval: |_, answers| Ok(answers.fips),
    },
    Predicate {
        kw: "openssl_version_atleast",
        args: 1,
        brief: "the TLS library's OpenSSL version is at least this",
        eval: |args, answers| Ok(answers.openssl_number >= openssl_version(args[0])?),
    },
    Predicate {
        kw: "openssl_version_before",
        args: 1,
        brief: "the TLS library's OpenSSL version is older than this",
        eval: |args, answers| Ok(answers.openssl_number < openssl_version(args[0])?),
    },
    Predicate {
        kw: "ssllib_name_startswith",
        args: 1,
        brief: "the name of the TLS library begins with this",
        eval: |args, answers| Ok(answers.ssl_library.starts_with(args[0])),
    },
    Predicate { kw: "streq", args: 2, brief: "both texts are equal", eval: |args, _| Ok(args[0] == args[1]) },
    Predicate { kw: "strneq", args: 2, brief: "the texts differ", eval: |args, _| Ok(args[0] != args[1]) },
    Predicate {
        kw: "strstr",
        args: 2,
        brief: "the first text contains the second",
        eval: |args, _| Ok(args[0].contains(args[1])),
    },
    Predicate {
        kw: "version_atleast",
        args: 1,
        brief: "the configuration language is at least this version",
        eval: |args, answers| Ok(version(answers.language)? >= version(args[0])?),
    },
    Predicate {
        kw: "version_before",
        args: 1,
        brief: "the configuration language is older than this version",
        eval: |args, answers| Ok(version(answers.language)? < version(args[0])?),
    },
];

fn number(args: &[&str]) -> Result<u64, String> {
    args[0].parse().map_err(|_| format!("\"{}\" is not a number", args[0]))
}

/// `2.4.1-dev3-9` as numbers that compare: a development version comes before its release.
fn version(text: &str) -> Result<[u64; 5], String> {
    let bad = || format!("\"{text}\" is not a version like 3.1 or 2.4-dev3");
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, ""));
    let mut parts = [0, 0, 0, u64::MAX, 0];
    for (count, number) in numbers.split('.').enumerate() {
        *parts[..3].get_mut(count).ok_or_else(bad)? = number.parse().map_err(|_| bad())?;
    }
    for part in suffix.split('-').filter(|part| !part.is_empty()) {
        let digits = part.bytes().skip_while(|byte| !byte.is_ascii_digit()).take_while(u8::is_ascii_digit);
        let value =
            digits.fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        match part {
            dev if dev.starts_with("dev") => parts[3] = value,
            candidate if candidate.starts_with("rc") => parts[3] = value.saturating_add(1 << 32),
            commits if commits.bytes().all(|byte| byte.is_ascii_digit()) => parts[4] = value,
            _ => {}
        }
    }
    Ok(parts)
}

/// `1.1.1d` or `3.0.2-beta1` as OpenSSL's number `0xMNNFFPPS`.
fn openssl_version(text: &str) -> Result<u64, String> {
    let bad = || format!("\"{text}\" is not an OpenSSL version like 1.1.1 or 3.0.2");
    let (numbers, status) = text.split_once('-').unwrap_or((text, ""));
    let letters = numbers.len() - numbers.trim_end_matches(|c: char| c.is_ascii_lowercase()).len();
    let (numbers, letter) = numbers.split_at(numbers.len() - letters);
    let mut parts = [0u64; 3];
    for (count, number) in numbers.split('.').enumerate() {
        let value = number.parse().ok().filter(|value| *value < 256).ok_or_else(bad)?;
        *parts.get_mut(count).ok_or_else(bad)? = value;
    }
    let letter = letter.bytes().map(|byte| u64::from(byte - b'a') + 1).sum::<u64>() & 0xff;
    let [major, minor, fix] = parts;
    if major >= 3 {
        return Ok((major << 28) | (minor << 20) | (fix << 4));
    }
    let status = match status {
        "" => 0xf,
        beta => beta.strip_prefix("beta").and_then(|n| n.parse().ok()).filter(|n| *n < 15).unwrap_or(0),
    };
    Ok((major << 28) | (minor << 20) | (fix << 12) | (letter << 4) | status)
}

/// The blocks open at one point of a file.
#[derive(Debug, Default)]
pub struct Blocks {
    open: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    at: Span,
    /// Lines of the present branch count.
    live: bool,
    /// A branch of this block was taken, or the whole block is skipped.
    settled: bool,
    in_else: bool,
}

impl Blocks {
    /// True when lines count here.
    pub fn live(&self) -> bool {
        self.open.last().is_none_or(|block| block.live)
    }

    /// `.if`: the condition is only asked for where lines count. A condition that cannot be read skips
    /// the block.
    pub fn open(&mut self, at: Span, ask: impl FnOnce() -> Result<bool, Diag>) -> Result<(), Diag> {
        if self.open.len() >= BLOCKS_MAX {
            return Err(Diag::alert(at, format!("more than {BLOCKS_MAX} nested \".if\"")));
        }
        let outer = self.live();
        let answer = if outer { ask() } else { Ok(false) };
        let live = *answer.as_ref().unwrap_or(&false);
        self.open.push(Block { at, live, settled: live || !outer || answer.is_err(), in_else: false });
        answer.map(|_| ())
    }

    /// `.elif`.
    pub fn elif(&mut self, at: Span, ask: impl FnOnce() -> Result<bool, Diag>) -> Result<(), Diag> {
        let block = self.branch(at, ".elif")?;
        if block.settled {
            block.live = false;
            return Ok(());
        }
        let answer = ask();
        block.live = *answer.as_ref().unwrap_or(&false);
        block.settled = block.live || answer.is_err();
        answer.map(|_| ())
    }

    /// `.else`.
    pub fn other(&mut self, at: Span) -> Result<(), Diag> {
        let block = self.branch(at, ".else")?;
        block.in_else = true;
        block.live = !block.settled;
        block.settled = true;
        Ok(())
    }

    /// `.endif`.
    pub fn close(&mut self, at: Span) -> Result<(), Diag> {
        match self.open.pop() {
            Some(_) => Ok(()),
            None => Err(Diag::alert(at, "\".endif\" without \".if\"")),
        }
    }

    /// At the end of a file: an error for a block that is still open.
    pub fn end(&mut self) -> Result<(), Diag> {
        match self.open.drain(..).next_back() {
            None => Ok(()),
            Some(block) => Err(Diag::alert(block.at, "\".if\" without \".endif\"")),
        }
    }

    fn branch(&mut self, at: Span, name: &str) -> Result<&mut Block, Diag> {
        match self.open.last_mut() {
            None => Err(Diag::alert(at, format!("\"{name}\" without \".if\""))),
            Some(block) if block.in_else => {
                block.live = false;
                Err(Diag::alert(at, format!("\"{name}\" after \".else\""))
                    .also(block.at, "the block begins here"))
            }
            Some(block) => Ok(block),
        }
    }
}

const DEPTH_MAX: usize = 64;
const BLOCKS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<bool, String> {
        let vars = |name: &str| (name == "HOME").then(|| "/root".to_string());
        let answers = Answers {
            vars: &vars,
            features: &["OPENSSL", "PROMEX"],
            enabled: &["EPOLL"],
            language: "3.5.0",
            openssl_number: 0x1010_107f,
            ssl_library: "AWS-LC 1.68",
            awslc_api: Some(35),
            fips: false,
        };
        eval(&Word::plain(text), &answers).map_err(|diag| diag.what)
    }

    #[test]
    fn conditions_answer() {
        let table = [
            ("", false),
            ("  ", false),
            ("0", false),
            ("1", true),
            ("-1", true),
            ("+1", true),
            ("000", false),
            ("! 1", false),
            ("!!1", true),
            ("1||0", true),
            ("1 && 0 || 1", true),
            ("1 || 1 && 0", true),
            ("(1 || 1) && 0", false),
            ("! ( 0 )", true),
            ("streq(a b,\"a b\")", true),
            ("streq( a,a)", false),
            ("strneq(a,b)", true),
            ("strstr(abc,b) && !streq(a,b)", true),
            ("defined(HOME)", true),
            ("defined(NOPE)", false),
            ("defined()", false),
            ("feature(OPENSSL)", true),
            ("feature(-OPENSSL)", false),
            ("enabled(EPOLL)", true),
            ("enabled(nope)", false),
            ("version_atleast(3.5)", true),
            ("version_atleast(3.5-dev9)", true),
            ("version_atleast(3.6-dev0)", false),
            ("version_before(3.5)", false),
            ("version_before(3.5.1)", true),
            ("version_atleast(2.6.12-1+deb12u4)", true),
            ("openssl_version_atleast(1.1.1)", true),
            ("openssl_version_atleast(1.1.1h)", false),
            ("openssl_version_atleast(1.1.0)", true),
            ("openssl_version_before(3.0.0)", true),
            ("ssllib_name_startswith(AWS-LC)", true),
            ("awslc_api_atleast(30)", true),
            ("awslc_api_before(30)", false),
            ("fips_mode()", false),
        ];
        for (text, expected) in table {
            assert_eq!(ask(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn versions_are_ordered() {
        let order =
            ["2.4", "2.5-dev0", "2.5-dev9", "2.5-dev10-3", "2.5-rc1", "2.5", "2.5.1", "2.10", "3.0-dev1"];
        for pair in order.windows(2) {
            assert!(version(pair[0]).unwrap() < version(pair[1]).unwrap(), "{pair:?}");
        }
        let order =
            ["0.9.8zh", "1.0.2-beta1", "1.0.2", "1.0.2k", "1.1.0-beta3", "1.1.1", "1.1.1w", "3.0.0", "3.0.2"];
        for pair in order.windows(2) {
            assert!(openssl_version(pair[0]).unwrap() < openssl_version(pair[1]).unwrap(), "{pair:?}");
        }
    }

    #[test]
    fn bad_conditions_say_why() {
        let table = [
            ("foo", "unknown predicate \"foo\""),
            ("stre(a,b)", "unknown predicate \"stre\", did you mean \"streq\"?"),
            ("1a", "unknown predicate \"1a\""),
            ("1 &&", "the condition ends where a term is expected"),
            ("1 & 1", "this does not belong to the condition"),
            ("1 0", "this does not belong to the condition"),
            ("(1", "this parenthesis is not closed"),
            ("1)", "this does not belong to the condition"),
            ("streq(a)", "streq() takes 2 arguments, found 1"),
            ("streq(a,b,c)", "streq() takes 2 arguments, found 3"),
            ("streq(a", "this parenthesis is not closed"),
            ("defined A", "defined() takes 1 argument, found 0"),
            ("version_atleast(abc)", "\"abc\" is not a version like 3.1 or 2.4-dev3"),
            ("1 || foo", "unknown predicate \"foo\""),
            ("é", "expected an integer, a predicate, \"!\" or \"(\""),
        ];
        for (text, expected) in table {
            assert_eq!(ask(text), Err(expected.to_string()), "{text}");
        }
        assert!(ask(&"(".repeat(100_000)).is_err());
        assert_eq!(ask(&format!("{}1", "!".repeat(100_000))), Ok(true));
    }

    #[test]
    fn blocks_take_one_branch() {
        let at = Span::NONE;
        let mut blocks = Blocks::default();
        blocks.open(at, || Ok(false)).unwrap();
        assert!(!blocks.live());
        blocks.open(at, || panic!("asked within a skipped block")).unwrap();
        blocks.other(at).unwrap();
        assert!(!blocks.live());
        blocks.close(at).unwrap();
        blocks.elif(at, || Ok(true)).unwrap();
        assert!(blocks.live());
        blocks.elif(at, || panic!("asked after the branch was taken")).unwrap();
        blocks.other(at).unwrap();
        assert!(!blocks.live());
        assert!(blocks.elif(at, || Ok(true)).is_err() && blocks.other(at).is_err());
        blocks.close(at).unwrap();
        assert!(blocks.live() && blocks.close(at).is_err() && blocks.elif(at, || Ok(true)).is_err());
        blocks.open(at, || Err(Diag::alert(at, "x"))).unwrap_err();
        blocks.other(at).unwrap();
        assert!(!blocks.live() && blocks.end().is_err() && blocks.live());
        for _ in 0..BLOCKS_MAX {
            blocks.open(at, || Ok(true)).unwrap();
        }
        assert!(blocks.open(at, || Ok(true)).is_err());
    }
}

//! One typed line: commands separated by `;`, words by blanks, `\` in front of what is meant
//! literally, `<<` or `<<TAG` at the end when lines of payload follow.

/// Longest line, in bytes.
pub const LINE_MAX: usize = 16 * 1024;

/// Most words of one command.
pub const WORDS_MAX: usize = 64;

/// Most commands of one line.
pub const COMMANDS_MAX: usize = 256;

/// A line cut into commands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// The words of each command; commands without a word are left out.
    pub commands: Vec<Vec<String>>,
    /// Payload for the last command follows, up to a line that equals this (usually empty).
    pub payload_end: Option<Vec<u8>>,
}

/// Why a line is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineError {
    /// More than [`WORDS_MAX`] words in a command.
    Words,
    /// More than [`COMMANDS_MAX`] commands.
    Commands,
}

impl LineError {
    /// The message to the client.
    pub fn message(self) -> String {
        match self {
            LineError::Words => format!("A command may not have more than {WORDS_MAX} words."),
            LineError::Commands => format!("A line may not hold more than {COMMANDS_MAX} commands."),
        }
    }
}

/// Cuts a line (without its line feed).
pub fn parse(line: &[u8]) -> Result<Line, LineError> {
    let mut parsed = Line::default();
    let mut words: Vec<String> = Vec::new();
    let mut last_bare = false;
    let mut rest = line;
    loop {
        let (word, bare, tail) = next_word(rest);
        rest = tail;
        if let Some(word) = word {
            if words.len() == WORDS_MAX {
                return Err(LineError::Words);
            }
            words.push(word);
            last_bare = bare;
            continue;
        }
        let ended = rest.is_empty();
        if ended && last_bare {
            parsed.payload_end = take_payload_mark(&mut words);
        }
        if !words.is_empty() {
            if parsed.commands.len() == COMMANDS_MAX {
                return Err(LineError::Commands);
            }
            parsed.commands.push(std::mem::take(&mut words));
        }
        last_bare = false;
        match rest.split_first() {
            Some((_, tail)) => rest = tail,
            None => return Ok(parsed),
        }
    }
}

/// The next word, whether it was typed without escapes, and what follows. No word at a `;`, which
/// is left in place, and at the end.
fn next_word(line: &[u8]) -> (Option<String>, bool, &[u8]) {
    let start = line.iter().position(|b| !is_blank(*b)).unwrap_or(line.len());
    let mut word = Vec::new();
    let mut bare = true;
    let mut bytes = line.iter().enumerate().skip(start);
    let mut end = line.len();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b';' => {
                end = at;
                break;
            }
            b'\\' => {
                bare = false;
                if let Some((_, next)) = bytes.next() {
                    word.push(*next);
                }
            }
            blank if is_blank(*blank) => {
                end = at;
                break;
            }
            other => word.push(*other),
        }
    }
    let tail = line.get(end..).unwrap_or_default();
    if word.is_empty() && bare {
        return (None, bare, tail);
    }
    (Some(String::from_utf8_lossy(&word).into_owned()), bare, tail)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Takes `<<TAG` off the end of a command that it follows.
fn take_payload_mark(words: &mut Vec<String>) -> Option<Vec<u8>> {
    if words.len() < 2 {
        return None;
    }
    let tag = words.last()?.strip_prefix("<<")?.as_bytes().to_vec();
    words.pop();
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> (Vec<Vec<String>>, Option<String>) {
        let line = parse(line.as_bytes()).unwrap();
        (line.commands, line.payload_end.map(|end| String::from_utf8(end).unwrap()))
    }

    #[test]
    fn lines_are_cut_into_commands_and_words() {
        let rows: &[(&str, &[&[&str]])] = &[
            ("", &[]),
            ("  ;; ; ", &[]),
            ("show info", &[&["show", "info"]]),
            ("  show\t info \r", &[&["show", "info"]]),
            ("show info;show stat -1 4 -1;", &[&["show", "info"], &["show", "stat", "-1", "4", "-1"]]),
            ("get weight b/s\\;x", &[&["get", "weight", "b/s;x"]]),
            ("add map m a\\ b c\\\\d", &[&["add", "map", "m", "a b", "c\\d"]]),
            ("a \\ b", &[&["a", " b"]]),
            ("a\\", &[&["a"]]),
            ("show <<x y", &[&["show", "<<x", "y"]]),
            ("<<", &[&["<<"]]),
            ("a \\<<", &[&["a", "<<"]]),
        ];
        for (line, want) in rows {
            let want: Vec<Vec<String>> =
                want.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect();
            assert_eq!(cut(line), (want, None), "{line:?}");
        }
    }

    #[test]
    fn a_payload_is_announced_at_the_end_of_the_line() {
        for (line, end) in [("set x <<", ""), ("set x <<EOF ", "EOF"), ("a; set x  <<%%", "%%")] {
            let (commands, found) = cut(line);
            assert_eq!(found.as_deref(), Some(end), "{line:?}");
            assert_eq!(commands.last().unwrap(), &["set", "x"], "{line:?}");
        }
        assert_eq!(cut("set x <<;show info").1, None);
    }

    #[test]
    fn lines_have_limits() {
        assert_eq!(parse("w ".repeat(65).as_bytes()), Err(LineError::Words));
        assert_eq!(parse("w;".repeat(257).as_bytes()), Err(LineError::Commands));
        assert_eq!(parse("w;".repeat(256).as_bytes()).unwrap().commands.len(), 256);
    }
}

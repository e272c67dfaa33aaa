//! The nearest known word to a mistyped one. Called by the driver and by keywords with closed lists.

/// The candidate nearest to `word`, if any is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let limit = match word.chars().count() {
        0 | 1 => return None,
        2..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let lower = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|known| known.len() <= WORD_MAX && known.len().abs_diff(word.len()) <= limit)
        .map(|known| (distance(&lower, &known.to_ascii_lowercase()), known))
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, known)| known)
}

/// `did you mean "x"?` for the nearest candidate.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|known| format!("did you mean \"{known}\"?"))
}

/// `"a", "b" or "c"`: a closed list as a sentence part.
pub fn list_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("\"{one}\""),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{} or \"{last}\"", first.join(", "))
        }
    }
}

/// Damerau-Levenshtein (adjacent swaps count one), on bytes; both words are short.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row[j] = best;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

const WORD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_word() {
        let known = ["timeout", "mode", "maxconn", "default_backend", "server", "use_backend"];
        let table = [
            ("timout", Some("timeout")),
            ("tiemout", Some("timeout")),
            ("Mode", Some("mode")),
            ("default-backend", Some("default_backend")),
            ("sevrer", Some("server")),
            ("x", None),
            ("compression", None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(10_000), known), None);
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(list_of(&["tcp", "http", "log"]), "\"tcp\", \"http\" or \"log\"");
        assert_eq!(list_of(&["tcp"]), "\"tcp\"");
    }
}

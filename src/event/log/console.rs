//! Messages for the person who starts the program: `[NOTICE]`, `[WARNING]`, `[ALERT]` lines on
//! stderr, kept as well for `show startup-logs`.

use std::io::Write;

/// How much a message matters to the person who reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// Good to know.
    Notice,
    /// Works, but differently from what was meant perhaps.
    Warning,
    /// Does not work.
    Alert,
}

/// Longest record of start-up messages, in bytes.
const KEPT_MAX: usize = 64 * 1024;

/// Prints and remembers what the program says before and while it serves.
#[derive(Debug)]
pub struct Console {
    pid: u32,
    quiet: bool,
    kept: Vec<u8>,
    warned: u32,
}

impl Console {
    /// `quiet` (`-q`) keeps everything off stderr.
    pub fn new(pid: u32, quiet: bool) -> Console {
        Console { pid, quiet, kept: Vec::new(), warned: 0 }
    }

    /// Prints one message (without line feed).
    pub fn say(&mut self, weight: Weight, text: &str) {
        let line = line(weight, self.pid, text);
        if weight == Weight::Warning {
            self.warned += 1;
        }
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        self.kept.extend(line.bytes().take(room));
        if !self.quiet {
            // Nobody is left to tell when stderr is gone.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    /// Everything said so far, for `show startup-logs`.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Number of warnings so far (`-dW` makes them fatal).
    pub fn warned(&self) -> u32 {
        self.warned
    }
}

/// One line as it stands on stderr, line feed included.
pub fn line(weight: Weight, pid: u32, text: &str) -> String {
    let name = match weight {
        Weight::Notice => "[NOTICE]",
        Weight::Warning => "[WARNING]",
        Weight::Alert => "[ALERT]",
    };
    format!("{name:<10} ({pid}) : {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned() {
        assert_eq!(line(Weight::Notice, 7, "x"), "[NOTICE]   (7) : x\n");
        assert_eq!(line(Weight::Warning, 7, "x"), "[WARNING]  (7) : x\n");
        assert_eq!(line(Weight::Alert, 7, "x"), "[ALERT]    (7) : x\n");
    }

    #[test]
    fn the_record_is_bounded_and_warnings_are_counted() {
        let mut console = Console::new(1, true);
        let long = "y".repeat(1000);
        for _ in 0..100 {
            console.say(Weight::Warning, &long);
        }
        assert_eq!(console.kept().len(), KEPT_MAX);
        assert_eq!(console.warned(), 100);
    }
}

//! Options: the words of the command line, cut and judged. Single-dash options of several letters, as
//! HAProxy has them, and double-dash ones of our own.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line asks for besides serving.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Ask {
    /// Serve, or check with `-c`.
    #[default]
    Serve,
    /// `-h`, `--help`.
    Help,
    /// `-v`.
    Version,
    /// `-vv`.
    Details,
    /// `-cc`.
    Condition(String),
    /// `-dK[class]`.
    Keywords(String),
    /// `-dL`.
    Libraries,
}

/// Everything the command line said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// What is asked for.
    pub ask: Ask,
    /// `-f`, and all behind `--`.
    pub files: Vec<PathBuf>,
    /// `-c`.
    pub check: bool,
    /// `-d`: all in one process.
    pub debug: bool,
    /// `-d`, `-db`.
    pub foreground: bool,
    /// `-D`.
    pub daemon: bool,
    /// `-V`.
    pub verbose: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-W`, `-Ws`.
    pub master_worker: bool,
    /// `-Ws`.
    pub notify: bool,
    /// `-S`.
    pub master_sockets: Vec<String>,
    /// `-p`.
    pub pidfile: Option<PathBuf>,
    /// `-n`.
    pub maxconn: Option<u32>,
    /// `-N`.
    pub proxy_maxconn: Option<u32>,
    /// `-L`.
    pub peer: Option<String>,
    /// `-C`.
    pub directory: Option<PathBuf>,
    /// `-sf`.
    pub finish: Vec<u32>,
    /// `-st`.
    pub terminate: Vec<u32>,
    /// `-dD`.
    pub diagnose: bool,
    /// `-dW`.
    pub zero_warning: bool,
    /// `-dV`.
    pub no_server_verify: bool,
    /// `--listen`.
    pub listen: Vec<String>,
    /// `--to`.
    pub to: Vec<String>,
    /// `--crt`.
    pub crt: Vec<String>,
    /// `--workers`.
    pub workers: Option<u32>,
}

/// Options that take no argument and have no meaning here.
const IGNORED: &[&str] =
    &["-de", "-dk", "-dp", "-ds", "-dv", "-dF", "-dG", "-dI", "-dR", "-dS", "-dZ", "-dr", "-4", "-6"];

/// Options of this kind with something attached.
const IGNORED_WITH_TAIL: &[&str] = &["-dM", "-dt", "-dT", "-dC", "-dA"];

/// Cuts the words of the command line.
pub fn parse(arguments: Vec<OsString>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = Arguments { words: arguments, next: 0 };
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            options.files.extend(words.rest().map(PathBuf::from));
            break;
        }
        match text.strip_prefix("--") {
            Some(long) => self::long(long, &mut words, &mut options)?,
            None => short(&text, &mut words, &mut options)?,
        }
    }
    if options.ask == Ask::Serve && options.check && options.daemon {
        options.daemon = false;
    }
    Ok(options)
}

struct Arguments {
    words: Vec<OsString>,
    next: usize,
}

impl Arguments {
    fn next(&mut self) -> Option<OsString> {
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word
    }

    fn rest(&mut self) -> impl Iterator<Item = OsString> + '_ {
        let from = self.next.min(self.words.len());
        self.next = self.words.len();
        self.words[from..].iter().cloned()
    }

    fn value(&mut self, option: &str, what: &str) -> Result<OsString, String> {
        self.next().ok_or_else(|| format!("{option} needs {what}"))
    }

    fn text(&mut self, option: &str, what: &str) -> Result<String, String> {
        self.value(option, what)?.into_string().map_err(|_| format!("{option}: {what} must be UTF-8 text"))
    }

    fn number(&mut self, option: &str) -> Result<u32, String> {
        let text = self.text(option, "a number")?;
        text.parse().map_err(|_| format!("{option} needs a number, found \"{text}\""))
    }

    /// PIDs up to the next option. None at all is what an empty `$(pidof ..)` gives.
    fn pids(&mut self) -> Vec<u32> {
        let mut found = Vec::new();
        while let Some(word) = self.words.get(self.next) {
            let text = word.to_string_lossy();
            let numbers: Result<Vec<u32>, _> = text.split_whitespace().map(str::parse).collect();
            let Ok(numbers) = numbers else { break };
            found.extend(numbers.into_iter().filter(|pid| *pid > 0));
            self.next += 1;
        }
        found
    }
}

fn short(text: &str, words: &mut Arguments, options: &mut Options) -> Result<(), String> {
    match text {
        "-f" => options.files.push(words.value("-f", "a file or directory")?.into()),
        "-c" => options.check = true,
        "-cc" => options.ask = Ask::Condition(words.text("-cc", "a condition")?),
        "-d" => (options.debug, options.foreground) = (true, true),
        "-db" => options.foreground = true,
        "-D" => options.daemon = true,
        "-V" => (options.verbose, options.quiet) = (true, false),
        "-q" => (options.quiet, options.verbose) = (true, false),
        "-v" => options.ask = Ask::Version,
        "-vv" => options.ask = Ask::Details,
        "-h" => options.ask = Ask::Help,
        "-W" => options.master_worker = true,
        "-Ws" => (options.master_worker, options.notify) = (true, true),
        "-S" => options.master_sockets.push(words.text("-S", "an address")?),
        "-p" => options.pidfile = Some(words.value("-p", "a file")?.into()),
        "-n" => options.maxconn = Some(words.number("-n")?),
        "-N" => options.proxy_maxconn = Some(words.number("-N")?),
        "-m" => drop(words.number("-m")?),
        "-L" => options.peer = Some(words.text("-L", "a name")?),
        "-C" => options.directory = Some(words.value("-C", "a directory")?.into()),
        "-x" => drop(words.value("-x", "a socket")?),
        "-sf" => options.finish.extend(words.pids()),
        "-st" => options.terminate.extend(words.pids()),
        "-dD" => options.diagnose = true,
        "-dW" => options.zero_warning = true,
        "-dV" => options.no_server_verify = true,
        "-dL" => options.ask = Ask::Libraries,
        keywords if keywords.starts_with("-dK") => options.ask = Ask::Keywords(keywords[3..].to_string()),
        ignored if IGNORED.contains(&ignored) => {}
        ignored if IGNORED_WITH_TAIL.iter().any(|option| ignored.starts_with(option)) => {}
        _ if text.starts_with('-') => return Err(format!("unknown option \"{text}\"")),
        _ => return Err(format!("unexpected word \"{text}\"; put -f before a file")),
    }
    Ok(())
}

fn long(text: &str, words: &mut Arguments, options: &mut Options) -> Result<(), String> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (text, None),
    };
    let option = format!("--{name}");
    let mut value = |what: &str| match &attached {
        Some(value) => Ok(value.clone()),
        None => words.text(&option, what),
    };
    match name {
        "help" => options.ask = Ask::Help,
        "version" => options.ask = Ask::Version,
        "listen" => options.listen.push(value("an address, like :8443")?),
        "to" => options.to.push(value("an address, like 127.0.0.1:8080")?),
        "crt" => options.crt.push(value("a file or directory")?),
        "workers" => {
            let text = value("a number")?;
            let count = text.parse().ok().filter(|count| (1..=1024).contains(count));
            options.workers =
                Some(count.ok_or_else(|| format!("--workers needs a number from 1 on, found \"{text}\""))?);
        }
        _ => {
            let known = ["help", "version", "listen", "to", "crt", "workers"];
            let near = lighterman::lang::suggest::nearest(name, known);
            let near = near.map_or(String::new(), |near| format!(", did you mean --{near}?"));
            return Err(format!("unknown option \"{option}\"{near}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_classical_options() {
        let options = parsed("-W -S /run/m.sock,level,admin -D -p x.pid -f a.cfg -f d -n 5 -N 6 -m 100 -L me -q -sf 12 13 -dMabc -dr -- b.cfg -c").unwrap();
        assert_eq!(options.files, ["a.cfg", "d", "b.cfg", "-c"].map(PathBuf::from));
        assert!(
            options.master_worker && options.daemon && options.quiet && !options.check && !options.notify
        );
        assert_eq!((options.maxconn, options.proxy_maxconn), (Some(5), Some(6)));
        assert_eq!((options.finish, options.terminate), (vec![12, 13], vec![]));
        assert_eq!(options.pidfile, Some("x.pid".into()));
        let options = parsed("-Ws -q -V -st -c -dK").unwrap();
        assert!(
            options.notify
                && options.verbose
                && !options.quiet
                && options.check
                && options.terminate.is_empty()
        );
        assert_eq!(options.ask, Ask::Keywords(String::new()));
    }

    #[test]
    fn our_own_options() {
        let options = parsed("--listen :8443 --to=127.0.0.1:80 --workers 2").unwrap();
        assert_eq!(
            (options.listen, options.to, options.workers),
            (vec![":8443".into()], vec!["127.0.0.1:80".into()], Some(2))
        );
        assert_eq!(parsed("--help").unwrap().ask, Ask::Help);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (line, word) in [
            ("-f", "-f"),
            ("-n x", "\"x\""),
            ("-Q", "-Q"),
            ("--nope", "--nope"),
            ("a.cfg", "a.cfg"),
            ("--workers 0", "--workers"),
        ] {
            assert!(parsed(line).unwrap_err().contains(word), "{line}");
        }
    }
}

//! Cases as they are written:
//!
//! ```text
//! ### the name of the case
//! http-request set-header X-A %[path,lower]      lines of the section `listen fe`
//! = path,upper                                   shown to the backend in a field of its own
//! ! why the two programs differ here
//! < HTTP/1.1 302 Found                           what the server answers (otherwise a plain 200)
//! < Location: /there
//! > GET /x                                       a request on a new connection; `HTTP/1.1` and a
//! > Cookie: a=b                                  `Host: test` are added when missing
//! >> GET /y                                      a request on the same connection
//! ```
//!
//! A line `%%` says that the lines are whole sections: `${fe}` is the listener, `SERVER` and `SERVER2` are addresses of two
//! servers, `NOBODY` is one where nobody listens. More lines there are:
//!
//! ```text
//! h| http-request deny                           only in haproxy's configuration
//! l| block                                       only in ours
//! @hosts.map a.test one                          a line of the file that is called `FILES/hosts.map` in the configuration
//! | \x03\x00\r\n                                 bytes on a new connection; what comes back is read to the end
//! || more                                        more bytes of the same client, a moment later
//! << words                                       the server does not speak HTTP: it says this after the first bytes
//! <<< words                                      the same, at once
//! $ show table fe                                a command on the socket; its answer is compared too
//! ~ 100                                          so many milliseconds pass
//! & 300                                          how long clients wait, milliseconds
//! ? 5 11                                         words of each log line that are not compared, counted from 0
//! ```
//!
//! `{date-100}` in a field of a request is the date of a cookie 100 seconds ago.

use std::time::Duration;

/// One configuration, and what is sent through it.
#[derive(Default)]
pub struct Case {
    pub name: String,
    lines: Vec<(Whose, String)>,
    /// The lines are whole sections.
    pub whole: bool,
    /// Why the programs differ.
    pub differs: Option<String>,
    /// What the server answers.
    pub answer: Option<String>,
    /// What a server says that does not speak HTTP, and whether it begins.
    pub raw: Option<(Vec<u8>, bool)>,
    /// How long clients wait, where that is not the usual time.
    pub patience: Option<Duration>,
    /// Words of log lines that are not compared.
    pub unlike: Vec<usize>,
    /// Names and texts.
    pub files: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// Who gets a line of the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Both,
    Oracle,
    Ours,
}

/// What happens, one after the other.
pub enum Step {
    /// A request; `same`: on the connection of the one before.
    Http {
        bytes: String,
        same: bool,
    },
    /// Bytes, one part after the other.
    Bytes(Vec<Vec<u8>>),
    /// A command.
    Ask(String),
    Pause(Duration),
}

impl Case {
    /// The lines of one program.
    pub fn lines(&self, oracle: bool) -> Vec<&str> {
        let other = if oracle { Whose::Ours } else { Whose::Oracle };
        self.lines.iter().filter(|(whose, _)| *whose != other).map(|(_, line)| line.as_str()).collect()
    }

    /// How many requests and connections there are.
    pub fn requests(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Http { .. } | Step::Bytes(_))).count()
    }

    fn file_line(&mut self, line: &str) {
        let (name, text) = line.split_once(' ').unwrap_or((line, ""));
        match self.files.iter_mut().find(|(known, _)| known == name) {
            Some((_, whole)) => whole.push_str(&format!("{text}\n")),
            None => self.files.push((name.into(), format!("{text}\n"))),
        }
    }
}

/// The cases of a file.
pub fn parse(text: &str) -> Vec<Case> {
    let blocks = text.split("### ").skip(1);
    blocks.map(block).collect()
}

fn block(text: &str) -> Case {
    let mut lines = text.lines();
    let name = lines.next().unwrap_or_default().trim().to_string();
    let mut case = Case { name, ..Case::default() };
    let mut fields = 0;
    let mut open: Option<(bool, Vec<&str>)> = None;
    for line in lines {
        if let (Some(more), Some((_, lines))) = (line.strip_prefix("> "), &mut open) {
            if !is_start(more) {
                lines.push(more);
                continue;
            }
        }
        if let Some((same, lines)) = open.take() {
            case.steps.push(Step::Http { bytes: request(&lines), same });
        }
        if let Some(expr) = line.strip_prefix("= ") {
            fields += 1;
            case.lines.push((Whose::Both, format!("http-request set-header X-{fields} '<%[{expr}]>'")));
        } else if let Some(start) = line.strip_prefix(">> ") {
            open = Some((true, vec![start]));
        } else if let Some(start) = line.strip_prefix("> ") {
            open = Some((false, vec![start]));
        } else if !step(&mut case, line) {
            setting(&mut case, line);
        }
    }
    if let Some((same, lines)) = open.take() {
        case.steps.push(Step::Http { bytes: request(&lines), same });
    }
    assert!(!case.steps.is_empty(), "{}: nothing is sent", case.name);
    case
}

/// A line that is a step of its own, or goes on with one.
fn step(case: &mut Case, line: &str) -> bool {
    if let Some(bytes) = line.strip_prefix("|| ") {
        let Some(Step::Bytes(parts)) = case.steps.last_mut() else { panic!("{}: {line}", case.name) };
        parts.push(raw(bytes));
    } else if let Some(bytes) = line.strip_prefix("| ") {
        case.steps.push(Step::Bytes(vec![raw(bytes)]));
    } else if let Some(command) = line.strip_prefix("$ ") {
        case.steps.push(Step::Ask(command.into()));
    } else if let Some(time) = line.strip_prefix("~ ") {
        case.steps.push(Step::Pause(Duration::from_millis(time.trim().parse().unwrap())));
    } else {
        return false;
    }
    true
}

fn setting(case: &mut Case, line: &str) {
    if let Some(reason) = line.strip_prefix("! ") {
        case.differs = Some(reason.into());
    } else if let Some(time) = line.strip_prefix("& ") {
        case.patience = Some(Duration::from_millis(time.parse().unwrap()));
    } else if let Some(words) = line.strip_prefix("? ") {
        case.unlike = words.split(' ').map(|word| word.parse().unwrap()).collect();
    } else if let Some(answer) = line.strip_prefix("< ") {
        let all = case.answer.get_or_insert_default();
        all.push_str(answer);
        all.push_str("\r\n");
    } else if let Some(words) = line.strip_prefix("<<< ") {
        case.raw = Some((raw(words), true));
    } else if let Some(words) = line.strip_prefix("<< ") {
        case.raw = Some((raw(words), false));
    } else if let Some(line) = line.strip_prefix('@') {
        case.file_line(line);
    } else if let Some(line) = line.strip_prefix("h| ") {
        case.lines.push((Whose::Oracle, line.into()));
    } else if let Some(line) = line.strip_prefix("l| ") {
        case.lines.push((Whose::Ours, line.into()));
    } else if line == "%%" {
        case.whole = true;
    } else if !line.trim().is_empty() && !line.starts_with('#') {
        case.lines.push((Whose::Both, line.into()));
    }
}

/// Bytes with `\r`, `\n`, `\t` and `\xHH` in them.
fn raw(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    while let Some(part) = parts.next() {
        let (bytes, rest) = match part.as_bytes().first() {
            Some(b'r') => (b'\r', &part[1..]),
            Some(b'n') => (b'\n', &part[1..]),
            Some(b't') => (b'\t', &part[1..]),
            Some(b'x') => (u8::from_str_radix(&part[1..3], 16).unwrap(), &part[3..]),
            _ => (b'\\', parts.next().unwrap_or_default()),
        };
        out.push(bytes);
        out.extend_from_slice(rest.as_bytes());
    }
    out
}

/// Request lines begin with a method.
fn is_start(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or_default();
    first.len() >= 3 && first.bytes().all(|b| b.is_ascii_uppercase()) && line.contains(' ')
}

/// The bytes of a request: a line of a dot ends the fields, what follows is the body.
fn request(lines: &[&str]) -> String {
    let mut lines = lines.iter();
    let start = lines.next().copied().unwrap_or_default();
    let fields: Vec<&str> = lines.by_ref().take_while(|l| **l != ".").copied().collect();
    let body: Vec<&str> = lines.copied().collect();
    let version = if start.contains(" HTTP/") { "" } else { " HTTP/1.1" };
    let has_host = fields.iter().any(|f| f.to_ascii_lowercase().starts_with("host:"));
    let host = if has_host || start.contains(" HTTP/1.0") { "" } else { "Host: test\r\n" };
    let mut bytes = format!("{start}{version}\r\n{host}");
    for field in fields {
        bytes.push_str(&unescaped(field));
        bytes.push_str("\r\n");
    }
    let body = body.join("\r\n");
    if !body.is_empty() && !bytes.to_ascii_lowercase().contains("content-length") {
        bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    bytes.push_str("\r\n");
    bytes.push_str(&body);
    bytes
}

/// `\t` for a tab.
fn unescaped(field: &str) -> String {
    field.replace("\\t", "\t")
}

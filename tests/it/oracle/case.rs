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
//! A line `%%` says that the lines are whole sections: `${fe}` is the listener, `SERVER` the server's address.

/// One configuration, and what is sent through it.
#[derive(Default)]
pub struct Case {
    pub name: String,
    pub lines: Vec<String>,
    /// The lines are whole sections.
    pub whole: bool,
    /// Why the programs differ.
    pub differs: Option<String>,
    /// What the server answers.
    pub answer: Option<String>,
    pub requests: Vec<Request>,
}

/// Bytes to send.
pub struct Request {
    pub bytes: String,
    /// On the connection of the request before.
    pub same: bool,
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
    let mut sent: Vec<(bool, Vec<&str>)> = Vec::new();
    for line in lines {
        if let Some(reason) = line.strip_prefix("! ") {
            case.differs = Some(reason.into());
        } else if let Some(expr) = line.strip_prefix("= ") {
            fields += 1;
            case.lines.push(format!("http-request set-header X-{fields} '<%[{expr}]>'"));
        } else if let Some(answer) = line.strip_prefix("< ") {
            let all = case.answer.get_or_insert_default();
            all.push_str(answer);
            all.push_str("\r\n");
        } else if let Some(line) = line.strip_prefix(">> ") {
            sent.push((true, vec![line]));
        } else if let Some(line) = line.strip_prefix("> ") {
            match sent.last_mut() {
                Some((_, lines)) if !is_start(line) => lines.push(line),
                _ => sent.push((false, vec![line])),
            }
        } else if line == "%%" {
            case.whole = true;
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            case.lines.push(line.to_string());
        }
    }
    case.requests = sent.iter().map(|(same, lines)| request(lines, *same)).collect();
    assert!(!case.requests.is_empty(), "{}: nothing is sent", case.name);
    case
}

/// Request lines begin with a method.
fn is_start(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or_default();
    first.len() >= 3 && first.bytes().all(|b| b.is_ascii_uppercase()) && line.contains(' ')
}

/// The bytes of a request: an empty line ends the fields, what follows is the body.
fn request(lines: &[&str], same: bool) -> Request {
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
    Request { bytes, same }
}

/// `\t` for a tab.
fn unescaped(field: &str) -> String {
    field.replace("\\t", "\t")
}

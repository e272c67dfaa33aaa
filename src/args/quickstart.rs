//! TLS offloading without a file: the configuration that `--listen` and `--to` stand for.

use std::fmt::Write;

use super::options::Options;

/// The text, when the command line asks for it.
pub fn text(options: &Options) -> Result<Option<String>, String> {
    if options.listen.is_empty() && options.to.is_empty() {
        return match (options.crt.is_empty(), options.workers) {
            (false, _) => Err("--crt goes with --listen and --to".to_string()),
            _ => Ok(None),
        };
    }
    if !options.files.is_empty() {
        return Err(
            "--listen and --to take the place of a file: leave -f out, or write them into it".to_string()
        );
    }
    if options.to.is_empty() {
        return Err("--listen needs --to: where the server behind is, like --to 127.0.0.1:8080".to_string());
    }
    if options.listen.is_empty() {
        return Err("--to needs --listen: where clients connect, like --listen :8443".to_string());
    }
    let mut text = String::new();
    if let Some(workers) = options.workers {
        let _ = write!(text, "global\n    nbproc {workers}\n\n");
    }
    text.push_str(DEFAULTS);
    text.push_str("\nfrontend tls\n");
    let certificate = match options.crt.as_slice() {
        [] => "generate-self-signed".to_string(),
        paths => paths.iter().map(|path| format!("crt {}", quoted(path))).collect::<Vec<_>>().join(" "),
    };
    for listen in &options.listen {
        let _ = writeln!(text, "    bind {} ssl {certificate} alpn http/1.1", quoted(listen));
    }
    text.push_str("    option forwardfor\n    default_backend origin\n\nbackend origin\n");
    for (at, to) in options.to.iter().enumerate() {
        let _ = writeln!(text, "    server s{} {}", at + 1, quoted(to));
    }
    Ok(Some(text))
}

/// What is printed when it starts.
pub fn greeting(text: &str) -> String {
    format!("# The same as a file (run it with -f):\n{text}")
}

/// A word as the configuration language wants it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@*[],+%=".contains(c);
    match text.chars().all(plain) && !text.is_empty() {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

const DEFAULTS: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout http-request 15s
    timeout http-keep-alive 30s
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_a_whole_configuration() {
        let options = Options {
            listen: vec![":8443".into()],
            to: vec!["127.0.0.1:8080".into(), "a b".into()],
            workers: Some(2),
            ..Options::default()
        };
        let text = text(&options).unwrap().unwrap();
        for line in ["nbproc 2", "bind :8443 ssl generate-self-signed alpn http/1.1", "server s2 'a b'"] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let options = |listen: &[&str], to: &[&str], crt: &[&str]| Options {
            listen: listen.iter().map(|t| t.to_string()).collect(),
            to: to.iter().map(|t| t.to_string()).collect(),
            crt: crt.iter().map(|t| t.to_string()).collect(),
            ..Options::default()
        };
        assert_eq!(text(&options(&[], &[], &[])), Ok(None));
        for (asked, word) in [
            (options(&[":1"], &[], &[]), "--to"),
            (options(&[], &[":1"], &[]), "--listen"),
            (options(&[], &[], &["x"]), "--crt"),
        ] {
            assert!(text(&asked).unwrap_err().contains(word));
        }
    }
}

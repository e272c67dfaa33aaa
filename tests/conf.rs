//! Configurations that are right load and become the plan of their `.plan` file; those that are wrong say exactly
//! what their `.diag` file says. With LIGHTERMAN_BLESS=conf in the environment these files are written anew.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use lighterman::conf::{self, Setup};
use lighterman::lang::diag::{Diags, Paint};
use lighterman::lang::span::SourceMap;
use lighterman::plan::crt::CrtSource;
use lighterman::plan::Plan;

fn files(dir: &str, suffix: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap_or_else(|err| panic!("{}: {err}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {suffix} files in {}", dir.display());
    found
}

/// The messages of one file as the user sees them, and its plan when it loads. Paths are relative to the file.
fn messages(path: &Path) -> (Option<Plan>, String) {
    let mut sources = SourceMap::new();
    let name = path.file_name().unwrap().to_string_lossy();
    sources.add(name, fs::read(path).unwrap());
    let mut env = conf::env::Env::empty();
    env.set("HERE", &path.parent().unwrap().to_string_lossy());
    let setup = Setup { env, resolve: conf::addr::no_resolver, program: "test".into(), ..Setup::default() };
    match conf::load_with(&sources, &setup) {
        Err(diags) => (None, diags.render(&sources, Paint::Plain)),
        Ok((plan, list)) => {
            let mut diags = Diags::new();
            list.into_iter().for_each(|diag| diags.push(diag));
            (Some(plan), diags.render(&sources, Paint::Plain))
        }
    }
}

fn compare(path: &Path, suffix: &str, text: &str) -> Option<String> {
    let golden = path.with_extension(suffix);
    if std::env::var("LIGHTERMAN_BLESS").is_ok_and(|what| what == "conf" || what == "all") {
        if text.is_empty() {
            let _ = fs::remove_file(&golden);
        } else {
            fs::write(&golden, text).unwrap();
        }
        return None;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (expected != text).then(|| format!("{}\n--- expected\n{expected}--- found\n{text}", path.display()))
}

/// What a plan holds, one object a line: enough to see that lines, defaults and numbers had their effect.
fn dump(plan: &Plan) -> String {
    let mut out = String::new();
    let global = &plan.global;
    let _ = writeln!(
        out,
        "global nbproc={:?} maxconn={} daemon={} cli={} logs={} bufsize={} lifetime={}",
        global.nbproc,
        global.maxconn,
        global.daemon,
        global.cli.len(),
        global.logs.len(),
        global.tune.bufsize,
        global.tune.ssl_lifetime
    );
    for proxy in &plan.proxies {
        let set = &proxy.timeouts;
        let _ = writeln!(
            out,
            "{} #{} {:?} front={} back={} to={:?} client={:?} connect={:?} server={:?} {:?} {} logs={} null={} {}",
            proxy.name,
            proxy.puid,
            proxy.mode,
            proxy.is_frontend,
            proxy.is_backend,
            proxy.default_backend.map(|id| plan.proxy(id).name.as_str()),
            set.client,
            set.connect,
            set.server,
            proxy.http_connection,
            proxy.scheme.name(),
            proxy.logs.len(),
            proxy.dont_log_null,
            proxy.at
        );
        for listener in proxy.listeners.iter().map(|id| plan.listener(*id)) {
            let _ = writeln!(out, "  bind {} {:?} {:?}", listener.label(), listener.addr, listener.unix_mode);
            if let Some(tls) = &listener.tls {
                let _ = writeln!(out, "    tls crt={} {:?} {:?}", tls.crt.len(), tls.verify, tls.common);
                let lists = tls.crt.iter().filter_map(|source| match source {
                    CrtSource::List(list) => Some(list),
                    _ => None,
                });
                for line in lists.flat_map(|list| list.lines()) {
                    let filters: Vec<_> = line.filters().collect();
                    let _ = writeln!(
                        out,
                        "      {} {:?} #{} {filters:?}",
                        line.number,
                        line.path(),
                        line.options
                    );
                }
                for variant in &tls.variants {
                    let _ = writeln!(out, "      # {:?} {:?}", variant.verify, variant.common);
                }
            }
        }
        for server in proxy.servers.iter().map(|id| plan.server(*id)) {
            let _ = writeln!(
                out,
                "  server {} #{} {:?} weight={} maxconn={} backup={} proxy={:?}",
                server.name,
                server.puid,
                server.addr,
                server.weight,
                server.maxconn,
                server.backup,
                server.send_proxy.as_ref().map(|how| how.version)
            );
            if let Some(tls) = &server.tls {
                let _ =
                    writeln!(out, "    tls {:?} reuse={} {:?}", tls.verify, tls.reuse_sessions, tls.common);
            }
        }
    }
    out
}

#[test]
fn good_configurations_load() {
    let mut wrong = Vec::new();
    for path in files("tests/conf/good", ".cfg") {
        let (plan, text) = messages(&path);
        let Some(plan) = plan else {
            wrong.push(format!("{} does not load:\n{text}", path.display()));
            continue;
        };
        wrong.extend(compare(&path, "diag", &text));
        wrong.extend(compare(&path, "plan", &dump(&plan)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_configurations_say_what_is_wrong() {
    let mut wrong = Vec::new();
    for path in files("tests/conf/bad", ".cfg") {
        let (plan, text) = messages(&path);
        if plan.is_some() {
            wrong.push(format!("{} loads", path.display()));
            continue;
        }
        wrong.extend(compare(&path, "diag", &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The configurations of the bench, filled in.
#[test]
fn configurations_of_the_bench_load() {
    let fill = [
        ("MAXCONN", "4000"),
        ("WORKERS", "1"),
        ("CIPHERSUITE13", "TLS_AES_128_GCM_SHA256"),
        ("CIPHER12", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("CURVE", "X25519"),
        ("EXTRA_GLOBAL", "tune.ssl.cachesize 20000"),
        ("BIND_TLS", "ssl crt /tmp/site.pem"),
        ("CERT_DIR", "/tmp/certs"),
        ("CONNECTION_OPTION", "option httpclose"),
        ("SPLICE_OPTION", "option splice-auto"),
        ("PORT", "10443"),
        ("BACKEND_PORT", "10080"),
    ];
    for path in files("contrib/bench/conf/haproxy", ".cfg") {
        let text = fs::read_to_string(&path).unwrap();
        let text = fill.iter().fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value));
        let mut sources = SourceMap::new();
        sources.add(path.display().to_string(), text);
        if let Err(diags) = conf::load(&sources) {
            panic!("{}", diags.render(&sources, Paint::Plain));
        }
    }
}

/// What people start from: nothing to complain about.
#[test]
fn examples_load_without_a_word() {
    for path in files("contrib/examples", ".cfg") {
        let (plan, text) = messages(&path);
        assert!(plan.is_some() && text.is_empty(), "{}: {text}", path.display());
    }
}

/// Every file cut short at every line, and with single bytes changed: errors, never a panic.
#[test]
fn damaged_configurations_are_survived() {
    for path in files("tests/conf/good", ".cfg") {
        let text = fs::read(&path).unwrap();
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            conf::fuzz_conf_text(&text[..at]);
        }
        for at in (0..text.len()).step_by(7) {
            let mut bytes = text.clone();
            bytes[at] = bytes[at].wrapping_add(1 + (at % 200) as u8);
            conf::fuzz_conf_text(&bytes);
        }
    }
}

/// The words that configurations contain most, each in the smallest configuration of its heading.
#[test]
fn common_words_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf/words.txt");
    let text = fs::read_to_string(&path).unwrap();
    let empty = path.with_extension("empty").display().to_string();
    let (mut heading, mut count, mut wrong) = ("", 0, Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            heading = name.trim_end_matches(']');
            continue;
        }
        // nothing in it, so it is a page, a map, a list
        let line = &line.replace("/dev/null", &empty);
        let global = if heading == "global" { line } else { "" };
        let (mode, line) = match heading {
            "global" => ("http", String::new()),
            "http" | "http rule" => ("http", line.clone()),
            "tcp rule" => ("tcp", line.clone()),
            "request" | "convert" => ("http", format!("http-request set-var(txn.y) {line}")),
            "answer" => ("http", format!("http-response set-var(txn.y) {line}")),
            "bytes" => ("tcp", format!("tcp-request content set-var(txn.y) {line}")),
            "condition" => ("http", format!("acl x {line}\n    http-request deny if x {{ {line} }}")),
            other => panic!("what is {other}?"),
        };
        // slots of captures, which tcp proxies have as well
        let slots = if mode == "http" {
            "declare capture request len 9\n    declare capture response len 9"
        } else {
            ""
        };
        let config = format!(
            "global\n    {global}\nuserlist people\n    user joe insecure-password x\nhttp-errors pages\n    \
             errorfile 503 {empty}\nlisten fe\n    mode {mode}\n    timeout client 1s\n    timeout server 1s\n    \
             timeout connect 1s\n    bind 127.0.0.1:1\n    {slots}\n    acl known always_true\n    {line}\n    \
             server s1 127.0.0.1:1 cookie c\nbackend be\n    mode {mode}\n    timeout server 1s\n    \
             timeout connect 1s\n    server s1 127.0.0.1:1\nbackend sticky\n    stick-table type ip size 1k expire 1m store \
             gpc0,gpc0_rate(1s),gpt0,conn_cnt,conn_cur,conn_rate(1s),sess_cnt,sess_rate(1s),http_req_cnt,\
             http_req_rate(1s),http_err_cnt,http_err_rate(1s),http_fail_cnt,http_fail_rate(1s),bytes_in_cnt,\
             bytes_out_cnt,bytes_in_rate(1s),bytes_out_rate(1s)\n"
        );
        let mut sources = SourceMap::new();
        sources.add("words", config);
        count += 1;
        if let Err(diags) = conf::load(&sources) {
            let text = diags.render(&sources, Paint::Plain);
            wrong.push(format!("[{heading}] {line}: {}", text.lines().next().unwrap_or_default()));
        }
    }
    assert!(count > 500 && wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

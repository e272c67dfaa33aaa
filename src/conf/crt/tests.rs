//! Certificates of `bind` lines, from text to plan.

use super::*;
use crate::conf::{addr, env::Env, load_with, Setup};
use crate::lang::span::SourceMap;
use crate::plan::Plan;

/// A directory that goes away with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str, files: &[(&str, &str)]) -> Dir {
        let dir = std::env::temp_dir().join(format!("lighterman-crt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (file, text) in files {
            std::fs::write(dir.join(file), text).unwrap();
        }
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(text: &str, dir: &Dir) -> Result<(Plan, Vec<String>), Vec<String>> {
    let mut sources = SourceMap::new();
    sources.add("t.cfg", text.replace("DIR", &dir.0.display().to_string()));
    let setup = Setup { env: Env::empty(), resolve: addr::no_resolver, ..Setup::default() };
    let base = format!("{}/", dir.0.display());
    let said = |diags: &mut dyn Iterator<Item = &Diag>| -> Vec<String> {
        diags
            .filter(|diag| diag.level >= Level::Warning)
            .map(|diag| {
                let place = diag.quote.as_ref().map_or(String::new(), |quote| {
                    format!("{}:{}:{}: ", quote.file, quote.at.line, quote.at.col)
                });
                let help = diag.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
                format!("{place}{}{help}", diag.what).replace(&base, "")
            })
            .collect()
    };
    match load_with(&sources, &setup) {
        Ok((plan, diags)) => Ok((plan, said(&mut diags.iter()))),
        Err(diags) => Err(said(&mut diags.iter())),
    }
}

const TAIL: &str = " timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

fn frontend(bind: &str) -> String {
    format!("listen l\n mode tcp\n bind :1 ssl {bind}\n{TAIL} server s 127.0.0.1:1\n")
}

#[test]
fn sources_keep_their_order() {
    let dir = Dir::new("order", &[("l.txt", "b.pem [verify none] x.test\n/c.pem\n")]);
    let text = format!(
        "global\n crt-base /certs\n{}",
        frontend("crt a.pem crt-list DIR/l.txt crt /d default-crt z.pem")
    );
    let (plan, said) = read(&text, &dir).unwrap();
    assert_eq!(said, Vec::<String>::new());
    let tls = plan.listeners[0].tls.as_deref().unwrap();
    let shown: Vec<String> = tls
        .crt
        .iter()
        .flat_map(|source| match source {
            CrtSource::List(list) => list.lines().map(|l| l.path().display().to_string()).collect(),
            other => vec![other.path().display().to_string()],
        })
        .collect();
    assert_eq!(shown, ["/certs/a.pem", "/certs/b.pem", "/c.pem", "/d"]);
    assert_eq!(tls.default_crt, [CrtSource::Path("/certs/z.pem".into())]);
    // "verify none" changes nothing, so it is no set of its own.
    assert_eq!(tls.variants.len(), 0);
}

#[test]
fn options_of_lines_replace_those_of_the_bind_line() {
    let list =
        "a.pem\nb.pem [alpn http/1.1]\nc.pem [ssl-min-ver TLSv1.3] c.test\nd.pem [alpn http/1.1] d.test\n\
        e.pem [ssl-max-ver TLSv1.2 ciphers ECDHE-RSA-AES128-GCM-SHA256 curves P-256]\n\
        f.pem [verify required ca-file ca.pem crl-file crl.pem]\ng.pem [no-alpn no-tls-tickets]\n";
    let dir = Dir::new("options", &[("l.txt", list)]);
    let bind = "crt-list DIR/l.txt alpn http/1.0 ssl-min-ver TLSv1.1 ca-file own.pem verify optional";
    let (plan, _) = read(&frontend(bind), &dir).unwrap();
    let tls = plan.listeners[0].tls.as_deref().unwrap();
    let CrtSource::List(list) = &tls.crt[0] else { panic!() };
    assert_eq!(list.lines().map(|line| line.options).collect::<Vec<_>>(), [0, 1, 2, 1, 3, 4, 5]);
    let bare = BindTls { crt: Vec::new(), variants: Vec::new(), ..tls.clone() };
    let same = |change: fn(&mut BindTls)| {
        let mut changed = bare.clone();
        change(&mut changed);
        changed
    };
    use crate::plan::tls::{CaSource, TlsVersion, Verify};
    assert_eq!(
        tls.variants,
        [
            same(|tls| tls.common.alpn = vec!["http/1.1".into()]),
            same(|tls| tls.common.min = TlsVersion::V13),
            same(|tls| {
                tls.common.max = TlsVersion::V12;
                tls.common.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".into());
                tls.common.curves = Some("P-256".into());
            }),
            same(|tls| {
                tls.verify = Verify::Required;
                tls.ca_file = Some(CaSource::Path("ca.pem".into()));
                tls.crl_file = Some("crl.pem".into());
            }),
            same(|tls| {
                tls.common.alpn.clear();
                tls.common.tickets = false;
            }),
        ]
    );
}

#[test]
fn bad_lists_name_the_word() {
    let rows: &[(&str, &str)] = &[
        ("a.pem [alpm x]\n", "l.txt:1:8: unknown option \"alpm\" of \"crt-list\" (did you mean \"alpn\"?)"),
        (
            "\na.pem [verify maybe]\n",
            "l.txt:2:15: \"verify\": unknown value \"maybe\", expected \"none\", \"optional\" or \"required\"",
        ),
        (
            "a.pem [verify required]\n",
            "l.txt:1:1: \"verify\" needs the authorities to check with \
             (add \"ca-file <file>\", or \"ca-file @system-ca\")",
        ),
        (
            "a.pem [ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.2]\n",
            "l.txt:1:1: no TLS version is left by ssl-min-ver, ssl-max-ver and no-tlsv1x",
        ),
        ("a.pem [alpn]\n", "l.txt:1:12: \"alpn\": missing protocols (like http/1.1) after \"alpn\""),
        ("a.pem [ocsp-update yes]\n", "l.txt:1:20: \"ocsp-update\": unknown value \"yes\", expected \"off\" or \"on\""),
        ("a.pem [strict-sni]\n", "l.txt:1:8: \"strict-sni\" is not allowed in \"crt-list\" (it belongs in \"bind\", \"stats socket\" or \"ssl-default-bind-options\")"),
        ("a.pem [crt x]\n", "l.txt:1:8: \"crt\" is not allowed in \"crt-list\" (it belongs in \"bind\" or \"stats socket\")"),
        ("a.pem [alpn http/1.1\n", "l.txt:1:7: \"[\" without \"]\" behind it"),
        (
            "a.pem b\u{fc}cher.test\n",
            "l.txt:1:7: \"b\u{fc}cher.test\" is no name: names are ASCII; write an international name in its xn-- form",
        ),
        ("@web/x\n", "l.txt:1:1: there is no crt-store \"web\""),
        ("a.pem", "l.txt:1:6: the last line has no line end, the file may have been cut short (end the file with a line feed)"),
    ];
    for (list, expected) in rows {
        let dir = Dir::new("bad", &[("l.txt", list)]);
        let Err(said) = read(&frontend("crt-list DIR/l.txt"), &dir) else { panic!("{list}") };
        assert_eq!(said, [*expected], "{list}");
    }
    let dir = Dir::new("bad", &[]);
    let said = read(&frontend("crt-list DIR/none.txt"), &dir).err().unwrap();
    assert_eq!(said, ["\"crt-list\": could not read \"none.txt\": there is no such file"]);
    let said = read(&frontend("crt-list DIR"), &dir).err().unwrap();
    assert!(said[0].ends_with("it is not a file"), "{said:?}");
}

#[test]
fn filters_that_cannot_match_are_warned_about() {
    let dir = Dir::new("never", &[("l.txt", "a.pem *foo.test\nb.pem a.*.test B.test.\n")]);
    let (plan, said) = read(&frontend("crt-list DIR/l.txt"), &dir).unwrap();
    assert_eq!(
        said,
        [
            "l.txt:1:7: \"*foo.test\" matches no name: \"*\" stands for one whole label, as in *.a.test",
            "l.txt:2:7: \"a.*.test\" matches no name: \"*\" can only stand for the first label, as in *.a.test",
        ]
    );
    let CrtSource::List(list) = &plan.listeners[0].tls.as_deref().unwrap().crt[0] else { panic!() };
    let names: Vec<_> = list.lines().map(|line| line.filters().collect::<Vec<_>>()).collect();
    use crate::plan::crt::Filter;
    let filter = |not, wild, name| Filter { not, wild, name };
    assert_eq!(names, [[filter(true, true, "")], [filter(false, false, "b.test")]]);
}

#[test]
fn stores_name_files() {
    let dir = Dir::new(
        "stores",
        &[("l.txt", "@web/site a.test\n/c/plain.pem b.test\nx.pem [key y.key ocsp /o]\n")],
    );
    let text = format!(
        "global\n crt-base /c\n key-base /k\ncrt-store\n load crt plain.pem key p.key\n\
         crt-store web\n crt-base /w\n key-base /wk\n load crt site.crt key site.key ocsp o issuer /i sctl s alias site\n \
         load crt other.crt\n{}",
        frontend("crt @web/site crt @web/other.crt crt plain.pem crt @/plain.pem crt else.pem crt-list DIR/l.txt")
    );
    let (plan, said) = read(&text, &dir).unwrap();
    assert_eq!(said, Vec::<String>::new());
    let tls = plan.listeners[0].tls.as_deref().unwrap();
    let site = CrtFiles {
        ocsp_update: None,
        crt: "/w/site.crt".into(),
        key: Some("/wk/site.key".into()),
        ocsp: Some("/w/o".into()),
        issuer: Some("/i".into()),
        sctl: Some("/w/s".into()),
        alias: Some("site".into()),
    };
    let plain = CrtFiles { key: Some("/k/p.key".into()), ..CrtFiles::new("/c/plain.pem".into()) };
    let stored = |files: &CrtFiles| CrtSource::Stored(Arc::new(files.clone()));
    let other = CrtFiles::new("/w/other.crt".into());
    assert_eq!(
        tls.crt[..5],
        [
            stored(&site),
            stored(&other),
            stored(&plain),
            stored(&plain),
            CrtSource::Path("/c/else.pem".into())
        ]
    );
    let CrtSource::List(list) = &tls.crt[5] else { panic!() };
    let files: Vec<Option<CrtFiles>> = list.lines().map(|line| line.files.map(|f| (**f).clone())).collect();
    let own = CrtFiles {
        key: Some("/k/y.key".into()),
        ocsp: Some("/o".into()),
        ..CrtFiles::new("/c/x.pem".into())
    };
    assert_eq!(files, [Some(site), Some(plain), Some(own)]);
}

#[test]
fn bad_stores_are_explained() {
    let store = "crt-store web\n load crt a.pem alias site\n";
    let rows = [
        ("crt-store web\n load key a\n", "crt a", "\"load\": the certificate is missing (write load crt <file>)"),
        (
            "crt-store web\n load crt a alias x\n load crt b alias x\n",
            "crt a",
            "\"load\": the name \"x\" is taken in this store",
        ),
        (
            "crt-store web\n lod crt a\n",
            "crt a",
            "unknown keyword \"lod\" in section \"crt-store\" (did you mean \"load\"?)",
        ),
        ("crt-store web\n load crt a kye b\n", "crt a", "\"load\": unknown option \"kye\" of \"load\" (did you mean \"key\"?)"),
        ("crt-store web\n load crt a acme x\n", "crt a", "\"load\": \"acme\" is known, not supported yet"),
        (store, "crt @wbe/site", "\"bind\": \"crt\": there is no crt-store \"wbe\" (did you mean \"web\"?)"),
        (store, "crt @/site", "\"bind\": \"crt\": there is no crt-store without a name"),
        (store, "crt @web/stie", "\"bind\": \"crt\": crt-store \"web\" has no certificate \"stie\" (did you mean \"site\"?)"),
        (store, "crt @web", "\"bind\": \"crt\": \"@web\" names no certificate (write @<store>/<name>)"),
        ("global\n ssl-load-extra-files key kye\n", "crt a", "\"ssl-load-extra-files\": unknown value \"kye\", expected \"none\", \"all\", \"bundle\", \"sctl\", \"ocsp\", \"issuer\" or \"key\" (did you mean \"key\"?)"),
    ];
    let dir = Dir::new("badstores", &[]);
    for (head, bind, expected) in rows {
        let said = read(&format!("{head}{}", frontend(bind)), &dir).err().unwrap();
        assert_eq!(said, [expected], "{head} {bind}");
    }
}

#[test]
fn extra_files_are_chosen() {
    use crate::plan::crt::Extras;
    let dir = Dir::new("extra", &[]);
    let rows = [
        ("", Extras::default()),
        (" ssl-load-extra-files none\n", Extras::none()),
        (" ssl-load-extra-files key ocsp\n", Extras { key: true, ocsp: true, ..Extras::none() }),
        (" ssl-load-extra-files none\n ssl-load-extra-files all\n", Extras::default()),
        (
            " ssl-load-extra-del-ext\n issuers-chain-path /chains\n ssl-load-extra-files sctl bundle issuer\n",
            Extras {
                sctl: true,
                bundle: true,
                issuer: true,
                del_ext: true,
                issuers_chain_path: Some("/chains".into()),
                ..Extras::none()
            },
        ),
    ];
    for (words, expected) in rows {
        let (plan, _) = read(&format!("global\n{words}{}", frontend("crt a")), &dir).unwrap();
        assert_eq!(plan.global.extras, expected, "{words}");
    }
}

#[test]
fn a_list_of_many_lines_is_read_quickly_and_kept_small() {
    use std::fmt::Write;
    let mut list = String::new();
    for n in 0..100_000 {
        let _ = writeln!(
            list,
            "certs/{n:06}.pem [alpn http/1.1] *.site{n}.example.test !not.site{n}.example.test"
        );
    }
    let dir = Dir::new("many", &[("l.txt", &list)]);
    let (plan, _) = read(&frontend("crt-list DIR/l.txt"), &dir).unwrap();
    let tls = plan.listeners[0].tls.as_deref().unwrap();
    assert_eq!(tls.variants.len(), 1);
    let CrtSource::List(found) = &tls.crt[0] else { panic!() };
    assert_eq!(found.len(), 100_000);
    assert!(found.bytes() < list.len() * 4 / 3, "{} of {}", found.bytes(), list.len());
}

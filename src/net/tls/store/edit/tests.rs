//! Edits of an index of a directory, of a group of named files, and of certificates that no line uses.

use super::*;
use crate::net::tls::store::Settings;

fn put(file: &str, names: &[&str], content: Content) -> Put {
    Put {
        file: file.into(),
        line: None,
        content,
        kind: KeyKind::Ec,
        flags: 0,
        validity: (0, 99),
        mark: 0,
        options: 0,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        except: Vec::new(),
    }
}

/// A store with a directory of a.pem and b.pem, a group of c.pem, and nothing loose.
fn store() -> Store {
    let store = Store::new(Settings::default());
    let facts = |stamp, flags| Facts {
        kind: KeyKind::Ec,
        flags,
        not_before: 0,
        not_after: 9,
        mark: 7,
        stamp,
        options: 0,
    };
    let mut dir = Builder::new(Some(Path::new("/d")), 0);
    for (stamp, file) in [(1, "a.pem"), (2, "b.pem")] {
        let name = file.replace("pem", "test");
        dir.add(&facts(stamp, 0), file.as_bytes(), [name.as_bytes()].into_iter(), std::iter::empty());
    }
    let mut group = Builder::new(None, 0);
    let names = [&b"c.test"[..], b"*.c.test"];
    group.add(
        &facts(3, flag::PATHS),
        b"/x/c.pem\0/x/c.key\0\0\0",
        names.into_iter(),
        [&b"no.c.test"[..]].into_iter(),
    );
    store.add(Arc::new(dir.finish().unwrap()));
    store.add(Arc::new(group.finish().unwrap()));
    store.set_loose(store.add(Arc::new(Builder::new(None, 0).finish().unwrap())));
    store
}

fn said(store: &Store, place: u32) -> Vec<String> {
    let (index, version) = store.index(place).unwrap();
    let mut said = vec![format!("version {version}")];
    for (number, entry) in index.entries() {
        let mut names: Vec<String> = (0..index.name_count())
            .filter_map(|name| {
                let (text, wild) = index.name(name)?;
                let (_, covers) = index.list(name)?.find(|(entry, _)| *entry == number)?;
                let (not, star) = (if covers { "" } else { "!" }, if wild { "*." } else { "" });
                Some(format!("{not}{star}{}", String::from_utf8_lossy(text)))
            })
            .collect();
        names.sort();
        let file = index.file(&entry);
        said.push(format!("{} {} {}", file.display(), names.join(" "), entry.flags & flag::BLOB != 0));
    }
    said
}

fn edit(place: u32, version: u32, entry: Option<u32>, put: Option<Put>) -> Edits {
    Edits { edits: vec![Edit { place, version, entry, put }], records: vec![b"record".to_vec()] }
}

#[test]
fn entries_are_replaced_added_and_taken_out() {
    let store = store();
    // (place, version, entry, new, what is there afterwards)
    let fresh = |file, names: &[&str]| Some(put(file, names, Content::Record(0)));
    let rows = [
        (0, 1, Some(1), fresh("/d/b.pem", &["x.test"]), "/d/a.pem a.test false|/d/b.pem x.test true"),
        (
            0,
            2,
            None,
            fresh("/d/aa.pem", &["y.test"]),
            "/d/a.pem a.test false|/d/aa.pem y.test true|/d/b.pem x.test true",
        ),
        (0, 3, Some(0), None, "/d/aa.pem y.test true|/d/b.pem x.test true"),
        (
            1,
            1,
            None,
            Some(put("/d/aa.pem", &["*.z.test"], Content::Of(0, 0))),
            "/x/c.pem !no.c.test *.c.test c.test false|/d/aa.pem *.z.test true",
        ),
        (1, 2, Some(0), fresh("/x/c.pem", &["c.test"]), "/x/c.pem c.test true|/d/aa.pem *.z.test true"),
        (1, 3, Some(0), None, "/d/aa.pem *.z.test true"),
        (2, 1, None, Some(put("n.pem", &[], Content::Empty)), "n.pem  true"),
    ];
    for (place, version, entry, put, want) in rows {
        let edits = edit(place, version, entry, put);
        let bytes = edits.encode();
        assert_eq!(Edits::decode(&bytes).as_ref(), Some(&edits));
        store.edit(&bytes).unwrap();
        let want: Vec<String> = std::iter::once(format!("version {}", version + 1))
            .chain(want.split('|').map(Into::into))
            .collect();
        assert_eq!(said(&store, place), want);
    }
    let (index, _) = store.index(0).unwrap();
    let entry = index.entry(0).unwrap();
    let spool = store.spool().unwrap();
    assert!(spool.has(entry.stamp), "the bytes are kept");
    assert!(store.paths(&index, &entry).is_none(), "and no file is opened");
}

#[test]
fn files_of_copies_stay_what_they_are() {
    let store = store();
    let bytes = edit(2, 1, None, Some(put("/x/c.pem", &["q.test"], Content::Of(1, 0)))).encode();
    store.edit(&bytes).unwrap();
    let (index, _) = store.index(2).unwrap();
    let paths = store.paths(&index, &index.entry(0).unwrap()).unwrap();
    let paths: Vec<String> = paths.into_iter().flatten().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["/x/c.pem", "/x/c.key"]);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let store = store();
    let fresh = |file| Some(put(file, &["x.test"], Content::Record(0)));
    let long = "x".repeat(70_000);
    // an older version, an unknown place, another file, a copy of what is not there or has another name, no content
    let rows = [
        edit(0, 9, Some(0), None),
        edit(7, 1, Some(0), None),
        edit(0, 1, None, fresh("/")),
        edit(1, 1, None, Some(put("n", &[], Content::Of(0, 9)))),
        edit(1, 1, None, Some(put("/etc/shadow", &[], Content::Of(1, 0)))),
        edit(1, 1, None, Some(put("n", &[], Content::Record(9)))),
        edit(1, 1, None, fresh(&long)),
    ];
    let before: Vec<_> = (0..3).map(|place| said(&store, place)).collect();
    for edits in rows {
        assert!(store.edit(&edits.encode()).is_err(), "{edits:?}");
    }
    let bytes = edit(0, 1, Some(0), fresh("/d/a.pem")).encode();
    for cut in 0..bytes.len() {
        assert!(store.edit(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!((0..3).map(|place| said(&store, place)).collect::<Vec<_>>(), before);
}

#[test]
fn edits_may_hold_anything() {
    let mut seed = 3u32;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/cert_edits");
    for file in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        fuzz_cert_edits(&bytes);
        for _ in 0..500 {
            let mut bytes = bytes.clone();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = (seed >> 8) as usize % bytes.len();
            bytes[place] = (seed >> 4) as u8;
            fuzz_cert_edits(&bytes);
        }
    }
}

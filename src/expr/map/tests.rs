//! Files, ways of searching, versions.

use super::*;

fn value(maps: &Maps, by: MapUse, text: &str) -> Option<String> {
    maps.lookup(by, &Sample::text(text)).map(|(_, e)| e.value.to_string())
}

#[test]
fn files_are_read_as_the_manual_says() {
    let text = b"# comment\n\n  key1   value one \t\r\nkey2\n\tkey3\tv3\n #no comment\n";
    let file = MapFile::read("m", text, true).unwrap();
    let list: Vec<_> = file.iter().map(|(_, e)| (&*e.key, &*e.value)).collect();
    assert_eq!(list, [("key1", "value one"), ("key2", ""), ("key3", "v3"), ("#no", "comment")]);
    let file = MapFile::read("a", b" a b\n#x\n", false).unwrap();
    assert_eq!(file.iter().map(|(_, e)| &*e.key).collect::<Vec<_>>(), ["a b"]);
    assert_eq!(MapFile::read("b", b"ok\n\xff\n", false).err().map(|f| f.line), Some(2));
}

#[test]
fn changes_show_in_every_way_of_searching() {
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("m", b"/a 1\n/a/b 2\n", true).unwrap());
    let exact = maps.use_as(map, Match::Str, false).unwrap();
    let beg = maps.use_as(map, Match::Beg, false).unwrap();
    assert_eq!(maps.use_as(map, Match::Str, false), Ok(exact));
    assert_eq!(value(&maps, beg, "/a/b/c"), Some("2".into()));
    let file = maps.get_mut(map).unwrap();
    assert!(file.set("/a/b", "9") && !file.set("/none", "1"));
    file.add("/z", "26").unwrap();
    assert!(file.del("/a") && !file.del("/a"));
    assert_eq!(value(&maps, beg, "/a/b/c"), Some("9".into()));
    assert_eq!(value(&maps, exact, "/a"), None);
    assert_eq!(value(&maps, exact, "/z"), Some("26".into()));
}

#[test]
fn versions_replace_each_other_at_once() {
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("m", b"k old\n", true).unwrap());
    let by = maps.use_as(map, Match::Str, false).unwrap();
    let file = maps.get_mut(map).unwrap();
    let version = file.prepare();
    file.add_to(version, "k", "new").unwrap();
    assert_eq!(value(&maps, by, "k"), Some("old".into()));
    let file = maps.get_mut(map).unwrap();
    assert!(file.commit(version) && !file.commit(version) && !file.commit(99));
    assert_eq!((value(&maps, by, "k"), maps.get(map).unwrap().len()), (Some("new".into()), 1));
}

#[test]
fn bad_keys_change_nothing() {
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("m", b"10.0.0.0/8 x\n", true).unwrap());
    maps.use_as(map, Match::Str, false).unwrap();
    maps.use_as(map, Match::Ip, false).unwrap();
    let file = maps.get_mut(map).unwrap();
    assert!(file.add("nonsense", "1").is_err());
    assert!(!file.del("nonsense") && file.len() == 1);
    for seed in [&b"\x01a b\n"[..], b"\x83\n\n# \n", b"\x8c(((\n[a\n", b""] {
        fuzz_map(seed);
    }
}

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
fn files_of_all_kinds_are_read_or_told_what_is_wrong() {
    let long = [b"ok\n".to_vec(), vec![b'x'; 10 << 20]].concat();
    let at_most = vec![b'x'; 64 << 10];
    let rows: &[(&[u8], Result<&[&str], (usize, &str)>)] = &[
        (b"", Ok(&[])),
        (b"\n\n\r\n", Ok(&[])),
        (b"one", Ok(&["one"])),
        (b"one\ntwo", Ok(&["one", "two"])),
        (b"one\r\ntwo\r\n", Ok(&["one", "two"])),
        (b"one\rtwo\n", Ok(&["one\rtwo"])),
        (b"\xef\xbb\xbfone\n", Ok(&["one"])),
        (
            b"# a\n#b\none # not a remark\n\t # a key all the same\n",
            Ok(&["one # not a remark", "# a key all the same"]),
        ),
        (b"  \t one\n", Ok(&["one"])),
        ("caf\u{e9}\n".as_bytes(), Ok(&["caf\u{e9}"])),
        (b"ok\nok\na\0b\n", Err((3, "this line holds a NUL byte"))),
        (b"\0", Err((1, "this line holds a NUL byte"))),
        (b"ok\n\xff\xfe\n", Err((2, "this is not text (UTF-8)"))),
        (&long, Err((2, "this line is longer than 64 KB"))),
        (&at_most, Ok(&[""])),
    ];
    for (nth, (text, wanted)) in rows.iter().enumerate() {
        let read = MapFile::read("f", text, false);
        match (read, wanted) {
            (Ok(file), Ok([""])) => assert_eq!(file.len(), 1),
            (Ok(file), Ok(keys)) => {
                let list: Vec<_> = file.iter().map(|(_, e)| e.key.to_string()).collect();
                assert_eq!(&list, keys, "row {nth}");
            }
            (Err(flaw), Err((line, what))) => assert_eq!((flaw.line, flaw.what.as_str()), (*line, *what)),
            (read, _) => panic!("row {nth}: {:?}", read.err()),
        }
    }
}

#[test]
fn a_pattern_that_is_none_is_told_with_its_line() {
    for (how, text, line, what) in [
        (Match::Ip, "10.0.0.0/8\n# x\n\nnonsense\n", 4, "\"nonsense\" is not an address or network"),
        (Match::Int, "1\n5:4\n", 2, "\"5:4\" holds nothing"),
        (Match::Reg, "^a\nb(c\n", 2, "at position 2: unclosed group"),
        (Match::Bin, "00\r\nabc\r\n", 2, "hexadecimal"),
    ] {
        let mut maps = Maps::default();
        let map = maps.push(MapFile::read("f", text.as_bytes(), false).unwrap());
        let flaw = maps.use_as(map, how, false).unwrap_err();
        assert!(flaw.line == line && flaw.what.contains(what), "{flaw:?}");
    }
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

#[test]
fn every_entry_can_be_named_by_its_text_whatever_searches_it() {
    for how in Match::ALL.map(|(how, _)| how) {
        let mut maps = Maps::default();
        let keys = ["1.2", "/", "17", "10.0.0.0/8", "6f6e"];
        let map = maps.push(MapFile::empty("m", true));
        maps.use_as(map, how, false).unwrap();
        let file = maps.get_mut(map).unwrap();
        let taken: Vec<_> = keys.into_iter().filter(|key| file.add(key, "v").is_ok()).collect();
        assert!(!taken.is_empty());
        for key in &taken {
            assert!(file.has(key) && file.set(key, "w") && file.del(key) && !file.has(key), "{how:?} {key}");
        }
        assert!(file.is_empty() && file.bytes() == 0);
    }
}

#[test]
fn numbers_are_given_anew_when_most_were_used_up() {
    let mut maps = Maps::default();
    let map = maps.push(MapFile::read("m", b"a 1\nab 2\n", true).unwrap());
    let ways = [Match::Str, Match::Sub, Match::Beg].map(|how| maps.use_as(map, how, true).unwrap());
    let file = maps.get_mut(map).unwrap();
    let mut highest = 0;
    for n in 0..20_000 {
        file.add(&format!("k{n}"), "v").unwrap();
        highest = highest.max(file.ids(0).last().copied().unwrap_or(0));
        assert!(n < 10 || file.del(&format!("k{}", n - 10)));
    }
    assert!(highest < 3000, "{highest}");
    let list: Vec<_> = file.iter().map(|(_, e)| e.key.to_string()).collect();
    assert_eq!((list.len(), &list[..3]), (12, &["a".to_owned(), "ab".into(), "k19990".into()][..]));
    for by in ways {
        assert_eq!(value(&maps, by, "ab").as_deref(), Some(if by.index == 0 { "2" } else { "1" }));
        assert_eq!(value(&maps, by, "k19990").as_deref(), Some("v"));
        assert_eq!(value(&maps, by, "k19989"), None);
    }
}

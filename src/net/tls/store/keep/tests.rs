//! Two processes' stores over a line: what comes, what does not come in time, what has changed meanwhile.

use std::path::Path;

use lighterman_sys::fds;

use super::*;
use crate::net::tls::selfsigned::self_signed;
use crate::net::tls::sources;
use crate::net::tls::store::build::Builder;
use crate::net::tls::store::spool::Record;

const CAN: Can = Can { ec: true };

fn at(ms: u64) -> Now {
    Now { tick: Tick(ms), mono_us: ms * 1000, wall_us: 1_000_000_000_000_000 + ms * 1000 }
}

fn task(number: u64) -> TaskId {
    TaskId::unpack(number)
}

/// A process with these certificates in memory, and one that knows the same index and asks it.
struct Pair {
    master: Store,
    worker: Store,
    line: OwnedFd,
    place: u32,
}

impl Pair {
    fn new(names: &[&str], settings: Settings) -> Pair {
        let (master, worker) = (Store::new(settings.clone()), Store::new(settings));
        let certs = names.iter().map(|name| {
            let text = self_signed(&[name]).unwrap();
            let file = format!("{name}.pem");
            (Arc::new(certs::parse(Path::new(&file), &text, None).unwrap()), Some(text))
        });
        let place = sources::in_memory(&master, certs.collect()).unwrap();
        worker.add(master.index(place).unwrap().0);
        let (line, theirs) = fds::channel().unwrap();
        worker.connect(theirs, task(99));
        [&master, &worker].into_iter().for_each(|store| store.set_clock(at(0)));
        Pair { master, worker, line, place }
    }

    fn pick(&self, name: &str) -> Pick {
        self.worker.pick(&[self.place], Some(name.as_bytes()), CAN, true)
    }

    /// The worker waits for this one.
    fn waits(&self, name: &str, number: u64) -> Option<(TaskId, Tick)> {
        let Pick::Wait(awaited) = self.pick(name) else { panic!("{name} is not awaited") };
        self.worker.wait(awaited, task(number))
    }

    fn answer(&self) {
        assert!(self.master.answer(self.line.as_fd(), &mut Vec::new()));
    }

    fn shows(&self, name: &str) -> bool {
        match self.pick(name) {
            Pick::Show(cert, 0) => cert.file == Path::new(&format!("{name}.pem")),
            _ => false,
        }
    }
}

#[test]
fn certificates_without_files_are_brought_to_who_asks() {
    let pair = Pair::new(&["a.test", "b.test"], Settings::default());
    assert_eq!(pair.waits("a.test", 1), Some((task(99), Tick(PATIENCE_MS))));
    pair.waits("a.test", 2);
    pair.answer();
    assert_eq!(pair.worker.hear(at(5)), (vec![task(1), task(2)], None), "one request, two who wait");
    assert!(pair.shows("a.test"));
    assert!(matches!(pair.pick("other.test"), Pick::Nothing(How::Unknown)));
    let counts = pair.worker.take_counts().unwrap();
    assert_eq!((counts.hits, counts.misses, counts.loads, counts.failures), (1, 1, 1, 0));
    assert_eq!(pair.worker.take_counts(), None, "nothing new");
}

#[test]
fn what_does_not_come_in_time_fails_and_disturbs_nobody() {
    let pair = Pair::new(&["a.test", "b.test"], Settings::default());
    pair.waits("a.test", 1);
    pair.answer();
    pair.worker.hear(at(1));
    // from now on nobody answers
    let due = Tick(1 + PATIENCE_MS);
    assert_eq!(pair.waits("b.test", 2), Some((task(99), due)));
    assert_eq!(pair.worker.hear(at(due.0 - 1)), (vec![], Some(due)));
    assert!(pair.shows("a.test"));
    assert_eq!(pair.worker.hear(at(due.0)), (vec![task(2)], None));
    assert!(matches!(pair.pick("b.test"), Pick::Failed), "for who waited, and for who comes next");
    assert!(pair.shows("a.test"));
    let news = pair.worker.take_news();
    assert!(news[0].text.contains("b.test.pem") && news[0].text.contains("in time"), "{news:?}");
    // some time later it is asked for again; the late answer to the first question is an answer too
    pair.worker.set_clock(at(due.0 + RETRY_MS));
    pair.waits("b.test", 3);
    pair.answer();
    assert_eq!(pair.worker.hear(at(due.0 + RETRY_MS + 1)).0, [task(3)]);
    assert!(pair.shows("b.test"));
    assert_eq!(pair.worker.take_counts().unwrap().failures, 1);
}

#[test]
fn another_version_of_an_index_comes_over_the_line() {
    let pair = Pair::new(&["a.test", "b.test"], Settings::default());
    // the same certificates under other numbers
    let (old, version) = pair.master.index(pair.place).unwrap();
    let mut builder = Builder::new(None, 0);
    for (number, name) in [(1, "b.test"), (0, "a.test")] {
        let entry = old.entry(number).unwrap();
        let facts = crate::net::tls::store::build::Facts::of(&entry);
        builder.add(&facts, old.file_text(&entry), [name.as_bytes()].into_iter(), std::iter::empty());
    }
    let new = Arc::new(builder.finish().unwrap());
    let spool = Arc::new(Spool::new(&[]).unwrap());
    for (_, entry) in old.entries() {
        let name = String::from_utf8_lossy(old.file_text(&entry)).into_owned();
        let part = Part { bytes: self_signed(&[name.trim_end_matches(".pem")]).unwrap(), ..Part::default() };
        let bytes = CrtBytes { pem: part, ..CrtBytes::default() };
        spool.put(entry.stamp, &Record::of(&bytes)).unwrap();
    }
    pair.master.set_spool(spool);
    pair.waits("b.test", 1);
    assert!(pair.master.replace(pair.place, Arc::clone(&new), version + 1).is_empty());
    // the question was about the old version
    pair.answer();
    assert_eq!(pair.worker.hear(at(1)), (vec![], Some(Tick(PATIENCE_MS))), "the answer says so: it waits on");
    errand::bring_index(pair.line.as_fd(), pair.place, version + 1, new.shared().unwrap()).unwrap();
    assert_eq!(pair.worker.hear(at(2)).0, [task(1)], "who waits looks again");
    pair.waits("b.test", 1);
    pair.answer();
    assert_eq!(pair.worker.hear(at(3)).0, [task(1)]);
    assert!(pair.shows("b.test"));
    assert_eq!(pair.worker.versions(), [version + 1]);
    // what is no index changes nothing
    let rubbish = Sealed::read("test", &b"rubbish"[..], 99).unwrap();
    errand::bring_index(pair.line.as_fd(), pair.place, 9, rubbish.as_fd()).unwrap();
    pair.worker.hear(at(4));
    assert!(pair.shows("b.test"));
    assert!(pair.worker.take_news()[0].text.contains("damaged"));
}

#[test]
fn what_somebody_parsed_already_makes_room_for_nobody() {
    let pair = Pair::new(&["a.test", "b.test", "c.test"], Settings { cache: 1, ..Settings::default() });
    for (number, name) in (1..).zip(["a.test", "b.test", "c.test", "a.test"]) {
        pair.waits(name, number);
        pair.answer();
        assert_eq!(pair.worker.hear(at(number)).0, [task(number)]);
        assert!(pair.shows(name), "it stays until those who waited have it");
    }
    let counts = pair.worker.take_counts().unwrap();
    assert_eq!((counts.misses, counts.evicted, counts.kept), (4, 3, 1));
}

//! A watcher at work, turn by turn.

use std::fs;

use super::*;
use crate::base::tick::Clock;
use crate::net::tls::selfsigned::self_signed;
use crate::net::tls::store::build::Builder;
use crate::net::tls::store::Settings;

/// A watched directory, and what sees to it.
struct Scene {
    dir: PathBuf,
    store: Store,
    watcher: Watcher,
    ms: u64,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let dir = std::env::temp_dir().join(format!("lm-watcher-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let store = Store::new(Settings::default());
        let place = store.add(Arc::new(Builder::new(Some(&dir), 63).finish().unwrap()));
        store.watch(place);
        let watcher = Watcher::new(&store, at(0)).unwrap();
        Scene { dir, store, watcher, ms: 0 }
    }

    fn put(&self, name: &str, names: &[&str]) {
        fs::write(self.dir.join(name), self_signed(names).unwrap()).unwrap();
    }

    /// Some time later: what the operator is told.
    fn after(&mut self, ms: u64) -> Vec<String> {
        self.ms += ms;
        let notices = self.watcher.turn(at(self.ms), &self.store, &mut || {});
        let dir = format!("{}/", self.dir.display());
        notices.into_iter().map(|notice| notice.text.replace(&dir, "")).collect()
    }

    fn knows(&self, name: &str) -> bool {
        let (index, _) = self.store.index(0).unwrap();
        let found = index.find(name.as_bytes(), false).count();
        found == 1
    }

    fn version(&self) -> u32 {
        self.store.versions()[0]
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn at(ms: u64) -> Now {
    let wall_us = Clock::real().read().wall_us;
    Now { tick: Tick(10_000 + ms), mono_us: ms * 1000, wall_us }
}

#[test]
fn much_that_happens_together_is_one_change() {
    let mut scene = Scene::new("together");
    scene.after(0);
    for n in 0..50 {
        scene.put(&format!("{n}.pem"), &[&format!("n{n}.test")]);
        assert!(scene.after(1).is_empty());
    }
    assert_eq!(scene.version(), 1, "there may be more");
    assert_eq!(scene.after(QUIET_MS).len(), 1);
    assert_eq!((scene.version(), scene.knows("n0.test"), scene.knows("n49.test")), (2, true, true));
    // what never ends is looked at nevertheless
    for n in 0..PATIENCE_MS / 10 + 1 {
        scene.put("x.pem", &[&format!("x{n}.test")]);
        scene.after(10);
    }
    assert_eq!(scene.version(), 3);
}

#[test]
fn what_is_no_good_is_told_once_and_when_it_stays_so() {
    let mut scene = Scene::new("bad");
    scene.put("a.pem", &["a.test"]);
    scene.after(0);
    scene.after(QUIET_MS);
    assert!(scene.knows("a.test"));
    fs::write(scene.dir.join("a.pem"), "rubbish").unwrap();
    scene.after(1);
    assert!(scene.after(QUIET_MS).is_empty(), "half of a change, perhaps");
    let told = scene.after(DOUBT_MS);
    assert_eq!(told, ["a.pem: no certificate inside; the certificate stays as it was"]);
    assert!(scene.after(DOUBT_MS).is_empty());
    // not even when all files are looked at again
    assert!(
        scene.after(EVERY_MS).is_empty() && scene.after(1).is_empty() && scene.after(DOUBT_MS).is_empty()
    );
    assert!(scene.knows("a.test"));
    // a second change in time is no reason to worry
    fs::write(scene.dir.join("a.pem"), "other rubbish").unwrap();
    scene.after(1);
    assert!(scene.after(QUIET_MS).is_empty());
    scene.put("a.pem", &["b.test"]);
    scene.after(1);
    assert_eq!(scene.after(QUIET_MS).len(), 1);
    assert!(scene.after(DOUBT_MS).is_empty());
    assert!(scene.knows("b.test") && !scene.knows("a.test"));
}

#[test]
fn where_the_system_tells_nothing_everything_is_looked_at() {
    let mut scene = Scene::new("blind");
    scene.watcher.eyes = None;
    scene.watcher.dirs[0].id = None;
    scene.after(0);
    scene.put("a.pem", &["a.test"]);
    scene.after(POLL_MS + 1);
    scene.after(QUIET_MS);
    assert!(scene.knows("a.test"));
    fs::remove_file(scene.dir.join("a.pem")).unwrap();
    scene.after(POLL_MS + 1);
    scene.after(QUIET_MS);
    assert!(!scene.knows("a.test"));
}

#[test]
fn many_files_are_looked_at_a_few_in_each_turn() {
    let mut scene = Scene::new("many");
    let text = self_signed(&["a.test"]).unwrap();
    for n in 0..SLICE * 2 + 1 {
        fs::write(scene.dir.join(format!("{n}.pem")), &text).unwrap();
    }
    // nothing was told of them: they were there before
    scene.watcher.dirs[0].touched.clear();
    while !scene.watcher.eyes.as_ref().unwrap().next().unwrap().is_empty() {}
    scene.after(0);
    assert!(scene.watcher.due().unwrap() <= Tick(0), "there is more to do");
    scene.after(0);
    assert_eq!(scene.version(), 1);
    scene.after(0);
    scene.after(PATIENCE_MS);
    assert_eq!((scene.version(), scene.store.index(0).unwrap().0.len()), (2, SLICE as u32 * 2 + 1));
    assert!(scene.watcher.due().unwrap() > Tick(0));
}

#[test]
fn the_directories_of_another_configuration_are_watched_instead() {
    let mut scene = Scene::new("adopt");
    scene.after(0);
    let other = scene.dir.join("other");
    fs::create_dir(&other).unwrap();
    let store = Store::new(Settings::default());
    let place = store.add(Arc::new(Builder::new(Some(&other), 63).finish().unwrap()));
    store.watch(place);
    scene.watcher.adopt(&store, at(1));
    assert_eq!(scene.watcher.dirs.len(), 1);
    let before = scene.version();
    scene.put("a.pem", &["a.test"]);
    scene.after(1);
    scene.after(PATIENCE_MS);
    assert_eq!(scene.version(), before, "it is not watched any more");
    fs::write(other.join("b.pem"), self_signed(&["b.test"]).unwrap()).unwrap();
    scene.watcher.turn(at(1000), &store, &mut || {});
    scene.watcher.turn(at(2000), &store, &mut || {});
    assert_eq!(store.index(0).unwrap().0.find(b"b.test", false).count(), 1);
}

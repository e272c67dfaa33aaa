//! User lists: who may come in (`http_auth`), and how passwords are compared without stopping the traffic.
//!
//! A password kept by crypt(3) costs milliseconds on purpose. What came of a comparison is therefore remembered
//! (by a digest under a key of the process, never the password), and comparisons may take a quarter of a
//! process's time at most: beyond that they fail at once. Each process remembers for itself.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use lighterman_sys::crypt;

/// How a password is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// As it is (`insecure-password`).
    Plain(Box<[u8]>),
    /// By crypt(3): the hash, and microseconds that a comparison takes.
    Crypt(Box<str>, u64),
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: Box<str>,
    /// `password`, `insecure-password`; a user without one cannot come in.
    pub password: Option<Password>,
    /// The groups it belongs to.
    pub groups: Vec<Box<str>>,
}

/// One `userlist` section.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    /// Its name.
    pub name: String,
    /// Users in the order of the file.
    pub users: Vec<User>,
    by_name: HashMap<Box<str>, usize>,
}

impl UserList {
    /// A list of these users.
    pub fn new(name: &str, users: Vec<User>) -> Self {
        let by_name = users.iter().enumerate().map(|(at, user)| (user.name.clone(), at)).collect();
        UserList { name: name.to_string(), users, by_name }
    }
}

/// All user lists of a configuration.
#[derive(Default)]
pub struct Users {
    lists: Vec<UserList>,
    memory: Mutex<Memory>,
}

/// What is known of comparisons made before.
#[derive(Default)]
struct Memory {
    /// Outcome by digest of list, name and password.
    known: HashMap<[u8; 32], bool>,
    /// Until then comparisons have used up their share of time: monotonic microseconds.
    paid_until: u64,
}

/// Outcomes remembered; when so many are known, all are forgotten.
const KNOWN_MAX: usize = 4096;

/// A comparison of one unit of time must be followed by three units without one...
const SHARE: u64 = 4;

/// ...but for so many microseconds of a burst.
const BURST_US: u64 = 1_000_000;

impl Users {
    /// These lists; ids are their places.
    pub fn new(lists: Vec<UserList>) -> Self {
        Users { lists, memory: Mutex::default() }
    }

    /// The id of a list.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.lists.iter().position(|list| list.name == name).map(|at| at as u32)
    }

    /// The groups of a user whose password fits; `None`: it does not, or there is no time to find out.
    pub fn check(&self, list: u32, name: &[u8], password: &[u8], now_us: u64) -> Option<&[Box<str>]> {
        let of = self.lists.get(list as usize)?;
        let user = of.users.get(*of.by_name.get(std::str::from_utf8(name).ok()?)?)?;
        let fits = match user.password.as_ref()? {
            Password::Plain(known) => known.len() == password.len() && openssl::memcmp::eq(known, password),
            Password::Crypt(hash, cost_us) => self.fits(list, (name, password), (hash, *cost_us), now_us),
        };
        fits.then_some(&*user.groups)
    }

    fn fits(&self, list: u32, who: (&[u8], &[u8]), (hash, cost_us): (&str, u64), now_us: u64) -> bool {
        let Some(digest) = digest(list, who) else { return false };
        // a process has one thread, so nobody waits here; a poisoned memory is only a memory
        let mut memory = self.memory.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = memory.known.get(&digest) {
            return *known;
        }
        if memory.paid_until > now_us + BURST_US {
            return false;
        }
        memory.paid_until = memory.paid_until.max(now_us) + cost_us * SHARE;
        let made = crypt::hash(who.1, hash);
        let fits = made.is_some_and(|made| {
            made.len() == hash.len() && openssl::memcmp::eq(made.as_bytes(), hash.as_bytes())
        });
        if memory.known.len() >= KNOWN_MAX {
            memory.known.clear();
        }
        memory.known.insert(digest, fits);
        fits
    }
}

/// A digest under a key that nobody else has: what is remembered is of no use elsewhere.
fn digest(list: u32, (name, password): (&[u8], &[u8])) -> Option<[u8; 32]> {
    static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
        let mut key = [0; 32];
        openssl::rand::rand_bytes(&mut key).ok().map(|()| key)
    });
    let key = PKey::hmac(KEY.as_ref()?).ok()?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
    for part in [&list.to_le_bytes()[..], &name.len().to_le_bytes(), name, password] {
        signer.update(part).ok()?;
    }
    signer.sign_to_vec().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, password: Option<Password>, groups: &[&str]) -> User {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        User { name: name.into(), password, groups }
    }

    #[test]
    fn passwords_fit_or_do_not() {
        let plain = |text: &str| Some(Password::Plain(text.as_bytes().into()));
        let users = vec![user("joe", plain("secret"), &["ops", "dev"]), user("ann", None, &[])];
        let users = Users::new(vec![
            UserList::new("a", users),
            UserList::new("b", vec![user("joe", plain(""), &[])]),
        ]);
        assert_eq!((users.find("a"), users.find("b"), users.find("c")), (Some(0), Some(1), None));
        let groups = users.check(0, b"joe", b"secret", 0).unwrap();
        assert_eq!(groups.iter().map(|group| &**group).collect::<Vec<_>>(), ["ops", "dev"]);
        for (list, name, password) in [
            (0, "joe", "secre"),
            (0, "joe", "secret "),
            (0, "ann", ""),
            (0, "eve", "x"),
            (1, "joe", "secret"),
            (9, "joe", ""),
        ] {
            assert!(
                users.check(list, name.as_bytes(), password.as_bytes(), 0).is_none(),
                "{name} {password}"
            );
        }
        assert!(users.check(1, b"joe", b"", 0).is_some());
    }

    #[test]
    fn comparisons_have_a_share_of_time_and_are_remembered() {
        if !crypt::is_there() {
            return;
        }
        let hash = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
        let kept = Some(Password::Crypt(hash.into(), 300_000));
        let users = Users::new(vec![UserList::new("a", vec![user("joe", kept, &[])])]);
        let check = |password: &str, at: u64| users.check(0, b"joe", password.as_bytes(), at).is_some();
        assert!(!check("wrong", 0));
        // 1.2 s are paid for: beyond the burst, so even the right one has to wait
        assert!(!check("Hello world!", 100_000));
        assert!(check("Hello world!", 300_000));
        // and is known from then on
        assert!(check("Hello world!", 300_001));
    }
}

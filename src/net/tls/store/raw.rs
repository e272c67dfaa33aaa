//! Contents of certificates as they stand in their files, for a command that changes a part of one or tells what is in it.
//!
//! Asked for with [`Store::raw`], again and again until it is here: the process with file rights opens the files, nobody is
//! made to wait.

use std::collections::HashMap;
use std::os::fd::AsFd;

use super::errand::{self, Open, Wanted};
use super::keep::{read, PATIENCE_MS};
use super::Store;
use crate::base::tick::Tick;

/// Contents wanted at once.
const WANTED_MAX: usize = 32;

/// The files of a certificate: itself, key, ocsp, issuer, sctl.
pub type Parts = [Option<Vec<u8>>; 5];

/// What became of a wish.
pub enum Raw {
    /// Here it is.
    Here(Parts),
    /// Ask again.
    Wait,
    /// It cannot be read.
    Failed(String),
}

/// A content on its way, or here.
struct Wish {
    due: Tick,
    got: Option<Result<Parts, String>>,
}

/// Contents on their way, by their stamps.
#[derive(Default)]
pub(super) struct Wishes(HashMap<(u32, u64), Wish>);

impl Wishes {
    /// Takes what has come, if it was wanted as it is. Every request has its own answer: a handshake that waits for the same
    /// certificate gets the next one.
    pub(super) fn take(&mut self, wanted: &Wanted, files: &Result<Open, i32>) -> bool {
        let Some(wish) = self.0.get_mut(&(wanted.entry, wanted.stamp)) else { return false };
        if wish.got.is_some() {
            return false;
        }
        if files.as_ref().err() == Some(&errand::STALE) {
            // the new index is on its way, and it is asked for again
            self.0.remove(&(wanted.entry, wanted.stamp));
            return true;
        }
        wish.got = Some(match files {
            Ok(files) => contents(files),
            Err(error) => Err(std::io::Error::from_raw_os_error(*error).to_string()),
        });
        true
    }
}

fn contents(files: &Open) -> Result<Parts, String> {
    let mut parts = Parts::default();
    for (part, file) in parts.iter_mut().zip(files) {
        let Some(file) = file else { continue };
        let own = file.try_clone().map_err(|error| error.to_string())?;
        *part = Some(read(own).map_err(|error| error.to_string())?);
    }
    Ok(parts)
}

impl Store {
    /// Whether another process opens files for this one.
    pub fn has_line(&self) -> bool {
        self.desk().other().is_some()
    }

    /// What is in the files of a certificate.
    pub fn raw(&self, place: u32, entry: u32) -> Raw {
        let now = self.now();
        let mut desk = self.desk();
        let Some(wanted) = desk.wanted(place, entry) else {
            return Raw::Failed("it is not there any more".to_owned());
        };
        let key = (entry, wanted.stamp);
        if let Some(wish) = desk.raw.0.get_mut(&key) {
            let late = now >= wish.due;
            return match wish.got.take() {
                None if !late => Raw::Wait,
                got => {
                    desk.raw.0.remove(&key);
                    match got {
                        Some(Ok(parts)) => Raw::Here(parts),
                        Some(Err(why)) => Raw::Failed(why),
                        None => Raw::Failed("the master did not open it in time".to_owned()),
                    }
                }
            };
        }
        let Some(line) = desk.other() else {
            let files =
                desk.open(&wanted).map_err(|error| std::io::Error::from_raw_os_error(error).to_string());
            return files.and_then(|files| contents(&files)).map_or_else(Raw::Failed, Raw::Here);
        };
        // clients that left do not come for what they wanted
        if errand::ask(line.as_fd(), &wanted).is_ok() {
            desk.raw.0.retain(|_, wish| now < wish.due);
            if desk.raw.0.len() < WANTED_MAX {
                desk.raw.0.insert(key, Wish { due: now.after(PATIENCE_MS), got: None });
            }
        }
        Raw::Wait
    }
}

//! Heads for reuse: a head is asked for and given back with every message, its memory stays.

use super::Head;

/// Heads that wait for their next use: their vectors keep what they have grown to.
#[derive(Default)]
pub struct HeadPool {
    #[allow(clippy::vec_box, reason = "the boxes themselves are what is recycled")]
    free: Vec<Box<Head>>,
}

/// Heads kept at most: more would be memory that only a peak needed.
const HEADS_KEPT: usize = 64;

impl HeadPool {
    /// An empty head.
    pub fn get(&mut self) -> Box<Head> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a head back.
    pub fn put(&mut self, mut head: Box<Head>) {
        if self.free.len() < HEADS_KEPT {
            head.clear();
            self.free.push(head);
        }
    }
}

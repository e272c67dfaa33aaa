//! Distributions of times, one set per process; a child hands them to its parent as text over a socket at its end.

use std::io::{self, BufRead, Write};

use hdrhistogram::Histogram;

/// The longest time told apart: one hour, in microseconds.
const MOST: u64 = 3_600_000_000;

/// The distributions of a run. All in microseconds, three significant digits.
#[derive(Clone, Debug)]
pub struct Times {
    /// Request to first byte.
    pub ttfb: Histogram<u64>,
    /// Request to last byte.
    pub ttlb: Histogram<u64>,
    /// ClientHello to the end of the handshake.
    pub handshake: Histogram<u64>,
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MOST, 3).expect("the bounds are constants the library takes")
}

impl Default for Times {
    fn default() -> Self {
        Times { ttfb: empty(), ttlb: empty(), handshake: empty() }
    }
}

impl Times {
    fn named(&self) -> [(&'static str, &Histogram<u64>); 3] {
        [("ttfb", &self.ttfb), ("ttlb", &self.ttlb), ("handshake", &self.handshake)]
    }

    /// Writes all values as lines `name value count`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, histogram) in self.named() {
            for step in histogram.iter_recorded() {
                writeln!(out, "{name} {} {}", step.value_iterated_to(), step.count_at_value())?;
            }
        }
        Ok(())
    }

    /// Adds what another process wrote.
    pub fn read(&mut self, from: &mut dyn BufRead) -> io::Result<()> {
        for line in from.lines() {
            let line = line?;
            let mut words = line.split(' ');
            let (name, value, count) = (words.next(), words.next(), words.next());
            let numbers = value.and_then(|v| v.parse().ok()).zip(count.and_then(|c| c.parse().ok()));
            let (Some(name), Some((value, count))) = (name, numbers) else { continue };
            let histogram = match name {
                "ttfb" => &mut self.ttfb,
                "ttlb" => &mut self.ttlb,
                _ => &mut self.handshake,
            };
            histogram.saturating_record_n(value, count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_to_the_parent() {
        let mut times = Times::default();
        for us in 0..10_000 {
            times.ttfb.saturating_record(us);
            times.handshake.saturating_record(us * 1000);
        }
        let mut text = Vec::new();
        times.write(&mut text).unwrap();
        let mut sum = Times::default();
        sum.read(&mut &text[..]).unwrap();
        sum.read(&mut &text[..]).unwrap();
        assert_eq!(sum.ttfb.len(), 20_000);
        assert_eq!(sum.handshake.len(), 20_000);
        assert_eq!(sum.ttlb.len(), 0);
        for p in [10.0, 50.0, 99.9] {
            assert_eq!(sum.ttfb.value_at_percentile(p), times.ttfb.value_at_percentile(p));
        }
    }
}

//! Reading the memory: sums over the processes, for statistics, commands and limits.

use std::sync::atomic::Ordering::Relaxed;

use super::counters::{self, Info, InfoRate, Kind, Rate, Stat, INFO_ROWS, RATE_ROWS, STAT_ROWS};
use super::layout::{CounterLine, ObjectCell};
use super::objects::Object;
use super::shared::Shared;

/// Which counters `clear counters` sets back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// The highest values seen.
    Maxima,
    /// Everything that counts.
    All,
}

impl Shared {
    /// A statistic of an object over all processes.
    pub fn sum(&self, of: Object, stat: Stat) -> u64 {
        self.sum_row(self.rows.of(of), stat)
    }

    fn sum_row(&self, row: usize, stat: Stat) -> u64 {
        counters::sum(stat, self.lines_of(row), Some(&self.parts.base[row]))
    }

    /// The lines of all processes for a row, and whether the process lives. Places that were never taken
    /// are not touched: their pages do not exist.
    fn lines_of(&self, row: usize) -> impl Iterator<Item = (&CounterLine, bool)> {
        let used = self.parts.lines.iter().zip(self.parts.processes.iter());
        used.filter(|(_, process)| process.started_us.load(Relaxed) != 0)
            .map(move |(lines, process)| (&lines[row], process.is_taken()))
    }

    /// How often something happened to an object in the last second.
    pub fn rate(&self, of: Object, rate: Rate, now_ms: u64) -> u32 {
        let row = self.rows.of(of);
        self.lines_of(row)
            .map(|(line, _)| line.rates[rate as usize].rate(now_ms))
            .fold(0, u32::saturating_add)
    }

    /// How often at most. With several processes the maximum of their sum is what was seen at the samples
    /// ([`Shared::sample`]) and now.
    pub fn rate_max(&self, of: Object, rate: Rate, now_ms: u64) -> u32 {
        let row = self.rows.of(of);
        let own = self.lines_of(row).map(|(line, _)| line.rates[rate as usize].max.load(Relaxed)).max();
        let sampled = rate_max_of(&self.parts.objects[row], rate);
        counters::raise_shared(sampled, self.rate(of, rate, now_ms));
        sampled.load(Relaxed).max(own.unwrap_or(0))
    }

    /// Keeps the maxima of rates over all processes: once a second, by the control role. Also mends
    /// shared gauges.
    pub fn sample(&self, now_ms: u64) {
        for row in self.rows.iter() {
            for rate in Rate::ALL {
                let sum = self.lines_of(row).map(|(line, _)| line.rates[*rate as usize].rate(now_ms));
                counters::raise_shared(
                    rate_max_of(&self.parts.objects[row], *rate),
                    sum.fold(0, u32::saturating_add),
                );
            }
        }
    }

    /// A figure over all processes.
    pub fn info(&self, info: Info) -> u64 {
        let cells = self.parts.processes.iter().take(self.slots() as usize);
        let values = cells.map(|cell| cell.infos[info as usize].load(Relaxed));
        match info.row().kind {
            Kind::Counter => {
                let base = self.parts.processes[self.slots() as usize].infos[info as usize].load(Relaxed);
                values.fold(0u64, u64::wrapping_add).wrapping_sub(base)
            }
            Kind::Gauge => values.sum(),
            Kind::Max => values.max().unwrap_or(0),
            Kind::Mean => {
                let alive = self.processes().count().max(1) as u64;
                values.sum::<u64>() / alive
            }
        }
    }

    /// How often something happened in all processes in the last second.
    pub fn info_rate(&self, rate: InfoRate, now_ms: u64) -> u32 {
        let cells = self.parts.processes.iter().take(self.slots() as usize);
        cells.map(|cell| cell.rates[rate as usize].rate(now_ms)).fold(0, u32::saturating_add)
    }

    /// How often at most.
    pub fn info_rate_max(&self, rate: InfoRate, now_ms: u64) -> u32 {
        let kept = &self.parts.processes[self.slots() as usize].rates[rate as usize].max;
        counters::raise_shared(kept, self.info_rate(rate, now_ms));
        let cells = self.parts.processes.iter();
        cells.map(|cell| cell.rates[rate as usize].max.load(Relaxed)).max().unwrap_or(0)
    }

    /// Sets counters back. Lines stay their owners': readers subtract what was there. Maxima are the
    /// exception: a maximum that its owner raises in the same moment may survive.
    pub fn clear(&self, what: Clear) {
        for row in 0..self.parts.objects.len() {
            if self.parts.objects[row].key.load(Relaxed) != 0 {
                self.clear_row(row, what);
            }
        }
        let base = &self.parts.processes[self.slots() as usize];
        for cell in self.parts.processes.iter() {
            cell.rates.iter().for_each(|rate| rate.max.store(0, Relaxed));
        }
        for (at, info) in Info::ALL.iter().enumerate() {
            if what == Clear::All && INFO_ROWS[at].kind == Kind::Counter {
                base.infos[at].store(base.infos[at].load(Relaxed).wrapping_add(self.info(*info)), Relaxed);
            }
        }
        let global = self.global();
        global.conns_max.store(global.conns.load(Relaxed), Relaxed);
    }

    fn clear_row(&self, row: usize, what: Clear) {
        let object = &self.parts.objects[row];
        object.current_max.store(object.current.load(Relaxed), Relaxed);
        object.queued_max.store(object.queued.load(Relaxed), Relaxed);
        RATE_ROWS.iter().zip(Rate::ALL).for_each(|(_, rate)| rate_max_of(object, *rate).store(0, Relaxed));
        let base = &self.parts.base[row];
        for (line, _) in self.lines_of(row) {
            line.rates.iter().for_each(|rate| rate.max.store(0, Relaxed));
            for (cell, row) in line.cells.iter().zip(STAT_ROWS) {
                let clears = row.kind == Kind::Max || (row.kind == Kind::Mean && what == Clear::All);
                if clears {
                    cell.store(0, Relaxed);
                }
            }
        }
        for stat in Stat::ALL {
            let cell = &base.cells[*stat as usize];
            match stat.row().kind {
                Kind::Counter if what == Clear::All => {
                    let now = cell.load(Relaxed).wrapping_add(self.sum_row(row, *stat));
                    cell.store(now, Relaxed);
                }
                Kind::Max => cell.store(0, Relaxed),
                _ => {}
            }
        }
    }
}

fn rate_max_of(object: &ObjectCell, rate: Rate) -> &std::sync::atomic::AtomicU32 {
    match rate {
        Rate::Sess => &object.sess_rate_max,
        Rate::Conn => &object.conn_rate_max,
        Rate::Req => &object.req_rate_max,
    }
}

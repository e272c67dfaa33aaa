//! The master's housekeeping: burying dead processes, mending gauges, freeing rows, moving to larger
//! memory.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::carve::Parts;
use super::counters::{Info, Kind, Stat};
use super::layout::{CounterLine, ObjectCell};
use super::objects::Rows;
use super::shared::{lower, Shared};

impl Shared {
    /// The process in `slot` is dead: what it had open is taken back from the shared gauges, what it
    /// counted stays. The place is free afterwards.
    pub fn bury(&self, slot: u32) {
        let Some(lines) = self.parts.lines.get(slot as usize) else { return };
        for (line, object) in lines.iter().zip(self.parts.objects.iter()) {
            take_back(line, Stat::Scur, &object.current);
            take_back(line, Stat::Qcur, &object.queued);
            line.waits.store(0, Relaxed);
            for stat in Stat::ALL.iter().filter(|stat| stat.row().kind == Kind::Gauge) {
                line.cells[*stat as usize].store(0, Relaxed);
            }
        }
        self.stick.bury(slot);
        let process = self.process_at(slot);
        let had = |info: Info| process.infos[info as usize].load(Relaxed) as u32;
        lower(&self.global().conns, had(Info::Conns));
        lower(&self.global().ssl_conns, had(Info::SslConns));
        process.vacate();
    }

    /// Compares the shared gauges with what the processes say they have, and mends what was wrong twice in
    /// a row by the same amount: a process that is killed between two stores leaves such a trace. The
    /// caller keeps `seen` between calls, a second apart.
    pub fn audit(&self, seen: &mut Vec<(usize, i64)>) {
        let mut now = Vec::new();
        for row in self.rows.iter() {
            let object = &self.parts.objects[row];
            now.extend(self.drift(row, Stat::Scur, &object.current).map(|by| (row * 2, by)));
            now.extend(self.drift(row, Stat::Qcur, &object.queued).map(|by| (row * 2 + 1, by)));
        }
        for (place, by) in &now {
            if seen.contains(&(*place, *by)) {
                let object = &self.parts.objects[place / 2];
                let cell = if place % 2 == 0 { &object.current } else { &object.queued };
                let mend = |n: u32| Some((i64::from(n) - by).clamp(0, i64::from(u32::MAX)) as u32);
                let _ = cell.fetch_update(Relaxed, Relaxed, mend);
                self.changed();
            }
        }
        *seen = now;
    }

    fn drift(&self, row: usize, stat: Stat, cell: &AtomicU32) -> Option<i64> {
        let said = || -> i64 {
            let lines = self.parts.lines.iter().zip(self.parts.processes.iter());
            let alive = lines.filter(|(_, process)| process.is_taken());
            alive.map(|(lines, _)| lines[row].cells[stat as usize].load(Relaxed) as i64).sum()
        };
        let (before, total, after) = (said(), i64::from(cell.load(Relaxed)), said());
        (before == after && total != before).then_some(total - before)
    }

    /// Frees the rows that none of these views names any more. Their counts are gone.
    pub fn free_rows<'a>(&self, in_use: impl Iterator<Item = &'a Shared>) {
        let mut keep: Vec<bool> = vec![false; self.parts.objects.len()];
        let views: Vec<&Rows> = in_use.map(|view| &view.rows).chain([&self.rows]).collect();
        views.iter().flat_map(|rows| rows.iter()).for_each(|row| keep[row] = true);
        for (row, object) in self.parts.objects.iter().enumerate() {
            if keep[row] || object.key.load(Relaxed) == 0 {
                continue;
            }
            object.key.store(0, Relaxed);
            clear_object(object);
            self.parts.lines.iter().chain([&self.parts.base]).for_each(|lines| clear_line(&lines[row]));
            let server = &self.parts.servers[row];
            server.set_addr(None);
            for cell in [
                &server.admin,
                &server.down,
                &server.weight,
                &server.failures,
                &server.streak,
                &server.check_status,
                &server.check_code,
                &server.check_ms,
                &server.checks,
                &server.check_failures,
                &server.downs,
            ] {
                cell.store(0, Relaxed);
            }
        }
    }
}

fn take_back(line: &CounterLine, stat: Stat, total: &AtomicU32) {
    let had = line.cells[stat as usize].load(Relaxed) as u32;
    if had > 0 {
        lower(total, had);
    }
}

fn clear_line(line: &CounterLine) {
    line.cells.iter().for_each(|cell| cell.store(0, Relaxed));
    for rate in &line.rates {
        [&rate.start, &rate.now, &rate.before, &rate.max].iter().for_each(|cell| cell.store(0, Relaxed));
    }
}

fn clear_object(object: &ObjectCell) {
    object_words(object).iter().for_each(|cell| cell.store(0, Relaxed));
    [&object.last_session, &object.changed_ms, &object.down_ms]
        .iter()
        .for_each(|cell| cell.store(0, Relaxed));
}

fn object_words(object: &ObjectCell) -> [&AtomicU32; 10] {
    [
        &object.current,
        &object.current_max,
        &object.queued,
        &object.queued_max,
        &object.maxconn,
        &object.state,
        &object.sess_rate_max,
        &object.conn_rate_max,
        &object.req_rate_max,
        &object.shutdowns,
    ]
}

/// Carries limits, states and counts of all objects into fresh memory. What processes of the old
/// generation count from here on stays in the old one.
pub(super) fn carry_over(from: &Parts, to: &Parts) {
    for (row, (old, new)) in from.objects.iter().zip(to.objects.iter()).enumerate() {
        if old.key.load(Relaxed) == 0 {
            continue;
        }
        new.key.store(old.key.load(Relaxed), Relaxed);
        old.name.iter().zip(&new.name).for_each(|(a, b)| b.store(a.load(Relaxed), Relaxed));
        object_words(old).iter().zip(object_words(new)).for_each(|(a, b)| b.store(a.load(Relaxed), Relaxed));
        // Nobody of the new generation has anything open yet.
        new.current.store(0, Relaxed);
        new.queued.store(0, Relaxed);
        for (a, b) in [
            (&old.last_session, &new.last_session),
            (&old.changed_ms, &new.changed_ms),
            (&old.down_ms, &new.down_ms),
        ] {
            b.store(a.load(Relaxed), Relaxed);
        }
        carry_server(&from.servers[row], &to.servers[row]);
        carry_counts(from, to, row);
    }
    let (old, new) = (&from.global[0], &to.global[0]);
    for (a, b) in [
        (&old.maxconn, &new.maxconn),
        (&old.maxsslconn, &new.maxsslconn),
        (&old.conn_rate, &new.conn_rate),
        (&old.sess_rate, &new.sess_rate),
        (&old.ssl_rate, &new.ssl_rate),
    ] {
        b.store(a.load(Relaxed), Relaxed);
    }
    new.captures.store(old.captures.load(Relaxed), Relaxed);
    let generation = from.header[0].generation.load(Relaxed);
    to.header[0].generation.store(generation, Relaxed);
    carry_infos(from, to);
}

fn carry_server(old: &super::layout::ServerCell, new: &super::layout::ServerCell) {
    new.set_addr(old.addr());
    for (a, b) in [
        (&old.admin, &new.admin),
        (&old.down, &new.down),
        (&old.weight, &new.weight),
        (&old.streak, &new.streak),
        (&old.check_status, &new.check_status),
        (&old.check_code, &new.check_code),
        (&old.check_ms, &new.check_ms),
        (&old.checks, &new.checks),
        (&old.check_failures, &new.check_failures),
        (&old.downs, &new.downs),
    ] {
        b.store(a.load(Relaxed), Relaxed);
    }
}

/// The new base is "minus what was counted": readers subtract it and so add the old counts.
fn carry_counts(from: &Parts, to: &Parts, row: usize) {
    let lines = || from.lines.iter().map(|lines| (&lines[row], true));
    for stat in Stat::ALL {
        let old = super::counters::sum(*stat, lines(), Some(&from.base[row]));
        let base = &to.base[row].cells[*stat as usize];
        match stat.row().kind {
            Kind::Counter => base.store(0u64.wrapping_sub(old), Relaxed),
            Kind::Max => base.store(old, Relaxed),
            Kind::Gauge | Kind::Mean => {}
        }
    }
}

fn carry_infos(from: &Parts, to: &Parts) {
    let slots = from.processes.len() - 1;
    let (old, new) = (&from.processes[slots], &to.processes[to.processes.len() - 1]);
    for info in Info::ALL.iter().filter(|info| info.row().kind == Kind::Counter) {
        let at = *info as usize;
        let values = from.processes.iter().take(slots).map(|cell| cell.infos[at].load(Relaxed));
        let sum = values.fold(0u64, u64::wrapping_add).wrapping_sub(old.infos[at].load(Relaxed));
        new.infos[at].store(0u64.wrapping_sub(sum), Relaxed);
    }
}

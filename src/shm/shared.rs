//! [`Shared`]: the memory as one process sees it, by the ids of its configuration.
//!
//! The master makes it ([`Shared::new`]), gives a place to every process before forking it
//! ([`Shared::reserve`]), makes the next view for a new configuration ([`Shared::renew`]), and buries the
//! dead ([`Shared::bury`]). Everybody counts through `&Shared` at the cost of a load and a store.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::sync::Arc;

use lighterman_sys::event::Bell;
use lighterman_sys::map::Region;

use super::carve::{self, Parts, Sizes};
use super::changelog::MAPS;
use super::counters::{self, Rate, Stat};
use super::gate;
use super::layout::{CounterLine, GlobalCell, ObjectCell, ProcessCell, ServerCell};
use super::objects::{Names, Object, Rows};
use super::processes::{ProcessView, Role};
use super::stick::{Spec, Tables};
use super::vars::VARS;
use crate::base::ids::ServerId;
use crate::base::limits::PROCESSES_MAX;

/// Further stretches of shared memory, by name: session cache, keys, tables. Words of 8 bytes.
pub type Extras = BTreeMap<&'static str, usize>;

/// The memory as one process sees it.
#[derive(Debug)]
pub struct Shared {
    pub(super) parts: Parts,
    pub(super) rows: Rows,
    slot: u32,
    /// The generation of the configuration this view is for.
    generation: u32,
    bells: Arc<Vec<Bell>>,
    extras: BTreeMap<&'static str, Region<AtomicU64>>,
    pub(super) stick: Tables,
}

impl Shared {
    /// Memory for a configuration: `processes` at once, old generations not counted.
    pub fn new(names: &Names, extras: &Extras, processes: usize) -> io::Result<Shared> {
        let slots = if processes <= 1 { 1 } else { (processes * GENERATIONS).min(PROCESSES_MAX as usize) };
        let parts = carve::make(Sizes { rows: room_for(names), slots })?;
        let bells = (0..slots).map(|_| Bell::new()).collect::<io::Result<_>>()?;
        let rows = Rows::assign(names, &parts.objects);
        let shared = Shared {
            parts,
            rows: rows.ok_or(io::ErrorKind::OutOfMemory)?,
            slot: 0,
            generation: 0,
            bells: Arc::new(bells),
            extras: BTreeMap::new(),
            stick: Tables::default(),
        };
        shared.with_extras(extras)
    }

    /// The view for another configuration on the same memory: objects of the same name keep their rows.
    /// When they do not fit any more, the view is on new memory into which everything is carried over.
    pub fn renew(&self, names: &Names, extras: &Extras) -> io::Result<Shared> {
        let bells = Arc::clone(&self.bells);
        let (parts, rows) = match Rows::assign(names, &self.parts.objects) {
            Some(rows) => (self.parts.clone(), rows),
            None => {
                let parts = carve::make(Sizes { rows: room_for(names), slots: self.bells.len() })?;
                super::carry::carry_over(&self.parts, &parts);
                let (old, new) = (self.process(), &parts.processes[self.slot as usize]);
                new.reserve(Role::from_bits(old.roles.load(Relaxed)), 0, self.generation());
                new.move_in(old.pid.load(Relaxed), old.started_us.load(Relaxed));
                let rows = Rows::assign(names, &parts.objects).ok_or(io::ErrorKind::OutOfMemory)?;
                (parts, rows)
            }
        };
        let generation = parts.header[0].generation.fetch_add(1, AcqRel) + 1;
        // changes to maps are changes to the files as one configuration has read them; variables are its own
        let kept = self.extras.iter().filter(|(name, _)| ![MAPS, VARS].contains(*name));
        let old = kept.map(|(name, region)| (*name, region.clone())).collect();
        Shared { parts, rows, slot: self.slot, generation, bells, extras: old, stick: self.stick.clone() }
            .with_extras(extras)
    }

    fn with_extras(mut self, extras: &Extras) -> io::Result<Shared> {
        for (name, words) in extras {
            if self.extras.get(name).is_none_or(|region| region.len() != *words) {
                self.extras.insert(name, Region::alone(*words)?);
            }
        }
        self.extras.retain(|name, _| extras.contains_key(name));
        Ok(self)
    }

    /// A second view of the same, for a process that keeps several.
    pub fn view(&self) -> Shared {
        Shared {
            parts: self.parts.clone(),
            rows: self.rows.clone(),
            slot: self.slot,
            generation: self.generation,
            bells: Arc::clone(&self.bells),
            extras: self.extras.iter().map(|(name, region)| (*name, region.clone())).collect(),
            stick: self.stick.clone(),
        }
    }

    /// The stick tables.
    #[inline]
    pub fn stick(&self) -> &Tables {
        &self.stick
    }

    /// Makes the stick tables of the configuration, or takes over those of the one before. Before the first fork with
    /// this view. Returns what operators should know, one line each.
    pub fn make_tables(&mut self, specs: &[Spec], now_ms: u64) -> io::Result<Vec<String>> {
        let (tables, notices) = self.stick.renew(specs, self.slots(), now_ms)?;
        self.stick = tables;
        Ok(notices)
    }

    /// A further stretch of memory; `None` when the configuration needs none of this name.
    pub fn extra(&self, name: &str) -> Option<&Region<AtomicU64>> {
        self.extras.get(name)
    }

    /// Generation of the configuration this view is for, from 0.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Generation of the newest configuration on this memory.
    pub fn newest_generation(&self) -> u32 {
        self.parts.header[0].generation.load(Relaxed)
    }

    // ---- places of processes

    /// A free place, taken for a process about to start.
    pub fn reserve(&self, roles: Role, number: u32) -> Option<u32> {
        let free = (0..self.slots()).find(|slot| !self.parts.processes[*slot as usize].is_taken())?;
        self.parts.processes[free as usize].reserve(roles, number, self.generation());
        Some(free)
    }

    /// Makes this view that of the process in `slot`: it counts in its own lines from now on.
    pub fn enter(&mut self, slot: u32, pid: u32, wall_us: u64) {
        self.slot = slot.min(self.slots() - 1);
        self.process().move_in(pid, wall_us);
    }

    /// This process's place.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Places there are.
    pub fn slots(&self) -> u32 {
        self.parts.lines.len() as u32
    }

    /// This process.
    #[inline]
    pub fn process(&self) -> &ProcessCell {
        &self.parts.processes[self.slot as usize]
    }

    /// The process in any place.
    pub fn process_at(&self, slot: u32) -> &ProcessCell {
        &self.parts.processes[slot.min(self.slots() - 1) as usize]
    }

    /// All processes.
    pub fn processes(&self) -> impl Iterator<Item = ProcessView> + '_ {
        (0..self.slots()).filter_map(|slot| self.parts.processes[slot as usize].view(slot))
    }

    /// The bell of the process in a place: ring it when it should look at its wishes or at what changed.
    pub fn bell(&self, slot: u32) -> &Bell {
        &self.bells[slot.min(self.slots() - 1) as usize]
    }

    // ---- what can change at run time

    /// A number that every change raises.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.parts.header[0].changes.load(Acquire)
    }

    /// Tells all processes that something changed.
    pub fn changed(&self) {
        self.parts.header[0].changes.fetch_add(1, AcqRel);
        for process in self.processes().filter(|process| process.slot != self.slot) {
            // A bell that cannot be rung belongs to a process that is gone.
            let _ = self.bell(process.slot).ring();
        }
    }

    /// Limits and gauges of the whole program.
    #[inline]
    pub fn global(&self) -> &GlobalCell {
        &self.parts.global[0]
    }

    /// What all processes know of an object.
    #[inline]
    pub fn object(&self, of: Object) -> &ObjectCell {
        &self.parts.objects[self.rows.of(of)]
    }

    /// A server's health and what the operator wants of it.
    #[inline]
    pub fn server(&self, id: ServerId) -> &ServerCell {
        &self.parts.servers[self.rows.of(Object::Server(id))]
    }

    // ---- counting, in this process's own lines

    #[inline]
    fn line(&self, of: Object) -> &CounterLine {
        &self.parts.lines[self.slot as usize][self.rows.of(of)]
    }

    /// Counts.
    #[inline]
    pub fn count(&self, of: Object, stat: Stat, n: u64) {
        counters::add(&self.line(of).cells[stat as usize], n);
    }

    /// Takes back from a gauge.
    #[inline]
    pub fn uncount(&self, of: Object, stat: Stat, n: u64) {
        counters::sub(&self.line(of).cells[stat as usize], n);
    }

    /// Raises a maximum.
    #[inline]
    pub fn raise(&self, of: Object, stat: Stat, to: u64) {
        counters::raise(&self.line(of).cells[stat as usize], to);
    }

    /// Takes a value into a sliding mean.
    #[inline]
    pub fn slide(&self, of: Object, stat: Stat, value: u64) {
        counters::slide(&self.line(of).cells[stat as usize], value);
    }

    /// Counts an event that has a rate.
    #[inline]
    pub fn tick(&self, of: Object, rate: Rate, now_ms: u64, n: u32) {
        self.line(of).rates[rate as usize].add(now_ms, n);
    }

    // ---- gauges that all processes share, because limits hold for all together

    /// A session begins. Returns how many there are now.
    #[inline]
    pub fn session_begins(&self, of: Object) -> u32 {
        let cell = self.object(of);
        self.count(of, Stat::Scur, 1);
        let now = cell.current.fetch_add(1, Relaxed).wrapping_add(1);
        counters::raise_shared(&cell.current_max, now);
        now
    }

    /// Makes room for a session that may begin, unless there are `limit` (0: no limit) already. What
    /// does not begin is taken back with [`Shared::session_ends`].
    pub fn session_fits(&self, of: Object, limit: u32) -> bool {
        let limit = if limit == 0 { u32::MAX } else { limit };
        let taken = self.object(of).current.fetch_update(AcqRel, Relaxed, |n| (n < limit).then_some(n + 1));
        if taken.is_ok() {
            self.count(of, Stat::Scur, 1);
        }
        taken.is_ok()
    }

    /// The session that [`Shared::session_fits`] made room for has begun.
    #[inline]
    pub fn session_came(&self, of: Object) {
        let cell = self.object(of);
        counters::raise_shared(&cell.current_max, cell.current.load(Relaxed));
    }

    /// A session has ended.
    #[inline]
    pub fn session_ends(&self, of: Object) {
        self.uncount(of, Stat::Scur, 1);
        lower(&self.object(of).current, 1);
    }

    /// A request starts to wait. Returns how many wait now.
    pub fn wait_begins(&self, of: Object) -> u32 {
        let cell = self.object(of);
        self.count(of, Stat::Qcur, 1);
        let now = cell.queued.fetch_add(1, Relaxed).wrapping_add(1);
        counters::raise_shared(&cell.queued_max, now);
        now
    }

    /// A request waits no more.
    pub fn wait_ends(&self, of: Object) {
        self.uncount(of, Stat::Qcur, 1);
        lower(&self.object(of).queued, 1);
    }

    /// Who of this process waits first for an object, by rank: the least comes first over all processes.
    pub fn tell_first(&self, of: Object, rank: Option<u64>) {
        // 0 is nobody, so that the most urgent is the greatest
        self.line(of).waits.store(rank.map_or(0, |rank| (!rank).max(1)), SeqCst);
    }

    /// The other process that has the one who waits first for any of these objects, and its rank.
    pub fn first_elsewhere(&self, of: &[Object]) -> Option<(u32, u64)> {
        let waiting = of.iter().filter(|of| self.object(**of).queued.load(SeqCst) > 0);
        let all = waiting.flat_map(|of| {
            let row = self.rows.of(*of);
            let others = self.parts.lines.iter().enumerate().filter(|(slot, _)| *slot != self.slot as usize);
            others.map(move |(slot, lines)| (slot as u32, lines[row].waits.load(SeqCst)))
        });
        let first = all.filter(|(_, waits)| *waits != 0).max_by_key(|(_, waits)| *waits)?;
        Some((first.0, !first.1))
    }

    /// A connection from a client, unless the whole program has as many as it may.
    pub fn conn_fits(&self) -> bool {
        let global = self.global();
        let limit = match global.maxconn.load(Relaxed) {
            0 => u32::MAX,
            limit => limit,
        };
        match global.conns.fetch_update(AcqRel, Relaxed, |n| (n < limit).then_some(n + 1)) {
            Ok(before) => {
                self.process().count(counters::Info::Conns, 1);
                counters::raise_shared(&global.conns_max, before + 1);
                true
            }
            Err(_) => {
                self.process().count(counters::Info::MaxconnReached, 1);
                false
            }
        }
    }

    /// A connection from a client has ended.
    pub fn conn_ends(&self) {
        counters::sub(&self.process().infos[counters::Info::Conns as usize], 1);
        lower(&self.global().conns, 1);
    }

    /// How long clients must wait because they come too fast, microseconds; `None`: they may come. `tls`: they will speak
    /// TLS; `limit`: sessions per second of their frontend.
    pub fn clients_wait_us(&self, front: Object, limit: u32, tls: bool, now_us: u64) -> Option<u64> {
        let global = self.global();
        let wait = |gate, per_s: u32| gate::wait_us(gate, per_s, now_us);
        let mut longest = wait(&global.conn_gate, global.conn_rate.load(Relaxed));
        longest = longest.max(wait(&global.sess_gate, global.sess_rate.load(Relaxed)));
        if tls {
            longest = longest.max(wait(&global.ssl_gate, global.ssl_rate.load(Relaxed)));
        }
        if limit > 0 {
            longest = longest.max(wait(&self.object(front).gate, limit));
        }
        longest
    }

    /// A client has come: it counts for the rates.
    pub fn client_came(&self, front: Object, limit: u32, tls: bool, now_us: u64) {
        let global = self.global();
        gate::take(&global.conn_gate, global.conn_rate.load(Relaxed), now_us);
        gate::take(&global.sess_gate, global.sess_rate.load(Relaxed), now_us);
        if tls {
            gate::take(&global.ssl_gate, global.ssl_rate.load(Relaxed), now_us);
        }
        if limit > 0 {
            gate::take(&self.object(front).gate, limit, now_us);
        }
    }

    /// A TLS connection, unless the whole program has as many as it may.
    pub fn ssl_conn_fits(&self) -> bool {
        let global = self.global();
        let limit = match global.maxsslconn.load(Relaxed) {
            0 => u32::MAX,
            limit => limit,
        };
        let taken = global.ssl_conns.fetch_update(AcqRel, Relaxed, |n| (n < limit).then_some(n + 1));
        if taken.is_ok() {
            self.process().count(counters::Info::SslConns, 1);
        }
        taken.is_ok()
    }

    /// A TLS connection has ended.
    pub fn ssl_conn_ends(&self) {
        counters::sub(&self.process().infos[counters::Info::SslConns as usize], 1);
        lower(&self.global().ssl_conns, 1);
    }
}

/// Subtracts, but not below 0: a count that went wrong because somebody was killed must not wrap.
pub(super) fn lower(cell: &std::sync::atomic::AtomicU32, n: u32) {
    let _ = cell.fetch_update(AcqRel, Relaxed, |now| Some(now.saturating_sub(n)));
}

/// Generations that have places at once: under quick reloads, many old ones still finish their work.
const GENERATIONS: usize = 16;

/// Rows to make for a configuration: its own, as many again for what reloads add, and row 0.
fn room_for(names: &Names) -> usize {
    names.rows() * 2 + 64 + 1
}

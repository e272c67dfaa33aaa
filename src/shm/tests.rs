//! The memory seen by several processes, over deaths and reloads.

use std::sync::atomic::Ordering::Relaxed;

use lighterman_sys::fork::fork_alone;

use super::*;
use crate::base::ids::{ListenerId, ProxyId, ServerId};

fn names(servers: &[&str]) -> Names {
    Names {
        proxies: vec!["web".into(), "app".into()],
        servers: servers.iter().map(|name| (ProxyId(1), name.to_string())).collect(),
        listeners: vec![(ProxyId(0), ":80".into())],
    }
}

fn shared(servers: &[&str]) -> Shared {
    let mut shared = Shared::new(&names(servers), &Extras::from([("sessions", 100)]), 4).unwrap();
    let slot = shared.reserve(Role::MASTER, 0).unwrap();
    shared.enter(slot, std::process::id(), 1);
    shared
}

/// Runs `body` as a worker of its own and buries it.
fn worker(shared: &Shared, body: impl FnOnce(&Shared)) -> u32 {
    let slot = shared.reserve(Role::WORKER, 1).unwrap();
    let child = fork_alone(|| {
        let mut own = shared.view();
        own.enter(slot, std::process::id(), 2);
        body(&own);
        0
    });
    assert!(child.unwrap().wait().unwrap().success());
    slot
}

const FRONT: Object = Object::Front(ProxyId(0));
const BACK: Object = Object::Back(ProxyId(1));

#[test]
fn readers_add_up_and_the_dead_keep_their_counts() {
    let shared = shared(&["s1"]);
    let count = |own: &Shared| {
        own.count(FRONT, Stat::Stot, 10);
        own.count(Object::Listener(ListenerId(0)), Stat::Bin, 7);
        own.raise(BACK, Stat::QtimeMax, u64::from(own.slot()) * 100);
        (0..5000).for_each(|_| own.slide(BACK, Stat::Rtime, 20));
        own.session_begins(FRONT);
        own.process().count(Info::CumConns, 3);
        own.tick(FRONT, Rate::Sess, 5000, 4);
        assert!(own.conn_fits());
    };
    let slots = [worker(&shared, count), worker(&shared, count)];
    assert_eq!(slots, [1, 2]);
    assert_eq!((shared.sum(FRONT, Stat::Stot), shared.sum(FRONT, Stat::Scur)), (20, 2));
    assert_eq!(shared.sum(Object::Listener(ListenerId(0)), Stat::Bin), 14);
    assert_eq!((shared.sum(BACK, Stat::QtimeMax), shared.sum(BACK, Stat::Rtime)), (200, 20));
    assert_eq!((shared.rate(FRONT, Rate::Sess, 5500), shared.rate_max(FRONT, Rate::Sess, 5500)), (8, 8));
    assert_eq!((shared.info(Info::CumConns), shared.info(Info::Conns)), (6, 2));
    assert_eq!(shared.global().conns.load(Relaxed), 2);
    slots.iter().for_each(|slot| shared.bury(*slot));
    assert_eq!((shared.sum(FRONT, Stat::Stot), shared.sum(FRONT, Stat::Scur)), (20, 0));
    assert_eq!(shared.object(FRONT).current.load(Relaxed), 0);
    assert_eq!(shared.object(FRONT).current_max.load(Relaxed), 2);
    assert_eq!((shared.info(Info::CumConns), shared.info(Info::Conns)), (6, 0));
    assert_eq!(shared.global().conns.load(Relaxed), 0);
    assert_eq!(worker(&shared, count), 1, "the place is used again and counts on");
    assert_eq!(shared.sum(FRONT, Stat::Stot), 30);
}

#[test]
fn counters_follow_the_name_over_a_reload() {
    let first = shared(&["s1", "s2"]);
    first.count(Object::Server(ServerId(0)), Stat::Stot, 1);
    first.count(Object::Server(ServerId(1)), Stat::Stot, 2);
    first.server(ServerId(1)).set_weight(5);
    first.extra("sessions").unwrap()[3].store(77, Relaxed);
    let second = first.renew(&names(&["s3", "s2", "s1"]), &Extras::from([("sessions", 100)])).unwrap();
    assert_eq!(second.generation(), 1);
    let counted = |shared: &Shared, id| shared.sum(Object::Server(ServerId(id)), Stat::Stot);
    assert_eq!([0, 1, 2].map(|id| counted(&second, id)), [0, 2, 1]);
    assert_eq!(second.server(ServerId(1)).weight(9), 5);
    assert_eq!(second.object(Object::Server(ServerId(1))).label(), "app/s2");
    assert_eq!(second.extra("sessions").unwrap()[3].load(Relaxed), 77);
    first.count(Object::Server(ServerId(0)), Stat::Stot, 10);
    assert_eq!(counted(&second, 2), 11, "the old generation still counts");
    let third = second.renew(&names(&["s3"]), &Extras::from([("sessions", 50)])).unwrap();
    assert_eq!(third.extra("sessions").unwrap()[3].load(Relaxed), 0, "another size starts afresh");
    third.free_rows([&third].into_iter());
    let fourth = third.renew(&names(&["s3", "s1"]), &Extras::new()).unwrap();
    assert_eq!(counted(&fourth, 1), 0, "forgotten with the last configuration that named it");
    assert!(fourth.extra("sessions").is_none());
}

#[test]
fn a_configuration_that_does_not_fit_moves_with_its_counts() {
    let first = shared(&["s1"]);
    worker(&first, |own| own.count(Object::Server(ServerId(0)), Stat::Stot, 3));
    first.process().count(Info::CumReq, 8);
    first.global().maxconn.store(100, Relaxed);
    first.clear(Clear::All);
    first.count(Object::Server(ServerId(0)), Stat::Stot, 4);
    first.raise(Object::Server(ServerId(0)), Stat::TtimeMax, 50);
    first.process().count(Info::CumReq, 2);
    let many: Vec<String> = (0..500).rev().map(|n| format!("s{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let second = first.renew(&names(&many), &Extras::new()).unwrap();
    let s1 = Object::Server(ServerId(498));
    assert_eq!((second.sum(s1, Stat::Stot), second.sum(s1, Stat::TtimeMax)), (4, 50));
    second.count(s1, Stat::Stot, 1);
    assert_eq!((second.sum(s1, Stat::Stot), second.info(Info::CumReq)), (5, 2));
    assert_eq!(second.global().maxconn.load(Relaxed), 100);
    assert_eq!(second.generation(), 1);
}

#[test]
fn clearing_sets_back_without_writing_others_lines() {
    let shared = shared(&["s1"]);
    worker(&shared, |own| {
        own.count(FRONT, Stat::Stot, 5);
        own.raise(BACK, Stat::QtimeMax, 9);
        own.tick(FRONT, Rate::Sess, 1000, 3);
        for _ in 0..3 {
            own.session_begins(FRONT);
        }
    });
    shared.clear(Clear::Maxima);
    assert_eq!((shared.sum(FRONT, Stat::Stot), shared.sum(BACK, Stat::QtimeMax)), (5, 0));
    assert_eq!(shared.object(FRONT).current_max.load(Relaxed), 3);
    shared.clear(Clear::All);
    assert_eq!((shared.sum(FRONT, Stat::Stot), shared.sum(FRONT, Stat::Scur)), (0, 3));
    shared.count(FRONT, Stat::Stot, 2);
    assert_eq!(shared.sum(FRONT, Stat::Stot), 2);
    assert_eq!(shared.rate_max(FRONT, Rate::Sess, 90_000), 0);
}

#[test]
fn limits_hold_for_all_processes_together() {
    let shared = shared(&["s1"]);
    let server = Object::Server(ServerId(0));
    let slots: Vec<u32> = (0..4).map(|n| shared.reserve(Role::WORKER, n + 1).unwrap()).collect();
    let children: Vec<_> = slots
        .iter()
        .map(|slot| {
            fork_alone(|| {
                let mut own = shared.view();
                own.enter(*slot, std::process::id(), 2);
                for _ in 0..20_000 {
                    if own.session_fits(server, 3) {
                        if own.object(server).current.load(Relaxed) > 3 {
                            return 1;
                        }
                        own.session_ends(server);
                    }
                }
                0
            })
            .unwrap()
        })
        .collect();
    assert!(children.iter().all(|child| child.wait().unwrap().success()));
    assert_eq!(shared.object(server).current.load(Relaxed), 0);
    assert!(shared.object(server).current_max.load(Relaxed) <= 3);
    shared.global().maxconn.store(1, Relaxed);
    assert!(shared.conn_fits() && !shared.conn_fits());
    shared.conn_ends();
    assert!(shared.conn_fits());
    assert_eq!(shared.info(Info::MaxconnReached), 1);
}

#[test]
fn killed_workers_leave_no_session_behind() {
    let shared = shared(&["s1"]);
    let mut seen = Vec::new();
    for round in 0..20 {
        let slot = shared.reserve(Role::WORKER, 1).unwrap();
        let child = fork_alone(|| {
            let mut own = shared.view();
            own.enter(slot, std::process::id(), 2);
            loop {
                own.session_begins(FRONT);
                own.session_begins(FRONT);
                own.session_ends(FRONT);
            }
        })
        .unwrap();
        while shared.sum(FRONT, Stat::Scur) < 100 * (round + 1) {
            std::hint::spin_loop();
        }
        child.kill(9).unwrap();
        child.wait().unwrap();
        shared.bury(slot);
        assert!(shared.object(FRONT).current.load(Relaxed) <= 2 * (round as u32 + 1));
    }
    shared.audit(&mut seen);
    shared.audit(&mut seen);
    assert_eq!(shared.object(FRONT).current.load(Relaxed), 0);
    shared.session_begins(FRONT);
    shared.audit(&mut seen);
    shared.audit(&mut seen);
    assert_eq!(shared.object(FRONT).current.load(Relaxed), 1);
}

#[test]
fn processes_have_places_hearts_and_wishes() {
    let shared = shared(&[]);
    let slot = shared.reserve(Role::WORKER, 3).unwrap();
    let cell = shared.process_at(slot);
    cell.move_in(4711, 99);
    cell.beat();
    cell.set_phase(Phase::Serving);
    cell.ask(Wish::Stop);
    cell.ask(Wish::Drain);
    assert_eq!(cell.wish(), Wish::Stop);
    let view = shared.processes().find(|view| view.pid == 4711).unwrap();
    assert_eq!((view.slot, view.number, view.heart, view.phase), (slot, 3, 1, Phase::Serving));
    assert_eq!((view.roles, view.started_us), (Role::WORKER, 99));
    let before = shared.changes();
    shared.changed();
    assert!(shared.changes() > before && shared.bell(slot).hear().unwrap());
    shared.bury(slot);
    assert!(shared.processes().all(|view| view.pid != 4711));
    while shared.reserve(Role::WORKER, 1).is_some() {}
    assert_eq!(shared.processes().count() as u32, shared.slots());
}

#[test]
fn what_has_no_row_counts_nowhere() {
    let shared = shared(&[]);
    shared.count(Object::Server(ServerId(99)), Stat::Stot, 5);
    assert_eq!(shared.sum(FRONT, Stat::Stot) + shared.sum(BACK, Stat::Stot), 0);
}

//! Commands about proxies and servers, against a board in memory.

use crate::base::ids::{ListenerId, ProxyId, ServerId};
use crate::base::tick::{Now, Tick};
use crate::plan::global::CliLevel;
use crate::plan::listener::Listener;
use crate::plan::scheme::{Balancer, HashType, Scheme, ServerView};
use crate::plan::server::Server;
use crate::plan::{BindAddr, Mode, Plan, Proxy, ServerAddr};
use crate::service::board::Board;
use crate::service::cli::fuzz::{memory_for, Nobody};
use crate::service::cli::session::CliSession;
use crate::service::cli::{CliCx, Face};
use crate::shm::{Admin, Extras, FrontState, Health, Info, Object, Rate, Role, Shared, Stat};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

struct NoScheme;

impl Scheme for NoScheme {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn start(&self, _: &[ServerView], _: &HashType) -> Box<dyn Balancer> {
        unimplemented!("no traffic here")
    }
}

/// `listen hl` with two servers and a socket, `backend be2` with one on a UNIX socket.
fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.global.maxconn = 9985;
    for (id, name) in [(0, "hl"), (1, "be2")] {
        let mut proxy = Proxy::new(ProxyId(id), name, Box::new(NoScheme));
        proxy.is_backend = true;
        plan.proxies.push(proxy);
    }
    let mut server = |name: &str, proxy: u32, puid, addr| {
        let id = ServerId(plan.servers.len() as u32);
        let mut server = Server::new(id, ProxyId(proxy), name, addr);
        server.puid = puid;
        plan.proxies[proxy as usize].servers.push(id);
        plan.servers.push(server);
        plan.servers.len() - 1
    };
    let s1 = server("s1", 0, 1, ServerAddr::Inet("127.0.0.1:1".parse().unwrap()));
    let s2 = server("s2", 0, 2, ServerAddr::Inet("127.0.0.1:2".parse().unwrap()));
    server("s3", 1, 1, ServerAddr::Unix("/run/s3".into()));
    plan.servers[s1].weight = 10;
    plan.servers[s1].cookie = Some("c,1".to_owned());
    plan.servers[s2].backup = true;
    plan.listeners.push(Listener::new(
        ListenerId(0),
        ProxyId(0),
        BindAddr::Inet("127.0.0.1:8080".parse().unwrap()),
    ));
    let hl = &mut plan.proxies[0];
    hl.listeners.push(ListenerId(0));
    hl.is_frontend = true;
    hl.socket_stats = true;
    hl.mode = Mode::Http;
    plan
}

/// A moment long after the start.
const NOW: Now = Now { tick: Tick(100_000), mono_us: 100_000_000, wall_us: 1_795_213_073_460_000 };

struct Scene {
    plan: Plan,
    shm: Shared,
}

impl Scene {
    fn new() -> Scene {
        let plan = plan();
        let shm = memory_for(&plan).unwrap();
        Scene { plan, shm }
    }

    fn board(&self) -> Board<'_> {
        Board { plan: &self.plan, shm: &self.shm, now: NOW }
    }

    /// A health check said so.
    fn goes_down(&self, id: ServerId) {
        let object = self.shm.object(Object::Server(id));
        self.shm.server(id).set_health(Health::Down, object, Tick(NOW.tick.0 - 7000));
    }

    /// What is answered, without the empty line at the end.
    fn say(&self, typed: &str) -> String {
        self.say_as(CliLevel::Admin, typed)
    }

    fn say_as(&self, level: CliLevel, typed: &str) -> String {
        let mut host = Nobody;
        let mut session = CliSession::new(level, Face::Traffic, Duration::from_secs(10));
        session.feed(typed.as_bytes());
        session.end_of_input();
        let mut heard = Vec::new();
        while !session.is_over() || !session.output().is_empty() {
            session.run(&mut CliCx { plan: &self.plan, now: NOW, shm: &self.shm, host: &mut host });
            heard.extend_from_slice(session.output());
            session.consume(session.output().len());
        }
        let heard = String::from_utf8(heard).unwrap();
        heard.strip_suffix('\n').expect("an empty line ends each answer").to_owned()
    }
}

#[test]
fn answers_and_errors_are_those_that_scripts_know() {
    let rows = [
        ("get weight hl/s1", "10 (initial 10)\n"),
        ("get weight #1/#1", "10 (initial 10)\n"),
        ("get weight hl/x", "No such server.\n"),
        ("get weight x/x", "No such backend.\n"),
        ("get weight hl", "Require 'backend/server'.\n"),
        ("get weight", "Require 'backend/server'.\n"),
        ("set weight hl/s1 300", "Absolute weight can only be between 0 and 256 inclusive.\n"),
        ("set weight hl/s1 -3", "Absolute weight can only be between 0 and 256 inclusive.\n"),
        ("set weight hl/s1 -3%", "Relative weight must be positive.\n"),
        ("set weight hl/s1 abc", "Invalid weight 'abc'.\n"),
        ("set weight hl/s1", "Require <weight> or <weight%>.\n"),
        ("set weight hl/s1 50%; get weight hl/s1", "\n5 (initial 10)\n"),
        ("set server hl/s1 weight 3; get weight hl/s1", "\n3 (initial 10)\n"),
        ("set server hl/s1 state foo", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"),
        ("set server hl/s1 foo", "usage: set server <backend>/<server> addr | state | weight\n"),
        ("set server hl/s1 fqdn x", "'set server <srv> fqdn' is known, but not supported yet.\n"),
        ("set server hl/s1 addr zz", "Invalid addr 'zz' by 'stats socket command'\n"),
        ("set server hl/s1 addr", "set server <b>/<s> addr requires an address and optionally a port.\n"),
        ("set server hl/s1 addr 127.0.0.1", "no need to change the addr by 'stats socket command'\n"),
        (
            "set server hl/s1 addr 127.0.0.1 port 1",
            "no need to change the addr, no need to change the port by 'stats socket command'\n",
        ),
        (
            "set server hl/s1 addr 1.2.3.4 port 22",
            "IP changed from '127.0.0.1' to '1.2.3.4', port changed from '1' to '22' by 'stats socket command'\n",
        ),
        ("set server hl/s1 addr 1.2.3.4 port 70000", "Invalid port '70000' by 'stats socket command'\n"),
        (
            "set server be2/s3 addr 1.2.3.4",
            "the address of a server on a UNIX socket cannot be changed by 'stats socket command'\n",
        ),
        ("set maxconn server hl/s1", "Require <maxconn>.\n"),
        ("set maxconn server hl/s1 x", "Value out of range.\n"),
        ("set maxconn frontend", "A frontend name is expected.\n"),
        ("set maxconn frontend be2 10", "No such frontend.\n"),
        ("set maxconn frontend hl", "Expects an integer value.\n"),
        ("set maxconn global", "Expects an integer value.\n"),
        ("set maxconn global 10000", "Value out of range.\n"),
        ("disable frontend zz", "No such frontend.\n"),
        ("enable frontend hl", "All sockets are already enabled.\n"),
        ("shutdown frontend hl; enable frontend hl", "\nFrontend was previously shut down, cannot enable.\n"),
        ("show servers state zz", "Can't find backend.\n"),
        ("show stat zz 1 1", "No such proxy.\n"),
        ("show errors zz", "No such proxy.\n"),
        ("show errors hl both", "Expects 'request' or 'response' instead of 'both'.\n"),
        ("show backend", "# name\nhl\nbe2\n"),
        ("show sess", ""),
        ("shutdown session", "Session pointer expected (use 'show sess').\n"),
        ("shutdown session 0x12", "No such session (use 'show sess').\n"),
    ];
    for (typed, want) in rows {
        assert_eq!(Scene::new().say(typed), want, "{typed:?}");
    }
}

#[test]
fn writes_need_their_level() {
    let scene = Scene::new();
    for typed in [
        "set weight hl/s1 3",
        "disable server hl/s1",
        "enable server hl/s1",
        "set server hl/s1 state maint",
        "set maxconn server hl/s1 3",
        "shutdown sessions server hl/s1",
        "disable frontend hl",
        "set maxconn global 3",
        "set rate-limit connections global 3",
        "clear counters all",
    ] {
        assert_eq!(scene.say_as(CliLevel::Operator, typed), "Permission denied\n", "{typed:?}");
    }
    assert_eq!(scene.say_as(CliLevel::User, "clear counters"), "Permission denied\n");
    assert_eq!(scene.shm.changes(), 0, "nothing was turned");
}

#[test]
fn writes_reach_the_board() {
    let scene = Scene::new();
    let s1 = ServerId(0);
    let view = || scene.board().server(s1);
    scene.say("disable server hl/s1");
    assert_eq!(view().admin, Admin::Maint);
    scene.say("enable server hl/s1;set server hl/s1 state drain");
    assert_eq!(view().admin, Admin::Drain);
    scene.say("set maxconn server hl/s1 7;set server hl/s1 addr ::1 port 80");
    assert_eq!((view().maxconn, view().addr), (7, Some("[::1]:80".parse().unwrap())));
    scene.say("shutdown sessions server hl/s1;disable frontend hl;set maxconn frontend hl 12");
    assert_eq!(scene.shm.object(Object::Server(s1)).shutdowns.load(Relaxed), 1);
    assert_eq!(scene.shm.changes(), 8, "each change is announced");
    assert_eq!(scene.board().front(ProxyId(0)), FrontState::Paused);
    assert_eq!(scene.board().front_maxconn(ProxyId(0)), 12);
    scene.say("set maxconn global 100;set rate-limit sessions global 9;set rate-limit ssl-sessions global 8");
    let limits = scene.board().limits();
    assert_eq!((limits.maxconn, limits.sess_rate, limits.ssl_rate, limits.conn_rate), (100, 9, 8, 0));
    scene.say("set maxconn global 0");
    assert_eq!(scene.board().limits().maxconn, 9985);
}

/// One CSV line as `name=value` of the columns that are not counters.
fn shown(csv: &str, row: usize, names: &str) -> String {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let line = lines.nth(row).unwrap().replace("\"c,1\"", "c_1");
    let values: Vec<&str> = line.split(',').collect();
    assert_eq!(values.len(), header.len());
    let value = |name: &str| values[header.iter().position(|column| *column == name).unwrap()];
    names.split(' ').map(value).collect::<Vec<_>>().join("|")
}

#[test]
fn counters_are_added_up_over_processes_and_cleared() {
    let mut scene = Scene::new();
    scene.shm = Shared::new(&scene.plan.names(), &Extras::new(), 4).unwrap();
    let (front, server) = (Object::Front(ProxyId(0)), Object::Server(ServerId(0)));
    for number in 1..3 {
        let slot = scene.shm.reserve(Role::WORKER, number).unwrap();
        scene.shm.enter(slot, 1000 + number, 5_000_000);
        scene.shm.session_begins(front);
        scene.shm.count(front, Stat::Stot, 10);
        scene.shm.count(front, Stat::Hrsp2xx, 4);
        scene.shm.tick(front, Rate::Sess, NOW.tick.0, 3);
        scene.shm.count(server, Stat::Lbtot, 5);
        scene.shm.raise(server, Stat::RtimeMax, 70);
        scene.shm.process().count(Info::CumReq, 8);
    }
    scene.shm.session_ends(front);
    scene.shm.object(server).last_session.store(NOW.wall_us / 1_000_000 - 9, Relaxed);
    let front_row = || shown(&scene.say("show stat hl 1 -1"), 0, "scur smax stot hrsp_2xx rate rate_max");
    let server_row = || shown(&scene.say("show stat hl 4 1"), 0, "lbtot rtime_max lastsess");
    let requests =
        || scene.say("show info").lines().find(|line| line.starts_with("CumReq")).unwrap().to_owned();
    assert_eq!(front_row(), "1|2|20|8|6|6");
    assert_eq!((server_row().as_str(), requests().as_str()), ("10|70|9", "CumReq: 16"));
    scene.say("clear counters");
    assert_eq!(front_row(), "1|1|20|8|6|6", "only maxima");
    assert_eq!(server_row(), "10|0|9");
    scene.say("clear counters all");
    assert_eq!(front_row(), "1|1|0|0|6|6");
    assert_eq!((server_row().as_str(), requests().as_str()), ("0|0|9", "CumReq: 0"));
}

#[test]
fn rows_stand_in_order_and_say_what_is_configured() {
    let scene = Scene::new();
    let csv = scene.say("show stat");
    let names =
        "pxname svname type iid sid status slim weight act bck addr cookie mode algo uweight lastsess";
    let rows = [
        "hl|FRONTEND|0|1|0|OPEN|9985|||||", /* no weight, no address */
        "hl|sock-1|3|1|1|OPEN|0||||127.0.0.1:8080|",
        "hl|s1|2|1|1|no check||10|1|0|127.0.0.1:1|c_1",
        "hl|s2|2|1|2|no check||1|0|1|127.0.0.1:2|",
        "hl|BACKEND|1|1|0|UP|999|10|1|1||",
        "be2|s3|2|2|1|no check||1|1|0|unix|",
        "be2|BACKEND|1|2|0|UP|1|1|1|0||",
    ];
    let tails = [
        "|http|||",
        "|http|||",
        "|http||10|-1",
        "|http||1|-1",
        "|http|roundrobin|10|-1",
        "|tcp||1|-1",
        "|tcp|roundrobin|1|-1",
    ];
    assert_eq!(csv.lines().count(), rows.len() + 1);
    for (at, (row, tail)) in rows.iter().zip(tails).enumerate() {
        assert_eq!(shown(&csv, at, names), format!("{row}{tail}"));
    }
    // Counters: HTTP ones only in mode http, each kind its own.
    assert_eq!(shown(&csv, 0, "scur stot qcur hrsp_2xx req_tot econ"), "0|0||0|0|");
    assert_eq!(shown(&csv, 2, "scur stot qcur hrsp_2xx req_tot econ"), "0|0|0|0|0|0");
    assert_eq!(shown(&csv, 5, "scur stot qcur hrsp_2xx req_tot econ"), "0|0|0|||0");
}

#[test]
fn states_show_in_the_statistics() {
    let scene = Scene::new();
    scene.say("disable server hl/s1");
    let csv = scene.say("show stat hl 7 -1");
    assert_eq!(shown(&csv, 1, "svname status weight uweight"), "s1|MAINT|0|10");
    assert_eq!(shown(&csv, 3, "svname status weight act bck"), "BACKEND|UP|1|0|1", "the backup stands in");
    scene.goes_down(ServerId(1));
    let csv = scene.say("show stat hl 6 -1");
    assert_eq!(shown(&csv, 1, "svname status lastchg downtime"), "s2|DOWN|7|7");
    assert_eq!(shown(&csv, 2, "svname status weight act bck"), "BACKEND|DOWN|0|0|0");
    scene.say("set server hl/s1 state drain;disable frontend hl");
    assert_eq!(shown(&scene.say("show stat hl 4 1"), 0, "svname status weight"), "s1|DRAIN|0");
    assert_eq!(shown(&scene.say("show stat hl 1 -1"), 0, "status"), "PAUSED");
}

#[test]
fn statistics_can_be_filtered() {
    let scene = Scene::new();
    let names = |typed: &str| {
        let csv = scene.say(typed);
        let lines: Vec<String> = (0..csv.lines().count() - 1).map(|row| shown(&csv, row, "svname")).collect();
        lines.join(" ")
    };
    assert_eq!(names("show stat hl 4 -1"), "s1 s2");
    assert_eq!(names("show stat 2 -1 -1"), "s3 BACKEND");
    assert_eq!(names("show stat -1 2 0"), "BACKEND BACKEND");
    assert_eq!(names("show stat -1 4 1"), "s1 s3");
    scene.say("disable server hl/s1");
    assert_eq!(names("show stat hl 4 -1 no-maint"), "s2");
    scene.goes_down(ServerId(1));
    assert_eq!(names("show stat up"), "FRONTEND sock-1 BACKEND s3 BACKEND");
}

#[test]
fn typed_and_json_forms_of_the_statistics() {
    let scene = Scene::new();
    let typed = scene.say("show stat hl 1 -1 typed");
    assert!(
        typed.starts_with("F.1.0.0.pxname.1:KNSV:str:hl\nF.1.0.1.svname.1:KNSV:str:FRONTEND\n"),
        "{typed}"
    );
    assert!(scene.say("show stat typed desc").lines().all(|line| line.ends_with('"')));
    let json: serde_json::Value = serde_json::from_str(&scene.say("show stat json")).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 7);
    assert_eq!(json[2][1]["value"]["value"], "s1");
    let none: serde_json::Value = serde_json::from_str(&scene.say("show stat be2 1 -1 json")).unwrap();
    assert!(none.as_array().unwrap().is_empty());
}

#[test]
fn info_in_all_its_forms() {
    let scene = Scene::new();
    let plain = scene.say("show info");
    assert!(plain.starts_with("Name: lighterman\nVersion: ") && plain.contains("\nMaxconn: 9985\n"));
    assert!(!plain.contains("\n\n"));
    assert!(scene.say("show info typed").starts_with("0.Name.1:POSV:str:lighterman\n1.Version.1:POSV:str:"));
    assert!(scene.say("show info desc").starts_with("Name: lighterman:\"product\"\n"));
    let json: serde_json::Value = serde_json::from_str(&scene.say("show info json")).unwrap();
    assert_eq!(json[5]["field"]["name"], "Process_num");
}

#[test]
fn servers_are_listed() {
    let scene = Scene::new();
    scene.say("set weight hl/s1 4;disable server hl/s2;set server hl/s2 addr 1.2.3.4");
    let state = scene.say("show servers state hl");
    let lines: Vec<&str> = state.lines().collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].starts_with("# be_id be_name srv_id srv_name srv_addr srv_op_state"));
    assert_eq!(lines[1].split(' ').count(), 26);
    assert_eq!(lines[2], "1 hl 1 s1 127.0.0.1 2 0 4 10 1795213068 1 0 2 0 0 0 0 - 1 - 0 0 - - 0");
    assert_eq!(lines[3], "1 hl 2 s2 1.2.3.4 0 1 1 1 1795213068 1 0 2 0 0 0 0 - 2 - 0 0 - - 0");
    let conn = scene.say("show servers conn be2");
    assert_eq!(
        conn,
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim \
         idle_cur idle_per_thr[1]\nbe2/s3 2/1 - 0 - 5000 0 0 0 0 0 -1 0 0\n"
    );
}

#[test]
fn no_errors_are_captured_where_nobody_works() {
    let title = Scene::new().say("show errors");
    assert!(title.starts_with("Total events captured on [") && title.ends_with(".460] : 0\n"), "{title}");
}

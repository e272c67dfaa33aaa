//! Variables: those of the service in all workers, and how much they may hold.

use lighterman_harness::{Proxy, Server};

use crate::program;

/// The header `x-v` of an answer.
fn asked(proxy: &Proxy, uri: &str) -> String {
    proxy.get("fe", uri).field("x-v").unwrap_or("-").to_string()
}

#[test]
fn all_workers_see_the_variables_of_the_service() {
    let server = Server::named("x");
    let text = |start: u32| {
        format!(
            "global\n    set-var proc.n int({start})\n    set-var-fmt proc.t \"n is %[var(proc.n)]\"\n    \
             set-var proc.ip ipv4(192.0.2.1)\n    set-var proc.yes bool(true)\n\
             frontend fe\n    bind \"fd@${{fe}}\"\n    default_backend be\n    \
             http-request set-var(proc.n) var(proc.n),add(1) if {{ path /inc }}\n    \
             http-request unset-var(proc.n) if {{ path /unset }}\n    \
             http-request set-var(proc.long) req.hdr(x-long) if {{ path /long }}\n    \
             http-after-response set-header X-V \"%[var(proc.n)] %[var(proc.t)] %[var(proc.ip)] %[var(proc.yes)]\"\n\
             backend be\n    server s1 {}\n",
            server.addr()
        )
    };
    let proxy = program(&text(5)).listen("fe").workers(3).start();
    assert_eq!(asked(&proxy, "/"), "5 n is 5 192.0.2.1 1");
    for n in 6..16 {
        // each on a connection of its own, in whatever worker takes it
        assert_eq!(asked(&proxy, "/inc"), format!("{n} n is 5 192.0.2.1 1"));
        assert_eq!(asked(&proxy, "/"), format!("{n} n is 5 192.0.2.1 1"));
    }
    // the command socket
    for (line, answer) in [
        ("get var proc.n", "proc.n: type=sint value=<15>\n"),
        ("get var proc.t", "proc.t: type=str value=<n is 5>\n"),
        ("get var proc.ip", "proc.ip: type=ipv4 value=<192.0.2.1>\n"),
        ("get var proc.none", "Variable not found.\n"),
        ("get var txn.n", "Variable not found.\n"),
        ("get var", "Missing process-wide variable identifier.\n"),
        ("set var proc.n int(1)", "This command is restricted to experimental mode only.\n"),
        ("experimental-mode on; set var proc.n int(40); get var proc.n", "proc.n: type=sint value=<40>\n"),
        (
            "experimental-mode on; set var proc.t fmt n=%[var(proc.n)]; get var proc.t",
            "proc.t: type=str value=<n=40>\n",
        ),
        (
            "experimental-mode on; set var proc.n expr str(a),upper; get var proc.n",
            "proc.n: type=str value=<A>\n",
        ),
        ("experimental-mode on; set var txn.n int(1)", "only scope 'proc' is permitted here.\n"),
        (
            "experimental-mode on; set var proc.other int(1)",
            "no rule of the configuration uses 'proc.other'.\n",
        ),
        (
            "experimental-mode on; set var proc.n src",
            "'set var': \"src\" looks at the client's connection, which this place does not have\n",
        ),
        ("experimental-mode on; set var proc.n path(", "'set var': "),
    ] {
        let said = proxy.command(line);
        assert!(said.contains(answer), "{line}: {said:?}");
    }
    assert_eq!(asked(&proxy, "/"), "A n=40 192.0.2.1 1");
    assert_eq!(asked(&proxy, "/unset"), "n=40 192.0.2.1 1");
    // what is too long for a slot is not set
    let mut client = proxy.connect("fe");
    for (len, set) in [(1008, true), (1009, false)] {
        client.send(format!("GET /long HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(len)));
        assert_eq!(client.response().status, 200);
        assert!(
            proxy.command("get var proc.long").contains(&format!("<{}>", "y".repeat(1008))),
            "{len} {set}"
        );
    }
}

#[test]
fn a_reload_begins_anew() {
    let text = |n: u32| {
        format!(
            "global\n    set-var proc.n int({n})\nfrontend fe\n    bind \"fd@${{fe}}\"\n    \
             http-request set-var(proc.n) var(proc.n),add(1)\n    \
             http-request return status 200 hdr X-V \"%[var(proc.n)]\"\n"
        )
    };
    let mut proxy = program(&text(5)).listen("fe").workers(2).start();
    assert_eq!((asked(&proxy, "/"), asked(&proxy, "/")), ("6".into(), "7".into()));
    proxy.rewrite(&text(100));
    assert!(proxy.master("reload").contains("Success=1"));
    assert_eq!(asked(&proxy, "/"), "101");
}

#[test]
fn what_does_not_fit_is_not_set() {
    let proxy = program(
        "global\n    tune.vars.proc-max-size 200\n    tune.vars.txn-max-size 120\n    tune.vars.reqres-max-size 90\n\
         frontend fe\n    bind \"fd@${fe}\"\n    \
         http-request set-var(req.v) req.hdr(x-long) if { path /req }\n    \
         http-request set-var(txn.v) req.hdr(x-long) if { path /txn }\n    \
         http-request set-var(sess.v) req.hdr(x-long) if { path /sess }\n    \
         http-request set-var(proc.v) req.hdr(x-long) if { path /proc }\n    \
         http-request return status 200 hdr X-V \"%[var(req.v),length]%[var(txn.v),length]%[var(sess.v),length]%[var(proc.v),length]\"\n",
    )
    .listen("fe")
    .start();
    // what one counts besides its bytes is known only to the program: between these lengths lies the limit
    for (scope, fits, fits_not) in [("req", 20, 90), ("txn", 50, 120), ("sess", 100, 200), ("proc", 100, 200)]
    {
        for (len, seen) in [(fits, fits.to_string()), (fits_not, "".to_string())] {
            let mut client = proxy.connect("fe");
            let long = "z".repeat(len);
            client.send(format!("GET /{scope} HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"));
            let response = client.response();
            // a variable of the service keeps what it had
            let seen = if scope == "proc" { fits.to_string() } else { seen };
            assert_eq!((response.status, response.field("x-v")), (200, Some(seen.as_str())), "{scope} {len}");
        }
    }
}

#[test]
fn variables_that_feed_on_themselves_stop_at_their_limit() {
    let proxy = program(
        "global\n    tune.vars.sess-max-size 5000\nfrontend fe\n    bind \"fd@${fe}\"\n    \
         http-request set-var-fmt(sess.a) \"%[var(sess.a)]%[var(sess.b)]x\"\n    \
         http-request set-var-fmt(sess.b) \"%[var(sess.b)]%[var(sess.a)]y\"\n    \
         http-request return status 200 hdr X-V %[var(sess.a),length]:%[var(sess.b),length]\n",
    )
    .listen("fe")
    .start();
    let mut client = proxy.connect("fe");
    let mut last = (0, 0);
    for _ in 0..30 {
        let response = client.get("/");
        assert_eq!(response.status, 200);
        let lengths = response.field("x-v").and_then(|text| text.split_once(':')).unwrap();
        last = (lengths.0.parse().unwrap(), lengths.1.parse().unwrap());
    }
    let (a, b): (usize, usize) = last;
    assert!(a + b > 500 && a + b < 5000, "{last:?}");
}

//! HTTP through a whole worker.

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn keep_alive_on_both_sides() {
    for seed in 0..256 {
        within(&plan(Mode::Http, 1), seed, |w| {
            let mut client = w.client();
            w.say(&mut client, GET);
            let mut server = w.server();
            for n in 0..3 {
                if n > 0 {
                    w.say(&mut client, GET);
                }
                assert_eq!(text(w.hear(&mut server)), text(GET.to_vec()), "seed {seed}");
                w.say(&mut server, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                let answer = text(w.hear(&mut client));
                assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "seed {seed}");
                assert_eq!(w.verdict(), (200, "----".into()));
            }
            w.no_server();
        });
    }
}

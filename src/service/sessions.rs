//! The lines of `show sess`: one per stream of a worker.
//!
//! A worker fills a [`SessionLine`] per stream when the control role asks; tools rely on the leading
//! id, `proto=`, `src=`, `fe=`, `be=`, `srv=` and `age=`, the rest is for people.

use std::fmt::Write;
use std::time::Duration;

/// One direction of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChannelLine {
    /// Flags, as the program keeps them.
    pub flags: u32,
    /// Bytes that wait to be forwarded.
    pub held: usize,
    /// Until it has to receive, to send, to be analysed.
    pub deadlines: [Option<Duration>; 3],
}

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionLine<'a> {
    /// Worker from 1.
    pub worker: u32,
    /// Id of the stream within the worker.
    pub id: u64,
    /// `tcpv4`, `tcpv6` or `unix_stream`.
    pub proto: &'a str,
    /// Address and port of the client, `unix:` and the socket's number.
    pub src: &'a str,
    /// Its frontend.
    pub frontend: &'a str,
    /// Its backend, once chosen.
    pub backend: Option<&'a str>,
    /// Its server, once chosen.
    pub server: Option<&'a str>,
    /// Since it began.
    pub age: Duration,
    /// How often its task ran.
    pub calls: u64,
    /// Client to server.
    pub req: ChannelLine,
    /// Server to client.
    pub res: ChannelLine,
    /// Descriptors of both sides, -1 for none.
    pub fds: [i32; 2],
    /// Until its next deadline.
    pub expires: Option<Duration>,
}

/// Names a stream on the command socket: worker and id in one number.
pub fn session_id(worker: u32, id: u64) -> u64 {
    // Generations stay far below the 24 bits left to them between two looks at the list.
    u64::from(worker) << 56 | (id & 0x00ff_ffff_ffff_ffff)
}

/// Reads what [`session_id`] made and `show sess` printed: the worker and the id.
pub fn parse_session_id(text: &str) -> Option<(u32, u64)> {
    let number = u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()?;
    Some(((number >> 56) as u32, number & 0x00ff_ffff_ffff_ffff))
}

/// Appends one line.
pub fn write_session(out: &mut String, line: &SessionLine<'_>) {
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "{:#x}: proto={} src={} fe={} be={} srv={} ts=00 epoch=0 age={} calls={} rate=0 cpu=0 lat=0",
        session_id(line.worker, line.id),
        line.proto,
        line.src,
        line.frontend,
        line.backend.unwrap_or("<NONE>"),
        line.server.unwrap_or("<none>"),
        short(line.age),
        line.calls,
    );
    for (name, channel) in [("rq", &line.req), ("rp", &line.res)] {
        let [rx, wx, ax] = channel.deadlines.map(left);
        let _ =
            write!(out, " {name}[f={:x}h,i={},an=00h,rx={rx},wx={wx},ax={ax}]", channel.flags, channel.held);
    }
    let [front, back] = line.fds;
    let _ =
        writeln!(out, " scf=[8,0h,fd={front}] scb=[8,1h,fd={back}] exp={} rc=0 c_exp=", left(line.expires));
}

/// A duration in at most two units, as the lists print it.
fn short(of: Duration) -> String {
    let s = of.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{}h", s / 86_400, s / 3600 % 24),
    }
}

/// What is left of a deadline, nothing when there is none.
fn left(of: Option<Duration>) -> String {
    of.map_or(String::new(), short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_tools_look_for() {
        let line = SessionLine {
            worker: 2,
            id: 0x1_0000_0003,
            proto: "tcpv4",
            src: "127.0.0.1:4711",
            frontend: "web",
            server: Some("s1"),
            age: Duration::from_secs(63),
            calls: 2,
            req: ChannelLine { held: 7, deadlines: [Some(Duration::from_secs(5)), None, None], flags: 0xc0 },
            fds: [12, -1],
            expires: Some(Duration::from_secs(7200)),
            ..SessionLine::default()
        };
        let mut out = String::new();
        write_session(&mut out, &line);
        assert_eq!(
            out,
            "0x200000100000003: proto=tcpv4 src=127.0.0.1:4711 fe=web be=<NONE> srv=s1 ts=00 epoch=0 age=1m3s \
             calls=2 rate=0 cpu=0 lat=0 rq[f=c0h,i=7,an=00h,rx=5s,wx=,ax=] rp[f=0h,i=0,an=00h,rx=,wx=,ax=] \
             scf=[8,0h,fd=12] scb=[8,1h,fd=-1] exp=2h0m rc=0 c_exp=\n"
        );
    }

    #[test]
    fn ids_survive_the_way_through_a_terminal() {
        let text = format!("{:#x}", session_id(3, 0x7_0000_0009));
        assert_eq!(parse_session_id(&text), Some((3, 0x7_0000_0009)));
        assert_eq!(parse_session_id("0xzz"), None);
    }
}

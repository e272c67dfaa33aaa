//! The processes of a run: forks them, shares the work out, prints what they count, gathers their distributions.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use lighterman_sys::fork::{die_with_parent, fork_child, Child};
use lighterman_sys::map::Region;
use lighterman_sys::signal::Signals;

use crate::clock;
use crate::counters::{Line, Totals};
use crate::engine::{self, Job};
use crate::histogram::Times;
use crate::options::{Form, Options};
use crate::report::{self, Moment};

/// A signal (Ctrl-C) is noticed after this time at the latest.
const LISTEN: Duration = Duration::from_millis(100);

/// The part of process `index` of `count`.
pub fn share(job: &Job, index: usize, count: usize) -> Job {
    let part = |n: u64| n / count as u64 + u64::from((index as u64) < n % count as u64);
    Job {
        conns: part(job.conns as u64) as usize,
        quota: job.quota.map(part),
        rate: job.rate.map(|rate| rate / count as f64),
        ..job.clone()
    }
}

struct Member {
    child: Child,
    /// What it says at its end.
    voice: UnixStream,
}

/// Runs it all. The exit code says whether every request got its answer.
pub fn run(options: &Options) -> Result<bool, String> {
    let wanted = options.job.conns as u64 / options.procs as u64 + 64;
    let limit =
        lighterman_sys::cred::raise_descriptor_limit(wanted).map_err(|e| format!("descriptor limit: {e}"))?;
    if limit < wanted {
        return Err(format!(
            "{} connections per process need {wanted} descriptors, the limit (ulimit -n) is {limit}",
            options.job.conns / options.procs
        ));
    }
    for note in &options.notes {
        eprintln!("inject: {note}");
    }
    // before the children are made, so that they leave these signals to the parent
    let signals = Signals::collect(&[libc::SIGINT, libc::SIGTERM]).map_err(|e| format!("signals: {e}"))?;
    let lines: Region<Line> = Region::alone(options.procs).map_err(|e| format!("shared memory: {e}"))?;
    let start = clock::now();
    let mut crew = Vec::new();
    for index in 0..options.procs {
        let (voice, mut ours) = UnixStream::pair().map_err(|e| format!("cannot make a socket pair: {e}"))?;
        let job = share(&options.job, index, options.procs);
        let child =
            fork_child(|| work(&job, &lines[index], start, &mut ours)).map_err(|e| format!("fork: {e}"))?;
        crew.push(Member { child, voice });
    }
    let times = watch(options, &lines, start, crew, &signals)?;
    let totals = Totals::of(&lines);
    let elapsed = clock::now().duration_since(start).as_secs_f64();
    if options.form == Form::Short {
        print!("{}", report::summary(&totals, &times, elapsed));
    }
    if options.percentiles {
        print!("{}", report::percentiles(&times));
    }
    let most =
        |of: fn(&Line) -> u64| lines.iter().map(of).max().unwrap_or(0) as f64 / 1e6 / elapsed.max(1e-9);
    let (busy, delayed) = (most(|l| l.cpu_us.load(Relaxed)), most(|l| l.delay_us.load(Relaxed)));
    for warning in report::own_limits(&totals, busy, delayed) {
        eprintln!("inject: {warning}");
    }
    Ok(totals.failures() == 0)
}

/// The body of a child; its exit code.
fn work(job: &Job, line: &Line, start: Instant, voice: &mut UnixStream) -> i32 {
    let _ = die_with_parent(libc::SIGKILL); // else it ends by itself, only later
    let said = match engine::run(job, line, start) {
        Ok(times) => {
            let mut text = Vec::new();
            times.write(&mut text).map(|()| text)
        }
        Err(e) => Ok(format!("failed: {e}\n").into_bytes()),
    };
    match said.and_then(|text| voice.write_all(&text)) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Prints a line per second until all are done.
fn watch(
    options: &Options,
    lines: &[Line],
    start: Instant,
    crew: Vec<Member>,
    signals: &Signals,
) -> Result<Times, String> {
    println!("{}", report::header(options.form, options.status));
    let mut times = Times::default();
    let mut before = Totals::default();
    let mut last = start;
    let mut second = 1;
    let show = |second: f64, now: Instant, last: &mut Instant, before: &mut Totals| {
        let totals = Totals::of(lines);
        let ramp = options.job.ramp.as_secs_f64();
        let throttle = if ramp > 0.0 { (second / ramp * 100.0).min(100.0) as u32 } else { 100 };
        let span = now.duration_since(*last).as_secs_f64();
        let moment = Moment { elapsed: second, epoch: clock::epoch(), span, before, now: &totals, throttle };
        let text = report::line(options.form, options.status, &moment);
        println!("{text}");
        let _ = io::stdout().flush(); // nobody reads: the run goes on
        (*last, *before) = (now, totals);
    };
    for mut member in crew {
        let mut said = Vec::new();
        loop {
            let due = start + Duration::from_secs(second);
            let left = due.saturating_duration_since(clock::now());
            let left = left.clamp(Duration::from_micros(100), LISTEN);
            member.voice.set_read_timeout(Some(left)).map_err(|e| format!("cannot wait: {e}"))?;
            let mut piece = [0; 65536];
            match member.voice.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => said.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(format!("cannot hear a process: {e}")),
            }
            if signals.next().is_ok_and(|caught| caught.is_some()) {
                lines.iter().for_each(|line| line.stop.store(1, Relaxed));
            }
            let now = clock::now();
            if now >= due {
                show(second as f64, now, &mut last, &mut before);
                second += 1;
            }
        }
        if let Some(why) = said.strip_prefix(b"failed: ") {
            return Err(String::from_utf8_lossy(why).trim().to_string());
        }
        times
            .read(&mut BufReader::new(&said[..]))
            .map_err(|e| format!("cannot read a process's times: {e}"))?;
        let exit = member.child.wait().map_err(|e| format!("cannot wait for a process: {e}"))?;
        if !exit.success() {
            return Err(format!("a process ended with {exit}"));
        }
    }
    let now = clock::now();
    if Totals::of(lines) != before {
        show(now.duration_since(start).as_secs_f64(), now, &mut last, &mut before);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Asked;

    #[test]
    fn shares_add_up() {
        let line = "-c 12 -n 100 -R 300 http://127.0.0.1/";
        let Ok(Asked::Run(options)) = Options::parse(line.split(' ')) else { panic!("{line}") };
        let parts: Vec<Job> = (0..3).map(|index| share(&options.job, index, 3)).collect();
        assert_eq!(parts.iter().map(|p| p.quota.unwrap()).collect::<Vec<_>>(), [34, 33, 33]);
        assert!(parts.iter().all(|p| p.conns == 4 && p.rate == Some(100.0)));
    }
}

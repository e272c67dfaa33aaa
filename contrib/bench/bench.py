#!/usr/bin/env python3
"""Run the same work against several proxies, side by side, and compare.

The proxy is pinned on core 0; load generator and backend are pinned on core 1.
The figure that counts is the CPU time the proxy's processes used per unit of
work, because throughput depends on whatever else the machine has to run.

    bench.py --list
    bench.py --quick
    bench.py                        lighterman beside the peers found in PATH
    bench.py --subject other=/path/to/haproxy-3 --reference haproxy
    bench.py --workload http_ka --workload h2 --rounds 5 --syscalls
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace

from benchlib import limits, loadgen, client, procs, report, subjects, workloads
from benchlib.measure import Bench

TOOLS = ("inject", "term", "h2load", "openssl", "strace", "perf")
OWN_TOOLS = ("inject", "term")            # built here, as lighterman-NAME
OPTIONAL_TOOLS = ("strace", "perf", "h2load")
FAILURES = (OSError, procs.StartError, loadgen.LoadError, client.WrongAnswer,
            subprocess.SubprocessError)


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--subject", action="append", default=[], metavar="NAME=PATH[,family=F]",
                   help="measure this binary; repeatable; also from BENCH_SUBJECTS "
                        "(space separated). Family: " + ", ".join(subjects.FAMILIES))
    p.add_argument("--no-default-subjects", action="store_true",
                   help="only the subjects named, none from PATH")
    p.add_argument("--tool", action="append", default=[], metavar="NAME=PATH",
                   help="path of a helper (%s); else BENCH_<NAME>, else PATH"
                        % ", ".join(TOOLS))
    p.add_argument("--workload", action="append", default=[], metavar="NAME",
                   help="only these (repeatable); see --list")
    p.add_argument("--reference", metavar="NAME", help="subject the ratios refer to "
                   "(default: haproxy, else the first)")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=4, help="length of one load run")
    p.add_argument("--pace", type=int, default=0, metavar="N", help="offer only N requests/s "
                   "(HTTP/1 workloads): compares costs at equal load, nobody saturated")
    p.add_argument("--quick", action="store_true", help="one round of one second, "
                   "small counts: does it all work?")
    p.add_argument("--syscalls", action="store_true", help="count system calls per "
                   "request too, in a run of its own")
    p.add_argument("--profile", action="store_true", help="a perf recording per load "
                   "workload and subject too, in a run of its own")
    p.add_argument("--limits", action="store_true", help="measure the machine's own limits")
    p.add_argument("--no-load", action="store_true", help="skip the timed rounds")
    p.add_argument("--work-dir", help="certificates and scratch files (default: temporary)")
    p.add_argument("--out", default="bench-results", help="where results.json and results.md go")
    p.add_argument("--base-port", type=int, default=18480, help="two ports are used")
    p.add_argument("--list", action="store_true", help="show workloads and stop")
    return p.parse_args()


def built(name):
    """Path of a program of this project: beside its sources, or in PATH."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(top, "target")
    path = os.path.join(top, target, "release", name)
    return path if os.access(path, os.X_OK) else shutil.which(name)


def find_tools(flags):
    try:
        named = dict(flag.split("=", 1) for flag in flags)
    except ValueError:
        sys.exit("bench: want --tool NAME=PATH")
    found = {}
    for name in TOOLS:
        wanted = named.get(name) or os.environ.get("BENCH_" + name.upper())
        if wanted is None and name in OWN_TOOLS:
            wanted = built("lighterman-" + name) or "lighterman-" + name
        path = shutil.which(wanted or name)
        if path:
            found[name] = os.path.abspath(path)
        elif name in OWN_TOOLS:
            sys.exit(f"bench: {wanted} not found; build it (cargo build --release --workspace) "
                     f"or give --tool {name}=PATH")
        elif name not in OPTIONAL_TOOLS:
            sys.exit(f"bench: {wanted or name} not found; give --tool {name}=PATH")
    return found


def find_subjects(args):
    try:
        named = [subjects.parse(s) for s in
                 os.environ.get("BENCH_SUBJECTS", "").split() + args.subject]
    except ValueError as e:
        sys.exit(f"bench: {e}")
    if not named and not args.no_default_subjects and built("lighterman"):
        named = [subjects.parse(f"lighterman={built('lighterman')}")]
    chosen = {s.name: s for s in named}
    if not args.no_default_subjects:
        for s in subjects.from_path():
            chosen.setdefault(s.name, s)
    if not chosen:
        sys.exit("bench: nothing to measure; give --subject NAME=PATH")
    return chosen


def choose_workloads(args):
    unknown = [n for n in args.workload if n not in workloads.BY_NAME]
    if unknown:
        sys.exit(f"bench: no workload {unknown[0]}; see --list")
    return [w for w in workloads.ALL if not args.workload or w.name in args.workload]


def shrink(w):
    return replace(w, count=min(w.count, 200)) if w.kind in ("idle", "certs") else w


def version_of(subject):
    for flag in ("-v", "--version"):
        try:
            done = subprocess.run([subject.binary, flag], capture_output=True, timeout=10,
                                  stdin=subprocess.DEVNULL, check=False)
        except (OSError, subprocess.SubprocessError):
            continue
        lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        if done.returncode == 0 and lines:
            return lines[0][:100]
    return "?"


def attempt(what, action):
    """Run one measurement; a failure is a result, not an end."""
    try:
        return action()
    except FAILURES as e:
        print(f"  {what}: {type(e).__name__}: {e}", file=sys.stderr)
        return {"error": f"{type(e).__name__}: {e}"}


class Run:
    """The state of a run: what is measured, and what came out so far."""

    def __init__(self, args, bench, chosen, works, reference):
        self.args, self.bench = args, bench
        self.subjects, self.works = chosen, works
        self.state = {
            "reference": reference, "rounds": args.rounds, "seconds": args.seconds,
            "pace": args.pace,
            "subjects": {n: version_of(s) for n, s in chosen.items()},
            "limits": [], "results": {}, "syscalls": {},
        }

    def save(self):
        os.makedirs(self.args.out, exist_ok=True)
        with open(os.path.join(self.args.out, "results.json"), "w", encoding="utf-8") as f:
            json.dump(self.state, f, indent=1)
        with open(os.path.join(self.args.out, "results.md"), "w", encoding="utf-8") as f:
            f.write(report.render(self.state, self.works))

    def able(self, workload):
        if workload.h2 and "h2load" not in self.bench.tools:
            print(f"{workload.name}: skipped, no h2load", file=sys.stderr)
            return []
        return [s for s in self.subjects.values() if s.can(workload)]

    def timed(self, workload):
        """Rounds of A B C, A B C, ...: what drifts, drifts for all of them."""
        action = {"load": self.bench.load, "idle": self.bench.idle,
                  "start": self.bench.start, "certs": self.bench.certs}[workload.kind]
        results = self.state["results"].setdefault(workload.name, {})
        for number in range(self.args.rounds):
            for s in self.able(workload):
                what = f"{workload.name} round {number + 1} {s.name}"
                got = attempt(what, lambda s=s: action(s, workload))
                results.setdefault(s.name, []).append({"round": number, **got})
                if "cpu_per_unit" in got:
                    print(f"  {what}: {report.cost(got['cpu_per_unit'], workload.unit)}, "
                          f"{report.rate(got['throughput'], workload.unit)}, "
                          f"cores {got['core_busy']:.0%} {got['load_busy']:.0%}")
                elif "error" not in got:
                    print(f"  {what}: " + ", ".join(f"{k} {v:.6g}" for k, v in got.items()))
            self.save()

    def syscalls(self, workload):
        requests = 200 if workload.unit == "GB" else 2000
        table = self.state["syscalls"].setdefault(workload.name, {})
        for s in self.able(workload):
            what = f"{workload.name} syscalls {s.name}"
            table[s.name] = attempt(
                what, lambda s=s: self.bench.syscalls(s, workload, requests))
            if "error" not in table[s.name]:
                print(f"  {what}: {sum(table[s.name].values()):.2f}")
        self.save()

    def profile(self, workload):
        os.makedirs(self.args.out, exist_ok=True)
        for s in self.able(workload):
            path = os.path.join(self.args.out, f"perf-{workload.name}-{s.name}.data")
            attempt(f"{workload.name} profile {s.name}",
                    lambda s=s, path=path: self.bench.load(s, workload, profile=path))
            with open(path[:-len("data")] + "txt", "w", encoding="utf-8") as f:
                for sort, least in (("dso", "0.5"), ("dso,symbol", "0.3")):
                    subprocess.run(
                        [self.bench.tools["perf"], "report", "-i", path, "--stdio",
                         "--no-children", "-g", "none", "--sort", sort,
                         "--percent-limit", least],
                        stdout=f, stderr=subprocess.DEVNULL, check=False)
                    f.flush()
            if os.path.exists(path):
                os.unlink(path)


def alone():
    """Hold a lock while measuring: two runs at once would measure each other."""
    path = os.path.join(tempfile.gettempdir(), "lighterman-bench.lock")
    lock = open(path, "a", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("bench: another run is measuring on this machine; waiting for its end",
              file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def main():
    args = arguments()
    if args.list:
        for w in workloads.ALL:
            print(f"{w.name:22} {w.title}")
        return
    if os.cpu_count() < 2:
        sys.exit("bench: two cores are needed")
    if args.quick:
        args.rounds, args.seconds = 1, 1
    tools, chosen, works = find_tools(args.tool), find_subjects(args), choose_workloads(args)
    if args.quick:
        works = [shrink(w) for w in works]
    reference = args.reference or ("haproxy" if "haproxy" in chosen else next(iter(chosen)))
    if reference not in chosen:
        sys.exit(f"bench: reference {reference} is not among the subjects")
    for flag, tool in ((args.syscalls, "strace"), (args.profile, "perf")):
        if flag and tool not in tools:
            sys.exit(f"bench: {tool} not found; give --tool {tool}=PATH")

    lock = alone()              # until the process ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    procs.pin_self(procs.LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        work_dir = os.path.abspath(args.work_dir or scratch)
        os.makedirs(work_dir, exist_ok=True)
        bench = Bench(tools, work_dir, args.base_port, args.seconds, args.pace)
        run = Run(args, bench, chosen, works, reference)
        try:
            if args.limits:
                run.state["limits"] = limits.measure(tools["openssl"])
            for w in works:
                print(f"{w.name}: {w.title}")
                if not args.no_load:
                    run.timed(w)
                if args.syscalls and w.kind == "load":
                    run.syscalls(w)
                if args.profile and w.kind == "load":
                    run.profile(w)
        finally:
            bench.close()
            run.save()
    lock.close()
    print(f"\nwritten: {os.path.join(args.out, 'results.md')}")


if __name__ == "__main__":
    main()

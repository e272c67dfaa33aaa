"""Load generators: how to call them and what they said.

`inject` is this project's own; h1load takes the same options and prints the same lines."""

import re
import subprocess
from dataclasses import dataclass


@dataclass
class Load:
    """Totals of a run, and the pace while all connections were at work."""

    requests: int
    bytes: int
    errors: int
    requests_per_s: float
    bytes_per_s: float


class LoadError(RuntimeError):
    """The generator failed, or its answer could not be read."""


def command(tools, workload, port, seconds, requests=0, pace=0):
    """argv for one run, ended by time, or by a number of requests if given."""
    scheme = "https" if workload.tls else "http"
    url = f"{scheme}://127.0.0.1:{port}{workload.path}"
    if workload.h2:
        limit = ["-n", str(requests)] if requests else ["-D", str(seconds)]
        return [tools["h2load"], "-t", "1", "-c", str(workload.connections),
                "-m", str(workload.streams), *limit, url]
    argv = [tools["inject"], "-l", "-t", "1", "-c", str(workload.connections)]
    if pace:
        argv += ["-R", str(pace)]
    argv += ["-n", str(requests)] if requests else ["-d", str(seconds)]
    if workload.per_connection:         # the last one asks for Connection: close
        argv += ["-r", str(workload.per_connection)]
    if workload.tls:
        argv += ["--tls-ver", "TLS" + workload.tls]
        if workload.resume:
            argv += ["--tls-reuse"]
    return [*argv, url]


def run(tools, workload, port, seconds, requests=0, pace=0):
    argv = command(tools, workload, port, seconds, requests, pace)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=seconds + 60, check=False)
    text = done.stdout.decode(errors="replace")
    try:
        return _parse_h2load(text) if workload.h2 else _parse_inject(text, seconds)
    except (LookupError, ValueError, AttributeError) as e:
        tail = (text + done.stderr.decode(errors="replace"))[-500:]
        raise LoadError(f"{argv[0]} exited {done.returncode}: {tail}") from e


def _parse_inject(text, seconds):
    """One line a second: date conns tot_conn tot_req tot_bytes err cps rps ...

    It goes on for a while after the time is over, letting connections end, so
    the pace is taken from the lines within the time only.
    """
    rows = [line.split() for line in text.splitlines() if re.match(r"\s*\d", line)]
    last = rows[-1]
    full = min(seconds, len(rows))
    return Load(requests=int(last[3]), bytes=int(last[4]), errors=int(last[5]),
                requests_per_s=int(rows[full - 1][3]) / full,
                bytes_per_s=int(rows[full - 1][4]) / full)


def _parse_h2load(text):
    finished = re.search(r"finished in ([\d.]+)(us|ms|s)", text)
    took = float(finished.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[finished.group(2)]
    counts = re.search(r"requests: (\d+) total, .*?(\d+) succeeded, (\d+) failed, "
                       r"(\d+) errored, (\d+) timeout", text)
    done = int(counts.group(2))
    size = int(re.search(r"\((\d+)\) data", text).group(1))
    return Load(requests=done, bytes=size, errors=sum(int(counts.group(i)) for i in (3, 4, 5)),
                requests_per_s=done / took, bytes_per_s=size / took)

"""One measurement: one subject, one workload, one fresh process."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import replace

from . import client, loadgen, procs, tlsfiles
from .subjects import Site

SETTLE = 0.3            # seconds after start before the clock runs
STAND_IN_PATH = "/?s=2/w=3600k"     # 2 bytes, and leave the connection open
START_SETTLE = 1.0      # seconds before the memory after the start is read
IDLE_SETTLE = 2.0       # seconds before the memory of idle connections is read


class Bench:
    """Shared things of a run: tools, directories, ports, the backend."""

    def __init__(self, tools, work_dir, base_port, seconds, pace=0):
        self.tools = tools
        self.work_dir = work_dir
        self.port = base_port
        self.backend_port = base_port + 1
        self.seconds = seconds
        self.pace = pace            # requests/s offered, 0: as many as possible
        self.nofile = procs.raise_fd_limit(65536)
        self.backend = None
        self.started = 0.0          # when the proxy now running was executed

    # ---- backend -------------------------------------------------------
    def start_backend(self):
        if self.backend is not None and self.backend.poll() is None:
            return
        self.backend = procs.spawn(
            [self.tools["term"], "-db", "-L", f"127.0.0.1:{self.backend_port}"],
            procs.LOAD_CORE, os.path.join(self.work_dir, "backend.log"))
        client.wait_open(self.backend_port, lambda: self.backend.poll() is None, 5)

    def close(self):
        procs.stop(self.backend)
        self.backend = None

    # ---- proxy ---------------------------------------------------------
    def _site(self, workload, run_dir):
        site = Site(self.port, self.backend_port, run_dir,
                    max_connections=max(4096, workload.count + 500)
                    if workload.kind == "idle" else 4096,
                    nofile=self.nofile)
        if workload.tls and workload.kind != "certs":
            site.pem = tlsfiles.one(self.tools["openssl"], self.work_dir, workload.cert)
        if workload.kind == "certs":
            site.cert_dir = tlsfiles.many(
                self.tools["openssl"], self.work_dir, workload.count)
        return site

    @contextlib.contextmanager
    def proxy(self, subject, workload, wait=True):
        """The proxy, up and checked; gone on the way out."""
        run_dir = tempfile.mkdtemp(prefix=f"{subject.name}-", dir=self.work_dir)
        proc = None
        try:
            site = self._site(workload, run_dir)
            if workload.needs_backend or subject.template_for(workload) != workload.template \
                    or not subject.family.http_aware:
                self.start_backend()
            config = subject.configure(workload, site)
            log = os.path.join(run_dir, "proxy.log")
            self.started = time.monotonic()
            proc = procs.spawn(subject.family.argv(subject, config, workload),
                               procs.PROXY_CORE, log, cwd=run_dir)
            if wait:
                try:
                    client.wait_open(self.port, lambda: proc.poll() is None, 20)
                except OSError as e:
                    raise procs.StartError(_tail(log) or str(e)) from e
                time.sleep(SETTLE)
            yield proc
        finally:
            procs.stop(proc)
            _wait_closed(self.port)
            shutil.rmtree(run_dir, ignore_errors=True)

    # ---- kinds of work -------------------------------------------------
    def _body(self, subject, workload):
        """A stand-in has no answer of its own: ask its backend for 2 bytes."""
        if subject.template_for(workload) == workload.template or workload.path != "/":
            return workload, workload.body
        return replace(workload, path=STAND_IN_PATH), 2

    def load(self, subject, workload, profile=None):
        """CPU of the proxy per unit of work under load."""
        workload, body = self._body(subject, workload)
        with self.proxy(subject, workload) as proc:
            client.check(workload, self.port, body)
            recorder = _perf(self.tools, proc, profile, self.seconds) if profile else None
            pids = procs.tree(proc.pid)
            cpu0 = procs.cpu_of(pids)
            proxy0, load0 = map(procs.core_busy, (procs.PROXY_CORE, procs.LOAD_CORE))
            load = loadgen.run(self.tools, workload, self.port, self.seconds,
                               pace=self.pace)
            time.sleep(0.02)
            cpu = procs.cpu_of(procs.tree(proc.pid)) - cpu0
            proxy1, load1 = map(procs.core_busy, (procs.PROXY_CORE, procs.LOAD_CORE))
            memory = procs.memory_of(procs.tree(proc.pid))
            if recorder:
                recorder.wait(30)
        if workload.unit == "GB":
            units, pace = load.bytes / 1e9, load.bytes_per_s / 1e9
        else:
            units, pace = load.requests, load.requests_per_s
        if not units:
            raise loadgen.LoadError("no work was done")
        return {
            "units": units,
            "throughput": pace,
            "cpu_per_unit": cpu.total / units,
            "user_share": cpu.user / max(1e-9, cpu.user + cpu.system),
            # shares of a core while the work was going at that pace
            "proxy_busy": cpu.total / units * pace,
            "core_busy": (proxy1[0] - proxy0[0]) / units * pace,
            "load_busy": (load1[0] - load0[0]) / units * pace,
            "stolen": (proxy1[1] - proxy0[1] + load1[1] - load0[1]) / units * pace,
            "errors": load.errors,
            "rss_after": memory.rss,
        }

    def syscalls(self, subject, workload, requests):
        """{system call: calls per request} over a short run under strace."""
        workload, _ = self._body(subject, workload)
        with self.proxy(subject, workload) as proc:
            out = os.path.join(self.work_dir, "strace.out")
            argv = [self.tools["strace"], "-f", "-c", "-o", out]
            for pid in procs.tree(proc.pid):
                argv += ["-p", str(pid)]
            tracer = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(0.5)
                load = loadgen.run(self.tools, workload, self.port, 60, requests)
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait(10)
        counts = {}
        with open(out, encoding="utf-8") as f:
            for line in f:
                words = line.split()
                if len(words) >= 5 and re.match(r"[\d.]+$", words[0]) and words[-1] != "total":
                    counts[words[-1]] = int(words[3]) / load.requests
        return counts

    def idle(self, subject, workload):
        """Memory of the proxy for each idle connection that had one exchange."""
        workload, _ = self._body(subject, workload)
        # proxies want two descriptors for each connection they may have
        workload = replace(workload, count=min(workload.count, self.nofile // 2 - 1000))
        context = client.tls_context(workload.tls) if workload.tls else None
        held = []
        with self.proxy(subject, workload) as proc:
            at_start = procs.memory_of(procs.tree(proc.pid))
            for _ in range(50):         # first use costs that are not per connection
                with client.connect(self.port, context) as sock:
                    client.get(sock, workload.path)
            time.sleep(SETTLE)
            before = procs.memory_of(procs.tree(proc.pid))
            cpu0 = procs.cpu_of(procs.tree(proc.pid))
            try:
                for _ in range(workload.count):
                    sock = client.connect(self.port, context)
                    held.append(sock)
                    client.get(sock, workload.path)
                time.sleep(IDLE_SETTLE)
                after = procs.memory_of(procs.tree(proc.pid))
                cpu = procs.cpu_of(procs.tree(proc.pid)) - cpu0
                for sock in held[::max(1, len(held) // 50)]:     # still there?
                    client.get(sock, workload.path)
            finally:
                for sock in held:
                    sock.close()
        n = workload.count
        return {
            "connections": n,
            "rss_start": at_start.rss, "pss_start": at_start.pss,
            "rss_per_conn": (after.rss - before.rss) / n,
            "pss_per_conn": (after.pss - before.pss) / n,
            "cpu_per_conn": cpu.total / n,
        }

    def start(self, subject, workload):
        """Memory after the start: one worker, and each further one."""
        workload, _ = self._body(subject, workload)
        seen = {}
        for workers in (1, workload.count):
            with self.proxy(subject, replace(workload, workers=workers)) as proc:
                time.sleep(START_SETTLE)
                pids = procs.tree(proc.pid)
                seen[workers] = procs.memory_of(pids), len(pids)
        (one, processes_one), (many, processes_many) = seen[1], seen[workload.count]
        return {"pss_one": one.pss, "rss_one": one.rss, "processes_one": processes_one,
                "pss_further": (many.pss - one.pss) / (workload.count - 1),
                "processes_many": processes_many}

    def certs(self, subject, workload):
        """Time, CPU and memory until the last certificate can be served."""
        context = client.tls_context("1.3")
        name = tlsfiles.host_name(workload.count - 1)
        with self.proxy(subject, workload, wait=False) as proc:
            while True:
                try:
                    with client.connect(self.port, context, name, timeout=60) as sock:
                        seen = sock.getpeercert(binary_form=True)
                    break
                except OSError:
                    if proc.poll() is not None or time.monotonic() - self.started > 120:
                        raise procs.StartError(f"{subject.name} did not come up") from None
                    time.sleep(0.002)
            ready = time.monotonic() - self.started
            if name.encode() not in seen:
                raise client.WrongAnswer("another certificate was served")
            time.sleep(0.2)
            pids = procs.tree(proc.pid)
            memory, cpu = procs.memory_of(pids), procs.cpu_of(pids)
        return {"ready": ready, "cpu": cpu.total, "rss": memory.rss, "pss": memory.pss,
                "pss_per_cert": memory.pss / workload.count}


def _perf(tools, proc, path, seconds):
    pids = ",".join(str(p) for p in procs.tree(proc.pid))
    return subprocess.Popen(
        [tools["perf"], "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g",
         "-o", path, "-p", pids, "--", "sleep", str(seconds)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _tail(path, size=400):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()[-size:].strip()
    except OSError:
        return ""


def _wait_closed(port, timeout=3.0):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            return
        time.sleep(0.02)

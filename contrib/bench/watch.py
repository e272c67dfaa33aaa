#!/usr/bin/env python3
"""How soon a certificate that is put into a watched directory is shown by every worker.

    contrib/bench/watch.py --count 100000

Makes a directory with lighterman-certs, serves it with `watch`, renames other certificates for the same names into it, and asks
until each worker has shown the new one. Times include asking: a handshake and a request, one after another.
"""

import argparse
import hashlib
import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "..", "target"))

CONFIG = """
global
    nbproc {workers}
    stats socket {dir}/sock
    {watch}
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend fe
    bind 127.0.0.1:{port} ssl strict-sni crt {certs}
    http-request return status 200 hdr worker %pid
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def ask(port, name):
    """The worker that answered and the certificate it showed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with raw, context.wrap_socket(raw, server_hostname=name) as tls:
        shown = hashlib.sha256(tls.getpeercert(True)).digest()
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := tls.recv(4096):
            answer += part
    worker = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"worker:"))
    return worker, shown


def leaf(path):
    with open(path) as file:
        text = file.read()
    start = text.index("-----BEGIN CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[start:text.index("-----END CERTIFICATE-----") + 25])).digest()


def until_everywhere(port, name, expected, workers):
    """Seconds until all workers have shown it, asked one after another."""
    begun, seen = time.monotonic(), set()
    while len(seen) < workers:
        try:
            worker, shown = ask(port, name)
        except (ssl.SSLError, ConnectionError):
            continue
        if shown == expected:
            seen.add(worker)
    return time.monotonic() - begun


def pss_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(") ", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def settle(pid):
    """Waits until the master has nothing to do: it has looked at every file."""
    while True:
        before = cpu_s(pid)
        time.sleep(1)
        if cpu_s(pid) - before < 0.02:
            return before


def measure(args, work):
    certs, spare = os.path.join(work, "certs"), os.path.join(work, "spare")
    if args.certs:
        shutil.copytree(args.certs, certs)
    else:
        subprocess.run([os.path.join(args.target, "lighterman-certs"), certs, str(args.count)], check=True)
    subprocess.run([os.path.join(args.target, "lighterman-certs"), spare, str(args.rounds + args.bulk)], check=True)
    port, config = free_port(), os.path.join(work, "lighterman.cfg")
    with open(config, "w") as file:
        file.write(CONFIG.format(workers=args.workers, dir=work, port=port, certs=certs, watch="watch" if not args.blind else ""))
    program = subprocess.Popen([os.path.join(args.target, "lighterman"), "-W", "-f", config], stderr=subprocess.DEVNULL)
    try:
        begun = time.monotonic()
        until_everywhere(port, "n0.example.test", leaf(f"{certs}/n0.example.test.pem"), args.workers)
        print(f"ready in {time.monotonic() - begun:.2f} s")
        busy = settle(program.pid)
        print(f"the master has looked at everything after {busy:.2f} s of CPU, start included")
        pids = [program.pid, *children(program.pid)]
        print(f"PSS of all processes {sum(map(pss_mb, pids)):.1f} MB")
        if args.blind:
            return
        alone = [until_everywhere(port, "n0.example.test", leaf(f"{certs}/n0.example.test.pem"), args.workers) for _ in range(20)]
        print(f"asking until all have answered takes {statistics.median(alone) * 1000:.0f} ms of each of the following")
        times = []
        for n in range(args.rounds):
            name, cpu = f"n{n}.example.test", cpu_s(program.pid)
            expected = leaf(f"{spare}/{name}.pem")
            os.rename(f"{spare}/{name}.pem", f"{certs}/{name}.pem")
            times.append(until_everywhere(port, name, expected, args.workers) * 1000)
        times.sort()
        print(f"one replaced, shown by all: median {statistics.median(times):.0f} ms, worst of {len(times)} {times[-1]:.0f} ms")
        cpu = cpu_s(program.pid)
        begun = time.monotonic()
        for n in range(args.rounds, args.rounds + args.bulk):
            name = f"n{n}.example.test"
            expected = leaf(f"{spare}/{name}.pem")
            os.rename(f"{spare}/{name}.pem", f"{certs}/{name}.pem")
        renamed = time.monotonic() - begun
        until_everywhere(port, name, expected, args.workers)
        print(f"{args.bulk} replaced within {renamed * 1000:.0f} ms, the last shown by all after "
              f"{(time.monotonic() - begun - renamed) * 1000:.0f} ms more, master's CPU {(cpu_s(program.pid) - cpu) * 1000:.0f} ms")
        print(f"PSS of all processes {sum(map(pss_mb, pids)):.1f} MB")
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="certificates in the directory")
    parser.add_argument("--certs", help="a directory made before, which is copied")
    parser.add_argument("--rounds", type=int, default=50, help="certificates replaced one after another")
    parser.add_argument("--bulk", type=int, default=1000, help="certificates replaced at once")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--blind", action="store_true", help="without watch, to compare start and memory")
    parser.add_argument("--target", default=os.path.join(TARGET, "release"), help="where the programs are")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lm-watch-") as work:
        measure(args, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Handshake fairness: what a flood of full TLS handshakes does to everybody else.

One proxy with one worker on one core. Established clients ask at a fixed rate over kept connections, resuming clients
come with a new connection for each request; both are measured alone, then beside full handshakes that come three
times as fast as the core can make them. The generators and the origin run on the other cores.

    cargo build --release -p lighterman -p lighterman-inject -p lighterman-term
    contrib/bench/fairness.py [--bin target/release] [--key rsa|ecdsa] [--seconds 5] [--core 0] [--delay MS] [--urgent]
"""
import argparse, os, re, signal, socket, subprocess, sys, tempfile, time

CONF = """
global
    maxconn 20000
    stats socket {dir}/cli level admin
    {extra}
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen fe
    bind 127.0.0.1:{port} ssl crt {dir}/site.pem
    server s1 {origin}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="fairness-")
        self.children = []
        cores = sorted(os.sched_getaffinity(0))
        self.core = args.core
        self.others = [c for c in cores if c != args.core] or cores

    def spawn(self, words, cores, nice=-15, **kw):
        words = (["nice", "-n", str(nice)] if self.args.urgent else []) + ["taskset", "-c", ",".join(map(str, cores))] + words
        child = subprocess.Popen(words, **kw)
        self.children.append(child)
        return child

    def start(self):
        a = self.args
        alg = ["-newkey", "rsa:2048"] if a.key == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        key, crt = f"{self.dir}/k", f"{self.dir}/c"
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=a.test", "-keyout", key,
                        "-out", crt, *alg], check=True, stderr=subprocess.DEVNULL)
        with open(f"{self.dir}/site.pem", "w") as out:
            out.write(open(key).read() + open(crt).read())
        term = self.spawn([f"{a.bin}/lighterman-term", "-L", "127.0.0.1:0"], self.others, stdout=subprocess.PIPE, text=True)
        origin = re.search(r"http://([^/]+)/", term.stdout.readline()).group(1)
        self.port = free_port()
        with open(f"{self.dir}/cfg", "w") as out:
            extra = "nbproc 1" if "haproxy" not in a.proxy else "nbthread 1"
            out.write(CONF.format(dir=self.dir, port=self.port, origin=origin, extra=extra))
        proxy = a.proxy or f"{a.bin}/lighterman"
        self.proxy = self.spawn([proxy, "-db", "-f", f"{self.dir}/cfg"], [self.core], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("the proxy does not come up")

    def inject(self, *options, nice=-20):
        url = f"https://127.0.0.1:{self.port}/?s=200&t={self.args.delay}"
        words = [f"{self.args.bin}/lighterman-inject", "-d", str(self.args.seconds), "-P", *map(str, options), url]
        return self.spawn(words, self.others, nice, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def cpu(self):
        fields = open(f"/proc/{self.proxy.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait()


def read(child):
    return child.communicate()[0]


def figures(text):
    """Requests per second that came back well, errors, and median and p99 of the whole answer in milliseconds."""
    total = re.search(r"(\d+) requests on .*?: (\d+)/s.*?(\d+) errors", text)
    line = re.search(r"last byte +(.*)", text)
    if not total or not line:
        sys.exit(f"no figures in:\n{text}")
    units = {"u": 1e-3, "m": 1, "s": 1e3}
    times = [float(re.sub(r"[a-z]+$", "", word)) * units[word[-1]] for word in line.group(1).split()]
    return int(total.group(2)), int(total.group(3)), times[1], times[5]


def row(what, got):
    print(f"{what:<44} {got[0]:>7}/s {got[1]:>7} errors  p50 {got[2]:>8.3f} ms  p99 {got[3]:>8.3f} ms", flush=True)
    return got


def run(bench):
    a = bench.args
    bench.start()
    full = ["-r", 1, "-w", 5000, "--close", "rst"]
    established = lambda: bench.inject("-c", 20, "-R", a.rate)
    resumed = lambda: bench.inject("-c", 10, "-r", 1, "--resume", "ticket", "-R", a.resumed)
    read(bench.inject("-c", 4, "-r", 1, "-n", 50))
    before, start = bench.cpu(), time.monotonic()
    capacity = row("full handshakes alone, closed loop", figures(read(bench.inject("-c", 64, *full))))
    used = (bench.cpu() - before) / (time.monotonic() - start)
    print(f"  the proxy used {used:.0%} of its core: capacity is {capacity[0]}/s")
    alone_e, alone_r = established(), resumed()
    alone_e = row("established alone", figures(read(alone_e)))
    alone_r = row("resumed alone (with the one above)", figures(read(alone_r)))
    offered = a.times * capacity[0]
    # who is established, or has a ticket, is so before the flood begins
    with_e, with_r = established(), resumed()
    time.sleep(0.5)
    flood = bench.inject("-c", 4000, *full, "-R", offered, nice=-8)
    with_e = row(f"established beside {offered} full/s", figures(read(with_e)))
    with_r = row(f"resumed beside {offered} full/s", figures(read(with_r)))
    with_f = row(f"full, {offered}/s offered", figures(read(flood)))
    for what, alone, beside in ("established", alone_e, with_e), ("resumed", alone_r, with_r):
        print(f"{what}: goodput {beside[0] / alone[0]:.0%} (>= 90 %), p99 {beside[3] / alone[3]:.2f}x (< 2)")
    print(f"full: {with_f[0] / capacity[0]:.0%} of capacity (>= 80 %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--proxy", default="", help="another proxy that reads the same configuration")
    parser.add_argument("--key", choices=["rsa", "ecdsa"], default="rsa")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--delay", type=int, default=0, help="milliseconds the origin takes")
    parser.add_argument("--rate", type=int, default=500, help="requests per second of established clients")
    parser.add_argument("--resumed", type=int, default=200, help="resuming clients per second")
    parser.add_argument("--times", type=int, default=3, help="full handshakes offered, in multiples of the capacity")
    parser.add_argument("--urgent", action="store_true", help="high priority, on a machine with other work")
    bench = Bench(parser.parse_args())
    try:
        run(bench)
    finally:
        bench.stop()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Handshakes that never finish: what each costs in memory, whether they end in time, and whom they disturb.

One process without workers. For each thing that a client may have said before it falls silent, so many connections are
opened; printed are the memory of each (PSS of the process, divided), the time another client's whole handshake with a
request takes meanwhile, and how many connections are left after `timeout client-hs`.

    cargo build --profile bench --bin lighterman
    contrib/bench/stuck.py [--bin target/release] [--count 10000] [--timeout 20] [--only WHAT]
"""
import argparse, os, resource, socket, ssl, statistics, subprocess, sys, tempfile, time

CONF = """
global
    maxconn 9800
    stats socket {dir}/cli level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout client-hs {timeout}s
    timeout server 60s
frontend fe
    bind 127.0.0.1:{port} ssl crt {dir}/site.pem backlog 4096
    http-request return status 200
"""


def record(content, kind=22):
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def records(content, piece=1000):
    return b"".join(record(content[at : at + piece]) for at in range(0, len(content), piece))


def hello(extra=b"", suites="1301c02b"):
    suites = bytes.fromhex(suites)
    extensions = b"".join(
        number.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
        for number, body in [
            (0, b"\x00\x09\x00\x00\x06a.test"),
            (10, b"\x00\x04\x00\x1d\x00\x17"),
            (13, b"\x00\x02\x04\x03"),
            (16, b"\x00\x0c\x02h2\x08http/1.1"),
        ]
        + ([(21, extra)] if extra else [])
    )
    body = b"\x03\x03" + bytes(32) + b"\x00" + len(suites).to_bytes(2, "big") + suites + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body


def first_flight():
    """What Python's own client says first: TLS 1.3."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def shapes():
    modern, large = first_flight(), hello(bytes(15800))
    return [
        ("nothing", b""),
        ("one byte", modern[:1]),
        ("half a ClientHello", modern[: len(modern) // 2]),
        ("a ClientHello, and then nothing", modern),
        ("11 kB of a hello of 12 kB, in records of 1 kB", records(hello(bytes(11900)))[:11000]),
        ("15 kB of a hello of 16 kB, in records of 1 kB", records(large)[:15000]),
        ("8 kB of a hello of 8 kB, in records of 100 bytes", records(hello(bytes(8000)), 100)[:8400]),
        ("a hello of 11 kB, and then nothing", record(hello(bytes(11000)))),
        ("a hello (TLS 1.2), and 5 kB of a key of 14 kB", record(hello()) + records(b"\x10\x00\x38\x00" + bytes(5000))),
        ("a hello (TLS 1.2), and 14 kB of a key of 14 kB", record(hello()) + records(b"\x10\x00\x38\x00" + bytes(14000))),
    ]


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def ask(path, command):
    with socket.socket(socket.AF_UNIX) as cli:
        cli.connect(path)
        cli.sendall(command.encode() + b"\n")
        out = b""
        while part := cli.recv(65536):
            out += part
    return out.decode()


def connections(path):
    return next(int(l.split()[1]) for l in ask(path, "show info").splitlines() if l.startswith("CurrConns:"))


def exchange(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, context.wrap_socket(raw) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert tls.recv(100).startswith(b"HTTP/1.1 200")
    return 1000 * (time.monotonic() - begin)


def run(args, dir, what, said):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(f"{dir}/cfg", "w") as out:
        out.write(CONF.format(dir=dir, port=port, timeout=args.timeout))
    proxy = subprocess.Popen([f"{args.bin}/lighterman", "-db", "-f", f"{dir}/cfg"])
    clients = []
    try:
        for _ in range(100):
            try:
                exchange(port)
                break
            except OSError:
                time.sleep(0.05)
        before = pss(proxy.pid)
        for number in range(args.count):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(said)
            clients.append(client)
            if number % 50 == 49:
                # no more full handshakes than the process makes at once
                time.sleep(50 / args.rate)
        end = time.monotonic() + args.timeout
        time.sleep(1.5)
        there = connections(f"{dir}/cli")
        each = 1024 * (pss(proxy.pid) - before) / max(there, 1) / 1000
        other = statistics.median(exchange(port) for _ in range(5))
        time.sleep(max(0, end - time.monotonic()) + 1.5)
        left = connections(f"{dir}/cli")
        print(f"| {what} | {there} | {each:.1f} kB | {other:.0f} ms | {left} |", flush=True)
    finally:
        for client in clients:
            client.close()
        proxy.terminate()
        proxy.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--count", type=int, default=9500)
    parser.add_argument("--timeout", type=int, default=20)
    parser.add_argument("--rate", type=int, default=2000, help="connections per second")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="stuck-") as dir:
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=a.test", "-newkey", "ec"]
            + ["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", f"{dir}/key", "-out", f"{dir}/crt"],
            check=True, stderr=subprocess.DEVNULL,
        )
        with open(f"{dir}/site.pem", "w") as out:
            out.write(open(f"{dir}/key").read() + open(f"{dir}/crt").read())
        print("| they have sent | open | memory of each | another client | left after the timeout |\n|---|---|---|---|---|")
        for what, said in shapes():
            if args.only in what:
                run(args, dir, what, said)


if __name__ == "__main__":
    sys.exit(main())

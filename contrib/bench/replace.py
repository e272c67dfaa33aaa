#!/usr/bin/env python3
"""Certificates replaced under load: does any handshake fail?

One proxy with four workers; full handshakes, a connection each, from the injector and without pause. Meanwhile one certificate is
replaced again and again on the command socket (`set ssl cert`, `commit ssl cert`), and after each commit a client looks
whether it is shown the new one.

    cargo build --profile bench -p lighterman -p lighterman-inject
    contrib/bench/replace.py [--bin target/release] [--rounds 200] [--clients 16] [--workers 4]
"""
import argparse, hashlib, os, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, time

CONF = """
global
    nbproc {workers}
    stats socket {dir}/cli level admin
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend fe
    bind 127.0.0.1:{port} ssl crt {dir}/site.pem
    http-request return status 200
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make(folder, name):
    key, crt = f"{folder}/{name}.key", f"{folder}/{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=a.test", "-keyout", key, "-out", crt,
                    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], check=True, stderr=subprocess.DEVNULL)
    pem = open(crt).read()
    return pem + open(key).read(), hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def ask(folder, command):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{folder}/cli")
        s.sendall(command.encode() + b"\n")
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def shown(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as s, context.wrap_socket(s) as tls:
        return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def replace(folder, pem):
    """The time it took, in milliseconds."""
    begun = time.monotonic()
    said = ask(folder, f"set ssl cert {folder}/site.pem <<\n{pem}\n") + ask(folder, f"commit ssl cert {folder}/site.pem")
    if "Success!" not in said:
        sys.exit(f"not replaced: {said}")
    return 1000 * (time.monotonic() - begun)


def run(args, folder, children):
    certs = [make(folder, name) for name in ("one", "two")]
    with open(f"{folder}/site.pem", "w") as out:
        out.write(certs[0][0])
    port = free_port()
    with open(f"{folder}/cfg", "w") as out:
        out.write(CONF.format(dir=folder, port=port, workers=args.workers))
    children.append(subprocess.Popen([f"{args.bin}/lighterman", "-W", "-f", f"{folder}/cfg"]))
    for _ in range(100):
        try:
            shown(port)
            break
        except OSError:
            time.sleep(0.05)
    load = subprocess.Popen([f"{args.bin}/lighterman-inject", "-P", "-c", str(args.clients), "-r", "1", "-d", str(args.seconds),
                             f"https://127.0.0.1:{port}/"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    children.append(load)
    time.sleep(1)
    times, stale = [], 0
    begun = time.monotonic()
    for number in range(args.rounds):
        pem, print_ = certs[(number + 1) % 2]
        times.append(replace(folder, pem))
        stale += shown(port) != print_
        # spread over the time of the load
        due = begun + (args.seconds - 2) * (number + 1) / args.rounds
        time.sleep(max(0, due - time.monotonic()))
    if load.poll() is not None:
        sys.exit("the load ended before the last replacement: more --seconds")
    text = load.communicate()[0]
    total = re.search(r"(\d+) requests on .*?(\d+) errors", text)
    if not total:
        sys.exit(f"no figures in:\n{text}")
    times.sort()
    print(f"{args.rounds} replacements, {times[len(times) // 2]:.1f} ms each (longest {times[-1]:.1f} ms), by {args.workers} workers")
    print(f"{total[1]} full handshakes meanwhile: {total[2]} failed; {stale} showed the old certificate after a commit")
    return int(total[2]) + stale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=20, help="how long the load goes on")
    args = parser.parse_args()
    folder, children = tempfile.mkdtemp(prefix="replace-"), []
    try:
        failed = run(args, folder, children)
    finally:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

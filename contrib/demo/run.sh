#!/bin/sh
# `make demo`: lighterman with two workers in front of a small origin, all on loopback, with a certificate made on the spot.
# Prints what to try; Ctrl-C ends everything it started and removes its files.
#
#   run.sh            until Ctrl-C
#   run.sh --check    try everything that would be printed, then end: 0 when all of it works
#
# BIN=DIR uses the programs in DIR instead of building them.
set -eu
cd "$(dirname "$0")/../.."

check=no
case "${1-}" in
    --check) check=yes ;;
    "") ;;
    *) echo "usage: run.sh [--check]" >&2; exit 2 ;;
esac

if [ -z "${BIN-}" ]; then
    ${CARGO:-cargo} build --release --bin lighterman --bin lighterman-term -p lighterman -p lighterman-term
    BIN=${CARGO_TARGET_DIR:-target}/release
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/lighterman-demo.XXXXXX")
proxy=""
origins=""

finish() {
    trap - EXIT
    trap '' INT TERM
    for pid in $proxy $origins; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in $proxy $origins; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap finish EXIT
trap 'echo; exit 0' INT
trap 'exit 143' TERM

# First of the ports given on which nobody listens.
free_port() {
    for port in "$@"; do
        if ! socat -u OPEN:/dev/null "TCP4:127.0.0.1:$port,connect-timeout=1" 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    echo "demo: no free port among $*" >&2
    return 1
}

# Waits until a command succeeds; says what it waited for when it does not within ten seconds.
await() {
    what=$1
    shift
    tries=100
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ] || { [ -n "$proxy" ] && ! kill -0 "$proxy" 2>/dev/null; }; then
            echo "demo: $what did not come up" >&2
            cat "$dir"/*.log >&2
            return 1
        fi
        sleep 0.1
    done
}

openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 365 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
cat "$dir/cert.pem" "$dir/key.pem" >"$dir/site.pem"

servers=""
for name in app1 app2; do
    "$BIN/lighterman-term" --listen 127.0.0.1:0 >"$dir/$name.log" 2>&1 &
    origins="$origins $!"
    await "the origin" grep -q serving "$dir/$name.log"
    addr=$(sed -n 's|.*serving http://\([^/]*\)/.*|\1|p' "$dir/$name.log")
    servers="$servers
    server $name $addr"
done

http=$(free_port 8080 8081 8082 18080 28080)
https=$(free_port 8443 8444 8445 18443 28443)
stats=$dir/stats.sock
log=$dir/traffic.log

cat >"$dir/demo.cfg" <<END
global
    nbproc 2
    stats socket $stats mode 600 level admin
    log stdout format raw local0

defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client  30s
    timeout server  30s

frontend web
    bind 127.0.0.1:$http
    bind 127.0.0.1:$https ssl crt $dir/site.pem alpn http/1.1
    http-request redirect prefix https://localhost:$https code 302 unless { ssl_fc }
    http-request set-header X-Forwarded-Proto https
    http-response set-header X-Served-By %s
    option forwardfor
    default_backend app

backend app
    balance roundrobin$servers
END

"$BIN/lighterman" -W -f "$dir/demo.cfg" >"$log" 2>"$dir/messages.log" &
proxy=$!
await "lighterman" curl -s -o "$dir/first" --cacert "$dir/cert.pem" "https://localhost:$https/?s=1"

if [ "$check" = yes ]; then
    failed=0
    try() {
        want=$1
        shift
        if got=$("$@" 2>&1) && case $got in *"$want"*) true ;; *) false ;; esac; then
            echo "ok: $*"
        else
            echo "FAILED: $*: no \"$want\" in: $got"
            failed=1
        fi
    }
    try "X-Served-By: app" curl -si --cacert "$dir/cert.pem" "https://localhost:$https/?s=200"
    try "location: https://localhost:$https/" curl -si "http://localhost:$http/"
    try "503" curl -si --cacert "$dir/cert.pem" "https://localhost:$https/?c=503&t=20"
    try "Uptime" sh -c "echo 'show info' | socat - $stats"
    try "web,FRONTEND" sh -c "echo 'show stat' | socat - $stats"
    try " web" cat "$log"
    [ "$failed" = 0 ] || cat "$dir/messages.log"
    exit "$failed"
fi

cat <<END

lighterman runs: two workers, https://localhost:$https/ and http://localhost:$http/, two servers behind them.
Its configuration is $dir/demo.cfg

In another terminal:

  curl --cacert $dir/cert.pem 'https://localhost:$https/?s=200' -i      # TLS taken off, balanced
  curl -i 'http://localhost:$http/'                      # sent to https
  curl --cacert $dir/cert.pem 'https://localhost:$https/?s=1m&t=200&c=404' -o /dev/null -w '%{http_code} %{size_download}\n'

  echo 'show info' | socat - $stats     # the program, all workers added up
  echo 'show stat' | socat - $stats     # each frontend, backend and server
  tail -f $log                          # the log

  kill -KILL \$(pgrep -P $proxy | tail -1)         # a worker dies: another is there at once
  kill -USR2 $proxy                               # read demo.cfg again, nothing lost

Ctrl-C ends all of it.
END
wait "$proxy" && status=0 || status=$?
echo "demo: lighterman ended ($status):" >&2
cat "$dir/messages.log" >&2
exit "$status"

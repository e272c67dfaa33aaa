#!/bin/sh
# Everything that must pass; `make test` and so the continuous integration run exactly this.
# One build profile (dev) for all of it. Ends with the line "N passed, M failed".
set -u
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp -d) || exit 1
trap 'rm -rf "$log"' EXIT
passed=0
failed=0
broken=""

# step NAME COMMAND...: a check that counts as one test; its output is shown when it fails.
step() {
    name=$1
    shift
    began=$(date +%s)
    if "$@" >"$log/step" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s (%d s)\n' "$name" $(($(date +%s) - began))
    else
        failed=$((failed + 1))
        broken="$broken
    $name: $*"
        printf 'FAILED  %s\n' "$name"
        cat "$log/step"
    fi
}

# tests NAME COMMAND...: runs of the test harness of Rust; their counts are added up.
tests() {
    name=$1
    shift
    began=$(date +%s)
    { "$@" 2>&1; echo $? >"$log/status"; } | tee "$log/tests" | grep -v -E '^(test .* \.\.\. ok|running [0-9]+ tests?)?$'
    sums=$(awk '/^test result:/ { p += $4; f += $6 } END { printf "%d %d", p, f }' "$log/tests")
    ok=${sums% *}
    bad=${sums#* }
    # A run that broke before a test could fail (it did not compile, it was killed) is a failure too.
    if [ "$(cat "$log/status")" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    if [ "$bad" = 0 ]; then word="ok     "; else word="FAILED "; broken="$broken
    $name: $*"; fi
    printf '%s %s: %d passed, %d failed (%d s)\n' "$word" "$name" "$ok" "$bad" $(($(date +%s) - began))
}

step format cargo fmt --all --check
step lints cargo clippy --workspace --all-targets --quiet -- -D warnings
tests tests cargo test --workspace --no-fail-fast
step demo env BIN="${CARGO_TARGET_DIR:-target}/debug" contrib/demo/run.sh --check
step "API documentation" env RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --no-deps --workspace --quiet
step "system OpenSSL" cargo check --quiet --no-default-features --features system-openssl

if [ "$failed" != 0 ]; then
    echo
    echo "What failed:$broken"
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]

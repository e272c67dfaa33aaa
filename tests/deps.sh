#!/bin/sh
# Installs the Debian packages that are missing (as root), or names the one command that does.
# Arguments: package:what-proves-it, where the proof is a program, a lib*.so or a *.pc file.
set -eu

libdirs="/usr/lib /usr/lib64 /usr/local/lib /usr/lib/$(gcc -dumpmachine 2>/dev/null || echo none) $(echo /usr/lib/llvm*/lib)"

present() {
    case $1 in
    *.so)
        [ -n "${LIBCLANG_PATH:-}" ] && return 0
        for dir in $libdirs; do
            for file in "$dir/$1" "$dir"/"${1%.so}"-*.so; do [ -e "$file" ] && return 0; done
        done
        return 1 ;;
    *.pc)
        command -v pkg-config >/dev/null && pkg-config --exists "${1%.pc}" ;;
    *)
        PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

lacking() {
    missing=""
    for pair in "$@"; do
        present "${pair#*:}" || missing="$missing ${pair%%:*}"
    done
}

command -v cargo >/dev/null || {
    echo "lighterman needs a Rust toolchain (1.85 or later): https://rustup.rs" >&2
    exit 1
}
lacking "$@"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing what is missing:$missing"
    # RUNLEVEL=1: no package starts a service here.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends $missing >/dev/null
    }
    lacking "$@"
    [ -z "$missing" ] && exit 0
fi
echo "missing:$missing. Please run:" >&2
echo "    sudo apt-get install$missing" >&2
exit 1

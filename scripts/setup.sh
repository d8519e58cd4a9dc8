#!/bin/sh
# Make .venv and fill it from the named requirement files; does nothing where they have not changed.
# Usage: scripts/setup.sh NAME FILE...   (NAME keeps a stamp of its own in .venv)
set -eu
cd "$(dirname "$0")/.."
name=$1
shift

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || fail "VideoVault needs Python 3.11 or newer. Install it (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python), then run make again."

stamp=.venv/.$name.stamp
wanted=$(cat "$@" | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/python ] && exit 0

if ! [ -x .venv/bin/pip ]; then
    echo "Making a Python environment in .venv"
    rm -rf .venv
    if ! output=$("$python" -m venv .venv 2>&1); then
        rm -rf .venv
        case $output in
        *ensurepip* | *python3*-venv*) fail "Python's venv module is missing. Install it (Debian and Ubuntu: apt install python3-venv), then run make again." ;;
        *"No space left"*) fail "The disk is full: VideoVault needs about 2 GB here. Free some space, then run make again." ;;
        *) fail "A Python environment could not be made: $output" ;;
        esac
    fi
fi

echo "Installing Python packages ($*): about a minute the first time"
set -- $(printf -- '-r %s ' "$@")
log=.venv/.$name.log
if ! .venv/bin/pip install --disable-pip-version-check --quiet --require-hashes "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    grep -q "No space left" "$log" && fail "The disk is full: VideoVault needs about 2 GB here. Free some space, then run make again."
    fail "The packages could not be installed; the reason is above (more in $log). Is there a network?"
fi
printf '%s' "$wanted" >"$stamp"

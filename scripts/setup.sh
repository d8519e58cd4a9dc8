#!/bin/sh
# Create .venv and install exactly the packages of the named lock files; does nothing if they are there already.
# Usage: scripts/setup.sh NAME LOCK...   (NAME tells the stamps of `make run` and `make test` apart)
#
# pip installs the files without resolving: a resolver asks the index what is newest, so that a release of any
# package could break an installation that worked yesterday (docs/decisions/0016-the-lock.md).
set -eu
cd "$(dirname "$0")/.."
name=$1
shift

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# The bounds are written once, in pyproject.toml.
bounds=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)".*/\1 \2/p' pyproject.toml)
oldest=${bounds% *}
newest=$((${bounds#* } - 1))
supported="Python 3.$oldest to 3.$newest"

is_supported() {
    "$1" -c "import sys; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" >/dev/null 2>&1
}

version_of() {
    "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "no working Python"
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" || fail "VideoVault needs $supported. PYTHON=$PYTHON is $(version_of "$PYTHON")."
        python=$PYTHON
        return
    fi
    candidates=python3
    minor=$newest
    while [ "$minor" -ge "$oldest" ]; do
        candidates="$candidates python3.$minor"
        minor=$((minor - 1))
    done
    for python in $candidates; do
        command -v "$python" >/dev/null 2>&1 && is_supported "$python" && return
    done
    found="no Python was found"
    command -v python3 >/dev/null 2>&1 && found="python3 is $(version_of python3)"
    fail "VideoVault needs $supported, but $found.
Install one (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.$newest), then run make again.
PYTHON=/path/to/python make run uses a particular one."
}

# What pip says, without what repeats for every package and helps nobody.
relevant() {
    grep -v -e '^WARNING: Location' -e '^WARNING: Retrying' -e '^Looking in' -e '^\[notice\]' -e '^ *$' "$log" | uniq | tail -n 8
}

explain() {
    relevant >&2
    case $(cat "$log") in
    *"No space left"*) reason="The disk is full: VideoVault needs about 2 GB here. Free some space, then run make again." ;;
    *"DO NOT MATCH THE HASHES"*) reason="A downloaded file is not the one that the lock file names, so it was not installed. If it came through a proxy or mirror, check that one." ;;
    *"Retrying"* | *"Connection refused"* | *"Temporary failure in name resolution"*) reason="The package index could not be reached. Is there a network? A proxy or mirror is set in pip's own settings." ;;
    *"No matching distribution"*) reason="The package index has no file for this Python ($(version_of .venv/bin/python)) on this system ($(uname -sm)). See \"Start\" in README.md for what is supported." ;;
    *) reason="The packages could not be installed." ;;
    esac
    fail "$reason
All that pip said is in $log."
}

step() {
    printf '[%s/2] %s\n' "$1" "$2"
    begun=$(date +%s)
}

finished() {
    printf '      %s s\n' $(($(date +%s) - begun))
}

create_environment() {
    find_python
    step 1 "Creating a Python $(version_of "$python") environment in .venv (some seconds)"
    rm -rf .venv
    if ! output=$("$python" -m venv .venv 2>&1); then
        rm -rf .venv
        case $output in
        *ensurepip* | *python3*-venv*) fail "Python's venv module is missing. Install it (Debian and Ubuntu: apt install python3-venv), then run make again." ;;
        *"No space left"*) fail "The disk is full: VideoVault needs about 2 GB here. Free some space, then run make again." ;;
        *) fail "A Python environment could not be created: $output" ;;
        esac
    fi
    finished
}

install() {
    step 2 "Installing the packages of $(echo "$@" | sed 's/ / and /') (about a minute, longer on a slow network)"
    # shellcheck disable=SC2046 # the names of lock files have no spaces
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes --only-binary :all: \
        $(printf -- '-r %s ' "$@") >"$log" 2>&1 || explain
    finished
}

is_complete() {
    .venv/bin/python -m pip check --disable-pip-version-check >"$log" 2>&1
}

stamp=.venv/.$name.stamp
log=.venv/.$name.log
wanted=$(cat scripts/setup.sh "$@" | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && is_supported .venv/bin/python && exit 0

kept=yes
if ! [ -d .venv ] || ! is_supported .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    create_environment
    kept=no
fi
install "$@"
if ! is_complete && [ "$kept" = yes ]; then # packages of an older lock may be in the way
    create_environment
    install "$@"
    is_complete || true
fi
if ! is_complete; then
    relevant >&2
    fail "The lock files ($*) do not fit together on this Python ($(version_of .venv/bin/python)), so nothing was started. Please report this with the lines above."
fi
printf '%s' "$wanted" >"$stamp"

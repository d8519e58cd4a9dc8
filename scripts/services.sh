#!/bin/sh
# The servers that tests of several machines start for themselves: the system's, else by apt as root. Nothing is left running.
set -eu

missing=""
needs() { # PACKAGE COMMAND...: one of the commands is enough
    package=$1
    shift
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 && return
    done
    missing="$missing $package"
}
needs postgresql initdb /usr/lib/postgresql/*/bin/initdb
needs redis-server redis-server
needs nginx nginx /usr/sbin/nginx
needs prometheus promtool
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing by apt:$missing"
    # RUNLEVEL=1: the packages start no service of their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    # shellcheck disable=SC2086 # names of packages, separated by spaces
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "These could not be installed:$missing. Tests that need them are skipped, and say so." >&2

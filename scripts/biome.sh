#!/bin/sh
# Run Biome on assets/; bun installs it into .venv/biome, as scripts/biome/bun.lock names it, unless it is there already.
# Usage: scripts/biome.sh check | format
set -eu
cd "$(dirname "$0")/.."
installed=.venv/biome

if ! cmp -s scripts/biome/bun.lock "$installed/installed.lock"; then
    mkdir -p "$installed"
    cp scripts/biome/package.json scripts/biome/bun.lock "$installed/"
    .venv/bin/bun install --frozen-lockfile --silent --cwd "$installed"
    cp scripts/biome/bun.lock "$installed/installed.lock"
fi

case ${1:-} in
check) options=--error-on-warnings ;;
format) options=--write ;;
*)
    echo "Usage: scripts/biome.sh check | format" >&2
    exit 2
    ;;
esac
exec .venv/bin/bun --bun "$installed/node_modules/.bin/biome" check "$options" assets

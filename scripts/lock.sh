#!/bin/sh
# Write the lock files from requirements*.in and check that every supported system can install them.
# Usage: scripts/lock.sh [--upgrade | --upgrade-package NAME]...   (without: keep all versions that still fit)
#        scripts/lock.sh --frontend                                (the front end's packages, reflex.lock)
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --frontend ]; then
    echo "Resolving the front end's packages and building the pages with them"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    rm -f reflex.lock/bun.lock
    PATH="$PWD/.venv/bin:$PATH" REFLEX_WEB_WORKDIR="$work" .venv/bin/python -m reflex export --frontend-only --no-zip
    exit
fi

uv=.venv/bin/uv
oldest=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\),.*/\1/p' pyproject.toml)
end=$(sed -n 's/^requires-python = .*,<3\.\([0-9]*\)".*/\1/p' pyproject.toml)

for name in requirements requirements-dev; do
    echo "Resolving $name.in for every supported Python and system"
    # --universal: one lock with markers, so that no system misses a package that only it needs.
    "$uv" pip compile --quiet --universal --python-version "3.$oldest" --generate-hashes --no-header \
        --output-file "$name.txt" "$@" "$name.in"
done

export MACOSX_DEPLOYMENT_TARGET=14.0
minor=$oldest
while [ "$minor" -lt "$end" ]; do
    for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 x86_64-unknown-linux-musl aarch64-apple-darwin; do
        echo "Looking for all wheels: Python 3.$minor, $platform"
        "$uv" pip install --quiet --dry-run --no-deps --require-hashes --only-binary :all: --target .venv/dry-run \
            --python-version "3.$minor" --python-platform "$platform" -r requirements.txt
    done
    # Development needs Linux on x86-64 only, as CI has it.
    "$uv" pip install --quiet --dry-run --no-deps --require-hashes --only-binary :all: --target .venv/dry-run \
        --python-version "3.$minor" --python-platform x86_64-manylinux_2_28 -r requirements-dev.txt
    minor=$((minor + 1))
done

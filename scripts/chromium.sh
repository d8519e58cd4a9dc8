#!/bin/sh
# A Chromium for the browser journeys: the system's, else by apt as root, else Playwright's own download.
set -eu
cd "$(dirname "$0")/.."

for candidate in chromium chromium-browser google-chrome; do
    command -v "$candidate" >/dev/null 2>&1 && exit 0
done
.venv/bin/python - <<'PYTHON' && exit 0
import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not pathlib.Path(playwright.chromium.executable_path).exists())
PYTHON
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium by apt"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && exit 0
fi
echo "Installing Chromium by Playwright"
.venv/bin/playwright install chromium && exit 0
echo "No Chromium could be installed for the browser tests. Install one (Debian and Ubuntu: apt install chromium), then run make test again." >&2
exit 1

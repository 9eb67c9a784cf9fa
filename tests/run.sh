#!/usr/bin/env bash
# Set up .venv (or reuse it), lint the whole tree and run the tests.
#
#   bash tests/run.sh               the fast tests, at most 15 minutes on two cores
#   bash tests/run.sh --all         the slow ones too
#   bash tests/run.sh tests/models  further arguments go to pytest
#
# As root, with apt-get and without a browser, it installs chromium for the tests of the page.
#
# REALMNET_TEST_DATA names the folder with the published label files and real photographs; tests
# that need it are skipped where it is not set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh tests/requirements.txt

# The page is tested in a browser; without one, those tests are skipped and say so.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "${REALMNET_BROWSER:-}" ] \
    && ! command -v chromium chromium-browser google-chrome chrome >/dev/null; then
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends chromium; } >/dev/null 2>&1 \
        || echo 'note: no browser could be installed; the tests of the page will be skipped'
fi

selection=(-m 'not slow')
if [ "${1:-}" = --all ]; then
    selection=()
    shift
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
# One worker a core, of one thread each: threads of several workers get in each other's way. The
# tests of a file stay together, since they share what is costly to make.
export OMP_NUM_THREADS=1
exec .venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
    "${selection[@]}" "$@"

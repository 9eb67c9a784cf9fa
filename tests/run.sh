#!/usr/bin/env bash
# Set up .venv (or reuse it), lint the whole tree and run the tests.
#
#   bash tests/run.sh               the fast tests, at most 15 minutes on two cores
#   bash tests/run.sh --all         the slow ones too
#   bash tests/run.sh tests/models  further arguments go to pytest
#
# REALMNET_TEST_DATA names the folder with the published label files and real photographs; tests
# that need it are skipped where it is not set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh tests/requirements.txt

selection=(-m 'not slow')
if [ "${1:-}" = --all ]; then
    selection=()
    shift
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
exec .venv/bin/python -m pytest "${selection[@]}" "$@"

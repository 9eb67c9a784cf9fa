#!/usr/bin/env bash
# Make or reuse the environment .venv in the repository and install what is pinned.
#
#   bash tools/setup_env.sh [REQUIREMENTS_FILE ...]
#
# requirements.txt is always installed, further files on top of it. Nothing is done when .venv
# already holds them. PYTHON chooses the interpreter (3.11 or newer), for instance
# PYTHON=python3.12. To use another build of torch, see "Installation" in README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ ! -x .venv/bin/python ]; then
    python=${PYTHON:-}
    if [ -z "$python" ]; then
        for candidate in python3 python3.11 python3.12 python3.13 python; do
            if fits "$candidate"; then python=$candidate; break; fi
        done
    fi
    if [ -z "$python" ] || ! fits "$python"; then
        echo "error: RealMNet needs Python 3.11 or newer; install one or name it, as in" \
            "PYTHON=/path/to/python3.11 bash $0" >&2
        exit 1
    fi
    echo "making .venv with $("$python" --version)"
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "error: '$python -m venv' failed; on Debian and Ubuntu install python3-venv" >&2
        exit 1
    fi
fi

files=(requirements.txt "$@")
installed=.venv/installed
# realmnet itself is installed editable, so only these files decide whether to install again.
mark() { echo "$1 $(cat setup.py "$1" | cksum)"; }
for file in "${files[@]}"; do
    if ! grep -qsxF "$(mark "$file")" "$installed"; then missing=1; fi
done
if [ -n "${missing:-}" ]; then
    echo "installing ${files[*]} into .venv (about two minutes, 5 GB with the CUDA libraries)"
    args=()
    for file in "${files[@]}"; do args+=(-r "$file"); done
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    .venv/bin/python -m pip install --quiet --upgrade pip 'setuptools<81' wheel
    .venv/bin/python -m pip install --quiet "${args[@]}"
    .venv/bin/python -m pip install -qq --no-deps --no-build-isolation --editable .
    if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
        # The default OpenCV wheel needs a graphics library that bare servers lack.
        version=$(.venv/bin/python -m pip list --format=freeze | sed -n 's/^opencv-python==//p')
        .venv/bin/python -m pip install --quiet --force-reinstall --no-deps \
            "opencv-python-headless==$version"
    fi
    for file in "${files[@]}"; do mark "$file"; done >>"$installed"
fi

#!/usr/bin/env bash
# Train on several processes, one for each GPU, or on the CPU where there is no GPU.
#
#   tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT, and start the same command on each.
# PYTHON chooses the interpreter, OMP_NUM_THREADS the threads of each process.
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
tools=$(dirname "${BASH_SOURCE[0]}")
exec bash "$tools/launch.sh" "$2" "$tools/train.py" "$1" "${@:3}"

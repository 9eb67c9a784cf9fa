#!/usr/bin/env bash
# Test on several processes, one for each GPU, or on the CPU where there is no GPU.
#
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
#
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT, and start the same command on each.
# PYTHON chooses the interpreter, OMP_NUM_THREADS the threads of each process.
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
tools=$(dirname "${BASH_SOURCE[0]}")
exec bash "$tools/launch.sh" "$3" "$tools/test.py" "$1" "$2" "${@:4}"

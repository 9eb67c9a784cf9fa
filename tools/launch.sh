#!/usr/bin/env bash
# Start PROCESSES copies of a tool with torchrun (launch.py): bash tools/launch.sh PROCESSES TOOL [ARGUMENTS]
# dist_train.sh and dist_test.sh call it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
processes=$1
if ! [[ $processes =~ ^[1-9][0-9]*$ ]]; then
    echo "error: the number of processes must be 1 or more, got '$processes'" >&2
    exit 2
fi

python=${PYTHON:-python}
if [ -z "${PYTHON:-}${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "$root/.venv/bin/python" ]; then
    python=$root/.venv/bin/python
fi

cores=$(getconf _NPROCESSORS_ONLN)
threads=$((cores / processes))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
fi
exec "$python" "$root/tools/launch.py" "${rendezvous[@]}" --nproc_per_node "$processes" \
    "${@:2}" --launcher pytorch

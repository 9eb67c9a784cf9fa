#!/usr/bin/env bash
# Start a tool with srun: bash tools/slurm.sh PARTITION JOB_NAME TOOL [ARGUMENTS]
# slurm_train.sh and slurm_test.sh call it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
gpus=${GPUS:-4}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
# SRUN_ARGS holds several words on purpose.
# shellcheck disable=SC2086
exec srun --partition "$1" --job-name "$2" --gres "gpu:$per_node" --ntasks "$gpus" \
    --ntasks-per-node "$per_node" --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit 1 \
    ${SRUN_ARGS:-} "${PYTHON:-python}" -u "${@:3}" --launcher slurm

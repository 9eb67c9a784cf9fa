#!/usr/bin/env bash
# Train through SLURM.
#
#   GPUS=8 tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of tools/train.py]
#
# GPUS is the total, GPUS_PER_NODE those of one machine; CPUS_PER_TASK and SRUN_ARGS go to srun.
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
tools=$(dirname "${BASH_SOURCE[0]}")
exec bash "$tools/slurm.sh" "$1" "$2" "$tools/train.py" "$3" --work-dir "$4" "${@:5}"

#!/usr/bin/env bash
# From a fresh clone to a trained and tested RealMNet on synthetic pictures, in one command:
#
#   bash tools/quickstart.sh
#
# Makes .venv, installs, draws a synthetic PSMM, trains through tools/dist_train.sh, tests through
# tools/dist_test.sh, prints the metrics and leaves a sheet of test pictures. What is already there
# is used again; delete work_dirs/quickstart to train anew. Uses the GPUs where there are any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
export PATH=$PWD/.venv/bin:$PATH VIRTUAL_ENV=$PWD/.venv

config=configs/quickstart/tinyvit-5m-128_synthetic.py
data=data/synthetic
out=work_dirs/quickstart
# Two GPUs at most: the batch of 16 is shared, so that the training is the same on any machine.
processes=$(python -c 'import torch; print(max(1, min(2, torch.cuda.device_count())))')

step() { printf '\n== %s\n' "$1"; }

step "synthetic PSMM in $data"
python tools/dataset_tools/make_synthetic.py "$data" --patients 424 --size 128 --labels even --seed 42 \
    --workers "$(getconf _NPROCESSORS_ONLN)"

step "training: tools/dist_train.sh $config $processes"
epochs=$(sed -n 's/^train_cfg = dict(max_epochs=\([0-9]*\).*/\1/p' $config)
last=$(cat "$out/last_checkpoint" 2>/dev/null || true)
if [ "${last##*/}" = "epoch_$epochs.pth" ] && [ -f "$last" ]; then
    echo "already trained: $last"
else
    tools/dist_train.sh "$config" "$processes" --work-dir "$out" --resume \
        --cfg-options train_dataloader.batch_size=$((16 / processes))
    last=$(cat "$out/last_checkpoint")
fi

step "testing: tools/dist_test.sh $config $last $processes"
tools/dist_test.sh "$config" "$last" "$processes" --work-dir "$out" --out "$out/test.csv"

step "sheet of test pictures"
python tools/visualization/prediction_sheet.py "$out/test.csv" "$data/JPEGImages" \
    --out "$out/sheet.png" --title 'RealMNet quickstart: synthetic test pictures'
echo "predictions in $out/test.csv, sheet in $out/sheet.png, checkpoint $last"

#!/bin/bash
# The whole training on one machine with several GPUs, from sprites to contact sheets: train_all.sh OUT VAE_MINUTES DEADLINE
# DEADLINE is in seconds since 1970, when everything must be done. One GPU compiles the painter's code and trains the detector
# while the others train the VAE. Can be called again after it was cut off. With KEEP=1 everything goes on from models/demo, near
# whose latents the VAE stays; without it the latents change, and the painter starts from random weights.
set -u
if [ "${KEEP-}" = 1 ]; then keep=--keep fresh=; else keep= fresh=--fresh; fi
out=$1 vae_minutes=$2 deadline=$3
cd "$(dirname "$0")"
gpus=$(nvidia-smi -L | wc -l)
last=$((gpus - 1))
export TORCHINDUCTOR_CACHE_DIR=/tmp/inductor PYTHONUNBUFFERED=1 OMP_NUM_THREADS=4
mkdir -p "$out"
said() { echo "$(date +%T) $*" | tee -a "$out/job.txt"; }
said "$gpus GPUs: $(nvidia-smi -L | head -1)"

if [ ! -e "$out/vae/part-0.safetensors" ]; then
  (
    CUDA_VISIBLE_DEVICES=$last python3 train.py --fresh --out "$out/nothing" --scenes 512 --rehearse >"$out/rehearsal.txt" 2>&1
    said "rehearsed: $?"
    CUDA_VISIBLE_DEVICES=$last python3 evaluate.py --detector "$out/detector.safetensors" --settings 0 --detector-minutes 2.5 >"$out/detector.txt" 2>&1
    said "detector: $?"
  ) &
  CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((last - 1))) python3 -m torch.distributed.run --nproc-per-node $last train_vae.py --resume ../../models/demo \
    $keep --out "$out/vae" --minutes "$vae_minutes" >"$out/vae.txt" 2>&1
  said "vae: $?"
fi

# Two minutes for compiling, drawing and counting at the end.
minutes=$(python3 -c "import time; print(round(($deadline - time.time() - 120) / 60, 2))")
[ -e "$out/minutes" ] || echo "$minutes" >"$out/minutes"
PAINTER_OPTIONS=${PAINTER_OPTIONS-}
said "painter: $(cat "$out/minutes") minutes"
for try in 1 2; do
  python3 -m torch.distributed.run --nproc-per-node "$gpus" train.py --vae "$out/vae" $fresh --out "$out/painter" --minutes "$(cat "$out/minutes")" --seed "${SEED:-5}" $PAINTER_OPTIONS >>"$out/painter.txt" 2>&1
  code=$?
  said "painter: $code"
  [ $code = 0 ] && break
done
CUDA_VISIBLE_DEVICES=0 python3 sheets.py --resume "$out/painter" --out "$out/sheets" >"$out/sheets.txt" 2>&1 &
CUDA_VISIBLE_DEVICES=$last python3 evaluate.py --resume "$out/painter" --detector "$out/detector.safetensors" --out "$out/evaluation.json" >"$out/evaluation.txt" 2>&1
wait
said "all done"

#!/usr/bin/env bash
# What there is to run on a GPU, in at most 8 minutes: the tests that need one, then stacks of 1 to
# 1,000 trials, whose figures go into benchmarks/results/, a file named after the device.
#
#   benchmarks/gpu.sh           on a GPU
#   benchmarks/gpu.sh --tiny    on any machine: shows that it runs; writes nothing
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
seconds=480

within() { # the rest of the time
    local left=$((seconds - SECONDS))
    timeout --kill-after=5 "$((left > 1 ? left : 1))" "$@"
}

if [ "${1:-}" = --tiny ]; then
    within "$python" -m pytest -q -n 0 -p no:cacheprovider -m cuda tests/kernels/test_on_a_gpu.py
    within "$python" benchmarks/bench_gpu.py --tiny --device cpu --rounds 1
    exit
fi
"$python" -c 'import torch; assert torch.cuda.is_available(), "torch finds no GPU here"'
failed=0
within "$python" -m pytest -q -n 0 -p no:cacheprovider -m cuda tests || failed=$?
within "$python" benchmarks/bench_gpu.py --rounds 3 --save
exit "$failed"

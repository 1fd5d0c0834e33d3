#!/usr/bin/env bash
# label: cuda-double
# The tutorial on the CUDA double prints what it prints everywhere, in each order that a seed draws, with and without graphs
# and cuBLAS; and nothing is left behind: the double would make it fail.
set -eu
double=$2/tests/doubles/cuda/libcuda_double.so
export WENGERT_LIBCUDA=$double WENGERT_LIBNVRTC=$double WENGERT_LIBCUBLAS=$double WENGERT_LIBCUBLASLT=$double WENGERT_DEVICE=cuda:0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WENGERT_CACHE_DIR=$work/cache
for mode in WENGERT_DOUBLE_SEED=1 WENGERT_DOUBLE_SEED=2 WENGERT_DOUBLE_SEED=3 WENGERT_DOUBLE_SEED=4 WENGERT_CUDA_SYNC=1 \
    WENGERT_CUBLAS=0 WENGERT_FUSE=0 WENGERT_EAGER=1 WENGERT_DEVICE=cuda:1; do
    echo "-- $mode"
    env $mode "$2/examples/tutorial" >"$work/out" || { cat "$work/out"; exit 1; }
    diff "$1/tests/data/tutorial.txt" "$work/out" | head -n 20
    cmp -s "$1/tests/data/tutorial.txt" "$work/out"
done
"$2/wengert-info" | grep -q 'cuda:0: CUDA double on POCL'

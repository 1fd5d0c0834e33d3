#!/usr/bin/env bash
# label: slow
# timeout: 14400
# Everything that runs on any device, on the CUDA double, for twenty seeds: twenty orders of its streams' work. The first
# seed compiles the kernels, which the others find on disk: they go side by side, and differ in the orders alone.
# Arguments 3 and 4, if given, are the seeds to begin and end with.
set -u
double=$2/tests/doubles/cuda/libcuda_double.so
export WENGERT_LIBCUDA=$double WENGERT_LIBNVRTC=$double WENGERT_LIBCUBLAS=$double WENGERT_DEVICE=cuda:0
export WENGERT_CACHE_DIR=$2/cuda-double-cache POCL_CACHE_DIR=$2/pocl-cache
first=${3:-1} last=${4:-20}
if [ "$first" != "$last" ]; then
    "$0" "$1" "$2" "$first" "$first" && seq $((first + 1)) "$last" | xargs -P "$(nproc)" -I{} "$0" "$1" "$2" {} {}
    exit
fi
export WENGERT_DOUBLE_SEED=$first
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

# check NAME COMMAND...: it succeeds, skips nothing, and the double has nothing to say at its end
check() {
    local name=$1
    shift
    "$@" >"$out" 2>&1
    local rc=$?
    if [ $rc != 0 ] || grep -qE '\[SKIP\]|Tested: 0 |cuda double: [0-9]+ faults' "$out"; then
        echo "seed $WENGERT_DOUBLE_SEED: $name failed ($rc)"
        grep -vE '^\[(RUN |PASS|====)' "$out" | tail -n 30
        failed=1
    fi
}

for source in $(grep -l 'host: too' "$1"/tests/test_*.c) \
    test_{failures,faults,fork,fuzz_device,launch,memory,ops_modes,print,steady}.c; do
    name=$(basename "$source" .c)
    check "$name" "$2/tests/$name" -j1
done
check run_threads "$2/tests/run_threads"
check tutorial bash -c "'$2/examples/tutorial' | cmp - '$1/tests/data/tutorial.txt'"
echo "seed $WENGERT_DOUBLE_SEED done in $SECONDS s"
exit $failed

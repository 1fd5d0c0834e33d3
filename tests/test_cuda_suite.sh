#!/usr/bin/env bash
# label: slow
# timeout: 14400
# Everything that runs on any device, on the CUDA double, for twenty seeds: twenty orders of its streams' work. A program's
# first seed compiles its kernels, the others find them on disk and differ in the orders alone. Programs go side by side.
# Arguments 3 and 4, if given, are the seeds to begin and end with; those from 5 on the programs, else all.
set -u
export source=$1 build=$2 from=${3:-1} to=${4:-20}
double=$build/tests/doubles/cuda/libcuda_double.so
export WENGERT_LIBCUDA=$double WENGERT_LIBNVRTC=$double WENGERT_LIBCUBLAS=$double WENGERT_LIBCUBLASLT=$double WENGERT_DEVICE=cuda:0
export WENGERT_CACHE_DIR=$build/cuda-double-cache
export WENGERT_DOUBLE_CACHE=$build/cuda-double-programs
mkdir -p "$WENGERT_DOUBLE_CACHE"

# The long ones first.
all() {
    echo test_{ops_grad,ops_forward,ops_modes,fuzz_device,failures,faults,fork,launch,memory,print,steady}
    basename -s .c $(grep -l 'host: too' "$source"/tests/test_*.c) | grep -vE '^test_ops_(grad|forward)$'
    echo run_threads tutorial
}

run() {
    case $1 in
    tutorial) "$build/examples/tutorial" | cmp - "$source/tests/data/tutorial.txt" ;;
    run_*) "$build/tests/$1" ;;
    test_faults) "$build/tests/$1" -j1 --filter 'device/*' 2>&1 | grep -v 'Test is disabled' ;; # the others name their devices
    *) "$build/tests/$1" -j1 ;;
    esac
}

# A program succeeds for each seed, skips nothing, and the double has nothing to say at its end.
check() {
    local out failed=0
    out=$(mktemp)
    # POCL's folder is this program's own: two processes that build one text there can read what is half written.
    export POCL_CACHE_DIR=$build/pocl-cache/suite/$1
    # Compiling is what costs here, but for what measures kernels.
    grep -q 'double: optimised' "$source/tests/$1.c" 2>/dev/null || export POCL_EXTRA_BUILD_FLAGS=-cl-opt-disable
    for WENGERT_DOUBLE_SEED in $(seq "$from" "$to"); do
        export WENGERT_DOUBLE_SEED
        run "$1" >"$out" 2>&1
        local rc=$?
        if [ $rc != 0 ] || grep -qE '\[SKIP\]|Tested: 0 |cuda double: [0-9]+ faults' "$out"; then
            echo "seed $WENGERT_DOUBLE_SEED: $1 failed ($rc)"
            grep -vE '^\[(RUN |PASS|====)' "$out" | tail -n 30
            failed=1
        fi
    done
    rm "$out"
    echo "$1: seeds $from to $to $([ $failed = 0 ] && echo passed || echo FAILED) in $SECONDS s"
    return $failed
}
export -f run check

{ [ $# -gt 4 ] && echo "${@:5}" || all; } | tr ' ' '\n' | xargs -P "$(nproc)" -I{} bash -c 'set -o pipefail; check {}'

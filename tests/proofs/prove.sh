#!/usr/bin/env bash
# prove.sh BUILD [--quick | --all]: what can be proved of the kernels without a GPU. The report is BUILD/proofs/kernels.txt.
#   --quick   a few kernels of each class, one architecture, in seconds
#   --all     every kernel for every architecture, which takes long
set -eu
build=$1 how=${2:-} quick=
case $how in
'' | --all) ;;
--quick) quick=yes ;;
*) echo "prove.sh does not take '$how'" >&2 && exit 2 ;;
esac
programs=$build/tests/proofs
work=$build/proofs
kernels=$work/kernels
rm -rf "$work"
mkdir -p "$kernels" "$work/fibers"

if [ ! -x "$programs/proof_nvrtc" ]; then
    echo "the kernel proofs need NVIDIA's CUDA toolkit, which CMake did not find" >&2
    exit 1
fi

# The kernel texts: of the op table, and of the suite's programs, the benchmarks and the examples, which run on a device that
# computes nothing: what they think of that does not matter here. test_ops_grad has thousands more of the kind that the op
# table has: all of an op's cases in one function.
"$programs/proof_collect" "$kernels"
if [ ! "$quick" ]; then
    export WENGERT_KERNELS=$kernels WENGERT_DEVICE=null:cuda
    for program in "$build"/tests/test_* "$build/wengert-bench --quick" "$build/examples/tutorial" \
        "$build/examples/fashion_mnist --epochs 1"; do
        [ "$how" = --all ] || [ "$program" != "$build/tests/test_ops_grad" ] || continue
        case $program in *_forward | *_grad* | *_modes | *_optim | *_random | *_semantics | *_semantics_grad | *-bench* | */examples/*)
            timeout 120 $program >"$work/out" 2>&1 || true ;;
        esac
    done
    unset WENGERT_KERNELS WENGERT_DEVICE
fi
echo "$(find "$kernels" -name '*.kernel' | wc -l) kernel texts"
"$programs/proof_nvrtc" $how "$kernels" "$work/kernels.txt"

# Kernels at work: interpreted by Oclgrind, and as fibers under ThreadSanitizer, which wants addresses as they were.
"$programs/proof_simulate" "$work/oclgrind.log" ${quick:+quick}
if [ -x "$programs/proof_threads" ]; then # not in builds with other sanitizers
    export TSAN_OPTIONS="halt_on_error=1 exitcode=66"
    threads=(setarch -R "$programs/proof_threads" "$work/fibers")
    "${threads[@]}" ${quick:+quick}
    for barrier in 0 1 2 3; do
        status=0
        "${threads[@]}" $barrier >"$work/dropped" 2>&1 || status=$?
        if [ $status != 66 ]; then
            echo "barrier $barrier was left out and nobody noticed (status $status)" >&2
            exit 1
        fi
    done
    echo "fibers: barriers left out on purpose were found"
fi

#!/usr/bin/env bash
# prove.sh BUILD [--quick | --all]: what can be proved of the kernels without a GPU. The report is BUILD/proofs/kernels.txt.
#   --quick   a few kernels of each class, one architecture, in seconds, and in BUILD/proofs-quick
#   --all     every kernel for every architecture, which takes long
set -eu
build=$1 how=${2:-} quick=
case $how in
'' | --all) ;;
--quick) quick=yes ;;
*) echo "prove.sh does not take '$how'" >&2 && exit 2 ;;
esac
programs=$build/tests/proofs
work=$build/proofs${quick:+-quick} # side by side with a whole run
kernels=$work/kernels
rm -rf "$work"
mkdir -p "$kernels" "$work/fibers"

if [ ! -x "$programs/proof_nvrtc" ]; then
    echo "the kernel proofs need NVIDIA's CUDA toolkit, which CMake did not find" >&2
    exit 1
fi

# The kernel texts: of the op table, and of the suite's programs that run on any device, the benchmarks and the examples, on a
# device that computes nothing: what they think of that does not matter here. test_ops_grad has thousands more of the kind
# that the op table has: all of an op's cases in one function.
"$programs/proof_collect" "$kernels"
suite() {
    for source in $(grep -l 'host: too' "$(dirname "$0")"/../test_*.c) test_ops_modes.c; do
        [ "$how" != --all ] && [[ $source == */test_ops_grad.c ]] || echo "$build/tests/$(basename "$source" .c) -j1"
    done
    echo "$build/wengert-bench --quick"
    echo "$build/examples/tutorial"
    echo "$build/examples/fashion_mnist --epochs 1"
}
if [ ! "$quick" ]; then
    suite | WENGERT_KERNELS=$kernels WENGERT_DEVICE=null:cuda \
        xargs -P "$(nproc)" -I{} sh -c 'timeout 240 {} >/dev/null 2>&1 || true'
fi
echo "$(find "$kernels" -name '*.kernel' | wc -l) kernel texts"
# Those that were compiled before, and have not changed, are not compiled again.
"$programs/proof_nvrtc" $how "$kernels" "$work/kernels.txt" "$build/proofs.known"

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

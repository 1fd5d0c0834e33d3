#!/usr/bin/env bash
# label: ops
# timeout: 300
# Two steps of each network of the benchmark (a mixer, a transformer's block, an LSTM among them) give the same losses, digit
# for digit, fused, op by op and eagerly in the interpreter, some also fused on the device; and the losses fall.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=$2/wengert-bench

# losses NAME=VALUE [ARGUMENT]...
losses() {
    local variable=$1
    shift
    env "$variable" WENGERT_FORM=simd "$bench" plan --steps 2 "$@"
}

losses WENGERT_FUSE=1 --device host >"$work/fused"
cat "$work/fused"
awk 'NF != 3 || !($3 < $2) { print "did not fall: " $0; bad = 1 } END { exit bad || NR != 6 }' "$work/fused"
for mode in WENGERT_FUSE=0 WENGERT_EAGER=1; do
    echo "-- host, $mode"
    losses "$mode" --device host | diff "$work/fused" -
done
# Every kernel has to be compiled here: two networks will do.
echo "-- ${WENGERT_DEVICE:-the default device}"
losses WENGERT_FUSE=1 --filter =mlp_sgd --filter =lstm_cell | diff <(grep -E '^(mlp_sgd|lstm_cell) ' "$work/fused") -

#!/usr/bin/env bash
# label: ops
# timeout: 300
# The tutorial prints what PyTorch prints, digit for digit, in every mode of execution.
set -eu
work=$(mktemp)
trap 'rm -f "$work"' EXIT
golden=$1/tests/data/tutorial.txt
tutorial=$2/examples/tutorial
for mode in '' WENGERT_FORM=simd WENGERT_FORM=simt WENGERT_FUSE=0 WENGERT_EAGER=1 WENGERT_DEVICE=host; do
    echo "-- ${mode:-default}"
    env $mode "$tutorial" | diff "$golden" - >"$work" || { head -n 20 "$work"; exit 1; }
done

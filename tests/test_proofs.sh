#!/usr/bin/env bash
# label: cuda-double
# timeout: 600
# sanitizers: no
# The kernel proofs on a few kernels of each class; `./dev proofs` runs all of them.
set -eu
if [ ! -x "$2/tests/proofs/proof_nvrtc" ]; then
    echo "left out: there is no CUDA toolkit here"
    exit 0
fi
"$1/tests/proofs/prove.sh" "$2" --quick

#!/usr/bin/env bash
# label: slow
# timeout: 1200
# Five epochs on the real images reach 88 % on the test images.
set -eu
"$2/examples/fashion_mnist" | tee /dev/stderr | awk '/test accuracy/ { reached = $5 } END { exit !(reached >= 88) }'

#!/usr/bin/env bash
# label: null
# timeout: 120
# Whole training steps, and parts of them, launch no more kernels than the targets of `wengert-bench plan` say, in either form.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for form in simd simt; do
    echo "-- $form"
    WENGERT_FORM=$form "$2/wengert-bench" plan --device null --quick --json "$work/plan.json"
    # One row a line: "case": name, ..., "kernels": n, "target_kernels": n
    grep '"case"' "$work/plan.json" >"$work/rows"
    [ "$(wc -l <"$work/rows")" = "$("$2/wengert-bench" plan --list | wc -l)" ]
    if grep 'more kernels than the target' "$work/rows"; then exit 1; fi
done

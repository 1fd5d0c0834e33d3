#!/usr/bin/env bash
# label: unit
# The layers: each directory includes only what stands above it; public headers compile alone; files stay short.
set -eu
cd "$1"
fail=0
complain() { echo "$*"; fail=1; }
# files NAME FOLDER...: the files so called, in those of the folders that are there.
files() { local name=$1; shift; find "$@" -name "$name" 2>/dev/null || true; }

# What the files of a directory may include in quotes, as a pattern; <wengert/*.h> goes by what is said further down.
declare -A may
seen='kernels/texts\.h' # generated constants, free of everything else
for layer in base tensor graph ops schedule codegen kernels runtime api; do
    seen+="|$layer/.*"
    may[src/$layer]=$seen
done
for reader in schedule codegen; do
    may[src/$reader]+='|runtime/backend\.h' # the device limits
done
for client in nn optim io; do
    may[src/$client]="base/.*|api/(fail|advance)\.h|$client/.*"
done
may[src/tools]='-'
for backend in opencl cuda; do
    may[$backend]="base/.*|runtime/backend\.h|kernels/texts\.h|$backend/.*"
done

for file in $(files '*.[ch]' src opencl cuda); do
    dir=$(echo "$file" | sed -E 's,^(src/[^/]*|[^/]*)/.*,\1,')
    if [ -z "${may[$dir]-}" ]; then
        complain "$file: $dir is no layer; see tests/test_includes.sh"
        continue
    fi
    while read -r included; do
        # Names without a directory are neighbours.
        [[ $included == */* ]] || included=${dir#src/}/$included
        [[ $included =~ ^(${may[$dir]})$ ]] || complain "$file includes $included, which $dir may not"
    done < <(sed -nE 's/^ *# *include "([^"]*)".*/\1/p' "$file")
done

# Below the API nothing sees the public functions, only the vocabulary.
for file in $(files '*.[ch]' src/{base,tensor,schedule,codegen,kernels,runtime} opencl cuda); do
    while read -r included; do
        complain "$file includes <$included>: only <wengert/types.h> is for the layers below the graph"
    done < <(sed -nE 's/^ *# *include <(wengert\/.*)>.*/\1/p' "$file" |
        grep -vE '^wengert/(types|version)\.h$')
done

for header in include/wengert/*.h; do
    name=${header#include/}
    for language in 'c -std=c17 -Wstrict-prototypes' 'c++ -std=c++17'; do
        # shellcheck disable=SC2086
        echo "#include <$name>" | ${CC:-cc} -x $language -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only - ||
            complain "$header does not compile alone as ${language%% *}"
    done
done
for use in 'wg_shape_numel(WG_SHAPE(2, 3)) == 6' 'wg_shape_numel(WG_SHAPE()) == 1'; do
    program="#include <wengert/wengert.h>
int f(wg_ctx *c) { WG_SCOPE(c) { if (wg_failed(c)) break; } return $use; }"
    echo "$program" | ${CC:-cc} -x c -std=c17 -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Wno-missing-prototypes - ||
        complain "the macros do not work in C"
    echo "$program" | ${CC:-cc} -x c++ -std=c++17 -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only - ||
        complain "the macros do not work in C++"
done

for file in $(for name in '*.[ch]' '*.cl' '*.cuh' '*.py' '*.sh'; do
    files "$name" include src opencl cuda tests bench examples
done); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 500 ] || complain "$file has $lines lines; 500 are the limit"
done

[ $fail = 1 ] || echo "layers, headers and file lengths are in order"
exit $fail

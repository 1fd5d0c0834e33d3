#!/usr/bin/env bash
# label: package
# libwengert.so exports exactly the functions its headers declare, needs libc and libm alone, and stays small.
set -eu
source_dir=$1 lib=$2/libwengert.so
fail=0
complain() { echo "$*"; fail=1; }

exported=$(nm -D --defined-only "$lib" | awk '{ print $3 }' | sort)
declared=$(cat "$source_dir"/include/wengert/*.h | grep -v '^ *#' | grep -o 'WG_API [^;(]*(' |
    sed 's/($//; s/.*[ *]//' | sort)

other=$(grep -v '^wg_' <<<"$exported" || true)
[ -z "$other" ] || complain "exported, but not called wg_*:" $other
missing=$(comm -13 <(echo "$exported") <(echo "$declared"))
[ -z "$missing" ] || complain "declared WG_API in a header, but not exported:" $missing
extra=$(comm -23 <(echo "$exported") <(echo "$declared"))
[ -z "$extra" ] || complain "exported, but declared in no public header:" $extra

for needed in $(readelf -d "$lib" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $needed in
    libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | ld-linux*) ;;
    *) complain "needs $needed" ;;
    esac
done

copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
strip -o "$copy" "$lib"
size=$(stat -c %s "$copy")
[ "$size" -lt 1000000 ] || complain "stripped, it has $size bytes"

echo "$(wc -l <<<"$exported") functions, $size bytes stripped"
exit $fail

#!/usr/bin/env bash
# label: package
# timeout: 300
# Installs into a prefix, moves that, and builds and runs a small program against it: pkg-config and CMake, C and C++.
set -eu
source_dir=$1 build_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "-- $*"; }

say "install and move"
cmake --install "$build_dir" --prefix "$work/first" --strip >"$work/install.log" || { cat "$work/install.log"; exit 1; }
prefix=$work/moved
mv "$work/first" "$prefix"
pc=$(find "$prefix" -name wengert.pc)
libdir=$(dirname "$(dirname "$pc")")
[ -L "$libdir/libwengert.so" ]
cp "$source_dir"/tests/package/* "$work"

say "wengert-info from the prefix"
"$prefix/bin/wengert-info" --version

export PKG_CONFIG_PATH=$libdir/pkgconfig
[ "$(pkg-config --modversion wengert)" = "$("$prefix/bin/wengert-info" --version)" ]
for compiler in 'cc -x c -std=c17' 'c++ -x c++ -std=c++17'; do
    say "pkg-config: $compiler"
    # shellcheck disable=SC2046,SC2086
    $compiler -Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags wengert) "$work/consumer.c" -o "$work/consumer" \
        $(pkg-config --libs wengert)
    LD_LIBRARY_PATH=$libdir "$work/consumer"
done

say "CMake find_package, C and C++"
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/build" >>"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
"$work/build/consumer_c"
"$work/build/consumer_cpp"
say "all run"

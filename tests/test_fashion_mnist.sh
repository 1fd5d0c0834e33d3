#!/usr/bin/env bash
# label: unit
# timeout: 300
# The Fashion-MNIST example on small made-up files: it trains, and refuses bad options and bad files in one line.
set -eu
program=$2/examples/fashion_mnist
[ -x "$program" ] || { echo "$program was not built: zlib is missing"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# images FILE COUNT, labels FILE COUNT: IDX files of made-up data; both sizes fit in two bytes.
size() { printf '\\x00\\x00\\x%02x\\x%02x' $(($1 / 256)) $(($1 % 256)); }
images() {
    { printf "\\x00\\x00\\x08\\x03$(size "$2")$(size 28)$(size 28)"; yes abcdefghijklm | head -c $(($2 * 784)); } | gzip -1 >"$1"
}
labels() {
    { printf "\\x00\\x00\\x08\\x01$(size "$2")"; yes "$(printf '\x01\x02\x03\x04')" | tr '\n' '\005' | head -c "$2"; } | gzip -1 >"$1"
}
images "$work/train-images-idx3-ubyte.gz" 300
labels "$work/train-labels-idx1-ubyte.gz" 300
images "$work/t10k-images-idx3-ubyte.gz" 100
labels "$work/t10k-labels-idx1-ubyte.gz" 100

# refused WORDS ARGUMENTS...: exit status 2, nothing on stdout, one line on stderr that holds WORDS.
refused() {
    local words=$1 status=0
    shift
    "$program" "$@" >"$work/out" 2>"$work/err" || status=$?
    if [ $status != 2 ] || [ -s "$work/out" ] || [ "$(wc -l <"$work/err")" != 1 ] || ! grep -qF -- "$words" "$work/err"; then
        echo "fashion_mnist $*: status $status, stderr: $(cat "$work/err"); wanted: $words"
        exit 1
    fi
}

echo "-- help"
"$program" --help | grep -q -- --epochs

echo "-- bad options"
refused --nonsense --nonsense
refused 'from 1' --epochs 0
refused 'from 1' --epochs 3x
refused 'above 0' --lr -1
refused 'above 0' --lr nan
refused '60000' --batch 0
refused 'a count' --seed -1
refused 'unexpected argument here' here

echo "-- bad files"
bad=$work/bad
reset() { rm -rf "$bad"; mkdir "$bad"; cp "$work"/*.gz "$bad"; }
reset; rm "$bad/train-images-idx3-ubyte.gz"
refused "$bad/train-images-idx3-ubyte.gz: No such file" --data "$bad"
reset; zcat "$work/train-images-idx3-ubyte.gz" | head -c 20000 | gzip >"$bad/train-images-idx3-ubyte.gz"
refused 'train-images-idx3-ubyte.gz: truncated' --data "$bad"
reset; head -c 200 "$work/train-images-idx3-ubyte.gz" >"$bad/train-images-idx3-ubyte.gz"
refused 'train-images-idx3-ubyte.gz: truncated' --data "$bad"
reset; : >"$bad/t10k-labels-idx1-ubyte.gz"
refused 't10k-labels-idx1-ubyte.gz: truncated' --data "$bad"
reset; echo "this is no such thing" >"$bad/t10k-labels-idx1-ubyte.gz"
refused 't10k-labels-idx1-ubyte.gz: not an IDX file' --data "$bad"
reset; cp "$work/train-labels-idx1-ubyte.gz" "$bad/train-images-idx3-ubyte.gz"
refused 'train-images-idx3-ubyte.gz: wrong number of dimensions' --data "$bad"
reset; { zcat "$work/t10k-labels-idx1-ubyte.gz"; echo; } | gzip >"$bad/t10k-labels-idx1-ubyte.gz"
refused 't10k-labels-idx1-ubyte.gz: longer' --data "$bad"
reset; labels "$bad/t10k-labels-idx1-ubyte.gz" 99
refused 'one 28 x 28 image for each label' --data "$bad"
reset; zcat "$work/t10k-labels-idx1-ubyte.gz" | tr '\003' '\012' | gzip >"$bad/t10k-labels-idx1-ubyte.gz"
refused 'not a class' --data "$bad"

echo "-- training, with a short last batch"
"$program" --data "$work" --epochs 2 --batch 64 --seed 7 >"$work/first"
cat "$work/first"
[ "$(grep -c 'test accuracy' "$work/first")" = 2 ]

echo "-- a second run learns the same"
"$program" --data "$work" --epochs 2 --batch 64 --seed 7 >"$work/second"
diff <(sed 's/[0-9]* images.*//' "$work/first") <(sed 's/[0-9]* images.*//' "$work/second")

echo "-- an unknown device"
status=0
"$program" --data "$work" --device nowhere:0 2>"$work/err" || status=$?
[ $status = 1 ]
[ "$(wc -l <"$work/err")" = 1 ]

echo "-- Ctrl-C"
"$program" --data "$work" --epochs 1000000 >"$work/out" &
pid=$!
for _ in $(seq 600); do
    if grep -q 'epoch 2 ' "$work/out"; then break; fi
    sleep 0.1
done
kill -INT $pid
wait $pid # its status is the test's
tail -n 1 "$work/out" | grep -q 'test accuracy'
echo "all as documented"

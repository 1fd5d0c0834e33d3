#!/usr/bin/env bash
# label: slow
# timeout: 1800
# The fuzzer finds what it is there for: faults planted in a copy of the source, each found within 1,000 graphs. A fault
# whose place in the source has changed fails here, and is to be planted where its like would be now.
set -eu
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$source"/{CMakeLists.txt,include,src,opencl,tests} "$work"
[ ! -d "$source/cuda" ] || cp -r "$source/cuda" "$work"
sed -i '/^install(/d' "$work/CMakeLists.txt"
options=(-DCMAKE_BUILD_TYPE=Release -DWENGERT_EXAMPLES=OFF -DWENGERT_BENCH=OFF)
command -v ninja >/dev/null && options+=(-G Ninja)
failed=0

build() { cmake --build "$work/build" --target fuzz -j2 >"$work/build.log" 2>&1 || { tail -40 "$work/build.log"; exit 1; }; }
fuzz() { "$work/build/tests/fuzz" --device host --seed 1 --count "$1" --no-shrink 2>&1; }

# fault NAME FILE TEXT INSTEAD [GRAPHS]: plants it, looks for it, takes it out again.
fault() {
    local file=$work/$2 text
    text=$(cat "$file"; printf x)
    if [[ $text != *"$3"* ]]; then
        echo "FAIL $1: $2 has no longer the text"$'\n'"$3"
        failed=1
        return
    fi
    cp -p "$file" "$work/saved"
    text=${text/"$3"/"$4"}
    printf %s "${text%x}" >"$file"
    build
    local status=0
    fuzz "${5:-1000}" >"$work/report" || status=$?
    case $status in
    0)
        echo "FAIL $1: not found within ${5:-1000} graphs"
        failed=1
        ;;
    *) echo "ok   $1: $(tr '\r' '\n' <"$work/report" | grep -m1 -E 'differs|crashed|no end')" ;;
    esac
    cp "$work/saved" "$file"
}

cmake -S "$work" -B "$work/build" "${options[@]}" >/dev/null
build
fuzz 1000 >"$work/report" || { cat "$work/report"; echo "FAIL: a difference without any fault"; exit 1; }

fault "a dropped order: a group runs before one whose result it reads" src/schedule/place.c \
    'wg_place_order(p, p->places[ref].group) >= wg_place_order(p, group)' 'false'
fault "a dropped order: a group that is early reads what is not" src/schedule/place.c \
    'if (wg_place_floats(p, ref) && (g->early || !wg_place_can_be_early(p, ref)))' 'if (false)' 5000
fault "an early reuse of memory: a temporary goes one step too soon" src/schedule/memory.c \
    'if (p->until < s->first || p->first > s->until)' 'if (p->until <= s->first || p->first >= s->until)'
fault "a stale plan: the key leaves out views" src/schedule/problem.c \
    'p->key[p->nkey++] = wg_intern_id(it->in[k].view);' 'p->key[p->nkey++] = 0;'
fault "a stale plan: the key leaves out what is kept" src/schedule/problem.c \
    ' | (uint64_t)it->keep << 16;' ';'
fault "a merge by equal scalars: they share a parameter" src/schedule/lower.c \
    'return param_inst(x, wg_dtype_compute(dtype), WG_PARAM_SCALAR, x->task * WG_MAX_SCALAR + k, 0);' \
    'int index = x->task * WG_MAX_SCALAR + k;
    const double *scalars = x->probe ? NULL : x->l->part->problem->scalars;
    for (int i = 0; scalars && i < index; i++) {
        index = scalars[i] == scalars[index] ? i : index;
    }
    return param_inst(x, wg_dtype_compute(dtype), WG_PARAM_SCALAR, index, 0);'
fault "an in-place write under a handle: what is held is overwritten" src/schedule/memory.c \
    'in->kind == WG_SLOT_LEAF && p->leaves[s].dying' 'in->kind == WG_SLOT_LEAF'
fault "an in-place write under a later reader" src/schedule/memory.c \
    'in->last == launch && can_take' 'can_take'
fault "an in-place write at another address than is read" src/schedule/memory.c \
    '!stores_at(&step->l, out_buffer, &loop->access[in->access])' 'false'
fault "an in-place write before the row's last stage reads" src/schedule/memory.c \
    'loop->inst[s->inst].stage + 1 == loop->nstages &&' 'true ||' 5000
fault "an operand made in place: a view of it begins elsewhere" src/tensor/view.c \
    'out->offset += r[i].last * r[i].stride;' ''
fault "an operand made in place: a view of it runs over the end of a dim" src/tensor/view.c \
    'if (r[i].last >= r[i].size)' 'if (false)' 5000
fault "an operand made in place: a product writes over what it is made of" src/schedule/product.c \
    'out->noperands = out->nbuffers;' 'out->noperands = 0;' 5000
exit $failed

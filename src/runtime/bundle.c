/* Launching bundles: steps of one text on many sets of tensors, from rows of a table that lies on the device. */
#include "runtime/exec.h"

#include "base/alloc.h"
#include "codegen/program.h"

#include <string.h>

/* The arguments of a launch: as many steps as find room for their pieces of memory and their scalars. */
typedef struct piece {
    int first, count; /* steps */
    const wg_mem *chunk[WG_BUNDLE_CHUNKS + 1];
    int nchunks;
    struct {
        int64_t start, count, step, s[WG_BUNDLE_SCALARS];
    } by_value;
} piece;

int wg_bundle_row(const wg_lowered *l) {
    int words = l->nbuffers;
    for (int i = 0; i < l->nparams; i++) {
        words += wg_in_row(&l->params[i]);
    }
    return words;
}

/* The numbers of a step's pieces of memory among those of the launch; false if they find no room. */
static bool add_chunks(const wg_exec *x, int step, piece *b, int *number) {
    const wg_lowered *l = &x->plan->steps[step].l;
    int n = b->nchunks;
    for (int i = 0; i < l->nbuffers; i++) {
        const wg_mem *mem = x->mem[l->buffers[i].slot];
        int k = 0;
        while (k < n && b->chunk[k] != mem) {
            k++;
        }
        if (k == WG_BUNDLE_CHUNKS) {
            return false;
        }
        b->chunk[k] = mem;
        n = k == n ? n + 1 : n;
        number[i] = k;
    }
    b->nchunks = n;
    return true;
}

/* Adds a step's scalars: none while all steps have the same, else those of each step. */
static bool add_scalars(const wg_lowered *l, const int64_t *params, piece *b) {
    int64_t mine[WG_MAX_PARAMS], *all = b->by_value.s;
    int n = 0;
    for (int i = 0; i < l->nparams; i++) {
        if (!wg_in_row(&l->params[i])) {
            mine[n++] = params[i];
        }
    }
    size_t bytes = (size_t)n * sizeof *all;
    if (b->count == 0 && n <= WG_BUNDLE_SCALARS) {
        memcpy(all, mine, bytes);
        return true;
    }
    if (b->by_value.step == 0 && memcmp(all, mine, bytes) == 0) {
        return true;
    }
    if ((b->count + 1) * n > WG_BUNDLE_SCALARS) {
        return false;
    }
    for (int k = 1; b->by_value.step == 0 && k < b->count; k++) {
        memcpy(all + k * n, all, bytes);
    }
    b->by_value.step = n;
    memcpy(all + b->count * n, mine, bytes);
    return true;
}

static void fill_row(const wg_lowered *l, const int64_t *params, const int *number, int64_t *row) {
    for (int i = 0; i < l->nbuffers; i++) {
        *row++ = number[i];
    }
    for (int i = 0; i < l->nparams; i++) {
        if (wg_in_row(&l->params[i])) {
            *row++ = params[i];
        }
    }
}

/* Takes steps from `first` on, up to `end`, into one launch; writes their rows into the table's image. */
static void gather(const wg_exec *x, const wg_problem *p, int lead, int first, int end, piece *b) {
    const wg_exec_step *s = &x->steps[lead];
    int words = wg_bundle_row(&x->plan->steps[lead].l);
    *b = (piece){.first = first};
    for (int i = first; i < end; i++) {
        int64_t params[WG_MAX_PARAMS];
        int number[WG_MAX_BUFFERS];
        piece before = *b;
        wg_exec_params(x, i, p, params);
        if (!add_chunks(x, i, b, number) || !add_scalars(&x->plan->steps[i].l, params, b)) {
            *b = before;
            break;
        }
        fill_row(&x->plan->steps[i].l, params, number, x->rows + s->table_at + (i - lead) * words);
        b->count++;
    }
}

wg_status wg_bundle_bind(wg_engine *e, wg_exec *x, const wg_problem *p, wg_err *err) {
    size_t bytes = x->table_words * sizeof *x->rows;
    if (!x->table.handle) {
        wg_status status = wg_dev_alloc(&e->dev, bytes, &x->table, err);
        if (status != WG_OK) {
            return status;
        }
    }
    for (int i = 0; i < x->plan->nsteps; i += x->plan->steps[i].bundle) {
        int end = i + x->plan->steps[i].bundle;
        bool bundle = end > i + 1 && !wg_step_leads_chain(&x->plan->steps[i]);
        piece b;
        for (int first = i; bundle && first < end; first += b.count) {
            gather(x, p, i, first, end, &b);
        }
    }
    if (x->table_written && memcmp(x->rows, x->rows_written, bytes) == 0) {
        return WG_OK;
    }
    x->table_written = false;
    wg_status status = wg_dev_write(&e->dev, &x->table, 0, x->rows, bytes, err);
    if (status == WG_OK) {
        memcpy(x->rows_written, x->rows, bytes);
        x->table_written = true;
    }
    return status;
}

wg_status wg_bundle_launch(wg_engine *e, const wg_exec *x, int step, const wg_problem *p, wg_err *err) {
    const wg_exec_step *s = &x->steps[step];
    int end = step + x->plan->steps[step].bundle, words = wg_bundle_row(&x->plan->steps[step].l);
    wg_status status = WG_OK;
    piece b;
    for (int first = step; first < end && status == WG_OK; first += b.count) {
        gather(x, p, step, first, end, &b);
        for (int k = b.nchunks; k < WG_BUNDLE_CHUNKS; k++) {
            b.chunk[k] = b.chunk[0];
        }
        b.chunk[WG_BUNDLE_CHUNKS] = &x->table;
        b.by_value.start = (int64_t)s->table_at + (first - step) * words;
        b.by_value.count = b.count;
        wg_launch launch = {.kernel = s->kernel,
                            .groups = {s->groups[0], s->groups[1], s->groups[2]},
                            .local = {s->local[0], s->local[1], s->local[2]},
                            .buffers = b.chunk,
                            .nbuffers = WG_BUNDLE_CHUNKS + 1,
                            .params = &b.by_value,
                            .param_bytes = sizeof b.by_value,
                            .ops = x->plan->steps[step].ops};
        status = wg_dev_launch(&e->dev, wg_exec_queue(x, step), &launch, err);
        e->launches += status == WG_OK;
    }
    return status;
}

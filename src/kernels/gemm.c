/* gemm.c - plans a matrix product. See gemm.h for the contract and the interface, gemm_text.c for the kernels. */
#include "kernels/gemm_tile.h"

#include <string.h>

enum {
    PANEL_BYTES = 16384, /* K block of a panel of B: half of the smallest common L1 */
    GROUPS_PER_UNIT = 8, /* enough for balance; each has a piece of scratch: together no more than C */
    ROW_SUMS = 1 << 15,  /* sums of a block of whole rows: they stay in a core's second cache */
    ROW_GROUPS = 4,      /* the same where all sums of a block are kept: blocks are smaller, and none is done early */
    SIMT_TILE = 64,
    SIMT_THREADS = 256
};

wg_gemm_tile wg_gemm_choose_tile(wg_gemm_type type, int width) {
    int size = type == WG_GEMM_F64 || type == WG_GEMM_I64 ? 8 : 4, lanes = (width < 4 ? 4 : width) * 4 / size;
    wg_gemm_tile t = {.mr = width >= 16 ? 12 : 6, .nr = 2 * lanes};
    t.panel = t.nr < 16 ? 16 : t.nr;
    t.kc = PANEL_BYTES / (t.panel * size);
    t.block_m = 384 * 4 / size;
    t.block_n = 512;
    return t;
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Cycles of a block of bm x bn: multiply-adds, packing, and the sums' way to the epilogue. Coarse, relative. */
static double block_cost(const wg_gemm_tile *t, int64_t bm, int64_t bn, int64_t k) {
    double c = (double)bm * (double)bn;
    return c * (double)k / t->nr + 0.6 * (double)(bm + bn) * (double)k + 0.5 * c + 2000;
}

/* Splits C, between rows alone if it must, so that all units have work, packing stays cheap and the last blocks to finish are not
 * too large. k: of all products together. */
static void choose_block(const wg_gemm_tile *t, int64_t *v, int64_t k, int64_t units, bool rows) {
    int64_t m = v[WG_GEMM_P_M], n = v[WG_GEMM_P_N];
    double best = 0;
    for (int64_t split_m = ceil_div(m, t->block_m), tries = 0; tries < (rows ? 64 : 8); split_m++, tries++) {
        int64_t bm = round_up(ceil_div(m, split_m), t->mr);
        for (int64_t split_n = ceil_div(n, t->block_n), more = 0; more < (rows ? 1 : 8); split_n++, more++) {
            int64_t bn = round_up(ceil_div(n, split_n), t->panel);
            int64_t blocks = ceil_div(m, bm) * ceil_div(n, bn) * v[WG_GEMM_P_BATCHES];
            double cost = block_cost(t, bm, bn, k) * ((double)ceil_div(blocks, units) + 0.3);
            if (best != 0 && cost >= best) continue;
            best = cost;
            v[WG_GEMM_P_BLOCK_M] = bm;
            v[WG_GEMM_P_BLOCK_N] = bn;
        }
    }
}

/* In a layout. */
enum {
    K = WG_GEMM_P_K - WG_GEMM_P_LAYOUT,
    A_BATCH = WG_GEMM_P_A_BATCH - WG_GEMM_P_LAYOUT,
    B_BATCH = WG_GEMM_P_B_BATCH - WG_GEMM_P_LAYOUT,
    BLOCK_K = WG_GEMM_P_BLOCK_K - WG_GEMM_P_LAYOUT,
    KEEP = WG_GEMM_P_KEEP - WG_GEMM_P_LAYOUT
};

/* The K blocks of a product, of equal size. Returns the scratch it takes, all its sums if the block's rows are wanted whole. */
static int64_t choose_block_k(const wg_gemm_tile *t, const int64_t *v, int64_t *layout, bool rows) {
    int64_t k = layout[K] > 0 ? layout[K] : 1, tile_sums = t->mr * t->panel;
    int64_t kc = round_up(ceil_div(k, ceil_div(k, t->kc)), 4);
    layout[BLOCK_K] = kc;
    bool keep = k > kc || rows;
    layout[KEEP] = keep ? tile_sums : 0;
    return keep ? v[WG_GEMM_P_BLOCK_M] * v[WG_GEMM_P_BLOCK_N] : tile_sums;
}

static void plan_simd(wg_gemm_plan *plan, int64_t all_k, const wg_gemm_device *device) {
    wg_gemm_tile t = wg_gemm_choose_tile(plan->text.type, plan->text.width);
    int64_t *v = plan->v, units = device->compute_units > 0 ? device->compute_units : 1, most = 0;
    bool rows = plan->text.row > 0;
    if (rows) {
        t.block_n = (int)round_up(v[WG_GEMM_P_N], t.panel);
        t.block_m = (int)max64(t.mr, min64(t.block_m, ROW_SUMS / t.block_n) / t.mr * t.mr);
    }
    choose_block(&t, v, all_k, units, rows);
    int64_t bm = v[WG_GEMM_P_BLOCK_M], bn = v[WG_GEMM_P_BLOCK_N];
    for (int i = 0; i < plan->text.terms; i++) {
        int64_t sums = choose_block_k(&t, v, v + plan->text.layout[i], rows);
        most = sums > most ? sums : most;
    }
    v[WG_GEMM_P_SCRATCH_STEP] = most + WG_GEMM_PAD + (plan->text.terms > 1 ? bm * bn : 0); /* the last is what waits */
    plan->panel = t.panel;
    plan->group[0] = 1;
    int64_t blocks = ceil_div(v[WG_GEMM_P_M], bm) * ceil_div(v[WG_GEMM_P_N], bn) * v[WG_GEMM_P_BATCHES];
    plan->grid[0] = min64(blocks, (rows ? ROW_GROUPS : GROUPS_PER_UNIT) * units);
}

static void plan_simt(wg_gemm_plan *plan) {
    int64_t *v = plan->v;
    int64_t bn = plan->text.row > SIMT_TILE ? plan->text.row : SIMT_TILE, bm = SIMT_TILE * SIMT_TILE / bn;
    v[WG_GEMM_P_BLOCK_M] = bm;
    v[WG_GEMM_P_BLOCK_N] = bn;
    plan->group[0] = SIMT_THREADS;
    plan->grid[0] = ceil_div(v[WG_GEMM_P_M], bm) * ceil_div(v[WG_GEMM_P_N], bn) * v[WG_GEMM_P_BATCHES];
}

/* Returns the size of the product's batch. */
static int64_t write_layout(const wg_gemm_problem *problem, int64_t *layout) {
    int64_t size[WG_GEMM_MAX_BATCH] = {1, 1, 1}, batches = 1;
    int skip = WG_GEMM_MAX_BATCH - problem->rank; /* missing outer dimensions have size 1 */
    memset(layout, 0, WG_GEMM_LAYOUT * sizeof *layout);
    for (int i = 0; i < problem->rank; i++) {
        size[skip + i] = problem->batch[i];
        layout[A_BATCH + skip + i] = problem->a_batch[i];
        layout[B_BATCH + skip + i] = problem->b_batch[i];
        batches *= problem->batch[i];
    }
    const int64_t head[] = {problem->k,     size[1],        size[2],       problem->a_row,
                            problem->a_col, problem->b_row, problem->b_col};
    memcpy(layout, head, sizeof head);
    return batches;
}

/* Writes all layouts that differ, and where operands start. */
static int64_t write_terms(wg_gemm_plan *plan, const wg_gemm_problem *problem, int terms) {
    int64_t batches = 0, layout[WG_GEMM_LAYOUT];
    plan->text.terms = terms;
    plan->nv = wg_gemm_start(terms);
    for (int t = 0; t < terms; t++) {
        batches = write_layout(&problem[t], layout);
        plan->v[wg_gemm_start(t)] = problem[t].a_offset;
        plan->v[wg_gemm_start(t) + 1] = problem[t].b_offset;
        int same = 0;
        while (same < t && memcmp(&plan->v[plan->text.layout[same]], layout, sizeof layout) != 0) {
            same++;
        }
        int at = same < t ? plan->text.layout[same] : t == 0 ? WG_GEMM_P_LAYOUT : plan->nv;
        plan->nv += same == t && t > 0 ? WG_GEMM_LAYOUT : 0;
        plan->text.layout[t] = at;
        memcpy(&plan->v[at], layout, sizeof layout);
    }
    return batches;
}

void wg_gemm_make_plan(wg_gemm_plan *plan, const wg_gemm_problem *problem, int terms, const wg_gemm_device *device) {
    memset(plan, 0, sizeof *plan);
    int64_t *v = plan->v, k = 0;
    plan->text.form = device->form;
    plan->text.type = problem->type;
    plan->text.width = device->form == WG_GEMM_SIMD ? device->float_width : 0;
    v[WG_GEMM_P_M] = problem->m;
    v[WG_GEMM_P_N] = problem->n;
    v[WG_GEMM_P_BATCHES] = write_terms(plan, problem, terms);
    for (int t = 0; t < terms; t++) {
        k += problem[t].k;
    }
    if (problem->m == 0 || problem->n == 0 || v[WG_GEMM_P_BATCHES] == 0) return;
    if (problem->rows)
        plan->text.row = device->form == WG_GEMM_SIMD ? WG_GEMM_ROW_SIMD
                         : problem->n <= SIMT_TILE    ? SIMT_TILE
                                                      : WG_GEMM_ROW_SIMT;
    plan->group[1] = plan->group[2] = 1;
    plan->grid[1] = plan->grid[2] = 1;
    if (device->form == WG_GEMM_SIMD)
        plan_simd(plan, k, device);
    else
        plan_simt(plan);
    /* Groups take runs of blocks: any number will do, and neighbours (which POCL gives to a thread) have equal work. */
    int64_t most = (device->max_items > 0 ? device->max_items : INT32_MAX) / plan->group[0];
    plan->grid[0] = v[WG_GEMM_P_GROUPS] = min64(plan->grid[0], most > 0 ? most : 1);
    plan->scratch = v[WG_GEMM_P_SCRATCH_STEP] * plan->grid[0];
}

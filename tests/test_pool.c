/* label: unit */
/* The device memory pool: reuse, coalescing, alignment, figures, exhaustion. On the null device. */
#include "base/alloc.h"
#include "runtime/null.h"
#include "runtime/pool.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static wg_dev dev;
static wg_pool pool;
static wg_err err;

static const size_t MIB = (size_t)1 << 20;

static void setup(void) {
    cr_assert_eq(wg_dev_open("null:cpu", &dev, &err), WG_OK);
    wg_pool_init(&pool, &dev);
}

static void teardown(void) {
    wg_pool_drop(&pool);
    cr_expect_eq(pool.stats.pooled, 0);
    wg_dev_close(&dev);
    wg_err_clear(&err);
}

TestSuite(pool, .init = setup, .fini = teardown);

static wg_block *get(size_t bytes) {
    wg_block *b = NULL;
    cr_assert_eq(wg_pool_get(&pool, bytes, &b, &err), WG_OK, "%zu: %s", bytes, wg_err_text(&err));
    return b;
}

/* Every chunk is tiled by blocks that know their neighbours; no two free ones touch; the figures add up. */
static void check_pool(wg_block **blocks, size_t n) {
    size_t live = 0;
    for (size_t i = 0; i < n; i++) {
        const wg_block *b = blocks[i];
        if (!b) {
            continue;
        }
        live += b->bytes;
        cr_assert_null(b->link);
        cr_assert(b->offset % 256 == 0 && b->bytes > 0 && b->offset + b->bytes <= b->mem->bytes);
        cr_assert(b->after ? b->after->offset == b->offset + b->bytes : b->offset + b->bytes == b->mem->bytes);
        cr_assert(!b->after || b->after->before == b);
        cr_assert(b->before ? b->before->after == b : b->offset == 0);
        if (b->after && b->after->link && b->after->after) {
            cr_assert_null(b->after->after->link, "two free neighbours");
        }
    }
    cr_assert_eq(pool.stats.live, live);
    cr_assert_geq(pool.stats.peak, live);
    cr_assert_geq(pool.stats.pooled, live);
}

Test(pool, sizes_are_enough_and_not_wasteful) {
    for (size_t n = 0; n < 100 * MIB; n += 1 + n / 17) {
        wg_block *b = get(n);
        cr_assert_geq(b->bytes, n);
        cr_assert_eq(b->bytes % 256, 0);
        cr_assert_leq(b->bytes, n < 8192 ? n + 256 : n + n / 32 + 1, "%zu got %zu", n, b->bytes);
        memset(b->mem->host + b->offset, 1, n < 4096 ? n : 4096);
        wg_pool_put(&pool, b);
    }
    cr_assert_eq(pool.stats.live, 0);
}

Test(pool, zero_bytes_are_a_block) {
    wg_block *a = get(0), *b = get(0);
    cr_assert_neq(a->offset, b->offset);
    wg_pool_put(&pool, a);
    wg_pool_put(&pool, b);
    wg_pool_put(&pool, NULL);
}

Test(pool, a_freed_block_is_used_again) {
    for (size_t n = 100; n < 64 * MIB; n *= 3) {
        wg_block *a = get(n), *other = get(n);
        const wg_mem *mem = a->mem;
        size_t offset = a->offset;
        wg_pool_put(&pool, a);
        wg_block *again = get(n);
        cr_assert(again->mem == mem && again->offset == offset, "%zu", n);
        wg_pool_put(&pool, again);
        wg_pool_put(&pool, other);
    }
}

Test(pool, small_blocks_share_chunks_and_large_ones_do_not) {
    wg_block *small[1000];
    for (size_t i = 0; i < 1000; i++) {
        small[i] = get(1024);
    }
    cr_assert_eq(pool.stats.chunks, 1);
    wg_block *large = get(20 * MIB);
    cr_assert_eq(pool.stats.chunks, 2);
    cr_assert_eq(large->mem->bytes, 20 * MIB);
    wg_pool_put(&pool, large);
    wg_block *more[1000]; /* nothing small goes into the free 20 MiB */
    for (size_t i = 0; i < 1000; i++) {
        more[i] = get(1024);
        cr_assert_neq(more[i]->mem->bytes, 20 * MIB);
    }
    cr_assert_eq(get(20 * MIB)->mem->bytes, 20 * MIB);
    cr_assert_eq(pool.stats.chunks, 3);
    for (size_t i = 0; i < 1000; i++) {
        wg_pool_put(&pool, small[i]);
        wg_pool_put(&pool, more[i]);
    }
}

Test(pool, neighbours_join_in_any_order) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int o = 0; o < 6; o++) {
        wg_block *b[3] = {get(MIB / 4), get(MIB / 4), get(MIB / 2)};
        cr_assert_eq(pool.stats.chunks, 1);
        for (int i = 0; i < 3; i++) {
            wg_pool_put(&pool, b[orders[o][i]]);
        }
        wg_block *whole = get(MIB);
        cr_assert_eq(pool.stats.chunks, 1, "order %d", o);
        wg_pool_put(&pool, whole);
    }
}

Test(pool, the_best_fit_is_taken) {
    wg_block *a = get(8192), *fence1 = get(256), *b = get(4096), *fence2 = get(256), *c = get(16384),
             *fence3 = get(256);
    size_t at = b->offset;
    wg_pool_put(&pool, a);
    wg_pool_put(&pool, b);
    wg_pool_put(&pool, c);
    wg_block *x = get(4000);
    cr_assert_eq(x->offset, at);
    wg_pool_put(&pool, x);
    wg_pool_put(&pool, fence1);
    wg_pool_put(&pool, fence2);
    wg_pool_put(&pool, fence3);
}

Test(pool, figures) {
    wg_block *a = get(1000), *b = get(3000);
    cr_assert_eq(pool.stats.live, 1024 + 3072);
    wg_pool_put(&pool, a);
    cr_assert_eq(pool.stats.live, 3072);
    cr_assert_eq(pool.stats.peak, 1024 + 3072);
    cr_assert_eq(pool.stats.pooled, MIB);
    cr_assert_eq(wg_pool_trim(&pool), 0);
    wg_pool_put(&pool, b);
    cr_assert_eq(pool.stats.live, 0);
    cr_assert_eq(wg_pool_trim(&pool), MIB);
    cr_assert_eq(pool.stats.pooled, 0);
    cr_assert_eq(pool.stats.chunks, 0);
    wg_pool_put(&pool, get(5));
}

Test(pool, chunks_grow) {
    wg_block *b[200];
    for (size_t i = 0; i < 200; i++) {
        b[i] = get(MIB);
    }
    cr_assert_leq(pool.stats.chunks, 10);
    cr_assert_leq(pool.stats.pooled, 320 * MIB);
    for (size_t i = 0; i < 200; i++) {
        wg_pool_put(&pool, b[i]);
    }
}

static uint64_t random_state = 1;
static uint64_t next_random(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

Test(pool, random_traffic_keeps_the_pool_in_order) {
    enum { SLOTS = 200 };
    wg_block *slots[SLOTS] = {0};
    unsigned char mark[SLOTS] = {0};
    for (int step = 0; step < 20000; step++) {
        size_t i = next_random() % SLOTS;
        if (slots[i]) {
            const char *p = slots[i]->mem->host + slots[i]->offset;
            cr_assert_eq((unsigned char)p[0], mark[i], "a block was overwritten");
            cr_assert_eq((unsigned char)p[slots[i]->bytes - 1], mark[i], "a block was overwritten");
            wg_pool_put(&pool, slots[i]);
            slots[i] = NULL;
        } else {
            size_t bytes = next_random() % ((size_t)1 << (1 + next_random() % 24));
            slots[i] = get(bytes);
            mark[i] = (unsigned char)next_random();
            char *p = slots[i]->mem->host + slots[i]->offset;
            p[0] = p[slots[i]->bytes - 1] = (char)mark[i];
        }
        if (step % 100 == 0) {
            check_pool(slots, SLOTS);
        }
        if (step % 5000 == 4999) {
            wg_pool_trim(&pool);
            check_pool(slots, SLOTS);
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        wg_pool_put(&pool, slots[i]);
    }
    cr_assert_eq(pool.stats.live, 0);
    size_t pooled = pool.stats.pooled;
    cr_assert_eq(wg_pool_trim(&pool), pooled);
    cr_assert_eq(pool.stats.pooled, 0, "after all puts every chunk is whole");
}

Test(pool, recurring_sizes_allocate_nothing) {
    static const size_t sizes[] = {4, 1000, 40000, 300000, 5000000, 30000000, 64, 64, 123456};
    enum { N = sizeof sizes / sizeof *sizes };
    wg_block *b[N];
    for (int round = 0; round < 3; round++) {
        if (round == 1) {
            wg_fault_arm(WG_FAULT_ALLOC, 0);
            wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 0);
        }
        for (int i = 0; i < N; i++) {
            b[i] = get(sizes[i]);
        }
        for (int i = 0; i < N; i++) {
            wg_pool_put(&pool, b[i * 4 % N]);
        }
    }
    cr_assert_eq(wg_fault_count(WG_FAULT_ALLOC), 0);
    cr_assert_eq(wg_fault_count(WG_FAULT_DEVICE_ALLOC), 0);
}

Test(pool, exhaustion_is_an_error_and_nothing_is_lost) {
    wg_block *b = NULL;
    cr_assert_eq(wg_pool_get(&pool, SIZE_MAX, &b, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    cr_assert_eq(wg_pool_get(&pool, dev.limits->max_alloc + 1, &b, &err), WG_ERR_DEVICE_MEM);
    wg_err_clear(&err);
    const size_t sizes[] = {100, 20 * MIB};
    for (int i = 0; i < 2; i++) {
        wg_pool_trim(&pool); /* nothing to give back before a second attempt */
        wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 1);
        cr_assert_eq(wg_pool_get(&pool, sizes[i], &b, &err), WG_ERR_DEVICE_MEM);
        cr_assert(strstr(wg_err_text(&err), "injected"), "%s", wg_err_text(&err));
        wg_err_clear(&err);
        wg_pool_put(&pool, get(sizes[i]));
    }
}

Test(pool, host_allocations_may_fail_one_by_one) {
    for (uint64_t n = 1; n < 10; n++) {
        wg_block *b = NULL;
        wg_pool_drop(&pool);
        wg_fault_arm(WG_FAULT_ALLOC, n);
        wg_status status = wg_pool_get(&pool, 5000, &b, &err);
        bool hit = wg_fault_count(WG_FAULT_ALLOC) >= n;
        wg_fault_arm(WG_FAULT_ALLOC, 0);
        cr_assert_eq(status, hit ? WG_ERR_NOMEM : WG_OK);
        cr_assert_eq(pool.stats.live, hit ? 0 : b->bytes);
        if (!hit) {
            wg_pool_put(&pool, b);
            break;
        }
        wg_err_clear(&err);
        wg_pool_put(&pool, get(5000));
    }
}

Test(pool, short_memory_gives_free_chunks_back_and_tries_again) {
    wg_pool_put(&pool, get(100 * MIB));
    wg_block *small = get(1000);
    cr_assert_eq(pool.stats.chunks, 2);
    wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 1);
    wg_block *b = get(200 * MIB);
    cr_assert_eq(wg_fault_count(WG_FAULT_DEVICE_ALLOC), 2);
    cr_assert_eq(pool.stats.chunks, 2, "the 100 MiB went back");

    wg_block *filler = get(MIB - 1024); /* the next small chunk would have 2 MiB; one of 1 MiB will do */
    wg_fault_arm(WG_FAULT_DEVICE_ALLOC, 1);
    wg_block *c = get(1000);
    cr_assert_eq(c->mem->bytes, MIB);
    wg_pool_put(&pool, small);
    wg_pool_put(&pool, filler);
    wg_pool_put(&pool, b);
    wg_pool_put(&pool, c);
}

Test(pool, the_largest_allocation_can_be_had_and_had_again) {
    wg_limits limits = *dev.limits;
    limits.max_alloc = 37 * MIB + 300; /* no class, no multiple of 256 */
    wg_dev narrow = dev;
    narrow.limits = &limits;
    wg_pool p;
    wg_pool_init(&p, &narrow);
    for (int i = 0; i < 3; i++) {
        wg_block *b = NULL;
        cr_assert_eq(wg_pool_get(&p, limits.max_alloc, &b, &err), WG_OK);
        cr_assert_eq(b->bytes, limits.max_alloc);
        wg_pool_put(&p, b);
        cr_assert_eq(p.stats.chunks, 1);
        cr_assert_eq(wg_pool_get(&p, 36 * MIB + 1, &b, &err), WG_OK);
        wg_pool_put(&p, b);
        cr_assert_eq(p.stats.chunks, 1);
    }
    wg_pool_drop(&p);
}

/* ---- fragmentation, and the limit ----------------------------------------------------------------------------------- */

/* Sizes of every magnitude come and go at random, `most` bytes of them at a time at most; returns how often the pool had
 * no memory. */
static int churn(int steps, size_t most, unsigned magnitudes) {
    enum { SLOTS = 400 };
    wg_block *slots[SLOTS] = {0};
    int refused = 0;
    for (int step = 0; step < steps; step++) {
        size_t i = next_random() % SLOTS, bytes = next_random() % ((size_t)256 << next_random() % magnitudes);
        if (slots[i]) {
            wg_pool_put(&pool, slots[i]);
            slots[i] = NULL;
        } else if (pool.stats.live + bytes + bytes / 8 + 256 <= most) {
            refused += wg_pool_get(&pool, bytes, &slots[i], &err) != WG_OK;
            wg_err_clear(&err);
        }
        cr_assert(!pool.limit || pool.stats.pooled <= pool.limit);
    }
    check_pool(slots, SLOTS);
    for (size_t i = 0; i < SLOTS; i++) {
        wg_pool_put(&pool, slots[i]);
    }
    return refused;
}

Test(pool, gaps_stay_few) {
    churn(200000, 64 * MIB, 15);
    cr_log_info("at most %zu live, %zu pooled", pool.stats.peak, pool.stats.pooled);
    cr_expect_geq(pool.stats.peak, 60 * MIB);
    cr_expect_leq(pool.stats.pooled, 2 * pool.stats.peak);
}

Test(pool, gaps_stay_few_under_a_limit) {
    wg_pool_limit(&pool, 64 * MIB);
    int refused = churn(200000, 64 * MIB * 5 / 6, 15);
    cr_log_info("at most %zu live within %zu, %d times refused", pool.stats.peak, pool.limit, refused);
    cr_expect_leq(refused, 200, "of a hundred thousand");
    cr_expect_geq(pool.stats.peak, 50 * MIB);
}

Test(pool, under_a_limit_chunks_are_cut_to_measure) {
    wg_pool_limit(&pool, 10 * MIB);
    wg_block *a = get(3 * MIB + 100), *b = get(300000), *small = get(1000);
    cr_expect_eq(a->mem->bytes, 3 * MIB + 256);
    cr_expect_eq(b->mem->bytes, 300032);
    cr_expect_eq(small->mem->bytes, 10 * MIB / 32);
    wg_pool_put(&pool, a);
    wg_block *c = get(MIB);
    cr_expect_eq(c->mem->bytes, MIB, "3 MiB are not cut for one, as long as there is room");
    wg_block *d = get(3 * MIB - 50000);
    cr_expect_eq(d->mem->bytes, 3 * MIB + 256, "a near fit is taken");
    wg_pool_put(&pool, d);
    wg_block *e = get(6 * MIB);
    cr_expect_eq(e->mem->bytes, 6 * MIB, "the 3 MiB go back for six");
    wg_block *rest = get(pool.limit - pool.stats.pooled - 5000);
    wg_block *last = get(2000);
    wg_block *none = NULL;
    cr_expect_leq(pool.stats.pooled, pool.limit);
    cr_expect_eq(wg_pool_get(&pool, MIB, &none, &err), WG_ERR_DEVICE_MEM);
    cr_expect(strstr(wg_err_text(&err), "limit"), "%s", wg_err_text(&err));
    cr_expect_eq(pool.wanted, MIB);
    wg_err_clear(&err);
    wg_pool_put(&pool, e);
    wg_block *again[6];
    for (int i = 0; i < 6; i++) {
        again[i] = get(MIB);
    }
    cr_expect_leq(pool.stats.pooled, pool.limit);
    for (int i = 0; i < 6; i++) {
        wg_pool_put(&pool, again[i]);
    }
    wg_pool_put(&pool, rest);
    wg_pool_put(&pool, last);
    wg_pool_put(&pool, small);
    wg_pool_put(&pool, b);
    wg_pool_put(&pool, c);
}

Test(pool, when_all_is_taken_any_free_block_will_do) {
    wg_block *small = get(1000), *large = get(20 * MIB);
    wg_pool_put(&pool, large);
    wg_block *part = get(18 * MIB), *corner = NULL;
    cr_assert_eq(part->mem->bytes, 20 * MIB);
    wg_block *rest = get(MIB - 65536);
    wg_pool_limit(&pool, 21 * MIB); /* all is pooled */
    cr_assert_eq(rest->mem, small->mem);
    cr_assert_eq(wg_pool_get(&pool, 100000, &corner, &err), WG_OK, "%s", wg_err_text(&err));
    cr_expect_eq(corner->mem, part->mem, "a corner of the large chunk serves a small request");
    cr_expect_eq(wg_pool_largest_free(&pool), 2 * MIB - corner->bytes);
    wg_pool_put(&pool, part);
    cr_expect_eq(get(2 * MIB)->mem, corner->mem);
    wg_pool_limit(&pool, 0);
    cr_expect_eq(get(30 * MIB)->mem->bytes, 30 * MIB);
    wg_pool_put(&pool, rest);
}

Test(pool, poison_shows_what_was_not_written) {
    pool.poison = true;
    wg_block *b = get(1000);
    unsigned char *p = (unsigned char *)b->mem->host + b->offset;
    cr_assert(p[0] == 0xA5 && p[b->bytes - 1] == 0xA5);
    memset(p, 7, b->bytes);
    wg_pool_put(&pool, b);
    cr_assert(p[0] == 0xA5 && p[1023] == 0xA5);
}

Test(pool, exact_blocks_stand_alone_and_are_not_used_again) {
    pool.exact = true;
    wg_block *a = get(1000), *b = get(0), *c = get(1000);
    cr_assert(a->bytes == 1000 && a->mem->bytes == 1000 && b->bytes == 1 && a->mem != c->mem);
    const wg_mem *was = a->mem;
    wg_pool_put(&pool, a);
    cr_assert_neq(get(1000)->mem, was);
    cr_assert_eq(wg_pool_trim(&pool), 1000);
}

Test(pool, every_chunk_goes_back) {
    wg_block *keep = get(100);
    (void)keep;
    wg_pool_put(&pool, get(50 * MIB));
    wg_pool_drop(&pool);
    const wg_null_record *log;
    size_t n = wg_null_log(dev.dev, &log);
    int balance = 0;
    for (size_t i = 0; i < n; i++) {
        balance += log[i].kind == WG_NULL_ALLOC ? 1 : log[i].kind == WG_NULL_FREE ? -1 : 0;
    }
    cr_assert_eq(balance, 0);
}

Test(pool, steady_traffic_is_cheap) {
    enum { N = 16, ROUNDS = 20000 };
    wg_block *b[N];
    double best = 1e9;
    for (int attempt = 0; attempt < 5; attempt++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int r = 0; r < ROUNDS; r++) {
            for (int i = 0; i < N; i++) {
                b[i] = get((size_t)1000 << (i % 8));
            }
            for (int i = 0; i < N; i++) {
                wg_pool_put(&pool, b[i]);
            }
        }
        clock_gettime(CLOCK_MONOTONIC, &to);
        double ns = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / ROUNDS / N / 2;
        best = ns < best ? ns : best;
    }
    cr_log_info("%.1f ns for a get or a put", best);
    cr_expect_lt(best, 1000.0); /* 20 ns on a quiet machine; sanitizers and neighbours take their share */
}

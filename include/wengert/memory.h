/*
 * Device memory: how much is held, by what, and how much may be.
 *
 * A context obtains memory from the driver in chunks and cuts the bytes of tensors from them. What tensors give back
 * stays in the pool for the next ones; a program whose steps are alike soon obtains nothing any more.
 *
 * When memory is short, because the driver has none or a limit is set, chunks without a tensor go back to the driver
 * and the request is tried again. If that does not help it fails with WG_ERR_DEVICE_MEM: nothing has run and nothing is
 * lost, and what was to be computed is computed when it is demanded again. The error's text has the bytes wanted, the
 * bytes live, the limit, and the largest live tensors; making it takes no memory, on the device or on the host.
 *
 * All sizes are in bytes. On a CPU device, device memory is memory of the host.
 */
#ifndef WENGERT_MEMORY_H
#define WENGERT_MEMORY_H

#include <wengert/types.h>

WG_BEGIN_DECLS

typedef struct wg_memory_info {
    uint64_t live;         /* held by tensors, sizes rounded up as the pool does (less than an eighth, and 256) */
    uint64_t peak;         /* the most that live has been since wg_open or wg_memory_reset_peak, temporaries included */
    uint64_t pooled;       /* obtained from the driver */
    uint64_t free;         /* pooled - live: waits in the pool for tensors to come */
    uint64_t largest_free; /* the largest piece of `free`; a larger tensor needs memory from the driver */
    uint64_t chunks;       /* in how many pieces `pooled` was obtained */
    uint64_t limit;        /* see wg_memory_limit; 0: none */
    uint64_t tensors;      /* values that hold memory: several handles and views of one value count once */
} wg_memory_info;

/* Fills in *out as things are now; runs nothing and waits for nothing. All zero if ctx is NULL or failed to open. */
WG_API void wg_memory_stats(const wg_ctx *ctx, wg_memory_info *out);

/* Makes `peak`, and bytes_peak of wg_get_stats, begin anew with what is live now. NULL is allowed. */
WG_API void wg_memory_reset_peak(wg_ctx *ctx);

/* Gives chunks in which no tensor lives back to the driver; returns their bytes. Tensors stay where they are. 0 if ctx is
 * NULL or cannot be used. */
WG_API uint64_t wg_memory_trim(wg_ctx *ctx);

/*
 * From now on the context never asks the driver for more than makes `bytes` in all; 0 (as at wg_open, unless
 * WENGERT_MEMORY_LIMIT is set) takes as much as the driver has. What is held already stays: if it is more, unused chunks
 * go back, and no new one is obtained until enough was freed. A program needs a little more than the most it has live at a
 * time, for the rounding of sizes and the gaps between tensors; a fifth more is enough for training steps. The limit is
 * for tensors and temporaries; programs, queues and what the driver keeps for itself do not count.
 * WG_OK, WG_ERR_ARG if ctx is NULL, or the context's error if it cannot be used.
 */
WG_API wg_status wg_memory_limit(wg_ctx *ctx, uint64_t bytes);

/*
 * Writes into buf what is live, as WG_ERR_DEVICE_MEM's text does: a line with totals, then one for each of the largest
 * tensors, largest first: its bytes, dtype and shape, the op that made it, and what keeps it (a scope
 * with its label). At most cap bytes, terminated if cap > 0; buf may be NULL if cap is 0. Returns the length of the whole
 * text without its terminator. No memory is allocated. 0, and an empty text, if ctx is NULL or failed to open.
 */
WG_API size_t wg_memory_report(const wg_ctx *ctx, char *buf, size_t cap);

WG_END_DECLS

#endif

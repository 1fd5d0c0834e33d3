/*
 * Replays: a training step recorded once and then run again without recording.
 *
 * A function that records a step is given to wg_replay_new; wg_replay_run runs it in a scope of its own. When two runs one after
 * the other recorded the same, the next ones do not call the function: the plan they had runs on the values that tensors
 * have by then. Results are to the bit those of calling the function each time. What changes from run to run and is followed:
 *  - values of tensors that the caller keeps: wg_write, wg_assign, wg_data_mut between runs, and the step's own updates;
 *  - optimisers: their step counts, and the learning rate of wg_optim_set_lr;
 *  - random ops: each run draws the numbers that come next, wg_seed included.
 * The function must depend on nothing else: other numbers of the program (a schedule computed inside it), what it reads or
 * writes on the host, and tensors that it makes from host memory are not seen again while it is not called. wg_replay_reset
 * says that something like that has changed.
 *
 * The function is called again, with no loss but the time for it, whenever what was recorded may not hold any more: a
 * tensor has another shape or dtype or other gradients, somebody else holds a value that would be written over, a tensor was
 * freed, an optimiser has new state; and always, if it reads values (wg_item and its like), takes data from the host, has
 * gradient hooks, or while anomalies are looked for or WENGERT_EAGER=1 is set.
 */
#ifndef WENGERT_REPLAY_H
#define WENGERT_REPLAY_H

#include <wengert/tensor.h>
#include <wengert/types.h>

WG_BEGIN_DECLS

typedef struct wg_replay wg_replay;

/* Records a step: forward, backward, updates. outputs[i], all NULL before, take the tensors whose values the caller wants
 * (a loss); they belong to the scope, and may stay NULL. user is passed through. */
typedef void (*wg_replay_fn)(wg_ctx *ctx, wg_tensor **outputs, void *user);

/* A step with noutputs outputs that has not run yet. NULL on error (out of host memory; fn NULL). The caller frees it with
 * wg_replay_free before wg_close. */
WG_API wg_replay *wg_replay_new(wg_ctx *ctx, wg_replay_fn fn, size_t noutputs, void *user);

/* Runs the step: as if fn were called in a scope, which closes, and its outputs evaluated. Returns what went wrong: an error
 * of fn's ops or of the device. After a failed launch what was being overwritten reads WG_ERR_LOST, as everywhere. */
WG_API wg_status wg_replay_run(wg_replay *s);

/* Output i of the last run: a tensor of the step's, without a gradient, valid until the next run or reset. NULL if there was
 * none, or i is out of range. */
WG_API wg_tensor *wg_replay_output(const wg_replay *s, size_t i);

/* Forgets what was recorded: the next run calls the function. NULL is allowed. */
WG_API void wg_replay_reset(wg_replay *s);

/* How many runs did not call the function. 0 for NULL. */
WG_API uint64_t wg_replay_count(const wg_replay *s);

/* NULL is allowed. */
WG_API void wg_replay_free(wg_replay *s);

WG_END_DECLS

#endif

/*
 * A trace of what host and device did when, as Chrome's tracing, Perfetto and speedscope read it: the JSON array of the
 * Trace Event Format, one complete event ("ph":"X") for each span, in microseconds since the trace began.
 */
#ifndef WG_RUNTIME_TIMELINE_H
#define WG_RUNTIME_TIMELINE_H

#include "base/err.h"
#include "runtime/backend.h"

typedef struct wg_timeline wg_timeline;

/* A row of the picture: what the host does, and the device's queues. */
typedef enum wg_lane {
    WG_LANE_RECORD,
    WG_LANE_PLAN,
    WG_LANE_BUILD,
    WG_LANE_BIND,
    WG_LANE_LAUNCH,
    WG_LANE_TRANSFER,
    WG_LANE_QUEUE, /* the device: + wg_queue */
    WG_LANE_COUNT = WG_LANE_QUEUE + WG_QUEUE_COUNT
} wg_lane;

/* Creates the file, or empties it, for a device of such limits. NULL with the error set. now: the clock's time, in seconds. */
wg_timeline *wg_timeline_open(const char *path, const wg_limits *device, double now, wg_err *err);
/* Adds a span from one time of the clock to another. args: members of a JSON object, "" for none. A failure to write is
 * kept for wg_timeline_close. */
void wg_timeline_span(wg_timeline *t, wg_lane lane, const char *name, double from, double to, const char *args);
/* Writes what is left. In a forked child, whose copy of the trace is not its own, write is false. NULL is allowed. */
wg_status wg_timeline_close(wg_timeline *t, bool write, wg_err *err);

#endif

/*
 * Results: an aligned table on the screen, the same rows as JSON.
 */
#ifndef WENGERT_BENCH_TABLE_H
#define WENGERT_BENCH_TABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum unit { NO_UNIT, GFLOPS, GBS } unit;

typedef struct row {
    const char *id;
    double min, median; /* seconds; 0 when the case failed */
    unit unit;
    double rate;       /* in unit, by the shortest time */
    const char *limit; /* "copy", "read", "fma"; NULL for none */
    double limit_rate; /* in unit, measured beside the case */
    const char *peer;  /* what else did the same work beside the case, NULL for none */
    double peer_min, peer_median;
    double launches; /* kernels a run */
    bool failed;
    char note[256];
} row;

/* Adds to a note in `cap` bytes, with "; " between. */
void add_note(char *note, size_t cap, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
/* The same for a row's. */
void row_note(row *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "1.23 us" and the like. */
typedef struct duration {
    char text[24];
} duration;
duration duration_of(double seconds);

void table_print_head(FILE *out);
void table_print_row(FILE *out, const row *r);

/* A file {"version": ..., "device": ..., ROWS: [, up to where the rows follow, NULL with errno set if it cannot be
 * written; and what closes it, false if anything (or `out`) was not. */
FILE *json_begin(const char *path, const char *device, const char *rows);
bool json_end(FILE *out);
void json_string(FILE *out, const char *s);

/* {"version": ..., "device": ..., "cases": [...]}; false with errno set if the file cannot be written. */
bool table_write_json(const char *path, const char *device, const row *rows, size_t n);

#endif

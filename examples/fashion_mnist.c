/*
 * Trains a small network (784-256-128-10, ReLU, cross entropy, Adam with a learning rate that falls to zero) on
 * Fashion-MNIST and reports its accuracy on the test images after each epoch: about 89 % after five.
 *
 * A step is one plan: everything it computes, the two running sums included, is recorded inside a scope and runs when
 * the scope closes. The sums are read only when the progress line is due.
 */
#include "idx.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <wengert/wengert.h>

enum { PIXELS = 28 * 28, CLASSES = 10, LAYERS = 3, PARAMS = 2 * LAYERS, TEST_BATCH = 1000 };
static const int64_t widths[LAYERS + 1] = {PIXELS, 256, 128, CLASSES};

/* ---- options ---------------------------------------------------------------------------------------------------- */

typedef struct options {
    const char *data, *device;
    int epochs, batch;
    double lr;
    uint64_t seed;
} options;

static const char help[] =
    "usage: fashion_mnist [options]\n"
    "Trains a classifier of clothes on Fashion-MNIST and prints its accuracy on the test images.\n"
    "\n"
    "  --data DIR     where the four .gz files are (default /usr/share/datasets/fashion-mnist)\n"
    "  --epochs N     passes over the training images (default 5)\n"
    "  --batch N      images a step (default 128)\n"
    "  --lr X         learning rate of the first step; it falls to zero (default 0.002)\n"
    "  --seed N       for the initial weights and the order of the images (default 0)\n"
    "  --device D     as wg_open takes it, opencl:0 for one (default $WENGERT_DEVICE, or the best found)\n"
    "  --help         this text\n"
    "\n"
    "Ctrl-C finishes the current step, reports the test accuracy reached so far and exits with status 0; a second\n"
    "one ends the program at once. Exit status: 0 done, 1 the device failed, 2 bad options or data files.\n";

/* One line on stderr; the exit status of bad options and data. */
static int refuse(const char *what, const char *value) {
    fprintf(stderr, "fashion_mnist: %s%s\n", what, value);
    return 2;
}

static bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out >= min && *out <= max;
}

/* -1 to go on, else the exit status. */
static int parse_options(options *o, int argc, char **argv) {
    static const struct option table[] = {
        {"data", required_argument, NULL, 'd'},  {"epochs", required_argument, NULL, 'e'},
        {"batch", required_argument, NULL, 'b'}, {"lr", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},  {"device", required_argument, NULL, 'D'},
        {"help", no_argument, NULL, 'h'},        {0}};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        uint64_t n = 0;
        char *end;
        switch (c) {
        case 'd':
            o->data = optarg;
            break;
        case 'D':
            o->device = optarg;
            break;
        case 'e':
            if (!parse_count(optarg, 1, 1000000, &n)) return refuse("--epochs takes a count from 1, not ", optarg);
            o->epochs = (int)n;
            break;
        case 'b':
            if (!parse_count(optarg, 1, 60000, &n)) return refuse("--batch takes 1 to 60000, not ", optarg);
            o->batch = (int)n;
            break;
        case 's':
            if (!parse_count(optarg, 0, UINT64_MAX, &o->seed)) return refuse("--seed takes a count, not ", optarg);
            break;
        case 'l':
            o->lr = strtod(optarg, &end);
            if (end == optarg || *end || !(o->lr > 0) || isinf(o->lr)) {
                return refuse("--lr takes a number above 0, not ", optarg);
            }
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2; /* getopt_long has said why */
        }
    }
    return optind < argc ? refuse("unexpected argument ", argv[optind]) : -1;
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

typedef struct dataset {
    idx images, labels;
} dataset;

static bool load(dataset *d, const char *dir, const char *images, const char *labels) {
    char err[4200];
    if (!idx_load(&d->images, dir, images, 3, err, sizeof err) ||
        !idx_load(&d->labels, dir, labels, 1, err, sizeof err)) {
        refuse(err, "");
        return false;
    }
    if (d->images.item_bytes != PIXELS || d->images.count != d->labels.count) {
        refuse(images, ": not one 28 x 28 image for each label");
        return false;
    }
    for (size_t i = 0; i < d->labels.count; i++) {
        if (d->labels.data[i] >= CLASSES) {
            refuse(labels, ": a label is not a class from 0 to 9");
            return false;
        }
    }
    return true;
}

static void unload(dataset *d) {
    idx_free(&d->images);
    idx_free(&d->labels);
}

/* A batch on the host, filled again for each step. */
typedef struct batch {
    float *x;
    int64_t *y;
    int64_t n;
} batch;

/* n images from place `first` of the order (NULL: as they lie), normalised to mean 0 and deviation 1 over the training
 * set, and their labels. */
static void gather(batch *b, const dataset *d, const uint32_t *order, int64_t first, int64_t n) {
    b->n = n;
    for (int64_t i = 0; i < n; i++) {
        size_t image = order ? order[first + i] : (size_t)(first + i);
        const uint8_t *pixels = d->images.data + image * PIXELS;
        float *x = b->x + i * PIXELS;
        for (int j = 0; j < PIXELS; j++) {
            x[j] = ((float)pixels[j] / 255.0f - 0.2860f) / 0.3530f;
        }
        b->y[i] = d->labels.data[image];
    }
}

/* splitmix64: the order of the images is part of a run, so it comes from --seed alone. */
static uint32_t random_below(uint64_t *state, uint32_t n) {
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

static void shuffle(uint32_t *order, uint32_t n, uint64_t *state) {
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = random_below(state, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

/* ---- the network ------------------------------------------------------------------------------------------------ */

/* Weights and biases, drawn as PyTorch draws those of its linear layers. */
static void init_params(wg_ctx *ctx, wg_tensor **params) {
    for (int l = 0; l < LAYERS; l++) {
        int64_t in = widths[l], out = widths[l + 1];
        wg_tensor *w = params[2 * l] = wg_keep(wg_param(wg_zeros(ctx, WG_F32, WG_SHAPE(out, in))));
        wg_tensor *b = params[2 * l + 1] = wg_keep(wg_param(wg_zeros(ctx, WG_F32, WG_SHAPE(out))));
        wg_init_kaiming_uniform(w, sqrt(5));
        wg_init_uniform(b, -1 / sqrt((double)in), 1 / sqrt((double)in));
    }
}

static wg_tensor *forward(wg_tensor **params, wg_tensor *x) {
    for (int l = 0; l < LAYERS; l++) {
        x = wg_linear(x, params[2 * l], params[2 * l + 1]);
        if (l + 1 < LAYERS) x = wg_relu(x);
    }
    return x;
}

/* How many of the images the logits classify as y says. */
static wg_tensor *count_hits(wg_tensor *logits, wg_tensor *y) {
    return wg_sum(wg_eq(wg_argmax(logits, 1, false), y), NULL, 0, false);
}

static double test_accuracy(wg_ctx *ctx, wg_tensor **params, const dataset *test, batch *b) {
    int64_t total = (int64_t)test->labels.count, hits = 0;
    for (int64_t at = 0; at < total; at += b->n) {
        gather(b, test, NULL, at, total - at < TEST_BATCH ? total - at : TEST_BATCH);
        WG_SCOPE(ctx) {
            wg_no_grad(ctx, true);
            wg_tensor *x = wg_from_f32(ctx, b->x, WG_SHAPE(b->n, PIXELS));
            wg_tensor *y = wg_from_i64(ctx, b->y, WG_SHAPE(b->n));
            hits += wg_item_i64(count_hits(forward(params, x), y));
        }
    }
    return 100.0 * (double)hits / (double)total;
}

/* ---- training --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static void on_interrupt(int sig) {
    interrupted = sig;
    signal(sig, SIG_DFL); /* a second one ends the program */
}

typedef struct trainer {
    wg_ctx *ctx;
    wg_tensor *params[PARAMS];
    wg_optim *optim;
    wg_tensor *loss_sum, *hits; /* over the images of this epoch so far */
} trainer;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Records a step; it runs, as one plan, when the scope closes. */
static void train_step(trainer *t, const batch *b) {
    WG_SCOPE(t->ctx) {
        wg_tensor *x = wg_from_f32(t->ctx, b->x, WG_SHAPE(b->n, PIXELS));
        wg_tensor *y = wg_from_i64(t->ctx, b->y, WG_SHAPE(b->n));
        wg_tensor *logits = forward(t->params, x);
        wg_tensor *loss = wg_cross_entropy(logits, y, NULL);
        wg_optim_zero_grad(t->optim);
        wg_backward(loss);
        wg_optim_step(t->optim);
        wg_assign(t->loss_sum, wg_add(t->loss_sum, wg_mul_scalar(loss, (double)b->n)));
        wg_assign(t->hits, wg_add(t->hits, count_hits(logits, y)));
    }
}

static void report(trainer *t, const char *where, int64_t seen, double seconds, bool last) {
    bool tty = isatty(STDOUT_FILENO);
    double loss = wg_item(t->loss_sum) / (double)seen;
    double accuracy = 100.0 * (double)wg_item_i64(t->hits) / (double)seen;
    printf("%s%s  loss %.4f  accuracy %.2f %%  %.0f images/s%s", tty ? "\r\033[K" : "", where, loss, accuracy,
           (double)seen / seconds, tty && !last ? "" : "\n");
    fflush(stdout);
}

/* One pass over the images, or the part of it before an interrupt or a failure. */
static void train_epoch(trainer *t, const options *o, int epoch, const dataset *data, const uint32_t *order, batch *b) {
    int64_t total = (int64_t)data->labels.count, seen = 0;
    int steps = (int)((total + o->batch - 1) / o->batch);
    int report_every = isatty(STDOUT_FILENO) ? 25 : 100;
    double start = now();

    wg_write(t->loss_sum, &(float){0}, sizeof(float));
    wg_write(t->hits, &(int64_t){0}, sizeof(int64_t));
    for (int step = 1; step <= steps; step++) {
        double done = (epoch + (step - 1) / (double)steps) / o->epochs;
        wg_optim_set_lr(t->optim, o->lr * (1 - done));
        gather(b, data, order, seen, total - seen < o->batch ? total - seen : o->batch);
        train_step(t, b);
        if (wg_failed(t->ctx)) return;

        seen += b->n;
        bool last = step == steps || interrupted;
        if (last || step % report_every == 0) {
            char where[64];
            snprintf(where, sizeof where, "epoch %d  step %d/%d", epoch + 1, step, steps);
            report(t, where, seen, now() - start, last);
        }
        if (last) return;
    }
}

/* Opens the device, trains, and returns the exit status. Whatever is NULL by an error is taken quietly, so the one
 * question asked of the context is the last. */
static int run(const options *o, const dataset *data, const dataset *test, uint32_t *order, batch *b) {
    wg_ctx *ctx = wg_open(o->device);
    if (!ctx) return 1;
    wg_seed(ctx, o->seed);
    trainer t = {.ctx = ctx};
    init_params(ctx, t.params);
    t.loss_sum = wg_keep(wg_zeros(ctx, WG_F32, WG_SHAPE()));
    t.hits = wg_keep(wg_zeros(ctx, WG_I64, WG_SHAPE()));
    wg_adam_opts adam = wg_adam_defaults();
    adam.lr = o->lr;
    t.optim = wg_adam_new(t.params, PARAMS, &adam);
    if (!wg_failed(ctx)) printf("training on %s\n", wg_device_name(ctx));

    signal(SIGINT, on_interrupt);
    uint64_t rng = o->seed;
    for (int epoch = 0; epoch < o->epochs && !interrupted && !wg_failed(ctx); epoch++) {
        shuffle(order, (uint32_t)data->labels.count, &rng);
        train_epoch(&t, o, epoch, data, order, b);
        double accuracy = test_accuracy(ctx, t.params, test, b);
        if (wg_failed(ctx)) break;
        printf("epoch %d  test accuracy %.2f %%%s\n", epoch + 1, accuracy, interrupted ? "  (interrupted)" : "");
        fflush(stdout);
    }

    if (wg_failed(ctx)) fprintf(stderr, "fashion_mnist: %s\n", wg_error(ctx));
    wg_optim_free(t.optim);
    return wg_close(ctx) == WG_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    options o = {.data = "/usr/share/datasets/fashion-mnist", .epochs = 5, .batch = 128, .lr = 0.002};
    int status = parse_options(&o, argc, argv);
    if (status >= 0) return status;

    dataset data = {0}, test = {0};
    if (load(&data, o.data, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz") &&
        load(&test, o.data, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")) {
        size_t most = o.batch > TEST_BATCH ? (size_t)o.batch : TEST_BATCH;
        batch b = {malloc(most * PIXELS * sizeof(float)), malloc(most * sizeof(int64_t)), 0};
        uint32_t *order = malloc(data.labels.count * sizeof *order);
        if (b.x && b.y && order) {
            for (uint32_t i = 0; i < data.labels.count; i++) {
                order[i] = i;
            }
            status = run(&o, &data, &test, order, &b);
        } else {
            fprintf(stderr, "fashion_mnist: out of memory\n");
            status = 1;
        }
        free(b.x);
        free(b.y);
        free(order);
    } else {
        status = 2;
    }
    unload(&data);
    unload(&test);
    return status;
}

/* label: ops */
/*
 * wg_print: the texts are what PyTorch 2 prints, but for the names of dtypes.
 */
#include "harness/check.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What wg_print writes, on the heap. */
static char *printed(wg_tensor *t) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    cr_assert_not_null(f);
    wg_status status = wg_print(t, f);
    fclose(f);
    cr_expect(status == WG_OK, "%s: %s", wg_status_name(status), wg_error(wg_context(t)));
    return text;
}

static void expect_text(wg_tensor *t, const char *want) {
    char *got = printed(t);
    cr_expect(strcmp(got, want) == 0, "printed:\n%sshould be:\n%s", got, want);
    free(got);
}

/* A tensor of any dtype with values given as doubles. */
static wg_tensor *tensor_of(wg_ctx *ctx, wg_dtype dtype, wg_shape shape, const double *values) {
    union {
        uint8_t u8[16];
        int32_t i32[16];
        int64_t i64[16];
        float f32[16];
        double f64[16];
    } data;
    for (int64_t i = 0; i < wg_shape_numel(shape); i++) {
        switch (dtype) {
        case WG_I32:
            data.i32[i] = (int32_t)values[i];
            break;
        case WG_I64:
            data.i64[i] = (int64_t)values[i];
            break;
        case WG_F32:
            data.f32[i] = (float)values[i];
            break;
        case WG_F64:
            data.f64[i] = values[i];
            break;
        default:
            data.u8[i] = (uint8_t)values[i];
        }
    }
    return wg_from(ctx, dtype, &data, shape);
}

typedef struct text_case {
    wg_dtype dtype;
    wg_shape shape;
    double values[16];
    bool requires_grad;
    const char *text;
} text_case;

static const text_case written_out[] = {
    {WG_F32, {0, {0}}, {3}, false, "tensor(3.)\n"},
    {WG_F32, {0, {0}}, {-0.0}, false, "tensor(-0.)\n"},
    {WG_F32, {0, {0}}, {1e-05}, false, "tensor(1.0000e-05)\n"},
    {WG_F32, {0, {0}}, {NAN}, false, "tensor(nan)\n"},
    {WG_F32, {1, {2}}, {1, 2.5}, false, "tensor([1.0000, 2.5000])\n"},
    {WG_F32,
     {2, {2, 2}},
     {1, 2.5, -3, 0.125},
     false,
     "tensor([[ 1.0000,  2.5000],\n"
     "        [-3.0000,  0.1250]])\n"},
    {WG_F32, {1, {3}}, {1, 2, -3}, false, "tensor([ 1.,  2., -3.])\n"},
    {WG_F32, {1, {4}}, {NAN, INFINITY, -INFINITY, 0}, false, "tensor([nan, inf, -inf, 0.])\n"},
    {WG_F32, {1, {4}}, {NAN, INFINITY, 1, -20}, false, "tensor([ nan,  inf,   1., -20.])\n"},
    {WG_F32, {1, {3}}, {0.5, INFINITY, NAN}, false, "tensor([0.5000,    inf,    nan])\n"},
    {WG_F32, {1, {2}}, {1e-05, 1}, false, "tensor([1.0000e-05, 1.0000e+00])\n"},
    {WG_F32, {1, {2}}, {1, 2e+08}, false, "tensor([1.0000e+00, 2.0000e+08])\n"},
    {WG_F32, {1, {2}}, {1, 1000}, false, "tensor([   1., 1000.])\n"},
    {WG_F32, {1, {2}}, {1, 1001}, false, "tensor([1.0000e+00, 1.0010e+03])\n"},
    {WG_F32, {1, {2}}, {0.5, 501}, false, "tensor([5.0000e-01, 5.0100e+02])\n"},
    {WG_F32, {1, {2}}, {0.001, 0.5}, false, "tensor([0.0010, 0.5000])\n"},
    {WG_F32, {1, {3}}, {1e+30, -1e-30, 0}, false, "tensor([ 1.0000e+30, -1.0000e-30,  0.0000e+00])\n"},
    {WG_F64, {1, {2}}, {1.5, 2}, false, "tensor([1.5000, 2.0000], dtype=f64)\n"},
    {WG_F64, {1, {2}}, {1. / 3, 2e-05}, false, "tensor([3.3333e-01, 2.0000e-05], dtype=f64)\n"},
    {WG_I64, {0, {0}}, {7}, false, "tensor(7)\n"},
    {WG_I64, {1, {3}}, {1, -20, 300}, false, "tensor([  1, -20, 300])\n"},
    {WG_I32, {1, {2}}, {1, -20}, false, "tensor([  1, -20], dtype=i32)\n"},
    {WG_U8, {1, {2}}, {1, 200}, false, "tensor([  1, 200], dtype=u8)\n"},
    {WG_BOOL, {1, {2}}, {1, 0}, false, "tensor([ True, False])\n"},
    {WG_BOOL,
     {2, {2, 2}},
     {1, 1, 0, 1},
     false,
     "tensor([[ True,  True],\n"
     "        [False,  True]])\n"},
    {WG_F32, {1, {2}}, {1, 2}, true, "tensor([1., 2.], requires_grad=True)\n"},
    {WG_F64, {1, {1}}, {1.5}, true, "tensor([1.5000], dtype=f64, requires_grad=True)\n"},
    {WG_F32, {1, {0}}, {0}, false, "tensor([])\n"},
    {WG_F32, {2, {0, 3}}, {0}, false, "tensor([], size=(0, 3))\n"},
    {WG_I64, {1, {0}}, {0}, false, "tensor([], dtype=i64)\n"},
    {WG_F64, {2, {2, 0}}, {0}, false, "tensor([], size=(2, 0), dtype=f64)\n"},
    {WG_BOOL, {2, {1, 0}}, {0}, false, "tensor([], size=(1, 0), dtype=bool)\n"},
    {WG_F32, {2, {0, 2}}, {0}, true, "tensor([], size=(0, 2), requires_grad=True)\n"},
    {WG_F32,
     {3, {2, 2, 2}},
     {1, 2, 3, 4, 5, 6, 7, 8},
     false,
     "tensor([[[1., 2.],\n"
     "         [3., 4.]],\n"
     "\n"
     "        [[5., 6.],\n"
     "         [7., 8.]]])\n"},
    {WG_I64,
     {4, {2, 2, 1, 1}},
     {1, 2, 3, 4},
     false,
     "tensor([[[[1]],\n"
     "\n"
     "         [[2]]],\n"
     "\n"
     "\n"
     "        [[[3]],\n"
     "\n"
     "         [[4]]]])\n"},
};

Test(print, values_share_one_format) {
    wg_ctx *ctx = open_ctx();
    for (size_t i = 0; i < sizeof written_out / sizeof *written_out; i++) {
        const text_case *c = &written_out[i];
        wg_tensor *t = tensor_of(ctx, c->dtype, c->shape, c->values);
        expect_text(c->requires_grad ? wg_param(t) : t, c->text);
    }
    wg_tensor *big = wg_from_i64(ctx, (int64_t[]){INT64_MAX, INT64_MIN}, WG_SHAPE(2));
    expect_text(big, "tensor([ 9223372036854775807, -9223372036854775808])\n");
    close_ok(ctx);
}

/* 0, 1, 2, ... in some shape */
static const struct {
    wg_dtype dtype;
    wg_shape shape;
    const char *text;
} counted[] = {
    {WG_F32,
     {1, {24}},
     "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
     "        14., 15., 16., 17., 18., 19., 20., 21., 22., 23.])\n"},
    {WG_F64,
     {1, {20}},
     "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
     "        14., 15., 16., 17., 18., 19.], dtype=f64)\n"},
    {WG_I64,
     {1, {30}},
     "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
     "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])\n"},
    {WG_I32,
     {1, {22}},
     "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
     "        18, 19, 20, 21], dtype=i32)\n"},
    {WG_I64, {1, {1001}}, "tensor([   0,    1,    2,  ...,  998,  999, 1000])\n"},
    {WG_F64, {1, {1001}}, "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.], dtype=f64)\n"},
    {WG_I32,
     {2, {7, 143}},
     "tensor([[   0,    1,    2,  ...,  140,  141,  142],\n"
     "        [ 143,  144,  145,  ...,  283,  284,  285],\n"
     "        [ 286,  287,  288,  ...,  426,  427,  428],\n"
     "        ...,\n"
     "        [ 572,  573,  574,  ...,  712,  713,  714],\n"
     "        [ 715,  716,  717,  ...,  855,  856,  857],\n"
     "        [ 858,  859,  860,  ...,  998,  999, 1000]], dtype=i32)\n"},
    {WG_I64,
     {2, {2, 501}},
     "tensor([[   0,    1,    2,  ...,  498,  499,  500],\n"
     "        [ 501,  502,  503,  ...,  999, 1000, 1001]])\n"},
    {WG_F32,
     {3, {2, 2, 254}},
     "tensor([[[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 2.5100e+02,\n"
     "          2.5200e+02, 2.5300e+02],\n"
     "         [2.5400e+02, 2.5500e+02, 2.5600e+02,  ..., 5.0500e+02,\n"
     "          5.0600e+02, 5.0700e+02]],\n"
     "\n"
     "        [[5.0800e+02, 5.0900e+02, 5.1000e+02,  ..., 7.5900e+02,\n"
     "          7.6000e+02, 7.6100e+02],\n"
     "         [7.6200e+02, 7.6300e+02, 7.6400e+02,  ..., 1.0130e+03,\n"
     "          1.0140e+03, 1.0150e+03]]])\n"},
    {WG_F32,
     {4, {2, 2, 1, 5}},
     "tensor([[[[ 0.,  1.,  2.,  3.,  4.]],\n"
     "\n"
     "         [[ 5.,  6.,  7.,  8.,  9.]]],\n"
     "\n"
     "\n"
     "        [[[10., 11., 12., 13., 14.]],\n"
     "\n"
     "         [[15., 16., 17., 18., 19.]]]])\n"},
};

Test(print, long_rows_break_and_large_tensors_are_summarised) {
    wg_ctx *ctx = open_ctx();
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        int64_t n = wg_shape_numel(counted[i].shape);
        wg_tensor *t = wg_arange(ctx, counted[i].dtype, 0, (double)n, 1);
        expect_text(wg_reshape(t, counted[i].shape), counted[i].text);
    }
    close_ok(ctx);
}

Test(print, a_thousand_elements_are_all_there) {
    wg_ctx *ctx = open_ctx();
    char *all = printed(wg_arange(ctx, WG_I64, 0, 1000, 1)), *edges = printed(wg_arange(ctx, WG_I64, 0, 1001, 1));
    cr_expect(strstr(all, " 500,") && !strstr(all, "..."), "%s", all);
    cr_expect(!strstr(edges, " 500,") && strstr(edges, "..."), "%s", edges);
    free(all);
    free(edges);
    close_ok(ctx);
}

Test(print, views_and_results_of_ops) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *a = wg_param(wg_from_f32(ctx, (float[]){1, 2, 3, 4, 5, 6}, WG_SHAPE(2, 3)));
    expect_text(wg_detach(wg_transpose(a, 0, 1)), "tensor([[1., 4.],\n        [2., 5.],\n        [3., 6.]])\n");
    expect_text(wg_flip(wg_select(a, 0, 1), (int[]){0}, 1), "tensor([6., 5., 4.], requires_grad=True)\n");
    expect_text(wg_gt_scalar(a, 3), "tensor([[False, False, False],\n        [ True,  True,  True]])\n");
    wg_tensor *wide = wg_param(wg_cast(wg_arange(ctx, WG_F64, 0, 13, 1), WG_F64));
    expect_text(wide, "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12.],\n"
                      "       dtype=f64, requires_grad=True)\n");
    close_ok(ctx);
}

Test(print, the_locale_has_no_say) {
    wg_ctx *ctx = open_ctx();
    for (int i = 0; i < 2; i++) {
        setlocale(LC_NUMERIC, i ? "de_DE.UTF-8" : "fr_FR.UTF-8"); /* where they are installed */
        expect_text(wg_full(ctx, WG_F32, WG_SHAPE(2), 1.5), "tensor([1.5000, 1.5000])\n");
        expect_text(wg_full(ctx, WG_F32, WG_SHAPE(1), 1.5e9), "tensor([1.5000e+09])\n");
    }
    setlocale(LC_NUMERIC, "C");
    close_ok(ctx);
}

Test(print, failures) {
    wg_ctx *ctx = open_ctx();
    wg_tensor *t = wg_ones(ctx, WG_F32, WG_SHAPE(2));
    cr_expect_eq(wg_print(NULL, stdout), WG_ERR_ARG);
    cr_expect_eq(wg_print(t, NULL), WG_ERR_ARG);
    expect_error(ctx, WG_ERR_ARG, "no file", "print", (char *)NULL);
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        cr_expect_eq(wg_print(t, full), WG_ERR_IO);
        expect_error(ctx, WG_ERR_IO, "no room", "print", (char *)NULL);
        fclose(full);
    }
    FILE *readable = fopen("/dev/null", "r");
    cr_assert_not_null(readable);
    cr_expect_eq(wg_print(t, readable), WG_ERR_IO);
    expect_error(ctx, WG_ERR_IO, "a file to read", "print", (char *)NULL);
    fclose(readable);
    expect_text(t, "tensor([1., 1.])\n");
    close_ok(ctx);
}

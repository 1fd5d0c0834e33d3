/* Programs as text. */
#include "program.h"

#include "ops.h"

#include <stdlib.h>
#include <string.h>

void fuzz_add(fuzz_program *p, const fuzz_inst *in) {
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->inst = realloc(p->inst, p->cap * sizeof *p->inst);
        if (!p->inst) {
            abort();
        }
    }
    p->inst[p->n++] = *in;
}

void fuzz_append(fuzz_program *p, const fuzz_program *more) {
    for (size_t i = 0; i < more->n; i++) {
        fuzz_add(p, &more->inst[i]);
    }
}

void fuzz_program_free(fuzz_program *p) {
    free(p->inst);
    *p = (fuzz_program){0};
}

/* ---- printing ------------------------------------------------------------------------------------------------------- */

static void print_shape(const wg_shape *s, FILE *out) {
    fputs(" [", out);
    for (int i = 0; i < s->rank; i++) {
        fprintf(out, i ? ",%lld" : "%lld", (long long)s->dim[i]);
    }
    fputc(']', out);
}

void fuzz_print_inst(const fuzz_inst *in, FILE *out) {
    int reg = 0, num = 0, scalar = 0;
    if (in->op->args[0] == '=') {
        fprintf(out, "r%d = ", in->dst);
    }
    fputs(in->op->name, out);
    for (const char *a = in->op->args; *a; a++) {
        switch (*a) {
        case 'r':
            fprintf(out, " r%d", in->reg[reg++]);
            break;
        case 'i':
            fprintf(out, " %lld", (long long)in->num[num++]);
            break;
        case 't':
            fprintf(out, " %s", wg_dtype_name((wg_dtype)in->num[num++]));
            break;
        case 's':
            fprintf(out, " %.17g", in->scalar[scalar++]);
            break;
        case 'd':
            print_shape(&in->shape, out);
            break;
        default:
            break;
        }
    }
    fputc('\n', out);
}

void fuzz_print(const fuzz_program *p, FILE *out) {
    for (size_t i = 0; i < p->n; i++) {
        fuzz_print_inst(&p->inst[i], out);
    }
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static bool parse_register(const char *word, int *out) {
    char *end;
    if (!word || word[0] != 'r') {
        return false;
    }
    long k = strtol(word + 1, &end, 10);
    *out = (int)k;
    return *end == '\0' && end > word + 1 && k >= -1 && k < FUZZ_REGS;
}

static bool parse_number(const char *word, int64_t *out) {
    char *end;
    if (!word) {
        return false;
    }
    *out = strtoll(word, &end, 10);
    return *end == '\0' && end > word;
}

static bool parse_scalar(const char *word, double *out) {
    char *end;
    if (!word) {
        return false;
    }
    *out = strtod(word, &end);
    return *end == '\0' && end > word;
}

static bool parse_dtype(const char *word, int64_t *out) {
    for (int d = 0; word && d < WG_DTYPE_COUNT; d++) {
        if (strcmp(wg_dtype_name((wg_dtype)d), word) == 0) {
            *out = d;
            return true;
        }
    }
    return false;
}

static bool parse_shape(const char *word, wg_shape *out) {
    *out = (wg_shape){0};
    if (!word || *word++ != '[') {
        return false;
    }
    while (*word != ']' && out->rank < WG_MAX_RANK) {
        char *end;
        out->dim[out->rank++] = strtoll(word, &end, 10);
        if (end == word) {
            return false;
        }
        word = *end == ',' ? end + 1 : end;
    }
    return strcmp(word, "]") == 0;
}

static bool parse_args(fuzz_inst *in, char **rest) {
    int reg = 0, num = 0, scalar = 0;
    bool ok = true;
    for (const char *a = in->op->args; ok && *a; a++) {
        char *word = *a == '=' ? NULL : strtok_r(NULL, " \t\n", rest);
        ok = *a == '='   ? in->dst >= 0
             : *a == 'r' ? parse_register(word, &in->reg[reg++])
             : *a == 'i' ? parse_number(word, &in->num[num++])
             : *a == 't' ? parse_dtype(word, &in->num[num++])
             : *a == 's' ? parse_scalar(word, &in->scalar[scalar++])
                         : parse_shape(word, &in->shape);
    }
    return ok && !strtok_r(NULL, " \t\n", rest);
}

/* line is cut up. */
static bool parse_line(char *line, fuzz_inst *in) {
    char *rest, *word = strtok_r(line, " \t\n", &rest);
    *in = (fuzz_inst){.dst = -1};
    if (parse_register(word, &in->dst)) {
        word = strtok_r(NULL, " \t\n", &rest);
        if (!word || strcmp(word, "=") != 0) {
            return false;
        }
        word = strtok_r(NULL, " \t\n", &rest);
    }
    in->op = word ? fuzz_find_op(word) : NULL;
    return in->op && parse_args(in, &rest);
}

bool fuzz_parse(FILE *file, fuzz_program *p, int *line) {
    char text[400];
    *line = 0;
    while (fgets(text, sizeof text, file)) {
        fuzz_inst in;
        ++*line;
        text[strcspn(text, "#")] = '\0';
        if (text[strspn(text, " \t\n")] == '\0') {
            continue;
        }
        if (!parse_line(text, &in)) {
            return false;
        }
        fuzz_add(p, &in);
    }
    return true;
}

/*
 * Reading a CUBIN. The 128-bit instructions of Volta to Blackwell keep their operation in the lowest 9 bits and the size
 * of a memory access in bits 73 to 75; cubin_check.c compiles kernels with known numbers of each and compares.
 */
#include "cubin.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

/* Operations, as their lowest 9 bits. */
enum {
    OP_LD = 0x180,
    OP_LDG = 0x181,
    OP_LDL = 0x183,
    OP_ST = 0x185,
    OP_STG = 0x186,
    OP_STL = 0x187,
    OP_SHFL = 0x189,
    OP_BAR = 0x11d,
    OP_NOP = 0x118
};

/* Attributes in .nv.info: format, number, and for these eight bytes: symbol, value. */
enum { FORMAT_SIZED = 4, ATTRIBUTE_FRAME = 0x11, ATTRIBUTE_REGISTERS = 0x2f };

typedef struct cubin {
    const unsigned char *bytes;
    size_t size;
    const Elf64_Shdr *sections;
    size_t nsections;
    const char *names;
    size_t names_size;
} cubin;

static bool inside(const cubin *c, uint64_t offset, uint64_t size) {
    return offset <= c->size && size <= c->size - offset;
}

static const char *name_of(const cubin *c, const Elf64_Shdr *s) {
    return s->sh_name < c->names_size ? c->names + s->sh_name : "";
}

static bool open_image(const void *image, size_t size, cubin *c) {
    const Elf64_Ehdr *head = image;
    *c = (cubin){.bytes = image, .size = size};
    if (size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(c, head->e_shoff, head->e_shnum * sizeof(Elf64_Shdr))) {
        return false;
    }
    c->sections = (const void *)(c->bytes + head->e_shoff);
    c->nsections = head->e_shnum;
    for (size_t i = 0; i < c->nsections; i++) {
        if (c->sections[i].sh_type != SHT_NOBITS && !inside(c, c->sections[i].sh_offset, c->sections[i].sh_size)) {
            return false;
        }
    }
    if (head->e_shstrndx >= c->nsections) {
        return false;
    }
    c->names = (const char *)c->bytes + c->sections[head->e_shstrndx].sh_offset;
    c->names_size = c->sections[head->e_shstrndx].sh_size;
    return c->names_size > 0 && c->names[c->names_size - 1] == '\0';
}

/* The section "PREFIXkernel", or the one called PREFIX if kernel is "". */
static const Elf64_Shdr *find(const cubin *c, const char *prefix, const char *kernel) {
    for (size_t i = 0; i < c->nsections; i++) {
        const char *name = name_of(c, &c->sections[i]);
        if (strncmp(name, prefix, strlen(prefix)) == 0 && strcmp(name + strlen(prefix), kernel) == 0) {
            return &c->sections[i];
        }
    }
    return NULL;
}

static void read_code(const cubin *c, const Elf64_Shdr *text, cubin_facts *out) {
    for (uint64_t at = 0; at + 16 <= text->sh_size; at += 16) {
        uint64_t word[2];
        memcpy(word, c->bytes + text->sh_offset + at, sizeof word);
        unsigned op = word[0] & 0x1ff, bits = (unsigned)(word[1] >> 9) & 7;
        /* 0 to 6: unsigned and signed bytes, the same of 16 bits, 32, 64, 128 */
        int width = bits < 2 ? WIDTH_8 : bits < 4 ? WIDTH_16 : bits < 7 ? (int)bits - 4 + WIDTH_32 : WIDTH_8;
        out->instructions += op != OP_NOP;
        out->loads[width] += op == OP_LDG || op == OP_LD;
        out->stores[width] += op == OP_STG || op == OP_ST;
        out->local += op == OP_LDL || op == OP_STL;
        out->shuffles += op == OP_SHFL;
        out->barriers += op == OP_BAR;
    }
}

/* The number of the symbol of that name, or -1. */
static int64_t symbol(const cubin *c, const char *kernel) {
    const Elf64_Shdr *table = find(c, ".symtab", "");
    if (!table || table->sh_link >= c->nsections) {
        return -1;
    }
    const Elf64_Shdr *strings = &c->sections[table->sh_link];
    for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym s;
        memcpy(&s, c->bytes + table->sh_offset + i * sizeof s, sizeof s);
        if (s.st_name < strings->sh_size &&
            strcmp((const char *)c->bytes + strings->sh_offset + s.st_name, kernel) == 0) {
            return (int64_t)i;
        }
    }
    return -1;
}

static void read_attributes(const cubin *c, const Elf64_Shdr *info, int64_t kernel, cubin_facts *out) {
    const unsigned char *at = c->bytes + info->sh_offset, *end = at + info->sh_size;
    while (end - at >= 4) {
        size_t size = at[0] == FORMAT_SIZED ? (size_t)at[2] | (size_t)at[3] << 8 : 0;
        if ((size_t)(end - at) < 4 + size) {
            break;
        }
        uint32_t value[2];
        if (size == sizeof value) {
            memcpy(value, at + 4, sizeof value);
            if (value[0] == kernel && at[1] == ATTRIBUTE_REGISTERS) {
                out->registers = (int)value[1];
            } else if (value[0] == kernel && at[1] == ATTRIBUTE_FRAME) {
                out->stack = (int)value[1];
            }
        }
        at += 4 + size;
    }
}

bool cubin_read(const void *image, size_t size, const char *kernel, cubin_facts *out) {
    cubin c;
    *out = (cubin_facts){0};
    if (!open_image(image, size, &c)) {
        return false;
    }
    const Elf64_Shdr *text = find(&c, ".text.", kernel), *info = find(&c, ".nv.info", "");
    const Elf64_Shdr *shared = find(&c, ".nv.shared.", kernel);
    int64_t number = symbol(&c, kernel);
    if (!text || !info || number < 0) {
        return false;
    }
    read_code(&c, text, out);
    read_attributes(&c, info, number, out);
    out->shared = shared ? (int)shared->sh_size : 0;
    return out->registers > 0 && out->instructions > 0;
}

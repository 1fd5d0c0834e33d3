/*
 * What NVRTC's double writes and the driver's double reads: in the place of a CUBIN, a header, the real CUBIN if there is
 * one, and the program's text, from which POCL builds what runs. In the place of PTX, the text after a line of our own.
 * And the little that is read from a real CUBIN, an ELF file: each kernel's parameters.
 */
#include "double.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct header {
    char magic[16];
    uint64_t arch, cubin_bytes, text_bytes, hash;
} header;

static const char MAGIC[16] = "\x7f"
                              "ELFwgdouble 1";
static const char PTX_MARK[] = "\n//@ the text of the double\n";

static uint64_t hash_bytes(uint64_t h, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
    }
    return h;
}

static uint64_t hash_of(const header *h, const char *rest) {
    uint64_t sum = hash_bytes(0xcbf29ce484222325u, (const char *)h, offsetof(header, hash));
    return hash_bytes(sum, rest, h->cubin_bytes + h->text_bytes);
}

size_t cd_image_bytes(const cd_image *image) { return sizeof(header) + image->cubin_bytes + image->text_bytes; }

void cd_image_write(const cd_image *image, void *out) {
    header h = {.arch = (uint64_t)image->arch, .cubin_bytes = image->cubin_bytes, .text_bytes = image->text_bytes};
    char *rest = (char *)out + sizeof h;
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    if (image->cubin_bytes) {
        memcpy(rest, image->cubin, image->cubin_bytes);
    }
    memcpy(rest + image->cubin_bytes, image->text, image->text_bytes);
    h.hash = hash_of(&h, rest);
    memcpy(out, &h, sizeof h);
}

static CUresult read_ptx(const char *ptx, cd_image *image) {
    const char *mark = strstr(ptx, PTX_MARK);
    const char *version = strstr(ptx, ".version ");
    int major = 0;
    if (!mark || !version || sscanf(version, ".version %d", &major) != 1) {
        return cd_refuse(CUDA_ERROR_INVALID_IMAGE, "neither a CUBIN nor PTX");
    }
    if (major >= 9 && cd_driver_version() < 13000) {
        return cd_refuse(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "PTX %d for a driver of %d", major, cd_driver_version());
    }
    const char *text = mark + sizeof PTX_MARK - 1;
    *image = (cd_image){.text = text, .text_bytes = strlen(text) + 1, .arch = cd_arch()};
    return CUDA_SUCCESS;
}

CUresult cd_image_read(const void *bytes, cd_image *image) {
    header h;
    if (memcmp(bytes, MAGIC, 4) != 0) {
        return read_ptx(bytes, image);
    }
    memcpy(&h, bytes, sizeof h);
    const char *rest = (const char *)bytes + sizeof h;
    bool sound = memcmp(h.magic, MAGIC, sizeof MAGIC) == 0 && h.cubin_bytes < 1u << 30 && h.text_bytes > 0 &&
                 h.text_bytes < 1u << 30 && h.hash == hash_of(&h, rest) &&
                 rest[h.cubin_bytes + h.text_bytes - 1] == '\0';
    if (!sound) {
        return cd_refuse(CUDA_ERROR_INVALID_IMAGE, "a damaged image");
    }
    if (h.arch / 10 != (uint64_t)cd_arch() / 10 || h.arch > (uint64_t)cd_arch()) {
        return cd_refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "an image for sm_%d on sm_%d", (int)h.arch, cd_arch());
    }
    *image = (cd_image){.cubin = h.cubin_bytes ? rest : NULL,
                        .cubin_bytes = h.cubin_bytes,
                        .text = rest + h.cubin_bytes,
                        .text_bytes = h.text_bytes,
                        .arch = (int)h.arch};
    return CUDA_SUCCESS;
}

char *cd_image_ptx(const char *ptx, const char *text) {
    char *out = cd_alloc_or_die(strlen(ptx) + sizeof PTX_MARK + strlen(text));
    strcpy(out, ptx);
    strcat(out, PTX_MARK);
    return strcat(out, text);
}

/* ---- a real CUBIN ---------------------------------------------------------------------------------------------------------- */

typedef struct elf {
    const char *bytes;
    const Elf64_Shdr *section;
    int n;
    const char *names;
} elf;

static const Elf64_Shdr *find_section(const elf *e, const char *name, const char *kernel) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", name, kernel);
    for (int i = 0; i < e->n; i++) {
        if (strcmp(e->names + e->section[i].sh_name, full) == 0) {
            return &e->section[i];
        }
    }
    return NULL;
}

/* Attributes of four bytes: format, what, and the value or the size of the words that follow. */
enum { WITH_WORDS = 4, MAX_THREADS = 0x05, REQUIRED_THREADS = 0x10, PARAMETER = 0x17, REGISTERS = 0x2f };

static void read_attributes(const elf *e, const Elf64_Shdr *s, cd_shape *out) {
    const unsigned char *p = (const unsigned char *)e->bytes + s->sh_offset, *end = p + s->sh_size;
    while (p + 4 <= end) {
        uint32_t size = p[0] == WITH_WORDS ? p[2] | (uint32_t)p[3] << 8 : 0, word[3] = {0};
        memcpy(word, p + 4, size < sizeof word ? size : sizeof word);
        if (p[0] == WITH_WORDS && p[1] == PARAMETER) {
            uint32_t i = word[1] & 0xffff;
            if (i < CD_MOST_PARAMS) {
                out->size[i] = (int)(word[2] >> 18);
                out->nparams = out->nparams > (int)i ? out->nparams : (int)i + 1;
            }
        }
        if (p[0] == WITH_WORDS && (p[1] == MAX_THREADS || p[1] == REQUIRED_THREADS)) {
            out->most_threads = (int)(word[0] * word[1] * word[2]);
        }
        p += 4 + size;
    }
}

static void read_registers(const elf *e, const char *kernel, cd_shape *out) {
    const Elf64_Shdr *info = find_section(e, ".nv.info", ""), *symbols = find_section(e, ".symtab", "");
    if (!info || !symbols) {
        return;
    }
    const Elf64_Sym *symbol = (const Elf64_Sym *)(const void *)(e->bytes + symbols->sh_offset);
    const char *names = e->bytes + e->section[symbols->sh_link].sh_offset;
    const unsigned char *p = (const unsigned char *)e->bytes + info->sh_offset, *end = p + info->sh_size;
    while (p + 4 <= end) {
        uint32_t size = p[0] == WITH_WORDS ? p[2] | (uint32_t)p[3] << 8 : 0, word[2] = {0};
        memcpy(word, p + 4, size < sizeof word ? size : sizeof word);
        if (p[0] == WITH_WORDS && p[1] == REGISTERS && strcmp(names + symbol[word[0]].st_name, kernel) == 0) {
            out->registers = (int)word[1];
        }
        p += 4 + size;
    }
}

bool cd_cubin_shape(const void *cubin, size_t bytes, const char *kernel, cd_shape *out) {
    const Elf64_Ehdr *h = cubin;
    if (bytes < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0) {
        return false;
    }
    elf e = {.bytes = cubin, .n = h->e_shnum};
    e.section = (const Elf64_Shdr *)(const void *)(e.bytes + h->e_shoff);
    e.names = e.bytes + e.section[h->e_shstrndx].sh_offset;
    const Elf64_Shdr *info = find_section(&e, ".nv.info.", kernel), *shared = find_section(&e, ".nv.shared.", kernel);
    if (!info) {
        return false;
    }
    *out = (cd_shape){.most_threads = 1024, .shared = shared ? (int)shared->sh_size : 0};
    read_attributes(&e, info, out);
    read_registers(&e, kernel, out);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images for the recording's modules: for each kernel that it names, one with the same parameters
 * that does nothing but append its number, and that of the launch, to a log in device memory. See
 * player.h.
 */
#include "player.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct variable {
    char *name;
    uint32_t image;
    size_t size;
    bool managed;
};

static struct {
    struct kernel *kernels; /* by number - 1 */
    struct variable *variables;
    uint32_t nkernels, nvariables, nimages;
} all;

/* What an object of the recording stands for at one point of it, by type and number. */
struct meaning {
    uint32_t image, kernel;
};

static struct {
    struct meaning *meanings;
    size_t n;
} meanings[WH_CUDA_TYPE_CUlogsCallbackHandle + 1];

static struct meaning *meaning_of(const struct event *event, const char *text)
{
    unsigned type;
    size_t number;
    if (!text || !object_read(text, &type, &number))
        give_up(event, "'%s' is no object", text ? text : "");
    if (number >= meanings[type].n) {
        size_t n = 2 * number + 16, old = meanings[type].n;
        meanings[type].meanings = reallocarray(meanings[type].meanings, n, sizeof(struct meaning));
        if (!meanings[type].meanings)
            give_up(event, "out of memory");
        memset(meanings[type].meanings + old, 0, (n - old) * sizeof(struct meaning));
        meanings[type].n = n;
    }
    return &meanings[type].meanings[number];
}

/* A name as PTX has them, out of the quotes. */
static char *plain_name(const struct event *event, const char *text)
{
    size_t length = strlen(text);
    if (length < 3 || text[0] != '"' ||
        strspn(text + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") !=
            length - 2)
        give_up(event, "%s is no name", text);
    return strndup(text + 1, length - 2);
}

static uint32_t find_kernel(const struct event *event, uint32_t image, const char *text)
{
    char *name = plain_name(event, text);
    for (uint32_t i = 0; i < all.nkernels; i++)
        if (all.kernels[i].image == image && strcmp(all.kernels[i].name, name) == 0) {
            free(name);
            return i + 1;
        }
    all.kernels = reallocarray(all.kernels, all.nkernels + 1, sizeof(*all.kernels));
    if (!all.kernels)
        give_up(event, "out of memory");
    all.kernels[all.nkernels] = (struct kernel){.name = name, .image = image, .marked = -1};
    return ++all.nkernels;
}

static void find_variable(const struct event *event, uint32_t image)
{
    bool has_address = strcmp(event->arguments[0], "&") == 0;
    const char *size = event->results[has_address];
    struct variable variable = {.name = plain_name(event, event->arguments[3]),
                                .image = image,
                                .size = size ? strtoul(size, NULL, 10) : 8,
                                .managed = event->call->number == WH_CUDA_cuLibraryGetManaged};
    for (uint32_t i = 0; i < all.nvariables; i++)
        if (all.variables[i].image == image && !strcmp(all.variables[i].name, variable.name)) {
            free(variable.name);
            return;
        }
    all.variables = reallocarray(all.variables, all.nvariables + 1, sizeof(*all.variables));
    if (!all.variables)
        give_up(event, "out of memory");
    all.variables[all.nvariables++] = variable;
}

/* "[SIZE@OFFSET ...]" */
static void read_layout(const struct event *event, struct kernel *kernel, const char *text)
{
    unsigned n = 0;
    if (*text != '[')
        give_up(event, "the parameters of %s are not known", kernel->name);
    for (char *at = (char *)(text + 1); *at && *at != ']'; n++) {
        if (n == MOST_LAYOUT)
            give_up(event, "%s has too many parameters", kernel->name);
        kernel->params[n].size = (uint32_t)strtoul(at, &at, 10);
        kernel->params[n].offset = (uint32_t)strtoul(at + (*at == '@'), &at, 10);
        at += *at == ' ';
        if (kernel->marked < 0 && kernel->params[n].size >= 4 && kernel->params[n].offset % 4 == 0)
            kernel->marked = (int)n;
    }
    kernel->nparams = n;
    kernel->launched = true;
}

static void find_launch(struct event *event, unsigned function, unsigned params)
{
    const char *layout = event->arguments[params];
    event->kernel = meaning_of(event, event->arguments[function])->kernel;
    if (!event->kernel)
        give_up(event, "%s is no kernel", event->arguments[function]);
    if (strcmp(layout, "NULL") == 0 && event->call->nparams > params + 1)
        layout = event->arguments[params + 1]; /* in a buffer */
    struct kernel *kernel = &all.kernels[event->kernel - 1];
    if (!kernel->launched)
        read_layout(event, kernel, strcmp(layout, "NULL") == 0 ? "[]" : layout);
}

/* What one event says of images. Of calls that failed nothing is wanted. */
static void find_in(struct event *event)
{
    switch (event->call->number) {
    case WH_CUDA_cuModuleLoadData:
    case WH_CUDA_cuModuleLoadDataEx:
    case WH_CUDA_cuLibraryLoadData:
        event->image = ++all.nimages;
        meaning_of(event, event->results[0])->image = event->image;
        break;
    case WH_CUDA_cuModuleLoad:
    case WH_CUDA_cuModuleLoadFatBinary:
    case WH_CUDA_cuLibraryLoadFromFile:
        give_up(event, "this player makes no files and no fat binaries");
    case WH_CUDA_cuLibraryGetModule:
    case WH_CUDA_cuKernelGetFunction:
        *meaning_of(event, event->results[0]) = *meaning_of(event, event->arguments[1]);
        break;
    case WH_CUDA_cuLibraryGetKernel:
    case WH_CUDA_cuModuleGetFunction:
        meaning_of(event, event->results[0])->kernel =
            find_kernel(event, meaning_of(event, event->arguments[1])->image, event->arguments[2]);
        break;
    case WH_CUDA_cuModuleGetGlobal_v2:
    case WH_CUDA_cuLibraryGetGlobal:
    case WH_CUDA_cuLibraryGetManaged:
        find_variable(event, meaning_of(event, event->arguments[2])->image);
        break;
    case WH_CUDA_cuLaunchKernel:
    case WH_CUDA_cuLaunchCooperativeKernel:
        find_launch(event, 0, 9);
        break;
    case WH_CUDA_cuLaunchKernelEx:
        find_launch(event, 1, 2);
        break;
    default:
        break;
    }
}

void kernels_find(const struct recording *recording)
{
    for (size_t i = 0; i < recording->nevents; i++)
        if (recording->events[i].ended && recording->events[i].status == 0)
            find_in(&recording->events[i]);
}

const struct kernel *kernels_get(uint32_t number)
{
    return &all.kernels[number - 1];
}

/* ---- PTX ---- */

/* The largest alignment with which a parameter comes to lie where it lay. */
static uint32_t alignment(const struct kernel *kernel, unsigned index)
{
    uint32_t offset = kernel->params[index].offset, align = 16;
    while (offset % align)
        align /= 2;
    return align;
}

static void write_params(FILE *out, const struct kernel *kernel)
{
    for (unsigned i = 0; i < kernel->nparams; i++)
        fprintf(out, "%s\n    .param .align %u .b8 p%u[%u]", i ? "," : "", alignment(kernel, i), i,
                kernel->params[i].size);
}

/* The first thread of all takes the next place in the log, which has one behind its count. */
static void write_kernel(FILE *out, const struct kernel *kernel, uint32_t number, uint64_t log)
{
    fprintf(out, "\n// stands for the recorded kernel, and does nothing\n.visible .entry %s(",
            kernel->name);
    write_params(out, kernel);
    fputs(")\n{\n"
          "    .reg .pred %p<2>;\n    .reg .b32 %r<6>;\n    .reg .b64 %d<5>;\n"
          "    mov.u32 %r0, %tid.x;\n    mov.u32 %r1, %tid.y;\n    or.b32 %r0, %r0, %r1;\n"
          "    mov.u32 %r1, %tid.z;\n    or.b32 %r0, %r0, %r1;\n"
          "    mov.u32 %r1, %ctaid.x;\n    or.b32 %r0, %r0, %r1;\n"
          "    mov.u32 %r1, %ctaid.y;\n    or.b32 %r0, %r0, %r1;\n"
          "    mov.u32 %r1, %ctaid.z;\n    or.b32 %r0, %r0, %r1;\n"
          "    setp.ne.u32 %p1, %r0, 0;\n    @%p1 bra done;\n",
          out);
    fprintf(out, "    mov.u64 %%d1, %" PRIu64 ";\n    mov.u32 %%r2, %" PRIu32 ";\n", log, number);
    if (kernel->marked >= 0)
        fprintf(out, "    ld.param.u32 %%r3, [p%d];\n", kernel->marked);
    else
        fputs("    mov.u32 %r3, 0;\n", out);
    fputs("    atom.global.add.u64 %d2, [%d1], 1;\n"
          "    shl.b64 %d3, %d2, 3;\n    add.s64 %d3, %d3, %d1;\n"
          "    st.global.u32 [%d3+8], %r2;\n    st.global.u32 [%d3+12], %r3;\n"
          "done:\n    ret;\n}\n",
          out);
}

char *kernels_ptx(uint32_t image, uint64_t log)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fputs(".version 8.0\n.target sm_90\n.address_size 64\n\n", out);
    for (uint32_t i = 0; i < all.nvariables; i++)
        if (all.variables[i].image == image)
            fprintf(out, ".visible .global %s.align 16 .b8 %s[%zu];\n",
                    all.variables[i].managed ? ".attribute(.managed) " : "", all.variables[i].name,
                    all.variables[i].size);
    for (uint32_t i = 0; i < all.nkernels; i++)
        if (all.kernels[i].image == image)
            write_kernel(out, &all.kernels[i], i + 1, log);
    return fclose(out) ? NULL : text;
}

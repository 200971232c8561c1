/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the recording's text to the words of a call, and from what a call gave to the recording's
 * names. Memory of the program's own is a few large pieces of zeros, one after the other. See
 * player.h.
 */
#include "player.h"

#include "trace/cuda_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE  (64u << 20) /* the largest copy that can be played */
#define PIECES 64u         /* before the first is used again */
#define NTYPES (WH_CUDA_TYPE_CUlogsCallbackHandle + 1u)

/* ---- things ---- */

struct things {
    struct thing *things;
    size_t n;
};

static struct things objects[NTYPES], memory;
static size_t last_memory; /* the number that was given last */

static struct thing *thing(struct things *things, size_t number)
{
    if (number >= things->n) {
        size_t n = 2 * number + 16;
        things->things = reallocarray(things->things, n, sizeof(*things->things));
        if (!things->things)
            abort();
        memset(things->things + things->n, 0, (n - things->n) * sizeof(*things->things));
        things->n = n;
    }
    return &things->things[number];
}

struct thing *object_thing(unsigned type, size_t number)
{
    return thing(&objects[type], number);
}

struct thing *memory_thing(size_t number)
{
    return thing(&memory, number);
}

size_t object_count(unsigned type)
{
    return objects[type].n;
}

size_t memory_count(void)
{
    return memory.n;
}

/* The object type whose name the text begins with; 0: none. */
static unsigned type_of(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (unsigned type = 1; type < NTYPES; type++) {
        const char *name = wh_cuda_api.objects[type].name;
        if (strlen(name) == length && strncmp(name, text, length) == 0)
            return type;
    }
    return 0;
}

bool object_read(const char *text, unsigned *type, size_t *number)
{
    const char *mark = strchr(text, '#');
    *type = type_of(text);
    if (!*type || !mark)
        return false;
    *number = strtoul(mark + 1, NULL, 10);
    return true;
}

/* ---- the program's memory ---- */

static uint64_t next_piece(void)
{
    static uint8_t *pieces;
    static unsigned next;
    if (!pieces)
        pieces = mmap(NULL, (size_t)PIECES * PIECE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pieces == MAP_FAILED)
        abort();
    return (uintptr_t)pieces + (uint64_t)(next++ % PIECES) * PIECE;
}

/* What stands for every function of the program. */
static uint64_t nothing(void)
{
    return 0;
}

/* ---- reading values ---- */

struct reader {
    const struct event *event;
    struct words *words;
    CUcontext primary;
    const char *at;
};

static void *block(struct reader *reader, size_t size)
{
    struct words *words = reader->words;
    void *block = aligned_alloc(64, (size + 64) & ~(size_t)63);
    if (!block || words->nblocks == sizeof(words->blocks) / sizeof(*words->blocks))
        give_up(reader->event, "too many arguments");
    memset(block, 0, (size + 64) & ~(size_t)63);
    words->blocks[words->nblocks++] = block;
    return block;
}

static bool take(struct reader *reader, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static void need(struct reader *reader, const char *text)
{
    if (!take(reader, text))
        give_up(reader->event, "there is no '%s' at '%.40s'", text, reader->at);
}

static uint64_t read_count(struct reader *reader)
{
    char *end;
    uint64_t number = strtoull(reader->at, &end, 10);
    if (end == reader->at)
        give_up(reader->event, "there is no number at '%.40s'", reader->at);
    reader->at = end;
    return number;
}

/* A context that nobody made is the device's primary one: it has a handle before it exists. */
static uint64_t read_object(struct reader *reader)
{
    unsigned type = type_of(reader->at);
    if (take(reader, "NULL"))
        return 0;
    reader->at += strcspn(reader->at, "#=");
    if (type && take(reader, "="))
        return read_count(reader);
    need(reader, "#");
    size_t number = read_count(reader);
    struct thing *thing = type ? object_thing(type, number) : NULL;
    if (thing && !thing->value && type == WH_CUDA_TYPE_CUcontext)
        thing->value = (uintptr_t)reader->primary;
    if (!thing || !thing->value)
        give_up(reader->event, "nobody made object %zu", number);
    return thing->value;
}

static uint64_t read_address(struct reader *reader)
{
    if (take(reader, "NULL"))
        return 0;
    if (take(reader, "host"))
        return next_piece();
    need(reader, "mem#");
    size_t number = read_count(reader);
    uint64_t address = memory_thing(number)->value;
    if (!address)
        give_up(reader->event, "nobody made memory %zu", number);
    return take(reader, "+") ? address + read_count(reader) : address;
}

static uint64_t read_text(struct reader *reader)
{
    char *text = block(reader, strlen(reader->at) + 1), *end = text;
    if (take(reader, "NULL"))
        return 0;
    need(reader, "\"");
    while (*reader->at && *reader->at != '"') {
        if (take(reader, "\\x")) {
            char digits[3] = {reader->at[0], reader->at[0] ? reader->at[1] : '\0'};
            *end++ = (char)strtoul(digits, NULL, 16);
            reader->at += strlen(digits);
            continue;
        }
        take(reader, "\\");
        *end++ = *reader->at++;
    }
    need(reader, "\"");
    return (uintptr_t)text;
}

static uint64_t read_word(struct reader *reader, const struct wh_word_type *type)
{
    char *end;
    switch ((enum wh_word_kind)type->kind) {
    case WH_WORD_OBJECT:
        return read_object(reader);
    case WH_WORD_ADDRESS:
        return read_address(reader);
    case WH_WORD_TEXT:
        return read_text(reader);
    case WH_WORD_FUNCTION:
        return take(reader, "NULL") ? 0 : (need(reader, "function"), (uintptr_t)nothing);
    default:
        break;
    }
    uint64_t word =
        type->is_signed ? (uint64_t)strtoll(reader->at, &end, 10) : strtoull(reader->at, &end, 10);
    if (end == reader->at)
        give_up(reader->event, "there is no number at '%.40s'", reader->at);
    reader->at = end;
    return word;
}

static void read_element(struct reader *reader, const struct wh_word_type *type, uint8_t *bytes);

/* A launch's attributes are written in a way of their own. */
static void read_attributes(struct reader *reader, CUlaunchConfig *config)
{
    CUlaunchAttribute *attributes = block(reader, 16 * sizeof(*attributes));
    config->attrs = attributes;
    need(reader, "[");
    while (take(reader, "{") && config->numAttrs < 16) {
        CUlaunchAttribute *attribute = &attributes[config->numAttrs++];
        attribute->id = (CUlaunchAttributeID)read_count(reader);
        need(reader, " ");
        if (!take(reader, "x"))
            give_up(reader->event, "attribute %u cannot be played", attribute->id);
        for (size_t i = 0; *reader->at && *reader->at != '}' && i < sizeof(attribute->value); i++) {
            char digits[3] = {reader->at[0], reader->at[1]};
            ((uint8_t *)&attribute->value)[i] = (uint8_t)strtoul(digits, NULL, 16);
            reader->at += strlen(digits);
        }
        need(reader, "}");
        take(reader, " ");
    }
    need(reader, "]");
}

static void read_config(struct reader *reader, CUlaunchConfig *config)
{
    unsigned *const numbers[] = {&config->gridDimX,      &config->gridDimY,  &config->gridDimZ,
                                 &config->blockDimX,     &config->blockDimY, &config->blockDimZ,
                                 &config->sharedMemBytes};
    need(reader, "{");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        *numbers[i] = (unsigned)read_count(reader);
        need(reader, " ");
    }
    config->hStream = (CUstream)(uintptr_t)read_object(reader);
    need(reader, " ");
    read_attributes(reader, config);
    need(reader, "}");
}

static void read_member(struct reader *reader, const struct wh_word_member *member, uint8_t *bytes)
{
    if (member->elements == 1) {
        read_element(reader, &member->type, bytes);
        return;
    }
    need(reader, "[");
    for (uint32_t i = 0; i < member->elements && *reader->at != ']'; i++) {
        read_element(reader, &member->type, bytes + i * member->type.size);
        take(reader, " ");
    }
    need(reader, "]");
}

static void read_struct(struct reader *reader, unsigned index, uint8_t *bytes)
{
    const struct wh_word_struct *structure = &wh_cuda_words.structs[index];
    if (index == WH_CUDA_STRUCT_CUlaunchConfig) {
        read_config(reader, (CUlaunchConfig *)(void *)bytes);
        return;
    }
    need(reader, "{");
    for (size_t i = 0; i < structure->nmembers; i++) {
        if (i)
            need(reader, " ");
        read_member(reader, &structure->members[i], bytes + structure->members[i].offset);
    }
    need(reader, "}");
}

static void read_element(struct reader *reader, const struct wh_word_type *type, uint8_t *bytes)
{
    uint64_t word;
    char *end;
    if (type->kind == WH_WORD_STRUCT) {
        read_struct(reader, type->index, bytes);
    } else if (type->kind == WH_WORD_BYTES) {
        need(reader, "?"); /* zeros are as good */
    } else if (type->kind == WH_WORD_FLOAT) {
        double value = strtod(reader->at, &end);
        float single = (float)value;
        memcpy(bytes, type->size == 4 ? (void *)&single : (void *)&value, type->size);
        reader->at = end;
    } else {
        word = read_word(reader, type);
        memcpy(bytes, &word, type->size < sizeof(word) ? type->size : sizeof(word));
    }
}

static uint64_t elements_of(const struct wh_word_param *param, const uint64_t *a)
{
    uint64_t n = param->length.scale;
    if (param->length.a >= 0)
        n *= (uint32_t)a[param->length.a];
    if (param->length.b >= 0)
        n *= (uint32_t)a[param->length.b];
    return n;
}

/* What a pointer leads to: bytes as ?SIZE, one element as it is, several in brackets. */
static void *read_elements(struct reader *reader, const struct wh_word_param *param)
{
    uint64_t n = elements_of(param, reader->words->a);
    uint8_t *bytes = block(reader, n * param->type.size);
    if (param->type.kind == WH_WORD_BYTES)
        return bytes;
    if (param->length.a < 0 && param->length.scale == 1) {
        read_element(reader, &param->type, bytes);
        return bytes;
    }
    need(reader, "[");
    for (uint64_t i = 0; i < n; i++) {
        if (i)
            need(reader, " ");
        read_element(reader, &param->type, bytes + i * param->type.size);
    }
    need(reader, "]");
    return bytes;
}

/* First the plain values, by which the others' lengths go. */
static void read_values(struct reader *reader)
{
    const struct wh_word_call *call = reader->event->call;
    for (unsigned i = 0; i < call->nparams; i++) {
        reader->at = reader->event->arguments[i];
        bool layout = call->params[i].type.kind == WH_WORD_ADDRESS && *reader->at == '[';
        if (call->params[i].way == WH_WORD_VALUE && !layout)
            reader->words->a[i] = read_word(reader, &call->params[i].type);
    }
}

static void read_pointers(struct reader *reader)
{
    const struct wh_word_call *call = reader->event->call;
    for (unsigned i = 0; i < call->nparams; i++) {
        const struct wh_word_param *param = &call->params[i];
        reader->at = reader->event->arguments[i];
        if (param->way == WH_WORD_VALUE || strcmp(reader->at, "NULL") == 0)
            continue;
        void *pointer =
            param->way == WH_WORD_IN
                ? read_elements(reader, param)
                : block(reader, elements_of(param, reader->words->a) * param->type.size);
        reader->words->a[i] = (uintptr_t)pointer;
    }
}

/* ---- what is played otherwise ---- */

/* Images are ours, and need none of the program's options. */
static void put_image(struct reader *reader, uint64_t log)
{
    uint64_t *a = reader->words->a;
    char *ptx = kernels_ptx(reader->event->image, log);
    if (!ptx)
        give_up(reader->event, "out of memory");
    char *text = block(reader, strlen(ptx) + 1);
    strcpy(text, ptx);
    free(ptx);
    a[1] = (uintptr_t)text;
    if (reader->event->call->number == WH_CUDA_cuModuleLoadDataEx)
        a[2] = 0;
    if (reader->event->call->number == WH_CUDA_cuLibraryLoadData)
        a[4] = a[7] = 0;
}

/* Parameters are zeros, but for the launch's number. */
static void put_params(struct reader *reader, unsigned index, uint32_t launch)
{
    const struct kernel *kernel = kernels_get(reader->event->kernel);
    void **params = block(reader, (kernel->nparams + 1) * sizeof(*params));
    size_t size = 64;
    if (kernel->nparams)
        size +=
            kernel->params[kernel->nparams - 1].offset + kernel->params[kernel->nparams - 1].size;
    uint8_t *bytes = block(reader, size);
    for (unsigned i = 0; i < kernel->nparams; i++)
        params[i] = bytes + kernel->params[i].offset;
    if (kernel->marked >= 0)
        memcpy(params[kernel->marked], &launch, sizeof(launch));
    reader->words->a[index] = (uintptr_t)params;
    if (index + 1u < reader->event->call->nparams)
        reader->words->a[index + 1] = 0;
}

/* A place for each attribute that is asked for. */
static void put_places(struct reader *reader)
{
    uint64_t *a = reader->words->a;
    void **places = block(reader, a[0] * sizeof(*places));
    for (uint64_t i = 0; i < a[0]; i++)
        places[i] = block(reader, 64);
    a[2] = (uintptr_t)places;
}

void words_read(struct words *words, const struct event *event, uint64_t log, uint32_t launch,
                CUcontext primary)
{
    struct reader reader = {.event = event, .words = words, .primary = primary};
    memset(words->a, 0, sizeof(words->a));
    words->nblocks = 0;
    read_values(&reader);
    read_pointers(&reader);
    if (event->image)
        put_image(&reader, log);
    if (event->call->number == WH_CUDA_cuPointerGetAttributes)
        put_places(&reader);
    if (event->kernel)
        put_params(&reader, event->call->number == WH_CUDA_cuLaunchKernelEx ? 2 : 9, launch);
}

void words_free(struct words *words)
{
    for (unsigned i = 0; i < words->nblocks; i++)
        free(words->blocks[i]);
    words->nblocks = 0;
}

/* ---- what came of it ---- */

static void name_object(const struct event *event, const char *text, uint64_t value)
{
    unsigned type;
    size_t number;
    if (object_read(text, &type, &number))
        *object_thing(type, number) = (struct thing){.value = value, .maker = event->call->number};
    else if (value)
        give_up(event, "there was no object, and now there is");
}

static void name_memory(const struct event *event, const char *text, uint64_t value)
{
    if (!wh_cuda_teller(event->call->number) || strncmp(text, "mem#", 4) != 0)
        return; /* an address of what is known */
    size_t number = strtoul(text + 4, NULL, 10);
    *memory_thing(number) = (struct thing){.value = value, .maker = event->call->number};
    if (number > last_memory)
        last_memory = number;
}

/* Objects of one parameter, several in brackets. */
static void name_objects(const struct event *event, char *text, const uint64_t *values)
{
    char *rest = text;
    if (*text != '[') {
        name_object(event, text, *values);
        return;
    }
    for (rest++; *rest && *rest != ']'; values++) {
        name_object(event, rest, *values);
        rest += strcspn(rest, " ]");
        rest += *rest == ' ';
    }
}

static void name_results(const struct event *event, const struct words *words)
{
    char *const *result = event->results;
    for (unsigned i = 0; i < event->call->nparams && *result; i++) {
        const struct wh_word_param *param = &event->call->params[i];
        const uint64_t *values = (const uint64_t *)(uintptr_t)words->a[i];
        if (param->way != WH_WORD_OUT || !values)
            continue;
        if (param->type.kind == WH_WORD_OBJECT)
            name_objects(event, *result, values);
        else if (param->type.kind == WH_WORD_ADDRESS)
            name_memory(event, *result, *values);
        result++;
    }
}

/* Of memory that is registered the trace says no number: it is the next. */
static void name_registered(const struct event *event, const struct words *words)
{
    const struct wh_cuda_teller *teller = wh_cuda_teller(event->call->number);
    if (teller && !teller->address_out)
        *memory_thing(++last_memory) =
            (struct thing){.value = words->a[teller->address], .maker = event->call->number};
}

static bool ends_object(uint16_t number)
{
    return (wh_cuda_api.calls[number].flags & WH_CALL_RELEASE) ||
           number == WH_CUDA_cuCtxDestroy_v2 || number == WH_CUDA_cuCtxDestroy;
}

void words_succeeded(const struct event *event, const struct words *words)
{
    unsigned type;
    size_t number;
    name_results(event, words);
    name_registered(event, words);
    if (ends_object(event->call->number) && object_read(event->arguments[0], &type, &number))
        object_thing(type, number)->gone = true;
    if (wh_cuda_ends_memory(event->call->number) &&
        sscanf(event->arguments[0], "mem#%zu", &number) == 1)
        memory_thing(number)->gone = true;
}

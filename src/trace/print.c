/* SPDX-License-Identifier: Apache-2.0 */
/* See print.h; the format is described in docs/trace-format.md. */
#include "trace/print.h"

#include "trace/names.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define SMALL_HANDLES 4096u /* names of things that nobody made */
#define MOST_ELEMENTS 4096u /* of one array, printed */

void wh_trace_print_handle(const struct wh_trace_printer *printer, unsigned type, uint64_t handle)
{
    const struct wh_object_desc *objects = printer->words->api->objects;
    if (handle == 0) {
        fputs("NULL", printer->out);
    } else if (handle < SMALL_HANDLES && objects[type].special) {
        fprintf(printer->out, "%s=%" PRIu64, objects[type].name, handle);
    } else {
        struct wh_trace_name name =
            (printer->given ? wh_trace_name_given : wh_trace_name)((uint16_t)type, handle);
        fprintf(printer->out, "%s#%" PRIu32, objects[name.type].name, name.number);
    }
}

void wh_trace_print_address(FILE *out, uint64_t address)
{
    uint32_t number;
    uint64_t offset;
    if (!wh_trace_find(address, &number, &offset))
        fputs(address ? "host" : "NULL", out);
    else if (offset)
        fprintf(out, "mem#%" PRIu32 "+%" PRIu64, number, offset);
    else
        fprintf(out, "mem#%" PRIu32, number);
}

void wh_trace_print_bytes(FILE *out, const uint8_t *bytes, size_t size)
{
    while (size && !bytes[size - 1])
        size--;
    fputc('x', out);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", bytes[i]);
}

static void print_text(FILE *out, const char *text)
{
    if (!text) {
        fputs("NULL", out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (isprint((unsigned char)*text))
            fputc(*text, out);
        else
            fprintf(out, "\\x%02x", (unsigned char)*text);
    }
    fputc('"', out);
}

static void print_number(FILE *out, const struct wh_word_type *type, uint64_t word)
{
    unsigned unused = 64 - 8 * type->size;
    if (type->is_signed)
        fprintf(out, "%" PRId64, (int64_t)(word << unused) >> unused);
    else
        fprintf(out, "%" PRIu64, word << unused >> unused);
}

static void print_word(const struct wh_trace_printer *printer, const struct wh_word_type *type,
                       uint64_t word)
{
    switch ((enum wh_word_kind)type->kind) {
    case WH_WORD_OBJECT:
        wh_trace_print_handle(printer, type->index, word);
        break;
    case WH_WORD_ADDRESS:
        wh_trace_print_address(printer->out, word);
        break;
    case WH_WORD_TEXT:
        print_text(printer->out, (const char *)(uintptr_t)word);
        break;
    case WH_WORD_FUNCTION:
        fputs(word ? "function" : "NULL", printer->out);
        break;
    default:
        print_number(printer->out, type, word);
    }
}

static void print_element(const struct wh_trace_printer *printer, const struct wh_word_type *type,
                          const uint8_t *bytes);

/* Zeros at the end of an array say nothing. */
static uint32_t used_elements(const struct wh_word_member *member, const uint8_t *bytes)
{
    uint32_t n = member->elements, size = member->type.size;
    while (n > 0) {
        for (uint32_t i = 0; i < size; i++)
            if (bytes[(n - 1) * size + i])
                return n;
        n--;
    }
    return n;
}

static void print_member(const struct wh_trace_printer *printer,
                         const struct wh_word_member *member, const uint8_t *bytes)
{
    if (member->elements == 1) {
        print_element(printer, &member->type, bytes);
        return;
    }
    uint32_t n = used_elements(member, bytes);
    fputc('[', printer->out);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            fputc(' ', printer->out);
        print_element(printer, &member->type, bytes + i * member->type.size);
    }
    fputc(']', printer->out);
}

static void print_struct(const struct wh_trace_printer *printer, unsigned index,
                         const uint8_t *bytes)
{
    const struct wh_word_struct *structure = &printer->words->structs[index];
    if (printer->special && printer->special(printer, index, bytes))
        return;
    fputc('{', printer->out);
    for (size_t i = 0; i < structure->nmembers; i++) {
        if (i)
            fputc(' ', printer->out);
        print_member(printer, &structure->members[i], bytes + structure->members[i].offset);
    }
    fputc('}', printer->out);
}

/* One value where it lies. Of bytes, which may be the program's data, nothing is told. */
static void print_element(const struct wh_trace_printer *printer, const struct wh_word_type *type,
                          const uint8_t *bytes)
{
    uint64_t word = 0;
    if (type->kind == WH_WORD_STRUCT) {
        print_struct(printer, type->index, bytes);
    } else if (type->kind == WH_WORD_BYTES) {
        fputc('?', printer->out);
    } else if (type->kind == WH_WORD_FLOAT) {
        float single = 0;
        double value = 0;
        memcpy(type->size == 4 ? (void *)&single : (void *)&value, bytes, type->size);
        fprintf(printer->out, "%a", type->size == 4 ? (double)single : value);
    } else {
        memcpy(&word, bytes, type->size < sizeof(word) ? type->size : sizeof(word));
        print_word(printer, type, word);
    }
}

static uint64_t elements_of(const struct wh_word_param *param, const uint64_t *a)
{
    uint64_t n = param->length.scale;
    if (param->length.a >= 0)
        n *= a[param->length.a] & UINT32_MAX;
    if (param->length.b >= 0)
        n *= a[param->length.b] & UINT32_MAX;
    return n;
}

/* What lies behind a pointer: bytes as ?SIZE, one element as it is, several in brackets. */
static void print_elements(const struct wh_trace_printer *printer,
                           const struct wh_word_param *param, const uint64_t *a, uint64_t pointer)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)pointer;
    uint64_t n = elements_of(param, a);
    bool single = param->length.a < 0 && param->length.scale == 1;
    if (param->type.kind == WH_WORD_BYTES) {
        fprintf(printer->out, "?%" PRIu64, n * param->type.size);
        return;
    }
    if (!single)
        fputc('[', printer->out);
    for (uint64_t i = 0; i < n && i < MOST_ELEMENTS; i++) {
        if (i)
            fputc(' ', printer->out);
        print_element(printer, &param->type, bytes + i * param->type.size);
    }
    if (!single)
        fputs(n > MOST_ELEMENTS ? " ...]" : "]", printer->out);
}

void wh_trace_print_argument(const struct wh_trace_printer *printer,
                             const struct wh_word_call *call, unsigned index, const uint64_t *a)
{
    const struct wh_word_param *param = &call->params[index];
    if (param->way == WH_WORD_VALUE)
        print_word(printer, &param->type, a[index]);
    else if (!a[index])
        fputs("NULL", printer->out);
    else if (param->way == WH_WORD_OUT)
        fputc('&', printer->out);
    else
        print_elements(printer, param, a, a[index]);
}

void wh_trace_print_results(const struct wh_trace_printer *printer, const struct wh_word_call *call,
                            const uint64_t *a)
{
    const struct wh_trace_printer results = {
        .out = printer->out, .words = printer->words, .special = printer->special, .given = true};
    const char *separator = " (";
    for (unsigned i = 0; i < call->nparams; i++) {
        if (call->params[i].way != WH_WORD_OUT || !a[i])
            continue;
        fputs(separator, printer->out);
        separator = ", ";
        print_elements(&results, &call->params[i], a, a[i]);
    }
    if (*separator == ',')
        fputc(')', printer->out);
}

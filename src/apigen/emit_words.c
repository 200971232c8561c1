/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_words.c: what the words of each exported function mean, for whoever prints calls or
 * makes them from text (trace/words.h), and the functions that make them. Called by main.
 */
#include "emit.h"

#include <string.h>

/* What one value, or one element behind a pointer, is. */
struct shape {
    const char *kind;
    const struct type *base; /* aliases resolved */
};

/* How a parameter goes. */
struct word {
    const char *way;
    struct shape shape;
    struct wh_length length; /* in elements */
};

bool has_word_result(const struct call *call)
{
    const struct type *base = type_base(call->result.base);

    return call->result.depth || call->result_kind == WH_RESULT_VOID ||
           (base->class != TYPE_STRUCT && base->scalar != SCALAR_FLOAT);
}

static bool is_char(const struct type *base)
{
    return base->class == TYPE_SCALAR && !strcmp(base->c_name, "char");
}

/* Whether the description uses this name for the accelerator's addresses. */
static bool is_memory(const struct api *api, const struct type *type)
{
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        for (size_t k = 0; k < call->params.count; k++)
            if (call->params.items[k].role == ROLE_MEMORY &&
                call->params.items[k].type.base == type)
                return true;
    }
    return false;
}

static struct shape value_shape(const struct api *api, const struct type *type)
{
    const struct type *base = type_base((struct type *)type);
    struct shape shape = {.kind = "NUMBER", .base = base};

    if (base->class == TYPE_OBJECT)
        shape.kind = "OBJECT";
    else if (base->class == TYPE_FUNCTION)
        shape.kind = "FUNCTION";
    else if (base->class == TYPE_VOID)
        shape.kind = "BYTES";
    else if (base->class == TYPE_STRUCT)
        shape.kind = base->is_union || base->is_inline ? "BYTES" : "STRUCT";
    else if (base->scalar == SCALAR_POINTER || (type->class == TYPE_ALIAS && is_memory(api, type)))
        shape.kind = "ADDRESS";
    else if (base->scalar == SCALAR_FLOAT)
        shape.kind = "FLOAT";
    return shape;
}

static const struct shape address = {.kind = "ADDRESS"}, text = {.kind = "TEXT"};

/* How many elements the description says; one where it says nothing. */
static struct wh_length elements(const struct param *param)
{
    struct wh_length length = param->desc.length;
    const struct type *base = type_base(param->type.base);
    bool in_bytes = param->desc.kind == WH_BYTES || param->desc.kind == WH_OUT ||
                    param->desc.kind == WH_INFO || param->desc.kind == WH_VERSIONED;

    if (!length.scale)
        return (struct wh_length){.a = -1, .b = -1, .scale = 1};
    if (in_bytes && base->class != TYPE_VOID)
        length.scale /= base->size;
    return length;
}

static struct word pointer_word(const struct api *api, const struct param *param)
{
    const struct type *base = type_base(param->type.base);
    bool annotated = param->role != ROLE_NONE && param->role != ROLE_LOCAL;
    struct word word = {.way = "VALUE", .shape = address, .length = elements(param)};

    if (is_char(base) && param->type.is_const && (param->role == ROLE_STRING || !annotated))
        word.shape = text;
    else if (base->class != TYPE_FUNCTION && param->role != ROLE_PROPS &&
             (annotated || (base->class != TYPE_VOID && !is_char(base)))) {
        word.way = param->role == ROLE_IN || param->type.is_const ? "IN" : "OUT";
        word.shape = value_shape(api, param->type.base);
        if (is_char(base))
            word.shape.kind = "BYTES";
    }
    return word;
}

static struct word describe(const struct api *api, const struct param *param)
{
    const struct type *base = type_base(param->type.base);
    struct word word = {.way = "VALUE", .shape = address, .length = elements(param)};

    if (param->type.depth == 1)
        return pointer_word(api, param);
    if (!param->type.depth) {
        word.shape = value_shape(api, param->type.base);
        if (base->class == TYPE_STRUCT)
            word.way = "IN";
    } else if (param->role == ROLE_OUT) {
        word.way = "OUT";
    } else if (is_char(base) && param->type.is_const) {
        word.way = param->role == ROLE_STRINGS ? "IN" : "OUT";
        word.shape = text;
    }
    return word;
}

static const char *type_initialiser(const struct api *api, const struct shape *shape)
{
    const struct type *base = shape->base;
    unsigned index =
        base && (base->class == TYPE_OBJECT || (base->class == TYPE_STRUCT && !base->is_inline))
            ? base->index
            : 0;
    unsigned size = !base || base->class == TYPE_FUNCTION ? 8
                    : base->class == TYPE_VOID            ? 1
                                                          : base->size;

    return pool_print(api->pool, "{WH_WORD_%s, %s, %u, %u}", shape->kind,
                      base && base->class == TYPE_SCALAR && base->scalar == SCALAR_SIGNED ? "true"
                                                                                          : "false",
                      index, size);
}

/* ---- structures ---- */

static void emit_member(const struct api *api, FILE *out, const struct member *member,
                        uint32_t offset);

/* Structures without a name are part of the one around them. */
static void emit_members(const struct api *api, FILE *out, const struct type *type, uint32_t offset)
{
    for (size_t i = 0; i < type->members.count; i++)
        emit_member(api, out, &type->members.items[i], offset);
}

static void emit_member(const struct api *api, FILE *out, const struct member *member,
                        uint32_t offset)
{
    const struct type *base = member->type.base;
    struct shape shape = address;

    offset += member->offset;
    if (!member->type.depth && base->is_inline && !base->is_union && !member->elements) {
        emit_members(api, out, base, offset);
        return;
    }
    if (!member->type.depth)
        shape = value_shape(api, base);
    else if (is_char(type_base(member->type.base)) && member->type.is_const)
        shape = text;
    fprintf(out, "    {%s, %u, %u},\n", type_initialiser(api, &shape), offset,
            member->elements ? member->elements : 1);
}

static bool is_described(const struct type *type)
{
    return !type->is_union && !type->is_inline;
}

static void emit_structs(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->structs.count; i++) {
        if (!is_described(api->structs.items[i]))
            continue;
        fprintf(out, "\nstatic const struct wh_word_member members_%s[] = {\n",
                api->structs.items[i]->name);
        emit_members(api, out, api->structs.items[i], 0);
        fputs("};\n", out);
    }
    fputs("\nstatic const struct wh_word_struct structs[] = {\n", out);
    for (size_t i = 0; i < api->structs.count; i++) {
        const struct type *type = api->structs.items[i];

        if (is_described(type))
            fprintf(out, "    [%u] = STRUCT(%s),\n", type->index, type->name);
    }
    fputs("    {0},\n};\n", out);
}

/* ---- calls ---- */

static void emit_params(const struct api *api, FILE *out, const struct call *call)
{
    if (!call->params.count)
        return;
    fprintf(out, "\nstatic const struct wh_word_param params_%s[] = {\n", call->name);
    for (size_t i = 0; i < call->params.count; i++) {
        struct word word = describe(api, &call->params.items[i]);

        fprintf(out, "    {\"%s\", WH_WORD_%s, %s, {%d, %d, %u}},\n", call->params.items[i].name,
                word.way, type_initialiser(api, &word.shape), word.length.a, word.length.b,
                word.length.scale);
    }
    fputs("};\n", out);
}

/* The function by its words. */
static void emit_maker(const struct api *api, FILE *out, const struct call *call)
{
    const struct type *base = type_base(call->result.base);
    bool is_void = call->result_kind == WH_RESULT_VOID;
    bool address_result =
        call->result.depth || base->class != TYPE_SCALAR || base->scalar == SCALAR_POINTER;
    struct emit_list list;

    fprintf(out,
            "\nstatic uint64_t make_%s(void *address, const uint64_t *a)\n"
            "{\n    ",
            call->name);
    emit_prototype(api, out, "", call, pool_print(api->pool, "(*f)"), " = __extension__");
    fprintf(out, "(__typeof__(f))address;\n\n%s", call->params.count ? "" : "    (void)a;\n");
    emit_open(&list, out,
              is_void          ? "    f("
              : address_result ? "    return (uintptr_t)f("
                               : "    return (uint64_t)f(");
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, argument_text(api, &call->params.items[i], i));
    emit_close(&list, is_void ? ");\n    return 0;\n}\n" : ");\n}\n");
}

static void emit_call_table(const struct api *api, FILE *out)
{
    struct exported *exported;
    size_t count = list_exported(api, &exported);

    fputs("\nstatic const struct wh_word_call calls[] = {\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct call *call = exported[i].call;
        struct emit_list list;

        if (!has_word_result(call))
            continue;
        emit_open(&list, out, "    {");
        emit_item(&list, pool_print(api->pool, "\"%s\"", exported[i].name));
        emit_item(&list, pool_print(api->pool, "%s_%s", api->prefix, call->name));
        emit_item(&list, pool_print(api->pool, "%zu", call->params.count));
        emit_item(&list,
                  call->params.count ? pool_print(api->pool, "params_%s", call->name) : "NULL");
        emit_item(&list, pool_print(api->pool, "make_%s", call->name));
        emit_close(&list, "},\n");
    }
    fputs("};\n", out);
}

void emit_words_c(const struct api *api, FILE *out)
{
    emit_banner(api, out, "What the words of each function mean, and how it is called by them.");
    fprintf(out,
            "#include \"%s_types.h\"\n"
            "#include \"%s_api.h\"\n"
            "#include \"trace/words.h\"\n"
            "#include \"wire/word.h\"\n\n"
            "#define STRUCT(type) {members_##type, sizeof members_##type / sizeof *members_##type, "
            "sizeof(type)}\n",
            api->name, api->name);
    emit_structs(api, out);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (!call_is_exported(call) || !has_word_result(call))
            continue;
        emit_params(api, out, call);
        emit_maker(api, out, call);
    }
    emit_call_table(api, out);
    fprintf(out,
            "\nconst struct wh_words wh_%s_words = {\n"
            "    .api = &wh_%s_api,\n"
            "    .calls = calls,\n"
            "    .structs = structs,\n"
            "    .ncalls = sizeof calls / sizeof *calls,\n"
            "};\n",
            api->name, api->name);
}

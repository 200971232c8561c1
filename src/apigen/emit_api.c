/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_api.h and NAME_api.c: call numbers, type numbers and the tables of wire/desc.h.
 * Called by main.
 */
#include "emit.h"

/* `enum { PREFIX_X..., }` of one kind of index, ending in its count. */
struct index_enum {
    const char *kind, *infix, *count;
};

static void open_enum(const struct api *api, FILE *out, const struct index_enum *index)
{
    fprintf(out, "\nenum wh_%s_%s {\n", api->name, index->kind);
}

static void close_enum(const struct api *api, FILE *out, const struct index_enum *index)
{
    fprintf(out, "    %s_%s\n};\n", api->prefix, index->count);
}

static void emit_call_enum(const struct api *api, FILE *out)
{
    const struct index_enum index = {"call", "", "NCALLS"};

    open_enum(api, out, &index);
    for (size_t i = 0; i < api->calls.count; i++)
        fprintf(out, "    %s_%s = %zu,\n", api->prefix, api->calls.items[i]->name, i);
    close_enum(api, out, &index);
}

static void emit_type_enum(const struct api *api, FILE *out, const struct index_enum *index,
                           struct type *const *types, size_t count)
{
    open_enum(api, out, index);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    %s_%s_%s = %u,\n", api->prefix, index->infix, types[i]->name,
                types[i]->index);
    if (!count && types == api->objects.items)
        fprintf(out, "    %s_%s = 1\n};\n", api->prefix, index->count);
    else
        close_enum(api, out, index);
}

static void emit_names_enum(const struct api *api, FILE *out, const struct index_enum *index,
                            struct names *const *names, size_t count)
{
    open_enum(api, out, index);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    %s_%s_%s = %u,\n", api->prefix, index->infix, names[i]->name,
                names[i]->index);
    close_enum(api, out, index);
}

void emit_api_h(const struct api *api, FILE *out)
{
    static const struct index_enum types = {"type", "TYPE", "NTYPES"};
    static const struct index_enum structs = {"struct", "STRUCT", "NSTRUCTS"};
    static const struct index_enum infos = {"info", "INFO", "NINFOS"};
    static const struct index_enum props = {"props", "PROPS", "NPROPS"};

    emit_banner(api, out, "Numbers of calls and types on the wire, and the API's tables.");
    fprintf(out, "#ifndef %s_API_H\n#define %s_API_H\n\n#include \"wire/desc.h\"\n", api->prefix,
            api->prefix);
    emit_call_enum(api, out);
    emit_type_enum(api, out, &types, api->objects.items, api->objects.count);
    emit_type_enum(api, out, &structs, api->structs.items, api->structs.count);
    emit_names_enum(api, out, &infos, api->infos.items, api->infos.count);
    emit_names_enum(api, out, &props, api->props.items, api->props.count);
    fprintf(out, "\nextern const struct wh_api wh_%s_api;\n\n#endif\n", api->name);
}

static const char *kind_text(uint8_t kind)
{
    static const char *const names[WH_NKINDS] = {
        [WH_VALUE] = "WH_VALUE",     [WH_HANDLE] = "WH_HANDLE",
        [WH_HANDLES] = "WH_HANDLES", [WH_BYTES] = "WH_BYTES",
        [WH_STRING] = "WH_STRING",   [WH_STRINGS] = "WH_STRINGS",
        [WH_STRUCTS] = "WH_STRUCTS", [WH_PROPS] = "WH_PROPS",
        [WH_ARENA] = "WH_ARENA",     [WH_OUT] = "WH_OUT",
        [WH_INFO] = "WH_INFO",       [WH_OUT_HANDLES] = "WH_OUT_HANDLES",
        [WH_NEWS] = "WH_NEWS",       [WH_LOCAL] = "WH_LOCAL",
        [WH_MEMORY] = "WH_MEMORY",   [WH_VERSIONED] = "WH_VERSIONED",
    };

    return names[kind];
}

/* The name of a parameter's `type`, or NULL where its kind has none. */
static const char *param_type_text(const struct api *api, const struct param *param)
{
    const struct type *base = type_base(param->type.base);

    switch (param->desc.kind) {
    case WH_HANDLE:
    case WH_HANDLES:
    case WH_OUT_HANDLES:
    case WH_NEWS:
        return pool_print(api->pool, "%s_TYPE_%s", api->prefix, base->name);
    case WH_STRUCTS:
        return pool_print(api->pool, "%s_STRUCT_%s", api->prefix, base->name);
    case WH_PROPS:
        return pool_print(api->pool, "%s_PROPS_%s", api->prefix, param->list->name);
    case WH_INFO:
        return pool_print(api->pool, "%s_INFO_%s", api->prefix, param->list->name);
    default:
        return NULL;
    }
}

static void emit_param(const struct api *api, FILE *out, const struct param *param)
{
    const struct wh_param *desc = &param->desc;
    const char *type = param_type_text(api, param);
    struct emit_list list;

    emit_open(&list, out, "    {");
    emit_item(&list, pool_print(api->pool, ".name = \"%s\"", desc->name));
    emit_item(&list, pool_print(api->pool, ".kind = %s", kind_text(desc->kind)));
    if (desc->size)
        emit_item(&list, pool_print(api->pool, ".size = %d", desc->size));
    if (desc->is_signed)
        emit_item(&list, ".is_signed = true");
    emit_item(&list, pool_print(api->pool, ".selector = %d", desc->selector));
    if (type)
        emit_item(&list, pool_print(api->pool, ".type = %s", type));
    if (desc->invalid)
        emit_item(&list, pool_print(api->pool, ".invalid = %d", desc->invalid));
    if (desc->length.scale)
        emit_item(&list, pool_print(api->pool, ".length = {%d, %d, %u}", desc->length.a,
                                    desc->length.b, desc->length.scale));
    emit_close(&list, "},\n");
}

static void emit_params(const struct api *api, FILE *out, const struct call *call)
{
    if (!call->params.count)
        return;
    fprintf(out, "\nstatic const struct wh_param params_%s[] = {\n", call->name);
    for (size_t i = 0; i < call->params.count; i++)
        emit_param(api, out, &call->params.items[i]);
    fputs("};\n", out);
}

static const char *flags_text(const struct api *api, unsigned flags)
{
    static const char *const names[] = {
        "WH_CALL_POST",        "WH_CALL_BLOCKS",      "WH_CALL_SYNCS",      "WH_CALL_HAND_CLIENT",
        "WH_CALL_HAND_WORKER", "WH_CALL_MESSAGE",     "WH_CALL_RETAIN",     "WH_CALL_RELEASE",
        "WH_CALL_EXTENSION",   "WH_CALL_UNSUPPORTED", "WH_CALL_REMEMBERED", "WH_CALL_FORGETS",
        "WH_CALL_SETTLES",
    };
    const char *text = "";

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (flags & 1u << i)
            text = pool_print(api->pool, "%s%s%s", text, *text ? " | " : "", names[i]);
    }
    return text;
}

static void emit_call(const struct api *api, FILE *out, const struct call *call)
{
    static const char *const results[] = {
        [WH_RESULT_VOID] = "WH_RESULT_VOID",
        [WH_RESULT_STATUS] = "WH_RESULT_STATUS",
        [WH_RESULT_VALUE] = "WH_RESULT_VALUE",
        [WH_RESULT_NEW] = "WH_RESULT_NEW",
    };
    struct emit_list list;

    emit_open(&list, out, "    {");
    emit_item(&list, pool_print(api->pool, ".name = \"%s\"", call->name));
    if (call->params.count)
        emit_item(&list, pool_print(api->pool, ".params = params_%s", call->name));
    emit_item(&list, pool_print(api->pool, ".number = %s_%s", api->prefix, call->name));
    if (call->flags)
        emit_item(&list, pool_print(api->pool, ".flags = %s", flags_text(api, call->flags)));
    if (call->params.count)
        emit_item(&list, pool_print(api->pool, ".nparams = %zu", call->params.count));
    emit_item(&list, pool_print(api->pool, ".result = %s", results[call->result_kind]));
    emit_item(&list, pool_print(api->pool, ".error_param = %d", call->error_param));
    emit_item(&list, pool_print(api->pool, ".since_major = %u", call->since_major));
    if (call->since_minor)
        emit_item(&list, pool_print(api->pool, ".since_minor = %u", call->since_minor));
    if (call->result_kind == WH_RESULT_NEW)
        emit_item(&list, pool_print(api->pool, ".result_type = %s_TYPE_%s", api->prefix,
                                    type_base(call->result.base)->name));
    emit_close(&list, "},\n");
}

static void emit_calls(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->calls.count; i++)
        emit_params(api, out, api->calls.items[i]);
    fputs("\nstatic const struct wh_call_desc calls[] = {\n", out);
    for (size_t i = 0; i < api->calls.count; i++)
        emit_call(api, out, api->calls.items[i]);
    fputs("};\n", out);
}

static const char *call_number(const struct api *api, const struct call *call)
{
    return call ? pool_print(api->pool, "%s_%s", api->prefix, call->name) : "-1";
}

static void emit_objects(const struct api *api, FILE *out)
{
    fputs("\nstatic const struct wh_object_desc objects[] = {\n"
          "    {.name = \"\", .retain = -1, .release = -1},\n",
          out);
    for (size_t i = 0; i < api->objects.count; i++) {
        const struct type *type = api->objects.items[i];
        struct emit_list list;

        emit_open(&list, out, "    {");
        emit_item(&list, pool_print(api->pool, ".name = \"%s\"", type->name));
        emit_item(&list, pool_print(api->pool, ".invalid = %d", type->invalid));
        emit_item(&list, pool_print(api->pool, ".retain = %s", call_number(api, type->retain)));
        emit_item(&list, pool_print(api->pool, ".release = %s", call_number(api, type->release)));
        if (type->special)
            emit_item(&list, ".special = true");
        emit_close(&list, "},\n");
    }
    fputs("};\n", out);
}

static void emit_struct_handles(const struct api *api, FILE *out, const struct type *type)
{
    if (!type->handles.count)
        return;
    fprintf(out, "\nstatic const struct wh_member handles_%s[] = {\n", type->name);
    for (size_t i = 0; i < type->handles.count; i++) {
        const struct wh_member *handle = &type->handles.items[i];

        fprintf(out, "    {.offset = %u, .type = %s_TYPE_%s},\n", handle->offset, api->prefix,
                api->objects.items[handle->type - 1]->name);
    }
    fputs("};\n", out);
}

static void emit_structs(const struct api *api, FILE *out)
{
    if (!api->structs.count)
        return;
    for (size_t i = 0; i < api->structs.count; i++)
        emit_struct_handles(api, out, api->structs.items[i]);
    fputs("\nstatic const struct wh_struct_desc structs[] = {\n", out);
    for (size_t i = 0; i < api->structs.count; i++) {
        const struct type *type = api->structs.items[i];
        struct emit_list list;

        emit_open(&list, out, "    {");
        emit_item(&list, pool_print(api->pool, ".name = \"%s\"", type->name));
        if (type->handles.count) {
            emit_item(&list, pool_print(api->pool, ".handles = handles_%s", type->name));
            emit_item(&list, pool_print(api->pool, ".nhandles = %zu", type->handles.count));
        }
        emit_item(&list, pool_print(api->pool, ".size = %u", type->size));
        emit_close(&list, "},\n");
    }
    fputs("};\n", out);
}

static void emit_entry(const struct api *api, FILE *out, const struct entry *entry)
{
    static const char *const contents[] = {
        [WH_CONTENT_BYTES] = "WH_CONTENT_BYTES",
        [WH_CONTENT_HANDLES] = "WH_CONTENT_HANDLES",
        [WH_CONTENT_PROPS] = "WH_CONTENT_PROPS",
        [WH_CONTENT_LOCAL] = "WH_CONTENT_LOCAL",
    };
    struct emit_list list;

    emit_open(&list, out, "    {");
    emit_item(&list, pool_print(api->pool, ".label = \"%s\"", entry->label));
    if (entry->value == INT64_MIN)
        emit_item(&list, ".name = INT64_MIN");
    else
        emit_item(&list, pool_print(api->pool, ".name = %ld", entry->value));
    emit_item(&list, pool_print(api->pool, ".content = %s", contents[entry->content]));
    if (entry->fixed)
        emit_item(&list, ".fixed = true");
    if (entry->object)
        emit_item(&list,
                  pool_print(api->pool, ".type = %s_TYPE_%s", api->prefix, entry->object->name));
    if (entry->list)
        emit_item(&list,
                  pool_print(api->pool, ".type = %s_PROPS_%s", api->prefix, entry->list->name));
    emit_close(&list, "},\n");
}

/* One table per list, then the table of them: `what` is "info" or "props". */
static void emit_names(const struct api *api, FILE *out, const char *what,
                       struct names *const *names, size_t count)
{
    if (!count)
        return;
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "\nstatic const struct wh_name_desc %s_%s[] = {\n", what, names[i]->name);
        for (size_t k = 0; k < names[i]->entries.count; k++)
            emit_entry(api, out, &names[i]->entries.items[k]);
        fputs("};\n", out);
    }
    fprintf(out, "\nstatic const struct wh_names %s[] = {\n", what);
    for (size_t i = 0; i < count; i++) {
        struct emit_list list;

        emit_open(&list, out, "    {");
        emit_item(&list, pool_print(api->pool, ".label = \"%s\"", names[i]->name));
        emit_item(&list, pool_print(api->pool, ".names = %s_%s", what, names[i]->name));
        emit_item(&list, pool_print(api->pool, ".nnames = %zu", names[i]->entries.count));
        emit_close(&list, "},\n");
    }
    fputs("};\n", out);
}

static void emit_table(const struct api *api, FILE *out)
{
    const struct status *status = &api->status;

    fprintf(out,
            "\nconst struct wh_api wh_%s_api = {\n"
            "    .name = \"%s\",\n"
            "    .hash = UINT64_C(0x%016lx),\n"
            "    .calls = calls,\n"
            "    .objects = objects,\n",
            api->name, api->name, api->hash);
    fprintf(out, "    .structs = %s,\n    .infos = %s,\n    .props = %s,\n",
            api->structs.count ? "structs" : "NULL", api->infos.count ? "info" : "NULL",
            api->props.count ? "props" : "NULL");
    fprintf(out,
            "    .ncalls = %s_NCALLS,\n"
            "    .nobjects = %s_NTYPES,\n"
            "    .nstructs = %s_NSTRUCTS,\n"
            "    .ninfos = %s_NINFOS,\n"
            "    .nprops = %s_NPROPS,\n",
            api->prefix, api->prefix, api->prefix, api->prefix, api->prefix);
    fprintf(out,
            "    .major = %u,\n"
            "    .minor = %u,\n"
            "    .success = %d,\n"
            "    .unsupported = %d,\n"
            "    .lost = %d,\n"
            "    .no_memory = %d,\n"
            "    .invalid_value = %d,\n"
            "};\n",
            api->major, api->minor, status->success, status->unsupported, status->lost,
            status->no_memory, status->invalid_value);
}

void emit_api_c(const struct api *api, FILE *out)
{
    emit_banner(api, out, "The API's tables, for both sides of the wire.");
    fprintf(out, "#include \"%s_api.h\"\n", api->name);
    emit_calls(api, out);
    emit_objects(api, out);
    emit_structs(api, out);
    emit_names(api, out, "info", api->infos.items, api->infos.count);
    emit_names(api, out, "props", api->props.items, api->props.count);
    emit_table(api, out);
}

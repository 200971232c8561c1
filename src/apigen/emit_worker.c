/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_thunks.h and NAME_thunks.c: how the worker gets from checked words to the
 * accelerator's library or to its by-hand code. Called by main.
 */
#include "emit.h"

/* In the real library; the worker's by-hand code calls the functions that are local, too. */
static bool is_looked_up(const struct call *call)
{
    return call_is_exported(call) && (call_crosses(call) || call->is_local);
}

static bool is_by_hand(const struct call *call)
{
    return call->flags & WH_CALL_HAND_WORKER;
}

/* What stays in the client is nothing here. */
static const char *worker_text(const struct api *api, const struct param *param, size_t index)
{
    const struct type *base = type_base(param->type.base);
    bool address =
        param->type.depth || base->class != TYPE_SCALAR || base->scalar == SCALAR_POINTER;

    if (param->desc.kind == WH_LOCAL)
        return address ? "NULL" : "0";
    return argument_text(api, param, index);
}

/* What stands before the function's name to keep its result. */
static const char *result_text(const struct call *call)
{
    const struct type *base = type_base(call->result.base);

    if (call->result_kind == WH_RESULT_VOID)
        return "";
    if (base->class == TYPE_OBJECT || base->scalar == SCALAR_POINTER)
        return "a[WH_RESULT] = (uintptr_t)";
    if (base->scalar == SCALAR_SIGNED)
        return "a[WH_RESULT] = (uint64_t)(int64_t)";
    return "a[WH_RESULT] = (uint64_t)";
}

static void emit_thunk_call(const struct api *api, FILE *out, const struct call *call)
{
    bool by_hand = is_by_hand(call);
    const char *function = by_hand
                               ? pool_print(api->pool, "wh_%s_do_%s", api->name, short_name(call))
                               : pool_print(api->pool, "f->%s", call->name);
    struct emit_list list;

    emit_open(&list, out, pool_print(api->pool, "    %s%s(", result_text(call), function));
    if (by_hand)
        emit_item(&list, "call");
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, worker_text(api, &call->params.items[i], i));
    emit_close(&list, ");\n");
    if (call->result_kind == WH_RESULT_VOID)
        fputs("    a[WH_RESULT] = 0;\n", out);
}

static void emit_thunk(const struct api *api, FILE *out, const struct call *call)
{
    struct emit_list list;

    fputc('\n', out);
    emit_open(&list, out, pool_print(api->pool, "static void thunk_%s(", call->name));
    emit_item(&list, "struct wh_call *call");
    emit_item(&list, "const void *functions");
    emit_item(&list, "uint64_t *a");
    emit_close(&list, ")\n{\n");
    if (is_by_hand(call))
        fputs("    (void)functions;\n", out);
    else
        fprintf(out,
                "    const struct wh_%s_functions_table *f = functions;\n\n"
                "    (void)call;\n",
                api->name);
    emit_thunk_call(api, out, call);
    fputs("}\n", out);
}

void emit_thunks_c(const struct api *api, FILE *out)
{
    emit_banner(api, out, "One thunk per call that crosses, from words to C arguments.");
    fprintf(out, "#include \"%s_thunks.h\"\n", api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        if (call_crosses(api->calls.items[i]))
            emit_thunk(api, out, api->calls.items[i]);
    }
    fprintf(out, "\nwh_thunk *const wh_%s_thunks[] = {\n", api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        fprintf(out, "    %s%s,%s%s%s\n", call_crosses(call) ? "thunk_" : "",
                call_crosses(call) ? call->name : "NULL", call_crosses(call) ? "" : " /* ",
                call_crosses(call) ? "" : call->name, call_crosses(call) ? "" : " */");
    }
    fprintf(out, "};\n\nconst char *const wh_%s_function_names[] = {\n", api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (is_looked_up(call))
            fprintf(out, "    \"%s\",\n", call->name);
        else
            fprintf(out, "    NULL, /* %s */\n", call->name);
    }
    fputs("};\n", out);
}

static void emit_function_members(const struct api *api, FILE *out)
{
    fprintf(out,
            "\n/* The real library's functions, one per call number; the names to look up are in\n"
            " * wh_%s_function_names, NULL where there is nothing to look up. */\n"
            "struct wh_%s_functions_table {\n",
            api->name, api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (is_looked_up(call))
            emit_prototype(api, out, "    ", call, pool_print(api->pool, "(*%s)", call->name),
                           ";\n");
        else
            fprintf(out, "    void *unused_%s;\n", call->name);
    }
    fputs("};\n", out);
}

/* `RESULT wh_NAME_do_FUNCTION(struct wh_call *call, PARAMS);` */
static void emit_by_hand(const struct api *api, FILE *out, const struct call *call)
{
    const char *name = pool_print(api->pool, "wh_%s_do_%s(", api->name, short_name(call));
    struct emit_list list;

    emit_open(&list, out, type_text(api, &call->result, name));
    emit_item(&list, "struct wh_call *call");
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, type_text(api, &call->params.items[i].type, call->params.items[i].name));
    emit_close(&list, ");\n");
}

void emit_thunks_h(const struct api *api, FILE *out)
{
    emit_banner(api, out, "The real library's functions and the worker's by-hand ones.");
    fprintf(out,
            "#ifndef %s_THUNKS_H\n"
            "#define %s_THUNKS_H\n\n"
            "#include \"%s_types.h\"\n"
            "#include \"%s_api.h\"\n"
            "#include \"worker/thunk.h\"\n",
            api->prefix, api->prefix, api->name, api->name);
    emit_function_members(api, out);
    fputs("\n/* By hand, in the worker. */\n", out);
    for (size_t i = 0; i < api->calls.count; i++) {
        if (is_by_hand(api->calls.items[i]))
            emit_by_hand(api, out, api->calls.items[i]);
    }
    fprintf(out,
            "\n/* By call number; NULL: the worker refuses the call. */\n"
            "extern wh_thunk *const wh_%s_thunks[];\n"
            "extern const char *const wh_%s_function_names[];\n\n#endif\n",
            api->name, api->name);
}

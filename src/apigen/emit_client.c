/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_stubs.c, the functions that programs call, and NAME_messages.h, the callers that the
 * client's by-hand code uses. Both pack their arguments into words; what becomes of those is
 * wh_NAME_invoke's. Called by main.
 */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

static void emit_invoke_body(const struct api *api, FILE *out, const struct call *call)
{
    struct emit_list list;

    fputs("{\n", out);
    emit_words(api, out, call);
    emit_open(&list, out,
              pool_print(api->pool, "    %swh_%s_invoke(", return_text(api, call), api->name));
    emit_item(&list, pool_print(api->pool, "%s_%s", api->prefix, call->name));
    emit_item(&list, "a");
    emit_close(&list, ");\n}\n");
}

/* Says what an unsupported function returns besides its status. */
static void emit_unsupported_return(const struct api *api, FILE *out, const struct call *call)
{
    const struct type *base = type_base(call->result.base);
    bool address = call->result.depth || base->class == TYPE_OBJECT ||
                   base->class == TYPE_FUNCTION || base->scalar == SCALAR_POINTER;
    const char *unsupported =
        call->is_refused
            ? pool_print(api->pool, "wh_%s_refused(%s_%s, %d)", api->name, api->prefix, call->name,
                         call->refusal)
            : pool_print(api->pool, "wh_%s_unsupported(%s_%s)", api->name, api->prefix, call->name);

    if (call->result_kind == WH_RESULT_STATUS) {
        fprintf(out, "    return (%s)%s;\n", type_text(api, &call->result, NULL), unsupported);
        return;
    }
    if (call->error_param >= 0) {
        const char *error = call->params.items[call->error_param].name;

        fprintf(out, "    %s status = (%s)%s;\n\n", api->status.type->name, api->status.type->name,
                unsupported);
        fprintf(out, "    if (%s)\n        *%s = status;\n", error, error);
    } else {
        fprintf(out, "    %s;\n", unsupported);
    }
    if (call->result_kind != WH_RESULT_VOID)
        fprintf(out, "    return %s;\n", address ? "NULL" : "0");
}

static void emit_unsupported_body(const struct api *api, FILE *out, const struct call *call)
{
    fputs("{\n", out);
    for (size_t i = 0; i < call->params.count; i++) {
        if ((int)i != call->error_param)
            fprintf(out, "    (void)%s;\n", call->params.items[i].name);
    }
    emit_unsupported_return(api, out, call);
    fputs("}\n", out);
}

static void emit_stub(const struct api *api, FILE *out, const struct call *call)
{
    bool observed = call_is_observed(api, call), by_hand = call->flags & WH_CALL_HAND_CLIENT;

    if (!call_is_exported(call) || (by_hand && !observed))
        return;
    fputc('\n', out);
    if (observed)
        emit_prototype(api, out, "", call, own_name(api, call), ";\n");
    if (!by_hand) {
        emit_prototype(api, out, observed ? "" : "WH_EXPORT ", call, own_name(api, call), "\n");
        if (call_crosses(call))
            emit_invoke_body(api, out, call);
        else
            emit_unsupported_body(api, out, call);
    }
    if (observed)
        emit_call_entry(api, out, call);
}

/* The function itself, between words to the API's by-hand code that say under which name it was
 * called. */
static void emit_variant(const struct api *api, FILE *out, const struct variant *variant)
{
    const struct call *call = variant->target;
    bool is_void = call->result_kind == WH_RESULT_VOID;
    const char *result = is_void ? "" : type_text(api, &call->result, "status = ");
    struct emit_list list;

    fputc('\n', out);
    emit_prototype(api, out, "WH_EXPORT ", call, variant->name, "\n");
    fprintf(out, "{\n    wh_%s_variant_enter();\n", api->name);
    emit_open(&list, out, pool_print(api->pool, "    %s%s(", result, call->name));
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, call->params.items[i].name);
    emit_close(&list, ");\n");
    fprintf(out, "    wh_%s_variant_leave();\n%s}\n", api->name,
            is_void ? "" : "    return status;\n");
}

static void emit_dispatch_table(const struct api *api, FILE *out, const struct table *table)
{
    fprintf(out, "\nvoid *const wh_%s_%s[] = {\n", api->name, table->name);
    for (size_t i = 0; i < table->slots.count; i++) {
        const char *name = table->slots.items[i].name;

        if (name)
            fprintf(out, "    ADDRESS(%s),\n", name);
        else
            fputs("    NULL,\n", out);
    }
    fputs("    NULL,\n};\n", out);
}

static void emit_function_table(const struct api *api, FILE *out)
{
    struct exported *exported;
    size_t count = list_exported(api, &exported);

    fprintf(out, "\nconst struct wh_function wh_%s_functions[] = {\n", api->name);
    for (size_t i = 0; i < count; i++) {
        const char *name = exported[i].name;
        const struct call *call = exported[i].call;
        struct emit_list list;

        emit_open(&list, out, "    {");
        emit_item(&list, pool_print(api->pool, "\"%s\"", name));
        emit_item(&list, pool_print(api->pool, "%s_%s", api->prefix, call->name));
        emit_item(&list, call->flags & WH_CALL_EXTENSION ? "true" : "false");
        emit_item(&list, pool_print(api->pool, "ADDRESS(%s)", name));
        emit_close(&list, "},\n");
    }
    fprintf(out,
            "};\n\n"
            "const size_t wh_%s_nfunctions = sizeof wh_%s_functions / sizeof *wh_%s_functions;\n",
            api->name, api->name, api->name);
}

static bool refuses(const struct api *api)
{
    for (size_t i = 0; i < api->calls.count; i++)
        if (api->calls.items[i]->is_refused)
            return true;
    return false;
}

static void emit_runtime(const struct api *api, FILE *out)
{
    fprintf(out,
            "\nuint64_t wh_%s_invoke(uint16_t call, uint64_t *a);\n"
            "int32_t wh_%s_unsupported(uint16_t call);\n",
            api->name, api->name);
    if (refuses(api))
        fprintf(out, "int32_t wh_%s_refused(uint16_t call, int32_t error);\n", api->name);
}

void emit_stubs_c(const struct api *api, FILE *out)
{
    emit_banner(api, out,
                api->is_observed
                    ? "The functions that programs call, and what is behind them if not by hand."
                    : "The functions that programs call, as far as they are not by hand.");
    if (api->is_observed)
        fprintf(out, "#undef %s_OWN\n", api->prefix);
    fprintf(out,
            "#include \"%s_types.h\"\n"
            "#include \"%s_api.h\"\n"
            "#include \"client/stub.h\"\n",
            api->name, api->name);
    if (api->is_observed)
        fprintf(out, "#include \"%s_params.h\"\n#include \"shim/%s/entry.h\"\n", api->name,
                api->name);
    fputs("\n#define ADDRESS(function) __extension__(void *)(function)\n", out);
    emit_runtime(api, out);
    if (api->variants.count)
        fprintf(out, "void wh_%s_variant_enter(void);\nvoid wh_%s_variant_leave(void);\n",
                api->name, api->name);
    for (size_t i = 0; i < api->calls.count; i++)
        emit_stub(api, out, api->calls.items[i]);
    for (size_t i = 0; i < api->variants.count; i++)
        emit_variant(api, out, api->variants.items[i]);
    for (size_t i = 0; i < api->tables.count; i++)
        emit_dispatch_table(api, out, &api->tables.items[i]);
    emit_function_table(api, out);
}

static bool has_caller(const struct call *call)
{
    return call_crosses(call) && (call->flags & (WH_CALL_MESSAGE | WH_CALL_HAND_CLIENT));
}

void emit_messages_h(const struct api *api, FILE *out)
{
    emit_banner(api, out,
                "What the client's by-hand code may call: messages and by-hand functions.");
    fprintf(out,
            "#ifndef %s_MESSAGES_H\n"
            "#define %s_MESSAGES_H\n\n"
            "#include \"%s_types.h\"\n"
            "#include \"%s_api.h\"\n"
            "#include \"client/stub.h\"\n",
            api->prefix, api->prefix, api->name, api->name);
    emit_runtime(api, out);
    fputc('\n', out);
    for (size_t i = 0; i < api->tables.count; i++)
        fprintf(out, "extern void *const wh_%s_%s[];\n", api->name, api->tables.items[i].name);
    fprintf(out,
            "extern const struct wh_function wh_%s_functions[];\n"
            "extern const size_t wh_%s_nfunctions;\n",
            api->name, api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (!has_caller(call))
            continue;
        fputc('\n', out);
        emit_prototype(api, out, "static inline ", call,
                       pool_print(api->pool, "wh_%s_call_%s", api->name, short_name(call)), "\n");
        emit_invoke_body(api, out, call);
    }
    fputs("\n#endif\n", out);
}

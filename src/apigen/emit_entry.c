/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For an API whose calls are observed: writes NAME_params.h, each function's parameters as a
 * structure, and NAME_own.h, by which what is behind the entries has other names; and the entries,
 * which emit_client.c asks for. Who observes, and how, is by hand, in shim/NAME/entry.h.
 */
#include "emit.h"

void emit_params_h(const struct api *api, FILE *out)
{
    emit_banner(api, out,
                "The parameters of each function in their order. Types come from before it.");
    fprintf(out, "#ifndef %s_PARAMS_H\n#define %s_PARAMS_H\n", api->prefix, api->prefix);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (!call_is_observed(api, call) || !call->params.count)
            continue;
        fprintf(out, "\nstruct wh_%s_params_%s {\n", api->name, call->name);
        for (size_t k = 0; k < call->params.count; k++) {
            const struct param *param = &call->params.items[k];

            fprintf(out, "    %s;\n", type_text(api, &param->type, param->name));
        }
        fputs("};\n", out);
    }
    fputs("\n#endif\n", out);
}

const char *own_name(const struct api *api, const struct call *call)
{
    return call_is_observed(api, call)
               ? pool_print(api->pool, "wh_%s_own_%s", api->name, call->name)
               : call->name;
}

void emit_own_h(const struct api *api, FILE *out)
{
    emit_banner(api, out,
                "By-hand code defines and calls what is behind the entries, not the entries.");
    fprintf(out, "#ifndef %s_OWN_H\n#define %s_OWN_H\n\n#include \"%s_types.h\"\n\n", api->prefix,
            api->prefix, api->name);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (call_is_observed(api, call))
            fprintf(out, "__typeof__(%s) %s __asm__(\"%s\");\n", call->name, call->name,
                    own_name(api, call));
    }
    fputs("\n#endif\n", out);
}

/* The parameters' names between `open` and `close`. */
static void emit_names(const struct call *call, FILE *out, const char *open, const char *close)
{
    struct emit_list list;

    emit_open(&list, out, open);
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, call->params.items[i].name);
    emit_close(&list, close);
}

/* Kept apart, so that the entry itself needs no room on the stack. */
static void emit_observed(const struct api *api, FILE *out, const struct call *call)
{
    fputc('\n', out);
    emit_prototype(api, out, "static WH_COLD ", call,
                   pool_print(api->pool, "observed_%s", call->name), "\n");
    fprintf(out, "{\n    struct wh_%s_frame frame;\n", api->name);
    if (call->params.count)
        emit_names(call, out,
                   pool_print(api->pool, "    const struct wh_%s_params_%s params = {", api->name,
                              call->name),
                   "};\n");
    fprintf(out, "\n    wh_%s_call_begins(&frame, %s_%s, %s);\n", api->name, api->prefix,
            call->name, call->params.count ? "&params" : "NULL");
    emit_names(call, out,
               pool_print(api->pool, "    return wh_%s_call_ends(&frame, %s(", api->name,
                          own_name(api, call)),
               "));\n}\n");
}

void emit_call_entry(const struct api *api, FILE *out, const struct call *call)
{
    emit_observed(api, out, call);
    fputc('\n', out);
    emit_prototype(api, out, "WH_EXPORT ", call, call->name, "\n");
    fprintf(out, "{\n    if (wh_%s_observing())\n", api->name);
    emit_names(call, out, pool_print(api->pool, "        return observed_%s(", call->name), ");\n");
    emit_names(call, out, pool_print(api->pool, "    return %s(", own_name(api, call)), ");\n}\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_types.h: the API's own header, for the client's and the worker's by-hand code. Called
 * by main.
 */
#include "emit.h"

static void emit_constants(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->constants.count; i++) {
        const struct constant *constant = api->constants.items[i];

        fprintf(out, "#define %s %s\n", constant->name,
                constant->text ? constant->text : number_text(api, constant->value));
    }
    if (api->constants.count)
        fputc('\n', out);
}

static const char *struct_word(const struct type *type)
{
    return type->is_union ? "union" : "struct";
}

static void emit_members(const struct api *api, FILE *out, const struct type *type, int indent)
{
    for (size_t i = 0; i < type->members.count; i++) {
        const struct member *member = &type->members.items[i];
        const struct type *base = member->type.base;

        if (base->is_inline) {
            fprintf(out, "%*s%s {\n", indent, "", struct_word(base));
            emit_members(api, out, base, indent + 4);
            fprintf(out, "%*s}%s%s", indent, "", member->name ? " " : "",
                    member->name ? member->name : "");
        } else {
            fprintf(out, "%*s%s", indent, "", type_text(api, &member->type, member->name));
        }
        if (member->elements)
            fprintf(out, "[%u]", member->elements);
        fputs(";\n", out);
    }
}

static void emit_struct(const struct api *api, FILE *out, const struct type *type)
{
    fprintf(out, "typedef %s %s {\n", struct_word(type), type->tag);
    emit_members(api, out, type, 4);
    fprintf(out, "} %s;\n", type->name);
}

static void emit_type(const struct api *api, FILE *out, const struct type *type)
{
    if (type->class == TYPE_ALIAS) {
        const struct ctype target = {.base = type->target};

        fprintf(out, "typedef %s;\n", type_text(api, &target, type->name));
    } else if (type->class == TYPE_OBJECT) {
        fprintf(out, "typedef struct %s *%s;\n", type->tag, type->name);
    } else if (type->class == TYPE_FUNCTION) {
        fprintf(out, "typedef %s;\n", function_text(api, type, type->name));
    } else {
        emit_struct(api, out, type);
    }
}

void emit_types_h(const struct api *api, FILE *out)
{
    emit_banner(api, out, "Types, constants and functions of the API.");
    fprintf(out,
            "#ifndef %s_TYPES_H\n"
            "#define %s_TYPES_H\n\n"
            "#include <stddef.h>\n"
            "#include <stdint.h>\n\n",
            api->prefix, api->prefix);
    emit_constants(api, out);
    for (size_t i = 0; i < api->types.count; i++)
        emit_type(api, out, api->types.items[i]);
    fputc('\n', out);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (call_is_exported(call))
            emit_prototype(api, out, "", call, call->name, ";\n");
    }
    for (size_t i = 0; i < api->variants.count; i++)
        emit_prototype(api, out, "", api->variants.items[i]->target, api->variants.items[i]->name,
                       ";\n");
    if (api->is_observed)
        fprintf(out, "\n#ifdef %s_OWN\n#include \"%s_own.h\"\n#endif\n", api->prefix, api->name);
    fputs("\n#endif\n", out);
}

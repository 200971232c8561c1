/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_check.c: assertions that the description agrees with the vendor's header. It is
 * compiled where that header is installed and includes nothing of ours. Called by main.
 */
#include "emit.h"

#include <string.h>

static void emit_macros(FILE *out)
{
    fputs("\n"
          "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"\n\n"
          "#define CHECK(condition, what) _Static_assert(condition, what \" differs\")\n"
          "#define CHECK_FUNCTION(name, ...) \\\n"
          "    CHECK(__builtin_types_compatible_p(__typeof__(&name), __VA_ARGS__), #name)\n"
          "#define CHECK_SAME(name, type) \\\n"
          "    CHECK(__builtin_types_compatible_p(name, type), #name)\n"
          "#define CHECK_SIZE(name, size) CHECK(sizeof(name) == (size), #name)\n"
          "#define CHECK_VALUE(name, value) CHECK((name) == (value), #name)\n"
          "#define CHECK_MEMBER(type, member, offset, size) \\\n"
          "    CHECK(offsetof(type, member) == (offset), #type \".\" #member); \\\n"
          "    CHECK(sizeof(((type *)0)->member) == (size), #type \".\" #member)\n",
          out);
}

static void emit_values(const struct api *api, FILE *out)
{
    fputc('\n', out);
    for (size_t i = 0; i < api->constants.count; i++) {
        const struct constant *constant = api->constants.items[i];
        const char *value = number_text(api, constant->value);

        if (constant->text)
            continue;
        if (constant->is_enum)
            fprintf(out, "CHECK_VALUE(%s, %s);\n", constant->name, value);
        else
            fprintf(out, "#ifdef %s\nCHECK_VALUE(%s, %s);\n#endif\n", constant->name,
                    constant->name, value);
    }
}

static void emit_scalar(FILE *out, struct type *type)
{
    const struct type *base = type_base(type);

    if (base->scalar == SCALAR_FLOAT)
        fprintf(out, "CHECK_SAME(%s, %s);\n", type->name, base->c_name);
    else
        fprintf(out, "CHECK_SIZE(%s, %u);\n", type->name, base->size);
}

static void emit_struct(const struct api *api, FILE *out, const struct type *type)
{
    fprintf(out, "CHECK_SIZE(%s, %u);\n", type->name, type->size);
    for (size_t i = 0; i < type->members.count; i++) {
        const struct member *member = &type->members.items[i];

        struct emit_list list;

        emit_open(&list, out, "CHECK_MEMBER(");
        emit_item(&list, type->name);
        emit_item(&list, member->name);
        emit_item(&list, pool_print(api->pool, "%u", member->offset));
        emit_item(&list, pool_print(api->pool, "%u", member->size));
        emit_close(&list, ");\n");
    }
}

static void emit_layouts(const struct api *api, FILE *out)
{
    fputc('\n', out);
    for (size_t i = 0; i < api->types.count; i++) {
        struct type *type = api->types.items[i];

        if (type->checked)
            emit_scalar(out, type);
        else if (type->class == TYPE_STRUCT)
            emit_struct(api, out, type);
    }
}

static void emit_function(const struct api *api, FILE *out, const struct call *call)
{
    const char *result = vendor_type_text(api, &call->result);
    struct emit_list list;

    if (call->guard)
        fprintf(out, "#ifdef %s\n", call->guard);
    emit_open(&list, out,
              pool_print(api->pool, "CHECK_FUNCTION(%s, %s%s(*)(", call->name, result,
                         result[strlen(result) - 1] == '*' ? "" : " "));
    for (size_t i = 0; i < call->params.count; i++)
        emit_item(&list, vendor_type_text(api, &call->params.items[i].type));
    if (!call->params.count)
        emit_item(&list, "void");
    emit_close(&list, "));\n");
    if (call->guard)
        fputs("#endif\n", out);
}

void emit_check_c(const struct api *api, FILE *out)
{
    emit_banner(api, out, "Compiles only where the description agrees with the vendor's header.");
    for (size_t i = 0; i < api->defines.count; i++)
        fprintf(out, "#define %s\n", api->defines.items[i]);
    fputs("#include <stddef.h>\n#include <stdint.h>\n\n", out);
    for (size_t i = 0; i < api->headers.count; i++)
        fprintf(out, "#include <%s>\n", api->headers.items[i]);
    emit_macros(out);
    emit_values(api, out);
    emit_layouts(api, out);
    fputc('\n', out);
    for (size_t i = 0; i < api->calls.count; i++) {
        if (call_is_exported(api->calls.items[i]))
            emit_function(api, out, api->calls.items[i]);
    }
}

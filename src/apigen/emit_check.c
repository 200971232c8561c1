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

/* A member by the path to it from the structure that has a name, `offset` bytes into which its own
 * structure begins. */
static void emit_member(const struct api *api, FILE *out, const char *struct_name, const char *path,
                        const struct member *member, uint32_t offset)
{
    struct emit_list list;

    emit_open(&list, out, "CHECK_MEMBER(");
    emit_item(&list, struct_name);
    emit_item(&list, path);
    emit_item(&list, pool_print(api->pool, "%u", offset + member->offset));
    emit_item(&list, pool_print(api->pool, "%u", member->size));
    emit_close(&list, ");\n");
}

/* The members of `type`, which are at `path` (empty or ending in a dot) of the structure. */
static void emit_members(const struct api *api, FILE *out, const char *struct_name,
                         const struct type *type, const char *path, uint32_t offset)
{
    for (size_t i = 0; i < type->members.count; i++) {
        const struct member *member = &type->members.items[i];
        const struct type *base = member->type.base;
        const char *inner = path;

        if (member->name) {
            emit_member(api, out, struct_name, pool_print(api->pool, "%s%s", path, member->name),
                        member, offset);
            inner =
                pool_print(api->pool, "%s%s%s.", path, member->name, member->elements ? "[0]" : "");
        }
        if (base->is_inline)
            emit_members(api, out, struct_name, base, inner, offset + member->offset);
    }
}

static void emit_struct(const struct api *api, FILE *out, const struct type *type)
{
    fprintf(out, "CHECK_SIZE(%s, %u);\n", type->name, type->size);
    emit_members(api, out, type->name, type, "", 0);
}

/* Names of ours, which no vendor's header has: what only messages use. */
static bool is_ours(const char *name)
{
    return strncmp(name, "wh_", 3) == 0 || strncmp(name, "WH_", 3) == 0;
}

static void emit_layouts(const struct api *api, FILE *out)
{
    fputc('\n', out);
    for (size_t i = 0; i < api->types.count; i++) {
        struct type *type = api->types.items[i];

        if (is_ours(type->name))
            continue;
        if (type->checked)
            emit_scalar(out, type);
        else if (type->class == TYPE_STRUCT)
            emit_struct(api, out, type);
    }
}

static void emit_function(const struct api *api, FILE *out, const struct call *call,
                          const char *name)
{
    const char *result = vendor_type_text(api, &call->result);
    struct emit_list list;

    if (call->guard)
        fprintf(out, "#ifdef %s\n", call->guard);
    emit_open(&list, out,
              pool_print(api->pool, "CHECK_FUNCTION(%s, %s%s(*)(", name, result,
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
            emit_function(api, out, api->calls.items[i], api->calls.items[i]->name);
    }
    for (size_t i = 0; i < api->variants.count; i++)
        emit_function(api, out, api->variants.items[i]->target, api->variants.items[i]->name);
}

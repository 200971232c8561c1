/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and built-in types of a description. See model.h.
 */
#include "model.h"

#include <string.h>

struct type *type_base(struct type *type)
{
    while (type->class == TYPE_ALIAS)
        type = type->target;
    return type;
}

struct symbol *find_symbol(const struct api *api, const char *name)
{
    for (size_t i = 0; i < api->symbols.count; i++) {
        if (!strcmp(api->symbols.items[i].name, name))
            return &api->symbols.items[i];
    }
    return NULL;
}

void add_symbol(struct api *api, struct symbol symbol)
{
    const struct symbol *old = find_symbol(api, symbol.name);

    if (old && !old->where.line)
        fail(api->source, symbol.where, "'%s' is a built-in type", symbol.name);
    if (old)
        fail(api->source, symbol.where, "'%s' is already declared at line %d", symbol.name,
             old->where.line);
    LIST_ADD(api->pool, &api->symbols, symbol);
}

struct builtin {
    const char *name, *c_name;
    uint32_t size;
    enum scalar scalar;
};

static const struct builtin builtins[] = {
    {"char", "char", 1, SCALAR_SIGNED},
    {"signed char", "signed char", 1, SCALAR_SIGNED},
    {"unsigned char", "unsigned char", 1, SCALAR_UNSIGNED},
    {"short", "short", 2, SCALAR_SIGNED},
    {"unsigned short", "unsigned short", 2, SCALAR_UNSIGNED},
    {"int", "int", 4, SCALAR_SIGNED},
    {"unsigned", "unsigned", 4, SCALAR_UNSIGNED},
    {"long", "long", 8, SCALAR_SIGNED},
    {"unsigned long", "unsigned long", 8, SCALAR_UNSIGNED},
    {"long long", "long long", 8, SCALAR_SIGNED},
    {"unsigned long long", "unsigned long long", 8, SCALAR_UNSIGNED},
    {"int8", "int8_t", 1, SCALAR_SIGNED},
    {"int16", "int16_t", 2, SCALAR_SIGNED},
    {"int32", "int32_t", 4, SCALAR_SIGNED},
    {"int64", "int64_t", 8, SCALAR_SIGNED},
    {"uint8", "uint8_t", 1, SCALAR_UNSIGNED},
    {"uint16", "uint16_t", 2, SCALAR_UNSIGNED},
    {"uint32", "uint32_t", 4, SCALAR_UNSIGNED},
    {"uint64", "uint64_t", 8, SCALAR_UNSIGNED},
    {"int8_t", "int8_t", 1, SCALAR_SIGNED},
    {"int16_t", "int16_t", 2, SCALAR_SIGNED},
    {"int32_t", "int32_t", 4, SCALAR_SIGNED},
    {"int64_t", "int64_t", 8, SCALAR_SIGNED},
    {"uint8_t", "uint8_t", 1, SCALAR_UNSIGNED},
    {"uint16_t", "uint16_t", 2, SCALAR_UNSIGNED},
    {"uint32_t", "uint32_t", 4, SCALAR_UNSIGNED},
    {"uint64_t", "uint64_t", 8, SCALAR_UNSIGNED},
    {"size_t", "size_t", 8, SCALAR_UNSIGNED},
    {"intptr_t", "intptr_t", 8, SCALAR_SIGNED},
    {"uintptr_t", "uintptr_t", 8, SCALAR_UNSIGNED},
    {"float", "float", 4, SCALAR_FLOAT},
    {"double", "double", 8, SCALAR_FLOAT},
    {"pointer", "void *", 8, SCALAR_POINTER},
};

static void add_builtin(struct api *api, struct type value)
{
    struct type *type = pool_alloc(api->pool, sizeof *type);

    *type = value;
    add_symbol(api, (struct symbol){.name = type->name, .class = SYMBOL_TYPE, .type = type});
}

void add_builtin_types(struct api *api)
{
    add_builtin(api, (struct type){.name = "void", .c_name = "void", .class = TYPE_VOID});
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        const struct builtin *builtin = &builtins[i];

        add_builtin(api, (struct type){.name = builtin->name,
                                       .c_name = builtin->c_name,
                                       .class = TYPE_SCALAR,
                                       .size = builtin->size,
                                       .align = builtin->size,
                                       .scalar = builtin->scalar});
    }
}

int64_t number_value(struct number number)
{
    return (int64_t)(number.negative ? 0 - number.magnitude : number.magnitude);
}

bool call_crosses(const struct call *call)
{
    return !(call->flags & WH_CALL_UNSUPPORTED);
}

bool call_is_exported(const struct call *call)
{
    return !(call->flags & WH_CALL_MESSAGE);
}

bool call_is_observed(const struct api *api, const struct call *call)
{
    return api->is_observed && call_is_exported(call) && call->result_kind == WH_RESULT_STATUS;
}

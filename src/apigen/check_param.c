/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of one parameter: its text against its C type, its length, and what it becomes on the
 * wire. See check.h.
 */
#include "check.h"

#include <string.h>

struct context {
    const struct api *api;
    const struct call *call;
    struct param *param;
    struct type *base; /* of the parameter's type, aliases resolved */
};

static const char *role_word(enum role role)
{
    static const char *const words[] = {
        [ROLE_NONE] = "",           [ROLE_IN] = "in",         [ROLE_STRING] = "string",
        [ROLE_STRINGS] = "strings", [ROLE_PROPS] = "props",   [ROLE_OUT] = "out",
        [ROLE_NEW] = "new",         [ROLE_ERROR] = "error",   [ROLE_LOCAL] = "local",
        [ROLE_ARENA] = "arena",     [ROLE_MEMORY] = "memory", [ROLE_VERSIONED] = "versioned"};

    return words[role];
}

static bool is_integer(const struct ctype *type)
{
    const struct type *base = type_base(type->base);

    return !type->depth && base->class == TYPE_SCALAR && base->scalar <= SCALAR_UNSIGNED;
}

static int find_param(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->params.count; i++) {
        if (!strcmp(call->params.items[i].name, name))
            return (int)i;
    }
    return -1;
}

/* A parameter that is an integer on the wire, for a length or a selector. */
static int8_t integer_param(const struct context *context, int index, struct where where)
{
    const struct param *param = &context->call->params.items[index];

    if (!is_integer(&param->type) || param->role == ROLE_LOCAL)
        fail(context->api->source, where, "'%s' is not an integer parameter", param->name);
    return (int8_t)index;
}

static void multiply(const struct context *context, const struct factor *factor, uint64_t number)
{
    uint32_t *scale = &context->param->desc.length.scale;

    if (!number || number > UINT32_MAX || __builtin_mul_overflow(*scale, (uint32_t)number, scale))
        fail(context->api->source, factor->where, "the length must be from 1 to 4294967295");
}

static void apply_factor(const struct context *context, const struct factor *factor)
{
    struct wh_length *length = &context->param->desc.length;

    if (!factor->name) {
        multiply(context, factor, factor->number);
        return;
    }
    int index = find_param(context->call, factor->name);
    if (index < 0) {
        const struct symbol *symbol = find_symbol(context->api, factor->name);

        if (!symbol || symbol->class != SYMBOL_CONSTANT || symbol->constant->text)
            fail(context->api->source, factor->where, "unknown parameter or constant '%s'",
                 factor->name);
        if (symbol->constant->value.negative)
            fail(context->api->source, factor->where, "the length must be from 1 to 4294967295");
        multiply(context, factor, symbol->constant->value.magnitude);
        return;
    }
    int8_t *slot = length->a < 0 ? &length->a : &length->b;
    if (*slot >= 0)
        fail(context->api->source, factor->where, "a length names two parameters at most");
    *slot = integer_param(context, index, factor->where);
}

/* The length in units of `unit` bytes or elements. */
static void set_length(const struct context *context, uint32_t unit)
{
    struct param *param = context->param;

    param->desc.length = (struct wh_length){.a = -1, .b = -1, .scale = unit};
    for (size_t i = 0; i < param->factors.count; i++)
        apply_factor(context, &param->factors.items[i]);
}

/* The vendor's functions that stay in the client may read by other pointers, too. */
static void need_const(const struct context *context, bool is_const)
{
    const struct param *param = context->param;

    if (param->type.is_const != is_const && (!is_const || call_crosses(context->call)))
        fail(context->api->source, param->role_where, "'%s' needs a pointer %s const",
             role_word(param->role), is_const ? "to" : "that is not");
}

static void need_pointer(const struct context *context)
{
    const struct param *param = context->param;

    if (!param->type.depth)
        fail(context->api->source, param->role_where, "'%s' needs a pointer, which '%s' is not",
             role_word(param->role), param->name);
    if (param->role == ROLE_OUT && param->type.depth == 2 && !call_crosses(context->call))
        return; /* an address of the program's */
    if (param->type.depth > 1 || context->base->class == TYPE_FUNCTION)
        fail(context->api->source, param->role_where,
             "'%s' cannot carry addresses: '%s' would need 'local' or a function by hand",
             role_word(param->role), param->name);
    if (context->base->class == TYPE_VOID && !param->has_length)
        fail(context->api->source, param->role_where, "'%s' on a pointer to void needs a length",
             role_word(param->role));
}

/* Addresses inside structures make sense only to code that knows them. */
static void need_plain_struct(const struct context *context)
{
    const struct type *base = context->base;

    if (base->class == TYPE_STRUCT && base->pointer && call_crosses(context->call) &&
        !(context->call->flags & WH_CALL_HAND_WORKER))
        fail(context->api->source, context->param->role_where,
             "'%s' has an address, or an object in a union, in its member '%s': the function must "
             "be 'worker'",
             base->name, base->pointer);
}

static uint8_t small_size(uint32_t size)
{
    return size <= UINT8_MAX ? (uint8_t)size : 0;
}

static uint32_t element_size(const struct context *context)
{
    return context->base->class == TYPE_VOID ? 1 : context->base->size;
}

static void set_objects(const struct context *context, enum wh_kind kind)
{
    struct wh_param *desc = &context->param->desc;

    desc->kind = (uint8_t)kind;
    desc->size = 8;
    desc->type = context->base->index;
    set_length(context, 1);
}

static void set_bytes(const struct context *context, enum wh_kind kind)
{
    struct wh_param *desc = &context->param->desc;

    desc->kind = (uint8_t)kind;
    desc->size = small_size(element_size(context));
    set_length(context, element_size(context));
}

static void check_in(const struct context *context)
{
    struct wh_param *desc = &context->param->desc;

    need_pointer(context);
    need_const(context, true);
    need_plain_struct(context);
    if (context->base->class == TYPE_OBJECT) {
        set_objects(context, WH_HANDLES);
    } else if (context->base->class == TYPE_STRUCT && context->base->handles.count) {
        desc->kind = WH_STRUCTS;
        desc->size = small_size(context->base->size);
        desc->type = context->base->index;
        set_length(context, 1);
    } else {
        set_bytes(context, WH_BYTES);
    }
}

static void check_info(const struct context *context)
{
    struct param *param = context->param;

    param->list = find_info(context->api, param->list_name);
    if (!param->list)
        fail(context->api->source, param->list_where, "unknown info table '%s'", param->list_name);
    int index = find_param(context->call, param->selector_name);
    if (index < 0)
        fail(context->api->source, param->selector_where, "unknown parameter '%s'",
             param->selector_name);
    param->desc.selector = integer_param(context, index, param->selector_where);
    param->desc.type = param->list->index;
    param->desc.kind = WH_INFO;
}

static void check_out(const struct context *context)
{
    const struct type *base = context->base;

    need_pointer(context);
    need_const(context, false);
    need_plain_struct(context);
    if (context->param->list_name && !context->param->has_length)
        fail(context->api->source, context->param->role_where, "'info' needs the length of 'out'");
    if (base->class == TYPE_OBJECT && !context->param->list_name) {
        set_objects(context, WH_OUT_HANDLES);
        return;
    }
    if (base->class == TYPE_STRUCT && base->handles.count &&
        !(context->call->flags & WH_CALL_HAND_WORKER))
        fail(context->api->source, context->param->role_where,
             "'%s' has objects in it: the function must be 'worker'", base->name);
    set_bytes(context, WH_OUT);
    if (context->param->list_name)
        check_info(context);
}

static void check_new(const struct context *context)
{
    if (context->base->class != TYPE_OBJECT)
        fail(context->api->source, context->param->role_where,
             "'new' needs a pointer to an object type, which '%s' is not",
             context->param->type.base->name);
    need_pointer(context);
    need_const(context, false);
    set_objects(context, WH_NEWS);
}

static void check_error(const struct context *context)
{
    const struct param *param = context->param;
    const struct type *status = context->api->status.type;

    if (param->type.depth != 1 || param->type.is_const || param->type.base != status)
        fail(context->api->source, param->role_where, "'error' needs '%s *'", status->name);
    set_bytes(context, WH_OUT);
}

static void check_string(const struct context *context)
{
    const struct param *param = context->param;
    unsigned depth = param->role == ROLE_STRING ? 1 : 2;

    if (param->type.depth != depth || !param->type.is_const ||
        strcmp(context->base->c_name, "char") != 0)
        fail(context->api->source, param->role_where, "'%s' needs 'const char %s'",
             role_word(param->role), depth == 1 ? "*" : "**");
    context->param->desc.kind = depth == 1 ? WH_STRING : WH_STRINGS;
    context->param->desc.size = 1;
    if (depth == 1)
        return;
    if (!param->has_length)
        fail(context->api->source, param->role_where, "'strings' needs a length");
    set_length(context, 1);
}

static void check_props(const struct context *context)
{
    struct param *param = context->param;

    param->list = find_props(context->api, param->list_name);
    if (!param->list)
        fail(context->api->source, param->list_where, "unknown property list '%s'",
             param->list_name);
    if (param->type.depth != 1 || !param->type.is_const ||
        context->base != type_base(param->list->element.base))
        fail(context->api->source, param->role_where, "'props(%s)' needs 'const %s *'",
             param->list_name, param->list->element.base->name);
    param->desc.kind = WH_PROPS;
    param->desc.size = 8;
    param->desc.type = param->list->index;
}

static void check_arena(const struct context *context)
{
    if (call_is_exported(context->call))
        fail(context->api->source, context->param->role_where,
             "only a message may have an arena parameter");
    if (!context->param->has_length)
        fail(context->api->source, context->param->role_where, "'arena' needs a length");
    set_bytes(context, WH_ARENA);
}

static void check_memory(const struct context *context)
{
    struct param *param = context->param;

    if (!is_integer(&param->type) || context->base->scalar != SCALAR_UNSIGNED ||
        context->base->size != 8)
        fail(context->api->source, param->role_where,
             "'memory' needs an unsigned integer of 8 bytes, which '%s' is not", param->name);
    param->desc.kind = WH_MEMORY;
    param->desc.size = 8;
    set_length(context, param->has_length);
}

/* The size that the caller's version claims bounds what is read and written. */
static void check_versioned(const struct context *context)
{
    const struct param *param = context->param;
    const struct type *base = context->base;
    const struct member *first = base->class == TYPE_STRUCT ? &base->members.items[0] : NULL;
    const struct type *version = first ? type_base(first->type.base) : NULL;

    need_pointer(context);
    need_const(context, false);
    need_plain_struct(context);
    if (!first || base->is_union || first->type.depth || first->elements ||
        version->class != TYPE_SCALAR || version->scalar != SCALAR_UNSIGNED || version->size != 4)
        fail(context->api->source, param->role_where,
             "'versioned' needs a structure whose first member is an unsigned integer of 4 bytes");
    if (base->handles.count || base->size > WH_VERSION_SIZE)
        fail(context->api->source, param->role_where,
             "'%s' has objects in it or is too large to be 'versioned'", base->name);
    set_bytes(context, WH_VERSIONED);
}

/* A parameter about which its C type says all, or must. */
static void check_plain(const struct context *context)
{
    struct param *param = context->param;
    struct wh_param *desc = &param->desc;

    if (param->type.depth && !call_crosses(context->call))
        desc->kind = WH_LOCAL;
    else if (param->type.depth)
        fail(context->api->source, param->where,
             "the pointer '%s' needs an annotation: in, out, new, string, props, error or local",
             param->name);
    else if (context->base->class == TYPE_FUNCTION)
        desc->kind = WH_LOCAL;
    else if (context->base->class == TYPE_STRUCT && call_crosses(context->call))
        fail(context->api->source, param->type.where,
             "a structure cannot be passed by value: '%s' needs a pointer", param->name);
    else if (context->base->class == TYPE_STRUCT)
        desc->kind = WH_LOCAL;
    else if (context->base->class == TYPE_OBJECT)
        desc->kind = WH_HANDLE;
    else
        desc->kind = WH_VALUE;
    if (desc->kind == WH_HANDLE)
        desc->type = context->base->index;
    if (desc->kind == WH_VALUE || desc->kind == WH_HANDLE)
        desc->size = (uint8_t)context->base->size;
    if (desc->kind == WH_VALUE)
        desc->is_signed = context->base->scalar == SCALAR_SIGNED;
}

/* The error for a bad handle: the parameter's own or its type's; structures have it by member. */
static void set_invalid(const struct context *context)
{
    const struct param *param = context->param;
    uint8_t kind = param->desc.kind;

    if (!param->has_invalid && (kind == WH_HANDLE || kind == WH_HANDLES))
        context->param->desc.invalid = context->base->invalid;
    if (param->has_invalid && kind != WH_HANDLE && kind != WH_HANDLES && kind != WH_STRUCTS &&
        kind != WH_PROPS)
        fail(context->api->source, param->invalid_where,
             "'invalid' is for parameters that carry objects to the worker");
}

static void check_name(const struct context *context, size_t index)
{
    static const char *const reserved[] = {"a", "call", "f", "functions", "status"};
    const struct param *param = context->param;
    const struct symbol *symbol = find_symbol(context->api, param->name);

    if (find_param(context->call, param->name) != (int)index)
        fail(context->api->source, param->where, "'%s' already has a parameter '%s'",
             context->call->name, param->name);
    if (symbol)
        fail(context->api->source, param->where, "a parameter may not have the name of the %s '%s'",
             symbol->class == SYMBOL_TYPE       ? "type"
             : symbol->class == SYMBOL_CONSTANT ? "constant"
                                                : "function",
             param->name);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (!strcmp(param->name, reserved[i]))
            fail(context->api->source, param->where,
                 "'%s' is a name that the generated code uses itself", param->name);
    }
}

void check_param(struct api *api, struct call *call, size_t index)
{
    struct param *param = &call->params.items[index];
    struct context context = {
        .api = api, .call = call, .param = param, .base = type_base(param->type.base)};

    check_name(&context, index);
    if (!param->type.depth && context.base->class == TYPE_VOID)
        fail(api->source, param->type.where, "the parameter '%s' is void", param->name);
    param->desc.name = param->name;
    param->desc.selector = -1;
    if (param->role == ROLE_NONE)
        check_plain(&context);
    else if (param->role == ROLE_IN)
        check_in(&context);
    else if (param->role == ROLE_STRING || param->role == ROLE_STRINGS)
        check_string(&context);
    else if (param->role == ROLE_PROPS)
        check_props(&context);
    else if (param->role == ROLE_OUT)
        check_out(&context);
    else if (param->role == ROLE_NEW)
        check_new(&context);
    else if (param->role == ROLE_ERROR)
        check_error(&context);
    else if (param->role == ROLE_ARENA)
        check_arena(&context);
    else if (param->role == ROLE_MEMORY)
        check_memory(&context);
    else if (param->role == ROLE_VERSIONED)
        check_versioned(&context);
    else
        param->desc.kind = WH_LOCAL;
    set_invalid(&context);
}

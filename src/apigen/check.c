/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of functions as a whole and of what refers to them. See check.h.
 */
#include "check.h"

#include <string.h>

static void check_status(struct api *api)
{
    struct status *status = &api->status;

    if (!status->type_name)
        fail(api->source, api->where, "the description has no 'status'");

    const struct symbol *symbol = find_symbol(api, status->type_name);
    if (!symbol || symbol->class != SYMBOL_TYPE)
        fail(api->source, status->type_where, "unknown type '%s'", status->type_name);
    status->type = symbol->type;

    const struct type *base = type_base(status->type);
    if (base->class != TYPE_SCALAR || base->size != 4 || base->scalar > SCALAR_UNSIGNED)
        fail(api->source, status->type_where, "the status type must be an integer of 4 bytes");
}

static bool returns_object(const struct call *call)
{
    return !call->result.depth && type_base(call->result.base)->class == TYPE_OBJECT;
}

static bool returns_address(const struct call *call)
{
    return call->result.depth || type_base(call->result.base)->class == TYPE_FUNCTION;
}

static void find_error_param(const struct api *api, struct call *call)
{
    call->error_param = -1;
    for (size_t i = 0; i < call->params.count; i++) {
        const struct param *param = &call->params.items[i];

        if (param->role != ROLE_ERROR)
            continue;
        if (call->error_param >= 0)
            fail(api->source, param->role_where, "'%s' has two 'error' parameters", call->name);
        if (!call->is_new && call_crosses(call))
            fail(api->source, param->role_where,
                 "'error' is for functions that return a new object: end '%s' with 'new'",
                 call->name);
        call->error_param = (int)i;
    }
}

static void check_new_result(const struct api *api, struct call *call)
{
    if (!returns_object(call))
        fail(api->source, call->new_where, "'new' needs an object type as the result of '%s'",
             call->name);
    if (call->error_param < 0)
        fail(api->source, call->new_where,
             "'%s' returns a new object and needs an 'error' parameter", call->name);
    call->result_kind = WH_RESULT_NEW;
}

/* A value must fit the one word that comes back, and mean something here. */
static void check_value_result(const struct api *api, const struct call *call)
{
    const struct type *base = type_base(call->result.base);
    const char *problem = NULL;

    if (returns_address(call))
        problem = "an address: it must be 'local' or 'unsupported'";
    else if (base->class == TYPE_STRUCT)
        problem = "a structure: it must be 'local'";
    else if (base->class == TYPE_OBJECT)
        problem = "an object: end it with 'new', or make it 'local' or 'unsupported'";
    else if (base->scalar == SCALAR_FLOAT)
        problem = "floating point: it must be 'local' or 'unsupported'";
    if (problem)
        fail(api->source, call->result.where, "'%s' returns %s", call->name, problem);
}

static void check_result(const struct api *api, struct call *call)
{
    const struct type *base = type_base(call->result.base);

    if (call->is_new)
        check_new_result(api, call);
    else if (!call->result.depth && base->class == TYPE_VOID)
        call->result_kind = WH_RESULT_VOID;
    else if (!call->result.depth && call->result.base == api->status.type)
        call->result_kind = WH_RESULT_STATUS;
    else
        call->result_kind = WH_RESULT_VALUE;
    if (call->result_kind == WH_RESULT_VALUE && call_crosses(call))
        check_value_result(api, call);
    if (call->is_refused && call->result_kind != WH_RESULT_STATUS)
        fail(api->source, call->refused_where, "'refused' needs a function that returns '%s'",
             api->status.type->name);
    if (base->class == TYPE_STRUCT && !call->result.depth && !call->is_local)
        fail(api->source, call->result.where, "'%s' returns a structure: it must be 'local'",
             call->name);
}

static void check_post(const struct api *api, const struct call *call)
{
    if (!(call->flags & WH_CALL_POST))
        return;
    if (call->result_kind == WH_RESULT_VALUE)
        fail(api->source, call->post_where, "'post' cannot return the value of '%s'", call->name);
    for (size_t i = 0; i < call->params.count; i++) {
        const struct param *param = &call->params.items[i];
        uint8_t kind = param->desc.kind;

        if (kind == WH_OUT || kind == WH_INFO || kind == WH_VERSIONED || kind == WH_OUT_HANDLES)
            fail(api->source, call->post_where, "'post' cannot bring back the parameter '%s'",
                 param->name);
    }
}

/* The answer is kept by its inputs: they and it must be plain words and bytes. */
static void check_remembered(const struct api *api, const struct call *call)
{
    if (!(call->flags & WH_CALL_REMEMBERED))
        return;
    if (call->result_kind != WH_RESULT_STATUS)
        fail(api->source, call->remembered_where, "'remembered' needs a function that returns '%s'",
             api->status.type->name);
    for (size_t i = 0; i < call->params.count; i++) {
        const struct param *param = &call->params.items[i];
        uint8_t kind = param->desc.kind;

        if (kind != WH_VALUE && kind != WH_HANDLE && kind != WH_OUT)
            fail(api->source, call->remembered_where,
                 "'remembered' needs values, objects and plain 'out' only, which '%s' is not",
                 param->name);
    }
}

static void check_forgets(const struct api *api, const struct call *call)
{
    bool found = !(call->flags & WH_CALL_FORGETS);

    for (size_t i = 0; i < call->params.count; i++)
        found |= call->params.items[i].desc.kind == WH_HANDLE;
    if (!found)
        fail(api->source, call->forgets_where, "'forgets' needs an object among the parameters");
}

/* What it waits for is named by one object, or is everything. */
static void check_settles(const struct api *api, const struct call *call)
{
    size_t n = call->params.count;

    if (!(call->flags & WH_CALL_SETTLES))
        return;
    if (call->result_kind != WH_RESULT_STATUS || !(call->flags & WH_CALL_SYNCS))
        fail(api->source, call->settles_where,
             "'settles' needs a function that returns '%s' and 'syncs'", api->status.type->name);
    if (n > 1 || (n == 1 && call->params.items[0].desc.kind != WH_HANDLE))
        fail(api->source, call->settles_where, "'settles' needs one object or no parameter at all");
}

/* An extension often names what the core has too: the core's function is the one to know. */
static void check_reference(const struct api *api, struct call *call)
{
    bool retain = call->flags & WH_CALL_RETAIN;

    if (!retain && !(call->flags & WH_CALL_RELEASE))
        return;
    if (!call->params.count || call->params.items[0].desc.kind != WH_HANDLE)
        fail(api->source, call->where, "'%s' needs an object as the first parameter of '%s'",
             retain ? "retain" : "release", call->name);

    struct type *object = type_base(call->params.items[0].type.base);
    struct call **slot = retain ? &object->retain : &object->release;
    if (*slot && (call->flags & WH_CALL_EXTENSION))
        return;
    if (*slot && !((*slot)->flags & WH_CALL_EXTENSION))
        fail(api->source, call->where, "'%s' is already %s by '%s'", object->name,
             retain ? "retained" : "released", (*slot)->name);
    *slot = call;
}

static void mark_checked(struct type *type)
{
    if (type->where.line && type_base(type)->class == TYPE_SCALAR)
        type->checked = true;
}

/* The vendor's header must know the types of what it declares, so the check file may name those. */
static void mark_vendor_types(struct call *call)
{
    if (!call_is_exported(call) || (call->flags & WH_CALL_EXTENSION))
        return;
    mark_checked(call->result.base);
    for (size_t i = 0; i < call->params.count; i++)
        mark_checked(call->params.items[i].type.base);
}

static void check_call(struct api *api, struct call *call)
{
    for (size_t i = 0; i < call->params.count; i++)
        check_param(api, call, i);
    find_error_param(api, call);
    check_result(api, call);
    check_post(api, call);
    check_remembered(api, call);
    check_forgets(api, call);
    check_settles(api, call);
    check_reference(api, call);
    mark_vendor_types(call);
}

static bool is_function(const struct symbol *symbol)
{
    return symbol->class == SYMBOL_CALL && call_is_exported(symbol->call);
}

static void check_table(const struct api *api, const struct table *table)
{
    for (size_t i = 0; i < table->slots.count; i++) {
        const struct slot *slot = &table->slots.items[i];

        if (!slot->name)
            continue;
        const struct symbol *symbol = find_symbol(api, slot->name);
        if (!symbol || (symbol->class != SYMBOL_VARIANT && !is_function(symbol)))
            fail(api->source, slot->where, "'%s' is not a function of this API", slot->name);
    }
}

static void check_variant(const struct api *api, struct variant *variant)
{
    const struct symbol *symbol = find_symbol(api, variant->target_name);

    if (!symbol || !is_function(symbol))
        fail(api->source, variant->target_where, "'%s' is not a function of this API",
             variant->target_name);
    variant->target = symbol->call;
}

void check_api(struct api *api)
{
    check_status(api);
    check_types(api);
    check_names(api);

    size_t exported = 0;
    for (size_t i = 0; i < api->calls.count; i++) {
        check_call(api, api->calls.items[i]);
        exported += call_is_exported(api->calls.items[i]);
    }
    for (size_t i = 0; i < api->variants.count; i++)
        check_variant(api, api->variants.items[i]);
    for (size_t i = 0; i < api->tables.count; i++)
        check_table(api, &api->tables.items[i]);
    if (!exported)
        fail(api->source, api->where, "the description has no functions");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash by which both sides know that they mean the same bytes: FNV-1a (64 bits) over a text
 * that has everything that matters on the wire and nothing else. Called by main before the
 * emitters.
 */
#include "emit.h"

uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void write_objects(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->objects.count; i++) {
        const struct type *type = api->objects.items[i];

        fprintf(out, "object %s %d %d %d%s\n", type->name, type->invalid,
                type->retain ? type->retain->number : -1,
                type->release ? type->release->number : -1, type->special ? " special" : "");
    }
}

static void write_members(const struct api *api, const struct type *type, FILE *out)
{
    for (size_t i = 0; i < type->members.count; i++) {
        const struct member *member = &type->members.items[i];
        const struct type *base = member->type.base;

        fprintf(out, "member %s %s %u %u\n", member->name ? member->name : "",
                !base->is_inline ? type_text(api, &member->type, NULL)
                : base->is_union ? "union {"
                                 : "struct {",
                member->offset, member->size);
        if (base->is_inline) {
            write_members(api, base, out);
            fputs("}\n", out);
        }
    }
}

static void write_structs(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->structs.count; i++) {
        const struct type *type = api->structs.items[i];

        fprintf(out, "%s %s %u\n", type->is_union ? "union" : "struct", type->name, type->size);
        write_members(api, type, out);
        for (size_t k = 0; k < type->handles.count; k++)
            fprintf(out, "handle %u %u\n", type->handles.items[k].offset,
                    type->handles.items[k].type);
    }
}

static void write_names(const struct names *names, const char *what, FILE *out)
{
    fprintf(out, "%s %s\n", what, names->name);
    for (size_t i = 0; i < names->entries.count; i++) {
        const struct entry *entry = &names->entries.items[i];
        unsigned type = entry->object ? entry->object->index : entry->list ? entry->list->index : 0;

        fprintf(out, "name %s %ld %d %d %u\n", entry->label, entry->value, entry->content,
                entry->fixed, type);
    }
}

static void write_call(const struct api *api, const struct call *call, FILE *out)
{
    const struct type *result = type_base(call->result.base);

    fprintf(out, "call %s %u %s %u %d %d %d\n", call->name, call->flags,
            type_text(api, &call->result, NULL), result->size, (int)result->scalar,
            (int)call->result_kind, call->error_param);
    for (size_t i = 0; i < call->params.count; i++) {
        const struct param *param = &call->params.items[i];
        const struct wh_param *desc = &param->desc;

        fprintf(out, "param %s %s %d %d %d %d %u %d %d %d %u\n", desc->name,
                type_text(api, &param->type, NULL), desc->kind, desc->size, desc->is_signed,
                desc->selector, desc->type, desc->invalid, desc->length.a, desc->length.b,
                desc->length.scale);
    }
}

void emit_canonical(const struct api *api, FILE *out)
{
    const struct status *status = &api->status;

    fprintf(out, "api %s %d %d %d %d %d\n", api->name, status->success, status->unsupported,
            status->lost, status->no_memory, status->invalid_value);
    write_objects(api, out);
    write_structs(api, out);
    for (size_t i = 0; i < api->infos.count; i++)
        write_names(api->infos.items[i], "info", out);
    for (size_t i = 0; i < api->props.count; i++)
        write_names(api->props.items[i], "props", out);
    for (size_t i = 0; i < api->calls.count; i++)
        write_call(api, api->calls.items[i], out);
}

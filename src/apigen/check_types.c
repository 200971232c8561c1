/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of structures, info tables and property lists. Structures are laid out by the rules of the
 * x86-64 System V ABI. See check.h.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

static void add_handle(struct api *api, struct type *type, uint32_t offset,
                       const struct type *object)
{
    LIST_ADD(api->pool, &type->handles,
             ((struct wh_member){.offset = offset, .type = object->index}));
}

/* Notes what one element of a member, at `offset`, holds that is more than plain bytes. */
static void note_content(struct api *api, struct type *type, const struct member *member,
                         uint32_t offset)
{
    const struct type *base = type_base(member->type.base);

    if (member->type.depth || base->class == TYPE_FUNCTION ||
        (type->is_union && base->class == TYPE_OBJECT)) {
        type->pointer = member->name;
    } else if (type->is_union && base->class == TYPE_STRUCT) {
        if (base->pointer || base->handles.count)
            type->pointer = member->name ? member->name : base->pointer;
    } else if (base->class == TYPE_OBJECT) {
        add_handle(api, type, offset, base);
    } else if (base->class == TYPE_STRUCT) {
        for (size_t i = 0; i < base->handles.count; i++) {
            struct wh_member handle = base->handles.items[i];

            handle.offset += offset;
            LIST_ADD(api->pool, &type->handles, handle);
        }
        if (base->pointer)
            type->pointer = member->name ? member->name : base->pointer;
    }
}

static void lay_out_struct(struct api *api, struct type *type);

static void lay_out_member(struct api *api, struct type *type, struct member *member)
{
    struct type *base = type_base(member->type.base);
    bool address = member->type.depth || base->class == TYPE_FUNCTION;

    if (base->is_inline)
        lay_out_struct(api, base);
    uint32_t size = address ? 8 : base->size, align = address ? 8 : base->align;
    uint32_t elements = member->elements ? member->elements : 1;
    if (!address && base->class == TYPE_VOID)
        fail(api->source, member->where, "the member '%s' is void", member->name);
    member->offset = type->is_union ? 0 : (type->size + align - 1) / align * align;
    if (__builtin_mul_overflow(size, elements, &member->size) || member->size > 1u << 24 ||
        type->size > 1u << 24)
        fail(api->source, member->where, "'%s' is larger than 16 MiB", type->name);
    for (uint32_t i = 0; i < elements; i++)
        note_content(api, type, member, member->offset + i * size);
    if (type->size < member->offset + member->size)
        type->size = member->offset + member->size;
    if (type->align < align)
        type->align = align;
}

static void lay_out_struct(struct api *api, struct type *type)
{
    type->size = 0;
    type->align = 1;
    for (size_t i = 0; i < type->members.count; i++)
        lay_out_member(api, type, &type->members.items[i]);
    type->size = (type->size + type->align - 1) / type->align * type->align;
    if (type->handles.count > UINT16_MAX)
        fail(api->source, type->where, "'%s' has more than %d objects in it", type->name,
             UINT16_MAX);
}

void check_types(struct api *api)
{
    for (size_t i = 0; i < api->structs.count; i++)
        lay_out_struct(api, api->structs.items[i]);
}

static struct names *find_names(struct names *const *items, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(items[i]->name, name))
            return items[i];
    }
    return NULL;
}

struct names *find_props(const struct api *api, const char *name)
{
    return find_names(api->props.items, api->props.count, name);
}

struct names *find_info(const struct api *api, const char *name)
{
    return find_names(api->infos.items, api->infos.count, name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return (left->value > right->value) - (left->value < right->value);
}

/* In the order of the source, so that the later of two equal names is the one reported. */
static void check_entry(const struct api *api, struct names *names, size_t index)
{
    struct entry *entry = &names->entries.items[index];

    for (size_t i = 0; i < index; i++) {
        if (names->entries.items[i].value == entry->value)
            fail(api->source, entry->where, "'%s' has the value of '%s', which '%s' already names",
                 entry->label, names->entries.items[i].label, names->name);
    }
    if (!entry->list_name)
        return;
    entry->list = find_props(api, entry->list_name);
    if (!entry->list)
        fail(api->source, entry->list_where, "unknown property list '%s'", entry->list_name);
}

static void check_list(const struct api *api, struct names **lists, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        lists[i]->index = (uint16_t)i;
        if (find_names(lists, i, lists[i]->name))
            fail(api->source, lists[i]->where, "the %s '%s' is already declared at line %d", what,
                 lists[i]->name, find_names(lists, i, lists[i]->name)->where.line);
        for (size_t k = 0; k < lists[i]->entries.count; k++)
            check_entry(api, lists[i], k);
        qsort(lists[i]->entries.items, lists[i]->entries.count, sizeof *lists[i]->entries.items,
              compare_entries);
    }
}

static void check_element(const struct api *api, const struct names *list)
{
    const struct type *base = type_base(list->element.base);

    if (list->element.depth || base->class != TYPE_SCALAR || base->size != 8 ||
        base->scalar > SCALAR_UNSIGNED)
        fail(api->source, list->element.where,
             "a property list's elements are integers of 8 bytes, which '%s' is not",
             list->element.base->name);
}

void check_names(struct api *api)
{
    for (size_t i = 0; i < api->props.count; i++)
        check_element(api, api->props.items[i]);
    check_list(api, api->props.items, api->props.count, "property list");
    check_list(api, api->infos.items, api->infos.count, "info table");
}

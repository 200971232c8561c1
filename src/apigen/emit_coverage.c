/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_coverage.md: which functions there are and how each crosses. Called by main.
 */
#include "emit.h"

enum crossing {
    POSTED,
    WAITS,
    ASKED_ONCE,
    MAY_BLOCK,
    LOCAL,
    BY_HAND,
    VARIANT,
    REFUSED,
    NOT_SUPPORTED,
    NCROSSINGS
};

static const char *const crossing_names[NCROSSINGS] = {
    [POSTED] = "posted",         [WAITS] = "waits",
    [ASKED_ONCE] = "asked once", [MAY_BLOCK] = "may block",
    [LOCAL] = "local",           [BY_HAND] = "by hand",
    [VARIANT] = "as another",    [NOT_SUPPORTED] = "not supported",
    [REFUSED] = "refused",
};

static enum crossing crossing_of(const struct call *call)
{
    if (call->is_local)
        return LOCAL;
    if (call->is_refused)
        return REFUSED;
    if (call->flags & WH_CALL_UNSUPPORTED)
        return NOT_SUPPORTED;
    if (call->flags & WH_CALL_HAND_CLIENT)
        return BY_HAND;
    if (call->flags & WH_CALL_POST)
        return POSTED;
    if (call->flags & WH_CALL_REMEMBERED)
        return ASKED_ONCE;
    return call->flags & WH_CALL_BLOCKS ? MAY_BLOCK : WAITS;
}

static enum crossing crossing_of_variant(const struct variant *variant)
{
    return crossing_of(variant->target) == NOT_SUPPORTED ? NOT_SUPPORTED : VARIANT;
}

static const char *note_text(const struct api *api, const struct call *call)
{
    const char *side = "", *extension = "";

    if (call_crosses(call) && (call->flags & WH_CALL_HAND_WORKER))
        side = call->flags & WH_CALL_HAND_CLIENT ? "both sides by hand" : "worker side by hand";
    else if (call_crosses(call) && (call->flags & WH_CALL_HAND_CLIENT))
        side = "client side by hand";
    if (call->flags & WH_CALL_EXTENSION)
        extension = call->guard ? pool_print(api->pool, "extension %s", call->guard) : "extension";
    return pool_print(api->pool, "%s%s%s", side, *side && *extension ? ", " : "", extension);
}

static void emit_counts(const struct api *api, FILE *out)
{
    unsigned counts[NCROSSINGS] = {0}, total = 0;

    for (size_t i = 0; i < api->calls.count; i++) {
        if (!call_is_exported(api->calls.items[i]))
            continue;
        counts[crossing_of(api->calls.items[i])]++;
        total++;
    }
    for (size_t i = 0; i < api->variants.count; i++) {
        counts[crossing_of_variant(api->variants.items[i])]++;
        total++;
    }
    fputs("| how | functions |\n| --- | ---: |\n", out);
    for (size_t i = 0; i < NCROSSINGS; i++)
        fprintf(out, "| %s | %u |\n", crossing_names[i], counts[i]);
    fprintf(out, "| all | %u |\n\n", total);
}

void emit_coverage_md(const struct api *api, FILE *out)
{
    fprintf(out, "# Functions of %s %u.%u\n\n", api->name, api->major, api->minor);
    fputs(
        "*posted*: sent without waiting; *waits*: answered by the worker; *asked once*: the client "
        "remembers the answer;\n*may block*: may wait long there; *local*: never leaves the "
        "client; *by hand*: the client decides what it sends;\n*as another*: a second name of a "
        "function;\n*refused*: not the program's to do, with the API's error for that.\n\n",
        out);
    emit_counts(api, out);
    fputs("| function | since | how | note |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < api->calls.count; i++) {
        const struct call *call = api->calls.items[i];

        if (call_is_exported(call))
            fprintf(out, "| `%s` | %u.%u | %s | %s |\n", call->name, call->since_major,
                    call->since_minor, crossing_names[crossing_of(call)], note_text(api, call));
    }
    for (size_t i = 0; i < api->variants.count; i++) {
        const struct variant *variant = api->variants.items[i];

        fprintf(out, "| `%s` | %u.%u | %s | `%s` |\n", variant->name, variant->since_major,
                variant->since_minor, crossing_names[crossing_of_variant(variant)],
                variant->target->name);
    }
}

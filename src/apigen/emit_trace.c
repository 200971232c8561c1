/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes NAME_trace.c, a library with the API's own names that hands each call on as words, by its
 * place in NAME_words.c. Called by main.
 */
#include "emit.h"

static void emit_wrapper(const struct api *api, FILE *out, const struct exported *exported,
                         size_t place)
{
    fputc('\n', out);
    emit_prototype(api, out, "WH_EXPORT ", exported->call, exported->name, "\n");
    fputs("{\n", out);
    emit_words(api, out, exported->call);
    fprintf(out, "    %swh_%s_trace(%zu, a);\n}\n", return_text(api, exported->call), api->name,
            place);
}

void emit_trace_c(const struct api *api, FILE *out)
{
    struct exported *exported;
    size_t count = list_exported(api, &exported), place = 0;

    emit_banner(api, out, "The functions that programs call, for a library that traces them.");
    fprintf(out,
            "#include \"%s_types.h\"\n"
            "#include \"client/stub.h\"\n\n"
            "#define ADDRESS(function) __extension__(void *)(function)\n\n"
            "uint64_t wh_%s_trace(unsigned place, const uint64_t *a);\n",
            api->name, api->name);
    for (size_t i = 0; i < count; i++)
        if (has_word_result(exported[i].call))
            emit_wrapper(api, out, &exported[i], place++);
    fprintf(out, "\nvoid *const wh_%s_traced[] = {\n", api->name);
    for (size_t i = 0; i < count; i++)
        if (has_word_result(exported[i].call))
            fprintf(out, "    ADDRESS(%s),\n", exported[i].name);
    fputs("};\n", out);
}

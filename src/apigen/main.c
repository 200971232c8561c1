/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wormhole-apigen: reads one API description and writes the code and tables made from it. Run by
 * the build. All output is made in memory first: after an error nothing has been written.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "emit.h"
#include "parser.h"

struct output {
    const char *suffix;
    void (*emit)(const struct api *api, FILE *out);
    char *text;
    size_t length;
};

static _Noreturn void give_up(const char *what, const char *path)
{
    fprintf(stderr, "wormhole-apigen: cannot %s '%s': %s\n", what, path, strerror(errno));
    exit(1);
}

static void read_source(struct source *source, struct pool *pool)
{
    FILE *file = fopen(source->path, "rb");
    char *text = NULL;
    size_t room = 0;

    if (!file)
        give_up("read", source->path);
    do {
        text = pool_grow(pool, text, source->length, &room, 1);
        source->length += fread(text + source->length, 1, room - source->length, file);
    } while (source->length == room);
    if (ferror(file))
        give_up("read", source->path);
    fclose(file);
    source->text = text;
}

static void make_text(const struct api *api, struct output *output)
{
    FILE *out = open_memstream(&output->text, &output->length);

    if (!out)
        give_up("make", output->suffix);
    output->emit(api, out);
    if (fclose(out))
        give_up("make", output->suffix);
}

static void write_output(const struct api *api, const char *folder, const struct output *output)
{
    const char *path = pool_print(api->pool, "%s/%s_%s", folder, api->name, output->suffix);
    FILE *file = fopen(path, "wb");

    if (!file)
        give_up("write", path);
    fwrite(output->text, 1, output->length, file);
    if (ferror(file) | fclose(file))
        give_up("write", path);
}

static void compute_hash(struct api *api)
{
    struct output canonical = {.suffix = "hash", .emit = emit_canonical};

    make_text(api, &canonical);
    api->hash = hash_text(canonical.text, canonical.length);
    free(canonical.text);
}

static void generate(struct api *api, const char *folder)
{
    struct output outputs[] = {
        {.suffix = "types.h", .emit = emit_types_h},
        {.suffix = "api.h", .emit = emit_api_h},
        {.suffix = "api.c", .emit = emit_api_c},
        {.suffix = "stubs.c", .emit = emit_stubs_c},
        {.suffix = "messages.h", .emit = emit_messages_h},
        {.suffix = "thunks.h", .emit = emit_thunks_h},
        {.suffix = "thunks.c", .emit = emit_thunks_c},
        {.suffix = "words.c", .emit = emit_words_c},
        {.suffix = "trace.c", .emit = emit_trace_c},
        {.suffix = "check.c", .emit = emit_check_c},
        {.suffix = "coverage.md", .emit = emit_coverage_md},
        {.suffix = "params.h", .emit = emit_params_h},
        {.suffix = "own.h", .emit = emit_own_h},
    };
    size_t count = sizeof outputs / sizeof *outputs - (api->is_observed ? 0 : 2);

    for (size_t i = 0; i < count; i++)
        make_text(api, &outputs[i]);
    for (size_t i = 0; i < count; i++) {
        write_output(api, folder, &outputs[i]);
        free(outputs[i].text);
    }
}

static int usage(FILE *out, int status)
{
    fputs("usage: wormhole-apigen [--out-dir DIR] FILE.api\n", out);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"out-dir", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *folder = ".";

    for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (option == 'h')
            return usage(stdout, 0);
        if (option != 'o')
            return usage(stderr, 2);
        folder = optarg;
    }
    if (optind != argc - 1)
        return usage(stderr, 2);

    struct pool pool = {0};
    struct source source = {.path = argv[optind]};
    struct api api = {.pool = &pool, .source = &source};
    read_source(&source, &pool);
    parse_api(&api);
    check_api(&api);
    compute_hash(&api);
    generate(&api, folder);
    pool_free(&pool);
    return 0;
}

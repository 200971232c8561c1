/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the command line. Called once, by main.c. Must not touch the device: --help works without
 * one.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

enum { EPOCHS_LIMIT = 10000, INDEX_LIMIT = 1000 };

static const struct options defaults = {.epochs = 20, .batch = 32};

static const struct option names[] = {
    {"epochs", required_argument, NULL, 'e'},
    {"batch", required_argument, NULL, 'b'},
    {"time", no_argument, NULL, 't'},
    {"platform", required_argument, NULL, 'p'},
    {"device", required_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    printf(
        "usage: lenet [OPTION]...\n"
        "Trains a small LeNet on real handwritten digits with OpenCL, then reads some digits.\n"
        "\n"
        "  -e, --epochs N    passes over the training digits (default %u)\n"
        "  -b, --batch N     digits per training step (default %u)\n"
        "  -t, --time        also print the milliseconds of each epoch and their median\n"
        "  -p, --platform I  use platform number I, from 0 (default 0)\n"
        "  -d, --device I    use device number I of the platform, from 0 (default 0)\n"
        "  -h, --help        print this help\n"
        "\n"
        "The exit status is 0 if at least 97 %% of the test digits are read correctly, 1 if not\n"
        "or if OpenCL fails, 2 if the command line is wrong.\n",
        defaults.epochs, defaults.batch);
}

static bool parse_number(const char *option, const char *text, unsigned int least,
                         unsigned int most, unsigned int *number)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < (long)least || value > (long)most) {
        fprintf(stderr, "lenet: --%s takes a number from %u to %u, not '%s'\n", option, least, most,
                text);
        return false;
    }
    *number = (unsigned int)value;
    return true;
}

enum options_result options_parse(struct options *options, unsigned int batch_limit, int argc,
                                  char **argv)
{
    bool ok = true;
    int name;

    *options = defaults;
    while (ok && (name = getopt_long(argc, argv, "e:b:tp:d:h", names, NULL)) != -1) {
        switch (name) {
        case 'e':
            ok = parse_number("epochs", optarg, 1, EPOCHS_LIMIT, &options->epochs);
            break;
        case 'b':
            ok = parse_number("batch", optarg, 1, batch_limit, &options->batch);
            break;
        case 't':
            options->time = true;
            break;
        case 'p':
            ok = parse_number("platform", optarg, 0, INDEX_LIMIT, &options->platform);
            break;
        case 'd':
            ok = parse_number("device", optarg, 0, INDEX_LIMIT, &options->device);
            break;
        case 'h':
            print_help();
            return OPTIONS_HELP;
        default:
            ok = false;
        }
    }
    if (ok && optind < argc) {
        fprintf(stderr, "lenet: unexpected argument '%s'\n", argv[optind]);
        ok = false;
    }
    if (!ok)
        fputs("lenet: 'lenet --help' lists the options\n", stderr);
    return ok ? OPTIONS_RUN : OPTIONS_WRONG;
}

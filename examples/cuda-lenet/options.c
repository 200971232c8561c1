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

enum { EPOCHS_LIMIT = 10000, BATCH_LIMIT = 1024 };

static const struct options defaults = {.batch = 32};

static const struct option names[] = {
    {"epochs", required_argument, NULL, 'e'}, {"batch", required_argument, NULL, 'b'},
    {"quick", no_argument, NULL, 'q'},        {"time", no_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    printf("usage: cuda-lenet [OPTION]...\n"
           "Trains a small LeNet on real handwritten digits with CUDA.\n"
           "\n"
           "  -e, --epochs N  passes over the training digits (default 20; 8 with --quick)\n"
           "  -b, --batch N   digits per training step (default %u)\n"
           "  -q, --quick     train on fewer digits, for devices that are slow: less accurate\n"
           "  -t, --time      also print the milliseconds of each epoch\n"
           "  -h, --help      print this help\n"
           "\n"
           "The exit status is 0 if at least 97 %% (85 %% with --quick) of the test digits are\n"
           "read correctly, 1 if not or if CUDA fails, 2 if the command line is wrong.\n",
           defaults.batch);
}

static bool parse_number(const char *option, const char *text, unsigned int most,
                         unsigned int *number)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > (long)most) {
        fprintf(stderr, "cuda-lenet: --%s takes a number from 1 to %u, not '%s'\n", option, most,
                text);
        return false;
    }
    *number = (unsigned int)value;
    return true;
}

static bool parse_option(struct options *options, int name)
{
    switch (name) {
    case 'e':
        return parse_number("epochs", optarg, EPOCHS_LIMIT, &options->epochs);
    case 'b':
        return parse_number("batch", optarg, BATCH_LIMIT, &options->batch);
    case 'q':
        options->quick = true;
        return true;
    case 't':
        options->time = true;
        return true;
    default:
        return false;
    }
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    bool ok = true;
    int name;

    *options = defaults;
    while (ok && (name = getopt_long(argc, argv, "e:b:qth", names, NULL)) != -1) {
        if (name == 'h') {
            print_help();
            return OPTIONS_HELP;
        }
        ok = parse_option(options, name);
    }
    if (ok && optind < argc) {
        fprintf(stderr, "cuda-lenet: unexpected argument '%s'\n", argv[optind]);
        ok = false;
    }
    if (!ok)
        fputs("cuda-lenet: 'cuda-lenet --help' lists the options\n", stderr);
    return ok ? OPTIONS_RUN : OPTIONS_WRONG;
}

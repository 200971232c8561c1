/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Used by main.c.
 */
#ifndef LENET_OPTIONS_H
#define LENET_OPTIONS_H

#include <stdbool.h>

struct options {
    unsigned int epochs;
    unsigned int batch;
    unsigned int platform;
    unsigned int device;
    bool time;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Prints the help or what is wrong, where the result says so. batch_limit is the largest batch. */
enum options_result options_parse(struct options *options, unsigned int batch_limit, int argc,
                                  char **argv);

#endif

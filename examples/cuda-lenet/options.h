/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Used by main.c.
 */
#ifndef CUDA_LENET_OPTIONS_H
#define CUDA_LENET_OPTIONS_H

#include <stdbool.h>

struct options {
    unsigned int epochs; /* 0: as the mode has it */
    unsigned int batch;
    bool quick;
    bool time;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Prints the help or what is wrong, where the result says so. */
enum options_result options_parse(struct options *options, int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* CUPTI's calls that must succeed, for the profiling programs of this folder. After check.h. */
#ifndef TESTS_CUDA_CHECK_CUPTI_H
#define TESTS_CUDA_CHECK_CUPTI_H

#include <cupti.h>

#define CUPTI(call)                                                              \
    do {                                                                         \
        CUptiResult code_ = (call);                                              \
        if (code_ != CUPTI_SUCCESS) {                                            \
            const char *text_ = "?";                                             \
            cuptiGetResultString(code_, &text_);                                 \
            fflush(stdout);                                                      \
            fprintf(stderr, "%d: %s: %s (%d)\n", __LINE__, #call, text_, code_); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

#endif

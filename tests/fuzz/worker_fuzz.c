/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the worker as a hostile client would: an input is a sequence of messages, carried out by
 * the dispatcher, the generated thunks and the OpenCL backend, over the fake OpenCL. A fault ends
 * the session, as in life.
 */
#include "generate.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static const void *const *thunks(void)
{
    return (const void *const *)(const void *)wh_opencl_thunks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct harness harness;
    size_t length;
    const char *fault = NULL;
    harness_open(&harness);
    while (!fault && (length = message_size(data, size)) > 0) {
        struct wh_message *message = malloc(length); /* exactly: reads behind it are seen */
        memcpy(message, data, length);
        message->size = (uint32_t)length; /* lies about it are the ring's to find */
        fault = harness_dispatch(&harness, message);
        free(message);
        data += length;
        size -= length;
    }
    harness_close(&harness);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct chance chance = {.state = seed * 0x9e3779b97f4a7c15ull + 1};
    for (unsigned i = 0; i < 4; i++)
        chance_below(&chance, 2);
    if (chance_below(&chance, 8) == 0)
        return LLVMFuzzerMutate(data, size, most);
    for (uint32_t n = 1 + chance_below(&chance, 4); n > 0; n--)
        size = change_messages(&chance, &wh_opencl_api, thunks(), data, size, most);
    return size;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages made at random but by the rules, and changes to sequences of messages that keep them
 * sequences: what brings a fuzzer past the decoder.
 */
#ifndef WH_TESTS_FUZZ_GENERATE_H
#define WH_TESTS_FUZZ_GENERATE_H

#include "wire/desc.h"
#include "wire/message.h"

/* A small fast generator of numbers; the same seed gives the same ones. */
struct chance {
    uint64_t state;
};

uint32_t chance_below(struct chance *chance, uint32_t n);

/* The ids that a sequence of messages gives to new objects. */
struct known {
    unsigned n;
    struct {
        uint16_t type;
        uint64_t id;
    } objects[128];
};

void known_collect(struct known *known, const struct wh_api *api, const uint8_t *bytes,
                   size_t size);

/* Writes a message for a call of `api` that crosses (`thunks` says which) into `room`. Its size, 0
 * if it did not fit. Objects are mostly those of `known`. */
size_t generate_message(struct chance *chance, const struct wh_api *api, const void *const *thunks,
                        const struct known *known, uint8_t *room, size_t most);

/* Bytes of the message at the start of `bytes`: what its header says, brought within `left`. 0: no
 * header is left. */
size_t message_size(const uint8_t *bytes, size_t left);

/* Changes the sequence in `bytes` (`size` of `most` bytes). Returns its new size. */
size_t change_messages(struct chance *chance, const struct wh_api *api, const void *const *thunks,
                       uint8_t *bytes, size_t size, size_t most);

#endif

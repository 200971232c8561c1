/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the player's files share: the recording's names for things and what they are this time.
 * Calls are made one after the other, so nothing here needs a lock.
 */
#ifndef WH_REPLAY_PLAYER_H
#define WH_REPLAY_PLAYER_H

#include "cuda_api.h"
#include "cuda_types.h"
#include "recording.h"

#define MOST_LAYOUT 512 /* parameters of one kernel */

extern const struct wh_words wh_cuda_words;

/* ---- kernels (kernels.c) ---- */

/* A kernel of the recording, for which one stands that does nothing but write itself down. */
struct kernel {
    char *name;
    uint32_t image;
    bool launched; /* what follows is known */
    unsigned nparams;
    struct {
        uint32_t size, offset;
    } params[MOST_LAYOUT];
    int marked; /* the parameter that takes the launch's number; -1: none has room */
};

/* One entry of the log: made by a kernel that runs. */
struct entry {
    uint32_t kernel, launch;
};

/* Finds the images that the recording loads, and what it wants of each. */
void kernels_find(const struct recording *recording);

/* By struct event's number. */
const struct kernel *kernels_get(uint32_t number);

/* The PTX of an image, whose kernels write to `log`; the caller's to free. */
char *kernels_ptx(uint32_t image, uint64_t log);

/* ---- names and words (arguments.c) ---- */

/* Something that the recording has a number for. */
struct thing {
    uint64_t value; /* a handle or an address; 0: it never was */
    bool gone;
    uint16_t maker; /* the number of the call that it came from */
};

/* Reads TYPE#NUMBER; false: the text is something else. */
bool object_read(const char *text, unsigned *type, size_t *number);

/* By its number; it exists from here on. */
struct thing *object_thing(unsigned type, size_t number);
struct thing *memory_thing(size_t number);
size_t object_count(unsigned type);
size_t memory_count(void);

/* A launch of the recording, in order; from 1, so that 0 is none. */
struct launch {
    uint32_t kernel;
    const char *stream; /* as the recording calls it */
};

/* An event's arguments as words. What they point to lives until words_free. */
struct words {
    uint64_t a[WH_MAX_PARAMS];
    void *blocks[256];
    unsigned nblocks;
};

/* `launch` is the number that a kernel is given, `log` where kernels write. */
void words_read(struct words *words, const struct event *event, uint64_t log, uint32_t launch,
                CUcontext primary);
void words_free(struct words *words);

/* The call has been made and has succeeded: what it gave has the recording's names from here on,
 * what it ended has none. */
void words_succeeded(const struct event *event, const struct words *words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Remembered answers, inside src/client; see answers.c. */
#ifndef WH_CLIENT_ANSWERS_H
#define WH_CLIENT_ANSWERS_H

#include "wire/desc.h"

#include <stdatomic.h>

struct wh_answer {
    struct wh_answer *next;
    const struct wh_call_desc *call;
    /* Of the object when the question was sent: one that changed since holds no more. */
    _Atomic uint64_t generation;
    unsigned nkey;
    uint64_t key[]; /* then the bytes of the results */
};

struct wh_answers;

/* NULL when memory is short. */
struct wh_answers *wh_answers_new(void);

/* Frees an object's answers; nobody may use the object any more. */
void wh_answers_drop(struct wh_answer *_Atomic *list);

#endif

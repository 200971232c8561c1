/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker and its daemon say to each other about things that one session offers to others of
 * its tenant: each is known by a token that the daemon draws by lot, and may have a descriptor with
 * it. One packet a question, one the answer; the same bytes both ways.
 */
#ifndef WH_WIRE_EXCHANGE_H
#define WH_WIRE_EXCHANGE_H

#include <stdint.h>

#define WH_EXCHANGE_TOKEN 16  /* bytes */
#define WH_EXCHANGE_MOST  128 /* bytes of what is said about a thing */

enum wh_exchange_what {
    WH_EXCHANGE_PUT = 1,  /* kind, bytes, perhaps a descriptor; the answer has the token */
    WH_EXCHANGE_GET = 2,  /* kind, token; the answer has the rest */
    WH_EXCHANGE_DROP = 3, /* token, by whom it was put */
    WH_EXCHANGE_VIEW = 4 /* with a descriptor of a view: the answer's kind is its index in the VM */
};

struct wh_exchange_letter {
    uint32_t what;
    int32_t status; /* in an answer: 0 or an errno value */
    uint32_t kind;  /* the workers' own; a token of another kind is none */
    uint32_t size;  /* of what is used of `bytes` */
    uint8_t token[WH_EXCHANGE_TOKEN];
    uint8_t bytes[WH_EXCHANGE_MOST];
};

#endif

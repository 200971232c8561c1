/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as bytes: the header and a bounded reader and writer of 8-byte words. Knows no API and
 * no transport. The format is written down in docs/wire-format.md. A message under the reader is a
 * private copy: nobody else can change it between check and use.
 */
#ifndef WH_WIRE_MESSAGE_H
#define WH_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WH_PROTOCOL 1u
#define WH_PROP_UNKNOWN                                                                         \
    0x7ffffff1u                   /* a property name that no list knows; the library refuses it \
                                   */
#define WH_MESSAGE_MAX 65536u     /* bytes of one message; larger payloads go through the arena */
#define WH_NO_SLOT     UINT32_MAX /* a post: nobody waits */
#define WH_IN_SLOT     UINT64_MAX /* the reply fits into the slot */
#define WH_CALL_FILLER 0xffffu    /* a record that only fills the ring's end */

struct wh_message {
    uint32_t size;       /* bytes, header included; a multiple of 8 */
    uint16_t call;       /* index in wh_api.calls */
    uint16_t reserved;   /* zero */
    uint32_t thread;     /* the client's thread: per-thread state of an API follows it */
    uint32_t slot;       /* where the reply goes, or WH_NO_SLOT */
    uint64_t reply_at;   /* arena offset of the reply's room, or WH_IN_SLOT */
    uint32_t reply_room; /* bytes there */
    uint32_t reserved2;  /* zero */
};

_Static_assert(sizeof(struct wh_message) == 32, "the header's size is part of the protocol");

/* The word in front of a payload: its length, or that the pointer was NULL, or that it lies in the
 * arena. */
#define WH_PAYLOAD_NULL   (1ull << 63)
#define WH_PAYLOAD_ARENA  (1ull << 62)
#define WH_PAYLOAD_LENGTH (WH_PAYLOAD_ARENA - 1)

/* Object ids: the client mints below, the worker (for what it discovers: platforms, devices) from
 * here on. */
#define WH_ID_NONE         0u
#define WH_ID_WORKER_FIRST 0x80000000u

struct wh_reader {
    const uint8_t *at, *end;
    const char *fault; /* the first thing that was wrong; sticky */
};

struct wh_writer {
    uint8_t *at, *end;
    bool full; /* something did not fit; sticky */
};

static inline void wh_reader_fail(struct wh_reader *r, const char *fault)
{
    if (!r->fault)
        r->fault = fault;
    r->at = r->end;
}

/* `size` bytes in place, padded to 8 on the wire; NULL after a fault. */
static inline const void *wh_read_bytes(struct wh_reader *r, uint64_t size)
{
    uint64_t left = (uint64_t)(r->end - r->at);
    if (size > left || ((size + 7) & ~7ull) > left) {
        wh_reader_fail(r, "a payload reaches beyond the message");
        return NULL;
    }
    const void *bytes = r->at;
    r->at += (size + 7) & ~7ull;
    return bytes;
}

/* The next word; 0 after a fault. */
static inline uint64_t wh_read_word(struct wh_reader *r)
{
    uint64_t word;
    if (r->end - r->at < (ptrdiff_t)sizeof(word)) {
        wh_reader_fail(r, "the message ends inside a word");
        return 0;
    }
    memcpy(&word, r->at, sizeof(word));
    r->at += sizeof(word);
    return word;
}

/* Room for `size` bytes, padded with zeros to 8; NULL when it does not fit. */
static inline void *wh_write_room(struct wh_writer *w, uint64_t size)
{
    uint64_t left = (uint64_t)(w->end - w->at);
    if (size > left || ((size + 7) & ~7ull) > left) {
        w->full = true;
        return NULL;
    }
    uint8_t *room = w->at;
    uint64_t padded = (size + 7) & ~7ull;
    if (padded != size)
        memset(room + padded - 8, 0, 8);
    w->at += padded;
    return room;
}

static inline void wh_write_word(struct wh_writer *w, uint64_t word)
{
    void *room = wh_write_room(w, sizeof(word));
    if (room)
        memcpy(room, &word, sizeof(word));
}

static inline void wh_write_bytes(struct wh_writer *w, const void *bytes, uint64_t size)
{
    void *room = wh_write_room(w, size);
    if (room && size)
        memcpy(room, bytes, size);
}

#endif

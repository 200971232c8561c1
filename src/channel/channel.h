/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session's bytes move. One table of operations; its implementations differ in mechanism,
 * never in meaning. A channel has two ends: the client's (begin, commit, await, take_upcall) and
 * the worker's (receive, vacate, reply, push_upcall). It moves messages (wire/message.h) and knows
 * no API.
 */
#ifndef WH_CHANNEL_CHANNEL_H
#define WH_CHANNEL_CHANNEL_H

#include "base/error.h"
#include "wire/hello.h"
#include "wire/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wh_channel;

/* A finished call. `bytes` is valid until the slot is put back. */
struct wh_reply {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t
        upcalls; /* take upcalls until this mark before trusting the reply to be the newest news */
};

enum wh_upcall_kind {
    WH_UPCALL_OUTPUT = 1,   /* first word: 1 stdout, 2 stderr, +0x10 through stdio; then bytes */
    WH_UPCALL_CALLBACK = 2, /* first word: the client's token; then words that the API defines */
    WH_UPCALL_FREED =
        3, /* first word: the token of something in the arena that the worker no longer uses */
};

/* The header of an upcall; `size` bytes in all. */
struct wh_upcall {
    uint32_t size;
    uint16_t kind;
    uint16_t reserved;
    uint64_t word;    /* see the kinds */
    uint64_t payload; /* bytes that follow */
};

#define WH_UPCALL_MAX 8192u

/* What a transfer token says. */
enum wh_token_state { WH_TOKEN_PENDING, WH_TOKEN_DONE, WH_TOKEN_AWAITED, WH_TOKEN_BROKEN };
#define WH_TOKEN_FAILED (1u << 31)

struct wh_channel_ops {
    const char *name;

    /* Client: any thread. */

    /* Room for a message of `size` bytes, in order; holds the submission lock until commit. NULL:
     * session lost. */
    void *(*begin)(struct wh_channel *channel, uint32_t size);
    /* Sends what begin gave out; with `expect_reply` false, nothing is awaited. */
    void (*commit)(struct wh_channel *channel);
    /* Takes a slot (waits for one when all are busy), and puts it back. */
    uint32_t (*take_slot)(struct wh_channel *channel);
    void (*put_slot)(struct wh_channel *channel, uint32_t slot);
    /* Waits for the reply in `slot`; `slow` calls spin on a budget of their own. -1: session lost.
     */
    int (*await)(struct wh_channel *channel, uint32_t slot, bool slow, struct wh_reply *reply);
    /* How long a slow call may spin where cores are many; 0: as little as where they are few. */
    void (*patience)(struct wh_channel *channel, uint32_t ns);
    /* Waits until the worker set the transfer token, or a little while: the caller looks again. -1:
     * session lost. */
    int (*await_token)(struct wh_channel *channel, uint32_t token);
    /* Copies the next upcall into `room` (WH_UPCALL_MAX bytes). 1 got one, 0 none, -1 the worker
     * lied. Serialised by the caller. */
    int (*take_upcall)(struct wh_channel *channel, struct wh_upcall *room);
    /* One more WH_UPCALL_CALLBACK is carried out, in the order taken. Never waits: it passes by the
     * messages. */
    void (*callback_done)(struct wh_channel *channel);
    /* The position after the last upcall taken, to compare with wh_reply.upcalls. */
    uint32_t (*upcall_mark)(struct wh_channel *channel);
    /* Sleeps until there may be an upcall or the worker is gone (then false). One thread only.
     * `eager`: something is expected soon. */
    bool (*listen)(struct wh_channel *channel, bool eager);
    /* The shared word of a transfer token. */
    _Atomic uint32_t *(*token)(struct wh_channel *channel, uint32_t token);
    /* Why the session ended, as far as this side knows; a copy of `size` bytes at most. */
    void (*end_reason)(struct wh_channel *channel, char *reason, size_t size);
    /* Marks the session as lost and wakes every waiter. */
    void (*lose)(struct wh_channel *channel, const char *why);

    /* Worker. */

    /*
     * Waits for the next message and copies it into `message` (WH_MESSAGE_MAX bytes). Any number of
     * threads may call it; one at a time leads, and keeps leading (*leads) until it vacates.
     * Returns the message's size, -1 when the client lied (*fault says how), 0 when the channel
     * ended.
     */
    int64_t (*receive)(struct wh_channel *channel, bool *leads, struct wh_message *message,
                       const char **fault);
    /* Whether a message is there already, for who leads. A client that lies about it harms itself.
     */
    bool (*more)(struct wh_channel *channel);
    /* Lets another thread lead while the caller is busy with a call that may take long. Returns
     * true when one sleeps in receive already, false when the caller should start one. */
    bool (*vacate)(struct wh_channel *channel, bool *leads);
    /* After vacating, before the reply: leads again if nobody else does, so that the client's next
     * message needs no wake-up. */
    void (*resume)(struct wh_channel *channel, bool *leads);
    /* Room for the reply: in the slot or where the message asked for it in the arena (both checked
     * by the caller). */
    void *(*reply_room)(struct wh_channel *channel, uint32_t slot);
    void (*reply)(struct wh_channel *channel, uint32_t slot, uint32_t size);
    /* Sets a transfer token; with WH_TOKEN_FAILED in it, as failed: nothing is to be copied. */
    void (*set_token)(struct wh_channel *channel, uint32_t token);
    /* Sends an upcall; waits for room. Returns how many callbacks were sent so far, this one
     * included, modulo 2^32; -1: the client lied or is gone. */
    int64_t (*push_upcall)(struct wh_channel *channel, enum wh_upcall_kind kind, uint64_t word,
                           const void *payload, uint32_t size);
    /* Waits until the client has carried out that many callbacks, or is lost. A client that counts
     * wrongly ends its own waits early or late. */
    void (*await_callback)(struct wh_channel *channel, uint32_t number);
    /* Ends the session for the client with a reason. */
    void (*end)(struct wh_channel *channel, const char *reason);

    void (*close)(struct wh_channel *channel);
    /* In a forked child: lets go of descriptors without a word to the other side; memory stays
     * mapped. */
    void (*abandon)(struct wh_channel *channel);
};

struct wh_channel {
    const struct wh_channel_ops *ops;
    uint8_t *arena; /* the session's shared arena, in this process */
    uint64_t arena_size;
    uint64_t arena_offset; /* of the arena in `arena_fd`, for further mappings of it */
    int arena_fd;
    uint32_t slot_room;
    bool returns_pages; /* unused arena pages can be given back to the system (madvise) */
    bool same_machine;  /* client and server run on one: its processors' numbers are both's */
    _Atomic bool lost;
    char why[256]; /* set before `lost` */
};

/* One way to reach a server; `rest` is the URL after the scheme and its colon. */
struct wh_transport {
    const char *scheme;
    int (*connect)(const char *rest, const struct wh_hello *hello, struct wh_channel **channel,
                   struct wh_error *error);
};

/*
 * Opens a session with the server at `url` ("unix:/path", "ivshmem:"). The caller owns the channel.
 * Fails with an errno value and a sentence; refusals carry the server's own words.
 */
int wh_channel_connect(const char *url, const struct wh_hello *hello, struct wh_channel **channel,
                       struct wh_error *error);

/* Fills the handshake for an API. */
void wh_hello_init(struct wh_hello *hello, const char *api, uint64_t api_hash, uint64_t arena);

/* Checks a handshake's magic, protocol and version; says in `error` what differs, naming both
 * versions. */
int wh_hello_check(const struct wh_hello *hello, struct wh_error *error);

#endif

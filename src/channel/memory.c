/* SPDX-License-Identifier: Apache-2.0 */
/* A channel without a peer; see memory.h. Records are checked as a ring checks them. */
#include "channel/memory.h"

#include <stdio.h>

static struct wh_memory *memory_of(struct wh_channel *channel)
{
    return (struct wh_memory *)channel;
}

static int64_t lied(const char **fault, const char *how)
{
    *fault = how;
    return -1;
}

static int64_t memory_receive(struct wh_channel *channel, bool *leads, struct wh_message *message,
                              const char **fault)
{
    struct wh_memory *memory = memory_of(channel);
    uint32_t size;
    *leads = true;
    if (memory->left < 8)
        return 0;
    memcpy(&size, memory->bytes, sizeof(size));
    if (size < 8 || size % 8 != 0)
        return lied(fault, "a record's size is not a positive multiple of 8");
    if (size > memory->left)
        return lied(fault, "a record is longer than what was produced");
    if (size > WH_MESSAGE_MAX)
        return lied(fault, "a record is larger than any message may be");
    memcpy(message, memory->bytes, size);
    memory->bytes += size;
    memory->left -= size;
    return size;
}

static bool memory_more(struct wh_channel *channel)
{
    return memory_of(channel)->left > 0;
}

/* There is one thread only: it goes on leading as soon as it receives again. */
static bool memory_vacate(struct wh_channel *channel, bool *leads)
{
    (void)channel;
    *leads = false;
    return true;
}

static void *memory_reply_room(struct wh_channel *channel, uint32_t slot)
{
    (void)slot;
    return memory_of(channel)->slot;
}

static void memory_reply(struct wh_channel *channel, uint32_t slot, uint32_t size)
{
    struct wh_memory *memory = memory_of(channel);
    memory->replies++;
    memory->reply_slot = slot;
    memory->reply_size = size;
}

/* There is one thread, which leads. */
static void memory_resume(struct wh_channel *channel, bool *leads)
{
    (void)channel;
    (void)leads;
}

static _Atomic uint32_t *memory_token(struct wh_channel *channel, uint32_t token)
{
    return &memory_of(channel)->tokens[token];
}

static void memory_set_token(struct wh_channel *channel, uint32_t token)
{
    uint32_t state = token & WH_TOKEN_FAILED ? WH_TOKEN_BROKEN : WH_TOKEN_DONE;
    atomic_store(memory_token(channel, token & ~WH_TOKEN_FAILED), state);
}

static int64_t memory_push_upcall(struct wh_channel *channel, enum wh_upcall_kind kind,
                                  uint64_t word, const void *payload, uint32_t size)
{
    (void)kind;
    (void)word;
    (void)payload;
    memory_of(channel)->upcalls++;
    return size <= WH_UPCALL_MAX - sizeof(struct wh_upcall) ? 0 : -1;
}

/* Nobody is there to carry one out. */
static void memory_await_callback(struct wh_channel *channel, uint32_t number)
{
    (void)channel;
    (void)number;
}

static void memory_end(struct wh_channel *channel, const char *reason)
{
    struct wh_memory *memory = memory_of(channel);
    (void)snprintf(memory->ended, sizeof(memory->ended), "%s", reason);
}

static void memory_close(struct wh_channel *channel)
{
    (void)channel;
}

static const struct wh_channel_ops memory_ops = {
    .name = "memory",
    .token = memory_token,
    .receive = memory_receive,
    .more = memory_more,
    .vacate = memory_vacate,
    .resume = memory_resume,
    .reply_room = memory_reply_room,
    .reply = memory_reply,
    .set_token = memory_set_token,
    .push_upcall = memory_push_upcall,
    .await_callback = memory_await_callback,
    .end = memory_end,
    .close = memory_close,
    .abandon = memory_close,
};

void wh_memory_init(struct wh_memory *memory, uint8_t *arena, uint64_t arena_size, int arena_fd)
{
    *memory = (struct wh_memory){.channel = {.ops = &memory_ops,
                                             .arena = arena,
                                             .arena_size = arena_size,
                                             .arena_fd = arena_fd,
                                             .slot_room = WH_SLOT_ROOM}};
}

void wh_memory_feed(struct wh_memory *memory, const void *bytes, size_t size)
{
    memory->bytes = bytes;
    memory->left = size;
}

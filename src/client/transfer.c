/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers in flight between the arena and the program's memory. A program may learn of a read's
 * completion in many ways (an event, a finish, a callback); whichever way it is, the sweep runs
 * first, so the bytes are there.
 */
#include "client/session.h"

#include "channel/segment.h"

#include <pthread.h>
#include <stdlib.h>

#define SETTLE_ROUNDS 100 /* looks, 20 ms apart at most */

struct transfer {
    const struct wh_block *block;
    struct wh_copy copy;
    bool busy;
    int64_t generation; /* tells a token's users apart */
};

struct wh_transfers {
    pthread_mutex_t lock;
    _Atomic uint32_t pending;
    uint32_t next; /* where to look for a free token */
    struct transfer table[WH_TOKENS];
};

int wh_transfers_init(struct wh_session *session)
{
    session->transfers = calloc(1, sizeof(*session->transfers));
    if (!session->transfers)
        return -1;
    pthread_mutex_init(&session->transfers->lock, NULL);
    return 0;
}

static void copy_rows(const struct wh_copy *c, uint8_t *to, size_t to_row, size_t to_slice,
                      const uint8_t *from, size_t from_row, size_t from_slice)
{
    if (c->width == to_row && c->width == from_row && (c->depth < 2 || to_slice == from_slice) &&
        (c->depth < 2 || to_slice == c->width * c->height)) {
        memcpy(to, from, c->width * c->height * c->depth);
        return;
    }
    for (size_t z = 0; z < c->depth; z++)
        for (size_t y = 0; y < c->height; y++)
            memcpy(to + z * to_slice + y * to_row, from + z * from_slice + y * from_row, c->width);
}

void wh_copy_to_memory(const struct wh_copy *c, const uint8_t *arena)
{
    copy_rows(c, c->memory, c->memory_row, c->memory_slice, arena, c->arena_row, c->arena_slice);
}

void wh_copy_from_memory(const struct wh_copy *c, uint8_t *arena)
{
    copy_rows(c, arena, c->arena_row, c->arena_slice, c->memory, c->memory_row, c->memory_slice);
}

static _Atomic uint32_t *token_word(struct wh_session *session, uint32_t token)
{
    return session->channel->ops->token(session->channel, token);
}

static void complete(struct wh_session *session, uint32_t token)
{
    struct wh_transfers *transfers = session->transfers;
    struct transfer *t = &transfers->table[token];
    if (t->copy.memory) {
        wh_copy_to_memory(&t->copy,
                          t->block ? wh_arena_address(session->arena, t->block) : t->copy.arena);
        atomic_fetch_add_explicit(&session->stats.copied_bytes,
                                  t->copy.width * t->copy.height * t->copy.depth,
                                  memory_order_relaxed);
    }
    wh_arena_release(session->arena, t->block);
    *t = (struct transfer){.generation = t->generation + 1};
    atomic_store_explicit(token_word(session, token), WH_TOKEN_PENDING, memory_order_relaxed);
    atomic_fetch_sub_explicit(&transfers->pending, 1, memory_order_relaxed);
}

static void sweep_locked(struct wh_session *session)
{
    struct wh_transfers *transfers = session->transfers;
    for (uint32_t token = 0; token < WH_TOKENS; token++) {
        if (!transfers->table[token].busy)
            continue;
        /* Acquire pairs with the worker's exchange: the bytes are in the arena. */
        uint32_t state = atomic_load_explicit(token_word(session, token), memory_order_acquire);
        if (state == WH_TOKEN_BROKEN) /* the program's memory stays as it is */
            transfers->table[token].copy.memory = NULL;
        if (state == WH_TOKEN_DONE || state == WH_TOKEN_BROKEN) {
            /* Acquire pairs with the release in begin: whoever sent the transfer was done with it
             * before, which the token does not say, for it was set by another process. */
            (void)atomic_load_explicit(&session->stats.message_bytes, memory_order_acquire);
            complete(session, token);
        } else if (state > WH_TOKEN_BROKEN)
            session->channel->ops->lose(session->channel, "the worker set a malformed token");
    }
}

void wh_transfer_sweep(struct wh_session *session)
{
    if (atomic_load_explicit(&session->transfers->pending, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&session->transfers->lock);
    sweep_locked(session);
    pthread_mutex_unlock(&session->transfers->lock);
}

static int find_token(struct wh_transfers *transfers)
{
    for (uint32_t i = 0; i < WH_TOKENS; i++) {
        uint32_t token = (transfers->next + i) % WH_TOKENS;
        if (!transfers->table[token].busy) {
            transfers->next = token + 1;
            return (int)token;
        }
    }
    return -1;
}

static int64_t ticket_of(const struct wh_transfers *transfers, int token)
{
    return transfers->table[token].generation * WH_TOKENS + token;
}

int64_t wh_transfer_begin(struct wh_session *session, const struct wh_block *block,
                          const struct wh_copy *copy)
{
    struct wh_transfers *transfers = session->transfers;
    int64_t ticket = -1;
    pthread_mutex_lock(&transfers->lock);
    int token = find_token(transfers);
    if (token < 0) {
        sweep_locked(session);
        token = find_token(transfers);
    }
    if (token >= 0) {
        struct transfer *t = &transfers->table[token];
        t->block = block;
        t->busy = true;
        if (copy)
            t->copy = *copy;
        atomic_store_explicit(token_word(session, (uint32_t)token), 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&transfers->pending, 1, memory_order_relaxed);
        ticket = ticket_of(transfers, token);
    }
    pthread_mutex_unlock(&transfers->lock);
    return ticket;
}

/* Whether the ticket's transfer is still in flight; the lock is held. */
static bool in_flight(const struct wh_transfers *transfers, int64_t ticket)
{
    int token = (int)(ticket % WH_TOKENS);
    return transfers->table[token].busy && ticket_of(transfers, token) == ticket;
}

/* Ends a transfer without its copy; `release` says whether its block goes too. */
static void give_up(struct wh_session *session, int64_t ticket, bool release)
{
    struct wh_transfers *transfers = session->transfers;
    pthread_mutex_lock(&transfers->lock);
    if (in_flight(transfers, ticket)) {
        uint32_t token = (uint32_t)(ticket % WH_TOKENS);
        transfers->table[token].copy.memory = NULL;
        if (!release)
            transfers->table[token].block = NULL;
        complete(session, token);
    }
    pthread_mutex_unlock(&transfers->lock);
}

void wh_transfer_cancel(struct wh_session *session, int64_t ticket)
{
    give_up(session, ticket, true);
}

void wh_transfer_keep(struct wh_session *session, int64_t ticket)
{
    give_up(session, ticket, false);
}

void wh_transfer_hand_over(struct wh_session *session, int64_t ticket, const struct wh_block *block)
{
    struct wh_transfers *transfers = session->transfers;
    pthread_mutex_lock(&transfers->lock);
    bool flies = ticket >= 0 && in_flight(transfers, ticket);
    if (flies)
        transfers->table[ticket % WH_TOKENS].block = block;
    pthread_mutex_unlock(&transfers->lock);
    if (!flies)
        wh_arena_release(session->arena, block);
}

/* The ticket of a transfer that will write to [memory, memory + size), or -1. */
static int64_t writer_of(struct wh_transfers *transfers, const uint8_t *memory, size_t size)
{
    int64_t ticket = -1;
    pthread_mutex_lock(&transfers->lock);
    for (int token = 0; token < (int)WH_TOKENS && ticket < 0; token++) {
        const struct wh_copy *c = &transfers->table[token].copy;
        const uint8_t *start = c->memory;
        if (!transfers->table[token].busy || !start || !c->width)
            continue;
        size_t span = (c->depth - 1) * c->memory_slice + (c->height - 1) * c->memory_row + c->width;
        if (start < memory + size && memory < start + span)
            ticket = ticket_of(transfers, token);
    }
    pthread_mutex_unlock(&transfers->lock);
    return ticket;
}

void wh_transfer_settle_range(struct wh_session *session, const void *memory, size_t size)
{
    struct wh_transfers *transfers = session->transfers;
    int64_t ticket;
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        if (atomic_load_explicit(&transfers->pending, memory_order_relaxed) == 0)
            return;
        wh_transfer_sweep(session);
        ticket = writer_of(transfers, memory, size);
        if (ticket < 0 || session->channel->ops->await_token(session->channel,
                                                             (uint32_t)(ticket % WH_TOKENS)) < 0)
            return;
    }
}

bool wh_transfer_wait_any(struct wh_session *session)
{
    struct wh_transfers *transfers = session->transfers;
    uint32_t token = 0;
    pthread_mutex_lock(&transfers->lock);
    while (token < WH_TOKENS && !transfers->table[token].busy)
        token++;
    pthread_mutex_unlock(&transfers->lock);
    if (token == WH_TOKENS || session->channel->ops->await_token(session->channel, token) < 0)
        return false;
    wh_transfer_sweep(session);
    return true;
}

int wh_transfer_wait(struct wh_session *session, int64_t ticket)
{
    struct wh_transfers *transfers = session->transfers;
    for (;;) {
        pthread_mutex_lock(&transfers->lock);
        bool waits = in_flight(transfers, ticket);
        pthread_mutex_unlock(&transfers->lock);
        if (!waits)
            return 0;
        if (session->channel->ops->await_token(session->channel, (uint32_t)(ticket % WH_TOKENS)) <
            0)
            return -1;
        wh_transfer_sweep(session);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's view where the worker is in a service VM: what the view shows is moved to memory whose
 * place the host knows, and the host is asked through the daemon. See gate.h.
 */
#include "../../kmod/uapi/wormhole.h"
#include "base/util.h"
#include "callee_image.h"
#include "channel/gate.h"
#include "worker/exchange.h"
#include "worker/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

static int add(const struct wh_exchange_range *range, struct wh_error *error)
{
    int code = wh_exchange_add_range(range);
    return code ? wh_error_set(error, code, "a range of the view is refused: %s", strerror(code))
                : 0;
}

/* From here on these pages are there, and the view has them at this address. */
static int move(struct wh_fixed *fixed, void *start, size_t size, uint64_t view_address,
                struct wh_error *error)
{
    struct wh_exchange_range range = {
        .size = wh_round_up(size, PAGE), .view_address = view_address, .flags = WORMHOLE_WRITE};
    if (wh_fixed_move(fixed, start, range.size, &range.offset, error) < 0)
        return -1;
    return add(&range, error);
}

/* The code is copied once more by the module: its bytes need no place of their own for long. */
static int place_code(struct wh_fixed *fixed, struct wh_error *error)
{
    struct wh_exchange_range range = {.offset = fixed->used,
                                      .size = wh_round_up(sizeof(wh_callee_image), PAGE),
                                      .view_address = WH_CALLEE_CODE,
                                      .flags = WORMHOLE_EXECUTE};
    if (range.size > fixed->size - fixed->used)
        return wh_error_set(error, ENOSPC, "there is no room for the code of the view");
    memset(fixed->memory + range.offset, 0, range.size);
    memcpy(fixed->memory + range.offset, wh_callee_image, sizeof(wh_callee_image));
    return add(&range, error);
}

static int place_range(struct wh_gate *gate, struct wh_fixed *fixed, const struct wh_gate_range *at,
                       struct wh_error *error)
{
    uintptr_t segment = (uintptr_t)gate->shm->segment;
    uintptr_t ledger = (uintptr_t)gate->worker.ledger.accounts;
    bool is_segment = at->start >= segment && at->start - segment < gate->shm->size;
    const struct wh_exchange_range shared = {.offset = is_segment ? at->start - segment : 0,
                                             .size = at->end - at->start,
                                             .view_address = at->start,
                                             .flags = WORMHOLE_WRITE,
                                             .memory = is_segment ? WH_EXCHANGE_SEGMENT
                                                                  : WH_EXCHANGE_LEDGER};
    if (is_segment || at->start == ledger) /* a device's memory already */
        return add(&shared, error);
    return move(fixed, (void *)at->start, at->end - at->start, at->start, error);
}

int wh_gate_offer(struct wh_gate *gate, struct wh_fixed *fixed, uint64_t key[4], uint32_t *index,
                  struct wh_error *error)
{
    const struct wh_exchange_make wish = {.gate = WH_GATE_PAGE,
                                          .handler = WH_CALLEE_CODE,
                                          .lanes = WH_GATE_LANES,
                                          .stack_pages = WH_GATE_STACK};
    if (move(fixed, gate, sizeof(*gate), WH_CALLEE_GATE, error) < 0)
        return -1;
    for (uint32_t i = 0; i < gate->nseen; i++)
        if (place_range(gate, fixed, &gate->seen[i], error) < 0)
            return -1;
    if (place_code(fixed, error) < 0)
        return -1;
    int code = wh_exchange_make_view(&wish, key, index);
    if (code)
        return wh_error_set(error, code, "the host makes no view: %s", strerror(code));
    return 0;
}

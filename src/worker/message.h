/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message from header to reply, as far as it is the same wherever it is carried out: by the
 * dispatch loop's threads and, on the exitless path, by the client's processor in the session's
 * view. Makes no system call, takes no lock, allocates nothing but of the call's pool.
 */
#ifndef WH_WORKER_MESSAGE_H
#define WH_WORKER_MESSAGE_H

#include "worker/worker.h"

/* What is wrong with a header, or NULL. The function that it names may still not be there. */
const char *wh_message_check(const struct wh_worker *worker, const struct wh_message *message);

/* For people who watch. Only for who leads: nobody else adds. */
void wh_message_count(struct wh_worker *worker);

/* Whether the message leaves enough room for the call's reply; else the call is faulted. Before the
 * call is made, so that no result is lost. */
bool wh_message_has_room(struct wh_call *call, const struct wh_message *message);

/* Whether the library reported success. */
bool wh_message_is_ok(const struct wh_call *call);

/* A posted call's error is told by the next call that may return it. */
void wh_message_defer_error(struct wh_call *call);
void wh_message_tell_deferred(struct wh_call *call);

/* Writes the reply into `room`; the bytes that it takes. A reply that does not fit faults. */
uint32_t wh_message_encode(struct wh_call *call, const struct wh_message *message, uint8_t *room);

#endif

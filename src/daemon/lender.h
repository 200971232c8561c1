/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a service VM: has the host (its agent.c) make views of this daemon's workers' memory, which
 * each of them has a piece of that never moves (channel/fixed.h). One port, to the host whose VM's
 * region this daemon serves. Without an answering host sessions go without.
 */
#ifndef WH_DAEMON_LENDER_H
#define WH_DAEMON_LENDER_H

#include "channel/fixed.h"
#include "daemon/session.h"
#include "wire/exchange.h"

struct wh_lender;

/*
 * `setting` is PORT,ADDRESS: a character device on which the host reads, and the PCI address of the
 * ivshmem device with the memory. server->device is mapped already.
 */
int wh_lender_open(struct wh_server *server, const char *setting, struct wh_error *error);

/* The same over what is open already: a descriptor of the port, memory, and where the region is.
 * It takes over what it gets, whether or not it succeeds. */
int wh_lender_start(struct wh_server *server, int port, struct wh_fixed *fixed, uint64_t region,
                    struct wh_error *error);

/* At the start: waits some seconds for the host's answer. False: there is none, and what was shown
 * before this daemon may still be; wh_region_release is called when it is not. */
bool wh_lender_await(struct wh_server *server);

/* Whether the host tells of the client VM's doorbells; when that changes later, and of each ring,
 * the region hears. */
bool wh_lender_hears_rings(const struct wh_server *server);

/* The views stay as they are, for the sessions do, too. Harmless when it was never opened. */
void wh_lender_close(struct wh_server *server);

/*
 * The memory for a tenant's ledger, whole pages of zeros that are kept for as long as the daemon
 * runs: a descriptor of it that is the caller's, and where it is in there. -1: there is none, or
 * not before the host has answered.
 */
int wh_lender_reserve(struct wh_server *server, uint64_t size, uint64_t *offset);

/* Gives a session that is about to start its piece, if there is one: fills in the request. */
void wh_lender_assign(struct wh_served *session, struct wh_session_request *request);

/* What its worker asks: 0 or an errno value. EINPROGRESS: wh_exchange_answer will be called. */
int wh_lender_add_range(struct wh_served *session, const struct wh_exchange_letter *letter);
int wh_lender_make(struct wh_served *session, const struct wh_exchange_letter *letter);

/* It will have no view, and has put nothing into its piece: others may have it. */
int wh_lender_give_back(struct wh_served *session);

/* The session's worker is gone. True: its memory is still shown, and wh_session_finish is called
 * when it is not: when the host has said so, or is gone. */
bool wh_lender_release(struct wh_served *session);

/* Nothing will be called for this session any more. */
void wh_lender_forget(struct wh_served *session);

#endif

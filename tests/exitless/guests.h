/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stock Linux guests under stock QEMU, for the programs on the emulated host that have a
 * service VM: their consoles, line by line, and the counters of the module and of KVM.
 */
#ifndef WH_TEST_GUESTS_H
#define WH_TEST_GUESTS_H

#include "qemu.h"

#include <stddef.h>
#include <stdint.h>

struct guest {
    const char *name;
    char **command;
    pid_t qemu;
    FILE *to, *from;
    char text[4096]; /* of its console, what was not read yet */
    size_t length;
    bool gone; /* no more will come */
    int vm;    /* the module's */
};

extern struct guest service, client;

/* What else is waited for while a guest is: set by who has anything. */
extern int (*guests_other_fd)(void);
extern void (*guests_other_ready)(void);

/* QEMU ARG... -- QEMU ARG... */
void guests_commands(char **arguments);

void guest_start(struct guest *guest);
/* Its QEMU ends, or has ended. */
void guest_clean_up(struct guest *guest);

/* Opens the guest's VM at the module's `device`. */
void guest_name_to_module(struct guest *guest, int device);

/* Waits for anything to come from anywhere, and sees to it. */
void guests_pump(void);

/* What follows this word at the start of a line of the guest's; all else is shown only. */
const char *guest_await(struct guest *guest, const char *word);
void guest_order(struct guest *guest, const char *line);

struct guest_counts {
    struct wormhole_vm_stats client, service;
    struct wormhole_view_stats view;
    unsigned long long kvm_exits; /* the service VM's, as KVM counts them */
    unsigned long long ran_ns;    /* its vCPUs' threads */
    unsigned long long at_ns;
};

/* Without a view (-1) or the client's VM, the rest. */
struct guest_counts guests_counts(int view);

/* Print what happened between. Whether the service VM did nothing but to idle; whether no exit of
 * the client's VM was caused by a call. */
bool guests_compare_service(const struct guest_counts *before, const struct guest_counts *after);
/* The same of one that may be rung meanwhile, through its serial port. */
bool guests_compare_rung(const struct guest_counts *before, const struct guest_counts *after);
bool guests_compare_client(const struct guest_counts *before, const struct guest_counts *after);

/* How often in a second the service VM had nothing to do any more. */
unsigned guests_service_sleeps(const struct guest_counts *before, const struct guest_counts *after);

/* Whether the service VM did nothing at all. */
bool guests_service_stood(const struct guest_counts *before, const struct guest_counts *after);

/* Nothing of the module's may be left, once it has cleaned up. */
void guests_leaks(int device);

#endif

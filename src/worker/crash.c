/* SPDX-License-Identifier: Apache-2.0 */
/* The last words of a crashing worker; see crash.h. The handler does async-signal-safe work only.
 */
#include "worker/crash.h"

#include "channel/shm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT       "the worker crashed (signal 00) in the accelerator's library"
#define DIGITS     (sizeof("the worker crashed (signal ") - 1)
#define STACK_SIZE 65536

/* A signal handler has no argument: what it needs is set once, before it is installed. */
static struct {
    struct wh_segment *segment;
    int socket;
    struct wh_welcome refusal;
    char stack[STACK_SIZE];
} last_words;

static void on_crash(int signal)
{
    struct wh_segment *segment = last_words.segment;
    char text[] = TEXT;
    text[DIGITS] = (char)('0' + signal / 10);
    text[DIGITS + 1] = (char)('0' + signal % 10);
    bool welcomed = atomic_load(&segment->state) == WH_SEGMENT_OPEN;
    memcpy(segment->reason, text, sizeof(text));
    /* Release pairs with the listener's acquire: the reason is complete. */
    atomic_store_explicit(&segment->state, WH_SEGMENT_ENDED, memory_order_release);
    if (!welcomed && last_words.socket >= 0) {
        memcpy(last_words.refusal.text, text, sizeof(text));
        (void)!send(last_words.socket, &last_words.refusal, sizeof(last_words.refusal),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    raise(signal); /* the default action: SA_RESETHAND */
}

void wh_crash_report_to(struct wh_segment *segment, int socket)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = on_crash,
                               .sa_flags = (int)SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    stack_t stack = {.ss_sp = last_words.stack, .ss_size = STACK_SIZE};
    last_words.segment = segment;
    last_words.socket = socket;
    last_words.refusal = (struct wh_welcome){
        .magic = WH_WELCOME_MAGIC, .protocol = WH_PROTOCOL, .refused = EIO, .version = WH_VERSION};
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
}

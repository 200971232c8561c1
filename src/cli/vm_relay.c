/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between QEMU and this process until both are done; see vm_run.h. The guest's words are not
 * trusted: a bad status line ends the run, nothing else.
 */
#include "cli/vm_run.h"

#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define NS_PER_SECOND 1000000000ull

/* Enough for an emulated CPU on a busy machine; a guest that is not up by then never will be. */
#define BOOT_SECONDS 120u
/* How long a guest may take to power off after its command ended, before QEMU is ended instead. */
#define POWER_OFF_SECONDS 10u

/* ---- words from the guest's init (see vm/init) ---- */

static void take_line(struct run *run, char *line)
{
    if (strcmp(line, "ready") == 0) {
        run->ready = true;
        return;
    }
    for (char *at = line; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
    char *end;
    if (strncmp(line, "exit ", 5) == 0 && isdigit((unsigned char)line[5]) && run->status < 0) {
        unsigned long status = strtoul(line + 5, &end, 10);
        if (*end == '\0' && status <= 255) {
            run->status = (int)status;
            run->status_ns = wh_now_ns();
            return;
        }
    }
    if (strncmp(line, "error ", 6) == 0)
        wh_error_set(&run->error, EIO, "the guest: %.200s", line + 6);
    else
        wh_error_set(&run->error, EPROTO, "the guest's init says \"%.100s\", which means nothing",
                     line);
}

static void take_status(struct run *run, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !wh_vm_failed(run); i++) {
        if (bytes[i] == '\n') {
            run->line[run->line_size] = '\0';
            run->line_size = 0;
            take_line(run, run->line);
        } else if (run->line_size + 1 < sizeof(run->line)) {
            run->line[run->line_size++] = bytes[i];
        } else {
            wh_error_set(&run->error, EPROTO, "the guest's init sent too long a line");
        }
    }
}

/* ---- copying ---- */

static void keep_tail(struct stream *stream)
{
    size_t size = stream->end;
    const char *bytes = stream->bytes;
    size_t room = sizeof(stream->kept);
    if (size > room) {
        bytes += size - room;
        size = room;
    }
    size_t old = stream->kept_size + size > room ? room - size : stream->kept_size;
    memmove(stream->kept, stream->kept + stream->kept_size - old, old);
    memcpy(stream->kept + old, bytes, size);
    stream->kept_size = old + size;
}

static void fill(struct run *run, struct stream *stream)
{
    ssize_t n = read(stream->from, stream->bytes, sizeof(stream->bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(stream->from);
        stream->from = -1;
        return;
    }
    stream->begin = 0;
    stream->end = (size_t)n;
    if (stream == &run->streams[STATUS])
        take_status(run, stream->bytes, stream->end);
    if (stream == &run->streams[CONSOLE] || stream == &run->streams[COMPLAINTS])
        keep_tail(stream);
    if (stream->to < 0)
        stream->begin = stream->end;
}

/* A reader that went away ends the run as it would end the command itself. */
static void drain(struct run *run, struct stream *stream)
{
    ssize_t n = write(stream->to, stream->bytes + stream->begin, stream->end - stream->begin);
    if (n >= 0)
        stream->begin += (size_t)n;
    else if (errno == EPIPE)
        run->signal = SIGPIPE;
    else if (errno != EINTR && errno != EAGAIN)
        wh_error_set(&run->error, errno, "cannot write the command's output: %s", strerror(errno));
}

static void step(struct run *run, struct stream *stream)
{
    if (stream->begin < stream->end)
        drain(run, stream);
    else
        fill(run, stream);
}

static bool at_end(const struct run *run)
{
    for (int i = 0; i < STREAMS; i++)
        if (run->streams[i].from >= 0 || run->streams[i].begin < run->streams[i].end)
            return false;
    return run->reaped;
}

/* The next moment at which waiting makes no sense any more, in monotonic ns; UINT64_MAX: none. */
static uint64_t deadline_of(const struct run *run)
{
    uint64_t deadline = UINT64_MAX;
    if (run->status >= 0)
        return run->reaped ? deadline : run->status_ns + POWER_OFF_SECONDS * NS_PER_SECOND;
    if (run->options->timeout_seconds)
        deadline = run->start_ns + run->options->timeout_seconds * NS_PER_SECOND;
    uint64_t boot = run->start_ns + BOOT_SECONDS * NS_PER_SECOND;
    return !run->ready && boot < deadline ? boot : deadline;
}

static int poll_timeout_ms(const struct run *run)
{
    uint64_t deadline = deadline_of(run), now = wh_now_ns();
    if (deadline == UINT64_MAX)
        return -1;
    if (deadline <= now)
        return 0;
    uint64_t ms = (deadline - now) / 1000000u + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void heed_deadline(struct run *run)
{
    unsigned seconds = run->options->timeout_seconds;
    if (wh_now_ns() < deadline_of(run))
        return;
    if (run->status >= 0)
        kill(-run->qemu, SIGKILL); /* a guest that cannot power off; its command's status stands */
    else if (seconds && wh_now_ns() >= run->start_ns + seconds * NS_PER_SECOND)
        wh_error_set(&run->error, ETIMEDOUT, "the guest did not end within %u s (--timeout)",
                     seconds);
    else
        wh_error_set(&run->error, ETIMEDOUT,
                     "the guest's command did not start within %u s; --verbose shows why",
                     BOOT_SECONDS);
}

static void heed_events(struct run *run, const struct pollfd *fds)
{
    for (int i = 0; i < STREAMS; i++)
        if (fds[i].revents && !wh_vm_failed(run))
            step(run, &run->streams[i]);
    if (fds[STREAMS].revents)
        wh_vm_take_signal(run);
    if (fds[STREAMS + 1].revents) {
        run->qemu_status = wh_vm_reap(run->qemu);
        run->reaped = true;
    }
}

/* Copies until QEMU and all it wrote ended, or until the run failed. */
void wh_vm_relay(struct run *run)
{
    while (!wh_vm_failed(run) && !at_end(run)) {
        struct pollfd fds[STREAMS + 2];
        for (int i = 0; i < STREAMS; i++) {
            const struct stream *stream = &run->streams[i];
            bool full = stream->begin < stream->end;
            fds[i] = (struct pollfd){.fd = full ? stream->to : stream->from,
                                     .events = full ? POLLOUT : POLLIN};
        }
        fds[STREAMS] = (struct pollfd){.fd = run->signals, .events = POLLIN};
        fds[STREAMS + 1] = (struct pollfd){.fd = run->reaped ? -1 : run->pidfd, .events = POLLIN};
        if (poll(fds, STREAMS + 2, poll_timeout_ms(run)) > 0)
            heed_events(run, fds);
        heed_deadline(run);
    }
}

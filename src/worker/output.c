/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels and the accelerator's library print in this process belongs on the client's stdout
 * and stderr. Both are pipes here, drained before every reply that tells of completion and whenever
 * something appears. Text that went through stdio is marked, so that the client prints it through
 * its stdio too: natively it would share that buffer.
 */
#include "base/util.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/epoll.h>

#define PIECE         4096u
#define PIPE_SIZE     (1 << 20)
#define THROUGH_STDIO 0x10u

struct wh_output {
    struct wh_worker *worker;
    pthread_mutex_t lock;
    int from[2]; /* read ends for stdout, stderr */
    int either;  /* an epoll instance that is ready when one of them is */
};

static int redirect(int target, int *from, struct wh_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return wh_error_set(error, errno, "cannot make a pipe: %s", strerror(errno));
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    if (dup2(ends[1], target) < 0)
        return wh_error_set(error, errno, "cannot redirect output: %s", strerror(errno));
    close(ends[1]);
    *from = ends[0];
    return 0;
}

static int watch_both(struct wh_output *output, struct wh_error *error)
{
    struct epoll_event event = {.events = EPOLLIN};
    output->either = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++)
        if (output->either < 0 ||
            epoll_ctl(output->either, EPOLL_CTL_ADD, output->from[i], &event) < 0)
            return wh_error_set(error, errno, "cannot watch a pipe: %s", strerror(errno));
    return 0;
}

struct wh_output *wh_output_new(struct wh_worker *worker, struct wh_error *error)
{
    static char buffer[65536];
    struct wh_output *output = calloc(1, sizeof(*output));
    if (!output) {
        wh_error_set(error, ENOMEM, "out of memory");
        return NULL;
    }
    output->worker = worker;
    pthread_mutex_init(&output->lock, NULL);
    if (redirect(STDOUT_FILENO, &output->from[0], error) == 0 &&
        redirect(STDERR_FILENO, &output->from[1], error) == 0 && watch_both(output, error) == 0) {
        /* What is flushed by the pipe's only reader must fit into it, however large the system let
         * it be. */
        int room = fcntl(output->from[0], F_GETPIPE_SZ);
        size_t size = room > 0 && (size_t)room < sizeof(buffer) ? (size_t)room : sizeof(buffer);
        setvbuf(stdout, buffer, _IOFBF, size);
        return output;
    }
    free(output);
    return NULL;
}

static void drain(struct wh_output *output, unsigned stream, uint64_t mark)
{
    struct wh_channel *channel = output->worker->channel;
    char text[PIECE];
    ssize_t n;
    while ((n = read(output->from[stream], text, sizeof(text))) > 0)
        if (channel->ops->push_upcall(channel, WH_UPCALL_OUTPUT, (stream + 1) | mark, text,
                                      (uint32_t)n) < 0)
            return;
}

/* Usually. What leaves the buffer is in the pipe before the buffer is seen to be empty. */
static bool is_silent(const struct wh_output *output)
{
    struct epoll_event event;
    return __fpending(stdout) == 0 && epoll_wait(output->either, &event, 1, 0) == 0;
}

void wh_output_flush(struct wh_output *output)
{
    if (!wh_output_pending(output))
        return;
    pthread_mutex_lock(&output->lock);
    /* Whoever prints and flushes under this lock is not met in between: what is in the buffer stays
     * there by its writer's will, and what is in the pipe was sent off. Its owner may be waiting
     * for room in the pipe. */
    while (ftrylockfile(stdout) != 0) {
        const struct timespec moment = {.tv_nsec = 50000};
        drain(output, 0, 0);
        drain(output, 1, 0);
        (void)nanosleep(&moment, NULL);
    }
    drain(output, 0, 0);
    drain(output, 1, 0);
    if (__fpending(stdout) > 0) {
        (void)fflush_unlocked(stdout);
        drain(output, 0, THROUGH_STDIO);
    }
    funlockfile(stdout);
    pthread_mutex_unlock(&output->lock);
}

bool wh_output_pending(struct wh_output *output)
{
    if (!output)
        return false;
    /* Under the lock: what is in nobody's pipe any more was sent. */
    pthread_mutex_lock(&output->lock);
    bool pending = !is_silent(output);
    pthread_mutex_unlock(&output->lock);
    return pending;
}

void wh_output_fds(const struct wh_output *output, int fds[2])
{
    fds[0] = output->from[0];
    fds[1] = output->from[1];
}

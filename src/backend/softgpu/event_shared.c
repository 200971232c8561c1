/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an event that processes share; see event.h. */
#include "backend/softgpu/event.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE   4096u
#define NAP_NS 20000000 /* between looks at whether anybody waits in vain */

/* What lies in the file. Others write to it: nothing here may depend on its sense. */
struct counts {
    _Atomic uint64_t recorded, reached;
    _Atomic uint32_t changes; /* futex */
};

struct soft_shared_event {
    struct soft_shared_event *next;
    struct soft_file_name name;
    int file;
    struct counts *counts;
};

struct shared_record {
    struct soft_command command;
    struct soft_event *event; /* a reference */
    uint64_t number;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct soft_shared_event *all; /* guarded by `lock` */

/* ---- life ---- */

/* Takes the descriptor over, also when it fails. */
static struct soft_shared_event *enter(int fd, const struct soft_file_name *name)
{
    struct soft_shared_event *shared = malloc(sizeof(*shared));
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!shared || page == MAP_FAILED) {
        if (page != MAP_FAILED)
            (void)munmap(page, PAGE);
        free(shared);
        close(fd);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    *shared = (struct soft_shared_event){.next = all, .name = *name, .file = fd, .counts = page};
    all = shared;
    pthread_mutex_unlock(&lock);
    return shared;
}

struct soft_shared_event *soft_shared_event_new(void)
{
    struct soft_file_name name;
    int fd = memfd_create("wormhole-softgpu-event", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && soft_file_name_draw(&name) && ftruncate(fd, PAGE) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return enter(fd, &name);
    if (fd >= 0)
        close(fd);
    return NULL;
}

void soft_shared_event_free(struct soft_shared_event *shared)
{
    if (!shared)
        return;
    pthread_mutex_lock(&lock);
    struct soft_shared_event **link = &all;
    while (*link != shared)
        link = &(*link)->next;
    *link = shared->next;
    pthread_mutex_unlock(&lock);
    (void)munmap(shared->counts, PAGE);
    close(shared->file);
    free(shared);
}

int soft_event_file(const struct soft_file_name *name)
{
    int fd = -1;
    pthread_mutex_lock(&lock);
    for (const struct soft_shared_event *shared = all; shared && fd < 0; shared = shared->next)
        if (memcmp(&shared->name, name, sizeof(*name)) == 0)
            fd = shared->file;
    pthread_mutex_unlock(&lock);
    return fd;
}

CUresult soft_event_name(CUevent handle, struct soft_file_name *name)
{
    SOFT_HOLD struct soft_event *event;
    CUresult result = soft_event_find(handle, &event);
    if (result == CUDA_SUCCESS && !event->shared)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        *name = event->shared->name;
    return result;
}

CUresult soft_event_open(struct soft_context *context, int fd, const struct soft_file_name *name,
                         CUevent *handle)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) < 0 || status.st_size != PAGE)
        return CUDA_ERROR_INVALID_VALUE;
    struct soft_event *event =
        soft_event_new(context, CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS);
    int copy = event ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy >= 0)
        event->shared = enter(copy, name);
    if (!event || !event->shared) {
        soft_object_release(event);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    soft_object_list(event);
    *handle = (CUevent)event;
    return CUDA_SUCCESS;
}

/* ---- recording ---- */

static CUresult run_nothing(struct soft_stream *stream, struct soft_command *command)
{
    (void)stream, (void)command;
    return CUDA_SUCCESS;
}

/* In discard, not in run: who waits is told after a fault too. */
static void discard_record(struct soft_command *command)
{
    const struct shared_record *self = (struct shared_record *)command;
    struct counts *counts = self->event->shared->counts;
    uint64_t reached = atomic_load(&counts->reached);
    while (reached < self->number &&
           !atomic_compare_exchange_weak(&counts->reached, &reached, self->number))
        ;
    atomic_fetch_add(&counts->changes, 1);
    (void)syscall(SYS_futex, &counts->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    soft_object_release(self->event);
}

CUresult soft_shared_record(struct soft_event *event, struct soft_stream *stream)
{
    struct shared_record *record = soft_command_new(sizeof(*record), run_nothing);
    if (!record)
        return CUDA_ERROR_OUT_OF_MEMORY;
    record->event = soft_object_retain(event);
    record->number = atomic_fetch_add(&event->shared->counts->recorded, 1) + 1;
    record->command.discard = discard_record;
    record->command.brief = true;
    return soft_submit(stream, &record->command, NULL);
}

/* ---- waiting ---- */

/* Until the record with this number is reached, or `cancel` is set. */
static void await(struct counts *counts, uint64_t number, const atomic_bool *cancel)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    for (;;) {
        uint32_t changes = atomic_load(&counts->changes);
        if (atomic_load(&counts->reached) >= number || atomic_load(cancel))
            return;
        (void)syscall(SYS_futex, &counts->changes, FUTEX_WAIT, changes, &nap, NULL, 0);
    }
}

bool soft_shared_reached(const struct soft_event *event)
{
    const struct counts *counts = event->shared->counts;
    uint64_t recorded = atomic_load(&counts->recorded);
    return atomic_load(&counts->reached) >= recorded;
}

void soft_shared_wait(const struct soft_event *event)
{
    struct counts *counts = event->shared->counts;
    await(counts, atomic_load(&counts->recorded), &event->object.context->cancel);
}

static CUresult run_wait(struct soft_stream *stream, struct soft_command *command)
{
    const struct shared_record *self = (struct shared_record *)command;
    await(self->event->shared->counts, self->number, &stream->object.context->cancel);
    return CUDA_SUCCESS;
}

static void discard_wait(struct soft_command *command)
{
    soft_object_release(((struct shared_record *)command)->event);
}

CUresult soft_shared_stream_wait(struct soft_event *event, struct soft_stream *stream)
{
    if (soft_shared_reached(event))
        return CUDA_SUCCESS;
    struct shared_record *wait = soft_command_new(sizeof(*wait), run_wait);
    if (!wait)
        return CUDA_ERROR_OUT_OF_MEMORY;
    wait->event = soft_object_retain(event);
    wait->number = atomic_load(&event->shared->counts->recorded);
    wait->command.discard = discard_wait;
    return soft_submit(stream, &wait->command, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mini: who stands beside while the tests attack: another session of the same VM, and another VM
 * with one. After each attack they must work on, and no byte of theirs may have changed: nor of the
 * pages that lie, in the host's memory, beside those that sessions show, and that no view shows.
 */
#include "mini.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 128, SHOWN = 24 };
#define WORDS       (PAGE / 8)
#define UNUSED      0x200000ull /* of the other VM's memory, which its guest does not touch */
#define UNUSED_SIZE 0x40000ull

/* ---- pages to show, and their neighbours ---- */

static uint8_t *pool;
static uint64_t frames[PAGES];
static int by_frame[PAGES];
static bool shown[PAGES], taken[PAGES];

static int compare_frames(const void *left, const void *right)
{
    uint64_t a = frames[*(const int *)left], b = frames[*(const int *)right];

    return (a > b) - (a < b);
}

static void read_frames(void)
{
    int file = (int)MUST(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));

    MUST(pread(file, frames, sizeof(frames), (off_t)((uint64_t)pool / PAGE * 8)));
    close(file);
    for (int i = 0; i < PAGES; i++) {
        frames[i] &= (1ull << 55) - 1;
        by_frame[i] = i;
    }
    qsort(by_frame, PAGES, sizeof(*by_frame), compare_frames);
}

static void fill(void *start, size_t size)
{
    for (size_t i = 0; i < size / 8; i++)
        ((uint64_t *)start)[i] = CANARY;
}

static bool whole(const void *start, size_t size)
{
    for (size_t i = 0; i < size / 8; i++)
        if (((const uint64_t *)start)[i] != CANARY)
            return false;
    return true;
}

/* Shown is only what has a page on both sides that is not. */
static void choose_pages(void)
{
    int count = 0;

    pool = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    fill(pool, PAGES * PAGE);
    read_frames();
    for (int i = 1; i + 1 < PAGES && count < SHOWN; i++) {
        uint64_t frame = frames[by_frame[i]];

        if (frames[by_frame[i - 1]] + 1 != frame || frames[by_frame[i + 1]] != frame + 1)
            continue;
        shown[by_frame[i++]] = true;
        count++;
    }
    printf("# %d of %d pages may be shown, between pages that are not\n", count, PAGES);
    if (count < SHOWN)
        machine_die("no pages side by side");
}

struct callee_data *page_take(void)
{
    for (int i = 0; i < PAGES; i++)
        if (shown[i] && !taken[i]) {
            taken[i] = true;
            return memset(pool + (uint64_t)i * PAGE, 0, PAGE);
        }
    machine_die("no page is left");
}

void page_give(struct callee_data *page)
{
    taken[((uint64_t)page - (uint64_t)pool) / PAGE] = false;
}

static bool hidden_live(void)
{
    for (int i = 0; i < PAGES; i++)
        if (!shown[i] && !whole(pool + (uint64_t)i * PAGE, PAGE))
            return false;
    return true;
}

/* ---- the others ---- */

static struct {
    struct machine machine;
    int vm;
    struct session session, same_vm;
    uint64_t rounds;
} beside;

struct session *beside_session(void)
{
    return &beside.same_vm;
}

void beside_open(void)
{
    struct wormhole_vm_open open_vm;

    if (!pool)
        choose_pages();
    machine_open(&beside.machine);
    fill(beside.machine.memory + UNUSED, UNUSED_SIZE);
    open_vm = (struct wormhole_vm_open){.kvm_fd = beside.machine.vm};
    beside.vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    session_create(&beside.session, 0);
    session_bind_to(&beside.session, beside.vm);
    session_open(&beside.same_vm);
    beside.rounds = 0;
}

void beside_close(void)
{
    session_close(&beside.same_vm);
    session_close(&beside.session);
    close(beside.vm);
    machine_close(&beside.machine);
}

/* One more call, of which the session's memory tells; whoever was attacked had no part in it. */
static bool counts(struct vcpu *vcpu, const struct session *session)
{
    const uint64_t value = 7 + beside.rounds;

    return call_on(vcpu, session, JOB_COUNT, value) == WORMHOLE_DONE &&
           vcpu->args->call.value == beside.rounds + 1 &&
           session->data->total == beside.rounds + 1 && stats_of(session).lost == 0;
}

bool beside_live(void)
{
    bool good = true;

    EXPECT(counts(&beside.machine.vcpus[0], &beside.session), "the other VM's session");
    EXPECT(counts(&machine.vcpus[0], &beside.same_vm), "this VM's other session");
    beside.rounds++;
    EXPECT(canaries_live(&beside.session) && canaries_live(&beside.same_vm), "their memory");
    EXPECT(whole(beside.machine.memory + UNUSED, UNUSED_SIZE), "the other VM's memory");
    EXPECT(hidden_live(), "the pages beside those that are shown");
    return good;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See guests.h. */
#include "guests.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct guest service = {.name = "service", .vm = -1};
struct guest client = {.name = "client", .vm = -1};
int (*guests_other_fd)(void);
void (*guests_other_ready)(void);

/* ---- consoles ---- */

static void read_console(struct guest *guest)
{
    ssize_t size =
        read(fileno(guest->from), guest->text + guest->length, sizeof(guest->text) - guest->length);

    guest->gone = size <= 0;
    guest->length += size > 0 ? (size_t)size : 0;
}

void guests_pump(void)
{
    struct pollfd all[] = {
        {.fd = service.gone || !service.from ? -1 : fileno(service.from), .events = POLLIN},
        {.fd = client.gone || !client.from ? -1 : fileno(client.from), .events = POLLIN},
        {.fd = guests_other_fd ? guests_other_fd() : -1, .events = POLLIN},
    };

    if (poll(all, 3, -1) < 0)
        die("poll");
    if (all[0].revents)
        read_console(&service);
    if (all[1].revents)
        read_console(&client);
    if (all[2].revents)
        guests_other_ready();
}

/* Puts the next line of its console into `line`. */
static bool take_line(struct guest *guest, char *line, size_t room)
{
    char *end = memchr(guest->text, '\n', guest->length);
    size_t length = end ? (size_t)(end - guest->text) : guest->length;

    if (!end && length < sizeof(guest->text))
        return false;
    snprintf(line, room, "%.*s", (int)length, guest->text);
    line[strcspn(line, "\r")] = 0;
    length += end != NULL;
    memmove(guest->text, guest->text + length, guest->length -= length);
    if (*line)
        printf("# %s: %s\n", guest->name, line);
    return true;
}

const char *guest_await(struct guest *guest, const char *word)
{
    static char line[512];

    for (;;) {
        while (take_line(guest, line, sizeof(line)))
            if (strncmp(line, word, strlen(word)) == 0)
                return line + strlen(word);
        if (guest->gone) {
            printf("Bail out! the %s VM ended before it said: %s\n", guest->name, word);
            exit(1);
        }
        guests_pump();
    }
}

void guest_order(struct guest *guest, const char *line)
{
    fprintf(guest->to, "%s\n", line);
    fflush(guest->to);
}

/* ---- guests ---- */

void guest_start(struct guest *guest)
{
    guest->gone = false;
    guest->length = 0;
    guest->qemu = start_qemu(guest->command, &guest->to, &guest->from);
}

void guest_name_to_module(struct guest *guest, int device)
{
    struct wormhole_vm_open wish = {.kvm_fd = vm_of(guest->qemu)};

    guest->vm = ioctl(device, WORMHOLE_VM_OPEN, &wish);
    if (guest->vm < 0)
        die("WORMHOLE_VM_OPEN");
    close(wish.kvm_fd);
}

void guest_clean_up(struct guest *guest)
{
    waitpid(guest->qemu, NULL, 0);
    fclose(guest->to);
    fclose(guest->from);
    guest->from = NULL;
    close(guest->vm);
}

void guests_commands(char **arguments)
{
    service.command = client.command = arguments;
    for (; *arguments; arguments++)
        if (strcmp(*arguments, "--") == 0) {
            *arguments = NULL;
            client.command = arguments + 1;
        }
}

/* ---- counters ---- */

static bool first_line(const char *path, char *line, int room)
{
    FILE *file = fopen(path, "re");
    bool good = file && fgets(line, room, file);

    if (file)
        fclose(file);
    return good;
}

/* The sum of the numbers that these files begin with. */
static unsigned long long sum_of(const char *format, int pid, bool (*wanted)(const char *path))
{
    unsigned long long sum = 0;
    char pattern[96], line[64];
    glob_t found;

    snprintf(pattern, sizeof(pattern), format, pid);
    if (glob(pattern, 0, NULL, &found))
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (wanted(found.gl_pathv[i]) && first_line(found.gl_pathv[i], line, sizeof(line)))
            sum += strtoull(line, NULL, 10);
    globfree(&found);
    return sum;
}

static bool any(const char *path)
{
    (void)path;
    return true;
}

/* QEMU names its threads when it is told to. */
static bool is_of_vcpu(const char *path)
{
    char name[256], line[64];

    snprintf(name, sizeof(name), "%.*s/comm", (int)(strrchr(path, '/') - path), path);
    return first_line(name, line, sizeof(line)) && strncmp(line, "CPU ", 4) == 0;
}

struct guest_counts guests_counts(int view)
{
    struct guest_counts counts = {.at_ns = 0};
    struct timespec now;

    if ((client.vm >= 0 && ioctl(client.vm, WORMHOLE_VM_STATS, &counts.client)) ||
        ioctl(service.vm, WORMHOLE_VM_STATS, &counts.service) ||
        (view >= 0 && ioctl(view, WORMHOLE_VIEW_STATS, &counts.view)))
        die("the module's counters");
    clock_gettime(CLOCK_MONOTONIC, &now);
    counts.at_ns = (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec;
    counts.kvm_exits = sum_of("/sys/kernel/debug/kvm/%d-*/exits", service.qemu, any);
    counts.ran_ns = sum_of("/proc/%d/task/*/schedstat", service.qemu, is_of_vcpu);
    return counts;
}

/* What an idle guest does: interrupts, their windows, HLT, MSRs (its timer), preemption timer. */
static bool is_of_idling(int reason)
{
    return is_from_outside(reason) || reason == 12 || reason == 31 || reason == 32;
}

static bool compare_service(const struct guest_counts *before, const struct guest_counts *after,
                            bool rung)
{
    const int io = 30;
    static const __u64 nothing[WORMHOLE_REASONS];
    bool idle = true;

    printf(
        "# the service VM meanwhile (%llu ms): %llu entries, %llu exits by KVM's count, its vCPU ran %llu us; ",
        (after->at_ns - before->at_ns) / 1000000, after->service.entries - before->service.entries,
        after->kvm_exits - before->kvm_exits, (after->ran_ns - before->ran_ns) / 1000);
    print_exits(&before->service, &after->service, nothing, nothing);
    for (int i = 0; i < WORMHOLE_REASONS; i++)
        idle = idle && (after->service.exits[i] == before->service.exits[i] || is_of_idling(i) ||
                        (rung && i == io));
    return idle;
}

bool guests_compare_service(const struct guest_counts *before, const struct guest_counts *after)
{
    return compare_service(before, after, false);
}

bool guests_compare_rung(const struct guest_counts *before, const struct guest_counts *after)
{
    return compare_service(before, after, true);
}

bool guests_compare_client(const struct guest_counts *before, const struct guest_counts *after)
{
    bool innocent = after->client.exits[18] == before->client.exits[18] &&
                    after->client.exits[59] == before->client.exits[59];

    printf("# the client VM: ");
    print_exits(&before->client, &after->client, before->view.exits, after->view.exits);
    for (int i = 0; i < WORMHOLE_REASONS; i++)
        innocent =
            innocent && (after->view.exits[i] == before->view.exits[i] || is_from_outside(i));
    return innocent;
}

unsigned guests_service_sleeps(const struct guest_counts *before, const struct guest_counts *after)
{
    const int hlt = 12;

    return (unsigned)((after->service.exits[hlt] - before->service.exits[hlt]) * 1000000000 /
                      (after->at_ns - before->at_ns + 1));
}

bool guests_service_stood(const struct guest_counts *before, const struct guest_counts *after)
{
    (void)guests_compare_service(before, after);
    return before->kvm_exits && before->ran_ns &&
           after->service.entries == before->service.entries &&
           after->kvm_exits == before->kvm_exits && after->ran_ns == before->ran_ns;
}

void guests_leaks(int device)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    struct wormhole_info info = {.vms = 1};

    for (int i = 0; i < 400 && info.vms > 0; i++) {
        nanosleep(&moment, NULL); /* the module cleans a VM by its own time */
        if (ioctl(device, WORMHOLE_INFO, &info))
            die("WORMHOLE_INFO");
    }
    printf("# %u views, %u VMs, %llu pages pinned, %llu of the module's own\n", info.views,
           info.vms, info.pinned_pages, info.own_pages);
    verdict(!info.views && !info.vms && !info.pinned_pages && !info.own_pages && !info.list_pages,
            "no view, pin or table is left");
}

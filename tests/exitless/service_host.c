/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host of two stock Linux guests under stock QEMU: `service_host COUNT PORT QEMU ARG... -- QEMU
 * ARG...`, the service VM first. Its agent (service_agent.c) offers a worker's memory by the port,
 * the daemon's code makes a view of it, and a program in the other VM (service_client.c) makes its
 * calls there. Compares what the worker finds in its memory with what was called, reads the
 * counters of both VMs around it, and ends each of the parts in turn. TAP on stdout.
 */
#include "callee.h"
#include "daemon/agent.h"
#include "linux_test.h"
#include "qemu.h"
#include "service_lies.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static struct guest service = {.name = "service", .vm = -1};
static struct guest client = {.name = "client", .vm = -1};
static int device, listener;
static struct wh_agent *agent;
static struct wh_agent_view *view;
static struct wormhole_bind binding;

/* ---- what comes from the guests ---- */

static void made(void *context, struct wh_agent_view *new)
{
    (void)context;
    view = new;
}

static void ending(void *context, struct wh_agent_view *old)
{
    (void)context;
    view = view == old ? NULL : view;
}

static void accept_agent(void)
{
    const struct wh_agent_limits limits = {.pages = 16384, .budget_ms = 10000};
    const struct wh_agent_handlers handlers = {.made = made, .ending = ending};

    agent = wh_agent_new(accept4(listener, NULL, NULL, SOCK_CLOEXEC), device, &limits, &handlers);
}

static void read_console(struct guest *guest)
{
    ssize_t size =
        read(fileno(guest->from), guest->text + guest->length, sizeof(guest->text) - guest->length);

    guest->gone = size <= 0;
    guest->length += size > 0 ? (size_t)size : 0;
}

/* Waits for anything to come from anywhere, and sees to it. */
static void pump(void)
{
    struct pollfd all[] = {
        {.fd = service.gone || !service.from ? -1 : fileno(service.from), .events = POLLIN},
        {.fd = client.gone || !client.from ? -1 : fileno(client.from), .events = POLLIN},
        {.fd = agent ? wh_agent_port(agent) : listener, .events = POLLIN},
    };

    if (poll(all, 3, -1) < 0)
        die("poll");
    if (all[0].revents)
        read_console(&service);
    if (all[1].revents)
        read_console(&client);
    if (all[2].revents && !agent) {
        accept_agent();
    } else if (all[2].revents && wh_agent_read(agent) < 0) {
        wh_agent_free(agent);
        agent = NULL;
    }
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

/* What follows this word at the start of a line of the guest's; all else is shown only. */
static const char *await(struct guest *guest, const char *word)
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
        pump();
    }
}

static void order(struct guest *guest, const char *line)
{
    fprintf(guest->to, "%s\n", line);
    fflush(guest->to);
}

/* ---- guests ---- */

static void start(struct guest *guest)
{
    guest->gone = false;
    guest->length = 0;
    guest->qemu = start_qemu(guest->command, &guest->to, &guest->from);
}

static void name_to_module(struct guest *guest)
{
    struct wormhole_vm_open wish = {.kvm_fd = vm_of(guest->qemu)};

    guest->vm = ioctl(device, WORMHOLE_VM_OPEN, &wish);
    if (guest->vm < 0)
        die("WORMHOLE_VM_OPEN");
    close(wish.kvm_fd);
}

static void clean_up(struct guest *guest)
{
    waitpid(guest->qemu, NULL, 0);
    fclose(guest->to);
    fclose(guest->from);
    guest->from = NULL;
    close(guest->vm);
}

/* The client's calls go to the worker that there is from now on. */
static void connect_client(void)
{
    char line[128];

    while (!view)
        pump();
    binding = (struct wormhole_bind){.view_fd = view->fd};
    if (ioctl(client.vm, WORMHOLE_BIND, &binding))
        die("WORMHOLE_BIND");
    snprintf(line, sizeof(line), "go %u %lx %lx %lx %lx", binding.index, view->key[0], view->key[1],
             view->key[2], view->key[3]);
    order(&client, line);
}

/* ---- counters ---- */

struct counts {
    struct wormhole_vm_stats client, service;
    struct wormhole_view_stats view;
    unsigned long long kvm_exits; /* the service VM's, as KVM counts them */
    unsigned long long ran_ns;    /* its vCPUs' threads */
};

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

static struct counts read_counts(void)
{
    struct counts counts;

    if (ioctl(client.vm, WORMHOLE_VM_STATS, &counts.client) ||
        ioctl(service.vm, WORMHOLE_VM_STATS, &counts.service) ||
        ioctl(view->fd, WORMHOLE_VIEW_STATS, &counts.view))
        die("the module's counters");
    counts.kvm_exits = sum_of("/sys/kernel/debug/kvm/%d-*/exits", service.qemu, any);
    counts.ran_ns = sum_of("/proc/%d/task/*/schedstat", service.qemu, is_of_vcpu);
    return counts;
}

/* What an idle guest does: interrupts, their windows, HLT, its timer's MSR, the preemption timer.
 */
static bool is_of_idling(int reason)
{
    return is_from_outside(reason) || reason == 12 || reason == 32;
}

static bool compare_service(const struct counts *before, const struct counts *after)
{
    static const __u64 nothing[WORMHOLE_REASONS];
    bool idle = true;

    printf(
        "# the service VM meanwhile: %llu entries, %llu exits by KVM's count, its vCPU ran %llu us; ",
        after->service.entries - before->service.entries, after->kvm_exits - before->kvm_exits,
        (after->ran_ns - before->ran_ns) / 1000);
    print_exits(&before->service, &after->service, nothing, nothing);
    for (int i = 0; i < WORMHOLE_REASONS; i++)
        idle = idle && (after->service.exits[i] == before->service.exits[i] || is_of_idling(i));
    return idle;
}

static bool compare_client(const struct counts *before, const struct counts *after)
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

/* ---- parts ---- */

static uint64_t called, sum; /* since this worker is there */

static void look_at_worker(const char *name)
{
    unsigned long total = 0, count = 0, found = 0;
    int canaries = 0;

    order(&service, "read");
    sscanf(await(&service, "counted "), "%lu %lu %lx %d", &total, &count, &found, &canaries);
    verdict(total == called && count == called && found == sum && canaries == 64, name);
}

/* So many calls; the service VM may be stopped meanwhile. */
static void make_calls(uint64_t count, struct counts *before, struct counts *after)
{
    char line[64];
    int failures = -1;

    snprintf(line, sizeof(line), "calls %lu", count);
    order(&client, line);
    await(&client, "start");
    *before = read_counts();
    order(&client, "on");
    sscanf(await(&client, "done "), "%d", &failures);
    *after = read_counts();
    called += count;
    for (uint64_t i = 0; i < count; i++)
        sum = callee_mix(sum + i);
    verdict(failures == 0 && after->view.calls - before->view.calls == count,
            "every call is answered as the callee's count has it");
}

static void part_calls(uint64_t count)
{
    struct counts before, after;

    make_calls(count, &before, &after);
    verdict(compare_client(&before, &after), "no exit of the client VM is caused by a call");
    verdict(compare_service(&before, &after) && after.kvm_exits - before.kvm_exits < count / 100,
            "the service VM does nothing but to idle meanwhile");
    look_at_worker("the worker in the service VM finds each call in its memory, once");
}

static void part_stopped(uint64_t count)
{
    struct counts before, after;

    kill(service.qemu, SIGSTOP);
    waitpid(service.qemu, NULL, WUNTRACED); /* all of its threads are stopped */
    make_calls(count, &before, &after);
    verdict(compare_client(&before, &after), "no exit of the client VM is caused by a call");
    (void)compare_service(&before, &after);
    verdict(before.kvm_exits && before.ran_ns && after.service.entries == before.service.entries &&
                after.kvm_exits == before.kvm_exits && after.ran_ns == before.ran_ns,
            "a service VM that is stopped is not entered, nor left, nor run at all");
    kill(service.qemu, SIGCONT);
    look_at_worker("the worker in the service VM finds these, too, when it goes on");
}

static void part_lies(void)
{
    for (const struct lie *lie = lies; lie->name; lie++) {
        const char *answer = await(&service, "lie ");
        char name[96];

        snprintf(name, sizeof(name), "a lying agent is refused: %s", lie->name);
        verdict(strncmp(answer, lie->name, strlen(lie->name)) == 0 &&
                    strstr(answer, ": refused f ") && strstr(answer, lie->answer),
                name);
    }
    verdict(!view, "and gets no view");
}

/* The client calls all the time while something ends; then its calls do. */
static void part_end(const char *command, const char *name)
{
    unsigned status = 0;

    called = sum = 0;
    order(&client, "loop");
    await(&client, "looping");
    if (command)
        order(&service, command);
    else
        kill(service.qemu, SIGKILL);
    sscanf(await(&client, "lost "), "%u", &status);
    verdict(status == WORMHOLE_LOST, name);
}

/* The client's VM is killed in its calls: the worker has them in its memory, and lives on. */
static void part_client_dies(void)
{
    unsigned long total = 0, again = 0;

    order(&client, "loop");
    await(&client, "looping");
    kill(client.qemu, SIGKILL);
    waitpid(client.qemu, NULL, 0);
    for (int i = 0; i < 2; i++) {
        again = total;
        order(&service, "read");
        sscanf(await(&service, "counted "), "%lu", &total);
    }
    verdict(view && total >= 1000 && again == total,
            "the client VM is killed in its calls: the worker goes on, and nobody calls");
    clean_up(&client);
}

static void part_leaks(void)
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
    verdict(!info.views && !info.vms && !info.pinned_pages && !info.own_pages,
            "no view, pin or table is left");
}

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
        die(path);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 4 ? strtoull(argv[1], NULL, 10) : 0;

    setbuf(stdout, NULL);
    service.command = client.command = argv + 3;
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            client.command = argv + i + 1;
        }
    device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);
    if (device < 0)
        die("/dev/wormhole");
    listen_at(argv[2]);
    start(&service);
    start(&client);
    part_lies();
    await(&client, "ready");
    name_to_module(&service);
    name_to_module(&client);
    connect_client();
    part_calls(count);
    part_stopped(count);
    part_end("kill worker", "the worker dies: its client is told");
    connect_client();
    part_end("kill agent", "the agent dies: its worker's client is told");
    connect_client();
    part_client_dies();
    start(&client);
    await(&client, "ready");
    name_to_module(&client);
    order(&service, "kill worker"); /* its session is over */
    while (view)
        pump();
    connect_client();
    part_end(NULL, "the service VM is killed: the client is told");
    verdict(!view, "and no view is left of it");
    clean_up(&service);
    order(&client, "end");
    await(&client, "over");
    clean_up(&client);
    part_leaks();
    return conclude();
}

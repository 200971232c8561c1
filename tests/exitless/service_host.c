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
#include "guests.h"
#include "linux_test.h"
#include "service_lies.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int device, listener;
static struct wh_agent *agent;
static struct wh_agent_view *view;
static struct wormhole_bind binding;

/* ---- what comes from the guests ---- */

static int get_device(void *context)
{
    (void)context;
    return device;
}

/* It is bound when its client is ready. */
static int made(void *context, struct wh_agent_view *new)
{
    (void)context;
    view = new;
    return 0;
}

static void ending(void *context, struct wh_agent_view *old)
{
    (void)context;
    view = view == old ? NULL : view;
}

static void accept_agent(void)
{
    const struct wh_agent_limits limits = {.pages = 16384, .budget_ms = 10000};
    const struct wh_agent_handlers handlers = {
        .device = get_device, .made = made, .ending = ending};

    agent = wh_agent_new(accept4(listener, NULL, NULL, SOCK_CLOEXEC), &limits, &handlers);
}

static int agent_fd(void)
{
    return agent ? wh_agent_port(agent) : listener;
}

static void agent_ready(void)
{
    if (!agent) {
        accept_agent();
    } else if (wh_agent_read(agent) < 0) {
        wh_agent_free(agent);
        agent = NULL;
    }
}

/* The client's calls go to the worker that there is from now on. */
static void connect_client(void)
{
    char line[128];

    guest_await(&service, "offer: made"); /* and has nothing to say after that */
    binding = (struct wormhole_bind){.view_fd = view->fd};
    if (ioctl(client.vm, WORMHOLE_BIND, &binding))
        die("WORMHOLE_BIND");
    snprintf(line, sizeof(line), "go %u %lx %lx %lx %lx", binding.index, view->key[0], view->key[1],
             view->key[2], view->key[3]);
    guest_order(&client, line);
}

/* ---- parts ---- */

static uint64_t called, sum; /* since this worker is there */

static void look_at_worker(const char *name)
{
    unsigned long total = 0, count = 0, found = 0;
    int canaries = 0;

    guest_order(&service, "read");
    sscanf(guest_await(&service, "counted "), "%lu %lu %lx %d", &total, &count, &found, &canaries);
    verdict(total == called && count == called && found == sum && canaries == 64, name);
}

/* So many calls; the service VM may be stopped meanwhile. */
static void make_calls(uint64_t count, struct guest_counts *before, struct guest_counts *after)
{
    char line[64];
    int failures = -1;

    snprintf(line, sizeof(line), "calls %lu", count);
    guest_order(&client, line);
    guest_await(&client, "start");
    *before = guests_counts(view->fd);
    guest_order(&client, "on");
    sscanf(guest_await(&client, "done "), "%d", &failures);
    *after = guests_counts(view->fd);
    called += count;
    for (uint64_t i = 0; i < count; i++)
        sum = callee_mix(sum + i);
    verdict(failures == 0 && after->view.calls - before->view.calls == count,
            "every call is answered as the callee's count has it");
}

static void part_calls(uint64_t count)
{
    struct guest_counts before, after;

    make_calls(count, &before, &after);
    verdict(guests_compare_client(&before, &after), "no exit of the client VM is caused by a call");
    verdict(guests_compare_service(&before, &after) &&
                after.kvm_exits - before.kvm_exits < count / 100,
            "the service VM does nothing but to idle meanwhile");
    look_at_worker("the worker in the service VM finds each call in its memory, once");
}

static void part_stopped(uint64_t count)
{
    struct guest_counts before, after;

    kill(service.qemu, SIGSTOP);
    waitpid(service.qemu, NULL, WUNTRACED); /* all of its threads are stopped */
    make_calls(count, &before, &after);
    verdict(guests_compare_client(&before, &after), "no exit of the client VM is caused by a call");
    verdict(guests_service_stood(&before, &after),
            "a service VM that is stopped is not entered, nor left, nor run at all");
    kill(service.qemu, SIGCONT);
    look_at_worker("the worker in the service VM finds these, too, when it goes on");
}

static void part_lies(void)
{
    for (const struct lie *lie = lies; lie->name; lie++) {
        const char *answer = guest_await(&service, "lie ");
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
    guest_order(&client, "loop");
    guest_await(&client, "looping");
    if (command)
        guest_order(&service, command);
    else
        kill(service.qemu, SIGKILL);
    sscanf(guest_await(&client, "lost "), "%u", &status);
    verdict(status == WORMHOLE_LOST, name);
}

/* The client's VM is killed in its calls: the worker has them in its memory, and lives on. */
static void part_client_dies(void)
{
    unsigned long total = 0, again = 0;

    guest_order(&client, "loop");
    guest_await(&client, "looping");
    kill(client.qemu, SIGKILL);
    waitpid(client.qemu, NULL, 0);
    for (int i = 0; i < 2; i++) {
        again = total;
        guest_order(&service, "read");
        sscanf(guest_await(&service, "counted "), "%lu", &total);
    }
    verdict(view && total >= 1000 && again == total,
            "the client VM is killed in its calls: the worker goes on, and nobody calls");
    guest_clean_up(&client);
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
    guests_commands(argv + 3);
    guests_other_fd = agent_fd;
    guests_other_ready = agent_ready;
    device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);
    if (device < 0)
        die("/dev/wormhole");
    listen_at(argv[2]);
    guest_start(&service);
    guest_start(&client);
    part_lies();
    guest_await(&client, "ready");
    guest_name_to_module(&service, device);
    guest_name_to_module(&client, device);
    connect_client();
    part_calls(count);
    part_stopped(count / 4);
    part_end("kill worker", "the worker dies: its client is told");
    connect_client();
    part_end("kill agent", "the agent dies: its worker's client is told");
    connect_client();
    part_client_dies();
    guest_start(&client);
    guest_await(&client, "ready");
    guest_name_to_module(&client, device);
    guest_order(&service, "kill worker"); /* its session is over */
    while (view)
        guests_pump();
    connect_client();
    part_end(NULL, "the service VM is killed: the client is told");
    verdict(!view, "and no view is left of it");
    guest_clean_up(&service);
    guest_order(&client, "end");
    guest_await(&client, "over");
    guest_clean_up(&client);
    guests_leaks(device);
    return conclude();
}

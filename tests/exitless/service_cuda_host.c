/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside a wormholed that gives a client VM and its service VM one region: `service_cuda_host
 * DAEMON COUNT EXPECTED QEMU ARG... -- QEMU ARG...`, the service VM first. There a wormholed with
 * the software device serves (guest-service); ordinary CUDA programs run in the client's VM
 * (guest-service-client, cuda_calls.c). DAEMON is the process of the host's wormholed, which has
 * the view. Reads counters around the programs' loops. TAP on stdout.
 */
#include "guests.h"
#include "linux_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLEEPS 500 /* a second: an idle kernel has tens, one whose processes nap a thousand */
#define VIEW   "anon_inode:[wormhole-view]"

/* The one view that there is, from the daemon; -1: there is none. */
static int view_of(pid_t daemon)
{
    char folder[64], target[64];
    int number = -1;

    snprintf(folder, sizeof(folder), "/proc/%d/fd", daemon);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target)) == sizeof(VIEW) - 1 &&
            memcmp(target, VIEW, sizeof(VIEW) - 1) == 0)
            number = atoi(entry->d_name);
    closedir(dir);
    int process = (int)syscall(SYS_pidfd_open, daemon, 0);
    int view = number < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, number, 0);
    close(process);
    return view;
}

/* How often calls entered the one view of the service VM's memory, as users are told. */
static unsigned long long shown_entries(void)
{
    unsigned long long entries = 0;
    char line[512];
    unsigned views = 0;
    FILE *top = popen("/opt/bin/wormhole top --once --admin /wormhole/admin", "r");

    while (fgets(line, sizeof(line), top)) {
        printf("# %s", line);
        views += sscanf(line, "view %*u of the service VM of guest: %llu entries,", &entries) == 1;
    }
    pclose(top);
    return views == 1 ? entries : 0;
}

static void part_sleep(const struct guest_counts *before, const struct guest_counts *after,
                       const char *what)
{
    unsigned sleeps = guests_service_sleeps(before, after);

    printf("# the service VM went to sleep %u times a second\n", sleeps);
    verdict(sleeps < SLEEPS, what);
}

/* A program's loop; the service VM may be stopped meanwhile. */
static void part_loop(pid_t daemon, unsigned long count, bool stopped)
{
    guest_await(&client, "start");
    int view = view_of(daemon);
    verdict(view >= 0, "the session has a view of the service VM's memory");
    if (view < 0)
        exit(1);
    if (stopped) {
        kill(service.qemu, SIGSTOP);
        waitpid(service.qemu, NULL, WUNTRACED); /* all of its threads are stopped */
    }
    struct guest_counts before = guests_counts(view), after;
    guest_order(&client, "on");
    guest_await(&client, "done ");
    after = guests_counts(view);
    if (stopped)
        kill(service.qemu, SIGCONT);
    unsigned long long shown = shown_entries();
    close(view); /* or it would not end with its worker */
    guest_order(&client, "on");
    printf("# %llu calls entered the view, %llu were suspended\n",
           after.view.calls - before.view.calls, after.view.suspensions - before.view.suspensions);
    verdict(after.view.calls - before.view.calls >= count, "every call of the loop enters it");
    verdict(shown == after.view.started, "wormhole top shows how many did");
    verdict(guests_compare_client(&before, &after), "no exit of the client VM is caused by a call");
    if (stopped) {
        verdict(guests_service_stood(&before, &after),
                "a service VM that is stopped is not entered, nor left, nor run at all");
    } else {
        verdict(guests_compare_rung(&before, &after),
                "the service VM does nothing but to idle and be rung");
        part_sleep(&before, &after, "it sleeps, with its worker and its daemon");
    }
}

/* Calls that only the worker can make, now and then; the host's daemon may be stopped, and with it
 * the rings. */
static void part_left(pid_t daemon, bool unrung)
{
    guest_await(&client, "start");
    if (unrung)
        kill(daemon, SIGSTOP);
    struct guest_counts before = guests_counts(-1), after;
    guest_order(&client, "on");
    verdict(strncmp(guest_await(&client, "done "), "left ", 5) == 0,
            unrung ? "so do they while nobody passes rings on"
                   : "calls that are left to a worker that sleeps come back");
    after = guests_counts(-1);
    kill(daemon, SIGCONT);
    guest_order(&client, "on");
    (void)guests_compare_client(&before, &after);
    (void)guests_compare_rung(&before, &after);
}

static void part_lost(pid_t daemon, const char *name)
{
    guest_await(&client, "looping");
    int view = view_of(daemon);
    verdict(view >= 0, "the calls of a session that is about to be lost run in a view");
    close(view);
    if (name)
        guest_order(&service, name);
    else
        kill(service.qemu, SIGKILL);
    verdict(strcmp(guest_await(&client, "lost "), "46") == 0,
            name ? "a worker that dies in the service VM ends its session with the API's error"
                 : "so does the end of the service VM");
}

int main(int argc, char **argv)
{
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);

    setbuf(stdout, NULL);
    if (argc < 5 || device < 0)
        die("/dev/wormhole");
    pid_t daemon = atoi(argv[1]);
    unsigned long count = strtoul(argv[2], NULL, 10);
    guests_commands(argv + 4);
    guest_start(&service);
    guest_await(&service, "wormhole: the host makes views");
    guest_name_to_module(&service, device);
    struct guest_counts before = guests_counts(-1), after;
    guest_start(&client);
    guest_await(&client, "part query");
    after = guests_counts(-1);
    (void)guests_compare_rung(&before, &after);
    part_sleep(&before, &after, "a service VM without sessions sleeps");
    guest_name_to_module(&client, device);
    part_loop(daemon, count, false);
    guest_await(&client, "part stopped");
    part_loop(daemon, count / 4, true);
    guest_await(&client, "part memory");
    part_loop(daemon, count / 10, false);
    guest_await(&client, "part left");
    part_left(daemon, false);
    guest_await(&client, "part unrung");
    part_left(daemon, true);
    verdict(strcmp(guest_await(&client, "computed "), argv[3]) == 0,
            "a program's results are as they are natively");
    part_lost(daemon, "kill worker");
    verdict(strcmp(guest_await(&client, "sessions "), "4") == 0,
            "sessions come and go beside one that calls");
    part_lost(daemon, NULL);
    guest_clean_up(&service);
    verdict(strcmp(guest_await(&client, "end "), "0") == 0, "the programs had no complaint");
    guest_clean_up(&client);
    guests_leaks(device);
    return conclude();
}

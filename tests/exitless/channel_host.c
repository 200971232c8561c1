/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel as a whole, under load and when something ends: daemons, workers with the software
 * device, and stock VMs under stock QEMU with CUDA programs. `channel_host PARTS STEPS SESSIONS SUM
 * QEMU ARG...` runs the parts that PARTS names: `order` (two VMs that call at once, each call made
 * once and in order), `sessions` (they come and go, and nothing is left), `killed` (everything that
 * can be ended or stopped is, in calls, while another VM calls), `killed-some` (less of it). TAP on
 * stdout. A `@` in QEMU's arguments is the VM's name.
 */
#include "daemon.h"
#include "qemu.h"
#include "vm.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDER     "/cuda_order 2 2" /* processes and threads */
#define PROCESSES 2
#define MANY      2000 /* calls: somebody goes on while another does not */
#define TOGETHER  3    /* sessions at once */
#define DOORBELL  49   /* the reason of the exit: EPT misconfiguration */

static char **command; /* QEMU */

/* Two VMs of one daemon, and one that has its own. */
static struct daemon *common, *lonely;
static struct vm b, c, a;

static int open_device(void)
{
    int device = open("/dev/wormhole", O_RDWR | O_CLOEXEC);

    if (device < 0)
        die("/dev/wormhole");
    return device;
}

static struct wormhole_info read_info(void)
{
    struct wormhole_info info;
    int device = open_device();

    if (ioctl(device, WORMHOLE_INFO, &info))
        die("WORMHOLE_INFO");
    close(device);
    return info;
}

static int open_vm(const struct vm *vm)
{
    int device = open_device();
    struct wormhole_vm_open wish = {.kvm_fd = vm_of(vm->qemu)};
    int opened = ioctl(device, WORMHOLE_VM_OPEN, &wish);

    if (opened < 0)
        die("WORMHOLE_VM_OPEN");
    close(wish.kvm_fd);
    close(device);
    return opened;
}

static void end_vm(struct vm *vm)
{
    vm_say(vm, "off");
    vm_end(vm, 0);
}

/* ---- chains of calls ---- */

/* A run of cuda_order in a VM. */
struct chains {
    struct vm *vm;
    struct daemon *daemon;
    int module; /* the module's descriptor of the VM */
    struct figures before, after;
    struct wormhole_vm_stats exits_before, exits_after;
    int processes;
    unsigned long long calls, alarms;
    char sum[32];
};

static void read_exits(const struct chains *chains, struct wormhole_vm_stats *stats)
{
    if (ioctl(chains->module, WORMHOLE_VM_STATS, stats))
        die("WORMHOLE_VM_STATS");
}

/* Until they are ready to call. Who is `beside` them calls through the same daemon; all other
 * sessions are old ones. */
static void prepare(struct chains *chains, struct vm *vm, struct daemon *daemon,
                    const struct chains *beside, unsigned steps)
{
    *chains = (struct chains){.vm = vm, .daemon = daemon, .module = open_vm(vm)};
    vm_say(vm, ORDER " %u", steps);
    vm_expect(vm, "ready");
    daemon_await_left(daemon, beside && beside->daemon == daemon ? 2 * PROCESSES : PROCESSES);
    chains->before = daemon_figures(daemon, vm->name);
    read_exits(chains, &chains->exits_before);
}

/* Until they call, and go on calling. */
static void let_call(struct chains *chains, struct vm *vm, struct daemon *daemon,
                     const struct chains *beside)
{
    prepare(chains, vm, daemon, beside, 0);
    go_on(vm->to);
    vm_expect(vm, "calling");
    daemon_await_calls(daemon, vm->name, MANY);
}

/* What they did, by their own word; they wait then. */
static void hear(struct chains *chains)
{
    if (sscanf(vm_expect(chains->vm, "order "), "processes %d calls %llu alarms %llu sum %31s",
               &chains->processes, &chains->calls, &chains->alarms, chains->sum) != 4)
        die("cuda_order said something else");
}

/* What was done, by the daemon's and the module's. */
static void count(struct chains *chains)
{
    chains->after = daemon_figures(chains->daemon, chains->vm->name);
    read_exits(chains, &chains->exits_after);
}

static void let_leave(struct chains *chains)
{
    go_on(chains->vm->to);
    vm_expect(chains->vm, "left");
    close(chains->module);
}

static void print_chains(const struct chains *chains)
{
    printf("# %s: %llu calls, %llu carried out, %llu visits of the view, %llu suspensions; ",
           chains->vm->name, chains->calls, chains->after.calls - chains->before.calls,
           chains->after.entered - chains->before.entered,
           chains->after.suspended - chains->before.suspended);
    print_exits(&chains->exits_before, &chains->exits_after, chains->before.exits,
                chains->after.exits);
}

/* Nothing was lost, made twice or out of order; the program compared what it read with what it
 * knows, so a process that came to the end found all of it right. */
static bool are_right(const struct chains *chains)
{
    print_chains(chains);
    return chains->processes == PROCESSES &&
           chains->after.calls - chains->before.calls == chains->calls &&
           chains->after.entered > chains->before.entered && chains->after.spoiled == 0;
}

static bool is_innocent(const struct chains *chains)
{
    for (int i = 0; i < WORMHOLE_REASONS; i++)
        if (chains->after.exits[i] != chains->before.exits[i] && !is_from_outside(i))
            return false;
    return true;
}

/* ---- order ---- */

static void judge_order(const struct chains *chains, const char *sum)
{
    verdict(are_right(chains), "two processes of two threads: each call is made once, in order");
    verdict(strcmp(chains->sum, sum) == 0, "what is left is as it is without a VM");
    verdict(is_innocent(chains), "no exit in the view is caused by a call");
    verdict(chains->exits_after.exits[DOORBELL] > chains->exits_before.exits[DOORBELL],
            "some calls are for the worker's threads, which are rung for");
    verdict(chains->alarms > 0 && chains->after.suspended > chains->before.suspended,
            "calls were interrupted in the view, and went on");
}

static void test_order(unsigned steps, const char *sum)
{
    struct chains one, other;

    prepare(&one, &b, common, NULL, steps);
    prepare(&other, &c, common, &one, steps);
    go_on(b.to);
    go_on(c.to);
    hear(&one);
    hear(&other);
    count(&one);
    count(&other);
    judge_order(&one, sum);
    judge_order(&other, sum);
    let_leave(&one);
    let_leave(&other);
    daemon_await_left(common, 0);
}

/* ---- sessions ---- */

/* What could be left of sessions. */
struct remains {
    struct wormhole_info info;
    unsigned descriptors;
    unsigned long long locked;      /* by the daemon */
    unsigned long long unevictable; /* in all, kB */
};

static unsigned count_descriptors(pid_t pid)
{
    char path[64];
    unsigned count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *all = opendir(path);
    if (!all)
        die(path);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

static unsigned long long read_field(const char *path, const char *field)
{
    char line[256];
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtoull(line + strlen(field), NULL, 10);
    if (file)
        fclose(file);
    return value;
}

/* No event tells that it has done all there was to do, and sleeps. */
static void await_sleep(pid_t pid)
{
    char path[64], state = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    while (state != 'S') {
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            die(path);
        fclose(file);
        sched_yield();
    }
}

static struct remains look_at_remains(void)
{
    char status[64];

    await_sleep(daemon_pid(common));
    struct remains remains = {.info = read_info()};

    snprintf(status, sizeof(status), "/proc/%d/status", daemon_pid(common));
    remains.descriptors = count_descriptors(daemon_pid(common));
    remains.locked = read_field(status, "VmLck:");
    remains.unevictable =
        read_field("/proc/meminfo", "Unevictable:") + read_field("/proc/meminfo", "Mlocked:");
    printf("# %u views, %llu pages pinned, %llu of the module's own; the daemon has %u "
           "descriptors and %llu kB locked; %llu kB unevictable and locked in all, %llu kB "
           "available\n",
           remains.info.views, remains.info.pinned_pages, remains.info.own_pages,
           remains.descriptors, remains.locked, remains.unevictable,
           read_field("/proc/meminfo", "MemAvailable:"));
    return remains;
}

static bool run_sessions(unsigned count)
{
    unsigned done, failures;

    vm_say(&c, "/cuda_sessions %u %u", count, TOGETHER);
    if (sscanf(vm_expect(&c, "sessions "), "%u failures %u", &done, &failures) != 2)
        die("cuda_sessions said something else");
    daemon_await_left(common, 0);
    return done == count && failures == 0;
}

static void test_sessions(unsigned count)
{
    bool good = run_sessions(2 * TOGETHER);
    struct remains first = look_at_remains();

    good = run_sessions(count) && good;
    struct remains then = look_at_remains();
    verdict(good, "sessions that are closed, left or killed in calls: the program sees no error");
    verdict(then.info.views == 0 && then.info.pinned_pages == 0 && then.info.own_pages == 0,
            "they leave no view, pin or table behind");
    verdict(then.descriptors == first.descriptors && then.locked == first.locked &&
                then.unevictable == first.unevictable,
            "they leave no descriptor and no locked memory behind");
}

/* ---- what is stopped goes on ---- */

/* VM b calls all the while. */
static struct chains beside, victim;

static void see_others_call(void)
{
    daemon_await_calls(common, "b", MANY);
}

static void await_victims_end(void)
{
    let_leave(&victim);
    daemon_await_left(victim.daemon, victim.daemon == common ? PROCESSES : 0);
}

/* It has been stopped, and goes on. */
static void judge_victim(const char *name)
{
    go_on(victim.vm->to);
    hear(&victim);
    count(&victim);
    verdict(are_right(&victim), name);
    await_victims_end();
}

static void stop_by_monitor(void)
{
    let_call(&victim, &c, common, &beside);
    vm_monitor(&c, "stop");
    see_others_call();
    vm_monitor(&c, "cont");
    judge_victim("a VM that is paused by its monitor goes on, each call is made once");
}

static void stop_process(pid_t pid, const char *name)
{
    kill(pid, SIGSTOP);
    see_others_call();
    kill(pid, SIGCONT);
    judge_victim(name);
}

static void stop_qemu(void)
{
    let_call(&victim, &c, common, &beside);
    stop_process(c.qemu, "a QEMU that is stopped goes on, each call is made once");
}

static void stop_worker(void)
{
    let_call(&victim, &c, common, &beside);
    stop_process(victim.before.worker, "a worker that is stopped goes on, each call is made once");
}

/* It has no part in calls. */
static void stop_daemon(void)
{
    let_call(&victim, &a, lonely, &beside);
    kill(daemon_pid(lonely), SIGSTOP);
    go_on(a.to);
    hear(&victim);
    kill(daemon_pid(lonely), SIGCONT);
    count(&victim);
    verdict(are_right(&victim), "calls go on, and end well, while the daemon is stopped");
    await_victims_end();
}

/* ---- what is killed is gone ---- */

/* Who lost its session says so, and ends. */
static void judge_survivors(int expected, const char *name)
{
    go_on(victim.vm->to);
    hear(&victim);
    verdict(victim.processes == expected, name);
    let_leave(&victim);
}

static void kill_worker(void)
{
    let_call(&victim, &c, common, &beside);
    kill(victim.before.worker, SIGKILL);
    daemon_await_left(common, 2 * PROCESSES - 1); /* its view goes with it, not before */
    judge_survivors(PROCESSES - 1, "a worker that is killed takes its own session along");
    daemon_await_left(common, PROCESSES);
}

static void kill_client(void)
{
    let_call(&victim, &c, common, &beside);
    vm_say(&c, "kill");
    vm_expect(&c, "killed");
    judge_survivors(PROCESSES - 1, "a client that is killed takes its own session along");
    daemon_await_left(common, PROCESSES);
}

/* Sessions of before are closed when the VM opens its next. */
static void reset_vm(void)
{
    let_call(&victim, &c, common, &beside);
    close(victim.module);
    vm_monitor(&c, "system_reset");
    vm_expect(&c, "shell");
    let_call(&victim, &c, common, &beside);
    judge_victim("after a reset the VM's calls are right");
}

static void kill_daemon(void)
{
    let_call(&victim, &a, lonely, &beside);
    daemon_stop(lonely, SIGKILL);
    judge_survivors(0, "without its daemon a VM's sessions end with the API's error");
    verdict(read_info().views == PROCESSES, "their views are gone, those of others are not");
    see_others_call();
}

static void kill_qemu(void)
{
    let_call(&victim, &c, common, &beside);
    close(victim.module);
    verdict(read_info().views == 2 * PROCESSES, "each session has a view");
    vm_end(&c, SIGKILL);
    daemon_await_left(common, PROCESSES);
    verdict(read_info().views == PROCESSES,
            "with QEMU its sessions and views are gone, those of others are not");
    see_others_call();
}

static void test_killed(bool all)
{
    let_call(&beside, &b, common, NULL);
    stop_by_monitor();
    kill_worker();
    if (all) {
        stop_worker();
        stop_qemu();
        kill_client();
        reset_vm();
        lonely = daemon_start("lonely", (const char *const[]){"a", NULL});
        vm_start(&a, "a", command);
        stop_daemon();
        kill_daemon();
        end_vm(&a);
    }
    kill_qemu();
    go_on(b.to);
    hear(&beside);
    count(&beside);
    verdict(are_right(&beside), "in the VM beside each call was made once and in order meanwhile");
    let_leave(&beside);
    daemon_await_left(common, 0);
}

/* ---- all of it ---- */

/* No page is left when nobody is. */
static void judge_end(void)
{
    struct wormhole_info info = read_info();

    verdict(info.views == 0 && info.pinned_pages == 0 && info.own_pages == 0,
            "no view, pin or table is left");
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    const char *parts = argv[1];
    command = argv + 5;
    setbuf(stdout, NULL);
    common = daemon_start("common", (const char *const[]){"b", "c", NULL});
    vm_start(&b, "b", command);
    vm_start(&c, "c", command);
    if (strstr(parts, "order"))
        test_order((unsigned)atoi(argv[2]), argv[4]);
    if (strstr(parts, "sessions"))
        test_sessions((unsigned)atoi(argv[3]));
    if (strstr(parts, "killed"))
        test_killed(!strstr(parts, "killed-some"));
    else
        end_vm(&c);
    end_vm(&b);
    judge_end();
    daemon_stop(common, SIGTERM);
    return conclude();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See daemon.h. */
#include "daemon.h"

#include "tap.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT_LINES 64

struct daemon {
    char name[32], admin[64];
    pid_t pid;
    FILE *log;
    pthread_t reader;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned started, ended; /* sessions */
    bool closed;
    char *lines[KEPT_LINES]; /* all but those of sessions' ordinary lives */
    unsigned nlines;
};

/* ---- its log ---- */

static void take_line(struct daemon *daemon, const char *line)
{
    unsigned number;
    int end = 0;

    pthread_mutex_lock(&daemon->lock);
    (void)sscanf(line, "wormhole: session %u of %*s ends:%n", &number, &end);
    daemon->ended += end > 0;
    bool starts = sscanf(line, "wormhole: session %u: %*s for", &number) == 1 &&
                  strstr(line, ", worker ") != NULL;
    daemon->started += starts;
    if (!starts && !strstr(line, "the worker ended with status 0")) {
        printf("# daemon %s: %s\n", daemon->name, line);
        if (daemon->nlines < KEPT_LINES)
            daemon->lines[daemon->nlines++] = strdup(line);
    }
    pthread_cond_broadcast(&daemon->changed);
    pthread_mutex_unlock(&daemon->lock);
}

/* Workers write there as well: the end is the end of all of them. */
static void *read_log(void *argument)
{
    struct daemon *daemon = argument;
    char line[1024];

    while (fgets(line, sizeof(line), daemon->log)) {
        line[strcspn(line, "\r\n")] = 0;
        take_line(daemon, line);
    }
    pthread_mutex_lock(&daemon->lock);
    daemon->closed = true;
    pthread_cond_broadcast(&daemon->changed);
    pthread_mutex_unlock(&daemon->lock);
    return NULL;
}

void daemon_await_left(struct daemon *daemon, unsigned count)
{
    pthread_mutex_lock(&daemon->lock);
    while (daemon->started - daemon->ended > count && !daemon->closed)
        pthread_cond_wait(&daemon->changed, &daemon->lock);
    pthread_mutex_unlock(&daemon->lock);
}

bool daemon_said(struct daemon *daemon, const char *text)
{
    bool found = false;

    pthread_mutex_lock(&daemon->lock);
    for (unsigned i = 0; i < daemon->nlines; i++)
        found = found || strstr(daemon->lines[i], text);
    pthread_mutex_unlock(&daemon->lock);
    return found;
}

/* ---- its start and end ---- */

static void write_config(const struct daemon *daemon, const char *path, const char *const *vms)
{
    FILE *file = fopen(path, "w");

    if (!file)
        die(path);
    fprintf(file, "listen = {\"unix:/wormhole/%s.socket\"}\nadmin = \"%s\"\n", daemon->name,
            daemon->admin);
    for (; *vms; vms++)
        fprintf(file, "vm \"%s\" {\n    socket = \"/wormhole/%s\"\n    region = \"128M\"\n}\n",
                *vms, *vms);
    fclose(file);
}

/* Lines of sessions' lives are for those who look for them. */
static _Noreturn void become_daemon(const char *config, const char *notify, int log)
{
    dup2(log, 2);
    setenv("NOTIFY_SOCKET", notify, 1);
    setenv("WORMHOLE_DEBUG", "1", 1);
    setenv("WORMHOLE_CUDA_LIBRARY", "softgpu", 1);
    setenv("WORMHOLE_SOFTGPU_MEMORY", "64M", 1);
    execl("/opt/bin/wormholed", "wormholed", "--config", config, NULL);
    die("/opt/bin/wormholed");
}

static int open_notify(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(*address)))
        die("the notification socket");
    return fd;
}

/* READY=1, or the daemon's end. */
static void await_ready(const struct daemon *daemon, int notify)
{
    int pidfd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
    struct pollfd events[] = {{.fd = notify, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

    if (poll(events, 2, -1) < 0 || !(events[0].revents & POLLIN))
        die("the daemon did not start");
    close(pidfd);
}

struct daemon *daemon_start(const char *name, const char *const *vms)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char config[64];
    int ends[2];

    snprintf(daemon->name, sizeof(daemon->name), "%s", name);
    snprintf(daemon->admin, sizeof(daemon->admin), "/wormhole/%s.admin", name);
    snprintf(config, sizeof(config), "/wormhole/%s.conf", name);
    snprintf(address.sun_path, sizeof(address.sun_path), "/wormhole/%s.notify", name);
    write_config(daemon, config, vms);
    int notify = open_notify(&address);
    if (pipe(ends))
        die("pipe");
    fflush(stdout);
    daemon->pid = fork();
    if (daemon->pid == 0) {
        close(ends[0]);
        become_daemon(config, address.sun_path, ends[1]);
    }
    close(ends[1]);
    daemon->log = fdopen(ends[0], "r");
    pthread_mutex_init(&daemon->lock, NULL);
    pthread_cond_init(&daemon->changed, NULL);
    pthread_create(&daemon->reader, NULL, read_log, daemon);
    await_ready(daemon, notify);
    close(notify);
    unlink(address.sun_path);
    return daemon;
}

pid_t daemon_pid(const struct daemon *daemon)
{
    return daemon->pid;
}

void daemon_stop(struct daemon *daemon, int signal)
{
    int status;

    kill(daemon->pid, signal);
    waitpid(daemon->pid, &status, 0);
    pthread_join(daemon->reader, NULL);
}

/* ---- its report ---- */

static FILE *ask(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&byte, 1};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), report;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", daemon->admin);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
        recvmsg(fd, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
        die("the daemon's report");
    memcpy(&report, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(report));
    close(fd);
    return fdopen(report, "r");
}

static void add_view(struct figures *figures, const char *line)
{
    unsigned long long entered, suspended, strays, violations, overruns, lost, exits;
    unsigned reason;
    int at;

    if (sscanf(line,
               "view %*u entered %*u calls %llu suspended %llu retried %*u forwarded %*u strays "
               "%llu violations %llu overruns %llu lost %llu",
               &entered, &suspended, &strays, &violations, &overruns, &lost) != 6)
        die("the daemon's report of a view");
    figures->views++;
    figures->entered += entered;
    figures->suspended += suspended;
    figures->spoiled += strays + violations + overruns + lost;
    line = strstr(line, " exits");
    for (line = line ? line + 6 : ""; sscanf(line, " %u:%llu%n", &reason, &exits, &at) == 2;
         line += at)
        if (reason < WORMHOLE_REASONS)
            figures->exits[reason] += exits;
}

#define MOST_SESSIONS 64

struct figures daemon_figures(struct daemon *daemon, const char *vm)
{
    struct figures figures = {0};
    unsigned numbers[MOST_SESSIONS], number;
    char line[2048], tenant[64];
    unsigned long long calls;
    FILE *report = ask(daemon);
    int worker;

    while (fgets(line, sizeof(line), report)) {
        if (sscanf(line,
                   "session %u tenant vm-%63s api %*s client %*u worker %d age %*u calls %llu",
                   &number, tenant, &worker, &calls) == 4 &&
            (!vm || strcmp(tenant, vm) == 0) && figures.sessions < MOST_SESSIONS) {
            numbers[figures.sessions++] = number;
            figures.calls += calls;
            figures.worker = worker;
        } else if (sscanf(line, "view %u", &number) == 1) {
            for (unsigned i = 0; i < figures.sessions; i++)
                if (numbers[i] == number)
                    add_view(&figures, line);
        }
    }
    fclose(report);
    return figures;
}

/* No event says so: calls are what nobody hears of. */
void daemon_await_calls(struct daemon *daemon, const char *vm, unsigned long long count)
{
    unsigned long long first = daemon_figures(daemon, vm).calls;

    while (daemon_figures(daemon, vm).calls < first + count)
        sched_yield();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the fault tests; see support.h. They fail the test themselves when something that must
 * work does not. */
#include "support.h"

#include "base/util.h"
#include "channel/unix.h"
#include "daemon/shm.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        fail_msg("%s is not set: run these tests through meson", name);
    return value;
}

/* ---- waiting ---- */

bool wait_readable(int fd, int ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&ready, 1, ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

int watch_process(pid_t pid)
{
    return pidfd_open(pid, 0);
}

void await_end_of(int pidfd)
{
    if (pidfd >= 0 && !wait_readable(pidfd, PATIENCE_MS))
        fail_msg("a process that should have ended still runs");
    wh_close_fd(&pidfd);
}

/* ---- programs ---- */

static void run_child(const char *url, const char *const *argv, int pipes[3][2])
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (url)
        setenv("WORMHOLE_SERVER", url, 1);
    else
        unsetenv("WORMHOLE_SERVER");
    (void)dup2(pipes[0][0], STDIN_FILENO);
    (void)dup2(pipes[1][1], STDOUT_FILENO);
    (void)dup2(pipes[2][1], STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    perror(argv[0]);
    _exit(127);
}

void process_start(struct process *process, const char *url, const char *const *argv)
{
    int pipes[3][2];
    memset(process, 0, sizeof(*process));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0)
        run_child(url, argv, pipes);
    process->pidfd = pidfd_open(process->pid, 0);
    assert_true(process->pidfd >= 0);
    process->in = pipes[0][1];
    process->out = pipes[1][0];
    process->err = pipes[2][0];
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
}

bool process_line(struct process *process, int stream, char *line, size_t size)
{
    char *text = process->pending[stream];
    size_t *held = &process->pending_size[stream];
    int fd = stream == 0 ? process->out : process->err;
    for (;;) {
        char *end = memchr(text, '\n', *held);
        if (end) {
            (void)snprintf(line, size, "%.*s", (int)(end - text), text);
            *held -= (size_t)(end + 1 - text);
            memmove(text, end + 1, *held);
            return true;
        }
        if (!wait_readable(fd, PATIENCE_MS))
            fail_msg("nothing more came on %s; so far: %.*s", stream ? "stderr" : "stdout",
                     (int)*held, text);
        ssize_t n = read(fd, text + *held, sizeof(process->pending[0]) - *held);
        if (n <= 0)
            return false;
        *held += (size_t)n;
    }
}

void process_expect(struct process *process, int stream, const char *text, char *line, size_t size)
{
    char got[1024], seen[2048] = "";
    while (process_line(process, stream, got, sizeof(got))) {
        if (strstr(got, text)) {
            if (line)
                (void)snprintf(line, size, "%s", got);
            return;
        }
        size_t used = strlen(seen);
        (void)snprintf(seen + used, sizeof(seen) - used, "\n  %s", got);
    }
    fail_msg("no line with '%s' on %s, but:%s", text, stream ? "stderr" : "stdout", seen);
}

void process_tell(struct process *process, const char *line)
{
    assert_int_equal(wh_write_all(process->in, line, strlen(line)), 0);
    assert_int_equal(wh_write_all(process->in, "\n", 1), 0);
}

int process_wait(struct process *process)
{
    int status = 0;
    if (!wait_readable(process->pidfd, PATIENCE_MS))
        fail_msg("process %d does not end", process->pid);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    process->pid = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void process_end(struct process *process)
{
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
    }
    wh_close_fd(&process->pidfd);
    wh_close_fd(&process->in);
    wh_close_fd(&process->out);
    wh_close_fd(&process->err);
}

void victim_start(struct process *process, const char *url, const char *role)
{
    const char *const argv[] = {setting("WORMHOLE"), "run", "--", setting("VICTIM"), role, NULL};
    process_start(process, url, argv);
}

/* ---- the daemon ---- */

void daemon_run_saying(struct daemon *daemon, const char *text)
{
    char config[96];
    (void)snprintf(config, sizeof(config), "%s/config", daemon->folder);
    const char *const argv[] = {setting("WORMHOLED"), "--config",  config,
                                "--listen",           daemon->url, NULL};
    process_start(&daemon->process, NULL, argv);
    if (text)
        process_expect(&daemon->process, 1, text, NULL, 0);
    process_expect(&daemon->process, 1, "listening at", NULL, 0);
}

void daemon_run(struct daemon *daemon)
{
    daemon_run_saying(daemon, NULL);
}

void daemon_prepare(struct daemon *daemon, const char *config)
{
    char path[96];
    (void)snprintf(daemon->folder, sizeof(daemon->folder), "/tmp/wormhole-fault-XXXXXX");
    assert_non_null(mkdtemp(daemon->folder));
    (void)snprintf(daemon->socket, sizeof(daemon->socket), "%s/socket", daemon->folder);
    (void)snprintf(daemon->url, sizeof(daemon->url), "unix:%s", daemon->socket);
    (void)snprintf(path, sizeof(path), "%s/config", daemon->folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file, "state_dir = \"%s/state\"\n", daemon->folder);
    for (const char *at = config ? config : ""; *at; at++)
        if (at[0] == '%' && at[1] == 's')
            (void)fprintf(file, "%s", daemon->folder), at++;
        else
            (void)fputc(*at, file);
    assert_int_equal(fclose(file), 0);
}

void daemon_start(struct daemon *daemon, const char *config)
{
    daemon_prepare(daemon, config);
    daemon_run(daemon);
}

void daemon_restart(struct daemon *daemon)
{
    process_end(&daemon->process);
    daemon_run(daemon);
}

/* A tenant's folder, perhaps: the daemon had no time to clear what belongs to it. */
static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type == FTW_DP)
        wh_shm_clear(path, status->st_uid);
    return remove(path);
}

void daemon_stop(struct daemon *daemon)
{
    process_end(&daemon->process);
    (void)nftw(daemon->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

struct daemon shared_daemon;

int shared_daemon_start(void **state)
{
    (void)state;
    daemon_start(&shared_daemon, NULL);
    return 0;
}

int shared_daemon_stop(void **state)
{
    (void)state;
    daemon_stop(&shared_daemon);
    return 0;
}

void expect_service(unsigned *fds, unsigned long *memory)
{
    struct wh_shm *shm = raw_connect(shared_daemon.url);
    assert_int_equal(raw_platforms(shm, NULL), 0);
    int worker = watch_process(daemon_only_worker(&shared_daemon));
    if (fds)
        *fds = count_fds(shared_daemon.process.pid);
    if (memory)
        *memory = resident_kib(shared_daemon.process.pid);
    raw_close(shm);
    await_end_of(worker);
}

/* The parent of a process, and its name; 0 when it is gone. */
static pid_t parent_of(const char *pid, char *name)
{
    char path[300], text[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    WH_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return 0;
    char *open_bracket = strchr(text, '('), *close_bracket = strrchr(text, ')');
    if (!open_bracket || !close_bracket)
        return 0;
    (void)snprintf(name, 32, "%.*s", (int)(close_bracket - open_bracket - 1), open_bracket + 1);
    return close_bracket[2] == 'Z' ? 0 : atoi(close_bracket + 4);
}

unsigned daemon_workers(const struct daemon *daemon, pid_t *workers, unsigned room)
{
    DIR *processes = opendir("/proc");
    unsigned n = 0;
    assert_non_null(processes);
    for (struct dirent *entry; (entry = readdir(processes));) {
        char name[32];
        if (!isdigit((unsigned char)*entry->d_name) ||
            parent_of(entry->d_name, name) != daemon->process.pid)
            continue;
        if (n < room)
            workers[n] = atoi(entry->d_name);
        n++;
    }
    closedir(processes);
    return n;
}

pid_t daemon_only_worker(const struct daemon *daemon)
{
    pid_t worker = 0;
    assert_int_equal(daemon_workers(daemon, &worker, 1), 1);
    return worker;
}

/* ---- what a process holds ---- */

unsigned count_fds(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

unsigned long resident_kib(pid_t pid)
{
    char path[64], text[128] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    WH_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    unsigned long pages = 0;
    assert_int_equal(sscanf(text, "%*u %lu", &pages), 1);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

unsigned long cpu_ticks(pid_t pid)
{
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    WH_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    unsigned long user = 0, system = 0;
    assert_int_equal(sscanf(strrchr(text, ')') + 2,
                            "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                     2);
    return user + system;
}

/* ---- clients that speak for themselves ---- */

struct wh_hello raw_hello(void)
{
    struct wh_hello hello;
    wh_hello_init(&hello, "opencl", wh_opencl_api.hash, 64u << 20);
    return hello;
}

struct wh_shm *raw_connect(const char *url)
{
    struct wh_hello hello = raw_hello();
    struct wh_channel *channel = NULL;
    struct wh_error error = {0};
    if (wh_channel_connect(url, &hello, &channel, &error) < 0)
        fail_msg("no session: %s", error.text);
    return (struct wh_shm *)channel;
}

void raw_close(struct wh_shm *shm)
{
    shm->channel.ops->close(&shm->channel);
}

int raw_socket(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, daemon->socket, strlen(daemon->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

bool raw_ask(const struct daemon *daemon, const void *bytes, size_t size, struct wh_welcome *answer)
{
    WH_CLEANUP_CLOSE int fd = raw_socket(daemon);
    int fds[2];
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
    if (!wait_readable(fd, PATIENCE_MS))
        fail_msg("the daemon does not answer");
    memset(answer, 0, sizeof(*answer));
    ssize_t n = wh_receive_fds(fd, answer, sizeof(*answer), fds, 2);
    wh_close_fd(&fds[0]);
    wh_close_fd(&fds[1]);
    if (n <= 0)
        return false;
    assert_int_equal(n, sizeof(*answer));
    assert_memory_equal(answer->magic, WH_WELCOME_MAGIC, sizeof(answer->magic));
    return true;
}

void letter_begin(struct letter *letter, enum wh_opencl_call number, uint32_t slot)
{
    memset(letter, 0, sizeof(*letter));
    letter->header = (struct wh_message){.call = (uint16_t)number,
                                         .thread = 1,
                                         .slot = slot,
                                         .reply_at = WH_IN_SLOT,
                                         .reply_room = slot == WH_NO_SLOT ? 0 : WH_SLOT_ROOM};
}

void letter_add(struct letter *letter, uint64_t word)
{
    assert_true(letter->nwords < sizeof(letter->words) / sizeof(letter->words[0]));
    letter->words[letter->nwords++] = word;
}

void letter_add_bytes(struct letter *letter, const void *bytes, size_t size)
{
    letter_add(letter, size);
    for (size_t done = 0; done < size; done += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + done, size - done < 8 ? size - done : 8);
        letter_add(letter, word);
    }
}

void raw_send(struct wh_shm *shm, struct letter *letter)
{
    struct wh_channel *channel = &shm->channel;
    uint32_t size = (uint32_t)(sizeof(letter->header) + letter->nwords * 8);
    uint8_t *room = channel->ops->begin(channel, size);
    if (!room)
        return; /* the session ended: whoever waits for it sees that */
    if (!letter->header.size)
        letter->header.size = size;
    memcpy(room, &letter->header, sizeof(letter->header));
    memcpy(room + sizeof(letter->header), letter->words, letter->nwords * 8);
    channel->ops->commit(channel);
}

bool raw_wait_while(_Atomic uint32_t *word, uint32_t value, int ms)
{
    struct wh_park nap = {.kind = WH_PARK_NAP, .longest_us = 2000};
    uint64_t start = wh_now_ns();
    unsigned naps = 0;
    while (atomic_load(word) == value && wh_now_ns() - start < (uint64_t)ms * 1000000)
        wh_park_while(&nap, word, value, &naps);
    return atomic_load(word) != value;
}

/* Looks for the session's end as well, as the client library's listener does. */
static void *watch_session(void *argument)
{
    struct wh_shm *shm = argument;
    struct pollfd life = {.fd = shm->socket, .events = POLLIN};
    if (shm->socket < 0)
        while (!raw_wait_while(&shm->segment->state, WH_SEGMENT_OPEN, PATIENCE_MS))
            pthread_testcancel();
    else
        while (poll(&life, 1, -1) < 0)
            ;
    shm->channel.ops->lose(&shm->channel, "ended");
    return NULL;
}

bool raw_call(struct wh_shm *shm, struct letter *letter, uint64_t *words, unsigned *n)
{
    struct wh_channel *channel = &shm->channel;
    struct wh_reply reply;
    pthread_t watcher;
    uint32_t slot = channel->ops->take_slot(channel);
    letter->header.slot = slot;
    assert_int_equal(pthread_create(&watcher, NULL, watch_session, shm), 0);
    raw_send(shm, letter);
    int result = channel->ops->await(channel, slot, true, &reply);
    if (result == 0) {
        *n = reply.size / 8 < *n ? reply.size / 8 : *n;
        memcpy(words, reply.bytes, *n * 8);
    }
    pthread_cancel(watcher);
    pthread_join(watcher, NULL);
    channel->ops->put_slot(channel, slot);
    return result == 0;
}

int32_t raw_platforms(struct wh_shm *shm, uint64_t *platform)
{
    struct letter letter;
    uint64_t words[8] = {0};
    unsigned n = 8;
    letter_begin(&letter, WH_OPENCL_clGetPlatformIDs, 0);
    letter_add(&letter, 1);               /* num_entries */
    letter_add(&letter, 1);               /* room for one platform */
    letter_add(&letter, WH_PAYLOAD_NULL); /* num_platforms is not wanted */
    if (!raw_call(shm, &letter, words, &n))
        return INT32_MAX;
    assert_true(n >= 3);
    if (platform)
        *platform = words[2];
    return (int32_t)words[0];
}

void raw_await_end(struct wh_shm *shm, char *reason, size_t size)
{
    /* The socket closes when the worker ends; why is in the segment by then, or the daemon writes
     * it soon. */
    if (shm->socket >= 0 && !wait_readable(shm->socket, PATIENCE_MS))
        fail_msg("the session should have ended");
    if (!raw_wait_while(&shm->segment->state, WH_SEGMENT_OPEN, PATIENCE_MS))
        fail_msg("nobody says why the session ended");
    shm->channel.ops->end_reason(&shm->channel, reason, size);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that a worker loads as the accelerator's, and that looks around instead: what it may
 * read, write, run and allocate there is what a tenant's kernel may. confinement.c loads it. It
 * tries the words of PRYING ("read PATH", "write FOLDER", "folder PATH", "run PROGRAM", "copy
 * PROGRAM", "name THREAD"; colons between them; ~ is the worker's home) and writes what came of it
 * to ~/report, a line each: 0 or an errno value, then the word.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_write(const char *folder)
{
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/written", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return unlink(path) < 0 ? errno : 0;
}

static int try_folder(const char *path)
{
    return mkdir(path, 0700) < 0 ? errno : 0;
}

static int try_run(const char *program)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, NULL);
        _exit(errno);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* Runs a copy of the program from the worker's home. */
static int try_copy(const char *program)
{
    static char bytes[1 << 20];
    const char *copy = "./copy"; /* a worker starts in its home */
    int from = open(program, O_RDONLY | O_CLOEXEC);
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ssize_t n = from < 0 ? -1 : read(from, bytes, sizeof(bytes));
    if (n <= 0 || to < 0 || write(to, bytes, (size_t)n) != n)
        return ENOEXEC;
    close(from);
    close(to);
    return try_run(copy);
}

static void *wait_for_end(void *end)
{
    (void)pthread_mutex_lock(end);
    (void)pthread_mutex_unlock(end);
    return NULL;
}

/* Names another thread by its file in /proc, as some drivers do. */
static int try_name(const char *name)
{
    pthread_mutex_t end = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    (void)pthread_mutex_lock(&end);
    if (pthread_create(&thread, NULL, wait_for_end, &end))
        return EAGAIN;
    int result = pthread_setname_np(thread, name);
    (void)pthread_mutex_unlock(&end);
    (void)pthread_join(thread, NULL);
    return result;
}

static void pry(const char *word, FILE *report)
{
    static const struct {
        const char *verb;
        int (*attempt)(const char *path);
    } attempts[] = {{"read ", try_read}, {"write ", try_write}, {"folder ", try_folder},
                    {"run ", try_run},   {"copy ", try_copy},   {"name ", try_name}};
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        size_t length = strlen(attempts[i].verb);
        if (strncmp(word, attempts[i].verb, length) != 0)
            continue;
        char path[4096];
        const char *rest = word + length;
        (void)snprintf(path, sizeof(path), "%s%s", *rest == '~' ? getenv("HOME") : "",
                       *rest == '~' ? rest + 1 : rest);
        (void)fprintf(report, "%d %s\n", attempts[i].attempt(path), word);
    }
}

static void report_limit(FILE *report, const char *name, int resource)
{
    struct rlimit limit = {0};
    (void)getrlimit((__rlimit_resource_t)resource, &limit);
    (void)fprintf(report, "%lld %s\n", (long long)limit.rlim_cur, name);
    (void)fprintf(report, "%lld most %s\n", (long long)limit.rlim_max, name);
}

/* Something that would outlive the worker, if it could. */
static pid_t leave_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)setpgid(0, 0);
        for (;;)
            (void)pause();
    }
    return pid;
}

static void report_memory(FILE *report)
{
    const size_t size = (size_t)1 << 30;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)fprintf(report, "%d gigabyte\n", memory == MAP_FAILED ? errno : 0);
    if (memory != MAP_FAILED)
        (void)munmap(memory, size);
}

/* The daemon's limits, and a signal for it: of one user with the worker, both would be allowed. */
static void report_others(FILE *report)
{
    struct rlimit limit;
    int ends[2] = {-1, -1};
    int code = prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) < 0 ? errno : 0;
    (void)fprintf(report, "%d limits of another\n", code);
    code = pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETOWN, getppid()) < 0 ? errno : 0;
    (void)fprintf(report, "%d signals to another\n", code);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

__attribute__((constructor)) static void look_around(void)
{
    char path[4096];
    struct sigaction action;
    const char *home = getenv("HOME"), *words = getenv("PRYING");
    (void)snprintf(path, sizeof(path), "%s/report", home ? home : "");
    FILE *report = fopen(path, "we");
    if (!report)
        return;
    char *copy = strdup(words ? words : ""), *rest = copy;
    for (char *word; (word = strsep(&rest, ":"));)
        pry(word, report);
    free(copy);
    (void)sigaction(SIGPIPE, NULL, &action);
    (void)fprintf(report, "%u user\n", getuid());
    (void)fprintf(report, "%d sigpipe ignored\n", action.sa_handler == SIG_IGN);
    report_limit(report, "core", RLIMIT_CORE);
    report_limit(report, "files", RLIMIT_NOFILE);
    report_limit(report, "data", RLIMIT_DATA);
    report_memory(report);
    report_others(report);
    (void)fprintf(report, "%d child\n", leave_child());
    (void)fclose(report);
}

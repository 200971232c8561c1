/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker can reach when the code in it is a tenant's: it loads a library that pries
 * (prying.c), and its report is read here. Run by meson.
 */
#include "support.h"

#include "base/util.h"
#include "daemon/shm.h"
#include "daemon/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- the report ---- */

static void report_path(const struct daemon *daemon, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/state/user-%u/report", daemon->folder, geteuid());
}

/* Opens a session, which fails once the library has pried. */
static void pry(const struct daemon *daemon)
{
    struct wh_hello hello = raw_hello();
    struct wh_welcome answer;
    assert_true(raw_ask(daemon, &hello, sizeof(hello), &answer));
    assert_int_not_equal(answer.refused, 0);
}

/* The number in front of `what` in the report. */
static long long reported(const struct daemon *daemon, const char *what)
{
    char path[200], line[5000];
    report_path(daemon, path, sizeof(path));
    FILE *report = fopen(path, "re");
    if (!report)
        fail_msg("the worker did not write %s", path);
    while (fgets(line, sizeof(line), report)) {
        char *text;
        long long number = strtoll(line, &text, 10);
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(text + 1, what) == 0) {
            (void)fclose(report);
            return number;
        }
    }
    fail_msg("the report does not tell of '%s'", what);
    return -1;
}

static void expect(const struct daemon *daemon, const char *what, long long number)
{
    long long got = reported(daemon, what);
    if (got != number)
        fail_msg("%s: %lld instead of %lld", what, got, number);
}

/* Not before the daemon has ended what the library left running. */
static void finish(struct daemon *daemon)
{
    pid_t child = (pid_t)reported(daemon, "child");
    await_end_of(watch_process(child));
    daemon_stop(daemon);
}

/* ---- a daemon whose workers pry ---- */

static void make_file(const struct daemon *daemon, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", daemon->folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs("secret\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void make_folder(const struct daemon *daemon, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", daemon->folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 01777), 0);
}

/* Everybody may reach its folder: only the view is in the way. */
static void prepare_open(struct daemon *daemon, const char *config)
{
    daemon_prepare(daemon, config);
    assert_int_equal(chmod(daemon->folder, 01777), 0);
    setenv("WORMHOLE_OPENCL_LIBRARY", getenv("PRYING_LIBRARY"), 1);
}

/* Sets what the library tries: words with %s for the daemon's folder. */
static void plan(const struct daemon *daemon, const char *words)
{
    char text[4000];
    size_t used = 0;
    for (; *words && used < sizeof(text) - 100; words++)
        if (words[0] == '%' && words[1] == 's')
            used += (size_t)snprintf(text + used, 100, "%s", daemon->folder), words++;
        else
            text[used++] = *words;
    text[used] = '\0';
    setenv("PRYING", text, 1);
}

/* As `expect`, where the name holds the daemon's folder: VERB + folder + REST. */
static void expect_at(const struct daemon *daemon, const char *verb, const char *rest,
                      long long number)
{
    char what[300];
    (void)snprintf(what, sizeof(what), "%s %s%s", verb, daemon->folder, rest);
    expect(daemon, what, number);
}

/* Whether a daemon can give workers a /dev/shm of their own here: tried in another process. */
static bool can_have_own_shm(void)
{
    int status = 1;
    pid_t child = geteuid() == 0 ? fork() : -1;
    if (child == 0)
        _exit(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 &&
                      mount("/dev/shm", "/dev/shm", NULL, MS_BIND, NULL) == 0
                  ? 0
                  : 1);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Waits until there is nothing at `path`, in a folder that `watch` tells of. */
static void await_removal(int watch, const char *path)
{
    char events[4096];
    while (access(path, F_OK) == 0)
        assert_true(read(watch, events, sizeof(events)) > 0);
}

/* ---- the tests ---- */

/* Makes `files` files and a folder in one. */
static void make_litter(const char *folder, unsigned files)
{
    char path[200];
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/old-folder", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < files; i++) {
        (void)snprintf(path, sizeof(path), "%s/file-%u", folder, i);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
}

static unsigned count_entries(const char *path)
{
    unsigned n = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        n++;
    if (folder)
        (void)closedir(folder);
    return n;
}

/* Folders go, too, but nothing of another user's: anybody may make that folder. */
static void litter(void **state)
{
    char home[64], folder[64];
    (void)state;
    if (geteuid() != 0)
        skip();
    (void)snprintf(home, sizeof(home), "/nonexistent/%d", getpid());
    wh_shm_folder(home, folder, sizeof(folder));
    make_litter(folder, 100);
    assert_int_equal(chown(folder, 4711, 4711), 0);
    wh_shm_clear(home, 4712);
    assert_int_equal(count_entries(folder), 103);
    assert_false(wh_shm_remove(home, 4711));
    wh_shm_clear(home, 4711);
    assert_int_equal(access(folder, F_OK), -1);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chown(folder, 4711, 4711), 0);
    assert_true(wh_shm_remove(home, 4712));
    assert_int_equal(access(folder, F_OK), 0);
    assert_true(wh_shm_remove(home, 4711));
    assert_int_equal(access(folder, F_OK), -1);
}

/* NVIDIA's driver shares events there, under names that others can guess. */
static void own_shm(void **state)
{
    struct daemon daemon;
    char secret[64];
    (void)state;
    if (!wh_view_supported() || !can_have_own_shm())
        skip();
    (void)snprintf(secret, sizeof(secret), "/dev/shm/secret-%d", getpid());
    int fd = open(secret, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    WH_CLEANUP_CLOSE int watch = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, "/dev/shm", IN_DELETE) >= 0);
    prepare_open(&daemon, "");
    char words[200];
    (void)snprintf(words, sizeof(words),
                   "read %s:read /dev/shm:write /dev/shm:folder /dev/shm/folder", secret);
    plan(&daemon, words);
    char home[200], folder[64];
    (void)snprintf(home, sizeof(home), "%s/state/user-%u", daemon.folder, geteuid());
    wh_shm_folder(home, folder, sizeof(folder));
    make_litter(folder, 2000); /* of sessions before */
    daemon_run(&daemon);
    pry(&daemon);
    char what[100];
    (void)snprintf(what, sizeof(what), "read %s", secret);
    expect(&daemon, what, ENOENT);
    expect(&daemon, "read /dev/shm", 0);
    expect(&daemon, "write /dev/shm", 0);
    expect(&daemon, "folder /dev/shm/folder", EACCES);
    assert_int_equal(unlink(secret), 0);
    /* With the tenant's last session it goes. */
    await_removal(watch, folder);
    finish(&daemon);
}

static void files(void **state)
{
    struct daemon daemon;
    (void)state;
    if (!wh_view_supported())
        skip();
    prepare_open(&daemon, "worker_reads = {\"%s/shown\"}\nworker_writes = {\"%s/scratch\"}\n");
    make_file(&daemon, "secret");
    make_file(&daemon, "shown");
    make_folder(&daemon, "scratch");
    make_folder(&daemon, "closed");
    make_folder(&daemon, "state");
    make_folder(&daemon, "state/other");
    make_file(&daemon, "state/other/secret");
    plan(&daemon, "read %s/secret:read %s/state/other/secret:read %s/shown:read /etc/passwd:"
                  "read /etc/shadow:read /etc/hostname:read /usr/bin:read /proc/self/maps:"
                  "read /dev/null:read /root:read /home:read /var/log:read /run:read /dev/shm:"
                  "write %s/closed:write %s/scratch:write ~:write ~/tmp:write /tmp:"
                  "write /dev/shm:run /bin/true:copy /bin/true:name thread");
    daemon_run(&daemon);
    pry(&daemon);
    expect_at(&daemon, "read", "/secret", EACCES);
    expect_at(&daemon, "read", "/state/other/secret", EACCES);
    expect_at(&daemon, "read", "/shown", 0);
    expect(&daemon, "read /etc/passwd", 0);
    expect(&daemon, "read /etc/shadow", EACCES);
    expect(&daemon, "read /usr/bin", 0);
    expect(&daemon, "read /proc/self/maps", 0);
    expect(&daemon, "read /dev/null", 0);
    expect(&daemon, "read /root", EACCES);
    expect(&daemon, "read /home", EACCES);
    expect(&daemon, "read /var/log", EACCES);
    expect(&daemon, "read /run", EACCES);
    expect_at(&daemon, "write", "/closed", EACCES);
    expect_at(&daemon, "write", "/scratch", 0);
    expect(&daemon, "write ~", 0);
    expect(&daemon, "write ~/tmp", 0);
    expect(&daemon, "write /tmp", EACCES);
    expect(&daemon, "write /dev/shm", can_have_own_shm() ? 0 : EACCES);
    expect(&daemon, "run /bin/true", 0);
    expect(&daemon, "name thread", 0);
    expect(&daemon, "limits of another", EPERM);
    expect(&daemon, "signals to another", EPERM);
    expect(&daemon, "copy /bin/true", EACCES); /* what it wrote it cannot run */
    finish(&daemon);
}

/* The sanitizers' own memory is more than any limit. */
static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

static void limits(void **state)
{
    struct daemon daemon;
    (void)state;
    if (is_sanitized())
        skip();
    prepare_open(&daemon, "worker_memory = \"700M\"\n");
    plan(&daemon, "");
    daemon_run(&daemon);
    pry(&daemon);
    expect(&daemon, "most core", 0);
    assert_true(reported(&daemon, "files") <= 1024);
    assert_true(reported(&daemon, "most files") <= 16384);
    expect(&daemon, "most data", 700 << 20);
    expect(&daemon, "gigabyte", ENOMEM);
    expect(&daemon, "sigpipe ignored", 1);
    finish(&daemon);
}

static void tenants_limit(void **state)
{
    struct daemon daemon;
    char config[200];
    (void)state;
    if (is_sanitized())
        skip();
    (void)snprintf(config, sizeof(config),
                   "worker_memory = \"700M\"\n"
                   "tenant \"user-%u\" {\n uid = {%u}\n worker_memory = \"2G\"\n}\n",
                   geteuid(), geteuid());
    prepare_open(&daemon, config);
    plan(&daemon, "");
    daemon_run(&daemon);
    pry(&daemon);
    expect(&daemon, "data", 2ll << 30);
    expect(&daemon, "gigabyte", 0);
    finish(&daemon);
}

/* What a worker started ends with it, though it tried to get away. */
static void children(void **state)
{
    struct daemon daemon;
    (void)state;
    prepare_open(&daemon, NULL);
    plan(&daemon, "");
    daemon_run(&daemon);
    pry(&daemon);
    assert_true(reported(&daemon, "child") > 0);
    finish(&daemon); /* it waits for the child's end */
}

static bool nobody_can_run(const char *program)
{
    const struct passwd *user = getpwnam("nobody");
    int status = 1;
    pid_t pid = user ? fork() : -1;
    if (pid == 0)
        _exit(setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0 || access(program, X_OK) < 0);
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
    return status == 0;
}

/* Root's workers are not root, unless nobody else can do their work. */
static void users(void **state)
{
    struct daemon daemon;
    (void)state;
    if (geteuid() != 0 || !nobody_can_run(getenv("WORMHOLED")))
        skip();
    prepare_open(&daemon, NULL);
    plan(&daemon, "");
    daemon_run(&daemon);
    pry(&daemon);
    const struct passwd *own = getpwnam("wormhole");
    expect(&daemon, "user", own ? own->pw_uid : getpwnam("nobody")->pw_uid);
    finish(&daemon);

    daemon_prepare(&daemon, NULL); /* its folder is root's alone */
    daemon_run_saying(&daemon, "workers run as root, because the user");
    pry(&daemon);
    expect(&daemon, "user", 0);
    finish(&daemon);

    prepare_open(&daemon, "worker_user = \"root\"\n");
    daemon_run(&daemon);
    pry(&daemon);
    expect(&daemon, "user", 0);
    finish(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),  cmocka_unit_test(litter),        cmocka_unit_test(own_shm),
        cmocka_unit_test(limits), cmocka_unit_test(tenants_limit), cmocka_unit_test(children),
        cmocka_unit_test(users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

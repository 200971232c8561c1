/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wormhole vm`: see vm.h. It writes what the guest has to run, has vm/mkguest.sh make kernel and
 * initramfs, starts QEMU and copies between it and this process until both ended.
 * The guest's words are not trusted: a bad status line ends the run, nothing else.
 * It must never try KVM on a CPU without the flags for it: some hosts offer /dev/kvm and hang
 * guests.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/vm.h"

#include "base/error.h"
#include "base/log.h"
#include "base/util.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define QEMU           "qemu-system-x86_64"
#define VENDORS_FOLDER "/etc/OpenCL/vendors"
#define NS_PER_SECOND  1000000000ull
#define MIB            (1ull << 20)

/* Enough for an emulated CPU on a busy machine; a guest that is not up by then never will be. */
#define BOOT_SECONDS 120u
/* How long a guest may take to power off after its command ended, before QEMU is ended instead. */
#define POWER_OFF_SECONDS 10u
/* What a guest's kernel needs besides the initramfs, which it holds twice while it unpacks it. */
#define KERNEL_MIB 96u

/* -------------------------------------------------------------------------------------------------
 * Lists of arguments
 */

/* Owned strings, ended by NULL. `failed` sticks, so that one check after all additions is enough.
 */
struct list {
    char **items;
    size_t count;
    bool failed;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

#define CLEANUP_LIST __attribute__((cleanup(list_free)))

__attribute__((format(printf, 2, 3))) static void list_add(struct list *list, const char *format,
                                                           ...)
{
    char *item = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&item, format, arguments);
    va_end(arguments);
    char **items = realloc(list->items, (list->count + 2) * sizeof(*items));
    if (items)
        list->items = items;
    if (!items || length < 0) {
        if (length >= 0)
            free(item);
        list->failed = true;
        return;
    }
    items[list->count++] = item;
    items[list->count] = NULL;
}

static void list_add_all(struct list *list, const char **items)
{
    for (; items && *items; items++)
        list_add(list, "%s", *items);
}

/* -------------------------------------------------------------------------------------------------
 * One run's state
 */

enum { STDOUT, STDERR, STATUS, CONSOLE, COMPLAINTS, STREAMS };
#define FIRST_CHARDEVS COMPLAINTS /* streams before this one reach QEMU as character devices */

static const char *const stream_names[] = {
    [STDOUT] = "wormhole.stdout",
    [STDERR] = "wormhole.stderr",
    [STATUS] = "wormhole.status",
    [CONSOLE] = "console",
};

/* Bytes on their way from QEMU. Not more than PIPE_BUF: poll() then promises that a write does not
 * block, so a slow reader of this process's output never keeps it from handling a signal. */
struct stream {
    int from; /* -1 once it ended */
    int to;   /* -1: nowhere */
    size_t begin, end;
    char bytes[PIPE_BUF];
    size_t kept_size; /* of `kept`, the stream's last bytes, for error messages */
    char kept[16384]; /* room for a kernel panic with its stack */
};

struct run {
    const struct wh_vm_options *options;
    struct wh_error error;
    sigset_t old_mask;
    int signals;              /* a signalfd */
    int signal;               /* the one that ended the run, or 0 */
    char directory[PATH_MAX]; /* temporary; empty when there is none */
    char exe[PATH_MAX];
    char emulator[PATH_MAX];
    char program[PATH_MAX]; /* the command's path on this host; empty when it has none here */
    char kernel[PATH_MAX];
    int initrd;
    pid_t qemu;
    int pidfd;
    bool reaped;
    int qemu_status; /* as waitpid() gives it */
    uint64_t start_ns, status_ns;
    struct stream streams[STREAMS];
    bool ready;
    int status; /* the command's, or -1 */
    char line[512];
    size_t line_size;
};

static bool failed(const struct run *run)
{
    return run->error.code != 0 || run->signal != 0;
}

/* -------------------------------------------------------------------------------------------------
 * Finding files of this host
 */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Looks a program up as execvp() would; `found` (PATH_MAX bytes) gets an absolute path. */
static bool find_program(const char *name, char *found)
{
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof(cwd)))
        return false;
    if (strchr(name, '/')) {
        bool absolute = *name == '/';
        int n = snprintf(found, PATH_MAX, "%s%s%s", absolute ? "" : cwd, absolute ? "" : "/", name);
        return n < PATH_MAX && is_program(found);
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t length = strcspn(at, ":");
        int n = snprintf(found, PATH_MAX, "%.*s/%s", (int)length, at, name);
        if (*at == '/' && n < PATH_MAX && is_program(found))
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

/* Puts "FOLDER OF THIS EXECUTABLE/relative" into `path` (PATH_MAX bytes) if that can be read. */
static bool beside_exe(const struct run *run, const char *relative, char *path)
{
    const char *slash = strrchr(run->exe, '/');
    int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - run->exe), run->exe, relative);
    return n < PATH_MAX && access(path, R_OK) == 0;
}

/* Installed, the scripts lie under share/; in a build tree, in the source folder. */
static int find_script(struct run *run, char *path)
{
    if (beside_exe(run, "../share/wormhole/vm/mkguest.sh", path))
        return 0;
#ifdef WH_VM_SOURCE_DIR
    (void)snprintf(path, PATH_MAX, "%s/mkguest.sh", WH_VM_SOURCE_DIR);
    if (access(path, R_OK) == 0)
        return 0;
#endif
    return wh_error_set(&run->error, ENOENT,
                        "share/wormhole/vm/mkguest.sh is not there: install Wormhole's vm files");
}

static bool find_library(const struct run *run, const char *name, char *path)
{
    static const char *const folders[] = {"../lib", "../lib/x86_64-linux-gnu",
                                          "../lib/x86_64-linux-gnu/wormhole", "../lib/wormhole"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        char relative[256];
        (void)snprintf(relative, sizeof(relative), "%s/%s", folders[i], name);
        if (beside_exe(run, relative, path))
            return true;
    }
    return false;
}

static bool cpu_has_virtualization(void)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return false;
    WH_CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (!found && getline(&line, &room, file) > 0) {
        if (strncmp(line, "flags", 5) != 0)
            continue;
        char *rest = NULL;
        for (char *word = strtok_r(line, " \t\n", &rest); word;
             word = strtok_r(NULL, " \t\n", &rest))
            found = found || strcmp(word, "vmx") == 0 || strcmp(word, "svm") == 0;
        break;
    }
    fclose(file);
    return found;
}

static bool kvm_works(void)
{
    if (!cpu_has_virtualization())
        return false;
    WH_CLEANUP_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    return fd >= 0;
}

/* -------------------------------------------------------------------------------------------------
 * What the guest runs
 */

/* For a shell: nothing inside single quotes has a meaning, except their end. */
static void write_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", file);
        else
            fputc(*text, file);
    fputc('\'', file);
}

static void write_variable(FILE *file, const char *assignment)
{
    char *value = strchr(assignment, '=') ? NULL : getenv(assignment);
    WH_CLEANUP_FREE char *joined = NULL;
    if (!strchr(assignment, '=') && (!value || asprintf(&joined, "%s=%s", assignment, value) < 0))
        return;
    fputs(" \\\n", file);
    write_quoted(file, joined ? joined : assignment);
}

static void write_environment(const struct run *run, FILE *file)
{
    char value[2 * PATH_MAX], library[PATH_MAX];
    const char *slash = strrchr(run->exe, '/');
    (void)snprintf(value, sizeof(value), "PATH=%.*s:%s", (int)(slash - run->exe), run->exe,
                   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    write_variable(file, value);
    write_variable(file, "HOME=/root");
    write_variable(file, "USER=root");
    write_variable(file, "LANG=C.UTF-8");
    write_variable(file, "OCL_ICD_VENDORS=" VENDORS_FOLDER);
    if (run->options->socket)
        write_variable(file, "WORMHOLE_SERVER=ivshmem:");
    if (find_library(run, "cuda/libcuda.so.1", library)) {
        *strrchr(library, '/') = '\0';
        (void)snprintf(value, sizeof(value), "LD_LIBRARY_PATH=%s", library);
        write_variable(file, value);
    }
    for (const char **item = run->options->environment; item && *item; item++)
        write_variable(file, *item);
}

/* A shell script. The command starts in the folder where it would have started here. */
static void write_script(const struct run *run, FILE *file, const char *cwd)
{
    fputs("/wormhole/busybox mkdir -p ", file);
    write_quoted(file, cwd);
    fputs("\ncd ", file);
    write_quoted(file, cwd);
    fputs("\nexec /wormhole/busybox env -i", file);
    write_environment(run, file);
    fputs(" \\\n", file);
    write_quoted(file, *run->program ? run->program : run->options->command[0]);
    for (char **argument = run->options->command + 1; *argument; argument++) {
        fputs(" \\\n", file);
        write_quoted(file, *argument);
    }
    fputc('\n', file);
}

static FILE *create_file(struct run *run, const char *name)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", run->directory, name);
    FILE *file = fopen(path, "wxe");
    if (!file)
        wh_error_set(&run->error, errno, "cannot write %s: %s", path, strerror(errno));
    return file;
}

static int close_file(struct run *run, FILE *file)
{
    bool bad = ferror(file) != 0;
    if (fclose(file) == 0 && !bad)
        return 0;
    return wh_error_set(&run->error, EIO, "cannot write into %s: %s", run->directory,
                        strerror(errno));
}

static int create_command(struct run *run)
{
    char cwd[PATH_MAX];
    const char *name = run->options->command[0];
    if (!getcwd(cwd, sizeof(cwd)))
        return wh_error_set(&run->error, errno, "no current folder: %s", strerror(errno));
    if (!find_program(name, run->program))
        *run->program = '\0';
    if (strchr(*run->program ? run->program : name, '='))
        return wh_error_set(&run->error, EINVAL, "%s: the command's path holds a '='", name);
    FILE *file = create_file(run, "cmd");
    if (!file)
        return -1;
    write_script(run, file, cwd);
    return close_file(run, file);
}

/* Adds what belongs to Wormhole itself, under the paths it has here: libraries find each other by
 * paths relative to their own. */
static int add_own_files(struct run *run, struct list *arguments)
{
    static const char *const optional[] = {"cuda/libcuda.so.1", "cuda/libnvidia-ml.so.1"};
    char path[PATH_MAX];
    list_add(arguments, "--file");
    list_add(arguments, "%s", run->exe);
    list_add(arguments, "--library");
    list_add(arguments, "libOpenCL.so.1");
    for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
        if (find_library(run, optional[i], path)) {
            list_add(arguments, "--file");
            list_add(arguments, "%s", path);
        }
    if (!find_library(run, "libwormhole-opencl.so", path))
        return 0;
    list_add(arguments, "--file");
    list_add(arguments, "%s", path);
    list_add(arguments, "--file");
    list_add(arguments, "%s/wormhole.icd:" VENDORS_FOLDER "/wormhole.icd", run->directory);
    FILE *file = create_file(run, "wormhole.icd");
    if (!file)
        return -1;
    fprintf(file, "%s\n", path);
    return close_file(run, file);
}

/* -------------------------------------------------------------------------------------------------
 * Child processes
 */

struct child {
    char **argv;
    int output;      /* becomes stdout and stderr */
    const int *keep; /* descriptors that stay open in it */
    size_t keep_count;
};

/* Only what may be called between fork() and exec in a process that has threads. */
static _Noreturn void become(const struct run *run, const struct child *child, pid_t parent)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    int null = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null < 0 || getppid() != parent)
        _exit(WH_VM_FAILED);
    dup2(null, STDIN_FILENO);
    dup2(child->output, STDOUT_FILENO);
    dup2(child->output, STDERR_FILENO);
    for (size_t i = 0; i < child->keep_count; i++)
        fcntl(child->keep[i], F_SETFD, 0);
    sigaction(SIGPIPE, &standard, NULL);
    sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
    execv(child->argv[0], child->argv);
    _exit(WH_VM_FAILED);
}

/* Starts a program in a process group of its own. Returns its id, and a pidfd in `pidfd`. */
static pid_t spawn(struct run *run, const struct child *child, int *pidfd)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(run, child, parent);
    if (pid < 0)
        return wh_error_set(&run->error, errno, "cannot start %s: %s", child->argv[0],
                            strerror(errno));
    /* In both processes, so that neither runs on without it. */
    setpgid(pid, pid);
    *pidfd = pidfd_open(pid, 0);
    if (*pidfd >= 0)
        return pid;
    wh_error_set(&run->error, errno, "cannot watch %s: %s", child->argv[0], strerror(errno));
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

static int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void take_signal(struct run *run)
{
    struct signalfd_siginfo info;
    if (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        run->signal = (int)info.ssi_signo;
}

/* Waits for a child while signals are heeded; they end it. Returns its status as waitpid() does. */
static int wait_child(struct run *run, pid_t pid, int pidfd)
{
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN}, {.fd = run->signals, .events = POLLIN}};
    while (!fds[0].revents && !run->signal)
        if (poll(fds, 2, -1) > 0 && fds[1].revents)
            take_signal(run);
    if (run->signal)
        kill(-pid, SIGTERM);
    return reap(pid);
}

/* -------------------------------------------------------------------------------------------------
 * Kernel and initramfs
 */

static int create_directory(struct run *run)
{
    const char *parent = getenv("TMPDIR");
    if (!parent || *parent != '/')
        parent = "/tmp";
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/wormhole-vm-XXXXXX", parent);
    if (n >= PATH_MAX - 64 || !mkdtemp(path))
        return wh_error_set(&run->error, errno, "cannot make a temporary folder in %s: %s", parent,
                            strerror(errno));
    memcpy(run->directory, path, (size_t)n + 1);
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

static void remove_directory(struct run *run)
{
    if (*run->directory)
        nftw(run->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    *run->directory = '\0';
}

static int run_script(struct run *run, struct list *arguments)
{
    if (arguments->failed)
        return wh_error_set(&run->error, ENOMEM, "out of memory");
    struct child child = {.argv = arguments->items, .output = STDERR_FILENO};
    WH_CLEANUP_CLOSE int pidfd = -1;
    pid_t pid = spawn(run, &child, &pidfd);
    if (pid < 0)
        return -1;
    int status = wait_child(run, pid, pidfd);
    if (run->signal)
        return -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    /* 1: it has said why. */
    bool silent = WIFEXITED(status) && WEXITSTATUS(status) == 1;
    return wh_error_set(&run->error, EIO, "%s",
                        silent ? "" : "mkguest.sh cannot make the guest's files");
}

/* Opens what the script made. The folder can go then: QEMU opens the initramfs by descriptor. */
static int open_images(struct run *run)
{
    char path[PATH_MAX + 32];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/kernel", run->directory);
    ssize_t n = readlink(path, run->kernel, sizeof(run->kernel) - 1);
    (void)snprintf(path, sizeof(path), "%s/initrd", run->directory);
    run->initrd = open(path, O_RDONLY | O_CLOEXEC);
    if (n < 0 || run->initrd < 0 || fstat(run->initrd, &status) < 0)
        return wh_error_set(&run->error, errno, "%s: %s", path, strerror(errno));
    run->kernel[n] = '\0';
    uint64_t needed = 2 * (uint64_t)status.st_size / MIB + KERNEL_MIB;
    if (needed > run->options->memory_mib)
        return wh_error_set(&run->error, ENOMEM,
                            "the guest's files need %llu MiB of memory: use --memory",
                            (unsigned long long)needed);
    return 0;
}

static int make_guest(struct run *run)
{
    char script[PATH_MAX];
    CLEANUP_LIST struct list arguments = {0};
    if (create_directory(run) < 0 || find_script(run, script) < 0 || create_command(run) < 0)
        return -1;
    list_add(&arguments, "%s", script);
    list_add(&arguments, "--out");
    list_add(&arguments, "%s", run->directory);
    list_add(&arguments, "--file");
    list_add(&arguments, "%s/cmd:/wormhole/cmd", run->directory);
    if (add_own_files(run, &arguments) < 0)
        return -1;
    list_add_all(&arguments, run->options->guest_args);
    list_add(&arguments, "--");
    if (*run->program)
        list_add(&arguments, "%s", run->program);
    if (run_script(run, &arguments) < 0 || open_images(run) < 0)
        return -1;
    remove_directory(run);
    return 0;
}

/* -------------------------------------------------------------------------------------------------
 * QEMU
 */

static void add_machine(const struct run *run, struct list *arguments)
{
    static const char *const fixed[] = {
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        list_add(arguments, "%s", fixed[i]);
    bool kvm = kvm_works();
    list_add(arguments, "-accel");
    list_add(arguments, kvm ? "kvm" : "tcg,thread=multi");
    list_add(arguments, "-cpu");
    list_add(arguments, kvm ? "host" : "max");
    list_add(arguments, "-m");
    list_add(arguments, "%u", run->options->memory_mib);
    list_add(arguments, "-smp");
    list_add(arguments, "%u", run->options->cpus);
}

/* panic=-1 reboots at once, which -no-reboot turns into QEMU's end. ramfs, because a tmpfs would
 * stop at half of the memory. */
static void add_kernel(const struct run *run, struct list *arguments)
{
    list_add(arguments, "-kernel");
    list_add(arguments, "%s", run->kernel);
    list_add(arguments, "-initrd");
    list_add(arguments, "/proc/self/fd/%d", run->initrd);
    list_add(arguments, "-append");
    list_add(arguments,
             "console=ttyS0 panic=-1 rootfstype=ramfs random.trust_cpu=on cryptomgr.notests"
             " no_timer_check%s",
             run->options->verbose ? "" : " quiet");
}

static void add_chardevs(struct list *arguments, const int *theirs)
{
    list_add(arguments, "-device");
    list_add(arguments, "virtio-serial-pci");
    for (int i = 0; i < FIRST_CHARDEVS; i++) {
        list_add(arguments, "-chardev");
        list_add(arguments, "socket,id=%s,fd=%d", stream_names[i], theirs[i]);
        list_add(arguments, i == CONSOLE ? "-serial" : "-device");
        if (i == CONSOLE)
            list_add(arguments, "chardev:%s", stream_names[i]);
        else
            list_add(arguments, "virtserialport,chardev=%s,name=%s", stream_names[i],
                     stream_names[i]);
    }
}

static void add_ivshmem(const struct run *run, struct list *arguments)
{
    char escaped[2 * PATH_MAX];
    size_t used = 0;
    if (!run->options->socket)
        return;
    /* A comma ends a value in QEMU's options; two stand for one. */
    for (const char *at = run->options->socket; *at && used + 3 < sizeof(escaped); at++) {
        escaped[used++] = *at;
        if (*at == ',')
            escaped[used++] = ',';
    }
    escaped[used] = '\0';
    list_add(arguments, "-chardev");
    list_add(arguments, "socket,path=%s,id=wh", escaped);
    list_add(arguments, "-device");
    list_add(arguments, "ivshmem-doorbell,chardev=wh");
}

/* A pair of sockets for each character device, a pipe for QEMU's own words. */
static int open_streams(struct run *run, int *theirs)
{
    for (int i = 0; i < STREAMS; i++) {
        int pair[2];
        int result = i < FIRST_CHARDEVS ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)
                                        : pipe2(pair, O_CLOEXEC);
        if (result < 0)
            return wh_error_set(&run->error, errno, "cannot make a channel: %s", strerror(errno));
        run->streams[i].from = pair[0];
        theirs[i] = pair[1];
    }
    run->streams[STDOUT].to = STDOUT_FILENO;
    run->streams[STDERR].to = STDERR_FILENO;
    run->streams[CONSOLE].to = run->options->verbose ? STDERR_FILENO : -1;
    run->streams[COMPLAINTS].to = run->options->verbose ? STDERR_FILENO : -1;
    return 0;
}

static int spawn_qemu(struct run *run, const int *theirs)
{
    CLEANUP_LIST struct list arguments = {0};
    list_add(&arguments, "%s", run->emulator);
    add_machine(run, &arguments);
    add_kernel(run, &arguments);
    add_chardevs(&arguments, theirs);
    add_ivshmem(run, &arguments);
    list_add_all(&arguments, run->options->qemu_args);
    if (arguments.failed)
        return wh_error_set(&run->error, ENOMEM, "out of memory");
    int keep[FIRST_CHARDEVS + 1];
    memcpy(keep, theirs, sizeof(*theirs) * FIRST_CHARDEVS);
    keep[FIRST_CHARDEVS] = run->initrd;
    struct child child = {.argv = arguments.items,
                          .output = theirs[COMPLAINTS],
                          .keep = keep,
                          .keep_count = FIRST_CHARDEVS + 1};
    run->start_ns = wh_now_ns();
    run->qemu = spawn(run, &child, &run->pidfd);
    return run->qemu < 0 ? -1 : 0;
}

static int start_qemu(struct run *run)
{
    int theirs[STREAMS] = {-1, -1, -1, -1, -1};
    int result = open_streams(run, theirs);
    if (result == 0)
        result = spawn_qemu(run, theirs);
    for (int i = 0; i < STREAMS; i++)
        wh_close_fd(&theirs[i]);
    return result;
}

/* -------------------------------------------------------------------------------------------------
 * Words from the guest's init (see vm/init)
 */

static void take_line(struct run *run, char *line)
{
    if (strcmp(line, "ready") == 0) {
        run->ready = true;
        return;
    }
    for (char *at = line; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
    char *end;
    if (strncmp(line, "exit ", 5) == 0 && isdigit((unsigned char)line[5]) && run->status < 0) {
        unsigned long status = strtoul(line + 5, &end, 10);
        if (*end == '\0' && status <= 255) {
            run->status = (int)status;
            run->status_ns = wh_now_ns();
            return;
        }
    }
    if (strncmp(line, "error ", 6) == 0)
        wh_error_set(&run->error, EIO, "the guest: %.200s", line + 6);
    else
        wh_error_set(&run->error, EPROTO, "the guest's init says \"%.100s\", which means nothing",
                     line);
}

static void take_status(struct run *run, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !failed(run); i++) {
        if (bytes[i] == '\n') {
            run->line[run->line_size] = '\0';
            run->line_size = 0;
            take_line(run, run->line);
        } else if (run->line_size + 1 < sizeof(run->line)) {
            run->line[run->line_size++] = bytes[i];
        } else {
            wh_error_set(&run->error, EPROTO, "the guest's init sent too long a line");
        }
    }
}

/* -------------------------------------------------------------------------------------------------
 * Copying
 */

static void keep_tail(struct stream *stream)
{
    size_t size = stream->end;
    const char *bytes = stream->bytes;
    size_t room = sizeof(stream->kept);
    if (size > room) {
        bytes += size - room;
        size = room;
    }
    size_t old = stream->kept_size + size > room ? room - size : stream->kept_size;
    memmove(stream->kept, stream->kept + stream->kept_size - old, old);
    memcpy(stream->kept + old, bytes, size);
    stream->kept_size = old + size;
}

static void fill(struct run *run, struct stream *stream)
{
    ssize_t n = read(stream->from, stream->bytes, sizeof(stream->bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(stream->from);
        stream->from = -1;
        return;
    }
    stream->begin = 0;
    stream->end = (size_t)n;
    if (stream == &run->streams[STATUS])
        take_status(run, stream->bytes, stream->end);
    if (stream == &run->streams[CONSOLE] || stream == &run->streams[COMPLAINTS])
        keep_tail(stream);
    if (stream->to < 0)
        stream->begin = stream->end;
}

/* A reader that went away ends the run as it would end the command itself. */
static void drain(struct run *run, struct stream *stream)
{
    ssize_t n = write(stream->to, stream->bytes + stream->begin, stream->end - stream->begin);
    if (n >= 0)
        stream->begin += (size_t)n;
    else if (errno == EPIPE)
        run->signal = SIGPIPE;
    else if (errno != EINTR && errno != EAGAIN)
        wh_error_set(&run->error, errno, "cannot write the command's output: %s", strerror(errno));
}

static void step(struct run *run, struct stream *stream)
{
    if (stream->begin < stream->end)
        drain(run, stream);
    else
        fill(run, stream);
}

static bool at_end(const struct run *run)
{
    for (int i = 0; i < STREAMS; i++)
        if (run->streams[i].from >= 0 || run->streams[i].begin < run->streams[i].end)
            return false;
    return run->reaped;
}

/* The next moment at which waiting makes no sense any more, in monotonic ns; UINT64_MAX: none. */
static uint64_t deadline_of(const struct run *run)
{
    uint64_t deadline = UINT64_MAX;
    if (run->status >= 0)
        return run->reaped ? deadline : run->status_ns + POWER_OFF_SECONDS * NS_PER_SECOND;
    if (run->options->timeout_seconds)
        deadline = run->start_ns + run->options->timeout_seconds * NS_PER_SECOND;
    uint64_t boot = run->start_ns + BOOT_SECONDS * NS_PER_SECOND;
    return !run->ready && boot < deadline ? boot : deadline;
}

static int poll_timeout_ms(const struct run *run)
{
    uint64_t deadline = deadline_of(run), now = wh_now_ns();
    if (deadline == UINT64_MAX)
        return -1;
    if (deadline <= now)
        return 0;
    uint64_t ms = (deadline - now) / 1000000u + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void heed_deadline(struct run *run)
{
    unsigned seconds = run->options->timeout_seconds;
    if (wh_now_ns() < deadline_of(run))
        return;
    if (run->status >= 0)
        kill(-run->qemu, SIGKILL); /* a guest that cannot power off; its command's status stands */
    else if (seconds && wh_now_ns() >= run->start_ns + seconds * NS_PER_SECOND)
        wh_error_set(&run->error, ETIMEDOUT, "the guest did not end within %u s (--timeout)",
                     seconds);
    else
        wh_error_set(&run->error, ETIMEDOUT,
                     "the guest's command did not start within %u s; --verbose shows why",
                     BOOT_SECONDS);
}

static void heed_events(struct run *run, const struct pollfd *fds)
{
    for (int i = 0; i < STREAMS; i++)
        if (fds[i].revents && !failed(run))
            step(run, &run->streams[i]);
    if (fds[STREAMS].revents)
        take_signal(run);
    if (fds[STREAMS + 1].revents) {
        run->qemu_status = reap(run->qemu);
        run->reaped = true;
    }
}

/* Copies until QEMU and all it wrote ended, or until the run failed. */
static void relay(struct run *run)
{
    while (!failed(run) && !at_end(run)) {
        struct pollfd fds[STREAMS + 2];
        for (int i = 0; i < STREAMS; i++) {
            const struct stream *stream = &run->streams[i];
            bool full = stream->begin < stream->end;
            fds[i] = (struct pollfd){.fd = full ? stream->to : stream->from,
                                     .events = full ? POLLOUT : POLLIN};
        }
        fds[STREAMS] = (struct pollfd){.fd = run->signals, .events = POLLIN};
        fds[STREAMS + 1] = (struct pollfd){.fd = run->reaped ? -1 : run->pidfd, .events = POLLIN};
        if (poll(fds, STREAMS + 2, poll_timeout_ms(run)) > 0)
            heed_events(run, fds);
        heed_deadline(run);
    }
}

/* -------------------------------------------------------------------------------------------------
 * The whole
 */

/* Finds the last line in `stream` that holds `text`. Returns its length, 0 when there is none. */
static int last_line(const struct stream *stream, const char *text, const char **line)
{
    const char *end = stream->kept + stream->kept_size;
    size_t length = strlen(text);
    int found = 0;
    for (const char *at = stream->kept; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop - at > 1 && memmem(at, (size_t)(stop - at), text, length)) {
            *line = at;
            found = (int)(stop - at);
        }
        at = stop + 1;
    }
    return found;
}

/* QEMU ended and there is no status: its own complaint says why, or the guest kernel's. */
static void explain(struct run *run)
{
    const char *line = NULL;
    char why[200];
    int length = last_line(&run->streams[CONSOLE], "Kernel panic", &line);
    if (!length)
        length = last_line(&run->streams[COMPLAINTS], "", &line);
    if (!length && run->ready)
        line = "it was powered off before its command ended";
    else if (!length)
        line = "it did not start; --verbose shows why";
    (void)snprintf(why, sizeof(why), "%.*s", length ? length : INT_MAX, line);
    for (char *at = why; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = at[1] ? '?' : '\0';
    if (WIFSIGNALED(run->qemu_status))
        wh_error_set(&run->error, EIO, "QEMU was ended by signal %d: %s",
                     WTERMSIG(run->qemu_status), why);
    else
        wh_error_set(&run->error, EIO, "the guest ended without an exit status: %s", why);
}

static int find_programs(struct run *run)
{
    ssize_t n = readlink("/proc/self/exe", run->exe, sizeof(run->exe) - 1);
    if (n <= 0)
        return wh_error_set(&run->error, errno, "/proc/self/exe: %s", strerror(errno));
    run->exe[n] = '\0';
    if (!find_program(QEMU, run->emulator))
        return wh_error_set(&run->error, ENOENT, "no " QEMU ": apt-get install qemu-system-x86");
    return 0;
}

static void run_guest(struct run *run)
{
    if (find_programs(run) < 0 || make_guest(run) < 0 || start_qemu(run) < 0)
        return;
    relay(run);
    if (!failed(run) && run->status < 0)
        explain(run);
}

static void clean_up(struct run *run)
{
    if (run->qemu > 0 && !run->reaped) {
        kill(-run->qemu, SIGKILL);
        reap(run->qemu);
    }
    for (int i = 0; i < STREAMS; i++)
        wh_close_fd(&run->streams[i].from);
    wh_close_fd(&run->pidfd);
    wh_close_fd(&run->initrd);
    wh_close_fd(&run->signals);
    remove_directory(run);
}

/* Signals come as events while the guest runs; a closed stdout is an error value, not a signal. */
static int take_over_signals(struct run *run, struct sigaction *old_pipe)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &mask, &run->old_mask);
    sigaction(SIGPIPE, &ignore, old_pipe);
    run->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0)
        return wh_error_set(&run->error, errno, "signalfd: %s", strerror(errno));
    return 0;
}

int wh_vm_run(const struct wh_vm_options *options)
{
    struct sigaction old_pipe;
    WH_CLEANUP_FREE struct run *run = calloc(1, sizeof(*run));
    if (!run) {
        wh_log("out of memory");
        return WH_VM_FAILED;
    }
    run->options = options;
    run->initrd = run->pidfd = run->status = -1;
    for (int i = 0; i < STREAMS; i++)
        run->streams[i].from = run->streams[i].to = -1;
    if (take_over_signals(run, &old_pipe) == 0)
        run_guest(run);
    clean_up(run);
    sigaction(SIGPIPE, &old_pipe, NULL);
    pthread_sigmask(SIG_SETMASK, &run->old_mask, NULL);
    if (run->signal)
        return 128 + run->signal;
    if (!run->error.code)
        return run->status;
    if (*run->error.text)
        wh_log("%s", run->error.text);
    return WH_VM_FAILED;
}

/* -------------------------------------------------------------------------------------------------
 * Command line
 */

enum {
    OPTION_MEMORY = 'm',
    OPTION_CPUS = 'c',
    OPTION_ENV = 'e',
    OPTION_FILE = 'f',
    OPTION_VERBOSE = 'v',
    OPTION_TREE = 256,
    OPTION_MODULE,
    OPTION_REGION_SIZE,
    OPTION_SOCKET,
    OPTION_TIMEOUT,
    OPTION_QEMU_ARG
};

static const struct argp_option option_table[] = {
    {"memory", OPTION_MEMORY, "MIB", 0, "The guest's memory (512)", 0},
    {"cpus", OPTION_CPUS, "N", 0, "The guest's CPUs (1)", 0},
    {"env", OPTION_ENV, "NAME[=VALUE]", 0,
     "Set a variable for CMD, or pass it on; nothing else is passed on", 0},
    {"file", OPTION_FILE, "HOSTPATH[:GUESTPATH]", 0,
     "Copy a file into the guest, with the libraries that it needs", 0},
    {"tree", OPTION_TREE, "DIR[:GUESTPATH]", 0, "Copy a folder into the guest", 0},
    {"module", OPTION_MODULE, "NAME", 0, "Load a module into the guest's kernel", 0},
    {"socket", OPTION_SOCKET, "PATH", 0,
     "Give the guest the shared memory of the ivshmem server at PATH", 0},
    {"region-size", OPTION_REGION_SIZE, "SIZE", 0,
     "Size of the shared memory when this process serves it (256M)", 0},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "End the guest after so long", 0},
    {"qemu-arg", OPTION_QEMU_ARG, "ARG", 0, "Pass ARG to QEMU", 0},
    {"verbose", OPTION_VERBOSE, NULL, 0, "Show the guest kernel's messages on stderr", 0},
    {0},
};

/* The lists have room for every argument there is. */
struct parsed {
    struct wh_vm_options options;
    size_t guest_args, qemu_args, environment;
};

static unsigned parse_number(const char *text, const char *what, unsigned least,
                             struct argp_state *state)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > 1u << 30)
        argp_error(state, "--%s: %s is not a number from %u on", what, text, least);
    return (unsigned)value;
}

static void parse_region_size(struct wh_vm_options *options, const char *text,
                              struct argp_state *state)
{
    if (wh_parse_size(text, &options->region_size) < 0 || options->region_size < MIB ||
        (options->region_size & (options->region_size - 1)) != 0)
        argp_error(state, "--region-size: %s is not a power of two from 1M on", text);
}

static void add_guest_arg(struct parsed *parsed, const char *name, const char *value)
{
    parsed->options.guest_args[parsed->guest_args++] = name;
    parsed->options.guest_args[parsed->guest_args++] = value;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct parsed *parsed = state->input;
    struct wh_vm_options *options = &parsed->options;
    switch (key) {
    case OPTION_MEMORY:
        options->memory_mib = parse_number(value, "memory", 1, state);
        return 0;
    case OPTION_CPUS:
        options->cpus = parse_number(value, "cpus", 1, state);
        return 0;
    case OPTION_TIMEOUT:
        options->timeout_seconds = parse_number(value, "timeout", 1, state);
        return 0;
    case OPTION_REGION_SIZE:
        parse_region_size(options, value, state);
        return 0;
    case OPTION_FILE:
        add_guest_arg(parsed, "--file", value);
        return 0;
    case OPTION_TREE:
        add_guest_arg(parsed, "--tree", value);
        return 0;
    case OPTION_MODULE:
        add_guest_arg(parsed, "--module", value);
        return 0;
    case OPTION_ENV:
        options->environment[parsed->environment++] = value;
        return 0;
    case OPTION_QEMU_ARG:
        options->qemu_args[parsed->qemu_args++] = value;
        return 0;
    case OPTION_SOCKET:
        options->socket = value;
        return 0;
    case OPTION_VERBOSE:
        options->verbose = true;
        return 0;
    case ARGP_KEY_ARG:
        options->command = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command is the guest to run?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "-- CMD ARG...",
    .doc =
        "Run CMD in a throwaway virtual machine that has no accelerator.\v"
        "The guest holds CMD, the files named here, the libraries that they need, and busybox. "
        "Its output comes here, its input is empty, and its exit status is returned: 128 + N when "
        "signal N ended it, 125 when the guest failed.",
};

static int check_options(const struct wh_vm_options *options)
{
    if (!options->region_size)
        return 0;
    /* The size is the server's business; a caller that serves the region calls wh_vm_run itself. */
    wh_log(options->socket ? "--region-size: the server behind --socket chooses the size"
                           : "--region-size: there is no server to make a region: use --socket");
    return -1;
}

int wh_cli_vm(int argc, char **argv)
{
    size_t room = 2 * (size_t)argc + 1;
    WH_CLEANUP_FREE const char **lists = calloc(3 * room, sizeof(*lists));
    if (!lists) {
        wh_log("out of memory");
        return WH_VM_FAILED;
    }
    struct parsed parsed = {.options = {.memory_mib = 512,
                                        .cpus = 1,
                                        .guest_args = lists,
                                        .qemu_args = lists + room,
                                        .environment = lists + 2 * room}};
    static char name[] = "wormhole vm"; /* in argp's messages */
    argv[0] = name;
    argp_err_exit_status = WH_VM_FAILED;
    if (argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &parsed) != 0)
        return WH_VM_FAILED;
    if (check_options(&parsed.options) < 0)
        return WH_VM_FAILED;
    return wh_vm_run(&parsed.options);
}

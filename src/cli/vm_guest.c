/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest runs, and its kernel and initramfs; see vm_run.h. */
#include "cli/vm_run.h"

#include "base/util.h"
#include "cli/host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VENDORS_FOLDER "/etc/OpenCL/vendors"
#define MIB            (1ull << 20)

/* What a guest's kernel needs besides the initramfs, which it holds twice while it unpacks it. */
#define KERNEL_MIB 96u

/* Installed, the scripts lie under share/; in a build tree, in the source folder. */
static int find_script(struct run *run, char *path)
{
    if (wh_host_beside("../share/wormhole/vm/mkguest.sh", path))
        return 0;
#ifdef WH_VM_SOURCE_DIR
    (void)snprintf(path, PATH_MAX, "%s/mkguest.sh", WH_VM_SOURCE_DIR);
    if (access(path, R_OK) == 0)
        return 0;
#endif
    return wh_error_set(&run->error, ENOENT,
                        "share/wormhole/vm/mkguest.sh is not there: install Wormhole's vm files");
}

/* ---- what the guest runs ---- */

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

/* Where libcuda.so.1 is, and in the guest all that programs find by its name. */
static bool find_cuda_folder(char *path)
{
    if (!wh_host_library("cuda/libcuda.so.1", path))
        return false;
    *strrchr(path, '/') = '\0';
    return true;
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
    if (find_cuda_folder(library)) {
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
    if (!wh_host_program(name, run->program))
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
    static const char *const names[] = {"libcuda.so.1", "libnvidia-ml.so.1", "libcupti.so.13"};
    char path[PATH_MAX], folder[PATH_MAX], name[64];
    wh_vm_list_add(arguments, "--file");
    wh_vm_list_add(arguments, "%s", run->exe);
    wh_vm_list_add(arguments, "--library");
    wh_vm_list_add(arguments, "libOpenCL.so.1");
    bool has_cuda = find_cuda_folder(folder);
    for (size_t i = 0; has_cuda && i < sizeof(names) / sizeof(*names); i++) {
        (void)snprintf(name, sizeof(name), "cuda/%s", names[i]);
        if (!wh_host_library(name, path))
            continue;
        wh_vm_list_add(arguments, "--file");
        wh_vm_list_add(arguments, "%s:%s/%s", path, folder, names[i]);
    }
    if (!wh_host_library("libwormhole-opencl.so", path))
        return 0;
    wh_vm_list_add(arguments, "--file");
    wh_vm_list_add(arguments, "%s", path);
    wh_vm_list_add(arguments, "--file");
    wh_vm_list_add(arguments, "%s/wormhole.icd:" VENDORS_FOLDER "/wormhole.icd", run->directory);
    FILE *file = create_file(run, "wormhole.icd");
    if (!file)
        return -1;
    fprintf(file, "%s\n", path);
    return close_file(run, file);
}

/* ---- kernel and initramfs ---- */

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

void wh_vm_remove_directory(struct run *run)
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
    pid_t pid = wh_vm_spawn(run, &child, &pidfd);
    if (pid < 0)
        return -1;
    int status = wh_vm_wait_child(run, pid, pidfd);
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

int wh_vm_make_guest(struct run *run)
{
    char script[PATH_MAX];
    CLEANUP_LIST struct list arguments = {0};
    if (create_directory(run) < 0 || find_script(run, script) < 0 || create_command(run) < 0)
        return -1;
    wh_vm_list_add(&arguments, "%s", script);
    wh_vm_list_add(&arguments, "--out");
    wh_vm_list_add(&arguments, "%s", run->directory);
    wh_vm_list_add(&arguments, "--file");
    wh_vm_list_add(&arguments, "%s/cmd:/wormhole/cmd", run->directory);
    if (add_own_files(run, &arguments) < 0)
        return -1;
    wh_vm_list_add_all(&arguments, run->options->guest_args);
    wh_vm_list_add(&arguments, "--");
    if (*run->program)
        wh_vm_list_add(&arguments, "%s", run->program);
    if (run_script(run, &arguments) < 0 || open_images(run) < 0)
        return -1;
    wh_vm_remove_directory(run);
    return 0;
}

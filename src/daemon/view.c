/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's view of the file system, by Landlock (landlock(7)); see view.h. */
#include "daemon/view.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Before the second version, no file could be moved from one folder to another: compilers' caches
 * need that. */
#define LEAST_VERSION 2

/* Newer than some systems' headers. */
#define ACCESS_TRUNCATE       (1ull << 14) /* from version 3 */
#define SCOPE_ABSTRACT_SOCKET (1ull << 0)  /* from version 6 */
#define SCOPE_SIGNAL          (1ull << 1)

struct ruleset {
    uint64_t files, network, scopes;
};

#define READ \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define DEVICE                                                                                    \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR | \
     ACCESS_TRUNCATE)
/* What it writes it cannot execute, though a library that it writes can be loaded. */
#define WRITE                                                                                   \
    (DEVICE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                  \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
/* The daemon clears up there, and looks for files only. */
#define WRITE_SHM (DEVICE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define ALL       (READ | WRITE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
/* The rights that a file, as opposed to a folder, can have. */
#define OF_FILE                                                                                  \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
     ACCESS_TRUNCATE)

/* Programs, libraries, and how the machine looks. */
static const char *const system_folders[] = {"/usr",   "/bin",    "/sbin", "/lib", "/lib32",
                                             "/lib64", "/libx32", "/opt",  "/nix", "/gnu",
                                             "/proc",  "/sys",    NULL};

/* Of /etc, what loaders and libraries read; keys and passwords lie there too. */
static const char *const settings[] = {"/etc/OpenCL",        "/etc/ld.so.*",   "/etc/nvidia*",
                                       "/etc/alternatives",  "/etc/passwd",    "/etc/group",
                                       "/etc/nsswitch.conf", "/etc/localtime", "/etc/locale*",
                                       "/etc/host*",         "/etc/pocl*",     NULL};

static const char *const devices[] = {
    "/dev/null",    "/dev/zero",  "/dev/full", "/dev/random", "/dev/urandom",
    "/dev/nvidia*", "/dev/dri",   "/dev/kfd",  "/dev/accel",  "/dev/mali*",
    "/dev/dxg",     "/dev/xdna*", "/dev/hl*",  NULL};

/* Variables that hold folders or files, with colons between them. */
static const char *const read_variables[] = {"LD_LIBRARY_PATH",
                                             "OCL_ICD_VENDORS",
                                             "OPENCL_VENDOR_PATH",
                                             "OCL_ICD_FILENAMES",
                                             "WORMHOLE_OPENCL_LIBRARY",
                                             "WORMHOLE_CUDA_LIBRARY",
                                             NULL};
static const char *const write_variables[] = {"POCL_CACHE_DIR", "CUDA_CACHE_PATH", NULL};

static int version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool wh_view_supported(void)
{
    return version() >= LEAST_VERSION;
}

/* ---- rules ---- */

/* A ruleset under construction. An error sticks; what is not there needs no rule. */
struct view {
    int ruleset;
    uint64_t handled;
    bool failed;
};

static void grant(struct view *view, const char *path, uint64_t rights)
{
    struct stat status;
    WH_CLEANUP_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || view->failed)
        return;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = rights & view->handled & (S_ISDIR(status.st_mode) ? ALL : OF_FILE),
        .parent_fd = fd};
    view->failed =
        syscall(SYS_landlock_add_rule, view->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0;
}

/* Drivers name their threads, and do not start where they cannot. The descriptor stays open in the
 * worker: a rule holds for a folder of /proc only as long as somebody holds the folder. */
static void grant_own_threads(struct view *view)
{
    int fd = open("/proc/self/task", O_PATH);
    struct landlock_path_beneath_attr rule = {.allowed_access = (READ | DEVICE) & view->handled,
                                              .parent_fd = fd};
    if (fd >= 0 && !view->failed)
        view->failed =
            syscall(SYS_landlock_add_rule, view->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0;
}

static void grant_all(struct view *view, const char *const *patterns, uint64_t rights)
{
    for (; *patterns; patterns++) {
        glob_t found = {0};
        if (glob(*patterns, GLOB_NOSORT, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++)
                grant(view, found.gl_pathv[i], rights);
        globfree(&found);
    }
}

/* A library finds others beside itself: a file's whole folder is readable. */
static void grant_with_folder(struct view *view, const char *path)
{
    char real[PATH_MAX];
    struct stat status;
    if (*path != '/' || !realpath(path, real) || stat(real, &status) < 0)
        return;
    if (!S_ISDIR(status.st_mode))
        *strrchr(real, '/') = '\0';
    if (*real) /* never the whole file system */
        grant(view, real, READ);
}

/* An OpenCL loader reads the folder's .icd files, which name libraries. */
static void grant_vendors(struct view *view, const char *folder)
{
    char pattern[PATH_MAX], line[PATH_MAX];
    glob_t found = {0};
    (void)snprintf(pattern, sizeof(pattern), "%s/*.icd", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            FILE *file = fopen(found.gl_pathv[i], "re");
            if (file && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = '\0';
                grant_with_folder(view, line);
            }
            if (file)
                (void)fclose(file);
        }
    globfree(&found);
}

static void grant_variables(struct view *view)
{
    for (const char *const *name = read_variables; *name; name++) {
        const char *value = getenv(*name);
        WH_CLEANUP_FREE char *copy = value ? strdup(value) : NULL;
        char *rest = copy;
        for (char *path; (path = strsep(&rest, ":"));) {
            grant_with_folder(view, path);
            if (*path)
                grant_vendors(view, path);
        }
    }
    for (const char *const *name = write_variables; *name; name++)
        if (getenv(*name))
            grant(view, getenv(*name), WRITE);
}

/* The worker's program, and the libraries that were installed with it. */
static void grant_worker(struct view *view, const char *worker)
{
    char libraries[PATH_MAX + 32];
    grant_with_folder(view, worker);
    (void)snprintf(libraries, sizeof(libraries), "%.*s/../lib/wormhole",
                   (int)(strrchr(worker, '/') - worker), worker);
    grant(view, libraries, READ);
}

static void grant_everything(struct view *view, const struct wh_config *config, const char *home)
{
    grant_all(view, system_folders, READ);
    grant_all(view, settings, READ);
    grant_all(view, devices, DEVICE);
    grant_own_threads(view);
    grant_vendors(view, "/etc/OpenCL/vendors");
    grant_variables(view);
    grant_worker(view, config->worker);
    for (size_t i = 0; i < config->worker_reads.count; i++)
        grant(view, config->worker_reads.paths[i], READ);
    for (size_t i = 0; i < config->worker_writes.count; i++)
        grant(view, config->worker_writes.paths[i], WRITE);
    if (*home)
        grant(view, home, WRITE);
}

int wh_view_enter(const struct wh_config *config, const char *home, bool own_shm)
{
    int known = version();
    if (known < LEAST_VERSION)
        return 0;
    struct ruleset ruleset = {.files = known >= 3 ? ALL : ALL & ~ACCESS_TRUNCATE,
                              .scopes = known >= 6 ? SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL : 0};
    /* Older kernels know a shorter structure, and accept a longer one whose rest is zero. */
    WH_CLEANUP_CLOSE int fd =
        (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
    struct view view = {.ruleset = fd, .handled = ruleset.files};
    if (fd < 0)
        return -1;
    grant_everything(&view, config, home);
    if (own_shm)
        grant(&view, "/dev/shm", WRITE_SHM);
    if (view.failed || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_landlock_restrict_self, fd, 0);
}

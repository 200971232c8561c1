/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the daemon; see daemon.h. */
#include "daemon/daemon.h"

#include "base/log.h"
#include "base/util.h"
#include "channel/unix.h"
#include "daemon/admin.h"
#include "daemon/config.h"
#include "daemon/server.h"
#include "daemon/spawn.h"
#include "daemon/view.h"
#include "wire/hello.h"

#include <argp.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define SYSTEM_STATE_DIR "/var/cache/wormhole"
#define USER_STATE_DIR   "wormhole/workers" /* in the user's cache */

enum {
    OPTION_CONFIG = 'c',
    OPTION_LISTEN = 'l',
    OPTION_VM = 'V',
    OPTION_REGION = 'r',
    OPTION_AGENT = 'a',
    OPTION_CHECK = 256
};

static const struct argp_option options[] = {
    {"config", OPTION_CONFIG, "FILE", 0, "Read FILE instead of " WH_CONFIG_FILE, 0},
    {"listen", OPTION_LISTEN, "URL", 0,
     "Listen there instead of where the configuration says, e.g. unix:/PATH", 0},
    {"vm", OPTION_VM, "NAME=SOCKET[,REGION[,SERVICE[,AGENT]]]", 0,
     "Serve a VM whose QEMU connects to SOCKET, with a region of that size (256M)", 0},
    {"region", OPTION_REGION, "ivshmem:[ADDRESS]", 0,
     "In a service VM: serve the region of this machine's ivshmem device", 0},
    {"agent", OPTION_AGENT, "PORT,ADDRESS", 0,
     "There: let the host make views of workers' memory, which is in the ivshmem device at that PCI address",
     0},
    {"check-config", OPTION_CHECK, NULL, 0, "Only check the configuration", 0},
    {0},
};

/* What the command line asks for; lists keep the order of the options. */
struct command {
    const char *config;
    const char *region, *agent;
    const char **listen, **vms;
    size_t nlisten, nvms;
    bool check;
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct command *command = state->input;
    switch (key) {
    case OPTION_CONFIG:
        command->config = value;
        return 0;
    case OPTION_LISTEN:
        command->listen[command->nlisten++] = value;
        return 0;
    case OPTION_VM:
        command->vms[command->nvms++] = value;
        return 0;
    case OPTION_REGION:
        command->region = value;
        return 0;
    case OPTION_AGENT:
        command->agent = value;
        return 0;
    case OPTION_CHECK:
        command->check = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: not an option", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)fprintf(stream, "%s (Wormhole) %s\n", state->name, WH_VERSION);
}

static const struct argp parser = {
    .options = options,
    .parser = parse_option,
    .doc = "Gives programs on this machine and in its VMs sessions on its accelerators."};

static int read_config(struct wh_config *config, const char *path, struct wh_error *error)
{
    if (path)
        return wh_config_read(config, path, error);
    if (access(WH_CONFIG_FILE, F_OK) < 0) /* none is needed */
        return 0;
    return wh_config_read(config, WH_CONFIG_FILE, error);
}

static void drop_listeners(struct wh_config *config)
{
    while (config->nlisten > 0)
        free(config->listen[--config->nlisten]);
}

/* Where workers keep what they compile: beside the daemon's user's own files, not among them. */
static char *default_state_dir(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const struct passwd *user = getpwuid(geteuid());
    char *path = NULL;
    if (geteuid() == 0)
        return strdup(SYSTEM_STATE_DIR);
    if (!home || *home != '/')
        home = user ? user->pw_dir : "/nonexistent";
    int n = cache && *cache == '/' ? asprintf(&path, "%s/" USER_STATE_DIR, cache)
                                   : asprintf(&path, "%s/.cache/" USER_STATE_DIR, home);
    return n < 0 ? NULL : path;
}

static int choose_worker_user(struct wh_config *config, struct wh_error *error)
{
    const char *user = config->worker_user ? NULL : wh_spawn_default_user(config);
    if (user && !(config->worker_user = strdup(user)))
        return wh_error_set(error, ENOMEM, "out of memory");
    return 0;
}

/* The machine's own daemon can be asked at the usual place, too; others where they are told to. */
static bool listens_as_usual(const struct wh_config *config)
{
    for (size_t i = 0; i < config->nlisten; i++)
        if (strcmp(config->listen[i], WH_DEFAULT_SOCKET) == 0)
            return true;
    return false;
}

/* Without a word about where to listen, a daemon that serves local clients listens at the usual
 * place. */
static int add_defaults(struct wh_config *config, struct wh_error *error)
{
    if (config->nlisten == 0 && config->nvms == 0 && !config->region_url &&
        wh_config_add_listen(config, "unix:" WH_DEFAULT_SOCKET, error) < 0)
        return -1;
    if (!config->state_dir && !(config->state_dir = default_state_dir()))
        return wh_error_set(error, ENOMEM, "out of memory");
    if (!config->admin && listens_as_usual(config) && !(config->admin = strdup(WH_DEFAULT_ADMIN)))
        return wh_error_set(error, ENOMEM, "out of memory");
    return choose_worker_user(config, error);
}

static int make_config(struct wh_config *config, const struct command *command,
                       struct wh_error *error)
{
    if (read_config(config, command->config, error) < 0)
        return -1;
    if (command->nlisten > 0)
        drop_listeners(config);
    for (size_t i = 0; i < command->nlisten; i++)
        if (wh_config_add_listen(config, command->listen[i], error) < 0)
            return -1;
    for (size_t i = 0; i < command->nvms; i++)
        if (wh_config_parse_vm(config, command->vms[i], error) < 0)
            return -1;
    if (command->region && strncmp(command->region, "ivshmem:", strlen("ivshmem:")) != 0)
        return wh_error_set(error, EINVAL, "%s: a region is given as ivshmem: or ivshmem:ADDRESS",
                            command->region);
    if (command->region && !(config->region_url = strdup(command->region)))
        return wh_error_set(error, ENOMEM, "out of memory");
    if (command->agent && !command->region)
        return wh_error_set(error, EINVAL, "an agent is for a service VM: give a region, too");
    if (command->agent && !(config->agent = strdup(command->agent)))
        return wh_error_set(error, ENOMEM, "out of memory");
    return add_defaults(config, error);
}

int wh_daemon_main(int argc, char **argv, const char *name)
{
    size_t room = (size_t)argc;
    WH_CLEANUP_FREE const char **lists = calloc(2 * room + 1, sizeof(*lists));
    WH_CLEANUP_FREE char *title = strdup(name);
    struct wh_config config;
    struct wh_error error = {0};
    if (!lists || !title) {
        wh_log("out of memory");
        return EXIT_FAILURE;
    }
    struct command command = {.listen = lists, .vms = lists + room};
    argv[0] = title;
    wh_claim_children(NULL);
    argp_program_version_hook = print_version;
    if (argp_parse(&parser, argc, argv, 0, NULL, &command) != 0)
        return EXIT_FAILURE;
    wh_config_init(&config);
    int result = make_config(&config, &command, &error);
    if (result == 0 && !wh_view_supported())
        wh_log("this kernel has no Landlock: workers read whatever files their user may read");
    if (result == 0 && !command.check)
        result = wh_server_run(&config, -1, &error);
    if (result < 0)
        wh_log("%s", error.text);
    wh_config_free(&config);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

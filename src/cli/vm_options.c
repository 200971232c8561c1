/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `wormhole vm`; see vm.h. */
#include "base/log.h"
#include "base/util.h"
#include "cli/private.h"
#include "cli/vm.h"
#include "daemon/config.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define LEAST_REGION (16ull << 20)

enum {
    OPTION_MEMORY = 'm',
    OPTION_CPUS = 'c',
    OPTION_ENV = 'e',
    OPTION_FILE = 'f',
    OPTION_VERBOSE = 'v',
    OPTION_TREE = 256,
    OPTION_MODULE,
    OPTION_REGION_SIZE,
    OPTION_NO_SERVER,
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
     "Give the guest the shared memory of the daemon that serves VMs at PATH, instead of starting one",
     0},
    {"region-size", OPTION_REGION_SIZE, "SIZE", 0,
     "Size of the shared memory between guest and server (256M)", 0},
    {"no-server", OPTION_NO_SERVER, NULL, 0, "Give the guest no accelerator at all", 0},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "End the guest after so long", 0},
    {"qemu-arg", OPTION_QEMU_ARG, "ARG", 0, "Pass ARG to QEMU", 0},
    {"verbose", OPTION_VERBOSE, NULL, 0, "Show the guest kernel's messages on stderr", 0},
    {0},
};

/* The lists have room for every argument there is. */
struct parsed {
    struct wh_vm_options options;
    uint64_t region_size; /* bytes, 0: not chosen */
    bool no_server;
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

static void parse_region_size(struct parsed *parsed, const char *text, struct argp_state *state)
{
    uint64_t size;
    if (wh_parse_size(text, &size) < 0 || size < LEAST_REGION || (size & (size - 1)) != 0)
        argp_error(state, "--region-size: %s is not a power of two from 16M on", text);
    parsed->region_size = size;
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
        parse_region_size(parsed, value, state);
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
    case OPTION_NO_SERVER:
        parsed->no_server = true;
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

static int check_options(const struct parsed *parsed)
{
    if (parsed->options.socket && parsed->no_server)
        wh_log("--socket and --no-server exclude each other");
    else if (parsed->region_size && parsed->options.socket)
        wh_log("--region-size: the server behind --socket chooses the size");
    else
        return 0;
    return -1;
}

/* A guest without a server gets one of its own, for as long as it runs. */
static int run_served(struct parsed *parsed)
{
    struct wh_private server = {0};
    struct wh_error error = {0};
    uint64_t size = parsed->region_size ? parsed->region_size : WH_DEFAULT_REGION;
    bool wanted = !parsed->options.socket && !parsed->no_server;
    if (wanted && wh_private_start(&server, size, &error) < 0) {
        wh_log("%s", error.text);
        return WH_VM_FAILED;
    }
    if (wanted)
        parsed->options.socket = server.socket;
    int status = wh_vm_run(&parsed->options);
    wh_private_stop(&server);
    return status;
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
    wh_claim_children(NULL);
    argp_err_exit_status = WH_VM_FAILED;
    if (argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &parsed) != 0)
        return WH_VM_FAILED;
    if (check_options(&parsed) < 0)
        return WH_VM_FAILED;
    return run_served(&parsed);
}

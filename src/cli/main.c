/* SPDX-License-Identifier: Apache-2.0 */
/* wormhole: the command line. Picks the subcommand; each one parses its own options. */
#include "cli/cli.h"
#include "cli/vm.h"
#include "wire/hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", wh_cli_run, "run a command with Wormhole's accelerators"},
    {"vm", wh_cli_vm, "run a command in a throwaway virtual machine"},
    {"serve", wh_cli_serve, "serve this machine's accelerators (the daemon, in the foreground)"},
    {"top", wh_cli_top, "show the sessions of this machine's daemon"},
    {"bench", wh_cli_bench, "measure calls without VM exits, in a virtual machine"},
    {"doctor", wh_cli_doctor, "say what works on this machine, and what to do about the rest"},
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *stream)
{
    (void)fprintf(stream, "Usage: wormhole COMMAND [OPTION...] ...\n"
                          "Gives programs accelerators that this machine does not have.\n\n");
    for (size_t i = 0; i < NCOMMANDS; i++)
        (void)fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(
        stream, "\n`wormhole COMMAND --help` lists a command's options; wormhole(1) tells more.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        (void)printf("wormhole (Wormhole) %s\n", WH_VERSION);
        return EXIT_SUCCESS;
    }
    if (*name)
        (void)fprintf(stderr, "wormhole: there is no command '%s'\n\n", name);
    print_help(stderr);
    return EXIT_FAILURE;
}

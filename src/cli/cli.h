/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of `wormhole`, as main.c calls them: argv[0] is the subcommand; the result is an
 * exit status. */
#ifndef WH_CLI_CLI_H
#define WH_CLI_CLI_H

/* What a command that runs another one returns when it fails itself, and when the other cannot be
 * run, as env(1). */
#define WH_CLI_FAILED     125
#define WH_CLI_CANNOT_RUN 126
#define WH_CLI_NOT_FOUND  127

int wh_cli_run(int argc, char **argv);
int wh_cli_serve(int argc, char **argv);
int wh_cli_doctor(int argc, char **argv);
int wh_cli_top(int argc, char **argv);
int wh_cli_bench(int argc, char **argv);

#endif

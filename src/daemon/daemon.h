/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's command line, for the program wormholed and for `wormhole serve`, which are the same
 * under two names.
 */
#ifndef WH_DAEMON_DAEMON_H
#define WH_DAEMON_DAEMON_H

/* Parses options, reads the configuration and serves until it is told to stop. `name` is for
 * messages. Returns an exit status. */
int wh_daemon_main(int argc, char **argv, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `wormhole serve`: wormholed under another name. */
#include "cli/cli.h"
#include "daemon/daemon.h"

int wh_cli_serve(int argc, char **argv)
{
    return wh_daemon_main(argc, argv, "wormhole serve");
}

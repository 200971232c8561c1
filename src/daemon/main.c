/* SPDX-License-Identifier: Apache-2.0 */
/* wormholed: the server. Everything is in the library part; see daemon.h. */
#include "daemon/daemon.h"

int main(int argc, char **argv)
{
    return wh_daemon_main(argc, argv, "wormholed");
}

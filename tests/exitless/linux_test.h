/* SPDX-License-Identifier: Apache-2.0 */
/* What linux_host.c and linux_guest.c agree on. */
#ifndef WH_TEST_LINUX_TEST_H
#define WH_TEST_LINUX_TEST_H

#include "channel/gate_call.h"

#define LINUX_GATE   0x500000000000
#define LINUX_KEY(i) (0x9e3779b97f4a7c15ull * ((i) + 1))
#define LINUX_ROUNDS 100000ull

#endif

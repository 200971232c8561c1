/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that a test puts forward, in place of waiting: for tests that are linked with
 * --wrap=clock_gettime. */
#ifndef WH_TESTS_CLOCK_H
#define WH_TESTS_CLOCK_H

#include <stdint.h>

extern uint64_t clock_ahead_ns; /* of the system's */
extern uint64_t clock_step_ns;  /* and so much more each time that it is looked at */

#endif

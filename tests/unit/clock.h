/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that a test puts forward, in place of waiting: for tests that are linked with
 * --wrap=clock_gettime. */
#ifndef WH_TESTS_CLOCK_H
#define WH_TESTS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

extern bool clock_stands;       /* it goes on only as it is put forward */
extern uint64_t clock_ahead_ns; /* of the system's, or of 0 */
extern uint64_t clock_step_ns;  /* and so much more each time that it is looked at */

#endif

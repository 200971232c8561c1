/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on stderr, prefixed with the program's name. For what a user must know; never on a hot
 * path. WORMHOLE_DEBUG=1 in the environment lets wh_debug speak.
 */
#ifndef WH_BASE_LOG_H
#define WH_BASE_LOG_H

void wh_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void wh_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From here on the lines go to `fd`: a worker gives its stderr to the client and keeps its log. */
void wh_log_to(int fd);

#endif

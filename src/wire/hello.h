/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake that opens a session, the same for every transport. Client and server of different
 * versions part here, and the answer names both.
 */
#ifndef WH_WIRE_HELLO_H
#define WH_WIRE_HELLO_H

#include <stdint.h>

#define WH_HELLO_MAGIC   "WHHELLO"
#define WH_WELCOME_MAGIC "WHREADY"
#ifndef WH_VERSION
#define WH_VERSION "0.1.0"
#endif

struct wh_hello {
    char magic[8];
    uint32_t protocol; /* WH_PROTOCOL */
    uint32_t pid;      /* the client's, for people; nothing relies on it */
    uint64_t api_hash;
    uint64_t arena; /* bytes wanted, 0: the server decides */
    char api[16];
    char version[32];
    char boot[40]; /* the guest's boot id, or empty */
};

struct wh_welcome {
    char magic[8];
    uint32_t protocol;
    uint32_t refused; /* 0, or an errno value */
    uint64_t segment; /* bytes of the session's shared segment */
    uint32_t session;
    uint32_t reserved;
    char version[32];
    char text[192]; /* why it was refused */
};

#endif

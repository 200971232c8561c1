/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the generator says about an API: one table per API, read by the client (to encode a call),
 * by the worker (to decode and check it) and by traces. Both sides compile the same tables; their
 * hash is compared in the handshake. Nothing here knows a particular API or transport.
 */
#ifndef WH_WIRE_DESC_H
#define WH_WIRE_DESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More parameters than any declaration may have; the result travels in slot WH_RESULT of the array.
 */
#define WH_MAX_PARAMS 20
#define WH_RESULT     WH_MAX_PARAMS

/* How one parameter crosses. The word layouts are in docs/wire-format.md. */
enum wh_kind {
    WH_VALUE,   /* a scalar: integers extended, floating point by its bits */
    WH_HANDLE,  /* an object of the client, or NULL */
    WH_HANDLES, /* an array of objects, length by rule (counted in objects) */
    WH_BYTES,   /* bytes in, length by rule */
    WH_STRING,  /* NUL-terminated text in */
    WH_STRINGS, /* array of NUL-terminated texts in, length by rule (counted in strings) */
    WH_STRUCTS, /* structures in whose handle members are translated, length by rule (counted in
                   structs) */
    WH_PROPS,   /* zero-terminated list of name and value pairs in */
    WH_ARENA,   /* an offset into the session's arena, length by rule; the worker sees an address */
    WH_OUT,     /* bytes out, length by rule */
    WH_INFO,    /* bytes out, length by rule, whose content the parameter `selector` decides */
    WH_VERSIONED, /* one structure in and back, whose first word says its version and, in the low 24
                     bits, its size; length by rule is the largest that is known */
    WH_OUT_HANDLES, /* array of existing objects out, length by rule (counted in objects) */
    WH_NEWS,   /* array of objects out that this call makes, length by rule (counted in objects) */
    WH_LOCAL,  /* stays in the client: user data, function pointers; the worker sees 0 */
    WH_MEMORY, /* an address in device memory, a scalar on the wire; the session must be allowed to
                  touch the bytes there, length by rule (scale 0: only the address is known) */
    WH_NKINDS
};

/* Where the first word of a structure of kind WH_VERSIONED says its size. */
#define WH_VERSION_SIZE 0xffffffu

/*
 * A length: arg[a] * arg[b] * scale, where a factor of -1 is left out. For WH_BYTES, WH_OUT,
 * WH_INFO and WH_ARENA the unit is the byte (the element size is in the scale); for the others it
 * is the element.
 */
struct wh_length {
    int8_t a, b;
    uint32_t scale;
};

struct wh_param {
    const char *name;
    uint8_t kind;    /* enum wh_kind */
    uint8_t size;    /* bytes of a scalar or of one element (0: not meaningful) */
    bool is_signed;  /* a scalar that is sign-extended */
    int8_t selector; /* WH_INFO: index of the parameter that names the info, else -1 */
    uint16_t type;   /* object type, struct, property list or info table, by kind */
    int32_t
        invalid; /* the API's error for a handle of the wrong type here, or an unknown version */
    struct wh_length length;
};

enum wh_call_flags {
    WH_CALL_POST = 1u << 0,        /* sent without waiting */
    WH_CALL_BLOCKS = 1u << 1,      /* may wait long in the accelerator's library */
    WH_CALL_SYNCS = 1u << 2,       /* tells the program that earlier commands are complete */
    WH_CALL_HAND_CLIENT = 1u << 3, /* the exported function is written by hand */
    WH_CALL_HAND_WORKER = 1u << 4, /* the worker's function is written by hand */
    WH_CALL_MESSAGE = 1u << 5,     /* exists on the wire only, no program can call it */
    WH_CALL_RETAIN = 1u << 6,      /* adds a reference to its first parameter */
    WH_CALL_RELEASE = 1u << 7,     /* takes a reference from its first parameter */
    WH_CALL_EXTENSION = 1u << 8,   /* reached through the API's function for extension addresses */
    WH_CALL_UNSUPPORTED = 1u << 9, /* answers the API's 'not supported' error */
    WH_CALL_REMEMBERED = 1u << 10, /* equal questions have equal answers: asked once */
    WH_CALL_FORGETS = 1u << 11,    /* answers remembered about its first object no longer hold */
    WH_CALL_SETTLES = 1u << 12,    /* after success, nothing to wait for until more is sent */
};

enum wh_result { WH_RESULT_VOID, WH_RESULT_STATUS, WH_RESULT_VALUE, WH_RESULT_NEW };

struct wh_call_desc {
    const char *name;
    const struct wh_param *params;
    uint16_t number; /* index in wh_api.calls and the number on the wire */
    uint16_t flags;  /* enum wh_call_flags */
    uint8_t nparams;
    uint8_t result;     /* enum wh_result */
    int8_t error_param; /* WH_RESULT_NEW: index of the `out` parameter that takes the error code, or
                           -1 */
    uint8_t since_major, since_minor;
    uint16_t result_type; /* WH_RESULT_NEW: object type */
};

struct wh_object_desc {
    const char *name;
    int32_t invalid;         /* the API's error for a bad handle of this type */
    int16_t retain, release; /* call numbers, -1: the type is not counted */
    bool special;            /* small numbers are handles too; the shim says of what */
};

/* A handle inside a structure or a property list. */
struct wh_member {
    uint32_t offset; /* bytes from the start of the structure */
    uint16_t type;   /* object type */
};

struct wh_struct_desc {
    const char *name;
    const struct wh_member *handles;
    uint16_t nhandles;
    uint32_t size;
};

enum wh_content {
    WH_CONTENT_BYTES,   /* plain bytes */
    WH_CONTENT_HANDLES, /* one or more objects */
    WH_CONTENT_PROPS,   /* a property list */
    WH_CONTENT_LOCAL,   /* holds addresses of the worker: only the client can answer it */
};

/* What a query name returns; also one name of a property list. */
struct wh_name_desc {
    const char *label;
    int64_t name;
    uint8_t content; /* enum wh_content */
    bool fixed;      /* the answer for one object never changes */
    uint16_t type;   /* object type or property list, by content */
};

struct wh_names {
    const char *label;
    const struct wh_name_desc *names; /* ascending by name */
    uint16_t nnames;
};

struct wh_api {
    const char *name; /* "opencl" */
    uint64_t hash;    /* of everything that decides what the bytes mean */
    const struct wh_call_desc *calls;
    const struct wh_object_desc *objects; /* objects[0] is unused: type 0 means none */
    const struct wh_struct_desc *structs;
    const struct wh_names *infos;
    const struct wh_names *props;
    uint16_t ncalls, nobjects, nstructs, ninfos, nprops;
    uint8_t major, minor; /* newest API version described */
    int32_t success, unsupported, lost, no_memory, invalid_value;
};

/* The entry of an info table or property list with this name, or NULL. */
const struct wh_name_desc *wh_find_name(const struct wh_names *names, int64_t name);

#endif

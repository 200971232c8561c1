/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A description in memory: the parser fills it, the checker completes it, the emitters only read
 * it. What the tables on the wire look like is wire/desc.h; its enumerations are used here so that
 * there is one truth.
 */
#ifndef WH_APIGEN_MODEL_H
#define WH_APIGEN_MODEL_H

#include "lexer.h"
#include "wire/desc.h"

enum scalar { SCALAR_SIGNED, SCALAR_UNSIGNED, SCALAR_FLOAT, SCALAR_POINTER };

enum type_class { TYPE_VOID, TYPE_SCALAR, TYPE_OBJECT, TYPE_STRUCT, TYPE_FUNCTION, TYPE_ALIAS };

/* A C type as written: `const BASE *const *`. Bit i of `const_stars` is the const after star i. */
struct ctype {
    struct type *base;
    struct where where;
    bool is_const;
    unsigned depth, const_stars;
};

struct member {
    const char *name; /* NULL: an anonymous structure or union */
    struct where where;
    struct ctype type;
    uint32_t elements; /* 0: not an array */
    uint32_t offset, size;
};

struct type {
    const char *name;
    const char *c_name; /* how C spells it */
    struct where where;
    enum type_class class;
    uint16_t index; /* number among the objects (from 1) or the structs (from 0) */
    uint32_t size;  /* in bytes, scalars and structs */
    bool checked;   /* the check file compares its size with the vendor's */
    bool is_union;  /* of a structure */
    bool is_inline; /* written where its only member stands, without a name of its own */
    bool special;   /* of an object: small words are not handles */
    enum scalar scalar;
    struct type *target; /* of an alias */
    const char *text;    /* of a function type, with (*) where the name goes */
    const char *tag;     /* of an object or a struct */
    int32_t invalid;
    struct call *retain, *release;
    LIST(struct member) members;
    LIST(struct wh_member) handles;
    const char *pointer; /* name of a member that holds an address, or an object in a union, or NULL
                          */
    uint32_t align;
};

struct constant {
    const char *name;
    struct number value;
    const char *text; /* of a `define`, else NULL */
    bool is_enum;     /* the vendor's header declares it in an enum */
};

/* One name of an info table or a property list. */
struct entry {
    const char *label;
    struct where where;
    int64_t value;
    uint8_t content; /* enum wh_content */
    bool fixed;
    struct type *object;   /* WH_CONTENT_HANDLES */
    const char *list_name; /* WH_CONTENT_PROPS */
    struct where list_where;
    struct names *list;
};

/* An info table or a property list. */
struct names {
    const char *name;
    struct where where;
    uint16_t index;
    struct ctype element; /* of a property list */
    LIST(struct entry) entries;
};

/* What the text after a parameter's `:` says. */
enum role {
    ROLE_NONE,
    ROLE_IN,
    ROLE_STRING,
    ROLE_STRINGS,
    ROLE_PROPS,
    ROLE_OUT,
    ROLE_NEW,
    ROLE_ERROR,
    ROLE_LOCAL,
    ROLE_ARENA,
    ROLE_MEMORY,
    ROLE_VERSIONED
};

/* One factor of a length: a parameter or constant by name, or a number. */
struct factor {
    struct where where;
    const char *name; /* NULL: a number */
    uint64_t number;
};

struct param {
    const char *name;
    struct where where;
    struct ctype type;
    enum role role;
    struct where role_where;
    bool has_length;
    LIST(struct factor) factors;
    const char *list_name; /* of props(LIST) or info(TABLE, ...) */
    struct where list_where;
    const char *selector_name; /* of info(..., PARAM), or NULL */
    struct where selector_where;
    bool has_invalid;
    struct where invalid_where;
    struct wh_param desc; /* completed by the checker */
    struct names *list;
};

struct call {
    const char *name;
    struct where where;
    struct ctype result;
    LIST(struct param) params;
    uint16_t number;
    unsigned flags; /* enum wh_call_flags */
    bool is_new, is_local;
    bool is_refused; /* unsupported for all, with an error of its own */
    int32_t refusal;
    bool has_since; /* of its own */
    struct where new_where, post_where, remembered_where, forgets_where, settles_where,
        refused_where;
    const char *guard; /* macro of `extension "MACRO"`, or NULL */
    uint8_t since_major, since_minor;
    enum wh_result result_kind;
    int error_param; /* index or -1 */
};

/* A second name of an exported function, under which it acts a little differently. */
struct variant {
    const char *name;
    struct where where;
    const char *target_name;
    struct where target_where;
    const struct call *target; /* found by the checker: it may be declared later */
    uint8_t since_major, since_minor;
};

struct slot {
    const char *name; /* NULL: empty */
    struct where where;
};

/* A dispatch table. */
struct table {
    const char *name;
    LIST(struct slot) slots;
};

enum symbol_class { SYMBOL_TYPE, SYMBOL_CONSTANT, SYMBOL_CALL, SYMBOL_VARIANT };

/* A name of C: one name space for types, constants and functions. */
struct symbol {
    const char *name;
    struct where where; /* line 0: built in */
    enum symbol_class class;
    struct type *type;
    struct constant *constant;
    struct call *call;
};

struct status {
    struct where where, type_where;
    const char *type_name; /* NULL: no status was declared */
    struct type *type;     /* declared later than the status, so found by the checker */
    int32_t success, unsupported, lost, no_memory, invalid_value;
};

struct api {
    struct pool *pool;
    const struct source *source;
    const char *name;   /* "opencl" */
    const char *prefix; /* "WH_OPENCL" */
    struct where where;
    uint8_t major, minor;
    bool is_observed; /* by hand, at the entry of each function that returns the status */
    LIST(const char *) headers;
    LIST(const char *) defines; /* for the check file, before the headers */
    struct status status;
    LIST(struct symbol) symbols;
    LIST(struct type *) types; /* declared ones, in order */
    LIST(struct type *) objects;
    LIST(struct type *) structs;
    LIST(struct constant *) constants;
    LIST(struct names *) infos;
    LIST(struct names *) props;
    LIST(struct call *) calls;
    LIST(struct variant *) variants;
    LIST(struct table) tables;
    uint64_t hash;
};

/* The type an alias stands for, in the end. */
struct type *type_base(struct type *type);
/* NULL when there is none. */
struct symbol *find_symbol(const struct api *api, const char *name);
/* Enters a name; one that is there already is an error. */
void add_symbol(struct api *api, struct symbol symbol);
void add_builtin_types(struct api *api);
/* A constant's value as the 64 bits that it has in C. */
int64_t number_value(struct number number);
/* The call crosses to the worker: it is neither local nor unsupported. */
bool call_crosses(const struct call *call);
/* A program can call it: it is not a message. */
bool call_is_exported(const struct call *call);
/* It has an entry that observes, and a name of its own for what is behind it. */
bool call_is_observed(const struct api *api, const struct call *call);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations other than functions, and the helpers that both halves of the parser use. See
 * parser.h.
 */
#include "parser.h"

#include <string.h>

void expected(const struct parser *parser, const char *what)
{
    const struct token *token = parser->at;

    if (token->kind == TOKEN_END)
        fail(parser->source, token->where, "expected %s, not the end of the file", what);
    if (token->kind == TOKEN_STRING)
        fail(parser->source, token->where, "expected %s, not a string", what);
    fail(parser->source, token->where, "expected %s, not '%s'", what, token->text);
}

bool at_mark(const struct parser *parser, char mark)
{
    return parser->at->kind == TOKEN_MARK && parser->at->text[0] == mark;
}

bool at_word(const struct parser *parser, const char *word)
{
    return parser->at->kind == TOKEN_NAME && !strcmp(parser->at->text, word);
}

bool accept_mark(struct parser *parser, char mark)
{
    if (!at_mark(parser, mark))
        return false;
    parser->at++;
    return true;
}

bool accept_word(struct parser *parser, const char *word)
{
    if (!at_word(parser, word))
        return false;
    parser->at++;
    return true;
}

void expect_mark(struct parser *parser, char mark)
{
    if (!accept_mark(parser, mark))
        expected(parser, (const char[]){'\'', mark, '\'', '\0'});
}

static void expect_word(struct parser *parser, const char *word)
{
    if (!accept_word(parser, word))
        expected(parser, pool_print(parser->api->pool, "'%s'", word));
}

const char *expect_name(struct parser *parser, const char *what)
{
    if (parser->at->kind != TOKEN_NAME)
        expected(parser, what);
    return parser->at++->text;
}

const char *expect_string(struct parser *parser, const char *what)
{
    if (parser->at->kind != TOKEN_STRING)
        expected(parser, what);
    return parser->at++->text;
}

struct number parse_number(struct parser *parser)
{
    struct where where = parser->at->where;

    if (parser->at->kind == TOKEN_NAME) {
        const char *name = parser->at++->text;
        const struct symbol *symbol = find_symbol(parser->api, name);

        if (!symbol || symbol->class != SYMBOL_CONSTANT || symbol->constant->text)
            fail(parser->source, where, "unknown constant '%s'", name);
        return symbol->constant->value;
    }

    bool negative = accept_mark(parser, '-');
    if (parser->at->kind != TOKEN_NUMBER)
        expected(parser, "a number or a constant");
    struct number number = parser->at++->number;
    number.negative = negative && number.magnitude;
    if (negative && number.suffix_u)
        fail(parser->source, where, "a negative number cannot be unsigned");
    if (number.negative && number.magnitude > (uint64_t)INT64_MAX + 1)
        fail(parser->source, where, "the number does not fit 64 bits");
    return number;
}

int32_t parse_int32(struct parser *parser)
{
    struct where where = parser->at->where;
    struct number number = parse_number(parser);

    if (number.magnitude > (uint64_t)INT32_MAX + number.negative)
        fail(parser->source, where, "the number does not fit 32 bits");
    return (int32_t)number_value(number);
}

/* C's types of several words, and the ones that may begin such. */
static bool is_type_word(const struct parser *parser)
{
    static const char *const words[] = {"unsigned", "signed", "long", "short"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (at_word(parser, words[i]))
            return true;
    }
    return false;
}

/* Reads a type's name, in the one spelling that model.c knows: `unsigned long int` is `unsigned
 * long`. */
static const char *parse_type_name(struct parser *parser)
{
    if (!is_type_word(parser))
        return expect_name(parser, "a type");

    bool is_unsigned = false, is_signed = false;
    const char *size = NULL;
    for (;; parser->at++) {
        if (at_word(parser, "unsigned"))
            is_unsigned = true;
        else if (at_word(parser, "signed"))
            is_signed = true;
        else if (at_word(parser, "long") && size && !strcmp(size, "long"))
            size = "long long";
        else if (at_word(parser, "long") || at_word(parser, "short") || at_word(parser, "char"))
            size = parser->at->text;
        else if (at_word(parser, "double") && size)
            size = "long double";
        else if (!at_word(parser, "int"))
            break;
    }
    if (size && !strcmp(size, "char"))
        return is_unsigned ? "unsigned char" : is_signed ? "signed char" : "char";
    if (!size)
        return is_unsigned ? "unsigned" : "int";
    return is_unsigned ? pool_print(parser->api->pool, "unsigned %s", size) : size;
}

static bool is_wide_scalar(const char *name)
{
    static const char *const wide[] = {"int128",   "uint128",    "__int128",
                                       "int256",   "uint256",    "long double",
                                       "float128", "__float128", "_Float128"};

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        if (!strcmp(name, wide[i]))
            return true;
    }
    return false;
}

static struct type *parse_type(struct parser *parser)
{
    struct where where = parser->at->where;
    const char *name = parse_type_name(parser);
    const struct symbol *symbol = find_symbol(parser->api, name);

    if (is_wide_scalar(name))
        fail(parser->source, where, "'%s' is wider than the 8 bytes that a scalar may have", name);
    if (!symbol || symbol->class != SYMBOL_TYPE)
        fail(parser->source, where, "unknown type '%s'", name);
    return symbol->type;
}

struct ctype parse_ctype(struct parser *parser)
{
    struct ctype type = {.is_const = accept_word(parser, "const")};

    type.where = parser->at->where;
    type.base = parse_type(parser);
    if (accept_word(parser, "const"))
        type.is_const = true;
    while (at_mark(parser, '*')) {
        if (type.depth == 3)
            fail(parser->source, parser->at->where, "a type may have three '*' at most");
        parser->at++;
        if (accept_word(parser, "const"))
            type.const_stars |= 1u << type.depth;
        type.depth++;
    }
    return type;
}

static void parse_version(struct parser *parser, uint8_t *major, uint8_t *minor)
{
    uint8_t *parts[] = {major, minor};

    for (size_t i = 0; i < 2; i++) {
        if (i)
            expect_mark(parser, '.');
        if (parser->at->kind != TOKEN_NUMBER)
            expected(parser, "a version such as 1.2");
        if (parser->at->number.magnitude > UINT8_MAX)
            fail(parser->source, parser->at->where, "a version's parts go up to %d", UINT8_MAX);
        *parts[i] = (uint8_t)parser->at++->number.magnitude;
    }
}

static const char *upper_case(struct pool *pool, const char *name)
{
    char *text = pool_print(pool, "WH_%s", name);

    for (char *c = text; *c; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
    return text;
}

static void parse_api_header(struct parser *parser)
{
    struct api *api = parser->api;

    api->where = parser->at->where;
    if (!accept_word(parser, "api"))
        fail(parser->source, api->where, "a description begins with 'api NAME VERSION ...;'");
    api->name = expect_name(parser, "the API's name");
    api->prefix = upper_case(api->pool, api->name);
    parse_version(parser, &api->major, &api->minor);
    while (!at_mark(parser, ';')) {
        bool header = accept_word(parser, "header");

        if (!header && accept_word(parser, "observed")) {
            api->is_observed = true;
            continue;
        }
        if (!header && !accept_word(parser, "define"))
            expected(parser, "'header', 'define', 'observed' or ';'");
        do {
            if (header)
                LIST_ADD(api->pool, &api->headers, expect_string(parser, "a header's name"));
            else
                LIST_ADD(api->pool, &api->defines, expect_string(parser, "\"NAME VALUE\""));
        } while (parser->at->kind == TOKEN_STRING);
    }
    expect_mark(parser, ';');
}

static void parse_status(struct parser *parser, struct where where)
{
    struct status *status = &parser->api->status;
    struct {
        const char *word;
        int32_t *value;
        bool seen;
    } parts[] = {
        {"success", &status->success, false},
        {"unsupported", &status->unsupported, false},
        {"lost", &status->lost, false},
        {"no_memory", &status->no_memory, false},
        {"invalid_value", &status->invalid_value, false},
    };
    size_t count = sizeof parts / sizeof *parts;

    if (status->type_name)
        fail(parser->source, where, "'status' is already declared at line %d", status->where.line);
    status->where = where;
    status->type_where = parser->at->where;
    status->type_name = expect_name(parser, "the type that functions return their status in");
    while (!at_mark(parser, ';')) {
        size_t i = 0;

        while (i < count && !at_word(parser, parts[i].word))
            i++;
        if (i == count)
            expected(parser, "'success', 'unsupported', 'lost', 'no_memory' or 'invalid_value'");
        if (parts[i].seen)
            fail(parser->source, parser->at->where, "'%s' is given twice", parts[i].word);
        parser->at++;
        *parts[i].value = parse_int32(parser);
        parts[i].seen = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].seen)
            fail(parser->source, parser->at->where, "the status has no '%s'", parts[i].word);
    }
    expect_mark(parser, ';');
}

static struct type *declare_type(struct parser *parser, enum type_class class)
{
    struct type *type = pool_alloc(parser->api->pool, sizeof *type);

    type->class = class;
    type->where = parser->at->where;
    type->name = expect_name(parser, "the type's name");
    type->c_name = type->name;
    return type;
}

static void enter_type(struct parser *parser, struct type *type)
{
    struct api *api = parser->api;

    add_symbol(api,
               (struct symbol){
                   .name = type->name, .where = type->where, .class = SYMBOL_TYPE, .type = type});
    LIST_ADD(api->pool, &api->types, type);
}

static void parse_typedef(struct parser *parser)
{
    struct type *type = declare_type(parser, TYPE_ALIAS);

    expect_mark(parser, '=');
    if (accept_word(parser, "function")) {
        struct where where = parser->at->where;

        type->class = TYPE_FUNCTION;
        type->text = expect_string(parser, "a function type in quotes");
        if (!strstr(type->text, "(*)"))
            fail(parser->source, where, "a function type has '(*)' where its name goes");
    } else {
        struct where where = parser->at->where;

        type->target = parse_type(parser);
        if (type->target->class == TYPE_VOID)
            fail(parser->source, where, "a type cannot be another name of void");
    }
    expect_mark(parser, ';');
    enter_type(parser, type);
}

static void enter_constant(struct parser *parser, struct constant *constant, struct where where)
{
    struct api *api = parser->api;

    add_symbol(api, (struct symbol){.name = constant->name,
                                    .where = where,
                                    .class = SYMBOL_CONSTANT,
                                    .constant = constant});
    LIST_ADD(api->pool, &api->constants, constant);
}

static void parse_constant(struct parser *parser)
{
    struct constant *constant = pool_alloc(parser->api->pool, sizeof *constant);
    struct where where = parser->at->where;

    constant->name = expect_name(parser, "the constant's name");
    expect_mark(parser, '=');
    constant->value = parse_number(parser);
    constant->is_enum = accept_word(parser, "enum");
    expect_mark(parser, ';');
    enter_constant(parser, constant, where);
}

static void parse_define(struct parser *parser)
{
    struct constant *constant = pool_alloc(parser->api->pool, sizeof *constant);
    struct where where = parser->at->where;

    constant->name = expect_name(parser, "the constant's name");
    constant->text = expect_string(parser, "its text in quotes");
    expect_mark(parser, ';');
    enter_constant(parser, constant, where);
}

static void parse_object(struct parser *parser)
{
    struct api *api = parser->api;
    struct type *type = declare_type(parser, TYPE_OBJECT);

    expect_word(parser, "struct");
    type->tag = expect_name(parser, "the tag of the structure it points to");
    expect_word(parser, "invalid");
    type->invalid = parse_int32(parser);
    type->special = accept_word(parser, "special");
    expect_mark(parser, ';');
    type->size = type->align = 8;
    LIST_ADD(api->pool, &api->objects, type);
    type->index = (uint16_t)api->objects.count;
    enter_type(parser, type);
}

static uint32_t parse_elements(struct parser *parser)
{
    if (!accept_mark(parser, '['))
        return 0;

    struct where where = parser->at->where;
    struct number number = parse_number(parser);
    if (number.negative || !number.magnitude || number.magnitude > 65536)
        fail(parser->source, where, "an array has 1 to 65536 elements");
    expect_mark(parser, ']');
    return (uint32_t)number.magnitude;
}

/* Members of anonymous structures and unions have their names in the scope around them. */
static bool has_member(const struct type *type, const char *name)
{
    for (size_t i = 0; i < type->members.count; i++) {
        const struct member *member = &type->members.items[i];

        if (member->name ? !strcmp(member->name, name) : has_member(member->type.base, name))
            return true;
    }
    return false;
}

static void check_member_names(const struct parser *parser, const struct type *type,
                               const struct member *member)
{
    if (member->name) {
        if (has_member(type, member->name))
            fail(parser->source, member->where, "'%s' already has a member '%s'", type->name,
                 member->name);
        return;
    }
    for (size_t i = 0; i < member->type.base->members.count; i++)
        check_member_names(parser, type, &member->type.base->members.items[i]);
}

static void parse_members(struct parser *parser, struct type *type);

/* `struct {` or `union {` in the place of a member's type. */
static bool at_inline(const struct parser *parser)
{
    const struct token *next = parser->at + 1;

    return (at_word(parser, "struct") || at_word(parser, "union")) && next->kind == TOKEN_MARK &&
           next->text[0] == '{';
}

static struct ctype parse_inline(struct parser *parser, const struct type *outer)
{
    struct type *type = pool_alloc(parser->api->pool, sizeof *type);

    type->class = TYPE_STRUCT;
    type->where = parser->at->where;
    type->name = outer->name;
    type->is_inline = true;
    type->is_union = at_word(parser, "union");
    parser->at++;
    parse_members(parser, type);
    return (struct ctype){.base = type, .where = type->where};
}

static void parse_member(struct parser *parser, struct type *type)
{
    bool is_inline = at_inline(parser);
    struct member member = {.type = is_inline ? parse_inline(parser, type) : parse_ctype(parser)};

    member.where = parser->at->where;
    if (!is_inline || parser->at->kind == TOKEN_NAME) {
        member.name = expect_name(parser, "the member's name");
        member.elements = parse_elements(parser);
    }
    check_member_names(parser, type, &member);
    LIST_ADD(parser->api->pool, &type->members, member);
}

static void parse_members(struct parser *parser, struct type *type)
{
    expect_mark(parser, '{');
    while (!at_mark(parser, '}')) {
        parse_member(parser, type);
        if (!at_mark(parser, '}'))
            expect_mark(parser, ';');
    }
    if (!type->members.count)
        fail(parser->source, type->where, "'%s' has no members", type->name);
    expect_mark(parser, '}');
}

static void parse_struct(struct parser *parser, bool is_union)
{
    struct api *api = parser->api;
    struct type *type = declare_type(parser, TYPE_STRUCT);

    type->is_union = is_union;
    parse_members(parser, type);
    type->tag =
        accept_word(parser, "tag") ? expect_string(parser, "the tag in quotes") : type->name;
    accept_mark(parser, ';');
    type->index = (uint16_t)api->structs.count;
    LIST_ADD(api->pool, &api->structs, type);
    enter_type(parser, type);
}

static struct type *parse_object_name(struct parser *parser)
{
    struct where where = parser->at->where;
    struct type *type = parse_type(parser);

    if (type_base(type)->class != TYPE_OBJECT)
        fail(parser->source, where, "'%s' is not an object type", type->name);
    return type_base(type);
}

/* `LABEL [handle OBJECT | props LIST | local] [fixed] ;`, of an info table or a property list. */
static void parse_entry(struct parser *parser, struct names *names, bool is_props)
{
    struct entry entry = {.where = parser->at->where};

    if (parser->at->kind != TOKEN_NAME)
        expected(parser, "the name of a constant");
    entry.label = parser->at->text;
    entry.value = number_value(parse_number(parser));
    if (accept_word(parser, "handle")) {
        entry.content = WH_CONTENT_HANDLES;
        entry.object = parse_object_name(parser);
    } else if (!is_props && accept_word(parser, "props")) {
        entry.content = WH_CONTENT_PROPS;
        entry.list_where = parser->at->where;
        entry.list_name = expect_name(parser, "the name of a property list");
    } else if (accept_word(parser, "local")) {
        entry.content = WH_CONTENT_LOCAL;
    }
    if (!is_props)
        entry.fixed = accept_word(parser, "fixed");
    expect_mark(parser, ';');
    LIST_ADD(parser->api->pool, &names->entries, entry);
}

static void parse_names(struct parser *parser, bool is_props)
{
    struct api *api = parser->api;
    struct names *names = pool_alloc(api->pool, sizeof *names);

    names->where = parser->at->where;
    names->name = expect_name(parser, is_props ? "the list's name" : "the table's name");
    if (is_props)
        names->element = parse_ctype(parser);
    expect_mark(parser, '{');
    while (!at_mark(parser, '}'))
        parse_entry(parser, names, is_props);
    if (!names->entries.count)
        fail(parser->source, names->where, "'%s' has no names", names->name);
    expect_mark(parser, '}');
    if (is_props)
        LIST_ADD(api->pool, &api->props, names);
    else
        LIST_ADD(api->pool, &api->infos, names);
}

static void parse_table(struct parser *parser)
{
    struct where where = parser->at->where;
    struct table table = {.name = expect_name(parser, "the table's name")};
    const struct api *api = parser->api;

    for (size_t i = 0; i < api->tables.count; i++) {
        if (!strcmp(api->tables.items[i].name, table.name))
            fail(parser->source, where, "there is already a table '%s'", table.name);
    }
    expect_mark(parser, '{');
    while (!accept_mark(parser, '}')) {
        struct slot slot = {.where = parser->at->where};

        if (parser->at->kind == TOKEN_NUMBER && !parser->at->number.magnitude)
            parser->at++;
        else
            slot.name = expect_name(parser, "a function's name, 0 or '}'");
        LIST_ADD(parser->api->pool, &table.slots, slot);
    }
    LIST_ADD(parser->api->pool, &parser->api->tables, table);
}

void parse_since_version(struct parser *parser, uint8_t *major, uint8_t *minor)
{
    const struct api *api = parser->api;
    struct where where = parser->at->where;

    parse_version(parser, major, minor);
    if (*major > api->major || (*major == api->major && *minor > api->minor))
        fail(parser->source, where, "%u.%u is newer than the version described, %u.%u", *major,
             *minor, api->major, api->minor);
}

static void parse_since(struct parser *parser)
{
    uint8_t major, minor;

    parse_since_version(parser, &major, &minor);
    expect_mark(parser, '{');
    parse_calls(parser, major, minor);
    expect_mark(parser, '}');
}

static void parse_declaration(struct parser *parser)
{
    struct where where = parser->at->where;

    if (accept_word(parser, "status"))
        parse_status(parser, where);
    else if (accept_word(parser, "type"))
        parse_typedef(parser);
    else if (accept_word(parser, "const"))
        parse_constant(parser);
    else if (accept_word(parser, "define"))
        parse_define(parser);
    else if (accept_word(parser, "object"))
        parse_object(parser);
    else if (accept_word(parser, "struct"))
        parse_struct(parser, false);
    else if (accept_word(parser, "union"))
        parse_struct(parser, true);
    else if (accept_word(parser, "info"))
        parse_names(parser, false);
    else if (accept_word(parser, "props"))
        parse_names(parser, true);
    else if (accept_word(parser, "table"))
        parse_table(parser);
    else if (accept_word(parser, "since"))
        parse_since(parser);
    else
        expected(parser, "a declaration (functions stand inside 'since VERSION { }')");
}

void parse_api(struct api *api)
{
    struct tokens tokens = {0};

    lexer_read(api->source, api->pool, &tokens);
    struct parser parser = {.api = api, .source = api->source, .at = tokens.list.items};
    add_builtin_types(api);
    parse_api_header(&parser);
    while (parser.at->kind != TOKEN_END)
        parse_declaration(&parser);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and messages: prototypes with what C's types cannot say. See parser.h.
 */
#include "parser.h"

#include <string.h>

static void parse_length(struct parser *parser, struct param *param)
{
    if (!accept_mark(parser, '['))
        return;
    param->has_length = true;
    do {
        struct factor factor = {.where = parser->at->where};

        if (parser->at->kind == TOKEN_NAME) {
            factor.name = parser->at++->text;
        } else if (parser->at->kind == TOKEN_NUMBER) {
            factor.number = parser->at++->number.magnitude;
        } else {
            expected(parser, "a parameter, a constant or a number");
        }
        LIST_ADD(parser->api->pool, &param->factors, factor);
    } while (accept_mark(parser, '*'));
    expect_mark(parser, ']');
}

static void parse_list_name(struct parser *parser, struct param *param, const char *what)
{
    param->list_where = parser->at->where;
    param->list_name = expect_name(parser, what);
}

/* `info(TABLE, PARAM)` after `out[LEN]`. */
static void parse_info(struct parser *parser, struct param *param)
{
    if (!accept_word(parser, "info"))
        return;
    expect_mark(parser, '(');
    parse_list_name(parser, param, "the name of an info table");
    expect_mark(parser, ',');
    param->selector_where = parser->at->where;
    param->selector_name = expect_name(parser, "the parameter that names the info");
    expect_mark(parser, ')');
}

static void parse_invalid(struct parser *parser, struct param *param)
{
    param->invalid_where = parser->at->where;
    if (!accept_word(parser, "invalid"))
        return;
    expect_mark(parser, '(');
    param->has_invalid = true;
    param->desc.invalid = parse_int32(parser);
    expect_mark(parser, ')');
}

/* What stands after a parameter's `:`. */
static void parse_role(struct parser *parser, struct param *param)
{
    static const struct {
        const char *word;
        enum role role;
    } roles[] = {
        {"in", ROLE_IN},           {"string", ROLE_STRING},
        {"strings", ROLE_STRINGS}, {"props", ROLE_PROPS},
        {"out", ROLE_OUT},         {"new", ROLE_NEW},
        {"error", ROLE_ERROR},     {"local", ROLE_LOCAL},
        {"memory", ROLE_MEMORY},   {"versioned", ROLE_VERSIONED},
    };

    param->role_where = parser->at->where;
    for (size_t i = 0; i < sizeof roles / sizeof *roles && !param->role; i++) {
        if (accept_word(parser, roles[i].word))
            param->role = roles[i].role;
    }
    if (!param->role && !at_word(parser, "invalid"))
        expected(parser, "'in', 'string', 'strings', 'props', 'out', 'new', 'error', 'local', "
                         "'memory', 'versioned' or 'invalid'");
    if (param->role == ROLE_VERSIONED) {
        expect_mark(parser, '(');
        param->desc.invalid = parse_int32(parser);
        expect_mark(parser, ')');
        return;
    }
    if (param->role == ROLE_PROPS) {
        expect_mark(parser, '(');
        parse_list_name(parser, param, "the name of a property list");
        expect_mark(parser, ')');
    }
    if (param->role == ROLE_IN || param->role == ROLE_STRINGS || param->role == ROLE_OUT ||
        param->role == ROLE_NEW || param->role == ROLE_MEMORY)
        parse_length(parser, param);
    if (param->role == ROLE_OUT)
        parse_info(parser, param);
    parse_invalid(parser, param);
}

static bool at_arena(const struct parser *parser)
{
    const struct token *next = parser->at + 1;

    return at_word(parser, "arena") && next->kind == TOKEN_MARK && next->text[0] == '[';
}

static struct param parse_param(struct parser *parser)
{
    struct param param = {0};

    if (at_arena(parser)) {
        param.role = ROLE_ARENA;
        param.role_where = parser->at->where;
        param.type.base = find_symbol(parser->api, "void")->type;
        param.type.where = parser->at++->where;
        param.type.depth = 1;
        parse_length(parser, &param);
    } else {
        param.type = parse_ctype(parser);
    }
    param.where = parser->at->where;
    param.name = expect_name(parser, "the parameter's name");
    if (at_mark(parser, '['))
        fail(parser->source, parser->at->where, "write an array parameter as a pointer");
    if (param.role != ROLE_ARENA && accept_mark(parser, ':'))
        parse_role(parser, &param);
    return param;
}

static void parse_params(struct parser *parser, struct call *call)
{
    expect_mark(parser, '(');
    if (at_word(parser, "void") && parser->at[1].kind == TOKEN_MARK && parser->at[1].text[0] == ')')
        parser->at++;
    if (accept_mark(parser, ')'))
        return;
    do {
        struct param param = parse_param(parser);

        if (call->params.count == WH_MAX_PARAMS)
            fail(parser->source, param.where, "'%s' has more than %d parameters", call->name,
                 WH_MAX_PARAMS);
        LIST_ADD(parser->api->pool, &call->params, param);
    } while (accept_mark(parser, ','));
    expect_mark(parser, ')');
}

/* A word after the parameters. `excludes` are the flags, by word or by `message`, that it
 * contradicts. */
struct flag_word {
    const char *word;
    unsigned flags, excludes;
};

static const struct flag_word flag_words[] = {
    {"new", 0, 0},
    {"local", WH_CALL_UNSUPPORTED | WH_CALL_HAND_CLIENT, ~(unsigned)WH_CALL_EXTENSION},
    {"post", WH_CALL_POST, WH_CALL_BLOCKS | WH_CALL_SYNCS | WH_CALL_UNSUPPORTED},
    {"blocks", WH_CALL_BLOCKS, WH_CALL_POST | WH_CALL_UNSUPPORTED},
    {"syncs", WH_CALL_SYNCS, WH_CALL_POST | WH_CALL_UNSUPPORTED},
    {"client", WH_CALL_HAND_CLIENT, WH_CALL_MESSAGE | WH_CALL_UNSUPPORTED},
    {"worker", WH_CALL_HAND_WORKER, WH_CALL_MESSAGE | WH_CALL_UNSUPPORTED},
    {"retain", WH_CALL_RETAIN, WH_CALL_RELEASE | WH_CALL_UNSUPPORTED},
    {"release", WH_CALL_RELEASE, WH_CALL_RETAIN | WH_CALL_UNSUPPORTED},
    {"remembered", WH_CALL_REMEMBERED,
     WH_CALL_POST | WH_CALL_BLOCKS | WH_CALL_SYNCS | WH_CALL_RETAIN | WH_CALL_RELEASE |
         WH_CALL_FORGETS | WH_CALL_UNSUPPORTED},
    {"forgets", WH_CALL_FORGETS, WH_CALL_REMEMBERED | WH_CALL_UNSUPPORTED},
    {"settles", WH_CALL_SETTLES, WH_CALL_POST | WH_CALL_UNSUPPORTED},
    {"unsupported", WH_CALL_UNSUPPORTED, ~(unsigned)WH_CALL_EXTENSION},
    {"refused", WH_CALL_UNSUPPORTED, ~(unsigned)WH_CALL_EXTENSION},
    {"extension", WH_CALL_EXTENSION, WH_CALL_MESSAGE},
};

static const struct flag_word *find_flag(const struct parser *parser)
{
    for (size_t i = 0; i < sizeof flag_words / sizeof *flag_words; i++) {
        if (at_word(parser, flag_words[i].word))
            return &flag_words[i];
    }
    expected(parser, "';' or a word such as 'post', 'blocks', 'client' or 'unsupported'");
}

/* `since 1.2` after the parameters: the function is newer than its neighbours. */
static void parse_own_since(struct parser *parser, struct call *call)
{
    if (call->has_since)
        fail(parser->source, parser->at->where, "'since' does not go with what stands before it");
    parser->at++;
    call->has_since = true;
    parse_since_version(parser, &call->since_major, &call->since_minor);
}

static void parse_flag(struct parser *parser, struct call *call)
{
    if (at_word(parser, "since")) {
        parse_own_since(parser, call);
        return;
    }

    const struct flag_word *word = find_flag(parser);
    struct where where = parser->at->where;
    bool is_new = !word->flags;

    if ((call->flags & (word->flags | word->excludes)) || (is_new && call->is_new))
        fail(parser->source, where, "'%s' does not go with what stands before it", word->word);
    parser->at++;
    call->flags |= word->flags;
    if (is_new) {
        call->is_new = true;
        call->new_where = where;
    }
    if (word->flags == WH_CALL_POST)
        call->post_where = where;
    if (word->flags == WH_CALL_REMEMBERED)
        call->remembered_where = where;
    if (word->flags == WH_CALL_FORGETS)
        call->forgets_where = where;
    if (word->flags == WH_CALL_SETTLES)
        call->settles_where = where;
    if (word->flags == (WH_CALL_UNSUPPORTED | WH_CALL_HAND_CLIENT))
        call->is_local = true;
    if (strcmp(word->word, "refused") == 0) {
        call->is_refused = true;
        call->refused_where = where;
        call->refusal = parse_int32(parser);
    }
    if (word->flags == WH_CALL_EXTENSION && parser->at->kind == TOKEN_STRING)
        call->guard = expect_string(parser, "a macro's name");
}

static void parse_call(struct parser *parser, uint8_t major, uint8_t minor)
{
    struct api *api = parser->api;
    struct call *call = pool_alloc(api->pool, sizeof *call);

    if (accept_word(parser, "message"))
        call->flags = WH_CALL_MESSAGE | WH_CALL_HAND_WORKER;
    call->result = parse_ctype(parser);
    call->where = parser->at->where;
    call->name = expect_name(parser, "the function's name");
    if (!call_is_exported(call) && strncmp(call->name, "wh_", 3) != 0)
        fail(parser->source, call->where, "a message's name begins with 'wh_'");
    call->since_major = major;
    call->since_minor = minor;
    call->number = (uint16_t)api->calls.count;
    if (api->calls.count == INT16_MAX)
        fail(parser->source, call->where, "more than %d functions", INT16_MAX);
    add_symbol(api,
               (struct symbol){
                   .name = call->name, .where = call->where, .class = SYMBOL_CALL, .call = call});
    parse_params(parser, call);
    while (!at_mark(parser, ';'))
        parse_flag(parser, call);
    expect_mark(parser, ';');
    LIST_ADD(api->pool, &api->calls, call);
}

/* `variant NAME of FUNCTION [since VERSION];` */
static void parse_variant(struct parser *parser, uint8_t major, uint8_t minor)
{
    struct api *api = parser->api;
    struct variant *variant = pool_alloc(api->pool, sizeof *variant);

    variant->where = parser->at->where;
    variant->name = expect_name(parser, "the variant's name");
    variant->since_major = major;
    variant->since_minor = minor;
    add_symbol(api, (struct symbol){
                        .name = variant->name, .where = variant->where, .class = SYMBOL_VARIANT});
    if (!accept_word(parser, "of"))
        expected(parser, "'of'");
    variant->target_where = parser->at->where;
    variant->target_name = expect_name(parser, "the name of the function that it is a variant of");
    if (accept_word(parser, "since"))
        parse_since_version(parser, &variant->since_major, &variant->since_minor);
    expect_mark(parser, ';');
    LIST_ADD(api->pool, &api->variants, variant);
}

void parse_calls(struct parser *parser, uint8_t major, uint8_t minor)
{
    while (!at_mark(parser, '}')) {
        if (accept_word(parser, "variant"))
            parse_variant(parser, major, minor);
        else
            parse_call(parser, major, minor);
    }
}

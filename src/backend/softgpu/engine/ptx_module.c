/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's outer part: directives of a PTX text, variables with their initialisers, headers of
 * functions. Called by ptx.c. Text is hostile: every size is checked before it is used.
 */
#include "ptx.h"

#include <errno.h>
#include <string.h>

#define ALIGN_MAX 4096

void wh_ptx_module(struct wh_ptx *ptx);

static void skip_statement(struct wh_ptx *ptx)
{
    while (ptx->token.kind != TOKEN_END && !wh_ptx_accept(ptx, ';'))
        wh_ptx_next(ptx);
}

/* ---- variables ---- */

static bool parse_align(struct wh_ptx *ptx, uint32_t *align)
{
    int64_t value;
    wh_ptx_next(ptx);
    if (!wh_ptx_integer(ptx, &value))
        return false;
    if (value <= 0 || value > ALIGN_MAX || (value & (value - 1)) != 0)
        return wh_ptx_fail(ptx, "alignment %lld is not a power of two up to %d", (long long)value,
                           ALIGN_MAX);
    *align = (uint32_t)value;
    return true;
}

/* `.v4 .f32` or `.v4.f32` or `.b8`: size of an element, of which several make a vector. */
static bool parse_type(struct wh_ptx *ptx, enum wh_type *type, unsigned *vector)
{
    *type = T_NONE;
    *vector = 1;
    while (ptx->token.kind == TOKEN_WORD && ptx->token.text[0] == '.' && *type == T_NONE) {
        const char *text = ptx->token.text, *end = text + ptx->token.length;
        while (text < end) {
            const char *word = ++text;
            while (text < end && *text != '.')
                text++;
            unsigned length = (unsigned)(text - word);
            if (length == 2 && word[0] == 'v' &&
                (word[1] == '2' || word[1] == '4' || word[1] == '8'))
                *vector = (unsigned)(word[1] - '0');
            else if ((*type = wh_type_of(word, length)) == T_NONE)
                return wh_ptx_fail(ptx, "'%.*s' is not a type of variables", (int)length, word);
        }
        wh_ptx_next(ptx);
    }
    return *type != T_NONE || wh_ptx_fail(ptx, "a type expected");
}

static enum wh_space space_of(const struct wh_token *token)
{
    static const struct {
        const char *name;
        enum wh_space space;
    } spaces[] = {{".global", SPACE_GLOBAL}, {".shared", SPACE_SHARED}, {".local", SPACE_LOCAL},
                  {".const", SPACE_CONST},   {".param", SPACE_PARAM},   {".reg", SPACE_REG}};
    for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        if (wh_token_is(token, spaces[i].name))
            return spaces[i].space;
    return SPACE_GENERIC;
}

/* [4][], dimensions multiply; the first may be empty. */
static bool parse_dimensions(struct wh_ptx *ptx, uint64_t *count, bool *open)
{
    *count = 1;
    *open = false;
    while (wh_ptx_accept(ptx, '[')) {
        int64_t n = 0;
        if (wh_ptx_accept(ptx, ']')) {
            *open = true;
            continue;
        }
        if (!wh_ptx_integer(ptx, &n) || !wh_ptx_expect(ptx, ']'))
            return false;
        if (n < 0 || (n > 0 && *count > WH_VARIABLE_MAX / (uint64_t)n))
            return wh_ptx_fail(ptx, "an array of more than %llu elements", WH_VARIABLE_MAX);
        *count *= (uint64_t)n;
    }
    return true;
}

static bool add_fixup(struct wh_ptx *ptx, struct wh_variable *variable, struct wh_fixup fixup)
{
    if (!wh_arena_grow(ptx->arena, &variable->fixups, variable->nfixups, &variable->fixup_room,
                       sizeof(fixup)))
        return wh_ptx_no_memory(ptx);
    variable->fixups[variable->nfixups++] = fixup;
    return true;
}

/* A symbol's address in an initialiser: name, name+8, generic(name)+8, mask(name) of one byte. */
static bool init_symbol(struct wh_ptx *ptx, struct wh_variable *variable, uint64_t at,
                        unsigned bytes)
{
    struct wh_fixup fixup = {
        .place = (uint32_t)at, .bytes = (uint8_t)bytes, .line = ptx->token.line};
    if (wh_ptx_word(ptx, "generic")) {
        wh_ptx_next(ptx);
        fixup.generic = true;
        if (!wh_ptx_expect(ptx, '('))
            return false;
    }
    fixup.symbol = wh_symbol_find(ptx->symbols, ptx->token.text, ptx->token.length);
    if (!fixup.symbol ||
        (fixup.symbol->kind != SYMBOL_VARIABLE && fixup.symbol->kind != SYMBOL_FUNCTION))
        return wh_ptx_fail(ptx, "'%.*s' in an initialiser is not declared", (int)ptx->token.length,
                           ptx->token.text);
    if (fixup.symbol->kind == SYMBOL_FUNCTION)
        fixup.symbol->function->address_taken = true;
    wh_ptx_next(ptx);
    if (fixup.generic && !wh_ptx_expect(ptx, ')'))
        return false;
    if (wh_ptx_is(ptx, '+') || wh_ptx_is(ptx, '-')) {
        bool negative = wh_ptx_is(ptx, '-');
        wh_ptx_next(ptx);
        if (!wh_ptx_integer(ptx, &fixup.addend))
            return false;
        fixup.addend = negative ? (int64_t)(0 - (uint64_t)fixup.addend) : fixup.addend;
    }
    return add_fixup(ptx, variable, fixup);
}

/* 0xFF00(name): the byte of an address that the mask picks. */
static bool init_masked(struct wh_ptx *ptx, struct wh_variable *variable, uint64_t at,
                        uint64_t mask)
{
    wh_ptx_next(ptx);
    if (!init_symbol(ptx, variable, at, 1) || !wh_ptx_expect(ptx, ')'))
        return false;
    if (mask == 0 || (mask >> __builtin_ctzll(mask)) != 0xff)
        return wh_ptx_fail(ptx, "mask %#llx of an address is not one byte",
                           (unsigned long long)mask);
    variable->fixups[variable->nfixups - 1].shift = (uint8_t)__builtin_ctzll(mask);
    return true;
}

static uint64_t number_bits(const struct wh_token *token, enum wh_type type)
{
    double number;
    if (type == T_F32 && token->kind == TOKEN_FLOAT) {
        uint32_t bits;
        memcpy(&number, &token->value, sizeof(number));
        float single = (float)number;
        memcpy(&bits, &single, sizeof(bits));
        return bits;
    }
    if (type == T_F64 && token->kind == TOKEN_SINGLE) {
        uint64_t bits;
        float single;
        memcpy(&single, &token->value, sizeof(single));
        number = (double)single;
        memcpy(&bits, &number, sizeof(bits));
        return bits;
    }
    return token->value;
}

static bool init_element(struct wh_ptx *ptx, struct wh_variable *variable, enum wh_type type,
                         uint64_t at)
{
    unsigned size = wh_type_size(type);
    if (at + size > variable->init_size)
        return wh_ptx_fail(ptx, "more initial values than %s has room for", variable->name);
    if (ptx->token.kind == TOKEN_WORD)
        return size >= 4 ? init_symbol(ptx, variable, at, size)
                         : wh_ptx_fail(ptx, "an address does not fit in %u bytes", size);
    bool negative = wh_ptx_accept(ptx, '-');
    if (ptx->token.kind != TOKEN_INTEGER && ptx->token.kind != TOKEN_FLOAT &&
        ptx->token.kind != TOKEN_SINGLE)
        return wh_ptx_fail(ptx, "an initial value expected");
    uint64_t bits = number_bits(&ptx->token, type);
    if (negative)
        bits = wh_type_float(type) ? bits ^ 1ull << (size * 8 - 1) : 0 - bits;
    wh_ptx_next(ptx);
    if (wh_ptx_is(ptx, '('))
        return init_masked(ptx, variable, at, bits);
    memcpy(variable->init + at, &bits, size < 8 ? size : 8);
    return true;
}

/* Braces nest as dimensions do; elements follow each other. `at` counts bytes. */
static bool init_list(struct wh_ptx *ptx, struct wh_variable *variable, enum wh_type type,
                      uint64_t *at)
{
    unsigned depth = 0;
    do {
        while (wh_ptx_accept(ptx, '{'))
            depth++;
        if (depth > 8)
            return wh_ptx_fail(ptx, "initial values nest too deep");
        if (!wh_ptx_is(ptx, '}')) {
            if (!init_element(ptx, variable, type, *at))
                return false;
            *at += wh_type_size(type);
        }
        while (depth > 0 && wh_ptx_accept(ptx, '}'))
            depth--;
    } while (wh_ptx_accept(ptx, ','));
    return depth == 0 || wh_ptx_fail(ptx, "'}' expected");
}

/* An array without a size is as long as its initial values: they are counted first. */
static uint64_t count_elements(struct wh_ptx *ptx)
{
    struct wh_lexer saved = ptx->lexer;
    struct wh_token token = ptx->token;
    uint64_t n = 1;
    while (token.kind != TOKEN_END && token.kind != TOKEN_BAD &&
           !(token.kind == TOKEN_MARK && token.mark == ';')) {
        n += token.kind == TOKEN_MARK && token.mark == ',';
        token = wh_lex(&ptx->lexer);
    }
    ptx->lexer = saved;
    return n;
}

static bool parse_init(struct wh_ptx *ptx, struct wh_variable *variable, enum wh_type type,
                       bool open, unsigned unit)
{
    uint64_t at = 0;
    wh_ptx_next(ptx);
    if (variable->space != SPACE_GLOBAL && variable->space != SPACE_CONST)
        return wh_ptx_fail(ptx, "%s has an initial value, and is neither global nor constant",
                           variable->name);
    if (open)
        variable->size = count_elements(ptx) * unit;
    variable->init_size = variable->size;
    variable->init = wh_arena_take(ptx->arena, variable->size + 1);
    if (!variable->init)
        return wh_ptx_no_memory(ptx);
    return init_list(ptx, variable, type, &at);
}

/* A name may be declared several times; a definition fills in the rest. */
static struct wh_variable *declare_variable(struct wh_ptx *ptx, const struct wh_token *name)
{
    struct wh_symbol *symbol = wh_symbol_find_here(ptx->symbols, name->text, name->length);
    if (symbol && (symbol->kind != SYMBOL_VARIABLE || symbol->variable->linkage != LINK_EXTERN)) {
        wh_ptx_fail(ptx, "'%.*s' is declared twice", (int)name->length, name->text);
        return NULL;
    }
    if (symbol)
        return symbol->variable;
    struct wh_variable *variable = wh_arena_take(ptx->arena, sizeof(*variable));
    symbol =
        wh_symbol_add(ptx->symbols, ptx->symbols->depth, SYMBOL_VARIABLE, name->text, name->length);
    if (!symbol || !variable) {
        wh_ptx_no_memory(ptx);
        return NULL;
    }
    variable->name = symbol->name;
    symbol->variable = variable;
    *ptx->unit->variables_end = variable;
    ptx->unit->variables_end = &variable->next;
    return variable;
}

static void own_variable(struct wh_function *function, struct wh_variable *variable)
{
    if (!function->own)
        function->own_end = &function->own;
    variable->owner = function;
    *function->own_end = variable;
    function->own_end = &variable->next_own;
}

/* NULL after an error. */
static struct wh_variable *declare(struct wh_ptx *ptx, enum wh_linkage linkage, enum wh_space space,
                                   enum wh_type type, unsigned vector, uint32_t align, bool managed)
{
    struct wh_token name = ptx->token;
    uint64_t count;
    bool open;
    if (name.kind != TOKEN_WORD) {
        wh_ptx_fail(ptx, "a name expected");
        return NULL;
    }
    wh_ptx_next(ptx);
    if (!parse_dimensions(ptx, &count, &open))
        return NULL;
    struct wh_variable *variable = declare_variable(ptx, &name);
    if (!variable)
        return NULL;
    unsigned unit = wh_type_size(type) * vector;
    variable->space = (uint8_t)space;
    variable->linkage = (uint8_t)linkage;
    variable->align = align > unit ? align : unit;
    variable->size = open ? 0 : count * unit;
    variable->managed = managed;
    variable->dynamic = space == SPACE_SHARED && linkage == LINK_EXTERN;
    if (ptx->function && !variable->owner)
        own_variable(ptx->function, variable);
    if (wh_ptx_is(ptx, '=') && !parse_init(ptx, variable, type, open, unit))
        return NULL;
    uint64_t most = space == SPACE_SHARED  ? WH_SHARED_MAX
                    : space == SPACE_LOCAL ? WH_LOCAL_MAX
                                           : WH_VARIABLE_MAX;
    if (variable->size <= most)
        return variable;
    wh_ptx_fail(ptx, "%s has %llu bytes, more than the %llu that the software device takes",
                variable->name, (unsigned long long)variable->size, (unsigned long long)most);
    return NULL;
}

/* .attribute(.managed): all memory here is the host's too, so that it only has to be remembered. */
static bool parse_attribute(struct wh_ptx *ptx, enum wh_space space, bool *managed)
{
    wh_ptx_next(ptx);
    if (!wh_ptx_expect(ptx, '('))
        return false;
    *managed = wh_ptx_word(ptx, ".managed");
    if (!*managed || space != SPACE_GLOBAL)
        return wh_ptx_fail(ptx, "attribute '%.*s' is not supported here", (int)ptx->token.length,
                           ptx->token.text);
    wh_ptx_next(ptx);
    return wh_ptx_expect(ptx, ')');
}

/* .global .texref: PTX's own types are opaque; here such a variable is a number. */
static bool parse_reference(struct wh_ptx *ptx, enum wh_space space, enum wh_type *type,
                            unsigned *vector)
{
    if (space != SPACE_GLOBAL || ptx->function)
        return wh_ptx_fail(ptx, "'%.*s' is for variables of the module", (int)ptx->token.length,
                           ptx->token.text);
    wh_ptx_next(ptx);
    *type = T_U64;
    *vector = 1;
    return true;
}

void wh_ptx_variable(struct wh_ptx *ptx, enum wh_linkage linkage)
{
    enum wh_space space = space_of(&ptx->token);
    enum wh_type type;
    unsigned vector;
    uint32_t align = 1;
    bool managed = false;
    if (wh_token_is(&ptx->token, ".tex") || space == SPACE_GENERIC) {
        wh_ptx_fail(ptx, "'%.*s' is not a space of variables", (int)ptx->token.length,
                    ptx->token.text);
        return;
    }
    wh_ptx_next(ptx);
    if (wh_ptx_word(ptx, ".attribute") && !parse_attribute(ptx, space, &managed))
        return;
    if (wh_ptx_word(ptx, ".align") && !parse_align(ptx, &align))
        return;
    if (wh_ptx_word(ptx, ".samplerref")) {
        wh_ptx_fail(ptx, "samplers apart from textures are not supported");
        return;
    }
    enum wh_opaque opaque = wh_ptx_word(ptx, ".texref")    ? OPAQUE_TEXTURE
                            : wh_ptx_word(ptx, ".surfref") ? OPAQUE_SURFACE
                                                           : OPAQUE_NONE;
    if (opaque ? !parse_reference(ptx, space, &type, &vector) : !parse_type(ptx, &type, &vector))
        return;
    do {
        struct wh_variable *variable = declare(ptx, linkage, space, type, vector, align, managed);
        if (!variable)
            return;
        variable->opaque = (uint8_t)opaque;
    } while (wh_ptx_accept(ptx, ','));
    wh_ptx_expect(ptx, ';');
}

/* ---- functions ---- */

bool wh_ptx_param(struct wh_ptx *ptx, struct wh_param *param)
{
    enum wh_type type;
    unsigned vector;
    uint64_t count;
    bool open;
    *param = (struct wh_param){.align = 1};
    if (wh_ptx_word(ptx, ".align") && !parse_align(ptx, &param->align))
        return false;
    if (!parse_type(ptx, &type, &vector))
        return false;
    unsigned unit = wh_type_size(type) * vector;
    param->align = param->align > unit ? param->align : unit;
    while (wh_ptx_word(ptx, ".ptr") || wh_ptx_word(ptx, ".global") || wh_ptx_word(ptx, ".shared") ||
           wh_ptx_word(ptx, ".const") || wh_ptx_word(ptx, ".local"))
        wh_ptx_next(ptx);
    uint32_t points_at;
    if (wh_ptx_word(ptx, ".align") && !parse_align(ptx, &points_at))
        return false;
    struct wh_token name = ptx->token;
    if (name.kind != TOKEN_WORD)
        return wh_ptx_fail(ptx, "a parameter's name expected");
    param->name = wh_arena_text(ptx->arena, name.text, name.length);
    if (!param->name)
        return wh_ptx_no_memory(ptx);
    wh_ptx_next(ptx);
    if (!parse_dimensions(ptx, &count, &open))
        return false;
    if (count > WH_PARAMS_MAX / unit)
        return wh_ptx_fail(ptx, "parameter %s has more than %u bytes", param->name, WH_PARAMS_MAX);
    param->size = (uint32_t)count * unit;
    return true;
}

/* Parameters of a function live one behind the other; each starts where its alignment lets it. */
static bool place_param(struct wh_ptx *ptx, struct wh_function *function, struct wh_param *param)
{
    uint32_t unit = !function->entry && param->align < 4 ? 4 : param->align;
    uint32_t offset = (function->params_size + unit - 1) & ~(unit - 1);
    if (offset > WH_PARAMS_MAX || param->size > WH_PARAMS_MAX - offset)
        return wh_ptx_fail(ptx, "parameters of %s have more than %u bytes", function->name,
                           WH_PARAMS_MAX);
    param->offset = offset;
    function->params_size = offset + param->size;
    return true;
}

static bool parse_params(struct wh_ptx *ptx, struct wh_function *function, bool ret)
{
    if (!wh_ptx_expect(ptx, '('))
        return false;
    while (!wh_ptx_is(ptx, ')')) {
        struct wh_param param;
        if (!wh_ptx_word(ptx, ".param"))
            return wh_ptx_fail(ptx, "only .param parameters are supported, not '%.*s'",
                               (int)ptx->token.length, ptx->token.text);
        wh_ptx_next(ptx);
        if (!wh_ptx_param(ptx, &param) || !place_param(ptx, function, &param))
            return false;
        param.ret = ret;
        if (!wh_arena_grow(ptx->arena, &function->params, function->nparams, &function->param_room,
                           sizeof(param)))
            return wh_ptx_no_memory(ptx);
        function->params[function->nparams++] = param;
        function->nreturns += ret;
        if (!wh_ptx_accept(ptx, ','))
            break;
    }
    return wh_ptx_expect(ptx, ')');
}

/* Names of parameters, visible in the body. */
static bool name_params(struct wh_ptx *ptx, struct wh_function *function)
{
    for (size_t i = 0; i < function->nparams; i++) {
        const char *name = function->params[i].name;
        struct wh_symbol *symbol = wh_symbol_add(ptx->symbols, ptx->symbols->depth, SYMBOL_PARAM,
                                                 name, (unsigned)strlen(name));
        if (!symbol)
            return wh_ptx_no_memory(ptx);
        symbol->param = &function->params[i];
    }
    return true;
}

static struct wh_function *declare_function(struct wh_ptx *ptx, const struct wh_token *name,
                                            bool entry)
{
    struct wh_symbol *symbol = wh_symbol_find(ptx->symbols, name->text, name->length);
    if (symbol && (symbol->kind != SYMBOL_FUNCTION || symbol->function->entry != entry)) {
        wh_ptx_fail(ptx, "'%.*s' is declared twice", (int)name->length, name->text);
        return NULL;
    }
    if (symbol)
        return symbol->function;
    struct wh_function *function = wh_arena_take(ptx->arena, sizeof(*function));
    symbol = wh_symbol_add(ptx->symbols, 0, SYMBOL_FUNCTION, name->text, name->length);
    if (!symbol || !function) {
        wh_ptx_no_memory(ptx);
        return NULL;
    }
    function->name = symbol->name;
    function->entry = entry;
    function->unit = ptx->unit;
    function->line = name->line;
    function->linkage = LINK_STATIC;
    symbol->function = function;
    *ptx->unit->functions_end = function;
    ptx->unit->functions_end = &function->next;
    return function;
}

static bool parse_dims3(struct wh_ptx *ptx, uint32_t dims[3])
{
    dims[0] = dims[1] = dims[2] = 1;
    for (unsigned i = 0; i < 3; i++) {
        int64_t value;
        if (!wh_ptx_integer(ptx, &value))
            return false;
        if (value < 0 || value > UINT32_MAX)
            return wh_ptx_fail(ptx, "a size of %lld", (long long)value);
        dims[i] = (uint32_t)value;
        if (!wh_ptx_accept(ptx, ','))
            break;
    }
    return true;
}

/* What stands between a function's header and its body; most of it only helps a compiler. */
static bool parse_attributes(struct wh_ptx *ptx, struct wh_function *function)
{
    while (ptx->token.kind == TOKEN_WORD && ptx->token.text[0] == '.') {
        uint32_t dims[3];
        bool most = wh_ptx_word(ptx, ".maxntid"), exact = wh_ptx_word(ptx, ".reqntid");
        bool cluster = wh_ptx_word(ptx, ".reqnctapercluster");
        if (wh_ptx_word(ptx, ".pragma")) {
            skip_statement(ptx);
            continue;
        }
        bool flag = wh_ptx_word(ptx, ".noreturn") || wh_ptx_word(ptx, ".explicitcluster") ||
                    wh_ptx_word(ptx, ".blocksareclusters") || wh_ptx_word(ptx, ".unified");
        wh_ptx_next(ptx);
        if (flag)
            continue;
        if (ptx->token.kind == TOKEN_WORD) { /* .abi_preserve and the like */
            wh_ptx_next(ptx);
            continue;
        }
        if (!parse_dims3(ptx, dims))
            return false;
        uint64_t threads = (uint64_t)dims[0] * dims[1] * dims[2];
        if ((most || exact) &&
            (threads == 0 || dims[0] > 1024 || dims[1] > 1024 || dims[2] > 1024 || threads > 1024))
            return wh_ptx_fail(ptx, "%s has blocks of more than 1024 threads", function->name);
        if (most || exact)
            function->max_threads = (uint32_t)threads;
        if (exact)
            memcpy(function->required_block, dims, sizeof(dims));
        if (cluster)
            memcpy(function->required_cluster, dims, sizeof(dims));
    }
    return true;
}

static void take_params(struct wh_function *function, const struct wh_function *header)
{
    if (function->defined)
        return;
    function->params = header->params;
    function->nparams = header->nparams;
    function->nreturns = header->nreturns;
    function->params_size = header->params_size;
}

static void skip_attribute(struct wh_ptx *ptx)
{
    if (!wh_ptx_word(ptx, ".attribute"))
        return;
    while (ptx->token.kind != TOKEN_END && !wh_ptx_accept(ptx, ')'))
        wh_ptx_next(ptx);
}

static void parse_definition(struct wh_ptx *ptx, struct wh_function *function,
                             const struct wh_function *header)
{
    if (function->defined) {
        wh_ptx_fail(ptx, "%s is defined twice", function->name);
        return;
    }
    take_params(function, header);
    function->defined = true;
    ptx->function = function;
    if (!wh_symbols_enter(ptx->symbols))
        return;
    if (name_params(ptx, function))
        wh_ptx_body(ptx);
    wh_symbols_leave(ptx->symbols);
    ptx->function = NULL;
}

/* .func (returns) name (parameters) attributes, and a body or ';' */
static void parse_function(struct wh_ptx *ptx, enum wh_linkage linkage, bool entry)
{
    struct wh_function header = {.entry = entry, .name = "the function"};
    wh_ptx_next(ptx);
    skip_attribute(ptx);
    if (!entry && wh_ptx_is(ptx, '(') && !parse_params(ptx, &header, true))
        return;
    struct wh_token name = ptx->token;
    if (name.kind != TOKEN_WORD) {
        wh_ptx_fail(ptx, "a function's name expected");
        return;
    }
    wh_ptx_next(ptx);
    struct wh_function *function = declare_function(ptx, &name, entry);
    if (!function || (wh_ptx_is(ptx, '(') && !parse_params(ptx, &header, false)))
        return;
    if (!function->defined)
        function->linkage = (uint8_t)linkage;
    if (!parse_attributes(ptx, function))
        return;
    if (wh_ptx_accept(ptx, ';'))
        take_params(function, &header);
    else
        parse_definition(ptx, function, &header);
}

/* ---- the text ---- */

static void parse_target(struct wh_ptx *ptx)
{
    wh_ptx_next(ptx);
    if (ptx->token.kind == TOKEN_WORD && ptx->token.length > 3 &&
        memcmp(ptx->token.text, "sm_", 3) == 0)
        for (unsigned i = 3; i < ptx->token.length && ptx->token.text[i] >= '0' &&
                             ptx->token.text[i] <= '9' && i < 6;
             i++)
            ptx->unit->target = ptx->unit->target * 10 + (uint32_t)(ptx->token.text[i] - '0');
    if (ptx->unit->target == 0) {
        wh_ptx_fail(ptx, ".target sm_NN expected");
        return;
    }
    wh_ptx_next(ptx);
    while (wh_ptx_accept(ptx, ','))
        wh_ptx_next(ptx);
}

/* .section .debug_info { ... } */
static void skip_section(struct wh_ptx *ptx)
{
    while (ptx->token.kind != TOKEN_END && !wh_ptx_accept(ptx, '{'))
        wh_ptx_next(ptx);
    while (ptx->token.kind != TOKEN_END && !wh_ptx_accept(ptx, '}'))
        wh_ptx_next(ptx);
}

/* .file 1 "name"[, time, size] */
static void skip_file(struct wh_ptx *ptx)
{
    wh_ptx_next(ptx);
    wh_ptx_next(ptx);
    wh_ptx_next(ptx);
    while (wh_ptx_accept(ptx, ','))
        wh_ptx_next(ptx);
}

static enum wh_linkage parse_linkage(struct wh_ptx *ptx)
{
    static const struct {
        const char *name;
        enum wh_linkage linkage;
    } linkages[] = {{".visible", LINK_VISIBLE},
                    {".weak", LINK_WEAK},
                    {".extern", LINK_EXTERN},
                    {".common", LINK_COMMON}};
    for (unsigned i = 0; i < sizeof(linkages) / sizeof(linkages[0]); i++)
        if (wh_ptx_word(ptx, linkages[i].name)) {
            wh_ptx_next(ptx);
            return linkages[i].linkage;
        }
    return LINK_STATIC;
}

static void parse_item(struct wh_ptx *ptx)
{
    enum wh_linkage linkage = parse_linkage(ptx);
    wh_ptx_split(ptx);
    if (wh_ptx_word(ptx, ".entry") || wh_ptx_word(ptx, ".func"))
        parse_function(ptx, linkage, wh_ptx_word(ptx, ".entry"));
    else if (wh_ptx_word(ptx, ".section"))
        skip_section(ptx);
    else if (wh_ptx_word(ptx, ".file"))
        skip_file(ptx);
    else if (wh_ptx_word(ptx, ".pragma") || wh_ptx_word(ptx, ".alias") || wh_ptx_word(ptx, ".loc"))
        wh_ptx_word(ptx, ".alias") ? (void)wh_ptx_fail(ptx, ".alias is not supported")
                                   : skip_statement(ptx);
    else if (!wh_ptx_accept(ptx, ';'))
        wh_ptx_variable(ptx, linkage);
}

void wh_ptx_module(struct wh_ptx *ptx)
{
    int64_t size;
    if (!wh_ptx_word(ptx, ".version")) {
        wh_ptx_fail(ptx, ".version expected");
        return;
    }
    wh_ptx_next(ptx);
    if (ptx->token.kind != TOKEN_FLOAT) {
        wh_ptx_fail(ptx, "a version such as 8.5 expected");
        return;
    }
    wh_ptx_next(ptx);
    while (ptx->token.kind != TOKEN_END) {
        if (wh_ptx_word(ptx, ".target")) {
            parse_target(ptx);
        } else if (wh_ptx_word(ptx, ".address_size")) {
            wh_ptx_next(ptx);
            if (wh_ptx_integer(ptx, &size) && size != 64)
                wh_ptx_fail(ptx, "addresses of %lld bits are not supported", (long long)size);
        } else {
            parse_item(ptx);
        }
    }
    if (ptx->unit->target == 0)
        wh_ptx_fail(ptx, ".target expected");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the units of a module: names that are declared here and defined there, places of variables,
 * constants that are addresses, and what each kernel needs of everything it reaches. Called by
 * module.c after all texts are parsed.
 */
#include "exec.h"
#include "handlers.h"
#include "symbol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FUNCTIONS_MAX 32768u /* of a module: what each kernel reaches is looked at */
#define RECURSION_BYTES                                                       \
    (64u << 10) /* of local memory, for what calls itself or through pointers \
                 */

/* A place in a walk over calls. */
struct step {
    struct wh_function *function;
    size_t next;
};

struct linker {
    struct wh_soft_module *module;
    struct wh_symbols *exports;
    struct wh_error *error;
    enum wh_soft_status status;
    struct wh_function **list; /* room for all functions */
    struct step *steps;
};

static bool no_memory(struct linker *linker)
{
    linker->status = WH_SOFT_NO_MEMORY;
    wh_error_set(linker->error, ENOMEM, "no memory for the module");
    return false;
}

/* ---- names ---- */

static bool defines(const struct wh_variable *variable)
{
    return variable->linkage != LINK_EXTERN;
}

static bool twice(struct linker *linker, const char *name)
{
    linker->status = WH_SOFT_INVALID_PTX;
    wh_error_set(linker->error, EINVAL, "'%s' is defined in two images", name);
    return false;
}

static bool export_function(struct linker *linker, struct wh_function *function)
{
    unsigned length = (unsigned)strlen(function->name);
    if (!function->defined || (function->linkage == LINK_STATIC && !function->entry))
        return true;
    struct wh_symbol *symbol = wh_symbol_find(linker->exports, function->name, length);
    if (!symbol) {
        symbol = wh_symbol_add(linker->exports, 0, SYMBOL_FUNCTION, function->name, length);
        if (!symbol)
            return no_memory(linker);
        symbol->function = function;
        return true;
    }
    if (symbol->kind != SYMBOL_FUNCTION)
        return twice(linker, function->name);
    bool weak = function->linkage == LINK_WEAK, other_weak = symbol->function->linkage == LINK_WEAK;
    if (!weak && !other_weak)
        return twice(linker, function->name);
    if (!weak)
        symbol->function = function;
    return true;
}

static bool export_variable(struct linker *linker, struct wh_variable *variable)
{
    unsigned length = (unsigned)strlen(variable->name);
    if (!defines(variable) || variable->linkage == LINK_STATIC || variable->owner)
        return true;
    struct wh_symbol *symbol = wh_symbol_find(linker->exports, variable->name, length);
    if (!symbol) {
        symbol = wh_symbol_add(linker->exports, 0, SYMBOL_VARIABLE, variable->name, length);
        if (!symbol)
            return no_memory(linker);
        symbol->variable = variable;
        return true;
    }
    if (symbol->kind != SYMBOL_VARIABLE)
        return twice(linker, variable->name);
    bool weak = variable->linkage != LINK_VISIBLE,
         other_weak = symbol->variable->linkage != LINK_VISIBLE;
    if (!weak && !other_weak)
        return twice(linker, variable->name);
    if (!weak || (variable->size > symbol->variable->size && other_weak))
        symbol->variable = variable;
    return true;
}

static bool export_all(struct linker *linker)
{
    for (struct wh_module_unit *unit = linker->module->units; unit; unit = unit->next) {
        for (struct wh_function *function = unit->functions; function; function = function->next)
            if (!export_function(linker, function))
                return false;
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next)
            if (!export_variable(linker, variable))
                return false;
    }
    return true;
}

static struct wh_function *actual_function(struct linker *linker, struct wh_function *function)
{
    struct wh_symbol *symbol =
        wh_symbol_find(linker->exports, function->name, (unsigned)strlen(function->name));
    bool open = !function->defined || function->linkage == LINK_WEAK;
    return open && symbol && symbol->kind == SYMBOL_FUNCTION && !symbol->function->entry
               ? symbol->function
               : function;
}

static void resolve_all(struct linker *linker)
{
    for (struct wh_module_unit *unit = linker->module->units; unit; unit = unit->next) {
        for (struct wh_function *function = unit->functions; function; function = function->next) {
            function->actual = actual_function(linker, function);
            if (!function->actual->defined)
                function->actual->builtin = wh_builtin(function->name);
            if (function->address_taken)
                function->actual->address_taken = true;
        }
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next) {
            struct wh_symbol *symbol =
                wh_symbol_find(linker->exports, variable->name, (unsigned)strlen(variable->name));
            bool open = !variable->owner && !variable->dynamic && variable->linkage != LINK_STATIC;
            variable->actual =
                open && symbol && symbol->kind == SYMBOL_VARIABLE ? symbol->variable : variable;
        }
    }
}

/* ---- functions by number ---- */

static bool number_functions(struct linker *linker)
{
    struct wh_soft_module *module = linker->module;
    size_t n = 0, kernels = 0;
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_function *function = unit->functions; function; function = function->next) {
            function->index = (uint32_t)n++;
            kernels += function->entry && function->defined;
        }
    if (n > FUNCTIONS_MAX)
        return no_memory(linker);
    module->functions = wh_arena_take(&module->arena, (n + 1) * sizeof(*module->functions));
    module->kernels = wh_arena_take(&module->arena, (kernels + 1) * sizeof(*module->kernels));
    if (!module->functions || !module->kernels)
        return no_memory(linker);
    module->nfunctions = n;
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_function *function = unit->functions; function; function = function->next) {
            module->functions[function->index] = function->actual;
            if (function->entry && function->defined)
                module->kernels[module->nkernels++] = (struct wh_soft_kernel){
                    .function = function, .module = module, .ptx_version = unit->target};
        }
    return true;
}

/* ---- places of variables ---- */

static uint64_t round_to(uint64_t value, uint64_t unit)
{
    return unit > 1 ? (value + unit - 1) / unit * unit : value;
}

static bool in_memory(const struct wh_variable *variable)
{
    return (variable->space == SPACE_GLOBAL || variable->space == SPACE_CONST) &&
           variable->actual == variable && defines(variable);
}

static bool place_memory(struct linker *linker)
{
    struct wh_soft_module *module = linker->module;
    uint64_t size = 0;
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next) {
            if (!in_memory(variable))
                continue;
            variable->address = round_to(size, variable->align);
            size = variable->address + variable->size;
            if (variable->space == SPACE_CONST)
                module->constant_size += variable->size;
            if (size > WH_VARIABLE_MAX * 4)
                return no_memory(linker);
        }
    if (size == 0)
        return true;
    module->globals = module->memory.allocate(module->memory.owner, size, 4096);
    if (!module->globals)
        return no_memory(linker);
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next) {
            if (!in_memory(variable))
                continue;
            variable->address += module->globals;
            variable->placed = true;
            if (variable->init)
                memcpy((void *)(uintptr_t)variable->address, variable->init,
                       variable->init_size); /* NOLINT */
        }
    return true;
}

/* Shared variables that functions may use lie below those of a kernel's own; local ones in their
 * function's part. */
static void place_shared(struct wh_soft_module *module)
{
    uint64_t common = 0;
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next) {
            bool own = variable->owner && variable->owner->entry;
            if (variable->space == SPACE_LOCAL && variable->owner) {
                variable->address = round_to(variable->owner->local_size, variable->align);
                uint64_t end = variable->address + variable->size;
                variable->owner->local_size =
                    (uint32_t)(end < WH_LOCAL_MAX ? end : WH_LOCAL_MAX + 1);
                variable->placed = true;
            } else if (variable->space == SPACE_SHARED && !variable->dynamic &&
                       variable->actual == variable && !own) {
                variable->address = round_to(common, variable->align);
                common = variable->address + variable->size;
                variable->placed = true;
            }
        }
}

/* ---- constants ---- */

static bool address_of(struct linker *linker, const struct wh_fixup *fixup, uint64_t *address)
{
    if (fixup->symbol->kind == SYMBOL_FUNCTION) {
        *address = WH_FUNCTION_WINDOW + 16ull * fixup->symbol->function->actual->index;
        return true;
    }
    const struct wh_variable *variable = fixup->symbol->variable->actual;
    *address = variable->address;
    if (!variable->placed && !variable->dynamic) {
        linker->status = WH_SOFT_UNRESOLVED;
        wh_error_set(linker->error, ENOENT, "line %u: '%s' is declared and nowhere defined",
                     fixup->line, variable->name);
        return false;
    }
    if (fixup->generic && variable->space == SPACE_SHARED)
        *address += WH_SHARED_WINDOW;
    return true;
}

static bool fill_initialisers(struct linker *linker)
{
    for (struct wh_module_unit *unit = linker->module->units; unit; unit = unit->next)
        for (struct wh_variable *variable = unit->variables; variable; variable = variable->next)
            for (size_t i = 0; i < variable->nfixups && variable->placed; i++) {
                const struct wh_fixup *fixup = &variable->fixups[i];
                uint64_t address;
                if (!address_of(linker, fixup, &address))
                    return false;
                address = (address + (uint64_t)fixup->addend) >> fixup->shift;
                memcpy((void *)(uintptr_t)(variable->address + fixup->place), &address,
                       fixup->bytes); /* NOLINT */
            }
    return true;
}

static void fill_constant(const struct wh_function *function, const struct wh_constant *constant,
                          uint64_t value)
{
    uint8_t *place = function->pool + constant->offset;
    uint32_t word = constant->bytes == 1 ? (value ? UINT32_MAX : 0) : (uint32_t)value;
    for (unsigned lane = 0; lane < WH_LANES; lane++) {
        if (constant->bytes == 1 && lane > 0)
            break;
        if (constant->bytes == 8)
            memcpy(place + lane * 8, &value, 8);
        else
            memcpy(place + lane * 4, &word, 4);
    }
}

static bool fill_pool(struct linker *linker, struct wh_function *function)
{
    function->pool = wh_arena_take(&linker->module->arena, function->pool_size + 2 * WH_SLOT);
    if (!function->pool)
        return no_memory(linker);
    for (size_t i = 0; i < function->nconstants; i++)
        fill_constant(function, &function->constants[i], function->constants[i].value);
    for (size_t i = 0; i < function->nfixups; i++) {
        const struct wh_fixup *fixup = &function->fixups[i];
        uint64_t address;
        if (!address_of(linker, fixup, &address))
            return false;
        fill_constant(function, &function->constants[fixup->place],
                      address + (uint64_t)fixup->addend);
    }
    return true;
}

/* ---- what a kernel reaches ---- */

struct reach {
    struct wh_function **list;
    size_t n;
    bool indirect;
};

static void reach_one(struct reach *reach, struct wh_function *function)
{
    if (function->mark)
        return;
    function->mark = 1;
    reach->list[reach->n++] = function;
}

static void reach_all(struct wh_soft_module *module, struct reach *reach,
                      struct wh_function *kernel)
{
    for (size_t i = 0; i < module->nfunctions; i++)
        module->functions[i]->mark = 0;
    reach_one(reach, kernel);
    for (size_t i = 0; i < reach->n; i++) {
        struct wh_function *function = reach->list[i];
        for (size_t j = 0; j < function->ncallees; j++)
            reach_one(reach, function->callees[j]->actual);
        if (!function->indirect || reach->indirect)
            continue;
        reach->indirect = true;
        for (size_t j = 0; j < module->nfunctions; j++)
            if (module->functions[j]->address_taken)
                reach_one(reach, module->functions[j]);
    }
}

/* Longest way through the functions reached, without recursion: as many rounds as there are
 * functions at most. */
static uint64_t local_need(const struct reach *reach)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < reach->n; i++)
        sum += round_to(reach->list[i]->local_size, 16);
    return sum;
}

/* Whether some function is reached from itself: a walk in depth that meets one that it is still in.
 */
static bool has_cycle(struct linker *linker, struct wh_function *kernel)
{
    enum { REACHED = 1, INSIDE, LEFT };
    struct step *steps = linker->steps;
    size_t n = 1;
    steps[0] = (struct step){kernel, 0};
    kernel->mark = INSIDE;
    while (n > 0) {
        struct step *step = &steps[n - 1];
        if (step->next == step->function->ncallees) {
            step->function->mark = LEFT;
            n--;
            continue;
        }
        struct wh_function *callee = step->function->callees[step->next++]->actual;
        if (callee->mark == INSIDE)
            return true;
        if (callee->mark != REACHED)
            continue;
        callee->mark = INSIDE;
        steps[n++] = (struct step){callee, 0};
    }
    return false;
}

static uint64_t shared_end(const struct reach *reach, bool own)
{
    uint64_t end = 0;
    for (size_t i = 0; i < reach->n; i++)
        for (size_t j = 0; j < reach->list[i]->nfixups; j++) {
            const struct wh_symbol *symbol = reach->list[i]->fixups[j].symbol;
            if (symbol->kind != SYMBOL_VARIABLE)
                continue;
            const struct wh_variable *variable = symbol->variable->actual;
            if (variable->space == SPACE_SHARED && !variable->dynamic &&
                (own || !variable->owner || !variable->owner->entry) &&
                variable->address + variable->size > end)
                end = variable->address + variable->size;
        }
    return end;
}

static void place_own_shared(struct wh_function *kernel, uint64_t at)
{
    for (struct wh_variable *variable = kernel->own; variable; variable = variable->next_own)
        if (variable->space == SPACE_SHARED && !variable->dynamic) {
            variable->address = round_to(at, variable->align);
            at = variable->address + variable->size;
            variable->placed = true;
        }
}

static uint32_t dynamic_align(const struct reach *reach)
{
    uint32_t align = 0;
    for (size_t i = 0; i < reach->n; i++)
        if (reach->list[i]->dynamic_align > align)
            align = reach->list[i]->dynamic_align;
    return align;
}

/* What the device runtime would bring along, were it linked: launches from within kernels and the
 * like. */
static bool is_runtime(const char *name)
{
    return strncmp(name, "cuda", 4) == 0 || strncmp(name, "__cuda", 6) == 0;
}

static bool break_kernel(struct linker *linker, struct wh_function *kernel, const char *name)
{
    char text[200];
    int n = snprintf(text, sizeof(text), "line %u: instruction call: %.100s is not supported",
                     kernel->line, name);
    if (!kernel->broken)
        kernel->broken = wh_arena_text(&linker->module->arena, text, (size_t)n);
    return kernel->broken || no_memory(linker);
}

static bool measure(struct linker *linker, struct wh_function *kernel)
{
    struct reach reach = {.list = linker->list};
    reach_all(linker->module, &reach, kernel);
    for (size_t i = 0; i < reach.n; i++) {
        const struct wh_function *function = reach.list[i];
        if (function->broken && !kernel->broken)
            kernel->broken = function->broken;
        if (!function->defined && !function->builtin && is_runtime(function->name)) {
            if (!break_kernel(linker, kernel, function->name))
                return false;
        } else if (!function->defined && !function->builtin && !function->address_taken) {
            linker->status = WH_SOFT_UNRESOLVED;
            wh_error_set(linker->error, ENOENT, "function '%s' is called and nowhere defined",
                         function->name);
            return false;
        }
    }
    for (size_t i = 0; i < reach.n; i++)
        kernel->reserved |= reach.list[i]->reserved;
    place_own_shared(kernel, shared_end(&reach, false));
    uint64_t shared = shared_end(&reach, true), need = local_need(&reach);
    if (reach.indirect || has_cycle(linker, kernel))
        need += RECURSION_BYTES;
    if (need > WH_LOCAL_MAX || shared > WH_SHARED_MAX) {
        linker->status = WH_SOFT_NO_MEMORY;
        wh_error_set(linker->error, ENOMEM,
                     "kernel %s needs %llu bytes of local and %llu of shared memory", kernel->name,
                     (unsigned long long)need, (unsigned long long)shared);
        return false;
    }
    kernel->local_need = (uint32_t)round_to(need, 16);
    kernel->shared_own = (uint32_t)shared;
    kernel->shared_size = (uint32_t)round_to(shared, dynamic_align(&reach));
    return true;
}

/* Without one kernel that can run, and with one that cannot, the module is refused. */
static bool refuse_broken(struct linker *linker)
{
    const struct wh_soft_module *module = linker->module;
    const char *why = NULL;
    for (size_t i = 0; i < module->nkernels; i++) {
        if (!module->kernels[i].function->broken)
            return true;
        why = module->kernels[i].function->broken;
    }
    if (!why)
        return true;
    linker->status = WH_SOFT_UNSUPPORTED_PTX;
    wh_error_set(linker->error, ENOTSUP, "%s", why);
    return false;
}

static void retarget_calls(struct wh_function *function)
{
    for (size_t i = 0; i < function->ncode; i++)
        if (function->code[i].run == wh_do_call && function->code[i].call->function)
            function->code[i].call->function = function->code[i].call->function->actual;
}

#define NUMBERED_MOST 4096u /* longer kernels are not for a moment */

/* What one who runs the code elsewhere needs; kernels without it are run here only. */
static void number_handlers(struct wh_soft_module *module, struct wh_function *kernel)
{
    if (kernel->broken || kernel->ncallees || kernel->indirect || kernel->ncode > NUMBERED_MOST)
        return;
    struct wh_numbers *numbers =
        wh_arena_take(&module->arena, (kernel->ncode + 1) * sizeof(*numbers));
    for (size_t i = 0; numbers && i < kernel->ncode; i++)
        if (!wh_numbers_of(&kernel->code[i], &numbers[i]))
            return;
    kernel->numbers = numbers;
}

enum wh_soft_status wh_link(struct wh_soft_module *module, struct wh_error *error)
{
    struct linker linker = {
        .module = module, .error = error, .exports = wh_symbols_new(&module->arena)};
    if (!linker.exports) {
        no_memory(&linker);
        return linker.status;
    }
    if (!export_all(&linker))
        return linker.status;
    resolve_all(&linker);
    if (!number_functions(&linker) || !place_memory(&linker))
        return linker.status;
    place_shared(module);
    linker.list = wh_arena_take(&module->arena, (module->nfunctions + 1) * sizeof(*linker.list));
    linker.steps = wh_arena_take(&module->arena, (module->nfunctions + 1) * sizeof(*linker.steps));
    if (!linker.list || !linker.steps) {
        no_memory(&linker);
        return linker.status;
    }
    for (size_t i = 0; i < module->nkernels; i++)
        if (!measure(&linker, module->kernels[i].function))
            return linker.status;
    if (!fill_initialisers(&linker))
        return linker.status;
    for (struct wh_module_unit *unit = module->units; unit; unit = unit->next)
        for (struct wh_function *function = unit->functions; function; function = function->next) {
            retarget_calls(function);
            if (function->defined && !fill_pool(&linker, function))
                return linker.status;
        }
    for (size_t i = 0; i < module->nkernels; i++)
        number_handlers(module, module->kernels[i].function);
    refuse_broken(&linker);
    return linker.status;
}

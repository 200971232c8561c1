/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single instructions against hardware: instructions.txt has, for each form, a hash of what an H200
 * computed over the 256 times four words of instructions.in (NaN of f64 made one). A kernel per
 * form is written here as PTX and run. A line is: hash, type of the result, types of the operands,
 * "nz" where the second must not be 0, the instruction. u32s is a u32 up to 127, u5 one up to 31,
 * s6 an s32 from -8 to 7.
 */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 256

struct form {
    uint64_t hash;
    char result[8], operands[4][8], nonzero[4], instruction[80];
    unsigned n;
};

static struct form *forms;
static size_t nforms;

static bool parse_form(char *line, struct form *form)
{
    char operands[64];
    unsigned long long hash;
    if (sscanf(line, "%16llx %7s %63s %3s %79[^\n]", &hash, form->result, operands, form->nonzero,
               form->instruction) != 5)
        return false;
    form->hash = hash;
    form->n = 0;
    char *rest = operands, *word;
    while ((word = strsep(&rest, ",")) && form->n < 4)
        snprintf(form->operands[form->n++], sizeof(form->operands[0]), "%s", word);
    return true;
}

static void read_forms(void)
{
    size_t size;
    char *text = test_read("instructions.txt", &size), *rest = text, *line;
    text[size] = '\0';
    forms = calloc(2000, sizeof(*forms));
    assert_non_null(forms);
    while ((line = strsep(&rest, "\n")))
        if (*line && nforms < 2000)
            assert_true(parse_form(line, &forms[nforms++]));
    free(text);
}

/* Which of the registers that every kernel declares a type lives in. */
static const char *class_of(const char *type)
{
    if (strcmp(type, "pred") == 0 || strcmp(type, "f32") == 0 || strcmp(type, "f64") == 0)
        return type;
    if (strstr(type, "x2") || strcmp(type, "u5") == 0 || strcmp(type, "s6") == 0 ||
        strstr(type, "32"))
        return "b32";
    return strstr(type, "64") ? "b64" : "b16";
}

/* Operand i out of its 64-bit word. */
static void write_operand(FILE *out, const struct form *form, unsigned i, char *name)
{
    const char *type = form->operands[i], *class = class_of(type);
    char letter = class[0] == 'p'   ? 'p'
                  : class[0] == 'f' ? (class[1] == '3' ? 'f' : 'd')
                  : class[1] == '1' ? 'h'
                  : class[1] == '3' ? 't'
                                    : 'x';
    sprintf(name, "%%%c%u", letter, 3 + i);
    fprintf(out, "ld.global.u64 %%x%u,[%%x0+%u];", 3 + i, i * 8);
    if (letter == 't' || letter == 'f')
        fprintf(out, "cvt.u32.u64 %%t%u,%%x%u;", 3 + i, 3 + i);
    if (strcmp(type, "u32s") == 0)
        fprintf(out, "and.b32 %s,%s,127;", name, name);
    if (strcmp(type, "u5") == 0)
        fprintf(out, "and.b32 %s,%s,31;", name, name);
    if (strcmp(type, "s6") == 0)
        fprintf(out, "and.b32 %s,%s,15;sub.s32 %s,%s,8;", name, name, name, name);
    if (letter == 'h')
        fprintf(out, "cvt.u16.u64 %s,%%x%u;", name, 3 + i);
    if (letter == 'f')
        fprintf(out, "mov.b32 %s,%%t%u;", name, 3 + i);
    if (letter == 'd')
        fprintf(out, "mov.b64 %s,%%x%u;", name, 3 + i);
    if (letter == 'p')
        fprintf(out, "and.b64 %%x%u,%%x%u,1;setp.ne.u64 %s,%%x%u,0;", 3 + i, 3 + i, name, 3 + i);
    if (i == 1 && strcmp(form->nonzero, "nz") == 0)
        fprintf(out, "or.%s %s,%s,1;", class, name, name);
}

/* "lop3.b32 {d},{a},{b},{c},128" says itself where its operands go. */
static void write_instruction(FILE *out, const struct form *form, const char *result,
                              char names[4][8])
{
    const char *at = form->instruction;
    if (!strchr(at, '{')) {
        fprintf(out, "%s %s", at, result);
        for (unsigned i = 0; i < form->n; i++)
            fprintf(out, ",%s", names[i]);
        fprintf(out, ";");
        return;
    }
    for (; *at; at++)
        if (*at == '{') {
            fputs(at[1] == 'd' ? result : names[at[1] - 'a'], out);
            at += 2;
        } else {
            fputc(*at, out);
        }
    fprintf(out, ";");
}

static void write_kernel(FILE *out, const struct form *form, size_t number)
{
    const char *class = class_of(form->result);
    const char *result = class[0] == 'p'   ? "%p9"
                         : class[0] == 'f' ? (class[1] == '3' ? "%f9" : "%d9")
                         : class[1] == '1' ? "%h9"
                         : class[1] == '3' ? "%t9"
                                           : "%x9";
    char names[4][8];
    fprintf(
        out,
        ".entry k%zu(.param .u64 in,.param .u64 out){.reg .b64 %%x<10>;.reg .b32 %%t<10>;.reg .b16 %%h<10>;",
        number);
    fprintf(
        out,
        ".reg .f32 %%f<10>;.reg .f64 %%d<10>;.reg .pred %%p<10>;ld.param.u64 %%x0,[in];ld.param.u64 %%x1,[out];");
    fprintf(
        out,
        "mov.u32 %%t0,%%tid.x;mul.wide.u32 %%x2,%%t0,32;add.u64 %%x0,%%x0,%%x2;mul.wide.u32 %%x2,%%t0,8;");
    fprintf(out, "add.u64 %%x1,%%x1,%%x2;");
    for (unsigned i = 0; i < form->n; i++)
        write_operand(out, form, i, names[i]);
    write_instruction(out, form, result, names);
    if (result[1] == 'f')
        fprintf(out, "mov.b32 %%t9,%%f9;");
    if (result[1] == 'f' || result[1] == 't')
        fprintf(out, "cvt.u64.u32 %%x9,%%t9;");
    if (result[1] == 'h')
        fprintf(out, "cvt.u64.u16 %%x9,%%h9;");
    if (result[1] == 'd')
        fprintf(out, "mov.b64 %%x9,%%d9;");
    if (result[1] == 'p')
        fprintf(out, "selp.b64 %%x9,1,0,%%p9;");
    fprintf(out, "st.global.u64 [%%x1],%%x9;ret;}\n");
}

static struct wh_soft_module *load_all(void)
{
    char *text = NULL;
    size_t size = 0;
    struct wh_soft_module *module;
    struct wh_error error = {0};
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fprintf(out, ".version 8.6\n.target sm_90\n.address_size 64\n");
    for (size_t i = 0; i < nforms; i++)
        write_kernel(out, &forms[i], i);
    fclose(out);
    const void *image = text;
    if (wh_soft_load(&test_memory, &image, &size, 1, &module, &error) != WH_SOFT_OK)
        fail_msg("%s", error.text);
    free(text);
    return module;
}

static uint64_t hash_of(const struct form *form, const uint64_t words[THREADS])
{
    uint64_t hash = 14695981039346656037u;
    bool wide = strcmp(form->result, "f64") == 0;
    for (unsigned i = 0; i < THREADS; i++) {
        uint64_t word = words[i];
        if (wide && (word & 0x7fffffffffffffffu) > 0x7ff0000000000000u)
            word = 0x7ff8000000000000u;
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 32;
    }
    return hash;
}

static void as_hardware_does(void **state)
{
    size_t size, wrong = 0;
    uint64_t *in = test_allocate(THREADS * 32), *out = test_allocate(THREADS * 8);
    char *bytes = test_read("instructions.in", &size);
    (void)state;
    assert_int_equal(size, THREADS * 32);
    memcpy(in, bytes, size);
    free(bytes);
    read_forms();
    assert_true(nforms > 900);
    struct wh_soft_module *module = load_all();
    for (size_t i = 0; i < nforms; i++) {
        char name[32];
        snprintf(name, sizeof(name), "k%zu", i);
        struct wh_soft_fault fault =
            LAUNCH(module, name, 1, THREADS, (uint64_t)(uintptr_t)in, (uint64_t)(uintptr_t)out);
        if (fault.code || hash_of(&forms[i], out) != forms[i].hash) {
            print_error("%s: %s\n", forms[i].instruction,
                        fault.code ? fault.text : "other results than hardware's");
            wrong++;
        }
    }
    test_were_in_view(800);
    wh_soft_unload(module);
    free(forms);
    test_memory_end();
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_hardware_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

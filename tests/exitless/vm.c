/* SPDX-License-Identifier: Apache-2.0 */
/* See vm.h. */
#include "vm.h"

#include "qemu.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROMPT "(qemu) "

static char *fill_in(const char *argument, const char *name)
{
    char *made = NULL;
    size_t size;
    FILE *out = open_memstream(&made, &size);

    for (; *argument; argument++)
        if (*argument == '@')
            fputs(name, out);
        else
            fputc(*argument, out);
    fclose(out);
    return made;
}

void vm_start(struct vm *vm, const char *name, char *const *command)
{
    char *filled[64] = {NULL};

    for (int i = 0; command[i] && i < 63; i++)
        filled[i] = fill_in(command[i], name);
    *vm = (struct vm){.qemu = -1};
    snprintf(vm->name, sizeof(vm->name), "%s", name);
    fflush(stdout);
    vm->qemu = start_qemu(filled, &vm->to, &vm->from);
    for (int i = 0; filled[i]; i++)
        free(filled[i]);
    vm_expect(vm, "shell");
}

void vm_say(struct vm *vm, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(vm->to, format, arguments);
    va_end(arguments);
    fputc('\n', vm->to);
    fflush(vm->to);
}

const char *vm_expect(struct vm *vm, const char *start)
{
    while (fgets(vm->line, sizeof(vm->line), vm->from)) {
        vm->line[strcspn(vm->line, "\r\n")] = 0;
        if (*vm->line)
            printf("# %s: %s\n", vm->name, vm->line);
        if (strncmp(vm->line, start, strlen(start)) == 0)
            return vm->line + strlen(start);
    }
    printf("# the VM %s ended, which was to say: %s\n", vm->name, start);
    verdict(false, "a VM says what it is to say");
    conclude();
    exit(1);
}

/* The monitor prompts when it has carried out what it was told. */
static void await_prompt(int fd)
{
    const char *expected = PROMPT;
    char byte;

    while (*expected) {
        if (read(fd, &byte, 1) != 1)
            die("QEMU's monitor");
        expected = byte == *expected ? expected + 1 : byte == *PROMPT ? PROMPT + 1 : PROMPT;
    }
}

void vm_monitor(struct vm *vm, const char *command)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/wormhole/%s.monitor", vm->name);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
        die(address.sun_path);
    await_prompt(fd);
    dprintf(fd, "%s\n", command);
    await_prompt(fd);
    close(fd);
}

void vm_end(struct vm *vm, int signal)
{
    int status;

    if (signal)
        kill(vm->qemu, signal);
    while (fgets(vm->line, sizeof(vm->line), vm->from))
        ;
    waitpid(vm->qemu, &status, 0);
    fclose(vm->to);
    fclose(vm->from);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's programs, kernels and command buffers. See fake_opencl.h. */
#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- programs and kernels ---- */

static cl_program new_program(struct fake *context, size_t binary, bool has_source,
                              cl_int *errcode_ret)
{
    if (!context)
        return fake_fail(errcode_ret, CL_INVALID_CONTEXT);
    struct fake *program = fake_new(FAKE_PROGRAM, 1, &context);
    if (program) {
        program->size = binary;
        program->has_source = has_source;
    }
    return fake_made(program, errcode_ret);
}

static cl_program create_program(cl_context object, cl_uint n, const char **strings,
                                 const size_t *lengths, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (n == 0 || !strings)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < n; i++) {
        if (!strings[i])
            return fake_fail(errcode_ret, CL_INVALID_VALUE);
        fake_read(strings[i], lengths && lengths[i] ? lengths[i] : strlen(strings[i]) + 1);
    }
    return new_program(context, 40, true, errcode_ret);
}

static unsigned devices_of(const struct fake *context)
{
    unsigned n = 0;
    while (n < FAKE_PARENTS && context->parents[n])
        n++;
    return n;
}

static cl_int check_devices(cl_uint n, const cl_device_id *devices)
{
    if ((n == 0) != (devices == NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < n; i++)
        if (!fake_check(devices[i], FAKE_DEVICE))
            return CL_INVALID_DEVICE;
    return CL_SUCCESS;
}

static cl_program create_program_binary(cl_context object, cl_uint n, const cl_device_id *devices,
                                        const size_t *lengths, const unsigned char **binaries,
                                        cl_int *results, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (n == 0 || !lengths || !binaries || check_devices(n, devices) != CL_SUCCESS)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < n; i++) {
        if (lengths[i] == 0 || !binaries[i])
            return fake_fail(errcode_ret, CL_INVALID_VALUE);
        fake_read(binaries[i], lengths[i]);
        if (results)
            results[i] = CL_SUCCESS;
    }
    return new_program(context, lengths[0], false, errcode_ret);
}

static cl_program create_program_il(cl_context object, const void *il, size_t size,
                                    cl_int *errcode_ret)
{
    if (!il || size == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    fake_read(il, size);
    return new_program(fake_check(object, FAKE_CONTEXT), 48, true, errcode_ret);
}

static cl_program create_built_in(cl_context object, cl_uint n, const cl_device_id *devices,
                                  const char *names, cl_int *errcode_ret)
{
    if (n == 0 || !names || check_devices(n, devices) != CL_SUCCESS)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    fake_read(names, strlen(names));
    return new_program(fake_check(object, FAKE_CONTEXT), 16, true, errcode_ret);
}

static cl_int finish_build(struct fake *program, cl_uint n, const cl_device_id *devices,
                           const char *options, cl_program_callback notify, void *user)
{
    if (!program)
        return CL_INVALID_PROGRAM;
    cl_int result = check_devices(n, devices);
    if (result != CL_SUCCESS || (user && !notify))
        return result != CL_SUCCESS ? result : CL_INVALID_VALUE;
    if (options)
        fake_read(options, strlen(options));
    program->is_finished = true;
    if (notify)
        notify((cl_program)(void *)program, user);
    return options && options[0] == '!' ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS;
}

static cl_int build_program(cl_program object, cl_uint n, const cl_device_id *devices,
                            const char *options, cl_program_callback notify, void *user)
{
    return finish_build(fake_check(object, FAKE_PROGRAM), n, devices, options, notify, user);
}

static cl_int compile_program(cl_program object, cl_uint n, const cl_device_id *devices,
                              const char *options, cl_uint nheaders, const cl_program *headers,
                              const char **names, cl_program_callback notify, void *user)
{
    if ((nheaders == 0) != (headers == NULL) || (nheaders == 0) != (names == NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < nheaders; i++) {
        if (!fake_check(headers[i], FAKE_PROGRAM) || !names[i])
            return CL_INVALID_VALUE;
        fake_read(names[i], strlen(names[i]));
    }
    return finish_build(fake_check(object, FAKE_PROGRAM), n, devices, options, notify, user);
}

static cl_program link_program(cl_context object, cl_uint n, const cl_device_id *devices,
                               const char *options, cl_uint nprograms, const cl_program *programs,
                               cl_program_callback notify, void *user, cl_int *errcode_ret)
{
    struct fake *context = fake_check(object, FAKE_CONTEXT);
    if (nprograms == 0 || !programs)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    for (cl_uint i = 0; i < nprograms; i++)
        if (!fake_check(programs[i], FAKE_PROGRAM))
            return fake_fail(errcode_ret, CL_INVALID_PROGRAM);
    cl_int ignored;
    cl_program program = new_program(context, 64, false, &ignored);
    struct fake *known = (struct fake *)(void *)program;
    cl_int result = finish_build(known, n, devices, options, notify, user);
    if (result == CL_SUCCESS)
        return fake_made(known, errcode_ret);
    if (known)
        fake_release(known);
    return fake_fail(errcode_ret, result);
}

static cl_int get_program_info(cl_program object, cl_program_info name, size_t size, void *value,
                               size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_PROGRAM);
    if (!known)
        return CL_INVALID_PROGRAM;
    struct fake *context = known->parents[0];
    unsigned n = devices_of(context);
    size_t sizes[FAKE_PARENTS] = {known->size, known->size, known->size, known->size};
    if (name == CL_PROGRAM_CONTEXT)
        return fake_handle(context, size, value, size_ret);
    if (name == CL_PROGRAM_DEVICES)
        return fake_answer(context->parents, n * sizeof(void *), size, value, size_ret);
    if (name == CL_PROGRAM_BINARY_SIZES)
        return fake_answer(sizes, n * sizeof(sizes[0]), size, value, size_ret);
    if (name == CL_PROGRAM_SOURCE || name == CL_PROGRAM_KERNEL_NAMES)
        return fake_text("kernel", size, value, size_ret);
    if (name != CL_PROGRAM_BINARIES)
        return fake_number(n, size, value, size_ret);
    if (value && size < n * sizeof(void *))
        return CL_INVALID_VALUE;
    for (unsigned i = 0; value && i < n; i++)
        if (((uint8_t **)value)[i])
            fake_write(((uint8_t **)value)[i], known->size);
    if (size_ret)
        *size_ret = n * sizeof(void *);
    return CL_SUCCESS;
}

static cl_int get_build_info(cl_program object, cl_device_id device, cl_program_build_info name,
                             size_t size, void *value, size_t *size_ret)
{
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (!fake_check(device, FAKE_DEVICE))
        return CL_INVALID_DEVICE;
    (void)name;
    return fake_text("all is well", size, value, size_ret);
}

static cl_int set_program_callback(cl_program object, cl_program_callback notify, void *user)
{
    struct fake *known = fake_check(object, FAKE_PROGRAM);
    if (!known)
        return CL_INVALID_PROGRAM;
    if (!notify || known->gone)
        return CL_INVALID_VALUE;
    known->gone = (void (*)(void *, void *))(void *)notify;
    known->user = user;
    return CL_SUCCESS;
}

static cl_int set_constant(cl_program object, cl_uint id, size_t size, const void *value)
{
    (void)id;
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (!value)
        return CL_INVALID_VALUE;
    fake_read(value, size);
    return CL_SUCCESS;
}

static cl_kernel create_kernel(cl_program object, const char *name, cl_int *errcode_ret)
{
    struct fake *program = fake_check(object, FAKE_PROGRAM);
    if (!program)
        return fake_fail(errcode_ret, CL_INVALID_PROGRAM);
    if (!program->is_finished)
        return fake_fail(errcode_ret, CL_INVALID_PROGRAM_EXECUTABLE);
    if (!name || strlen(name) == 0)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    return fake_made(fake_new(FAKE_KERNEL, 1, &program), errcode_ret);
}

static cl_int create_kernels(cl_program object, cl_uint n, cl_kernel *kernels, cl_uint *found)
{
    if (!fake_check(object, FAKE_PROGRAM))
        return CL_INVALID_PROGRAM;
    if (kernels && n < 2)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; kernels && i < 2; i++)
        if (!(kernels[i] = create_kernel(object, "k", NULL)))
            return CL_INVALID_PROGRAM_EXECUTABLE;
    if (found)
        *found = 2;
    return CL_SUCCESS;
}

static cl_kernel clone_kernel(cl_kernel object, cl_int *errcode_ret)
{
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return fake_fail(errcode_ret, CL_INVALID_KERNEL);
    return fake_made(fake_new(FAKE_KERNEL, 1, &known->parents[0]), errcode_ret);
}

static bool is_unmapped(const void *address)
{
    unsigned char resident;
    return (uintptr_t)address < 4096 ||
           mincore((void *)((uintptr_t)address & ~4095ul), 1, &resident) < 0;
}

/* Argument 0 is a buffer, 1 an int, 2 a sampler, 3 a long, 4 local memory. A handle is kept as a
 * real one would be. */
static cl_int set_arg(cl_kernel object, cl_uint index, size_t size, const void *value)
{
    static const size_t sizes[FAKE_ARGS] = {8, 4, 8, 8, 0};
    struct fake *known = fake_check(object, FAKE_KERNEL), *argument;
    if (!known)
        return CL_INVALID_KERNEL;
    if (index >= FAKE_ARGS)
        return CL_INVALID_ARG_INDEX;
    if (index == 4)
        return size == 0 || value ? CL_INVALID_ARG_VALUE : CL_SUCCESS;
    if (size != sizes[index])
        return CL_INVALID_ARG_SIZE;
    if (!value)
        return index == 0 ? CL_SUCCESS : CL_INVALID_ARG_VALUE;
    fake_read(value, size);
    if (index % 2)
        return CL_SUCCESS;
    memcpy(&argument, value, sizeof(argument));
    /* Of a program that tells nothing of its arguments, nobody can know: a real library dies here
     * or tells its objects apart, and with it goes one session, no more than that. */
    if (argument && !known->parents[0]->has_source &&
        (is_unmapped(argument) || argument->type != (index == 0 ? FAKE_MEM : FAKE_SAMPLER)))
        return CL_INVALID_ARG_VALUE;
    fake_check(argument, index == 0 ? FAKE_MEM : FAKE_SAMPLER);
    return argument || index == 0 ? CL_SUCCESS : CL_INVALID_SAMPLER;
}

static cl_int get_kernel_info(cl_kernel object, cl_kernel_info name, size_t size, void *value,
                              size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return CL_INVALID_KERNEL;
    if (name == CL_KERNEL_PROGRAM)
        return fake_handle(known->parents[0], size, value, size_ret);
    if (name == CL_KERNEL_CONTEXT)
        return fake_handle(known->parents[0]->parents[0], size, value, size_ret);
    return fake_number(FAKE_ARGS, size, value, size_ret);
}

static cl_int get_arg_info(cl_kernel object, cl_uint index, cl_kernel_arg_info name, size_t size,
                           void *value, size_t *size_ret)
{
    static const char *const types[FAKE_ARGS] = {"float*", "int", "sampler_t", "long", "float*"};
    static const cl_uint where[FAKE_ARGS] = {
        CL_KERNEL_ARG_ADDRESS_GLOBAL, CL_KERNEL_ARG_ADDRESS_PRIVATE, CL_KERNEL_ARG_ADDRESS_PRIVATE,
        CL_KERNEL_ARG_ADDRESS_PRIVATE, CL_KERNEL_ARG_ADDRESS_LOCAL};
    struct fake *known = fake_check(object, FAKE_KERNEL);
    if (!known)
        return CL_INVALID_KERNEL;
    if (index >= FAKE_ARGS)
        return CL_INVALID_ARG_INDEX;
    if (!known->parents[0]->has_source)
        return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
    if (name == CL_KERNEL_ARG_ADDRESS_QUALIFIER)
        return fake_answer(&where[index], sizeof(where[index]), size, value, size_ret);
    return fake_text(types[index], size, value, size_ret);
}

static cl_int get_work_group_info(cl_kernel object, cl_device_id device,
                                  cl_kernel_work_group_info name, size_t size, void *value,
                                  size_t *size_ret)
{
    (void)name;
    fake_check(device, FAKE_DEVICE);
    return fake_check(object, FAKE_KERNEL) ? fake_number(64, size, value, size_ret)
                                           : CL_INVALID_KERNEL;
}

static cl_int get_sub_group_info(cl_kernel object, cl_device_id device,
                                 cl_kernel_sub_group_info name, size_t input_size,
                                 const void *input, size_t size, void *value, size_t *size_ret)
{
    (void)name;
    fake_check(device, FAKE_DEVICE);
    if (!fake_check(object, FAKE_KERNEL))
        return CL_INVALID_KERNEL;
    if (input)
        fake_read(input, input_size);
    return fake_number(8, size, value, size_ret);
}

/* ---- command buffers ---- */

static cl_command_buffer_khr create_commands(cl_uint n, const cl_command_queue *queues,
                                             const cl_command_buffer_properties_khr *properties,
                                             cl_int *errcode_ret)
{
    for (unsigned i = 0; properties && properties[i]; i += 2)
        fake_read(&properties[i + 1], sizeof(*properties));
    if (n != 1 || !queues)
        return fake_fail(errcode_ret, CL_INVALID_VALUE);
    struct fake *queue = fake_check(queues[0], FAKE_QUEUE);
    if (!queue)
        return fake_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
    return fake_made(fake_new(FAKE_COMMANDS, 1, &queue), errcode_ret);
}

static cl_int finalize_commands(cl_command_buffer_khr object)
{
    return fake_check(object, FAKE_COMMANDS) ? CL_SUCCESS : -1138;
}

static cl_int get_commands_info(cl_command_buffer_khr object, cl_command_buffer_info_khr name,
                                size_t size, void *value, size_t *size_ret)
{
    struct fake *known = fake_check(object, FAKE_COMMANDS);
    if (!known)
        return -1138;
    if (name == CL_COMMAND_BUFFER_QUEUES_KHR)
        return fake_handle(known->parents[0], size, value, size_ret);
    return fake_number(1, size, value, size_ret);
}

void fake_fill_programs(struct wh_opencl_functions_table *f)
{
    f->clGetProgramInfo = get_program_info;
    f->clGetProgramBuildInfo = get_build_info;
    f->clGetKernelInfo = get_kernel_info;
    f->clGetKernelArgInfo = get_arg_info;
    f->clGetKernelWorkGroupInfo = get_work_group_info;
    f->clGetKernelSubGroupInfo = get_sub_group_info;
    f->clGetKernelSubGroupInfoKHR = get_sub_group_info;
    f->clGetCommandBufferInfoKHR = get_commands_info;
    f->clCreateProgramWithSource = create_program;
    f->clCreateProgramWithBinary = create_program_binary;
    f->clCreateProgramWithIL = create_program_il;
    f->clCreateProgramWithBuiltInKernels = create_built_in;
    f->clBuildProgram = build_program;
    f->clCompileProgram = compile_program;
    f->clLinkProgram = link_program;
    f->clSetProgramReleaseCallback = set_program_callback;
    f->clSetProgramSpecializationConstant = set_constant;
    f->clCreateKernel = create_kernel;
    f->clCreateKernelsInProgram = create_kernels;
    f->clCloneKernel = clone_kernel;
    f->clSetKernelArg = set_arg;
    f->clCreateCommandBufferKHR = create_commands;
    f->clFinalizeCommandBufferKHR = finalize_commands;
}

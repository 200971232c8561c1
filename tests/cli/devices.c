/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the names of the CUDA devices that a program gets, a line each; for doctor.sh. */
#include <dlfcn.h>
#include <stdio.h>

typedef int init_function(unsigned flags);
typedef int count_function(int *count);
typedef int get_function(int *device, int ordinal);
typedef int name_function(char *name, int size, int device);

int main(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    init_function *init = (init_function *)dlsym(library, "cuInit");
    count_function *count = (count_function *)dlsym(library, "cuDeviceGetCount");
    get_function *get = (get_function *)dlsym(library, "cuDeviceGet");
    name_function *name_of = (name_function *)dlsym(library, "cuDeviceGetName");
    int n = 0, device;
    char name[80];
    if (!init || !count || !get || !name_of || init(0) != 0 || count(&n) != 0)
        return 1;
    for (int i = 0; i < n; i++)
        if (get(&device, i) != 0 || name_of(name, sizeof(name), device) != 0)
            return 1;
        else
            puts(name);
    return 0;
}

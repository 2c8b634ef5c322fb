/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "qemu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct qemu qemu;

static bool find(const char *name, void *target, char *missing, size_t size)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    memcpy(target, &address, sizeof address);
    if (address == NULL && missing != NULL) {
        size_t used = strlen(missing);
        snprintf(missing + used, size - used, "%s%s", used ? ", " : "", name);
    }
    return address != NULL;
}

bool qemu_resolve(char *missing, size_t size)
{
    bool complete = true;
    missing[0] = 0;
#define FIND_FUNCTION(result, name, arguments) complete &= find(#name, &qemu.name, missing, size);
#define FIND_OBJECT(type, name) complete &= find(#name, &qemu.name, missing, size);
#define FIND_OPTIONAL(result, name, arguments) find(#name, &qemu.name, NULL, 0);
#define FIND_RENAMED(result, name, arguments, former) \
    if (!find(#name, &qemu.name, NULL, 0))            \
        find(former, &qemu.name, NULL, 0);
#define FIND_OPTIONAL_OBJECT(type, name) find(#name, &qemu.name, NULL, 0);
    QEMU_FUNCTIONS(FIND_FUNCTION)
    QEMU_OBJECTS(FIND_OBJECT)
    OPTIONAL_FUNCTIONS(FIND_OPTIONAL)
    RENAMED_FUNCTIONS(FIND_RENAMED)
    OPTIONAL_OBJECTS(FIND_OPTIONAL_OBJECT)
    return complete;
}

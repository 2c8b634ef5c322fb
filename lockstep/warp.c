/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Moving the virtual clock of an idle guest. QEMU's own way wakes every thread that has an event loop (main loop,
 * monitor), which costs more than all the rest of skipping idle time. What it changes is one number, the distance
 * between counted instructions and time; so we let QEMU do it once, see which number it was, and change it ourselves
 * from then on. If that cannot be told beyond doubt, QEMU goes on doing it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "lockstep.h"

enum { MOST_WORDS = 64 };

static int64_t *bias;
static bool searched;

/* The timers_state of softmmu/timers-state.h, as words. Zero words: this QEMU does not export it. */
static size_t find_state(int64_t **words)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    *words = dlsym(RTLD_DEFAULT, "timers_state");
    if (*words == NULL || dladdr1(*words, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL)
        return 0;
    size_t count = symbol->st_size / sizeof(int64_t);
    return count < MOST_WORDS ? count : MOST_WORDS;
}

static void warp_and_search(int64_t distance)
{
    int64_t before[MOST_WORDS], *words, *found = NULL;
    size_t count = find_state(&words), matches = 0;
    memcpy(before, words, count * sizeof *before);
    qemu.icount_start_warp_timer();
    for (size_t i = 0; i < count; i++)
        if (words[i] - before[i] == distance) {
            found = &words[i];
            matches++;
        }
    bias = matches == 1 ? found : NULL;
    searched = true;
}

bool warp(int64_t distance)
{
    int64_t target = guest_now() + distance;
    if (bias)
        __atomic_store_n(bias, *bias + distance, __ATOMIC_SEQ_CST);
    else if (searched || distance < 1000) /* a small difference might be met by chance */
        qemu.icount_start_warp_timer();
    else
        warp_and_search(distance);
    return guest_now() == target;
}

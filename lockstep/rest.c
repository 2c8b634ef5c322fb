/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU has two threads with an event loop beside the processor's: its main loop and the monitor's. While a guest lives
 * they have nothing to do, but QEMU wakes both whenever the virtual clock gets to a timer or a device handles its queue.
 * They find nothing, and on the way take the lock that the processor's thread needs next: two thread switches and a
 * wait, several times a quantum. An event loop is only woken when it sleeps in its own poll, so these two sleep in ours
 * until there is something that they are needed for: the machine stops, or QEMU ends.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lockstep.h"

/* Whatever else wants the main loop (a reset that the guest asked for, a debugger) waits this long at most. */
enum { LONGEST_REST_MS = 20 };

static struct bell {
    int fd;
} main_bell = {-1}, monitor_bell = {-1};

static void ring(const struct bell *bell)
{
    const uint64_t one = 1;
    while (bell->fd >= 0 && write(bell->fd, &one, sizeof one) < 0)
        continue;
}

static void silence(const struct bell *bell)
{
    uint64_t count;
    while (read(bell->fd, &count, sizeof count) > 0)
        continue;
}

static void await(const struct bell *bell, int milliseconds)
{
    struct pollfd rung = {.fd = bell->fd, .events = POLLIN};
    poll(&rung, 1, milliseconds);
}

static bool install(struct bell *bell)
{
    if (bell->fd < 0)
        bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell->fd >= 0;
}

void rest_main_loop(void)
{
    if (!settings.rest || !qemu.bql_unlock || !qemu.bql_lock_impl || !install(&main_bell))
        return;
    silence(&main_bell); /* whoever rang had the lock, so what it was about has been seen */
    qemu.bql_unlock();
    await(&main_bell, LONGEST_REST_MS);
    qemu.bql_lock_impl(__FILE__, __LINE__);
}

static void rest_in_monitor(void *opaque)
{
    (void)opaque;
    await(&monitor_bell, -1);
}

void rest_monitor(void)
{
    if (!settings.rest || !qemu.mon_iothread || !*qemu.mon_iothread || !qemu.aio_bh_schedule_oneshot_full ||
        !qemu.iothread_get_aio_context || !install(&monitor_bell))
        return;
    silence(&monitor_bell);
    void *context = qemu.iothread_get_aio_context(*qemu.mon_iothread);
    qemu.aio_bh_schedule_oneshot_full(context, rest_in_monitor, NULL, "lockstep-rest");
}

void rest_end(void)
{
    ring(&main_bell);
    ring(&monitor_bell);
}

/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine stops (the coordinator wants it held, a debugger hits a breakpoint, somebody sends `stop`) and goes on,
 * and the guest must not be able to tell. Virtual time stands still of itself. Two things do not:
 *
 * - Devices take their timers off when the machine stops and set them anew when it goes on, counted from then
 *   (virtio-net does so with frames that wait to be sent). So the times of all timers are noted before and put back.
 *   If somebody changed them in between (a reset, another state loaded), they are left as they are.
 * - A processor that was stopped by itself (breakpoint, reset request, our hold) looks idle, and until the main loop
 *   gets to handle the request, it would warp time to the next timer. Queued work keeps it from that. The same goes for
 *   a guest that has switched itself off.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep.h"

struct expiry {
    struct timer *timer;
    int64_t time;
};

static struct buffer before_stop, after_stop, before_start;
static bool stopped;
static bool with_more; /* there was more to the guest than its machine's state, before QEMU threw away queued frames */

/* Ours goes to the head of the list for a moment, to find the others behind it. */
static void note_timers(struct buffer *list)
{
    int64_t own = boundary_timer.expire;
    list->length = 0;
    qemu.timer_mod_ns(&boundary_timer, -1);
    for (struct timer *timer = boundary_timer.next; timer; timer = timer->next) {
        const struct expiry expiry = {timer, timer->expire};
        buffer_append(list, &expiry, sizeof expiry);
    }
    if (own < 0)
        qemu.timer_del(&boundary_timer);
    else
        qemu.timer_mod_ns(&boundary_timer, own);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static void restore_timers(const struct buffer *list)
{
    for (size_t offset = 0; offset < list->length; offset += sizeof(struct expiry)) {
        const struct expiry *noted = (const struct expiry *)(list->data + offset);
        if (noted->timer->expire != noted->time)
            qemu.timer_mod_ns(noted->timer, noted->time);
    }
}

/* While the machine stands, the main loop listens to the coordinator. */
static void on_message(void *opaque)
{
    struct message message;
    (void)opaque;
    if (!channel_receive(&message) || message.kind == MSG_END)
        quit(NULL);
    else if (message.kind == MSG_RELEASE)
        qemu.vm_start();
    else
        quit("the rig sent a message of kind %u while the guest was stopped", message.kind);
}

static uint16_t stopped_flags(int state)
{
    uint16_t more = with_more ? STOPPED_WITH_MORE : 0;
    return more | (state == settings.off_state ? STOPPED_IS_OFF : clock_is_held() ? STOPPED_AS_ASKED : 0);
}

static void tell(int state)
{
    const struct stopped message = {
        .header = {.length = sizeof message,
                   .kind = MSG_STOPPED,
                   .flags = stopped_flags(state)},
        .now = network_now(),
        .pc = processor_pc(),
    };
    channel_send(&message, sizeof message); /* if nobody is there, the main loop hears of it */
    qemu.qemu_set_fd_handler(channel, on_message, NULL, NULL);
}

/* The first to hear of a stop, the last to hear of a start. */
static void on_outer_change(void *opaque, bool running, int state)
{
    (void)opaque, (void)state;
    if (!greeted || ending)
        return;
    if (!running) {
        rest_end();
        with_more = commands_linger() || clock_is_shifted() || cut_is_armed();
        note_timers(&before_stop);
    } else if (stopped) {
        rest_monitor();
        bool untouched = same(&after_stop, &before_start);
        if (untouched)
            restore_timers(&before_stop);
        qemu.qemu_set_fd_handler(channel, NULL, NULL, NULL);
        stopped = false;
        clock_continue(clock_is_held() || !untouched);
    }
}

/* The last to hear of a stop, the first to hear of a start. */
static void on_inner_change(void *opaque, bool running, int state)
{
    (void)opaque;
    if (!greeted || ending)
        return;
    if (!running) {
        note_timers(&after_stop);
        stopped = true;
        tell(state);
    } else if (stopped) {
        note_timers(&before_start);
    }
}

static void nothing(void *cpu, uint64_t data)
{
    (void)cpu, (void)data;
}

/* Between the main loop's poll and its look at idle time. */
static void on_poll(struct notifier *notifier, void *poll)
{
    (void)notifier;
    const struct main_loop_poll *state = poll;
    void *cpu = qemu.qemu_get_cpu(FIRST_CPU);
    if (cpu == NULL || !qemu.runstate_is_running())
        return;
    bool needed = qemu.cpu_is_stopped(cpu) || qemu.qemu_shutdown_requested_get();
    if (state->state == MAIN_LOOP_POLL_FILL && greeted && !ending && !needed)
        rest_main_loop();
    else if (state->state != MAIN_LOOP_POLL_FILL && needed)
        processor_later(nothing);
}

void stop_watch(void)
{
    static struct notifier notifier = {.notify = on_poll};
    qemu.main_loop_poll_add_notifier(&notifier);
    qemu.qemu_add_vm_change_state_handler_prio(on_outer_change, NULL, INT_MAX);
    qemu.qemu_add_vm_change_state_handler_prio(on_inner_change, NULL, INT_MIN);
}

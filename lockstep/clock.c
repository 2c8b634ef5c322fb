/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Time. A timer of QEMU's virtual clock marks the next boundary: the horizon, or a command before it. Virtual time is
 * counted in instructions (-icount), so the guest stands at an exact instruction when the timer fires. The callback
 * does nothing but queue work for the processor's thread. That work runs outside of guest code and outside of the list
 * of timers, with instructions accounted and the lock held, and while work is queued QEMU does not warp idle time.
 * There the commands that are due are performed and, at the horizon, the coordinator is asked how to go on: the thread
 * blocks in recv(), and the whole guest stands still.
 *
 * Idle time is skipped on the same thread: jump to the next timer, run it, look again. Leaving that to QEMU's main loop
 * would cost two thread switches a timer.
 */
#include "lockstep.h"

struct timer boundary_timer;

static struct {
    int64_t horizon;
    int64_t offset;     /* network time - guest time */
    int64_t frozen;     /* network time of a guest that is paused */
    bool paused;
    bool held;          /* a stop that the coordinator asked for is on its way, or reached */
    bool resumed, violated;
    int64_t armed_for;  /* guest time; what the timer's firing is checked against */
    int64_t fired_at;   /* guest time of the last firing, LOCKSTEP_NEVER: none that waits for its boundary */
    uint32_t overshoot; /* worst since the last report */
} now_playing = {.fired_at = LOCKSTEP_NEVER};

static void boundary(void *cpu, uint64_t data);

int64_t guest_now(void)
{
    return qemu.qemu_clock_get_ns(CLOCK_VIRTUAL);
}

int64_t network_now(void)
{
    return now_playing.paused ? now_playing.frozen : guest_now() + now_playing.offset;
}

void clock_pause(void)
{
    now_playing.frozen = network_now();
    now_playing.paused = true;
}

void clock_resume(void)
{
    if (now_playing.paused)
        now_playing.offset = now_playing.frozen - guest_now();
    now_playing.paused = false;
}

bool clock_is_shifted(void)
{
    return now_playing.paused || now_playing.offset != 0;
}

bool clock_is_held(void)
{
    return now_playing.held;
}

/* --- the boundary timer ------------------------------------------------------------------------------------------- */

static void arm(int64_t guest_time)
{
    now_playing.armed_for = guest_time;
    qemu.timer_mod_ns(&boundary_timer, guest_time);
}

/* The guest must be at the boundary, or at the end of the instruction during which it passed. */
static void check_time(int64_t guest_time)
{
    int64_t late = guest_time - now_playing.armed_for;
    if (late < 0 || late >= qemu.icount_to_ns(1))
        now_playing.violated = true;
    if (late > now_playing.overshoot)
        now_playing.overshoot = late < UINT32_MAX ? late : UINT32_MAX;
}

static void on_timer(void *opaque)
{
    (void)opaque;
    now_playing.fired_at = guest_now();
    if (greeted)
        check_time(now_playing.fired_at);
    processor_later(boundary);
}

void clock_begin(void)
{
    qemu.timer_init_full(&boundary_timer, NULL, CLOCK_VIRTUAL, 1, 0, on_timer, NULL);
    arm(0);
}

/* --- idle time ---------------------------------------------------------------------------------------------------- */

static int64_t next_timer(void)
{
    return qemu.qemu_clock_deadline_ns_all(CLOCK_VIRTUAL, ALL_TIMERS);
}

static bool may_skip(void)
{
    return !ending && qemu.runstate_is_running() && !qemu.cpu_is_stopped(qemu.qemu_get_cpu(FIRST_CPU)) &&
           qemu.all_cpu_threads_idle() && !qemu.qemu_shutdown_requested_get();
}

void clock_idle(void *cpu, uint64_t data)
{
    (void)cpu, (void)data;
    if (!may_skip())
        return;
    int64_t distance = next_timer();
    if (distance < 0)
        return;
    if (distance > 0 && !warp(distance)) {
        quit("idle time does not pass: -icount needs sleep=off");
        return;
    }
    /* Queued first: a timer that sets another one, before it wakes the processor, would warp time under its feet. */
    processor_later(clock_idle);
    if (!qemu.qemu_clock_run_timers(CLOCK_VIRTUAL))
        qemu.qemu_clock_notify(CLOCK_VIRTUAL); /* it belongs to another thread */
}

/* --- boundaries --------------------------------------------------------------------------------------------------- */

static int64_t next_event(void)
{
    int64_t command = commands_next();
    return command < now_playing.horizon ? command : now_playing.horizon;
}

static int64_t idle_until(void)
{
    int64_t distance = next_timer();
    int64_t timer = distance < 0 ? LOCKSTEP_NEVER : network_now() + distance;
    int64_t input = console_next();
    return timer < input ? timer : input;
}

static bool report(void)
{
    uint16_t flags = 0;
    int64_t deadline = network_now();
    if (now_playing.paused) {
        flags |= REPORT_PAUSED | REPORT_IDLE;
        deadline = LOCKSTEP_NEVER;
    } else if (qemu.all_cpu_threads_idle()) {
        flags |= REPORT_IDLE;
        deadline = idle_until();
    }
    flags |= now_playing.resumed ? REPORT_RESUMED : 0;
    flags |= now_playing.violated ? REPORT_VIOLATED : 0;
    bool sent = output_send(MSG_REPORT, flags, deadline, now_playing.overshoot);
    now_playing.overshoot = 0;
    now_playing.resumed = false;
    return sent;
}

/* Waits for the next grant. False: there is none, and the guest stops. */
static bool await_grant(void)
{
    struct message message;
    for (;;) {
        if (!channel_receive(&message)) {
            quit(NULL);
            return false;
        }
        const char *problem;
        switch (message.kind) {
        case MSG_GRANT:
            problem = commands_take(&message, now_playing.horizon, &now_playing.horizon);
            if (problem)
                quit("the rig sent %s", problem);
            return problem == NULL;
        case MSG_HOLD:
            now_playing.held = true;
            qemu.vm_stop(settings.paused_state); /* takes effect when this thread has left; see stop.c */
            rest_end();
            return false;
        case MSG_RELEASE: /* crossed a release by a debugger or monitor */
            break;
        case MSG_END:
            quit(NULL);
            return false;
        default:
            quit("the rig sent a message of unknown kind %u", message.kind);
            return false;
        }
    }
}

static bool begin_or_report(void)
{
    if (greeted)
        return report();
    now_playing.horizon = network_now();
    return greet();
}

static void go_on_until(int64_t time)
{
    if (qemu.all_cpu_threads_idle())
        processor_later(clock_idle);
    arm(time - now_playing.offset);
}

/* Commands, then the horizon, until the guest has something to do before the next of either. */
static void boundary(void *cpu, uint64_t data)
{
    bool disturbed = false;
    if (ending || now_playing.held)
        return;
    if (now_playing.fired_at != LOCKSTEP_NEVER && guest_now() != now_playing.fired_at)
        now_playing.violated = true;
    for (;;) {
        int64_t now = network_now(), next = next_event();
        if (!now_playing.paused && next_timer() == 0) { /* at equal times, the guest's own timers come first */
            arm(guest_now());
            return;
        }
        if (commands_next() <= now) {
            /* Queued work keeps QEMU from warping time when a device sets a timer meanwhile. */
            if (!disturbed)
                processor_later(clock_idle);
            disturbed = true;
            commands_perform(now);
        } else if (now_playing.paused && next > now) {
            now_playing.frozen = next;
        } else if (next > now) {
            now_playing.fired_at = LOCKSTEP_NEVER;
            go_on_until(next);
            return;
        } else if (disturbed) { /* come back when that work is done: then it shows whether the guest is idle */
            processor_later(boundary);
            return;
        } else if (!begin_or_report() || !await_grant()) {
            return;
        }
    }
    (void)cpu, (void)data;
}

void clock_continue(bool at_once)
{
    now_playing.held = false;
    now_playing.resumed = true;
    if (at_once) {
        now_playing.fired_at = LOCKSTEP_NEVER;
        arm(guest_now());
    }
    processor_later(clock_idle);
}

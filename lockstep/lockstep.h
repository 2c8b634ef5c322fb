/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of the plugin, bottom up. Two clocks: *guest time* is QEMU_CLOCK_VIRTUAL, counted in instructions;
 * *time* without further word is network time, which runs on while a guest is paused (guest time + offset).
 * Everything here runs with QEMU's big lock held, so there are no locks of our own.
 */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"
#include "qemu.h"

/* --- channel.c: bytes, and the socket to the coordinator ---------------------------------------------------------- */

struct buffer {
    uint8_t *data;
    size_t length, capacity;
};
void buffer_append(struct buffer *, const void *data, size_t length);

struct message {
    uint16_t kind, flags;
    const uint8_t *body; /* valid until the next message */
    size_t length;
};
extern int channel;
/* False: the coordinator is gone. */
bool channel_send(const void *data, size_t length);
/* Waits for a message. False: the coordinator is gone, or talks nonsense (then QEMU is ending already). */
bool channel_receive(struct message *);
/* Has the processor's thread do this work when the coordinator is gone, also in the middle of a quantum. */
bool channel_watch(void (*when_gone)(void *cpu, uint64_t data));

/* --- output.c: what the guest did since the last report ----------------------------------------------------------- */

void output_frame(const uint8_t *data, size_t length);
void output_console(const uint8_t *data, size_t length);
void output_reply(uint32_t tag, enum reply_status, const void *data, size_t length);
bool output_send(enum message_kind, uint16_t flags, int64_t deadline, uint32_t overshoot);

/* --- taps.c: hooks where frames and console bytes leave the guest ------------------------------------------------- */

extern void *tapped_netdev, *tapped_console; /* NULL: the guest has none */
/* Hooks the devices of these names (NULL: none). Returns what is wrong, or NULL. */
const char *taps_install(const char *netdev, const char *console);

/* --- processor.c: what depends on the guest's architecture -------------------------------------------------------- */

/* False: nothing is known about this target. */
bool processor_select(const char *target);
void processor_watch_idling(plugin_id);
bool processor_has_pc(void);
uint64_t processor_pc(void);
void processor_later(void (*work)(void *, uint64_t)); /* on its thread, outside of guest code */

/* --- commands.c: inputs ------------------------------------------------------------------------------------------- */

extern const uint32_t commands_known;
/* Takes over the commands of a grant. Returns what is wrong with them, or NULL. */
const char *commands_take(const struct message *, int64_t earliest, int64_t *horizon);
int64_t commands_next(void); /* time of the first that is left, or LOCKSTEP_NEVER */
void commands_perform(int64_t now);
bool commands_linger(void);  /* frames or console input wait that the guest has not taken yet */
int64_t console_next(void); /* time at which the next byte of console input is due */

/* --- cut.c: the power goes at a store ----------------------------------------------------------------------------- */

void cut_watch(struct plugin_instruction *); /* while it is translated */
const char *cut_arm(const uint8_t *payload); /* returns why it cannot be, or NULL */
bool cut_is_armed(void);

/* --- clock.c: time ------------------------------------------------------------------------------------------------ */

int64_t guest_now(void);
int64_t network_now(void);
void clock_idle(void *cpu, uint64_t data);  /* work for the processor: skip idle time */
void clock_pause(void);
void clock_resume(void);
bool clock_is_shifted(void);                /* the guest is paused, or was: its clock is not the network's */
void clock_begin(void);                    /* arms the first boundary */
void clock_continue(bool at_once);         /* after a stop; `at_once`: with a boundary now */
bool clock_is_held(void);                  /* the coordinator asked for the stop that is on its way */
extern struct timer boundary_timer;

/* --- warp.c: jumps of the virtual clock --------------------------------------------------------------------------- */

/* Moves an idle guest's clock to its next timer. False: it did not move so far. */
bool warp(int64_t distance);

/* --- stop.c: the machine stops and goes on ------------------------------------------------------------------------ */

void stop_watch(void);

/* --- rest.c: threads that have nothing to do while the guest lives -------------------------------------------------- */

void rest_main_loop(void); /* from the main loop, before it polls */
void rest_monitor(void);
void rest_end(void);

/* --- plugin.c: beginning and end ---------------------------------------------------------------------------------- */

extern struct settings {
    int fd, processor;
    const char *netdev, *console;
    bool rest, probe;
    const char *target;
    int paused_state, off_state, reset_cause;
} settings;
extern bool greeted, ending;
/* The first words with the coordinator. False: there is no going on. */
bool greet(void);
/* Stops the guest and ends QEMU by its own means; `reason` (NULL: none, the end is wanted) goes to stderr. */
void quit(const char *reason, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "lockstep.h"

/* Console input comes at the pace of a line at 115200 bit/s (ten bits a byte); a guest that does not read is asked
 * again ever more rarely. */
#define BYTE_TIME_NS 86806
#define LONGEST_WAIT_NS 100000000
#define CONSOLE_BACKLOG (1u << 20)
#define FRAME_BACKLOG 10000

static struct buffer granted;
static size_t cursor;
static uint32_t left;

static struct {
    struct buffer bytes;
    size_t cursor;
    int64_t due, wait;
} input = {.due = LOCKSTEP_NEVER};

/* --- memory ------------------------------------------------------------------------------------------------------- */

WIRE place {
    uint64_t address;
    uint32_t length;
};

static bool memory_access(uint64_t address, void *data, size_t length, bool write)
{
    return qemu.address_space_rw(qemu.address_space_memory, address, UNSPECIFIED_ATTRIBUTES, data, length, write) == 0;
}

static const char *memory_write(const struct command *command, const uint8_t *payload)
{
    uint64_t address;
    memcpy(&address, payload, sizeof address);
    /* The cast drops const only: a write does not change its data. */
    return memory_access(address, (void *)(payload + sizeof address), command->length - sizeof address, true)
               ? NULL
               : "nothing takes a write at this address";
}

/* Flips bits of RAM, ROM or flash; answers with the bytes before and after. Writing goes past the bus: on the bus, a
 * flash chip would take it for a command. */
static const char *memory_xor(const struct command *command, const uint8_t *payload)
{
    static uint8_t data[2 * LOCKSTEP_MEMORY_LIMIT];
    size_t length = command->length - sizeof(uint64_t);
    uint64_t address;
    memcpy(&address, payload, sizeof address);
    if (qemu.cpu_physical_memory_is_io && qemu.cpu_physical_memory_is_io(address))
        return "there is no memory at this address"; /* reading a device would change it */
    if (!memory_access(address, data, length, false))
        return "nothing can be read at this address";
    for (size_t i = 0; i < length; i++)
        data[length + i] = data[i] ^ payload[sizeof address + i];
    qemu.address_space_write_rom(qemu.address_space_memory, address, UNSPECIFIED_ATTRIBUTES, data + length, length);
    memory_access(address, data + length, length, false);
    if (command->tag)
        output_reply(command->tag, REPLY_OK, data, 2 * length);
    return NULL;
}

static const char *memory_read(const struct command *command, const uint8_t *payload)
{
    static uint8_t data[LOCKSTEP_MEMORY_LIMIT];
    struct place place;
    memcpy(&place, payload, sizeof place);
    if (!memory_access(place.address, data, place.length, false))
        return "nothing can be read at this address";
    if (command->tag)
        output_reply(command->tag, REPLY_OK, data, place.length);
    return NULL;
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

/* QEMU queues what the network card does not take, and drops what does not fit into the queue; not so for a sender that
 * wants to know when it is taken, so we keep to the same limit (net/queue.c). */
static uint32_t frames_waiting;

static void has_been_taken(void *netdev, ssize_t size)
{
    (void)netdev, (void)size;
    frames_waiting--;
}

static const char *send_frame(const struct command *command, const uint8_t *payload)
{
    if (tapped_netdev == NULL)
        return "the guest has no network";
    if (frames_waiting < FRAME_BACKLOG &&
        qemu.qemu_send_packet_async(tapped_netdev, payload, command->length, has_been_taken) == 0)
        frames_waiting++;
    return NULL;
}

static const char *type_on_console(const struct command *command, const uint8_t *payload)
{
    if (tapped_console == NULL)
        return "the guest has no console";
    if (input.bytes.length + command->length > CONSOLE_BACKLOG)
        return "the guest has not read its console for too long";
    if (input.due == LOCKSTEP_NEVER) {
        input.due = network_now();
        input.wait = BYTE_TIME_NS;
    }
    buffer_append(&input.bytes, payload, command->length);
    return NULL;
}

static void feed_console(void)
{
    if (qemu.qemu_chr_be_can_write(tapped_console) > 0) {
        qemu.qemu_chr_be_write(tapped_console, input.bytes.data + input.cursor++, 1);
        input.wait = BYTE_TIME_NS;
    } else if (input.wait < LONGEST_WAIT_NS) {
        input.wait *= 2;
    }
    input.due += input.wait;
    if (input.cursor == input.bytes.length) {
        input.cursor = input.bytes.length = 0;
        input.due = LOCKSTEP_NEVER;
    }
}

static const char *interrupt_unmaskably(void)
{
    static char message[200];
    void *core = qemu.object_resolve_path_type("", "armv7m", NULL);
    if (core) { /* Arm's M profile: an input of the core, handed on to its interrupt controller */
        void *line = qemu.qdev_get_gpio_in_named(core, "NMI", 0);
        qemu.qemu_set_irq(line, 1);
        qemu.qemu_set_irq(line, 0);
        return NULL;
    }
    void *error = NULL;
    qemu.nmi_monitor_handle(FIRST_CPU, &error);
    if (error == NULL)
        return NULL;
    strncpy(message, qemu.error_get_pretty(error), sizeof message - 1);
    qemu.error_free(error);
    return message;
}

/* --- performing --------------------------------------------------------------------------------------------------- */

static const char *perform(const struct command *command, const uint8_t *payload, bool *answered)
{
    switch (command->kind) {
    case COMMAND_FRAME: return send_frame(command, payload);
    case COMMAND_CONSOLE: return type_on_console(command, payload);
    case COMMAND_WRITE: return memory_write(command, payload);
    case COMMAND_XOR: *answered = true; return memory_xor(command, payload);
    case COMMAND_READ: *answered = true; return memory_read(command, payload);
    case COMMAND_RESET: qemu.qemu_system_reset(settings.reset_cause); return NULL;
    case COMMAND_NMI: return interrupt_unmaskably();
    case COMMAND_PAUSE: clock_pause(); return NULL;
    case COMMAND_RESUME: clock_resume(); return NULL;
    case COMMAND_CUT: return cut_arm(payload);
    }
    return "this plugin does not know the command";
}

static void perform_next(void)
{
    struct command command;
    memcpy(&command, granted.data + cursor, sizeof command);
    const uint8_t *payload = granted.data + cursor + sizeof command;
    cursor += sizeof command + command.length;
    left--;
    bool answered = false;
    const char *problem = perform(&command, payload, &answered);
    if (command.tag && problem)
        output_reply(command.tag, REPLY_FAILED, problem, strlen(problem));
    else if (command.tag && !answered)
        output_reply(command.tag, REPLY_OK, NULL, 0);
}

static int64_t command_next(void)
{
    if (left == 0)
        return LOCKSTEP_NEVER;
    struct command command;
    memcpy(&command, granted.data + cursor, sizeof command);
    return command.t;
}

bool commands_linger(void)
{
    return frames_waiting > 0 || input.due != LOCKSTEP_NEVER;
}

int64_t console_next(void)
{
    return input.due;
}

int64_t commands_next(void)
{
    int64_t command = command_next();
    return command < input.due ? command : input.due;
}

void commands_perform(int64_t now)
{
    while (commands_next() <= now) {
        if (command_next() <= input.due)
            perform_next();
        else
            feed_console();
    }
}

/* --- taking over -------------------------------------------------------------------------------------------------- */

const uint32_t commands_known = 1u << COMMAND_FRAME | 1u << COMMAND_CONSOLE | 1u << COMMAND_WRITE | 1u << COMMAND_XOR |
                                1u << COMMAND_READ | 1u << COMMAND_RESET | 1u << COMMAND_NMI | 1u << COMMAND_PAUSE |
                                1u << COMMAND_RESUME | 1u << COMMAND_CUT;

static const char *check_payload(const struct command *command, const uint8_t *payload)
{
    struct place place;
    switch (command->kind) {
    case COMMAND_FRAME: return command->length > 0 && command->length <= UINT16_MAX ? NULL : "a frame of a wrong size";
    case COMMAND_WRITE:
    case COMMAND_XOR:
        return command->length > sizeof(uint64_t) && command->length - sizeof(uint64_t) <= LOCKSTEP_MEMORY_LIMIT
                   ? NULL
                   : "a memory access of a wrong size";
    case COMMAND_READ:
        if (command->length != sizeof place)
            return "a memory read of a wrong form";
        memcpy(&place, payload, sizeof place);
        return place.length > 0 && place.length <= LOCKSTEP_MEMORY_LIMIT ? NULL : "a memory read of a wrong size";
    case COMMAND_CUT: return command->length == sizeof(struct cut_place) ? NULL : "a power cut of a wrong form";
    }
    return NULL;
}

static const char *check(int64_t earliest, int64_t horizon)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < left; i++) {
        struct command command;
        if (granted.length - offset < sizeof command)
            return "fewer commands than announced";
        memcpy(&command, granted.data + offset, sizeof command);
        offset += sizeof command;
        if (granted.length - offset < command.length)
            return "a command longer than its message";
        if (command.t < earliest || command.t > horizon)
            return "a command that is not in time order between the last horizon and the next";
        const char *problem = check_payload(&command, granted.data + offset);
        if (problem)
            return problem;
        earliest = command.t;
        offset += command.length;
    }
    return offset == granted.length ? NULL : "bytes behind the last command";
}

const char *commands_take(const struct message *message, int64_t earliest, int64_t *horizon)
{
    struct grant grant; /* its header is not part of the body */
    size_t fixed = sizeof grant - sizeof grant.header;
    if (message->length < fixed)
        return "a grant that is too short";
    memcpy((uint8_t *)&grant + sizeof grant.header, message->body, fixed);
    if (grant.horizon < earliest)
        return "a horizon in the past";
    granted.length = 0;
    buffer_append(&granted, message->body + fixed, message->length - fixed);
    cursor = 0;
    left = grant.commands;
    *horizon = grant.horizon;
    return check(earliest, grant.horizon);
}

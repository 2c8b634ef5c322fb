/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records pile up behind a report's header, in the order in which they happened, and leave with the next report.
 * A console record is a line with the time of its last byte: that does not depend on where a report cuts the stream.
 */
#include <string.h>

#include "lockstep.h"

/* Beyond this much, output is handed over at once: a flood costs time, not memory. */
#define OUTPUT_LIMIT (1u << 20)

static struct buffer out;
static uint32_t records;
static size_t open_line; /* offset of the record of a line that has not ended; 0: none */

static void leave_room_for_header(void)
{
    const struct report blank = {0};
    if (out.length == 0)
        buffer_append(&out, &blank, sizeof blank);
}

static size_t begin_record(enum record_kind kind, uint16_t detail)
{
    leave_room_for_header();
    const struct record record = {.t = network_now(), .kind = kind, .detail = detail};
    size_t offset = out.length;
    buffer_append(&out, &record, sizeof record);
    records++;
    open_line = 0;
    return offset;
}

static void add_to_record(size_t offset, const void *data, size_t length)
{
    buffer_append(&out, data, length);
    struct record *record = (struct record *)(out.data + offset);
    record->length += length;
}

static void relieve(void)
{
    if (out.length > OUTPUT_LIMIT)
        output_send(MSG_REPORT, REPORT_MORE, LOCKSTEP_NEVER, 0);
}

void output_frame(const uint8_t *data, size_t length)
{
    add_to_record(begin_record(RECORD_FRAME, 0), data, length);
    relieve();
}

static void add_to_line(const uint8_t *data, size_t length, bool complete)
{
    if (open_line == 0)
        open_line = begin_record(RECORD_CONSOLE, CONSOLE_PART);
    add_to_record(open_line, data, length);
    if (complete) {
        struct record *record = (struct record *)(out.data + open_line);
        record->t = network_now();
        record->detail = CONSOLE_LINE;
        open_line = 0;
    }
}

void output_console(const uint8_t *data, size_t length)
{
    while (length > 0) {
        const uint8_t *end = memchr(data, '\n', length);
        size_t part = end ? (size_t)(end - data) + 1 : length;
        add_to_line(data, part, end != NULL);
        data += part;
        length -= part;
    }
    relieve();
}

void output_reply(uint32_t tag, enum reply_status status, const void *data, size_t length)
{
    size_t offset = begin_record(RECORD_REPLY, status);
    add_to_record(offset, &tag, sizeof tag);
    add_to_record(offset, data, length);
    relieve();
}

bool output_send(enum message_kind kind, uint16_t flags, int64_t deadline, uint32_t overshoot)
{
    leave_room_for_header();
    const struct report report = {
        .header = {.length = out.length, .kind = kind, .flags = flags},
        .now = network_now(),
        .deadline = deadline,
        .pc = processor_pc(),
        .overshoot = overshoot,
        .records = records,
    };
    memcpy(out.data, &report, sizeof report);
    bool sent = channel_send(out.data, out.length);
    out.length = 0;
    records = 0;
    open_line = 0;
    return sent;
}

/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The messages between a guest and its coordinator, as they lie on the wire: little endian, packed.
 * PROTOCOL.md says what they mean; src/swarmrig/timebase/protocol.py is the other side. A change here is a
 * change of both, and of LOCKSTEP_PROTOCOL.
 */
#ifndef LOCKSTEP_PROTOCOL_H
#define LOCKSTEP_PROTOCOL_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire format is little endian, and so must the host be"
#endif

#define LOCKSTEP_MAGIC 0x4b43544cu /* "LTCK" */
#define LOCKSTEP_PROTOCOL 1
#define LOCKSTEP_NEVER INT64_MAX
#define LOCKSTEP_MESSAGE_LIMIT (64u << 20)
#define LOCKSTEP_MEMORY_LIMIT (1u << 20)

enum message_kind {
    /* from the guest */
    MSG_HELLO = 1,
    MSG_REPORT = 2,
    MSG_STOPPED = 3,
    MSG_GONE = 4,
    /* from the coordinator */
    MSG_WELCOME = 16,
    MSG_GRANT = 17,
    MSG_HOLD = 18,
    MSG_RELEASE = 19,
    MSG_END = 20,
};

enum feature { FEATURE_NETWORK = 1, FEATURE_CONSOLE = 2, FEATURE_PC = 4 };

enum report_flag {
    REPORT_IDLE = 1,     /* the guest waits; it acts next at `deadline` unless an input comes */
    REPORT_PAUSED = 2,   /* COMMAND_PAUSE is in force */
    REPORT_MORE = 4,     /* not at the horizon: output had to be handed over, no answer is expected */
    REPORT_RESUMED = 8,  /* first report after a stop */
    REPORT_VIOLATED = 16 /* virtual time was not where it must be: the run is not exact */
};

enum stopped_flag {
    STOPPED_AS_ASKED = 1,
    STOPPED_IS_OFF = 2,
    STOPPED_WITH_MORE = 4 /* there is more to this guest than its machine's state */
};

enum record_kind { RECORD_FRAME = 1, RECORD_CONSOLE = 2, RECORD_REPLY = 3 };

enum console_detail { CONSOLE_PART = 0, CONSOLE_LINE = 1 };

enum reply_status { REPLY_OK = 0, REPLY_FAILED = 1 };

enum command_kind {
    COMMAND_FRAME = 1,
    COMMAND_CONSOLE = 2,
    COMMAND_WRITE = 3,
    COMMAND_XOR = 4,
    COMMAND_READ = 5,
    COMMAND_RESET = 6,
    COMMAND_NMI = 7,
    COMMAND_PAUSE = 8,
    COMMAND_RESUME = 9,
    COMMAND_CUT = 10,
};

#define WIRE struct __attribute__((packed))

WIRE header {
    uint32_t length; /* of the whole message */
    uint16_t kind;
    uint16_t flags;
};

WIRE hello {
    struct header header;
    uint32_t magic;
    uint16_t protocol;
    uint16_t api;
    uint32_t commands; /* bit n: command kind n is known */
    uint32_t features;
    uint32_t grain_ns; /* length of one instruction */
    int64_t now;
    uint16_t version_length;
    uint16_t target_length;
    /* QEMU's version and target name follow */
};

WIRE report {
    struct header header;
    int64_t now;
    int64_t deadline;
    uint64_t pc;
    uint32_t overshoot; /* worst of all boundaries since the last report, ns */
    uint32_t records;
    /* records follow */
};

WIRE record {
    int64_t t;
    uint32_t length; /* of what follows */
    uint16_t kind;
    uint16_t detail;
};

WIRE stopped {
    struct header header;
    int64_t now;
    uint64_t pc;
};

WIRE welcome {
    struct header header;
    uint32_t magic;
    uint16_t protocol;
    uint16_t reserved;
};

WIRE grant {
    struct header header;
    int64_t horizon;
    uint32_t commands;
    uint32_t reserved;
    /* commands follow, in time order */
};

WIRE cut_place { /* payload of COMMAND_CUT */
    uint64_t address;
    uint64_t size;
    uint32_t stores; /* 0: none is to be counted any more */
};

WIRE command {
    int64_t t;
    uint32_t length; /* of what follows */
    uint16_t kind;
    uint16_t flags;
    uint32_t tag; /* not 0: answer with a RECORD_REPLY that carries it */
    uint32_t reserved;
};

#endif

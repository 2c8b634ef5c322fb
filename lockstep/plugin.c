/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * swarmrig's lockstep plugin: lets several unpatched QEMUs run in one virtual time. See PROTOCOL.md.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lockstep.h"

#define EXPORT __attribute__((visibility("default")))
#define INSTALLED 0
#define REFUSED (-1)
#define SEND_BUFFER (1 << 20)

EXPORT int qemu_plugin_version = LOCKSTEP_API;
EXPORT int qemu_plugin_install(plugin_id, const struct plugin_info *, int, char **);

struct settings settings = {.fd = -1, .processor = -1, .rest = true};
bool greeted, ending;
static bool failed;

void quit(const char *reason, ...)
{
    if (ending)
        return;
    ending = true;
    if (reason) {
        va_list arguments;
        va_start(arguments, reason);
        fputs("lockstep: ", stderr);
        vfprintf(stderr, reason, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        failed = true;
    }
    qemu.vm_stop(settings.paused_state);
    qemu.qmp_quit(NULL);
    rest_end();
}

/* QEMU ends, maybe because the guest switched itself off: what it did last is still ours to tell. */
static void on_exit_of_qemu(plugin_id id, void *data)
{
    (void)id, (void)data;
    if (greeted && !ending)
        output_send(MSG_GONE, 0, LOCKSTEP_NEVER, 0);
    if (failed) {
        fflush(NULL);
        _exit(EXIT_FAILURE);
    }
}

/* --- first words -------------------------------------------------------------------------------------------------- */

static void qemu_version(char *text, size_t size)
{
    const struct version_info *info = qemu.qmp_query_version(NULL);
    snprintf(text, size, "%d.%d.%d", (int)info->qemu->major, (int)info->qemu->minor, (int)info->qemu->micro);
}

static bool say_hello(void)
{
    char version[64];
    qemu_version(version, sizeof version);
    struct hello hello = {
        .header = {.kind = MSG_HELLO},
        .magic = LOCKSTEP_MAGIC,
        .protocol = LOCKSTEP_PROTOCOL,
        .api = LOCKSTEP_API,
        .commands = commands_known,
        .features = (tapped_netdev ? FEATURE_NETWORK : 0) | (tapped_console ? FEATURE_CONSOLE : 0) |
                    (processor_has_pc() ? FEATURE_PC : 0),
        .grain_ns = qemu.icount_to_ns(1),
        .now = network_now(),
        .version_length = strlen(version),
        .target_length = strlen(settings.target),
    };
    hello.header.length = sizeof hello + hello.version_length + hello.target_length;
    struct buffer message = {0};
    buffer_append(&message, &hello, sizeof hello);
    buffer_append(&message, version, hello.version_length);
    buffer_append(&message, settings.target, hello.target_length);
    bool sent = channel_send(message.data, message.length);
    free(message.data);
    return sent;
}

static bool hear_welcome(void)
{
    struct message message;
    struct welcome welcome = {0};
    if (!channel_receive(&message)) {
        quit("the rig went away without a word");
        return false;
    }
    size_t fixed = sizeof welcome - sizeof welcome.header;
    if (message.kind == MSG_WELCOME && message.length == fixed)
        memcpy((uint8_t *)&welcome + sizeof welcome.header, message.body, fixed);
    if (welcome.magic != LOCKSTEP_MAGIC)
        quit("what answers is no swarmrig coordinator");
    else if (welcome.protocol != LOCKSTEP_PROTOCOL)
        quit("the rig speaks version %u of the protocol, this plugin version %u: build it again", welcome.protocol,
             LOCKSTEP_PROTOCOL);
    return !ending;
}

static void abandoned(void *cpu, uint64_t data)
{
    (void)cpu, (void)data;
    quit(NULL);
}

bool greet(void)
{
    const char *problem = taps_install(settings.netdev, settings.console);
    if (problem) {
        quit("%s", problem);
        return false;
    }
    greeted = say_hello() && hear_welcome() && channel_watch(abandoned);
    if (greeted)
        rest_monitor();
    else
        quit("there is no going on");
    return greeted;
}

/* --- installation ------------------------------------------------------------------------------------------------- */

static bool set_number(const char *text, int *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    *number = (int)value;
    return *text && *end == 0 && value >= 0 && value <= 65535;
}

static bool set(const char *name, size_t length, const char *value)
{
#define IS(word) (length == sizeof(word) - 1 && memcmp(name, word, length) == 0)
    if (IS("fd"))
        return set_number(value, &settings.fd);
    if (IS("cpu"))
        return set_number(value, &settings.processor);
    if (IS("netdev"))
        return settings.netdev = strdup(value), true;
    if (IS("console"))
        return settings.console = strdup(value), true;
    if (IS("rest") && (strcmp(value, "on") == 0 || strcmp(value, "off") == 0))
        return settings.rest = value[1] == 'n', true;
    if (IS("probe") && (strcmp(value, "on") == 0 || strcmp(value, "off") == 0))
        return settings.probe = value[1] == 'n', true;
    return false;
}

static const char *parse(int count, char **words)
{
    for (int i = 0; i < count; i++) {
        const char *equals = strchr(words[i], '=');
        if (equals == NULL || !set(words[i], equals - words[i], equals + 1))
            return words[i];
    }
    return NULL;
}

/* One line for plugin.py. Names in it are C identifiers and versions: nothing to escape. */
static void answer_probe(const struct plugin_info *info, const char *missing)
{
    char version[64] = "";
    if (qemu.qmp_query_version)
        qemu_version(version, sizeof version);
    printf("{\"lockstep\": %d, \"api\": [%d, %d], \"qemu\": \"%s\", \"target\": \"%s\", \"target_known\": %s, "
           "\"missing\": \"%s\"}\n",
           LOCKSTEP_PROTOCOL, info->version.min, info->version.cur, version, info->target_name,
           processor_select(info->target_name) ? "true" : "false", missing);
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

static bool pin(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static bool open_channel(int fd)
{
    int type = 0, size = SEND_BUFFER;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    channel = fd;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static const char *find_enumerators(void)
{
    settings.paused_state = qemu.qapi_enum_parse(qemu.RunState_lookup, "paused", -1, NULL);
    settings.off_state = qemu.qapi_enum_parse(qemu.RunState_lookup, "shutdown", -1, NULL);
    settings.reset_cause = qemu.qapi_enum_parse(qemu.ShutdownCause_lookup, "host-qmp-system-reset", -1, NULL);
    if (settings.paused_state < 0 || settings.off_state < 0 || settings.reset_cause < 0)
        return "this QEMU's states are not as we know them";
    return NULL;
}

static const char *prepare(const struct plugin_info *info)
{
    settings.target = info->target_name;
    if (!info->system_emulation)
        return "this QEMU emulates no system";
    if (!processor_select(info->target_name))
        return "how this processor waits for interrupts is not known to us (riscv32, riscv64 and arm are)";
    if (info->system.smp_vcpus > 1)
        return "virtual time needs a machine with one processor";
    if (*qemu.use_icount != 1)
        return "instructions are not counted: -icount shift=N,sleep=off is needed";
    if (settings.fd < 0 || !open_channel(settings.fd))
        return "fd=N must be a connected stream socket";
    if (settings.processor >= 0 && !pin(settings.processor))
        return "cpu=N is not a core that this process may use";
    return find_enumerators();
}

int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int count, char **words)
{
    static char missing[2000];
    const char *wrong = parse(count, words);
    bool complete = qemu_resolve(missing, sizeof missing);
    if (wrong) {
        fprintf(stderr, "lockstep: unknown option or value: %s\n", wrong);
        return REFUSED;
    }
    if (settings.probe)
        answer_probe(info, missing);
    if (!complete) {
        fprintf(stderr, "lockstep: this QEMU does not export %s\n", missing);
        return REFUSED;
    }
    const char *problem = prepare(info);
    if (problem) {
        fprintf(stderr, "lockstep: %s\n", problem);
        return REFUSED;
    }
    qemu.qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    processor_watch_idling(id);
    stop_watch();
    clock_begin();
    return INSTALLED;
}

/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the plugin uses of QEMU: the plugin API, and functions of QEMU itself that distributions export because
 * they build QEMU with loadable modules. All of them are looked up by name when the plugin is installed, so that a
 * missing one can be named instead of failing the load. Types are reduced to what crosses the border.
 */
#ifndef LOCKSTEP_QEMU_H
#define LOCKSTEP_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef LOCKSTEP_API
#error "build with -DLOCKSTEP_API=n, the version of QEMU's plugin API"
#endif

typedef uint64_t plugin_id;
struct plugin_block;
struct plugin_instruction;

/* qemu_info_t of qemu-plugin.h */
struct plugin_info {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};

/* QEMUTimer of qemu/timer.h; the tail is room for what later versions may add. */
struct timer {
    int64_t expire;
    void *list;
    void (*callback)(void *);
    void *opaque;
    struct timer *next;
    int attributes, scale;
    char room[64];
};

/* Notifier of qemu/notify.h, and MainLoopPoll of qemu/main-loop.h */
struct notifier {
    void (*notify)(struct notifier *, void *);
    void *links[2];
};
struct main_loop_poll {
    int state;
};
enum { MAIN_LOOP_POLL_FILL = 0 };

/* VersionInfo, as QAPI generates it */
struct version_info {
    struct {
        int64_t major, minor, micro;
    } *qemu;
    char *package;
};

/* GByteArray of GLib */
struct byte_array {
    uint8_t *data;
    unsigned length;
};

enum { CLOCK_VIRTUAL = 1, ALL_TIMERS = -1, FIRST_CPU = 0, NO_REGISTERS = 0 };

/* MemTxAttrs by value: a struct of at most eight bytes, which travels like an integer. Bit 0: unspecified. */
typedef uint64_t memory_attributes;
enum { UNSPECIFIED_ATTRIBUTES = 1 };

#if LOCKSTEP_API >= 3
#define INSTRUCTION_DATA(X) \
    X(size_t, qemu_plugin_insn_data, (const struct plugin_instruction *, void *, size_t))
#else
#define INSTRUCTION_DATA(X) X(const void *, qemu_plugin_insn_data, (const struct plugin_instruction *))
#endif

#define QEMU_FUNCTIONS(X)                                                                                            \
    INSTRUCTION_DATA(X)                                                                                              \
    X(size_t, qemu_plugin_tb_n_insns, (const struct plugin_block *))                                                 \
    X(struct plugin_instruction *, qemu_plugin_tb_get_insn, (const struct plugin_block *, size_t))                   \
    X(size_t, qemu_plugin_insn_size, (const struct plugin_instruction *))                                            \
    X(void, qemu_plugin_register_vcpu_tb_trans_cb, (plugin_id, void (*)(plugin_id, struct plugin_block *)))          \
    X(void, qemu_plugin_register_vcpu_insn_exec_cb,                                                                  \
      (struct plugin_instruction *, void (*)(unsigned, void *), int, void *))                                        \
    X(void, qemu_plugin_register_atexit_cb, (plugin_id, void (*)(plugin_id, void *), void *))                        \
    /* time */                                                                                                       \
    X(void, timer_init_full, (struct timer *, void *, int, int, int, void (*)(void *), void *))                      \
    X(void, timer_mod_ns, (struct timer *, int64_t))                                                                 \
    X(void, timer_del, (struct timer *))                                                                             \
    X(int64_t, qemu_clock_get_ns, (int))                                                                             \
    X(int64_t, qemu_clock_deadline_ns_all, (int, int))                                                               \
    X(bool, qemu_clock_run_timers, (int))                                                                            \
    X(void, qemu_clock_notify, (int))                                                                                \
    X(int64_t, icount_to_ns, (int64_t))                                                                              \
    X(void, icount_start_warp_timer, (void))                                                                         \
    /* the processor and the machine's state */                                                                      \
    X(void *, qemu_get_cpu, (int))                                                                                   \
    X(void, async_run_on_cpu, (void *, void (*)(void *, uint64_t), uint64_t))                                        \
    X(bool, all_cpu_threads_idle, (void))                                                                            \
    X(bool, cpu_is_stopped, (void *))                                                                                \
    X(bool, runstate_is_running, (void))                                                                             \
    X(int, vm_stop, (int))                                                                                           \
    X(void, vm_start, (void))                                                                                        \
    X(void *, qemu_add_vm_change_state_handler_prio, (void (*)(void *, bool, int), void *, int))                     \
    X(void, main_loop_poll_add_notifier, (struct notifier *))                                                        \
    X(void, qemu_set_fd_handler, (int, void (*)(void *), void (*)(void *), void *))                                  \
    X(void, qemu_system_reset, (int))                                                                                \
    X(int, qemu_shutdown_requested_get, (void))                                                                      \
    X(void, qmp_quit, (void **))                                                                                     \
    X(int, qapi_enum_parse, (const void *, const char *, int, void **))                                              \
    X(struct version_info *, qmp_query_version, (void **))                                                           \
    /* devices and memory */                                                                                         \
    X(void *, qemu_find_netdev, (const char *))                                                                      \
    X(ssize_t, qemu_send_packet_async, (void *, const uint8_t *, int, void (*)(void *, ssize_t)))                    \
    X(ssize_t, qemu_receive_packet, (void *, const uint8_t *, int))                                                  \
    X(void *, qemu_chr_find, (const char *))                                                                         \
    X(int, qemu_chr_write, (void *, const uint8_t *, int, bool))                                                     \
    X(int, qemu_chr_be_can_write, (void *))                                                                          \
    X(void, qemu_chr_be_write, (void *, const uint8_t *, int))                                                       \
    X(void *, object_get_class, (void *))                                                                            \
    X(void *, object_resolve_path_type, (const char *, const char *, bool *))                                        \
    X(void *, qdev_get_gpio_in_named, (void *, const char *, int))                                                   \
    X(void, qemu_set_irq, (void *, int))                                                                             \
    X(void, nmi_monitor_handle, (int, void **))                                                                      \
    X(unsigned, address_space_rw, (void *, uint64_t, memory_attributes, void *, uint64_t, bool))                     \
    X(unsigned, address_space_write_rom, (void *, uint64_t, memory_attributes, const void *, uint64_t))              \
    X(const char *, error_get_pretty, (const void *))                                                                \
    X(void, error_free, (void *))

#define QEMU_OBJECTS(X)                                                                                              \
    X(int, use_icount)                                                                                               \
    X(void, address_space_memory)                                                                                    \
    X(void, RunState_lookup)                                                                                         \
    X(void, ShutdownCause_lookup)

/* Without the first two, program counters are not reported; without the third, XOR does not refuse device registers;
 * without the others, threads that have nothing to do are woken for it. */
#define OPTIONAL_FUNCTIONS(X)                                                                                        \
    X(struct byte_array *, g_byte_array_new, (void))                                                                 \
    X(struct byte_array *, g_byte_array_set_size, (struct byte_array *, unsigned))                                   \
    X(bool, cpu_physical_memory_is_io, (uint64_t))                                                                   \
    X(void, tb_flush, (void *))                                                                                      \
    X(void, qemu_plugin_register_vcpu_mem_cb,                                                                        \
      (struct plugin_instruction *, void (*)(unsigned, uint32_t, uint64_t, void *), int, int, void *))               \
    X(bool, qemu_plugin_mem_is_store, (uint32_t))                                                                    \
    X(uint64_t, cpu_get_phys_page_debug, (void *, uint64_t))                                                         \
    X(void, aio_bh_schedule_oneshot_full, (void *, void (*)(void *), void *, const char *))                          \
    X(void *, iothread_get_aio_context, (void *))

/* The big lock was called otherwise before QEMU 9.0. */
#define RENAMED_FUNCTIONS(X)                                                                                         \
    X(void, bql_unlock, (void), "qemu_mutex_unlock_iothread")                                                        \
    X(void, bql_lock_impl, (const char *, int), "qemu_mutex_lock_iothread_impl")

#define OPTIONAL_OBJECTS(X) X(void *, mon_iothread)

#define DECLARE_FUNCTION(result, name, arguments) result(*name) arguments;
#define DECLARE_OBJECT(type, name) type *name;
#define DECLARE_RENAMED(result, name, arguments, former) result(*name) arguments;
struct qemu {
    QEMU_FUNCTIONS(DECLARE_FUNCTION)
    QEMU_OBJECTS(DECLARE_OBJECT)
    OPTIONAL_FUNCTIONS(DECLARE_FUNCTION)
    RENAMED_FUNCTIONS(DECLARE_RENAMED)
    OPTIONAL_OBJECTS(DECLARE_OBJECT)
};
extern struct qemu qemu;

/* Looks everything up; writes the names of what is missing, comma separated. True when nothing is. */
bool qemu_resolve(char *missing, size_t size);

#endif

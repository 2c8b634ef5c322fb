/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "lockstep.h"

struct instruction {
    uint32_t code;
    size_t size;
};

/* Instructions with which a processor waits for an interrupt, as bytes read little endian; and where gdb's stub of the
 * architecture finds the program counter. */
static const struct architecture {
    const char *target;
    struct instruction waits[4];
    const char *register_reader;
    int pc_register;
} architectures[] = {
    {"riscv32", {{0x10500073, 4}}, "riscv_cpu_gdb_read_register", 32},
    {"riscv64", {{0x10500073, 4}}, "riscv_cpu_gdb_read_register", 32},
    /* Thumb WFI and WFE, Thumb WFI.W, A32 WFI */
    {"arm", {{0xbf30, 2}, {0xbf20, 2}, {0x8003f3af, 4}, {0xe320f003, 4}}, "arm_cpu_gdb_read_register", 15},
};

static const struct architecture *architecture;
static int (*read_register)(void *cpu, struct byte_array *, int);

bool processor_select(const char *target)
{
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(architectures[i].target, target) == 0)
            architecture = &architectures[i];
    if (architecture == NULL)
        return false;
    void *address = dlsym(RTLD_DEFAULT, architecture->register_reader);
    if (qemu.g_byte_array_new && qemu.g_byte_array_set_size)
        memcpy(&read_register, &address, sizeof address);
    return true;
}

bool processor_has_pc(void)
{
    return read_register != NULL;
}

uint64_t processor_pc(void)
{
    static struct byte_array *value;
    if (read_register == NULL)
        return 0;
    if (value == NULL)
        value = qemu.g_byte_array_new();
    qemu.g_byte_array_set_size(value, 0);
    read_register(qemu.qemu_get_cpu(FIRST_CPU), value, architecture->pc_register);
    uint64_t pc = 0;
    memcpy(&pc, value->data, value->length < sizeof pc ? value->length : sizeof pc);
    return pc;
}

void processor_later(void (*work)(void *, uint64_t))
{
    qemu.async_run_on_cpu(qemu.qemu_get_cpu(FIRST_CPU), work, 0);
}

static uint32_t instruction_code(const struct plugin_instruction *instruction, size_t size)
{
    uint32_t code = 0;
    size_t length = size < sizeof code ? size : sizeof code;
#if LOCKSTEP_API >= 3
    qemu.qemu_plugin_insn_data(instruction, &code, length);
#else
    memcpy(&code, qemu.qemu_plugin_insn_data(instruction), length);
#endif
    return code;
}

static bool waits(const struct plugin_instruction *instruction)
{
    const struct instruction *known = architecture->waits;
    size_t size = qemu.qemu_plugin_insn_size(instruction);
    for (size_t i = 0; i < sizeof architecture->waits / sizeof *known && known[i].size; i++)
        if (known[i].size == size && known[i].code == instruction_code(instruction, size))
            return true;
    return false;
}

/* A waiting processor is marked so before its instructions are accounted; if the main loop looked just then, it would
 * warp time from a stale point (seen: 272 ns too far). Queued work makes it look busy until its own thread, with the
 * account settled and the lock held, gets to that work. */
static void on_waiting(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    processor_later(clock_idle);
}

static void on_translation(plugin_id id, struct plugin_block *block)
{
    (void)id;
    size_t count = qemu.qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct plugin_instruction *instruction = qemu.qemu_plugin_tb_get_insn(block, i);
        if (waits(instruction))
            qemu.qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_waiting, NO_REGISTERS, NULL);
        cut_watch(instruction);
    }
}

void processor_watch_idling(plugin_id id)
{
    qemu.qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

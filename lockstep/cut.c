/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The power goes at the n-th store into a stretch of memory: nothing is flushed, nobody is told but the coordinator,
 * who hears what the guest did before.
 *
 * Stores are watched only while a cut is armed: instructions are translated anew then, with a callback behind every
 * store. Virtual time does not change by that, it counts instructions. A store into a device (flash is one while it is
 * written to) ends its translation block, so the guest executes nothing after the n-th; in RAM, the rest of the block.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lockstep.h"

enum { STORES = 2 }; /* enum qemu_plugin_mem_rw */
enum { PAGE = 4096 };
#define UNMAPPED UINT64_MAX

static struct {
    uint64_t address, size;
    uint32_t left; /* 0: not armed */
} cut;

static void lose_power(void *cpu, uint64_t data)
{
    (void)cpu, (void)data;
    output_send(MSG_GONE, 0, LOCKSTEP_NEVER, 0);
    kill(getpid(), SIGKILL);
}

/* Not by the plugin API's own function: what QEMU 7.2 tells of RAM is right only where a machine has a single piece. */
static uint64_t physical(uint64_t address)
{
    uint64_t page = qemu.cpu_get_phys_page_debug(qemu.qemu_get_cpu(FIRST_CPU), address & ~(uint64_t)(PAGE - 1));
    return page == UNMAPPED ? UNMAPPED : page + (address & (PAGE - 1));
}

static void on_store(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu, (void)data;
    /* Asked for stores alone, QEMU 7.2 reports loads as well. */
    if (cut.left == 0 || !qemu.qemu_plugin_mem_is_store(info) || physical(address) - cut.address >= cut.size)
        return;
    if (--cut.left == 0)
        processor_later(lose_power);
}

void cut_watch(struct plugin_instruction *instruction)
{
    if (cut.left > 0)
        qemu.qemu_plugin_register_vcpu_mem_cb(instruction, on_store, NO_REGISTERS, STORES, NULL);
}

const char *cut_arm(const uint8_t *payload)
{
    struct cut_place place;
    if (!qemu.tb_flush || !qemu.qemu_plugin_register_vcpu_mem_cb || !qemu.qemu_plugin_mem_is_store ||
        !qemu.cpu_get_phys_page_debug)
        return "this QEMU does not let its stores be watched";
    memcpy(&place, payload, sizeof place);
    cut.address = place.address;
    cut.size = place.size;
    cut.left = place.stores;
    qemu.tb_flush(qemu.qemu_get_cpu(FIRST_CPU)); /* before the next instruction */
    return NULL;
}

bool cut_is_armed(void)
{
    return cut.left > 0;
}

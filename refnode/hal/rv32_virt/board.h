/* Addresses and interrupt numbers of QEMU's riscv `virt` machine (hw/riscv/virt.c), and access to them. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define TEST_BASE 0x00100000u /* sifive_test: writing 0x7777 resets the machine */
#define CLINT_BASE 0x02000000u
#define PLIC_BASE 0x0c000000u
#define UART_BASE 0x10000000u
#define VIRTIO_BASE 0x10001000u
#define VIRTIO_STRIDE 0x1000u
#define VIRTIO_SLOTS 8u
#define FLASH1_BASE 0x22000000u /* pflash unit 1 */
#define FLASH1_SIZE 0x02000000u
#define FLASH_SECTOR 0x40000u

#define IRQ_VIRTIO_FIRST 1u
#define IRQ_UART 10u

static inline uint32_t read32(uintptr_t address) { return *(volatile uint32_t *)address; }
static inline void write32(uintptr_t address, uint32_t value) { *(volatile uint32_t *)address = value; }
static inline uint8_t read8(uintptr_t address) { return *(volatile uint8_t *)address; }
static inline void write8(uintptr_t address, uint8_t value) { *(volatile uint8_t *)address = value; }

/* Let an interrupt source end a sleep. */
void plic_enable(uint32_t irq);

/* Acknowledge the network device's interrupt. */
void nic_acknowledge(void);

#endif

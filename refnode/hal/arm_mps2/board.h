/* Addresses and interrupt numbers of QEMU's `mps2-an385` (hw/arm/mps2.c; Arm application note 385), of the Cortex-M3
 * in it (ARMv7-M Architecture Reference Manual, B3), and access to them. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define FLASH_BASE 0x21000000u /* PSRAM, which a file backs: what is written there is there after a power cycle */
#define FLASH_SIZE 0x01000000u
#define FLASH_SECTOR 0x1000u
#define TIMER_BASE 0x40000000u
#define UART_BASE 0x40004000u
#define FPGAIO_BASE 0x40028000u
#define NIC_BASE 0x40200000u
#define NVIC_ENABLE 0xe000e100u
#define NVIC_PENDING 0xe000e200u
#define NVIC_CLEAR_PENDING 0xe000e280u
#define SCB_RESET_CONTROL 0xe000ed0cu /* AIRCR */
#define SCB_FAULT_STATUS 0xe000ed28u  /* CFSR */
#define SCB_HARD_FAULT_STATUS 0xe000ed2cu
#define SCB_MEMORY_FAULT_ADDRESS 0xe000ed34u
#define SCB_BUS_FAULT_ADDRESS 0xe000ed38u

#define IRQ_UART_RECEIVE 0u
#define IRQ_UART_SEND 1u
#define IRQ_TIMER 8u
#define IRQ_NIC 13u

static inline uint32_t read32(uintptr_t address) { return *(volatile uint32_t *)address; }
static inline void write32(uintptr_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

/* Let an interrupt source end a sleep. */
void nvic_enable(uint32_t irq);

/* Acknowledge the interrupts of the device. */
void uart_acknowledge(void);
void nic_acknowledge(void);

#endif

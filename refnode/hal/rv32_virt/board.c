/* Timer, interrupt controller, sleep and reset of QEMU's riscv `virt` machine. */
#include "board.h"

#include "devices.h"
#include "hal.h"

#define MTIMECMP (CLINT_BASE + 0x4000u)
#define MTIME (CLINT_BASE + 0xbff8u)
#define TICKS_PER_US 10u /* the machine's timebase is 10 MHz */
#define MIE_MTIE (1u << 7)
#define MIE_MEIE (1u << 11)
#define PLIC_ENABLE (PLIC_BASE + 0x2000u)
#define PLIC_THRESHOLD (PLIC_BASE + 0x200000u)
#define PLIC_CLAIM (PLIC_BASE + 0x200004u)

static uint64_t slept_ticks;
static uint64_t armed = UINT64_MAX;

static uint64_t ticks(void) {
  uint32_t high, low;
  do {
    high = read32(MTIME + 4);
    low = read32(MTIME);
  } while (read32(MTIME + 4) != high);
  return (uint64_t)high << 32 | low;
}

uint64_t hal_time_us(void) { return ticks() / TICKS_PER_US; }

uint32_t hal_busy_basis_points(void) {
  uint64_t now = ticks();
  return now ? (uint32_t)((now - slept_ticks) * 10000u / now) : 0;
}

void plic_enable(uint32_t irq) {
  write32(PLIC_BASE + 4 * irq, 1);
  write32(PLIC_ENABLE, read32(PLIC_ENABLE) | 1u << irq);
  write32(PLIC_THRESHOLD, 0);
}

static void arm(uint64_t deadline_ticks) {
  if (deadline_ticks == armed) {
    return;
  }
  write32(MTIMECMP + 4, UINT32_MAX); /* no match while the two halves disagree */
  write32(MTIMECMP, (uint32_t)deadline_ticks);
  write32(MTIMECMP + 4, (uint32_t)(deadline_ticks >> 32));
  armed = deadline_ticks;
}

/* One a wake-up: if more are pending the next WFI does not sleep. The UART's goes away when its bytes are read. */
static void serve_interrupt(void) {
  uint32_t irq = read32(PLIC_CLAIM);
  if (irq != 0 && irq != IRQ_UART) {
    nic_acknowledge();
  }
  write32(PLIC_CLAIM, irq);
}

void hal_wait_until(uint64_t deadline_us) {
  console_pump();
  uint64_t before = ticks();
  uint64_t deadline = deadline_us > UINT64_MAX / TICKS_PER_US ? UINT64_MAX : deadline_us * TICKS_PER_US;
  if (deadline <= before) {
    return;
  }
  arm(deadline);
  __asm__ volatile("csrs mie, %0\n\twfi" ::"r"(MIE_MTIE | MIE_MEIE) : "memory");
  slept_ticks += ticks() - before;
  uint32_t pending;
  __asm__ volatile("csrr %0, mip" : "=r"(pending));
  if (pending & MIE_MEIE) {
    serve_interrupt();
  }
}

void board_reset(void) {
  write32(TEST_BASE, 0x7777);
  for (;;) {
    __asm__ volatile("wfi");
  }
}

void hal_load_from_nowhere(void) { (void)read32(0xf0000000u); /* nothing is mapped there */ }

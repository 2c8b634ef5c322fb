/* Timer, interrupt controller, sleep and reset of the MPS2 board. */
#include "board.h"

#include "devices.h"
#include "hal.h"

/* FPGAIO: a counter of 25 MHz that starts at zero with every reset. */
#define COUNTER (FPGAIO_BASE + 0x18u)
#define TICKS_PER_US 25u
/* CMSDK timer 0: counts down with the same clock. */
enum { TIMER_CONTROL = 0x0, TIMER_VALUE = 0x4, TIMER_INTERRUPT = 0xc };
enum { TIMER_RUN = 1 << 0, TIMER_WITH_INTERRUPT = 1 << 3 };
/* Neither counter nor timer wraps around in so much time. */
#define LONGEST_SLEEP (100000000u * (uint64_t)TICKS_PER_US)
#define RESET_REQUEST 0x05fa0004u

static uint64_t slept_ticks;
static uint64_t armed; /* the deadline that the timer is set for, in ticks; 0: none */

static uint64_t ticks(void) {
  static uint32_t low, high;
  uint32_t now = read32(COUNTER);
  high += now < low;
  low = now;
  return (uint64_t)high << 32 | now;
}

uint64_t hal_time_us(void) { return ticks() / TICKS_PER_US; }

uint32_t hal_busy_basis_points(void) {
  uint64_t now = ticks();
  return now ? (uint32_t)((now - slept_ticks) * 10000u / now) : 0;
}

void nvic_enable(uint32_t irq) {
  write32(NVIC_CLEAR_PENDING, 1u << irq);
  write32(NVIC_ENABLE, 1u << irq);
}

static void arm(uint64_t deadline, uint64_t now) {
  if (deadline == armed) {
    return;
  }
  write32(TIMER_BASE + TIMER_VALUE, (uint32_t)(deadline - now)); /* once: there is no reload value */
  if (armed == 0) {
    write32(TIMER_BASE + TIMER_CONTROL, TIMER_RUN | TIMER_WITH_INTERRUPT);
    nvic_enable(IRQ_TIMER);
  }
  armed = deadline;
}

/* Interrupts are masked for good: they are pending, end the sleep, and are acknowledged here. */
static void serve_interrupts(void) {
  uint32_t pending = read32(NVIC_PENDING);
  if (pending & 1u << IRQ_TIMER) {
    write32(TIMER_BASE + TIMER_INTERRUPT, 1);
  }
  if (pending & (1u << IRQ_UART_RECEIVE | 1u << IRQ_UART_SEND)) {
    uart_acknowledge();
  }
  if (pending & 1u << IRQ_NIC) {
    nic_acknowledge();
  }
  write32(NVIC_CLEAR_PENDING, pending);
}

void hal_wait_until(uint64_t deadline_us) {
  console_pump();
  uint64_t before = ticks();
  uint64_t deadline = deadline_us > UINT64_MAX / TICKS_PER_US ? UINT64_MAX : deadline_us * TICKS_PER_US;
  if (deadline <= before) {
    return;
  }
  if (deadline - before > LONGEST_SLEEP) {
    deadline = before + LONGEST_SLEEP;
  }
  arm(deadline, before);
  __asm__ volatile("dsb\n\twfi" ::: "memory");
  slept_ticks += ticks() - before;
  serve_interrupts();
}

void board_reset(void) {
  __asm__ volatile("dsb" ::: "memory");
  write32(SCB_RESET_CONTROL, RESET_REQUEST);
  for (;;) {
    __asm__ volatile("wfi");
  }
}

void hal_load_from_nowhere(void) { (void)read32(0xf0000000u); /* nothing is mapped there */ }

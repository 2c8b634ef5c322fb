/* NS16550A with FIFOs. Text waits in a buffer and leaves when the line takes it, by interrupt if it must: whoever
 * reads the console slowly does not change when the device does its work. */
#include "board.h"

#include "hal.h"

enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LSR = 5 };
enum { LSR_DATA_READY = 0x01, LSR_THR_EMPTY = 0x20, FIFO_DEPTH = 16 };
enum { IER_RECEIVED = 0x01, IER_EMPTY = 0x02, FCR_ENABLE_AND_CLEAR = 0x07 };
enum { BUFFER = 16384 };

/* How long a full buffer may hold up the device before text is lost, as on a real line that nobody reads. */
#define PATIENCE_US 1000000u

static char buffer[BUFFER] __attribute__((section(".uncleared")));
static uint32_t written, sent; /* counts of bytes; their difference is in the buffer */
static uint8_t enabled;        /* interrupts; 0: the device is not prepared yet */
static bool stalled;           /* patience was lost once and the line has not moved since */

/* Before anything is said: clearing the FIFOs later would eat what somebody answers. */
static void prepare(void) {
  if (!enabled) {
    enabled = IER_RECEIVED;
    write8(UART_BASE + FCR, FCR_ENABLE_AND_CLEAR);
    write8(UART_BASE + IER, enabled);
    plic_enable(IRQ_UART);
  }
}

static void enable(uint8_t interrupts) {
  if (interrupts != enabled) {
    write8(UART_BASE + IER, interrupts);
    enabled = interrupts;
  }
}

void uart_pump(void) {
  prepare();
  while (sent != written && read8(UART_BASE + LSR) & LSR_THR_EMPTY) {
    for (int room = FIFO_DEPTH; room && sent != written; room--) {
      write8(UART_BASE + THR, (uint8_t)buffer[sent++ % BUFFER]);
    }
    stalled = false;
  }
  enable(sent == written ? IER_RECEIVED : IER_RECEIVED | IER_EMPTY);
}

/* Pump until at most `left` bytes wait; false when patience ran out. */
static bool drain_to(uint32_t left) {
  uint64_t patience = hal_time_us() + (stalled ? 0 : PATIENCE_US);
  while (written - sent > left) {
    uart_pump();
    if (written - sent > left && hal_time_us() > patience) {
      stalled = true;
      return false;
    }
  }
  return true;
}

void uart_flush(void) { drain_to(0); }

void hal_uart_write(const char *text, size_t length) {
  if (!drain_to(BUFFER - (uint32_t)length)) {
    return; /* whole lines are lost, never parts */
  }
  while (length--) {
    buffer[written++ % BUFFER] = *text++;
  }
  uart_pump();
}

int hal_uart_read(void) {
  prepare();
  return read8(UART_BASE + LSR) & LSR_DATA_READY ? read8(UART_BASE + RBR) : -1;
}

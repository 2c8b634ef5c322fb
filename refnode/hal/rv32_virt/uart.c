/* NS16550A, FIFOs on, receive interrupt on. */
#include "board.h"

#include "hal.h"

enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LSR = 5 };
enum { LSR_DATA_READY = 0x01, LSR_THR_EMPTY = 0x20, FIFO_DEPTH = 16 };

/* A line that nobody reads must not stop the device; what does not fit is lost, as on a real line. */
#define PATIENCE_US 20000u

static bool ready;

static void prepare(void) {
  write8(UART_BASE + FCR, 0x07); /* enable and clear both FIFOs, trigger at one byte */
  write8(UART_BASE + IER, 0x01);
  plic_enable(IRQ_UART);
  ready = true;
}

void hal_uart_write(const char *text, size_t length) {
  if (!ready) {
    prepare();
  }
  uint64_t patience = hal_time_us() + PATIENCE_US;
  while (length) {
    while (!(read8(UART_BASE + LSR) & LSR_THR_EMPTY)) {
      if (hal_time_us() > patience) {
        return;
      }
    }
    for (int room = FIFO_DEPTH; room && length; room--, length--) {
      write8(UART_BASE + THR, (uint8_t)*text++);
    }
  }
}

int hal_uart_read(void) {
  if (!ready) {
    prepare();
  }
  return read8(UART_BASE + LSR) & LSR_DATA_READY ? read8(UART_BASE + RBR) : -1;
}

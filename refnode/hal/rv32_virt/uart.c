/* NS16550A with FIFOs. */
#include "board.h"

#include "devices.h"

enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LSR = 5 };
enum { LSR_DATA_READY = 0x01, LSR_THR_EMPTY = 0x20, FIFO_DEPTH = 16 };
enum { IER_RECEIVED = 0x01, IER_EMPTY = 0x02, FCR_ENABLE_AND_CLEAR = 0x07 };

void serial_init(void) {
  write8(UART_BASE + FCR, FCR_ENABLE_AND_CLEAR);
  write8(UART_BASE + IER, IER_RECEIVED);
  plic_enable(IRQ_UART);
}

unsigned serial_room(void) { return read8(UART_BASE + LSR) & LSR_THR_EMPTY ? FIFO_DEPTH : 0; }

void serial_put(uint8_t byte) { write8(UART_BASE + THR, byte); }

int serial_get(void) { return read8(UART_BASE + LSR) & LSR_DATA_READY ? read8(UART_BASE + RBR) : -1; }

void serial_wake_with_room(bool wake) { write8(UART_BASE + IER, wake ? IER_RECEIVED | IER_EMPTY : IER_RECEIVED); }

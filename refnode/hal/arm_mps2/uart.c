/* CMSDK APB UART (Arm DDI 0479, 4.3): one byte each way. */
#include "board.h"

#include "devices.h"

enum { DATA = 0x0, STATE = 0x4, CONTROL = 0x8, INTERRUPT = 0xc, DIVIDER = 0x10 };
enum { STATE_SEND_FULL = 1, STATE_RECEIVED = 2 };
enum { CONTROL_SEND = 1 << 0, CONTROL_RECEIVE = 1 << 1, CONTROL_SEND_IRQ = 1 << 2, CONTROL_RECEIVE_IRQ = 1 << 3 };
enum { INTERRUPT_SENT = 1, INTERRUPT_RECEIVED = 2, FASTEST = 16 };
enum { WORKING = CONTROL_SEND | CONTROL_RECEIVE | CONTROL_RECEIVE_IRQ };

void serial_init(void) {
  write32(UART_BASE + DIVIDER, FASTEST);
  write32(UART_BASE + CONTROL, WORKING);
  nvic_enable(IRQ_UART_RECEIVE);
  nvic_enable(IRQ_UART_SEND);
}

unsigned serial_room(void) { return !(read32(UART_BASE + STATE) & STATE_SEND_FULL); }

void serial_put(uint8_t byte) { write32(UART_BASE + DATA, byte); }

int serial_get(void) {
  return read32(UART_BASE + STATE) & STATE_RECEIVED ? (int)(read32(UART_BASE + DATA) & 0xff) : -1;
}

void serial_wake_with_room(bool wake) {
  write32(UART_BASE + CONTROL, wake ? WORKING | CONTROL_SEND_IRQ : WORKING);
}

void uart_acknowledge(void) { write32(UART_BASE + INTERRUPT, INTERRUPT_SENT | INTERRUPT_RECEIVED); }

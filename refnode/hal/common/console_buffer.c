/* Console text waits in a buffer and leaves when the line takes it, by interrupt if it must: whoever reads the console
 * slowly does not change when the device does its work. */
#include "devices.h"
#include "hal.h"

enum { BUFFER = 16384 };

/* How long a full buffer may hold up the device before text is lost, as on a real line that nobody reads. */
#define PATIENCE_US 1000000u

static char buffer[BUFFER] __attribute__((section(".uncleared")));
static uint32_t written, sent; /* counts of bytes; their difference is in the buffer */
static bool prepared, waking;
static bool stalled; /* patience was lost once and the line has not moved since */

/* Before anything is said: clearing the device's FIFOs later would eat what somebody answers. */
static void prepare(void) {
  if (!prepared) {
    prepared = true;
    serial_init();
  }
}

void console_pump(void) {
  prepare();
  unsigned room;
  while (sent != written && (room = serial_room()) != 0) {
    for (; room && sent != written; room--) {
      serial_put((uint8_t)buffer[sent++ % BUFFER]);
    }
    stalled = false;
  }
  if (waking != (sent != written)) {
    waking = !waking;
    serial_wake_with_room(waking);
  }
}

/* Pump until at most `left` bytes wait; false when patience ran out. */
static bool drain_to(uint32_t left) {
  uint64_t patience = hal_time_us() + (stalled ? 0 : PATIENCE_US);
  while (written - sent > left) {
    console_pump();
    if (written - sent > left && hal_time_us() > patience) {
      stalled = true;
      return false;
    }
  }
  return true;
}

void console_flush(void) { drain_to(0); }

void hal_uart_write(const char *text, size_t length) {
  if (!drain_to(BUFFER - (uint32_t)length)) {
    return; /* whole lines are lost, never parts */
  }
  while (length--) {
    buffer[written++ % BUFFER] = *text++;
  }
  console_pump();
}

int hal_uart_read(void) {
  prepare();
  return serial_get();
}

/* The firmware's hardware as a library on the developer's machine: a clock that the test sets, frames and console
 * text in queues. One loaded copy of the library is one device. */
#include <setjmp.h>
#include <string.h>

#include "firmware.h"
#include "hal.h"

enum { FLASH_BYTES = 0x10000, FRAMES = 64, RECEIVE_FRAMES = 1024, CONSOLE_BYTES = 1 << 20, HEAP_BYTES = 256 * 1024 };

#define HOST_RESET 1u /* what host_boot() and host_step() return when the device reset itself; no such deadline */

struct frame {
  size_t length;
  uint8_t data[HAL_FRAME_MAX];
};

static uint8_t flash[FLASH_BYTES];
const uint8_t *const hal_flash = flash;
const size_t hal_flash_size = FLASH_BYTES;

static uint64_t now_us;
static size_t flash_bytes_left = SIZE_MAX; /* that can be written before the power goes */
static uint8_t own_mac[6];
static struct frame outgoing[FRAMES], incoming[RECEIVE_FRAMES];
static unsigned outgoing_count, incoming_first, incoming_count;
static char printed[CONSOLE_BYTES], typed[CONSOLE_BYTES];
static size_t printed_count, typed_first, typed_count;
static uint8_t heap[HEAP_BYTES] __attribute__((aligned(16)));
static jmp_buf reset_point;

uint64_t host_boot(void);
uint64_t host_step(void);
void host_set_time(uint64_t us);
void host_cut_power_after(size_t bytes);
void host_set_mac(const uint8_t mac[6]);
void host_set_flash(const uint8_t *data, size_t length);
bool host_receive(const uint8_t *data, size_t length);
size_t host_take_frame(uint8_t *out);
size_t host_take_console(char *out, size_t capacity);
void host_type(const char *text, size_t length);

uint64_t host_boot(void) {
  if (setjmp(reset_point)) {
    return HOST_RESET;
  }
  firmware_boot();
  return 0;
}

uint64_t host_step(void) {
  return setjmp(reset_point) ? HOST_RESET : firmware_step();
}

void host_set_time(uint64_t us) { now_us = us; }
void host_cut_power_after(size_t bytes) { flash_bytes_left = bytes; }
void host_set_mac(const uint8_t mac[6]) { memcpy(own_mac, mac, 6); }
void host_set_flash(const uint8_t *data, size_t length) { memcpy(flash, data, length < FLASH_BYTES ? length : FLASH_BYTES); }

bool host_receive(const uint8_t *data, size_t length) {
  if (incoming_count == RECEIVE_FRAMES || length > HAL_FRAME_MAX) {
    return false;
  }
  struct frame *frame = &incoming[(incoming_first + incoming_count++) % RECEIVE_FRAMES];
  memcpy(frame->data, data, length);
  frame->length = length;
  return true;
}

size_t host_take_frame(uint8_t *out) {
  if (!outgoing_count) {
    return 0;
  }
  size_t length = outgoing[0].length;
  memcpy(out, outgoing[0].data, length);
  memmove(outgoing, outgoing + 1, --outgoing_count * sizeof outgoing[0]);
  return length;
}

size_t host_take_console(char *out, size_t capacity) {
  size_t length = printed_count < capacity ? printed_count : capacity;
  memcpy(out, printed, length);
  memmove(printed, printed + length, printed_count -= length);
  return length;
}

void host_type(const char *text, size_t length) {
  memcpy(typed, text, length);
  typed_first = 0;
  typed_count = length;
}

uint64_t hal_time_us(void) { return now_us; }
void hal_wait_until(uint64_t deadline_us) { now_us = deadline_us; }
uint32_t hal_busy_basis_points(void) { return 0; }

void hal_uart_write(const char *text, size_t length) {
  if (printed_count + length <= CONSOLE_BYTES) {
    memcpy(printed + printed_count, text, length);
    printed_count += length;
  }
}

int hal_uart_read(void) { return typed_first < typed_count ? (uint8_t)typed[typed_first++] : -1; }

bool hal_nic_init(uint8_t mac[6]) {
  memcpy(mac, own_mac, 6);
  return true;
}

const uint8_t *hal_nic_receive(size_t *length) {
  *length = incoming[incoming_first].length;
  return incoming_count ? incoming[incoming_first].data : NULL;
}

void hal_nic_release(void) {
  incoming_first = (incoming_first + 1) % RECEIVE_FRAMES;
  incoming_count--;
}

uint8_t *hal_nic_send_buffer(void) { return outgoing_count < FRAMES ? outgoing[outgoing_count].data : NULL; }
void hal_nic_send(size_t length) { outgoing[outgoing_count++].length = length; }

bool hal_flash_write(uint32_t offset, const uint8_t *data, size_t length) {
  if (offset > FLASH_BYTES || length > FLASH_BYTES - offset) {
    return false;
  }
  for (; length; length--, offset++, flash_bytes_left--) {
    if (!flash_bytes_left) {
      return false; /* the power is gone */
    }
    flash[offset] = *data++;
  }
  return true;
}

void hal_heap_region(uint8_t **start, size_t *size) {
  *start = heap;
  *size = sizeof heap;
}

enum hal_reset_cause hal_reset_cause(void) { return HAL_RESET_POWER_ON; }
void hal_reset(void) { longjmp(reset_point, 1); }
void hal_hang(void) { longjmp(reset_point, 1); } /* a test cannot wait for what never ends */
void hal_load_from_nowhere(void) { hal_reset(); }

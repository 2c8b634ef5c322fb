/* The hardware that the firmware needs, and nothing of how a board provides it.
 *
 * A port is one directory beside this file. Everything above it is portable C11. There is no wall clock:
 * the only time is the board's monotonic timer, so a run under virtual time repeats exactly.
 * There are no interrupt handlers above the HAL: interrupts only end hal_wait_until(), and the main loop polls.
 */
#ifndef HAL_H
#define HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- time ---- */

/* Microseconds since reset. */
uint64_t hal_time_us(void);

/* Sleep until `deadline_us` or until a device wants attention, whichever comes first. */
void hal_wait_until(uint64_t deadline_us);

/* Share of the time since boot that was not spent sleeping, in units of 0.01 %. */
uint32_t hal_busy_basis_points(void);

/* ---- console ---- */

/* Queues the text, at most 512 bytes; it leaves as the line takes it. */
void hal_uart_write(const char *text, size_t length);

/* The next received byte, or -1. */
int hal_uart_read(void);

/* ---- network interface: whole Ethernet frames without FCS ---- */

#define HAL_FRAME_MAX 1514

/* False when the board has no (usable) network interface. */
bool hal_nic_init(uint8_t mac[6]);

/* The next received frame, or NULL. It stays valid until hal_nic_release(). */
const uint8_t *hal_nic_receive(size_t *length);
void hal_nic_release(void);

/* A buffer of HAL_FRAME_MAX bytes to fill, or NULL when the send queue is full. */
uint8_t *hal_nic_send_buffer(void);

/* Send the first `length` bytes of the buffer that hal_nic_send_buffer() returned last. */
void hal_nic_send(size_t length);

/* ---- flash: the ESP-IDF style image (partition table, NVS), readable as memory ---- */

extern const uint8_t *const hal_flash;
extern const size_t hal_flash_size;

/* Write as a NOR flash does; sectors are erased (and their other bytes preserved) when a bit must rise.
 * False when the range is outside the flash or the device reports an error. */
bool hal_flash_write(uint32_t offset, const uint8_t *data, size_t length);

/* ---- memory and reset ---- */

/* The region that the heap owns. */
void hal_heap_region(uint8_t **start, size_t *size);

enum hal_reset_cause {
  HAL_RESET_POWER_ON = 0x1, /* power, or a reset from outside; numbers as an ESP32's ROM prints them */
  HAL_RESET_SOFTWARE = 0xc, /* hal_reset(), also after a crash */
};

enum hal_reset_cause hal_reset_cause(void);

_Noreturn void hal_reset(void);

/* Keep the processor busy for good, with interrupts off; what was said before has left. */
_Noreturn void hal_hang(void);

/* Log the processor's registers as they were when it crashed; only a crash report may ask. */
void hal_print_registers(void);

/* Fail for real, through the CPU's own trap: used by the console and by planted bugs. */
void hal_load_from_nowhere(void);

#endif

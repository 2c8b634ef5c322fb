/* Between what ports have in common (console buffer, rules of NOR flash, reset cause) and the devices of one board. */
#ifndef DEVICES_H
#define DEVICES_H

#include <stdbool.h>
#include <stdint.h>

/* ---- a board's serial port ---- */

/* Receiving ends a sleep from here on. */
void serial_init(void);

/* Bytes that can be given to serial_put() now, 0 while the line is busy. */
unsigned serial_room(void);
void serial_put(uint8_t byte);

/* The next received byte, or -1. */
int serial_get(void);

/* Whether room for more is to end a sleep too. */
void serial_wake_with_room(bool wake);

/* ---- a board's flash, readable as memory at hal_flash ---- */

extern const uint32_t flash_sector_bytes;

/* Set all bits of a sector. */
bool flash_erase(uintptr_t sector);

/* Clear the bits that are not set in the words. */
bool flash_program(uintptr_t address, const uint32_t *words, uint32_t count);

/* ---- a board's reset ---- */

_Noreturn void board_reset(void);

/* ---- what ports have in common, for the boards ---- */

/* Send console text that the line takes now, and arrange to be woken for the rest. */
void console_pump(void);

/* Wait, within reason, until all console text has left. */
void console_flush(void);

#endif

/* Memory that a reset leaves alone tells the next boot whether the firmware asked for it. */
#include "devices.h"
#include "hal.h"

#define MAGIC 0x5377526eu

struct retained {
  uint32_t magic;
  uint32_t cause;
};

extern volatile struct retained __retained;
extern uint8_t __heap_start[], __heap_end[];

enum hal_reset_cause hal_reset_cause(void) {
  bool software = __retained.magic == MAGIC && __retained.cause == HAL_RESET_SOFTWARE;
  __retained.magic = MAGIC;
  __retained.cause = HAL_RESET_POWER_ON; /* unless hal_reset() says otherwise, the next one comes from outside */
  return software ? HAL_RESET_SOFTWARE : HAL_RESET_POWER_ON;
}

void hal_reset(void) {
  __retained.magic = MAGIC;
  __retained.cause = HAL_RESET_SOFTWARE;
  console_flush();
  board_reset();
}

/* Interrupts only ever end a sleep, so a loop without one is deaf to everything. */
void hal_hang(void) {
  console_flush();
  for (;;) {
  }
}

void hal_heap_region(uint8_t **start, size_t *size) {
  *start = __heap_start;
  *size = (size_t)(__heap_end - __heap_start);
}

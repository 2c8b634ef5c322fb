/* Boot, then one loop: work, sleep. */
#include "firmware.h"
#include "hal.h"

int main(void) {
  firmware_boot();
  for (;;) {
    hal_wait_until(firmware_step());
  }
}

#include "firmware.h"

#include "bugs.h"
#include "config.h"
#include "console.h"
#include "counter.h"
#include "hal.h"
#include "heap.h"
#include "hub.h"
#include "log.h"
#include "net.h"
#include "node.h"
#include "timer.h"

#define SLOW_BOOT_US 12000000u

static void print_reset_cause(void) {
  enum hal_reset_cause cause = hal_reset_cause();
  log_raw("rst:0x%x (%s)", (unsigned)cause, cause == HAL_RESET_SOFTWARE ? "SW_CPU_RESET" : "POWERON");
}

void firmware_boot(void) {
  uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 0};
  uint8_t *heap;
  size_t heap_size;
  print_reset_cause();
  while (BUG_SLOW_BOOT && hal_time_us() < SLOW_BOOT_US) {
    hal_wait_until(SLOW_BOOT_US);
  }
  LOG_INFO("main_task", "Calling app_main()");
  hal_heap_region(&heap, &heap_size);
  heap_init(heap, heap_size);
  bool nic = hal_nic_init(mac);
  config_load(mac);
  LOG_INFO("refnode", "node_id=%u role=%s scenario=%u channel=%u tdm_slot=%u tdm_nodes=%u edge_tier=%u", config.node_id,
           config_role_name(config.role), config.scenario, config.channel, config.tdm_slot, config.tdm_nodes,
           config.edge_tier);
  net_start(mac, nic);
  if (config.hub) {
    hub_start();
  }
  counter_start();
  node_start();
  LOG_INFO("refnode", "boot_time=%u ms", (unsigned)(hal_time_us() / 1000));
}

uint64_t firmware_step(void) {
  bool more = net_poll();
  console_poll();
  timers_run();
  return more ? 0 : timers_next();
}

/* SMSC LAN9118 (data sheet DS00002266), by programmed input and output. */
#include "board.h"

#include "hal.h"

enum {
  RX_DATA = 0x00, TX_DATA = 0x20, RX_STATUS = 0x40, TX_STATUS = 0x48, IRQ_CONFIG = 0x54, IRQ_STATUS = 0x58,
  IRQ_ENABLE = 0x5c, BYTE_TEST = 0x64, TX_CONFIG = 0x70, RX_FIFO = 0x7c, TX_FIFO = 0x80,
  MAC_COMMAND = 0xa4, MAC_DATA = 0xa8,
};
enum { IRQ_PUSH_PULL = 1 << 0, IRQ_ACTIVE_HIGH = 1 << 4, IRQ_ON = 1 << 8, RX_STATUS_LEVEL = 1 << 3, TX_ON = 1 << 1 };
enum { MAC_CONTROL = 1, MAC_HIGH = 2, MAC_LOW = 3 };
enum { MAC_RECEIVE = 1 << 2, MAC_TRANSMIT = 1 << 3, MAC_ALL_MULTICAST = 1 << 19, MAC_FULL_DUPLEX = 1 << 20 };
enum { FIRST_SEGMENT = 1 << 13, LAST_SEGMENT = 1 << 12, CHECKSUM = 4, HEADROOM = 8, RX_ERROR = 1 << 15 };

#define BYTE_ORDER 0x87654321u
#define MAC_BUSY 0x80000000u
#define MAC_READ 0x40000000u

static bool present, received;
static size_t received_length;
static uint32_t receive_buffer[(HAL_FRAME_MAX + CHECKSUM + 3) / 4] __attribute__((section(".uncleared")));
static uint32_t send_buffer[(HAL_FRAME_MAX + 3) / 4] __attribute__((section(".uncleared")));

static uint32_t get(uint32_t reg) { return read32(NIC_BASE + reg); }
static void set(uint32_t reg, uint32_t value) { write32(NIC_BASE + reg, value); }

static void mac_finish(void) {
  while (get(MAC_COMMAND) & MAC_BUSY) {
  }
}

static uint32_t mac_get(uint32_t reg) {
  set(MAC_COMMAND, MAC_BUSY | MAC_READ | reg);
  mac_finish();
  return get(MAC_DATA);
}

static void mac_set(uint32_t reg, uint32_t value) {
  set(MAC_DATA, value);
  set(MAC_COMMAND, MAC_BUSY | reg);
  mac_finish();
}

bool hal_nic_init(uint8_t mac[6]) {
  present = get(BYTE_TEST) == BYTE_ORDER;
  if (!present) {
    return false;
  }
  uint32_t low = mac_get(MAC_LOW), high = mac_get(MAC_HIGH);
  for (int i = 0; i < 4; i++) {
    mac[i] = (uint8_t)(low >> 8 * i);
  }
  mac[4] = (uint8_t)high;
  mac[5] = (uint8_t)(high >> 8);
  set(IRQ_CONFIG, IRQ_ON | IRQ_ACTIVE_HIGH | IRQ_PUSH_PULL);
  set(IRQ_STATUS, UINT32_MAX);
  set(IRQ_ENABLE, RX_STATUS_LEVEL);
  set(TX_CONFIG, TX_ON);
  mac_set(MAC_CONTROL, MAC_FULL_DUPLEX | MAC_ALL_MULTICAST | MAC_TRANSMIT | MAC_RECEIVE);
  nvic_enable(IRQ_NIC);
  return true;
}

void nic_acknowledge(void) { set(IRQ_STATUS, RX_STATUS_LEVEL); }

/* Take the next frame from the FIFO; false when it is not one that is wanted. */
static bool take_frame(void) {
  uint32_t status = get(RX_STATUS), length = status >> 16 & 0x3fff;
  for (uint32_t i = 0; i < (length + 3) / 4; i++) {
    uint32_t word = get(RX_DATA);
    if (i < sizeof receive_buffer / 4) {
      receive_buffer[i] = word;
    }
  }
  received_length = length - CHECKSUM;
  return !(status & RX_ERROR) && length > CHECKSUM && length <= HAL_FRAME_MAX + CHECKSUM;
}

const uint8_t *hal_nic_receive(size_t *length) {
  while (present && !received && get(RX_FIFO) >> 16 & 0xff) {
    received = take_frame();
  }
  *length = received_length;
  return received ? (const uint8_t *)receive_buffer : NULL;
}

void hal_nic_release(void) { received = false; }

uint8_t *hal_nic_send_buffer(void) {
  bool room = present && (get(TX_FIFO) & 0xffff) >= HAL_FRAME_MAX + HEADROOM;
  return room ? (uint8_t *)send_buffer : NULL;
}

void hal_nic_send(size_t length) {
  while (get(TX_FIFO) >> 16 & 0xff) {
    (void)get(TX_STATUS); /* of frames that have left */
  }
  set(TX_DATA, FIRST_SEGMENT | LAST_SEGMENT | (uint32_t)length);
  set(TX_DATA, (uint32_t)length); /* no tag */
  for (uint32_t i = 0; i < (length + 3) / 4; i++) {
    set(TX_DATA, send_buffer[i]);
  }
}

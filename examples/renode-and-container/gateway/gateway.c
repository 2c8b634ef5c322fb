/* Hears serial lines that are joined to the network, and answers each line that it hears. A frame with bytes of a line has
 * EtherType 0x88B5; its payload is a length of two bytes, big endian, and then so many bytes. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERIAL = 0x88b5, HEADER = 16, SHORTEST = 60, LONGEST = 1024 };

static int open_line(uint8_t *mac) {
  struct ifreq request = {0};
  struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_protocol = htons(SERIAL)};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(SERIAL));
  strcpy(request.ifr_name, "eth0");
  if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) != 0) {
    return -1;
  }
  memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
  place.sll_ifindex = (int)if_nametoindex("eth0");
  return bind(fd, (struct sockaddr *)&place, sizeof place) == 0 ? fd : -1;
}

static void answer(int fd, const uint8_t *mac, unsigned number) {
  uint8_t frame[HEADER + 64] = {0};
  int length = snprintf((char *)frame + HEADER, 64, "pong %u\n", number);
  memset(frame, 0xff, ETH_ALEN);
  memcpy(frame + ETH_ALEN, mac, ETH_ALEN);
  frame[12] = SERIAL >> 8;
  frame[13] = SERIAL & 0xff;
  frame[15] = (uint8_t)length;
  if (write(fd, frame, SHORTEST) < 0) {
    perror("gateway: not sent");
  }
}

int main(void) {
  uint8_t mac[ETH_ALEN], frame[2048];
  char line[80];
  unsigned length = 0, lines = 0;
  int fd = open_line(mac);
  if (fd < 0) {
    perror("gateway: no line");
    return 1;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("gateway: listening");
  for (;;) {
    ssize_t size = read(fd, frame, sizeof frame);
    int bytes = size > HEADER ? frame[14] << 8 | frame[15] : 0;
    if (bytes > LONGEST || bytes > size - HEADER) {
      continue;
    }
    for (int i = 0; i < bytes; i++) {
      if (frame[HEADER + i] == '\n') {
        line[length] = 0;
        length = 0;
        printf("board says: %s\n", line);
        answer(fd, mac, ++lines);
      } else if (length < sizeof line - 1) {
        line[length++] = (char)frame[HEADER + i];
      }
    }
  }
}

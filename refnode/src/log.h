/* Log lines as ESP-IDF writes them: `I (ms) tag: text`, CRLF.
 *
 * Judges read these lines. A text must not look like a crash, a heap error or a boot marker unless it is one;
 * a test reads all string literals of the image for that. */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdint.h>

/* %d %u %x %X %c %s %%, with an optional 0 and width; everything else is copied. */
void log_line(char level, const char *tag, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same without level, time and tag: the lines of the boot ROM and of the crash report. */
void log_raw(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define LOG_INFO(tag, ...) log_line('I', tag, __VA_ARGS__)
#define LOG_WARN(tag, ...) log_line('W', tag, __VA_ARGS__)
#define LOG_ERROR(tag, ...) log_line('E', tag, __VA_ARGS__)

/* Arguments for "%u.%u.%u.%u" and for "%02x:%02x:%02x:%02x:%02x:%02x". */
#define IP_FORMAT "%u.%u.%u.%u"
#define IP_ARGUMENTS(ip) IP_BYTE(ip, 24), IP_BYTE(ip, 16), IP_BYTE(ip, 8), IP_BYTE(ip, 0)
#define IP_BYTE(ip, shift) (unsigned)((ip) >> (shift) & 255)
#define MAC_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARGUMENTS(mac) (mac)[0], (mac)[1], (mac)[2], (mac)[3], (mac)[4], (mac)[5]

#endif

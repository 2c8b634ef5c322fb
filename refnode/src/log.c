#include "log.h"

#include "base.h"
#include "hal.h"

enum { LINE = 256 };

struct line {
  char text[LINE];
  size_t length;
};

static void put(struct line *line, char c) {
  if (line->length < LINE - 2) { /* always leave room for CRLF */
    line->text[line->length++] = c;
  }
}

static void put_padded(struct line *line, const char *text, size_t length, size_t width, char pad) {
  for (; width > length; width--) {
    put(line, pad);
  }
  while (length--) {
    put(line, *text++);
  }
}

static void put_number(struct line *line, uint32_t value, uint32_t base, bool negative, bool upper, size_t width,
                       char pad) {
  char digits[12];
  size_t at = sizeof digits;
  do {
    digits[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
    value /= base;
  } while (value);
  if (negative) {
    digits[--at] = '-';
  }
  put_padded(line, digits + at, sizeof digits - at, width, pad);
}

static void put_format(struct line *line, const char *format, va_list arguments) {
  for (; *format; format++) {
    if (*format != '%') {
      put(line, *format);
      continue;
    }
    char pad = *++format == '0' ? '0' : ' ';
    size_t width = 0;
    for (; *format >= '0' && *format <= '9'; format++) {
      width = width * 10 + (size_t)(*format - '0');
    }
    if (*format == 'd') {
      int value = va_arg(arguments, int);
      put_number(line, value < 0 ? 0u - (uint32_t)value : (uint32_t)value, 10, value < 0, false, width, pad);
    } else if (*format == 'u') {
      put_number(line, va_arg(arguments, unsigned), 10, false, false, width, pad);
    } else if (*format == 'x' || *format == 'X') {
      put_number(line, va_arg(arguments, unsigned), 16, false, *format == 'X', width, pad);
    } else if (*format == 'c') {
      put(line, (char)va_arg(arguments, int));
    } else if (*format == 's') {
      const char *text = va_arg(arguments, const char *);
      put_padded(line, text, strlen(text), width, ' ');
    } else {
      put(line, '%');
    }
  }
}

static void finish(struct line *line) {
  line->text[line->length++] = '\r';
  line->text[line->length++] = '\n';
  hal_uart_write(line->text, line->length);
}

static void start(struct line *line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  put_format(line, format, arguments);
  va_end(arguments);
}

void log_line(char level, const char *tag, const char *format, ...) {
  struct line line;
  line.length = 0; /* not an initialiser: that would clear the whole text */
  start(&line, "%c (%u) %s: ", level, (unsigned)(hal_time_us() / 1000u), tag);
  va_list arguments;
  va_start(arguments, format);
  put_format(&line, format, arguments);
  va_end(arguments);
  finish(&line);
}

void log_raw(const char *format, ...) {
  struct line line;
  line.length = 0; /* not an initialiser: that would clear the whole text */
  va_list arguments;
  va_start(arguments, format);
  put_format(&line, format, arguments);
  va_end(arguments);
  finish(&line);
}

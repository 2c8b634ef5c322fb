/* Commands over the serial line. */
#ifndef CONSOLE_H
#define CONSOLE_H

/* Take the bytes that have arrived and run every complete line. */
void console_poll(void);

#endif

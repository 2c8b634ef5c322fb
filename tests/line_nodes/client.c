/* A node in C: counts what it hears, and says so once in every step. Speaks the line protocol over stdin and stdout.
 *
 * It knows no JSON but what it looks for: the number of `"type":"ping"` in the events that reach it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char line[1 << 20];

static int read_line(void)
{
	if (!fgets(line, sizeof line, stdin))
		return 0;
	line[strcspn(line, "\r\n")] = '\0';
	return 1;
}

static unsigned count(const char *what)
{
	unsigned found = 0;

	for (const char *at = line; (at = strstr(at, what)); at += strlen(what))
		found++;
	return found;
}

int main(void)
{
	char id[64] = "";
	unsigned long long now = 0, then;
	unsigned pings = 0, steps = 0;

	while (read_line()) {
		if (sscanf(line, "INIT %63s", id) == 1) {
			puts("READY");
		} else if (sscanf(line, "ADVANCE %llu", &then) == 1) {
			if (!read_line())
				return 2;
			pings += count("\"type\":\"ping\"");
			puts("DONE");
			if (++steps % 10 == 0)
				printf("[{\"type\":\"count\",\"time_us\":%llu,\"src\":\"%s\",\"dst\":\"a\","
				       "\"payload\":{\"n\":%u},\"size_bytes\":100}]\n", now, id, pings);
			else
				puts("[]");
			now = then;
		} else if (!strcmp(line, "SHUTDOWN")) {
			fprintf(stderr, "%s has counted %u\n", id, pings);
			return 0;
		} else {
			fprintf(stderr, "what is %s?\n", line);
			return 1;
		}
		fflush(stdout);
	}
	return 3;
}

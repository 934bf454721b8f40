// SPDX-License-Identifier: GPL-2.0
/* Compares what "drostectl why -i" prints for a recording, as text and as JSON, with a file; --write makes the file. */
#include "golden.h"
#include "traceevent.h"
#include "whyfile.h"

#define RECORDING	"test/whyfile.txt"

static char json_file[32];

/* The recording as "drostectl trace --json" writes it. Its first line has more text than there is room for. */
static void make_json(void)
{
	static char line[65536], json[65536];
	FILE *in = fopen(RECORDING, "r"), *out;
	unsigned long long kept, lost;

	strcpy(json_file, "/tmp/whyfile_test.XXXXXX");
	out = fdopen(mkstemp(json_file), "w");
	if (!in || !out)
		exit(1);
	fprintf(out, "{\"drostectl_trace\":1,\"command\":\"%070000d\"}\n", 0);
	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "# %llu events, %llu lost", &kept, &lost) == 2) {
			fprintf(out, "{\"events\":%llu,\"lost\":%llu}\n", kept, lost);
		} else if (*line != '#') {
			trace_json(json, sizeof(json), line);
			fprintf(out, "%s\n", json);
		}
	}
	fclose(in);
	fclose(out);
}

static void print_text(void)
{
	if (why_file(RECORDING))
		printf("failed\n");
}

static void print_json(void)
{
	if (why_file(json_file))
		printf("failed\n");
}

static void print_nothing(void)
{
	printf("%d %d\n", why_file("/dev/null"), why_file("/no/such/file"));
}

int main(int argc, char **argv)
{
	static char text[65536];

	make_json();
	strcpy(text, golden_printed(print_text));
	ok(!strcmp(text, golden_printed(print_json)));
	unlink(json_file);
	ok(!strcmp(golden_printed(print_nothing), "-1 -1\n"));
	return golden_check("test/whyfile.golden", argc > 1 && !strcmp(argv[1], "--write"), print_text);
}

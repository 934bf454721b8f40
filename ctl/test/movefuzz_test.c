// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that no stream makes a reader of it crash. Here somebody has changed records and given them the right numbers and
 * checksums: what is wrong with them is in what they say. SANITIZE=1 finds more.
 */
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "crc32c.h"
#include "image.h"
#include "spawn.h"
#include "tap.h"

#define RECORDS	400	/* more than a saved guest has */
#define READ	3000	/* streams that are read */
#define RUN	150	/* files that drostectl restores */
#define ASKED	100	/* receivers to which a guest is to move */

/** struct one - a record of a stream */
struct one {
	struct move_head head;
	uint8_t *data;
};

static struct one saved[RECORDS];	/* the records of a saved guest */
static int nr_saved;
static uint32_t seed;

/* Always the same numbers. Numerical Recipes, chapter 7.1. */
static uint32_t some(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Has a guest saved, and keeps its records. */
static void save(void)
{
	char file[80];
	struct child g;
	struct stream s;
	struct record r = { 0 };
	int fd;

	snprintf(file, sizeof(file), "%s/saved", work);
	start(&g, "prompt", false, TO_PIPE, NULL,
	      (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", "--save", file, NULL });
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	ok(status_of(&g) == 9);
	finish(&g);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	unlink(file);
	stream_init(&s, fd, file);
	ok(fd >= 0 && !stream_check(&s));
	while (nr_saved < RECORDS && stream_get(&s, &r) == STREAM_RECORD) {
		saved[nr_saved].head = (struct move_head) { .type = r.type, .index = r.index, .length = r.length };
		saved[nr_saved].data = malloc(r.length + 1);
		memcpy(saved[nr_saved++].data, r.data, r.length);
	}
	ok(nr_saved > 20 && nr_saved < RECORDS && saved[nr_saved - 1].head.type == MOVE_END);
	record_free(&r);
	close(fd);
}

/* A number that is at some end of what is possible, or any. */
static uint32_t odd_number(void)
{
	static const uint32_t ends[] = { 0, 1, 2, 15, 16, 255, 256, 4095, 4096, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff };

	return some(4) ? ends[some(sizeof(ends) / sizeof(ends[0]))] : seed;
}

static const uint32_t types[] = {
	MOVE_MACHINE, MOVE_POOL, MOVE_PAGES, MOVE_ZERO, MOVE_IRQCHIP, MOVE_SERIAL, MOVE_INPUT, MOVE_OUTPUT, MOVE_CPUID, MOVE_NESTED,
	MOVE_XCRS, MOVE_XSAVE, MOVE_MSRS, MOVE_BARRIER, MOVE_END, MOVE_COMMIT, MOVE_CANCEL, MOVE_REFUSE, MOVE_READY, MOVE_SKIP | 3, 0,
};

/* Writes a record, of which something may be changed: its numbers and checksum are right all the same. */
static void put(struct stream *s, const struct one *from, bool change)
{
	static uint8_t data[MOVE_MAX];
	struct move_head h = from->head;
	uint32_t number;

	memcpy(data, from->data, h.length);
	if (change) {
		switch (some(8)) {
		case 0:
			h.type = types[some(sizeof(types) / sizeof(types[0]))];
			break;
		case 1:
			h.index = odd_number();
			break;
		case 2:
			h.length = some(2) ? some(h.length + 1) : odd_number() % MOVE_MAX;
			break;
		default:
			number = odd_number();
			for (int n = 1 + some(3); n && h.length >= sizeof(number); n--)
				memcpy(data + some(h.length / sizeof(number)) * sizeof(number), &number, sizeof(number));
		}
	}
	stream_put(s, h.type, h.index, data, h.length);
}

/* Writes a stream in which one to three records are changed, left out, twice or elsewhere. */
static int make(void)
{
	struct one list[RECORDS + 3];
	int n = nr_saved, changed[RECORDS + 3] = { 0 }, fd = memfd_create("stream", MFD_CLOEXEC);
	struct stream s;

	memcpy(list, saved, sizeof(saved));
	for (int times = 1 + some(3); times; times--) {
		/* There are many of pages, and one of each other kind. */
		int at = some(n), tries = 3, to = some(n);
		struct one one;

		while (tries-- && list[at].head.type == MOVE_ZERO)
			at = some(n);
		one = list[at];
		switch (some(8)) {
		case 0:
			memmove(list + at, list + at + 1, (--n - at) * sizeof(one));
			break;
		case 1:
			memmove(list + at + 1, list + at, (n++ - at) * sizeof(one));
			break;
		case 2:
			list[at] = list[to];
			list[to] = one;
			break;
		default:
			changed[at] = 1;
		}
	}
	stream_init(&s, fd, "the test");
	stream_begin(&s);
	for (int i = 0; i < n; i++)
		put(&s, &list[i], changed[i]);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Returns whether reading a stream comes to an end, and a sentence tells why if that is early. */
static bool reads(int fd)
{
	enum image_event event = IMAGE_BAD;
	struct image im = { .memory_most = 64 };
	struct stream s;
	int states = 0;

	stream_init(&s, fd, "the stream");
	if (!stream_check(&s) && !image_header(&im, &s))
		while ((event = image_read(&im, &s)) == IMAGE_BARRIER || event == IMAGE_END)
			states++;
	image_free(&im);
	return states || *s.why;
}

/* Returns whether drostectl restores the guest of a stream, or refuses it with a sentence. */
static bool restores(int fd)
{
	static struct child c;
	char name[64];
	int status;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", getpid(), fd);
	status = run_to_end(&c, "brief", TO_PIPE, (char *[]){ stub, "run", "--device", "/dev/null", "--restore", name, NULL });
	if (status >= 0 && status <= 2 && memmem(c.told, c.nr_told, "drostectl: ", 11) && !strstr(c.told, "Sanitizer"))
		return true;
	printf("# exit status %d: %s\n", status, c.told);
	return false;
}

/* --- receivers --- */

/* Answers that are not those of a receiver that takes the guest, to which the source listens one after the other. */
static void answer(int fd)
{
	static const uint32_t answers[] = { MOVE_REFUSE, MOVE_ACK, MOVE_ACCEPT, MOVE_CANCEL, MOVE_END, MOVE_MACHINE, MOVE_SKIP | 2, 0x77 };
	uint8_t data[300];
	struct stream s;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = some(256);
	stream_init(&s, fd, "the source");
	if (some(8))
		stream_begin(&s);
	if (some(2))
		stream_put(&s, MOVE_ACCEPT, 0, NULL, 0);
	for (int n = some(4); n; n--)
		stream_put(&s, answers[some(sizeof(answers) / sizeof(answers[0]))], some(8) ? 0 : odd_number(), data,
			   some(2) ? some(sizeof(data)) : some(3) * 4);
	if (some(4) == 0 && write(fd, data, some(sizeof(data))) < 0)
		return;
}

/* Whatever a receiver answers, the guest runs on, and the user is told why. */
static void check_answers(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char address[96], bytes[4096];
	bool right = true;
	struct child g;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", work);
	snprintf(address, sizeof(address), "unix:%s/socket", work);
	start(&g, "prompt", false, TO_PIPE, NULL,
	      (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", "--migrate-to", address, NULL });
	ok(says(&g, "login: "));
	for (seed = 1; seed <= ASKED && right; seed++) {
		uint32_t this = seed;
		int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

		if (bind(listener, (struct sockaddr *)&un, sizeof(un)) || listen(listener, 1))
			abort();
		g.nr_told = 0;
		/* While the source still takes leave of the receiver before, it does not move the guest. */
		do {
			kill(g.pid, SIGUSR1);
		} while (poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, 200) != 1);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		close(listener);
		unlink(un.sun_path);
		answer(fd);
		shutdown(fd, some(2) ? SHUT_WR : SHUT_RDWR);
		while (read(fd, bytes, sizeof(bytes)) > 0)
			;
		right = tells(&g, "the guest is not moved, and runs on: ");
		if (!right)
			printf("# receiver %u: %s\n", this, g.told);
		close(fd);
		seed = this;
	}
	ok(right);
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
	ok(!strstr(g.told, "Sanitizer"));
}

/* Whether a number of streams are what @is_right says. Prints the seeds of those that are not. */
static bool all(uint32_t n, bool (*is_right)(int fd))
{
	bool right = true;

	for (uint32_t i = 1; i <= n; i++) {
		int fd;

		seed = i;
		fd = make();
		if (!is_right(fd)) {
			printf("# stream %u\n", i);
			right = false;
		}
		close(fd);
	}
	return right;
}

int main(int argc, char **argv)
{
	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (spawn_init(argv[0]))
		return 1;
	save();
	ok(all(READ, reads));
	ok(all(RUN, restores));
	check_answers();
	for (int i = 0; i < nr_saved; i++)
		free(saved[i].data);
	spawn_end();
	return tap_done();
}

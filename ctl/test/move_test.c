// SPDX-License-Identifier: GPL-2.0
/* Checks the format of saved machines and migrations: what is damaged, cut off, foreign or impossible is refused. */
#include <linux/kvm.h>
#include <sys/mman.h>

#include "crc32c.h"
#include "image.h"
#include "moverate.h"
#include "spawn.h"
#include "tap.h"

#define MEMORY	2			/* MiB */
#define LIMIT	(1 << 20)		/* bytes of a stream */
#define SECOND	MOVE_PAGE		/* address of the page that changes */

static uint8_t good[LIMIT];		/* a whole stream */
static size_t good_size;
static struct stream out;
static uint8_t page[8 + MOVE_PAGE];

/* A stream that is written to memory. */
static int open_memory(void)
{
	return memfd_create("stream", MFD_CLOEXEC);
}

static void begin(void)
{
	stream_init(&out, open_memory(), "the test");
	stream_begin(&out);
}

static void put_header(uint32_t flags)
{
	struct move_machine m = { .nr_vcpus = 1, .memory = MEMORY, .tsc_khz = 1000, .moves = 1, .flags = flags };
	static struct droste_pool p = { .nr_cpuid = 2, .cpuid = { { .leaf = 0, .regs = { 1 } }, { .leaf = 1 } } };

	stream_put(&out, MOVE_MACHINE, 0, &m, sizeof(m));
	stream_put(&out, MOVE_POOL, 0, &p, sizeof(p));
}

static void put_page(uint64_t gpa, uint8_t fill)
{
	memcpy(page, &gpa, sizeof(gpa));
	memset(page + 8, fill, MOVE_PAGE);
	stream_put(&out, MOVE_PAGES, 0, page, sizeof(page));
}

static void put_zero(uint64_t gpa, uint64_t bytes)
{
	struct move_zero z = { .gpa = gpa, .bytes = bytes };

	stream_put(&out, MOVE_ZERO, 0, &z, sizeof(z));
}

/* The records of a state, without the one of type @but. */
static void put_state_but(uint32_t but)
{
	static const struct {
		uint32_t type, index, size;
	} parts[] = {
		{ MOVE_IRQCHIP, 0, sizeof(struct kvm_irqchip) }, { MOVE_IRQCHIP, 1, sizeof(struct kvm_irqchip) },
		{ MOVE_IRQCHIP, 2, sizeof(struct kvm_irqchip) }, { MOVE_PIT, 0, sizeof(struct kvm_pit_state2) }, { MOVE_CLOCK, 0, 8 },
		{ MOVE_SERIAL, 0, sizeof(struct move_serial) }, { MOVE_RTC, 0, sizeof(struct move_rtc) },
		{ MOVE_POWER, 0, sizeof(struct move_power) }, { MOVE_INPUT, 0, 0 },
		{ MOVE_CPUID, 0, sizeof(struct kvm_cpuid_entry2) }, { MOVE_SREGS, 0, sizeof(struct kvm_sregs) },
		{ MOVE_LAPIC, 0, sizeof(struct kvm_lapic_state) }, { MOVE_REGS, 0, sizeof(struct kvm_regs) },
		{ MOVE_XSAVE, 0, sizeof(struct kvm_xsave) }, { MOVE_MSRS, 0, sizeof(struct kvm_msr_entry) },
		{ MOVE_EVENTS, 0, sizeof(struct kvm_vcpu_events) }, { MOVE_MP, 0, sizeof(struct kvm_mp_state) },
		{ MOVE_DEBUG, 0, sizeof(struct kvm_debugregs) },
	};
	static uint8_t zeros[8192];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].type != but)
			stream_put(&out, parts[i].type, parts[i].index, zeros, parts[i].size);
}

static void put_barrier(uint64_t seq)
{
	struct move_barrier b = { .seq = seq, .level = 1 };

	stream_put(&out, MOVE_BARRIER, 0, &b, sizeof(b));
}

static void put(uint32_t type)
{
	stream_put(&out, type, 0, NULL, 0);
}

/* Reads the stream that was written from its start. Returns the last event; -1 if the header was refused. */
static int read_back(struct image *im, struct stream *s, int barriers)
{
	enum image_event event;

	lseek(out.fd, 0, SEEK_SET);
	stream_init(s, out.fd, "the stream");
	memset(im, 0, sizeof(*im));
	if (stream_check(s) || image_header(im, s))
		return -1;
	do {
		event = image_read(im, s);
	} while (event == IMAGE_BARRIER && barriers-- > 0);
	return event;
}

/* The end of one test: what was read, and whether the reason has a text in it. */
static bool gives(int event, const char *why)
{
	struct image im;
	struct stream s;
	int got = read_back(&im, &s, 10);
	bool right = got == event && (!why || strstr(s.why, why));

	if (!right)
		printf("# it gives %d: %s\n", got, s.why);
	image_free(&im);
	close(out.fd);
	return right;
}

/* --- sums --- */

static void check_crc(void)
{
	uint8_t bytes[32];

	/* RFC 3720, B.4 */
	memset(bytes, 0, sizeof(bytes));
	ok(crc32c(0, bytes, 32) == 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ok(crc32c(0, bytes, 32) == 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = i;
	ok(crc32c(0, bytes, 32) == 0x46dd794e);
	ok(crc32c(crc32c(0, bytes, 5), bytes + 5, 27) == 0x46dd794e);
	ok(crc32c(7, bytes, 0) == 7);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		if (crc32c(len, bytes, len) != crc32c_table(len, bytes, len))
			bytes[0] = 1;
	ok(!bytes[0]);
	ok(crc32c_table(0, bytes, 32) == 0x46dd794e);
}

/* --- a whole stream --- */

static void make_good(void)
{
	struct image im;
	struct stream s;

	begin();
	put_header(MOVE_BARRIERS);
	put_zero(0, 64 * MOVE_PAGE);
	put_page(SECOND, 1);
	put_state_but(0);
	put_barrier(1);
	put_page(SECOND, 2);
	put_state_but(0);
	stream_put(&out, MOVE_OUTPUT, 0, "hello", 5);
	put(MOVE_END);
	ok(read_back(&im, &s, 10) == IMAGE_END);
	ok(im.seq == 1 && im.ended && im.complete && im.mem.region[0].host[SECOND] == 2 && im.pages == 66);
	ok(im.output_len == 5 && !memcmp(im.output, "hello", 5));
	image_free(&im);
	good_size = lseek(out.fd, 0, SEEK_END);
	ok(good_size < LIMIT && pread(out.fd, good, good_size, 0) == (ssize_t)good_size);
	close(out.fd);
}

/* Gives the first @size bytes of the good stream, of which bit @flip is wrong if it is not negative. */
static int give(struct image *im, struct stream *s, size_t size, long flip)
{
	static uint8_t copy[LIMIT];

	memcpy(copy, good, size);
	if (flip >= 0)
		copy[flip / 8] ^= 1 << flip % 8;
	out.fd = open_memory();
	if (write(out.fd, copy, size) != (ssize_t)size)
		abort();
	return read_back(im, s, 10);
}

/* Whoever reads a stream that ends early has the state of the last barrier, or none. */
static bool cut_at(size_t size)
{
	struct image im;
	struct stream s;
	int got = give(&im, &s, size, -1);
	bool right = got == -1 || got == IMAGE_LOST;

	right &= *s.why && !strstr(s.why, "damaged");
	if (im.complete)
		right &= im.seq == 1 && im.mem.region[0].host[SECOND] == 1 && !im.ended && !im.output_len;
	image_free(&im);
	close(out.fd);
	if (!right)
		printf("# cut at %zu of %zu: %d, %s\n", size, good_size, got, s.why);
	return right;
}

static void check_cuts(void)
{
	bool right = true;
	size_t step = 1;

	/* Each byte of the heads; within pages and tables, some. */
	for (size_t size = 0; size < good_size; size += step)
		right &= cut_at(size);
	ok(right);
	ok(!cut_at(good_size));
}

static bool flip_at(long bit)
{
	struct image im;
	struct stream s;
	int got = give(&im, &s, good_size, bit);
	bool right = (got == -1 || got == IMAGE_BAD || got == IMAGE_LOST) && *s.why;

	if (im.complete)
		right &= im.mem.region[0].host[SECOND] == 1;
	image_free(&im);
	close(out.fd);
	if (!right)
		printf("# bit %ld flipped: %d, %s\n", bit, got, s.why);
	return right;
}

/* Every bit of the first records and of the last, and one bit of every 101 between. */
static void check_flips(void)
{
	long bits = good_size * 8;
	bool right = true;

	for (long bit = 0; bit < bits; bit += bit < 8 * 128 || bit > bits - 8 * 64 ? 1 : 101)
		right &= flip_at(bit);
	ok(right);
}

/* --- what cannot be --- */

static void check_start(void)
{
	struct move_start start = { .magic = MOVE_MAGIC, .version = MOVE_VERSION + 1 };

	start.crc = crc32c(0, &start, offsetof(struct move_start, crc));
	out.fd = open_memory();
	ok(write(out.fd, &start, sizeof(start)) == sizeof(start));
	ok(gives(-1, "has version 2 of the format, and this drostectl reads version 1 only"));
	out.fd = open_memory();
	ok(write(out.fd, "#!/bin/sh\necho this is something else\n", 38) == 38);
	ok(gives(-1, "is no machine that drostectl saved or sends"));
	out.fd = open_memory();
	ok(gives(-1, "is no machine that drostectl saved or sends"));
}

static void check_machines(void)
{
	static const struct move_machine bad[] = {
		{ .nr_vcpus = 0, .memory = 2 }, { .nr_vcpus = 5000, .memory = 2 }, { .nr_vcpus = 1, .memory = 0 },
		{ .nr_vcpus = 1, .memory = 0xffffffff }, { .nr_vcpus = 1, .memory = 2, .flags = 2 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		stream_put(&out, MOVE_MACHINE, 0, &bad[i], sizeof(bad[i]));
		ok(gives(-1, "has an impossible machine"));
	}
	begin();
	put_page(0, 1);
	ok(gives(-1, "has a record \"pages\" where \"machine\" must be"));
}

static void check_places(void)
{
	static const struct {
		uint64_t gpa, bytes;
	} bad[] = {
		{ MEMORY << 20, MOVE_PAGE }, { (MEMORY << 20) - MOVE_PAGE, 2 * MOVE_PAGE }, { 1, MOVE_PAGE }, { 0, 1 }, { 0, 0 },
		{ 0, UINT64_MAX }, { UINT64_MAX, MOVE_PAGE }, { MOVE_PAGE, UINT64_MAX - MOVE_PAGE + 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		put_header(0);
		put_zero(bad[i].gpa, bad[i].bytes);
		ok(gives(IMAGE_BAD, "where the machine has no memory"));
	}
	begin();
	put_header(0);
	put_page(MEMORY << 20, 1);
	ok(gives(IMAGE_BAD, "where the machine has no memory"));
}

static void check_order(void)
{
	uint8_t zeros[8192] = { 0 };

	begin();
	put_header(0);
	put_state_but(0);
	put_barrier(1);
	ok(gives(IMAGE_BAD, "has barrier 1 where it must not be"));
	begin();
	put_header(MOVE_BARRIERS);
	put_state_but(0);
	put_barrier(2);
	ok(gives(IMAGE_BAD, "has barrier 2 where it must not be"));
	begin();
	put_header(0);
	put_state_but(MOVE_LAPIC);
	put(MOVE_END);
	ok(gives(IMAGE_BAD, "has no record \"local APIC\" of number 0"));
	begin();
	put_header(0);
	put_state_but(0);
	stream_put(&out, MOVE_REGS, 0, zeros, sizeof(struct kvm_regs));
	ok(gives(IMAGE_BAD, "has the record \"registers\" of number 0 twice"));
	begin();
	put_header(0);
	stream_put(&out, MOVE_REGS, 1, zeros, sizeof(struct kvm_regs));
	ok(gives(IMAGE_BAD, "has a record of processor 1, and the machine has 1"));
	begin();
	put_header(0);
	stream_put(&out, MOVE_REGS, 0, zeros, sizeof(struct kvm_regs) - 1);
	ok(gives(IMAGE_BAD, "has a record \"registers\" of a wrong size or place"));
	begin();
	put_header(0);
	put(MOVE_COMMIT);
	ok(gives(IMAGE_BAD, "has a record \"commit\" where it must not be"));
	begin();
	put_header(0);
	put(MOVE_ACCEPT);
	ok(gives(IMAGE_BAD, "has a record \"acceptance\" where it must not be"));
	begin();
	put_header(0);
	put(0x77);
	ok(gives(IMAGE_BAD, "has a record of the unknown type 0x77"));
	begin();
	put_header(0);
	put(MOVE_SKIP | 0x77);
	put_state_but(0);
	put(MOVE_END);
	ok(gives(IMAGE_END, NULL));
	begin();
	put_header(0);
	out.sent++;
	put_page(0, 1);
	ok(gives(IMAGE_BAD, "has record 3 where 2 must be"));
	begin();
	put_header(0);
	stream_text(&out, MOVE_CANCEL, "enough\033[2J");
	ok(gives(IMAGE_CANCELLED, "enough?[2J"));
	begin();
	put_header(0);
	stream_text(&out, MOVE_CANCEL, "");
	ok(gives(IMAGE_CANCELLED, "no reason is given"));
}

/* --- the rate --- */

/* Rounds until the end, if the guest writes so many pages for each ten that are sent while it runs. */
static int rounds_of(uint64_t of_ten)
{
	struct move_rate r = { 0 };
	uint64_t left = 100000;
	int n = 0;

	do {
		uint64_t ran = 0;

		move_rate_round(&r, left, 0);
		for (uint64_t sent = 0; sent < left; sent += 10) {
			ran += !move_rate_stands(&r);
			move_rate_sent(&r, left - sent < 10 ? left - sent : 10, 0);
		}
		left = ran * of_ten;
		/* No more pages than there are. */
		left = left < 100000 ? left : 100000;
		n++;
	} while (n < 100 && !move_rate_ends(&r, left, 1 << 20));
	return n;
}

static void check_throttle(void)
{
	int fd = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	ok(rounds_of(0) == 1);
	ok(rounds_of(1) <= 5);
	ok(rounds_of(4) <= 10);
	ok(rounds_of(10) <= 10);
	ok(rounds_of(1000) <= 10);
	dup2(fd, STDERR_FILENO);
	close(fd);
	close(null);
}

/* --- the command line --- */

static struct child c;

#define drostectl(...) run_to_end(&c, "brief", TO_PIPE, (char *[]){ stub, __VA_ARGS__, NULL })

static bool told(const char *text)
{
	return memmem(c.told, c.nr_told, text, strlen(text));
}

static void check_options(void)
{
	char *const bad[] = { "", "unix:", "host", "host:", ":80", "host:0", "host:65536", "host:8x", "::1:80", "[::1]80", "[::1" };
	char file[80];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(drostectl("run", "--kernel", kernel, "--migrate-to", bad[i]) == 2 && told("is no "));
	ok(drostectl("run", "--kernel", kernel, "--save", "x", "--migrate-to", "unix:x") == 2 && told("--save and --migrate-to both"));
	ok(drostectl("run", "--kernel", kernel, "--barriers") == 2 && told("--barriers needs --migrate-to"));
	ok(drostectl("run", "--kernel", kernel, "--save", "x", "--pass-ports", "0x80") == 2 && told("cannot be saved or moved"));
	ok(drostectl("run", "--kernel", kernel, "--restore", "x") == 2 && told("--restore goes on with a machine as it is"));
	ok(drostectl("run", "--restore", "/nonexistent") == 2 && told("cannot open /nonexistent"));
	ok(drostectl("run", "--restore", kernel) == 2 && told("is no machine that drostectl saved or sends"));
	ok(drostectl("receive") == 2 && told("give the address to listen at"));
	ok(drostectl("receive", "unix:a", "unix:b") == 2 && told("give one address only"));
	ok(drostectl("receive", "--if-lost", "sing", "unix:a") == 2 && told("--if-lost expects start or end"));
	ok(drostectl("receive", "--device", "/nonexistent", "unix:/tmp/a") == 1 && told("cannot open /nonexistent"));
	snprintf(file, sizeof(file), "%s/cut", work);
	write_file(file, good, good_size - 10);
	ok(drostectl("run", "--device", "/dev/null", "--restore", file) != 0);
	unlink(file);
	/* What a file says is not said as if drostectl did. */
	begin();
	put_header(0);
	stream_text(&out, MOVE_CANCEL, "the guest goes on");
	snprintf(file, sizeof(file), "/proc/%d/fd/%d", getpid(), out.fd);
	ok(drostectl("run", "--device", "/dev/null", "--restore", file) == 2 && told(" has no end\n") && !told("goes on"));
	close(out.fd);
}

/* --- whole programs, on the stub of the device --- */

static char saved[80], address[96];

/* Starts a guest that prints for ever, and has it saved or moved once it prints. */
static void start_and_ask(struct child *g, char *const argv[])
{
	start(g, "chatty", false, TO_PIPE, NULL, argv);
	ok(says(g, "The guest prints a line"));
	kill(g->pid, SIGUSR1);
}

#define ask(g, ...) \
	start_and_ask(g, (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", __VA_ARGS__, NULL })

static void check_save(void)
{
	struct child g;

	snprintf(saved, sizeof(saved), "%s/saved", work);
	ask(&g, "--save", saved);
	ok(tells(&g, "the guest is saved in "));
	ok(status_of(&g) == 9);
	finish(&g);
	start(&g, "brief", false, TO_PIPE, NULL, (char *[]){ stub, "run", "--device", "/dev/null", "--restore", saved, NULL });
	ok(tells(&g, "the guest goes on") && status_of(&g) == 0);
	finish(&g);
	setenv("STUB_FEATURES", "0x2000200", 1);
	unlink(saved);
	ask(&g, "--save", saved);
	ok(status_of(&g) == 9);
	finish(&g);
	unsetenv("STUB_FEATURES");
	start(&g, "brief", false, TO_PIPE, NULL, (char *[]){ stub, "run", "--device", "/dev/null", "--restore", saved, NULL });
	ok(status_of(&g) == 1);
	ok(tells(&g, "because it lacks:") && tells(&g, "  AES"));
	finish(&g);
	unlink(saved);
	/* What cannot be written does not end the guest. */
	ask(&g, "--save", "/nonexistent/saved");
	ok(tells(&g, "the guest is not saved, and runs on: cannot create /nonexistent/saved: "));
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
}

static void check_migration(void)
{
	struct child g, r;

	snprintf(address, sizeof(address), "unix:%s/socket", work);
	start(&r, "brief", false, TO_PIPE, NULL, (char *[]){ stub, "receive", "--device", "/dev/null", address, NULL });
	ok(tells(&r, "waiting for a machine"));
	ask(&g, "--migrate-to", address);
	ok(tells(&g, "round 1: 4096 pages sent"));
	ok(tells(&g, "the guest runs at unix:") && status_of(&g) == 9);
	ok(tells(&r, "a guest with 16 MiB of memory and 1 processor comes") && tells(&r, "the guest goes on"));
	ok(status_of(&r) == 0);
	finish(&g);
	finish(&r);
	/* Nobody is there. */
	ask(&g, "--migrate-to", address);
	ok(tells(&g, "cannot connect to unix:"));
	/* A receiver that has less; then one that dies. */
	setenv("STUB_FEATURES", "0x200", 1);
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
	ask(&g, "--migrate-to", address);
	ok(tells(&g, "cannot connect to unix:"));
	unsetenv("STUB_FEATURES");
	start(&r, "brief", false, TO_PIPE, NULL, (char *[]){ stub, "receive", "--device", "/dev/null", address, NULL });
	ok(tells(&r, "waiting for a machine"));
	kill(g.pid, SIGUSR1);
	ok(tells(&g, "the receiver refuses it: the device here cannot give the guest its processor, because it lacks:"));
	ok(tells(&g, "SSSE3") && tells(&g, "the guest is not moved, and runs on: "));
	ok(status_of(&r) == 1);
	finish(&r);
	setenv("STUB_FEATURES", "0x200", 1);
	setenv("DROSTECTL_MOVE_TEST", "cut=0", 1);	/* its only record is its acceptance */
	start(&r, "brief", false, TO_PIPE, NULL, (char *[]){ stub, "receive", "--device", "/dev/null", address, NULL });
	ok(tells(&r, "waiting for a machine"));
	unsetenv("DROSTECTL_MOVE_TEST");
	kill(g.pid, SIGUSR1);
	ok(status_of(&r) == 128 + SIGKILL);
	ok(tells(&g, "the guest is not moved, and runs on: "));
	finish(&r);
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
	unsetenv("STUB_FEATURES");
}

int main(int argc, char **argv)
{
	(void)argc;
	check_crc();
	make_good();
	check_cuts();
	check_flips();
	check_start();
	check_machines();
	check_places();
	check_order();
	check_throttle();
	if (spawn_init(argv[0]))
		return 1;
	check_options();
	check_save();
	check_migration();
	spawn_end();
	return tap_done();
}

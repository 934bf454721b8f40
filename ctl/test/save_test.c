// SPDX-License-Identifier: GPL-2.0
/* Checks saved machines: what is in the files, how they come to be, and what states are refused. */
#include <dirent.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "image.h"
#include "spawn.h"
#include "tap.h"

static struct child c;
static char saved[80], changed[80];

/* --- running --- */

#define START(g, guest, ...) \
	start(g, guest, false, TO_PIPE, NULL, (char *[]){ stub, "run", "--device", "/dev/null", __VA_ARGS__, NULL })

/* Starts a guest that prints for ever. */
#define START_CHATTY(g, ...) START(g, "chatty", "--kernel", kernel, "--memory", "16", "--save", __VA_ARGS__)

/* Has the guest saved once it prints. */
static void ask(struct child *g)
{
	ok(says(g, "The guest prints a line"));
	kill(g->pid, SIGUSR1);
}

static void save(const char *file)
{
	START_CHATTY(&c, (char *)file);
	ask(&c);
	ok(status_of(&c) == 9);
	finish(&c);
}

/* Restores the changed file. Returns whether it ends with this status and message. */
static bool restoring_gives(int status, const char *text)
{
	int got = run_to_end(&c, "brief", TO_PIPE, (char *[]){ stub, "run", "--device", "/dev/null", "--restore", changed, NULL });
	bool right = got == status && memmem(c.told, c.nr_told, text, strlen(text));

	if (!right)
		printf("# exit status %d: %s\n", got, c.told);
	return right;
}

/* --- files --- */

/* Reads all of a saved file. Returns whether it is whole. */
static bool read_saved(struct image *im, const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stream s;
	bool whole;

	memset(im, 0, sizeof(*im));
	stream_init(&s, fd, name);
	whole = fd >= 0 && !stream_check(&s) && !image_header(im, &s) && image_read(im, &s) == IMAGE_END;
	if (!whole)
		printf("# %s: %s\n", name, fd < 0 ? "is not there" : s.why);
	if (fd >= 0)
		close(fd);
	return whole;
}

static struct part *find(struct image *im, uint32_t type)
{
	return (struct part *)move_state_find(&im->state, type, 0);
}

/* Writes a machine without memory to the changed file. */
static void write_changed(const struct image *im)
{
	int fd = open(changed, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stream s;

	stream_init(&s, fd, changed);
	stream_begin(&s);
	stream_put(&s, MOVE_MACHINE, 0, &im->machine, sizeof(im->machine));
	stream_put(&s, MOVE_POOL, 0, &im->pool.p, sizeof(im->pool.p));
	move_state_put(&im->state, &s);
	stream_put(&s, MOVE_END, 0, NULL, 0);
	close(fd);
}

/* --- how a file comes to be --- */

/* How many files there are besides the kernel and those of the test. */
static int look_at_others(bool remove)
{
	DIR *d = opendir(work);
	int n = 0;

	for (struct dirent *e; (e = readdir(d));)
		if (*e->d_name != '.' && strcmp(e->d_name, "kernel") && strcmp(e->d_name, "saved")) {
			n++;
			if (remove)
				unlinkat(dirfd(d), e->d_name, 0);
		}
	closedir(d);
	return n;
}

static int others(void)
{
	return look_at_others(false);
}

/* The memory of the machine in the file; 0 if that is not whole. */
static uint32_t saved_memory(void)
{
	struct image im;
	uint32_t mib = read_saved(&im, saved) ? im.machine.memory : 0;

	image_free(&im);
	return mib;
}

static void check_file(void)
{
	int nameless = open(work, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);	/* not every file system has that */
	struct child a, b;
	char part[96];

	/* What another drostectl is about to write is its own. */
	snprintf(part, sizeof(part), "%s.part", saved);
	write_file(part, "half a machine", 14);
	save(saved);
	ok(saved_memory() == 16);
	ok(others() == 1 && !unlink(part));
	/* It is replaced by a whole one, or stays. */
	setenv("DROSTECTL_MOVE_TEST", "cut=3", 1);
	START(&a, "chatty", "--kernel", kernel, "--memory", "32", "--save", saved);
	unsetenv("DROSTECTL_MOVE_TEST");
	ask(&a);
	ok(status_of(&a) == 128 + SIGKILL);
	finish(&a);
	ok(saved_memory() == 16 && others() == (nameless < 0));
	close(nameless);
	look_at_others(true);
	START(&a, "chatty", "--kernel", kernel, "--memory", "32", "--save", saved);
	ask(&a);
	ok(status_of(&a) == 9);
	finish(&a);
	ok(saved_memory() == 32 && others() == 0);
	/* Two guests and one file: one is saved, and the other runs on, whether the file was there before or not. */
	for (int there = 1; there >= 0; there--) {
		if (!there)
			unlink(saved);
		START(&a, "chatty", "--kernel", kernel, "--memory", "32", "--save", saved);
		START(&b, "chatty", "--kernel", kernel, "--memory", "16", "--save", saved);
		ok(says(&b, "The guest prints a line"));
		ask(&a);
		ok(status_of(&a) == 9);
		finish(&a);
		ask(&b);
		ok(tells(&b, "the guest is not saved, and runs on: somebody else has written "));
		ok(saved_memory() == 32 && others() == 0);
		unlink(saved);
		kill(b.pid, SIGUSR1);
		ok(status_of(&b) == 9);
		finish(&b);
		ok(saved_memory() == 16 && others() == 0);
	}
}

/* --- runs that end meanwhile, and disks that fail --- */

/* A guest of 32 MiB is to be saved in place of one of 16 MiB, and waits at a place: the run ends, and the save goes on. */
static int end_at(const char *place)
{
	char fifo[96], waits[32];
	int fd, status;

	snprintf(fifo, sizeof(fifo), "%s/fifo", work);
	snprintf(waits, sizeof(waits), "stub: at %s\n", place);
	if (mkfifo(fifo, 0600))
		abort();
	setenv("STUB_FIFO", fifo, 1);
	setenv("STUB_WAITS", place, 1);
	START(&c, "chatty", "--kernel", kernel, "--memory", "32", "--save", saved);
	unsetenv("STUB_WAITS");
	ask(&c);
	ok(tells(&c, waits));
	kill(c.pid, SIGTERM);
	wait_idle(c.pid);
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	unlink(fifo);
	status = status_of(&c);
	close(fd);
	finish(&c);
	return status;
}

static bool was_told(const char *text)
{
	return memmem(c.told, c.nr_told, text, strlen(text));
}

/* If the exit status is 9 the guest is in the file, and else it is not. */
static void check_ended(void)
{
	unlink(saved);
	save(saved);
	ok(end_at("devices") == 7);
	ok(was_told("the guest is not saved: the run ended before its file was complete") && was_told("ended by signal 15"));
	ok(!was_told("stub: at file"));
	ok(saved_memory() == 16 && others() == 0);
	ok(end_at("file") == 7);
	ok(was_told("the guest is not saved: the run ended before its file was complete"));
	ok(!was_told("stub: at directory"));
	ok(saved_memory() == 16 && others() == 0);
	/* It has the file's name already. */
	ok(end_at("directory") == 9);
	ok(was_told("the guest is saved in ") && !was_told("not saved") && !was_told("ended by signal"));
	ok(saved_memory() == 32 && others() == 0);
}

/* The file is there, but perhaps not after a loss of power: it must not be lost now, nor be told to be safe. */
static void check_disk(void)
{
	struct child g;

	unlink(saved);
	save(saved);
	setenv("STUB_DISK_FAILS", "5", 1);
	START(&g, "chatty", "--kernel", kernel, "--memory", "32", "--save", saved);
	unsetenv("STUB_DISK_FAILS");
	ask(&g);
	ok(tells(&g, "the guest is not saved safely, and runs on: "));
	ok(tells(&g, "saved is complete, but may be gone after a loss of power, as its directory cannot be written: Input/output error"));
	ok(saved_memory() == 32 && others() == 0);
	/* It is the guest's own file, which the next one replaces. */
	g.nr_told = 0;
	kill(g.pid, SIGUSR1);
	ok(tells(&g, "the guest is not saved safely, and runs on: "));
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
	ok(saved_memory() == 32 && others() == 0);
}

/* Leaves no room in standard output. */
static void fill_output(void)
{
	static const char bytes[4096];
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDOUT_FILENO, bytes, sizeof(bytes)) > 0)
		;
	fcntl(STDOUT_FILENO, F_SETFL, flags);
}

/* A guest that is saved is told to be, also if the reader of its console goes meanwhile, or takes nothing and the run is ended. */
static void check_reader(bool goes)
{
	char fifo[96];
	int fd, out;

	snprintf(fifo, sizeof(fifo), "%s/fifo", work);
	if (mkfifo(fifo, 0600))
		abort();
	setenv("STUB_FIFO", fifo, 1);
	setenv("STUB_WAITS", "directory", 1);
	start(&c, "prompt", false, TO_PIPE, fill_output,
	      (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", "--save", saved, NULL });
	unsetenv("STUB_WAITS");
	/* Nobody reads it. */
	out = c.out;
	c.out = -1;
	wait_idle(c.pid);
	kill(c.pid, SIGUSR1);
	ok(tells(&c, "stub: at directory\n"));
	if (goes)
		close(out);
	else
		kill(c.pid, SIGTERM);
	wait_idle(c.pid);
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	unlink(fifo);
	ok(status_of(&c) == 9);
	close(fd);
	finish(&c);
	if (!goes)
		close(out);
	/* Some output was waiting, or this has checked nothing. */
	ok(was_told("the guest is saved in ") && was_told("Broken pipe") == goes);
	ok(saved_memory() == 16 && others() == 0);
}

static void limit_files(void)
{
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, 1 << 20 });
}

/* A file that may not be so large is like a full disk. */
static void check_limit(void)
{
	setenv("STUB_PAGES", "3500", 1);
	start(&c, "writes", false, TO_PIPE, limit_files,
	      (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", "--save", saved, NULL });
	ok(says(&c, "READY\n"));
	wait_idle(c.pid);
	kill(c.pid, SIGUSR1);
	ok(tells(&c, "the guest is not saved, and runs on: writing to ") && tells(&c, "File too large\n"));
	kill(c.pid, SIGTERM);
	ok(status_of(&c) == 7);
	finish(&c);
	ok(others() == 0);
}

/* Root may replace devices, but does not mean to. */
static void check_names(void)
{
	char fifo[96], link[96];

	snprintf(fifo, sizeof(fifo), "%s/fifo", work);
	snprintf(link, sizeof(link), "%s/link", work);
	if (mkfifo(fifo, 0600) || symlink(fifo, link))
		abort();
	for (int i = 0; i < 3; i++) {
		char *name = i == 0 ? fifo : i == 1 ? link : work;

		ok(run_to_end(&c, "brief", TO_PIPE, (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--save",
			      name, NULL }) == 2);
		ok(was_told("\" is no file that a save could replace\n"));
	}
	unlink(fifo);
	unlink(link);
}

/* --- states that no device has --- */

/* Whether a record that begins with these bytes is refused, if the rest of it is as it was saved. */
static bool refuses(uint32_t type, size_t at, const void *bytes, size_t n)
{
	struct image im;
	bool right = read_saved(&im, saved);

	if (!right)
		return false;
	memcpy(find(&im, type)->data + at, bytes, n);
	write_changed(&im);
	image_free(&im);
	return restoring_gives(1, "has an impossible state");
}

#define REFUSES(type, of, member, ...) \
	refuses(type, offsetof(of, member), (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define REFUSES_SERIAL(member, ...) REFUSES(MOVE_SERIAL, struct move_serial, member, __VA_ARGS__)

static void check_devices(void)
{
	struct image im;
	struct move_serial serial;

	/* More bytes than the FIFO has room for, without and with FIFO. */
	ok(REFUSES_SERIAL(rx_count, 2));
	ok(REFUSES_SERIAL(rx_count, 16));
	ok(REFUSES_SERIAL(rx_count, 17));
	ok(REFUSES_SERIAL(fcr, 0x80));
	ok(REFUSES_SERIAL(fcr, 0x02));
	ok(REFUSES_SERIAL(ier, 0x10));
	ok(REFUSES_SERIAL(mcr, 0x20));
	ok(REFUSES_SERIAL(lsr_errors, 1));
	ok(REFUSES_SERIAL(msr_lines, 1));
	ok(REFUSES_SERIAL(msr_delta, 0x10));
	ok(REFUSES_SERIAL(thre_pending, 2));
	ok(REFUSES_SERIAL(irq_level, 2));
	ok(REFUSES_SERIAL(reserved, 1));
	ok(REFUSES(MOVE_RTC, struct move_rtc, index, 128));
	ok(REFUSES(MOVE_RTC, struct move_rtc, cmos[10], 0x80));		/* an update that never ends */
	ok(REFUSES(MOVE_RTC, struct move_rtc, reserved[6], 1));
	ok(REFUSES(MOVE_POWER, struct move_power, pm1_control, 0, 0x20));	/* a sleep that has begun */
	ok(REFUSES(MOVE_POWER, struct move_power, reset_control, 4));	/* a reset that has */
	ok(REFUSES(MOVE_POWER, struct move_power, reserved[2], 1));
	/* All that is possible at once is taken. */
	ok(read_saved(&im, saved));
	memcpy(&serial, find(&im, MOVE_SERIAL)->data, sizeof(serial));
	serial.fcr = 0xc1;
	serial.rx_count = 16;
	serial.mcr = 0x1f;
	memcpy(find(&im, MOVE_SERIAL)->data, &serial, sizeof(serial));
	write_changed(&im);
	image_free(&im);
	ok(restoring_gives(0, "the guest goes on"));
}

/* --- processors --- */

static bool saved_msr(uint32_t index, uint64_t value)
{
	struct image im;
	struct kvm_msr_entry e;
	struct part *p;
	bool found = false;

	if (!read_saved(&im, saved))
		return false;
	p = find(&im, MOVE_MSRS);
	for (uint32_t at = 0; at < p->length; at += sizeof(e)) {
		memcpy(&e, p->data + at, sizeof(e));
		found |= e.index == index && e.data == value;
	}
	image_free(&im);
	return found;
}

/* Restores the saved file, and saves the guest again. */
static void save_again(void)
{
	START(&c, "chatty", "--restore", saved, "--save", saved);
	ask(&c);
	ok(status_of(&c) == 9);
	finish(&c);
}

#define FEATURE_VMX	(1u << 5)
#define FEATURE_XSAVE	(1u << 26)

/*
 * Gives the processor features of CPUID.1:ECX, and takes a record away, or what is in it behind so many bytes. Returns whether
 * that ends with a status and a text.
 */
static bool changed_gives(uint32_t features, uint32_t type, uint32_t length, int status, const char *text)
{
	struct kvm_cpuid_entry2 leaf1;
	struct image im;
	struct part *p;

	if (!read_saved(&im, saved))
		return false;
	p = find(&im, MOVE_CPUID);
	memcpy(&leaf1, p->data + sizeof(leaf1), sizeof(leaf1));
	leaf1.ecx |= features;
	memcpy(p->data + sizeof(leaf1), &leaf1, sizeof(leaf1));
	p = find(&im, type);
	if (length)
		p->length = length;
	else if (p)
		p->type = MOVE_SKIP | 1;
	write_changed(&im);
	image_free(&im);
	return restoring_gives(status, text);
}

/* All that the guest's processor has is saved, whatever the device offers to others meanwhile; and what lacks some is refused. */
static void check_complete(void)
{
	struct image im;

	setenv("STUB_MSRS", "0x277=0x0007040600070406", 1);
	setenv("STUB_POOL_CHANGES", "1", 1);
	save(saved);
	unsetenv("STUB_POOL_CHANGES");
	unsetenv("STUB_MSRS");
	ok(read_saved(&im, saved) && find(&im, MOVE_XCRS));
	ok(im.pool.p.nr_list == 2);
	image_free(&im);
	ok(saved_msr(0x10, 0) && saved_msr(0x277, 0x0007040600070406));
	ok(changed_gives(0, MOVE_XCRS, 0, 0, "the guest goes on"));
	ok(changed_gives(FEATURE_XSAVE, 0, 0, 0, "the guest goes on"));
	ok(changed_gives(FEATURE_XSAVE, MOVE_XCRS, 0, 1, "cannot go on: its state is not complete: there is no XCR0 of CPU 0"));
	ok(changed_gives(FEATURE_VMX, 0, 0, 1, "cannot go on: its state is not complete: there is no nested state of CPU 0"));
	ok(changed_gives(0, MOVE_MSRS, sizeof(struct kvm_msr_entry), 1,
			 "cannot go on: its state is not complete: there is no MSR 0x277 of CPU 0"));
}

/* The banks of machine checks are in no list. */
static void check_banks(void)
{
	setenv("STUB_MCG_CAP", "0x403", 1);
	setenv("STUB_MSRS", "0x400=5,0x401=0x8000000000000001,0x402=2,0x403=3,0x408=0,0x280=0x40000001,0x282=7,0x4000d500=0x1001", 1);
	save(saved);
	ok(saved_msr(0x179, 0x403));
	unsetenv("STUB_MSRS");
	for (int again = 0; again < 3; again++) {
		ok(saved_msr(0x400, 5) && saved_msr(0x401, 0x8000000000000001) && saved_msr(0x402, 2) && saved_msr(0x403, 3));
		ok(saved_msr(0x404, UINT64_MAX) && saved_msr(0x408, 0));
		ok(saved_msr(0x280, 0x40000001) && saved_msr(0x282, 7) && !saved_msr(0x405, 0) && !saved_msr(0x281, 0));
		ok(saved_msr(0x4000d500, 0x1001));
		/* A device whose processors begin with less. */
		setenv("STUB_MCG_CAP", "0x1", 1);
		save_again();
	}
	/* There are 32 at most. */
	setenv("STUB_MCG_CAP", "0xff", 1);
	save(saved);
	ok(saved_msr(0x47c, UINT64_MAX) && !saved_msr(0x480, UINT64_MAX));
	unsetenv("STUB_MCG_CAP");
	ok(changed_gives(0, 0, 0, 1, "cannot go on: the device does not take the value 0xff of MSR 0x179 of CPU 0"));
}

/* --- the memory that a reader takes --- */

#define GUEST	1024u	/* MiB */

static struct stream out;
static struct image from;	/* what was saved: its processor and state */
static struct image im;		/* what is read */
static struct stream in;
static uint64_t barriers;

/* Begins a stream in memory. */
static void begin(void)
{
	const struct move_machine m = { .nr_vcpus = 1, .memory = GUEST, .tsc_khz = 1000, .flags = MOVE_BARRIERS };

	stream_init(&out, memfd_create("stream", MFD_CLOEXEC), "the test");
	stream_begin(&out);
	stream_put(&out, MOVE_MACHINE, 0, &m, sizeof(m));
	stream_put(&out, MOVE_POOL, 0, &from.pool.p, sizeof(from.pool.p));
	barriers = 0;
}

static void put_barrier(void)
{
	const struct move_barrier b = { .seq = ++barriers };

	move_state_put(&from.state, &out);
	stream_put(&out, MOVE_BARRIER, 0, &b, sizeof(b));
}

static void put_page(uint64_t gpa, uint8_t fill)
{
	static uint8_t page[8 + MOVE_PAGE];

	memcpy(page, &gpa, sizeof(gpa));
	memset(page + 8, fill, MOVE_PAGE);
	stream_put(&out, MOVE_PAGES, 0, page, sizeof(page));
}

static void put_zero(uint64_t gpa, uint64_t bytes)
{
	const struct move_zero z = { .gpa = gpa, .bytes = bytes };

	stream_put(&out, MOVE_ZERO, 0, &z, sizeof(z));
}

/* Reads the stream to its end, which comes early. Returns whether that and no more is wrong with it. */
static bool read_all(void)
{
	enum image_event event;

	lseek(out.fd, 0, SEEK_SET);
	stream_init(&in, out.fd, "the stream");
	memset(&im, 0, sizeof(im));
	if (stream_check(&in) || image_header(&im, &in))
		return false;
	do {
		event = image_read(&im, &in);
	} while (event == IMAGE_BARRIER);
	return event == IMAGE_LOST && im.seq == barriers;
}

static void end(void)
{
	image_free(&im);
	close(out.fd);
}

static long resident_mib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long all, here = 0;

	if (fscanf(f, "%ld %ld", &all, &here) != 2)
		abort();
	fclose(f);
	return here * sysconf(_SC_PAGESIZE) >> 20;
}

/* A page of the last complete state: all bytes are alike. */
static bool page_is(uint64_t gpa, uint8_t fill)
{
	const uint8_t *page = mem_at(&im.mem, gpa, MOVE_PAGE);

	return page[0] == fill && !memcmp(page, page + 1, MOVE_PAGE - 1);
}

static void check_memory(void)
{
	long before;

	/* A short stream takes little memory, whatever it says of a large guest. */
	begin();
	put_zero(0, GUEST * MIB);
	put_barrier();
	put_zero(0, GUEST * MIB);
	put_barrier();
	before = resident_mib();
	ok(read_all());
	ok(resident_mib() - before < 16);
	end();
	begin();
	put_barrier();
	for (uint64_t at = 0; at < GUEST; at += 2)
		put_page(at * MIB, 1);
	before = resident_mib();
	ok(read_all());
	ok(resident_mib() - before < 16);
	end();
	/* Zeros count all the same. */
	begin();
	put_page(0, 1);
	put_page(MOVE_PAGE, 1);
	put_page(2 * MOVE_PAGE, 1);
	put_zero(2 * MOVE_PAGE, 2 * MOVE_PAGE);
	put_page(4 * MOVE_PAGE, 1);
	put_barrier();
	put_zero(0, MOVE_PAGE);
	put_page(MOVE_PAGE, 2);
	put_zero(MOVE_PAGE, MOVE_PAGE);
	put_zero(2 * MOVE_PAGE, 2 * MOVE_PAGE);
	put_page(3 * MOVE_PAGE, 3);
	put_page(5 * MOVE_PAGE, 4);
	ok(read_all());
	ok(page_is(0, 1) && page_is(MOVE_PAGE, 1) && page_is(2 * MOVE_PAGE, 0) && page_is(3 * MOVE_PAGE, 0));
	ok(page_is(4 * MOVE_PAGE, 1) && page_is(5 * MOVE_PAGE, 0));
	image_free(&im);
	put_barrier();
	ok(read_all());
	ok(page_is(0, 0) && page_is(MOVE_PAGE, 0) && page_is(2 * MOVE_PAGE, 0) && page_is(3 * MOVE_PAGE, 3));
	ok(page_is(4 * MOVE_PAGE, 1) && page_is(5 * MOVE_PAGE, 4));
	image_free(&im);
	put_zero(3 * MOVE_PAGE, 3 * MOVE_PAGE);
	put_page(0, 5);
	put_barrier();
	ok(read_all());
	ok(page_is(0, 5) && page_is(3 * MOVE_PAGE, 0) && page_is(4 * MOVE_PAGE, 0) && page_is(5 * MOVE_PAGE, 0));
	end();
}

/* A receiver has a bound, and says so to both sides. */
static void check_bound(void)
{
	struct child g, r;
	char address[96];

	begin();
	put_barrier();
	lseek(out.fd, 0, SEEK_SET);
	stream_init(&in, out.fd, "the stream");
	memset(&im, 0, sizeof(im));
	im.memory_most = GUEST - 1;
	ok(!stream_check(&in) && image_header(&im, &in) &&
	   strstr(in.why, "the stream has a guest with 1024 MiB of memory, and no more than 1023 MiB are accepted"));
	ok(!im.mem.nr && !im.next_mem.nr);
	image_free(&im);
	lseek(out.fd, 0, SEEK_SET);
	stream_init(&in, out.fd, "the stream");
	im.memory_most = GUEST;
	ok(!stream_check(&in) && !image_header(&im, &in));
	end();

	snprintf(address, sizeof(address), "unix:%s/socket", work);
	ok(run_to_end(&g, "brief", TO_PIPE, (char *[]){ stub, "receive", "--memory", "0", address, NULL }) == 2);
	start(&r, "brief", false, TO_PIPE, NULL,
	      (char *[]){ stub, "receive", "--device", "/dev/null", "--memory", "15M", address, NULL });
	ok(tells(&r, "waiting for a machine"));
	START(&g, "chatty", "--kernel", kernel, "--memory", "16", "--migrate-to", address);
	ask(&g);
	ok(tells(&g, "the guest is not moved, and runs on: the receiver refuses it: the stream has a guest with 16 MiB of memory"));
	ok(tells(&r, "the guest is refused: the stream has a guest with 16 MiB") && status_of(&r) == 1);
	finish(&r);
	start(&r, "brief", false, TO_PIPE, NULL,
	      (char *[]){ stub, "receive", "--device", "/dev/null", "--memory", "16", address, NULL });
	ok(tells(&r, "waiting for a machine"));
	kill(g.pid, SIGUSR1);
	ok(status_of(&g) == 9 && status_of(&r) == 0);
	finish(&g);
	finish(&r);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	snprintf(saved, sizeof(saved), "%s/saved", work);
	snprintf(changed, sizeof(changed), "%s/changed", work);
	check_file();
	check_ended();
	check_disk();
	check_reader(true);
	check_reader(false);
	check_limit();
	check_names();
	check_devices();
	ok(read_saved(&from, saved));
	check_complete();
	check_banks();
	check_memory();
	check_bound();
	image_free(&from);
	unlink(saved);
	unlink(changed);
	spawn_end();
	return tap_done();
}

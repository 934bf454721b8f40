// SPDX-License-Identifier: GPL-2.0
/* Checks saved machines: what is in the files, how they come to be, and what states are refused. */
#include <dirent.h>
#include <linux/kvm.h>

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

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	snprintf(saved, sizeof(saved), "%s/saved", work);
	snprintf(changed, sizeof(changed), "%s/changed", work);
	save(saved);
	check_devices();
	unlink(saved);
	unlink(changed);
	spawn_end();
	return tap_done();
}

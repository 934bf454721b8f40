// SPDX-License-Identifier: GPL-2.0
/*
 * drostectl receive: waits for a machine that moves here, and runs it.
 *
 * The VM is made when all of the machine has come, or when its source is lost behind a complete state.
 */
#include "receive.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "crc32c.h"
#include "endpoint.h"
#include "image.h"
#include "incoming.h"
#include "machine.h"
#include "movetest.h"
#include "outcome.h"
#include "pin.h"
#include "runopts.h"
#include "say.h"

/** struct receiving - a machine that comes */
struct receiving {
	struct run_options o;
	const char *from;
	bool lost_ends;		/* --if-lost end */
	bool sums;		/* for tests */
	long halt;		/* the number of the state behind which a test stops the receiver; -1: none */
	uint32_t output_sum;
	int dev_fd;
	struct stream s;
	struct image im;
	struct machine *m;	/* NULL: not made yet */
	sighandler_t sigpipe;	/* what was to be done at SIGPIPE */
	char why[4096];
};

void receive_help(void)
{
	printf("Usage: drostectl receive [OPTION]... unix:PATH|[HOST]:PORT\n"
	       "Wait for a guest that \"drostectl run --migrate-to\" sends, and run it here.\n"
	       "\n"
	       "  --if-lost WHAT     what to do if the source is gone after a complete state: start the guest\n"
	       "                     from that state, or end (start)\n"
	       "  --memory SIZE      the most memory of a guest that is accepted, in MiB, or with a unit: 512M, 2G;\n"
	       "                     a larger guest is refused (no bound)\n"
	       "  --device PATH      device that implements the KVM API (/dev/droste)\n"
	       "  --pin LIST         the CPU of this machine on which each virtual processor runs, such as 2-3\n"
	       "  --save FILE        as for \"drostectl run\": where the guest can be saved\n"
	       "  --migrate-to DEST  as for \"drostectl run\": where it can move on to\n"
	       "  --barriers         as for \"drostectl run\"\n"
	       "  --trace-unhandled  report accesses to ports and addresses without a device\n"
	       "  --quiet            do not report that the guest powered off\n"
	       "  --stats            at the end, print the exits by reason and level (Droste only)\n"
	       "  -h, --help         print this text\n"
	       "\n");
	outcome_help();
}

/* --- what the source gets to know --- */

static void refuse(struct receiving *r, const char *why)
{
	say_lacks("the guest is refused: ", why);
	stream_text(&r->s, MOVE_REFUSE, why);
}

static int greet(struct receiving *r)
{
	if (stream_begin(&r->s) || stream_check(&r->s) || image_header(&r->im, &r->s)) {
		if (r->s.lost)
			say("the source is lost before the guest was complete: %s", r->s.why);
		else
			refuse(r, r->s.why);
		return -1;
	}
	if (r->o.pin && pin_check(r->o.pin, r->im.machine.nr_vcpus)) {
		refuse(r, "the receiver's --pin is for another number of processors");
		return -1;
	}
	if (!incoming_fits(&r->im, r->dev_fd, r->why, sizeof(r->why))) {
		refuse(r, r->why);
		return -1;
	}
	say("a guest with %u MiB of memory and %u processor%s comes", r->im.machine.memory, r->im.machine.nr_vcpus,
	    r->im.machine.nr_vcpus == 1 ? "" : "s");
	/* If the source is gone, the next read tells. */
	stream_put(&r->s, MOVE_ACCEPT, 0, NULL, 0);
	return 0;
}

/* --- states --- */

/* Prints the console output that belongs to the complete state. */
static void print_output(struct receiving *r)
{
	struct image *im = &r->im;

	if (!im->output_len)
		return;
	for (size_t at = 0; at < im->output_len;) {
		ssize_t n = write(STDOUT_FILENO, im->output + at, im->output_len - at);

		if (n < 0 && errno == EINTR)
			continue;
		/* Standard output may be another program's as well, which does not want to wait. */
		if (n < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, -1);
			continue;
		}
		if (n <= 0)
			break;
		at += n;
	}
	r->output_sum = crc32c(r->output_sum, im->output, im->output_len);
	memmove(im->output, im->output + im->output_len, im->output_next - im->output_len);
	im->output_next -= im->output_len;
	im->output_len = 0;
}

static int build(struct receiving *r)
{
	if (r->sums)
		say("state %llu: memory %08x, output %08x", (unsigned long long)r->im.seq + r->im.ended, move_test_sum(&r->im.mem),
		    r->output_sum);
	signal(SIGPIPE, r->sigpipe);
	r->m = incoming_build(&r->im, r->dev_fd, &r->o, r->why, sizeof(r->why));
	r->dev_fd = -1;
	return r->m ? 0 : -1;
}

/* The source is gone without a word, or what it says behind its end cannot be understood. */
static int take_over(struct receiving *r)
{
	const struct image *im = &r->im;

	if (!im->complete) {
		say("the source is lost before the guest was complete: %s", r->s.why);
		return -1;
	}
	if (r->lost_ends) {
		say("the source is lost, and the guest is not started: %s", r->s.why);
		return -1;
	}
	if (im->ended)
		say("the source is lost behind its end; the guest goes on here: %s", r->s.why);
	else
		say("the source is lost; the guest goes on here from barrier %llu", (unsigned long long)im->seq);
	if (r->m || !build(r))
		return 0;
	say("the guest cannot go on: %s", r->why);
	return -1;
}

static int at_end(struct receiving *r)
{
	print_output(r);
	if (build(r)) {
		refuse(r, r->why);
		return -1;
	}
	/* If the source is gone, the next read tells. */
	stream_put(&r->s, MOVE_READY, 0, NULL, 0);
	return 0;
}

/* Reads until the guest can start. Returns 0, or -1 after a message. */
static int receive(struct receiving *r)
{
	for (;;) {
		switch (image_read(&r->im, &r->s)) {
		case IMAGE_BARRIER:
			print_output(r);
			stream_put(&r->s, MOVE_ACK, 0, &r->im.seq, sizeof(r->im.seq));
			if ((long)r->im.seq == r->halt)
				raise(SIGSTOP);
			break;
		case IMAGE_END:
			if (at_end(r))
				return -1;
			break;
		case IMAGE_COMMIT:
			return 0;
		case IMAGE_CANCELLED:
			say("the source keeps the guest: %s", r->s.why);
			return -1;
		case IMAGE_LOST:
			return take_over(r);
		case IMAGE_BAD:
			/* A source that was told that all is ready runs the guest again only if it says so. */
			if (r->im.ended && r->m)
				return take_over(r);
			refuse(r, r->s.why);
			return -1;
		}
	}
}

/* --- the command --- */

static int bad_usage(void)
{
	say("see \"drostectl receive --help\" for the options");
	return STATUS_USAGE;
}

enum option_id { OPT_IF_LOST = 256, OPT_MEMORY, OPT_HELP = 'h' };

static int set_if_lost(struct receiving *r, const char *word)
{
	r->lost_ends = !strcmp(word, "end");
	if (r->lost_ends || !strcmp(word, "start"))
		return 0;
	say("--if-lost expects start or end, not \"%s\"", word);
	return -1;
}

static int set_memory(struct receiving *r, const char *size)
{
	unsigned long mib;

	if (args_size("memory", size, 1, IMAGE_MEMORY_MAX, &mib))
		return -1;
	r->im.memory_most = mib;
	return 0;
}

static int set_option(struct receiving *r, int opt, const char *arg)
{
	switch (opt) {
	case OPT_IF_LOST:
		return set_if_lost(r, arg);
	case OPT_MEMORY:
		return set_memory(r, arg);
	default:
		return run_option(&r->o, opt, arg);
	}
}

/* Returns 0 to go on, 1 if --help was given, -1 after a message. */
static int parse_options(struct receiving *r, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "if-lost", required_argument, NULL, OPT_IF_LOST },
		{ "memory", required_argument, NULL, OPT_MEMORY },
		RUN_OPTIONS,
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (opt == OPT_HELP)
			return 1;
		if (set_option(r, opt, optarg))
			return -1;
	}
	if (optind + 1 != argc) {
		say(optind < argc ? "give one address only" : "give the address to listen at: unix:PATH or [HOST]:PORT");
		return -1;
	}
	r->from = argv[optind];
	return endpoint_check(r->from, true) || mover_check(&r->o.move) ? -1 : 0;
}

static int receive_one(struct receiving *r)
{
	int fd, ret;

	r->dev_fd = vm_open(r->o.device);
	if (r->dev_fd < 0)
		return STATUS_FAILED;
	fd = endpoint_accept(r->from);
	if (fd < 0)
		return STATUS_FAILED;
	r->sigpipe = signal(SIGPIPE, SIG_IGN);
	stream_init(&r->s, fd, "the stream");
	r->s.cut_after = move_test_number("cut", -1);
	r->sums = move_test_number("sums", 0);
	r->halt = move_test_number("halt", -1);
	ret = greet(r) || receive(r) ? STATUS_FAILED : 0;
	close(fd);
	if (r->dev_fd >= 0)
		close(r->dev_fd);
	image_free(&r->im);
	if (!ret) {
		say("the guest goes on");
		ret = machine_run(r->m);
	}
	if (r->m)
		machine_free(r->m);
	return ret;
}

int cmd_receive(int argc, char **argv)
{
	static struct receiving r = { .o.device = "/dev/droste", .dev_fd = -1 };
	int ret = parse_options(&r, argc, argv);

	if (ret > 0) {
		receive_help();
		return 0;
	}
	return ret < 0 ? bad_usage() : receive_one(&r);
}

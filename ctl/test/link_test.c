// SPDX-License-Identifier: GPL-2.0
/* Checks the connection of a migration: the guest runs on one side only, and neither side can hold the other up for ever. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "endpoint.h"
#include "image.h"
#include "mover.h"
#include "spawn.h"
#include "tap.h"

#define PAGES	"3500"		/* that the guest writes between two barriers: more than a socket has room for */
/* The pages of the first WBINVD may be in the first state already. From the second one on each state has them. */
#define SECOND	"state 2: acknowledged"
#define REQUESTS	4	/* each of which two threads see at once */
#define LIMIT_S	60		/* of a read here, on a loaded machine, too */

static char path[80], address[96], saved[80], tcp[32];

/* A receiver or a source, which the test plays. */
static struct peer {
	int fd;
	struct stream s;
	struct image im;
} p;

static struct child g, r;

static void start_guest(const char *guest, char *const argv[])
{
	start(&g, guest, false, TO_PIPE, NULL, argv);
}

#define run_guest(guest, ...) \
	start_guest(guest, (char *[]){ stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory", "16", __VA_ARGS__, NULL })

/* Starts a guest with barriers, and asks for its move once it prints. */
static void start_barriers(const char *to, const char *pages)
{
	setenv("STUB_PAGES", pages, 1);
	run_guest("barriers", "--migrate-to", (char *)to, "--barriers");
	ok(says(&g, "number 1\n"));
	kill(g.pid, SIGUSR1);
}

static void start_receiver(const char *at, const char *option)
{
	start(&r, "brief", false, TO_PIPE, NULL,
	      (char *[]){ stub, "receive", "--device", "/dev/null", (char *)at, (char *)option, "start", NULL });
	ok(tells(&r, "waiting for a machine"));
}

static void end_guest(void)
{
	kill(g.pid, SIGTERM);
	ok(status_of(&g) == 7);
	finish(&g);
}

static bool was_told(struct child *c, const char *text)
{
	return memmem(c->told, c->nr_told, text, strlen(text));
}

/* --- a receiver that stops --- */

/* Starts a receiver that stops behind its acknowledgement of state 2, and a source that sends more than it takes by then. */
static void start_blocked(const char *at, const char *words)
{
	setenv("DROSTECTL_MOVE_TEST", "sums=1,halt=2", 1);
	start_receiver(at, "--if-lost");
	setenv("DROSTECTL_MOVE_TEST", words, 1);
	start_barriers(at, PAGES);
	ok(tells(&g, SECOND));
}

/* The source has given up, and runs on: the receiver, when it goes on, must not start the guest. */
static void check_stopped(const char *at)
{
	start_blocked(at, "sums=1,answer=4000");
	ok(tells(&g, "the guest is not moved, and runs on: "));
	ok(tells(&g, "takes nothing: the connection stays open"));
	kill(g.pid, SIGUSR1);
	ok(tells(&g, "the guest cannot move yet"));
	kill(r.pid, SIGCONT);
	ok(tells(&r, "the source keeps the guest: the receiver takes too long, and the guest stood still meanwhile"));
	ok(status_of(&r) == 1);
	ok(tells(&g, "knows now that the guest stays here"));
	finish(&r);
	ok(!was_told(&r, "goes on here"));
	/* It can move again. */
	start_receiver(at, "--if-lost");
	kill(g.pid, SIGUSR1);
	ok(tells(&r, "a guest with 16 MiB of memory and 1 processor comes"));
	kill(g.pid, SIGUSR1);
	ok(tells(&r, "the guest goes on"));
	ok(status_of(&g) == 9 && status_of(&r) == 0);
	finish(&g);
	ok(!was_told(&g, "cannot connect"));
	finish(&r);
}

/* The run ends while a record is being written. */
static void check_ended(const char *at)
{
	start_blocked(at, "sums=1");
	wait_idle(g.pid);
	kill(g.pid, SIGTERM);
	wait_idle(g.pid);
	kill(r.pid, SIGCONT);
	ok(status_of(&g) == 7);
	finish(&g);
	ok(tells(&r, "the source keeps the guest: the guest has ended"));
	ok(status_of(&r) == 1);
	finish(&r);
	ok(!was_told(&r, "goes on here") && !was_told(&g, "cannot be told"));
	/* A receiver that cannot be told: the user is. */
	start_blocked(at, "sums=1,stop=1500");
	wait_idle(g.pid);
	kill(g.pid, SIGTERM);
	ok(tells(&g, "cannot be told that the guest has ended: if it is alive, the guest goes on there"));
	ok(status_of(&g) == 7);
	kill(r.pid, SIGKILL);
	ok(status_of(&r) == 128 + SIGKILL);
	finish(&g);
	finish(&r);
}

/* --- receivers that the test plays --- */

static int listen_here(int backlog)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, backlog))
		abort();
	return fd;
}

/* The same at the port of TCP. */
static int listen_tcp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	in.sin_port = htons(atoi(strchr(tcp, ':') + 1));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 1))
		abort();
	return fd;
}

static void use(int fd)
{
	const struct timeval limit = { .tv_sec = LIMIT_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	memset(&p, 0, sizeof(p));
	p.fd = fd;
	stream_init(&p.s, fd, "the stream");
}

/* Waits for a source, and reads what it begins with. */
static void greet(int listener)
{
	use(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	unlink(path);
	ok(!stream_check(&p.s) && !image_header(&p.im, &p.s) && !stream_begin(&p.s));
}

static void leave(void)
{
	image_free(&p.im);
	close(p.fd);
}

/* A run that ends while the source waits for the receiver to be ready is not handed over. */
static void check_ready(void)
{
	unsetenv("DROSTECTL_MOVE_TEST");
	for (int ends = 0; ends < 2; ends++) {
		int listener = listen_here(1);

		run_guest("prompt", "--migrate-to", address);
		ok(says(&g, "login: "));
		kill(g.pid, SIGUSR1);
		greet(listener);
		stream_put(&p.s, MOVE_ACCEPT, 0, NULL, 0);
		ok(image_read(&p.im, &p.s) == IMAGE_END);
		if (ends)
			kill(g.pid, SIGTERM);
		else
			stream_put(&p.s, MOVE_READY, 0, NULL, 0);
		ok(image_read(&p.im, &p.s) == (ends ? IMAGE_CANCELLED : IMAGE_COMMIT));
		ok(status_of(&g) == (ends ? 7 : 9));
		finish(&g);
		leave();
	}
}

/* A receiver cannot hold the guest with records that mean nothing, nor by giving an answer byte by byte. */
static void check_answers(void)
{
	int listener = listen_here(1);
	bool closed = false;

	unsetenv("DROSTECTL_MOVE_TEST");
	run_guest("prompt", "--migrate-to", address);
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	greet(listener);
	stream_put(&p.s, MOVE_SKIP | 1, 0, NULL, 0);
	ok(tells(&g, "runs on: unix:") && tells(&g, "has a record of the unknown type 0x8001"));
	leave();
	end_guest();

	setenv("DROSTECTL_MOVE_TEST", "answer=1500", 1);
	listener = listen_here(1);
	run_guest("prompt", "--migrate-to", address);
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	greet(listener);
	/* 20 bytes are a record: each of them comes in time. */
	for (int i = 0; i < 19 && !closed; i++) {
		static const uint8_t head[20] = { MOVE_ACCEPT };

		closed = write(p.fd, head + i, 1) != 1;
		usleep(500000);
	}
	ok(closed);
	ok(tells(&g, "runs on: reading from the receiver failed: no answer comes"));
	leave();
	end_guest();
}

/* Waits for a source with barriers, and gets two states. The source has more to send then than the socket has room for. */
static void get_two(const char *at)
{
	int listener = at == tcp ? listen_tcp() : listen_here(1);

	start_barriers(at, PAGES);
	greet(listener);
	stream_put(&p.s, MOVE_ACCEPT, 0, NULL, 0);
	for (int i = 0; i < 2; i++) {
		ok(image_read(&p.im, &p.s) == IMAGE_BARRIER);
		stream_put(&p.s, MOVE_ACK, 0, &p.im.seq, sizeof(p.im.seq));
	}
}

/* Behind its refusal the receiver closes the connection, while the source writes. */
static void check_refusal(const char *at)
{
	int listener;

	unsetenv("DROSTECTL_MOVE_TEST");
	get_two(at);
	wait_idle(g.pid);
	stream_text(&p.s, MOVE_REFUSE, "the test has had enough");
	leave();
	ok(tells(&g, "the guest is not moved, and runs on: the receiver refuses it: the test has had enough\n"));
	/* It may do so before it has read anything. */
	listener = at == tcp ? listen_tcp() : listen_here(1);
	kill(g.pid, SIGUSR1);
	use(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	unlink(path);
	stream_begin(&p.s);
	stream_text(&p.s, MOVE_REFUSE, "the test wants none");
	leave();
	ok(tells(&g, "the guest is not moved, and runs on: the receiver refuses it: the test wants none\n"));
	end_guest();
	ok(!was_told(&g, "goes on there"));
}

/* Takes each record in time, but all that the guest stands still for in none. The guest is not held for that. */
static void be_slow(void)
{
	struct record record = { 0 };
	int n = 0;

	/* Many short ones fit into the socket. */
	while (!expect_in(&g, "the guest is not moved, and runs on: ", true, record.type == MOVE_PAGES ? 600 : 1) && n++ < 40)
		ok(stream_get(&p.s, &record) == STREAM_RECORD && record.type != MOVE_BARRIER && record.type != MOVE_END);
	/* All came in time, so that it is not the limit of a single record. */
	ok(was_told(&g, "the guest is not moved, and runs on: "));
	ok(tells(&g, "the receiver takes too long, and the guest stood still meanwhile\n"));
	while (stream_get(&p.s, &record) == STREAM_RECORD && record.type != MOVE_CANCEL)
		;
	ok(record.type == MOVE_CANCEL);
	record_free(&record);
	leave();
	end_guest();
}

static void check_slow(void)
{
	struct record record = { 0 };
	int listener;

	setenv("DROSTECTL_MOVE_TEST", "answer=1800", 1);
	get_two(address);
	be_slow();
	/* A guest that writes too much stands still in turns. */
	listener = listen_here(1);
	setenv("STUB_PAGES", PAGES, 1);
	run_guest("writes", "--migrate-to", address);
	ok(says(&g, "READY\n"));
	kill(g.pid, SIGUSR1);
	greet(listener);
	stream_put(&p.s, MOVE_ACCEPT, 0, NULL, 0);
	while (!expect_in(&g, "is slowed down", true, 1) && stream_get(&p.s, &record) == STREAM_RECORD)
		;
	record_free(&record);
	be_slow();
}

/* A run can end while the source tries to connect. */
static void check_full(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int listener = listen_here(0), fd[4];

	strcpy(un.sun_path, path);
	for (int i = 0; i < 4; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fd[i], (struct sockaddr *)&un, sizeof(un)) && i == 0)
			abort();
	}
	unsetenv("DROSTECTL_MOVE_TEST");
	run_guest("prompt", "--migrate-to", address);
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	usleep(300000);
	end_guest();
	setenv("DROSTECTL_MOVE_TEST", "answer=500", 1);
	run_guest("prompt", "--migrate-to", address);
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	ok(tells(&g, "cannot connect to unix:") && tells(&g, "timed out"));
	end_guest();
	/* What a guest asks while it is tried for the last time is not another try. */
	setenv("DROSTECTL_MOVE_TEST", "answer=100", 1);
	run_guest("asks", "--migrate-to", address);
	ok(tells(&g, "are not heard any more"));
	usleep(300000);
	end_guest();
	ok(times_told(&g, "cannot connect to") == 5);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	close(listener);
	unlink(path);
}

/* --- sources that the test plays --- */

static void save_guest(void)
{
	unsetenv("DROSTECTL_MOVE_TEST");
	run_guest("prompt", "--save", saved);
	ok(says(&g, "login: "));
	kill(g.pid, SIGUSR1);
	ok(status_of(&g) == 9);
	finish(&g);
}

static int connect_here(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)))
		abort();
	return fd;
}

/* Sends a saved guest up to its end. The receiver is ready then. */
static void send_saved(const char *if_lost)
{
	static uint8_t bytes[1 << 20];
	struct record record = { 0 };
	int file = open(saved, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	start(&r, "brief", false, TO_PIPE, NULL,
	      (char *[]){ stub, "receive", "--device", "/dev/null", address, "--if-lost", (char *)if_lost, NULL });
	ok(tells(&r, "waiting for a machine"));
	use(connect_here());
	while ((n = read(file, bytes, sizeof(bytes))) > 0)
		if (write(p.fd, bytes, n) != n)
			abort();
	close(file);
	ok(!stream_check(&p.s));
	ok(stream_get(&p.s, &record) == STREAM_RECORD && record.type == MOVE_ACCEPT);
	ok(stream_get(&p.s, &record) == STREAM_RECORD && record.type == MOVE_READY);
	record_free(&record);
}

/* A standard output that does not block, and has no room. */
static void no_room(void)
{
	static const char bytes[4096];

	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	while (write(STDOUT_FILENO, bytes, sizeof(bytes)) > 0)
		;
}

/* The receiver waits for the reader of the console's output that has come. */
static void check_reader(void)
{
	struct record record = { 0 };
	struct stream file;
	int out, fd = open(saved, O_RDONLY | O_CLOEXEC);

	start(&r, "brief", false, TO_PIPE, no_room, (char *[]){ stub, "receive", "--device", "/dev/null", address, NULL });
	out = r.out;
	r.out = -1;
	ok(tells(&r, "waiting for a machine"));
	use(connect_here());
	stream_init(&file, fd, saved);
	ok(!stream_check(&file) && !stream_begin(&p.s));
	while (stream_get(&file, &record) == STREAM_RECORD) {
		if (record.type == MOVE_END)
			stream_put(&p.s, MOVE_OUTPUT, 0, "it waits\n", 9);
		stream_put(&p.s, record.type, record.index, record.data, record.length);
	}
	record_free(&record);
	close(fd);
	wait_idle(r.pid);
	r.out = out;
	ok(says(&r, "it waits\n"));
	stream_put(&p.s, MOVE_COMMIT, 0, NULL, 0);
	ok(status_of(&r) == 0);
	leave();
	finish(&r);
}

/* Behind its end the source has nothing to say but whether the guest is the receiver's. */
static void check_commit(void)
{
	static const uint8_t damaged[20] = { MOVE_COMMIT };
	const int signals[] = { SIGTERM, SIGINT, SIGHUP };

	send_saved("start");
	ok(write(p.fd, damaged, sizeof(damaged)) == sizeof(damaged));
	ok(tells(&r, "the source is lost behind its end; the guest goes on here: the stream is damaged"));
	ok(status_of(&r) == 0);
	leave();
	finish(&r);
	send_saved("end");
	ok(write(p.fd, damaged, sizeof(damaged)) == sizeof(damaged));
	ok(tells(&r, "the source is lost, and the guest is not started"));
	ok(status_of(&r) == 1);
	leave();
	finish(&r);
	for (int i = 0; i < 3; i++) {
		send_saved("start");
		kill(r.pid, signals[i]);
		ok(status_of(&r) == 128 + signals[i]);
		leave();
		finish(&r);
	}
}

/* --- TCP --- */

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, level, name, &value, &len);
	return value;
}

static bool is_watched(int fd)
{
	return option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
	       option(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
	       option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 30;
}

/* Finds a port that nobody uses. */
static void find_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	if (bind(fd, (struct sockaddr *)&in, len) || getsockname(fd, (struct sockaddr *)&in, &len))
		abort();
	close(fd);
	snprintf(tcp, sizeof(tcp), "127.0.0.1:%u", ntohs(in.sin_port));
}

static void *connect_later(void *fd)
{
	int wake = eventfd(0, EFD_CLOEXEC), null = dup(STDERR_FILENO);

	for (int i = 0; i < 600 && *(int *)fd < 0; i++) {
		usleep(100000);
		*(int *)fd = endpoint_connect(tcp, wake, 1000);
	}
	close(null);
	close(wake);
	return NULL;
}

static void check_tcp(void)
{
	int source = -1, receiver;
	pthread_t thread;

	pthread_create(&thread, NULL, connect_later, &source);
	receiver = endpoint_accept(tcp);
	pthread_join(thread, NULL);
	ok(is_watched(source) && is_watched(receiver));
	/* A receiver that takes nothing is not lost. */
	ok(option(receiver, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000 && option(source, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
	close(source);
	close(receiver);
}

/* --- console output --- */

static void check_output(void)
{
	struct mover mv = { .keeps = true };
	int listener;

	pthread_mutex_init(&mv.lock, NULL);
	pthread_cond_init(&mv.change, NULL);
	for (int i = 0; i < 4 << 20; i++)
		mover_output(&mv, 'x');
	/* It returns. */
	mover_wait(&mv);
	pthread_mutex_unlock(&mv.lock);
	ok(mv.output_len == 4 << 20 && !mv.output_lost);
	/* More than there is memory for: it is not silently left out. */
	mv.output_len = mv.output_room = (size_t)1 << 62;
	mover_output(&mv, 'x');
	ok(mv.output_lost);
	mover_wait(&mv);
	pthread_mutex_unlock(&mv.lock);
	mover_keep(&mv, true);
	ok(!mv.output_lost && !mv.output_len);
	free(mv.output);

	/* The receiver gets what the guest prints after the first state, each time with the state that it belongs to. */
	setenv("DROSTECTL_MOVE_TEST", "sums=1", 1);
	listener = listen_here(1);
	start_barriers(address, "4");
	greet(listener);
	stream_put(&p.s, MOVE_ACCEPT, 0, NULL, 0);
	ok(image_read(&p.im, &p.s) == IMAGE_BARRIER && !p.im.output_len);
	/* The next one may be of a WBINVD before which nothing was printed. */
	for (int i = 0; i < 2; i++) {
		stream_put(&p.s, MOVE_ACK, 0, &p.im.seq, sizeof(p.im.seq));
		ok(image_read(&p.im, &p.s) == IMAGE_BARRIER);
	}
	ok(p.im.output_len && p.im.output[p.im.output_len - 1] == '\n');
	ok(memmem(p.im.output, p.im.output_len, "number ", 7) && !memmem(p.im.output, p.im.output_len, "number 1\n", 9));
	end_guest();
	leave();
}

/* --- a guest that asks --- */

static void check_asks(char *option, char *value, const char *answer, int most)
{
	unsetenv("DROSTECTL_MOVE_TEST");
	run_guest("asks", option, value);
	ok(says(&g, "asked 100\n"));
	kill(g.pid, SIGUSR1);
	ok(says(&g, "asked 300\n"));
	end_guest();
	/* The user's own request is answered, and the guest's are again. */
	if (times_told(&g, answer) < 2 || times_told(&g, answer) > most)
		printf("# %d times: %s\n", times_told(&g, answer), answer);
	ok(times_told(&g, answer) >= 2 && times_told(&g, answer) <= most);
}

/* Each request counts once, also if a vCPU waits for the console's reader at the same time, and takes signals as well. */
static void check_requests(void)
{
	int out;

	unsetenv("DROSTECTL_MOVE_TEST");
	setenv("STUB_SLOW_SIGNALS", "1", 1);
	run_guest("chatty", "--quiet");
	unsetenv("STUB_SLOW_SIGNALS");
	out = g.out;
	g.out = -1;
	for (int n = 0; n < REQUESTS; n++) {
		wait_idle(g.pid);
		kill(g.pid, SIGUSR1);
	}
	wait_idle(g.pid);
	end_guest();
	ok(times_told(&g, "nowhere to go") == REQUESTS);
	close(out);
}

int main(int argc, char **argv)
{
	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (spawn_init(argv[0]))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", work);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(saved, sizeof(saved), "%s/saved", work);
	find_port();
	check_tcp();
	check_output();
	check_stopped(address);
	check_stopped(tcp);
	check_ended(address);
	check_ended(tcp);
	check_ready();
	check_answers();
	check_refusal(address);
	check_refusal(tcp);
	check_slow();
	check_full();
	save_guest();
	check_commit();
	check_reader();
	unlink(saved);
	check_asks("--save", "/nonexistent/saved", "the guest is not saved", 10);
	check_asks("--migrate-to", address, "cannot connect to", 10);
	check_requests();
	check_asks("--memory", "16", "the guest has nowhere to go", 2);
	spawn_end();
	return tap_done();
}

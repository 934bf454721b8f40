// SPDX-License-Identifier: GPL-2.0
/* Connects to Unix sockets and TCP ports, and listens there for one connection. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nowms.h"
#include "say.h"

#define UNIX		"unix:"
#define LOST_SECONDS	30	/* docs/migration.md says so */
#define LOST_INTERVAL	5
#define LOST_PROBES	4
#define FULL_MS		50	/* the kernel does not tell when a Unix socket's queue has room again */

/** struct host_port - an address of TCP */
struct host_port {
	char host[256];		/* empty: all of this machine */
	const char *port;
};

static const char *unix_path(const char *text)
{
	return strncmp(text, UNIX, strlen(UNIX)) ? NULL : text + strlen(UNIX);
}

/* Splits at the last colon. Returns false if the text is no such address. */
static bool split(const char *text, struct host_port *hp)
{
	const char *colon = strrchr(text, ':'), *first = text, *end = colon;
	unsigned long port;
	char *rest;

	if (!colon)
		return false;
	if (*text == '[') {
		if (colon == text || colon[-1] != ']')
			return false;
		first++;
		end--;
	} else if (memchr(text, ':', colon - text)) {
		return false;
	}
	port = strtoul(colon + 1, &rest, 10);
	if (colon[1] < '0' || colon[1] > '9' || *rest || !port || port > 65535 || end - first >= (long)sizeof(hp->host))
		return false;
	snprintf(hp->host, sizeof(hp->host), "%.*s", (int)(end - first), first);
	hp->port = colon + 1;
	return true;
}

int endpoint_check(const char *text, bool listens)
{
	const char *path = unix_path(text);
	struct sockaddr_un un;
	struct host_port hp;

	if (path && *path && strlen(path) < sizeof(un.sun_path))
		return 0;
	if (path) {
		say("\"%s\" is no path of a socket: it must have 1 to %zu characters", path, sizeof(un.sun_path) - 1);
		return -1;
	}
	if (split(text, &hp) && (listens || *hp.host))
		return 0;
	say("\"%s\" is no address: give unix:PATH or %s:PORT", text, listens ? "[HOST]" : "HOST");
	return -1;
}

/*
 * Small records are sent at once, and a peer that is gone without a word is noticed after LOST_SECONDS while nothing is sent.
 *
 * What the receiver has sent must be acknowledged in that time as well. The source has no such limit: the kernel would also
 * break a connection whose peer is alive but takes nothing, and the receiver would go on with the guest.
 */
static int set_tcp(int fd, bool receives)
{
	const int on = 1, idle = LOST_SECONDS - LOST_PROBES * LOST_INTERVAL, interval = LOST_INTERVAL, probes = LOST_PROBES;
	const unsigned int unacknowledged = LOST_SECONDS * 1000;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	if (receives)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof(unacknowledged));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/** union address - of IPv4, IPv6, or a Unix socket */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static bool numeric(const char *host, const char *port, union address *a)
{
	uint16_t number = htons(strtoul(port, NULL, 10));

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = number;
		return true;
	}
	if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) != 1)
		return false;
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = number;
	return true;
}

/*
 * Finds a name in /etc/hosts. A program that is linked statically has no other way that works with every C library of the
 * machine.
 */
static bool named(const char *host, const char *port, union address *a)
{
	FILE *f = fopen("/etc/hosts", "re");
	char line[512], *rest, *word, *first;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		rest = line;
		line[strcspn(line, "#\n")] = 0;
		first = strsep(&rest, " \t");
		while (!found && (word = strsep(&rest, " \t")))
			found = !strcmp(word, host) && numeric(first, port, a);
	}
	if (f)
		fclose(f);
	return found;
}

/* A socket of TCP, and its address. */
static int tcp_socket(const char *text, union address *to, socklen_t *len)
{
	struct host_port hp;
	union address a;
	const char *host;
	int fd;

	if (!split(text, &hp))
		return -1;
	host = *hp.host ? hp.host : "::";
	if (!numeric(host, hp.port, &a) && !named(host, hp.port, &a)) {
		say("cannot find %s: give its address, or its name in /etc/hosts", host);
		return -1;
	}
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !*hp.host && numeric("0.0.0.0", hp.port, &a))
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		say("cannot create a socket for %s: %s", text, strerror(errno));
	*to = a;
	*len = a.any.sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	return fd;
}

static int unix_socket(const char *path, struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*un = (struct sockaddr_un) { .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
	if (fd < 0)
		say("cannot create a socket for %s: %s", path, strerror(errno));
	return fd;
}

static int any_socket(const char *text, union address *a, socklen_t *len)
{
	const char *path = unix_path(text);

	if (!path)
		return tcp_socket(text, a, len);
	*len = sizeof(a->un);
	return unix_socket(path, &a->un);
}

/* Returns 0, or -1 with errno. */
static int connect_until(int fd, const union address *a, socklen_t len, int wake_fd, long limit)
{
	/* Each later call tells what became of the first one. */
	while (connect(fd, &a->any, len) && errno != EISCONN) {
		bool full = errno == EAGAIN;
		long left = limit - now_ms();
		struct pollfd p[] = { { .fd = full ? -1 : fd, .events = POLLOUT }, { .fd = wake_fd, .events = POLLIN } };

		if (errno == EINTR)
			continue;
		if (!full && errno != EINPROGRESS && errno != EALREADY)
			return -1;
		errno = left > 0 ? ECANCELED : ETIMEDOUT;
		if (left <= 0 || (poll(p, 2, full && left > FULL_MS ? FULL_MS : left) > 0 && p[1].revents))
			return -1;
	}
	return 0;
}

int endpoint_connect(const char *text, int wake_fd, long ms)
{
	union address a;
	socklen_t len;
	int fd = any_socket(text, &a, &len);

	if (fd < 0)
		return -1;
	if (!fcntl(fd, F_SETFL, O_NONBLOCK) && !connect_until(fd, &a, len, wake_fd, now_ms() + ms))
		return unix_path(text) ? fd : set_tcp(fd, false);
	if (errno != ECANCELED)
		say("cannot connect to %s: %s", text, strerror(errno));
	close(fd);
	return -1;
}

static int listen_at(const char *text)
{
	const char *path = unix_path(text);
	union address a;
	socklen_t len;
	int fd = any_socket(text, &a, &len), on = 1;

	if (fd < 0)
		return -1;
	if (!path)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* A file that is there is not removed: it may be somebody else's. */
	if (!bind(fd, &a.any, len) && !listen(fd, 1))
		return fd;
	say("cannot listen at %s: %s%s", text, strerror(errno), path && errno == EADDRINUSE ? "; remove it if nobody uses it" : "");
	close(fd);
	return -1;
}

int endpoint_accept(const char *text)
{
	const char *path = unix_path(text);
	int fd = listen_at(text);
	int peer;

	if (fd < 0)
		return -1;
	say("waiting for a machine at %s", text);
	do {
		peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	} while (peer < 0 && errno == EINTR);
	if (peer < 0)
		say("cannot accept a connection at %s: %s", text, strerror(errno));
	close(fd);
	if (path)
		unlink(path);
	return peer < 0 || path ? peer : set_tcp(peer, true);
}

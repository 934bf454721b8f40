// SPDX-License-Identifier: GPL-2.0
/* Connects to Unix sockets and TCP ports, and listens there for one connection. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "say.h"

#define UNIX	"unix:"

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

static int unix_socket(const char *path, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un) { .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* A peer that is gone without a word is noticed; small records are sent at once. */
static int set_tcp(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/** union address - of IPv4 or IPv6 */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
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

/* A socket that is connected, or listens. */
static int tcp_socket(const char *text, bool listens)
{
	struct host_port hp;
	union address a;
	int fd, on = 1;
	socklen_t len;
	const char *host;

	if (!split(text, &hp))
		return -1;
	host = *hp.host ? hp.host : "::";
	if (!numeric(host, hp.port, &a) && !named(host, hp.port, &a)) {
		say("cannot find %s: give its address, or its name in /etc/hosts", host);
		return -1;
	}
	len = a.any.sa_family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !*hp.host && numeric("0.0.0.0", hp.port, &a)) {
		len = sizeof(a.v4);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd >= 0 && listens)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd >= 0 && !(listens ? bind(fd, &a.any, len) || listen(fd, 1) : connect(fd, &a.any, len)))
		return set_tcp(fd);
	say("cannot %s %s: %s", listens ? "listen at" : "connect to", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int endpoint_connect(const char *text)
{
	const char *path = unix_path(text);
	struct sockaddr_un un;
	int fd;

	if (!path)
		return tcp_socket(text, false);
	fd = unix_socket(path, &un);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return fd;
	say("cannot connect to %s: %s", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int unix_listen(const char *text, const char *path)
{
	struct sockaddr_un un;
	int fd = unix_socket(path, &un);

	/* A file that is there is not removed: it may be somebody else's. */
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&un, sizeof(un)) && !listen(fd, 1))
		return fd;
	say("cannot listen at %s: %s%s", text, strerror(errno), errno == EADDRINUSE ? "; remove it if nobody uses it" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}

int endpoint_accept(const char *text)
{
	const char *path = unix_path(text);
	int fd = path ? unix_listen(text, path) : tcp_socket(text, true);
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
	return peer < 0 || path ? peer : set_tcp(peer);
}

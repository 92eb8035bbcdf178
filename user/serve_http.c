/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One thread, one loop: libmicrohttpd's sockets, the reader's answers, a clock and signals. A request
 * that needs the reader is suspended until its answer is there; the reader gets one question at a
 * time. Subscribers of the stream share each second's message.
 */
#include "serve_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "serve_check.h"
#include "web.h"

#define CONNECTIONS 64
#define CONNECTIONS_PER_ADDR 32
#define STREAMS 16
#define IDLE_S 15
#define HEADERS_S 10 /* for a request's headers, however they drip in */
#define REQUEST_BYTES (32 * 1024)

/* A connection; `waits_s` is for how long no request has been complete, since it began or the last one. */
struct client {
	struct client *next;
	int fd;
	unsigned waits_s;
	bool busy;
};

/* A request that waits for the reader, from its first header to its end. */
struct request {
	struct MHD_Connection *connection;
	struct request *next; /* in the queue */
	struct pg_ask ask;
	struct pg_told told;
	int fd; /* of the document */
	bool asked, answered;
};

/* What subscribers get; freed when the last of them has sent it. */
struct message {
	unsigned users;
	size_t len;
	char text[];
};

struct subscriber {
	struct pg_http *http;
	struct MHD_Connection *connection;
	struct subscriber *next;
	struct message *message; /* that is being sent; NULL: waits for the next */
	size_t sent;
	uint64_t seq; /* of that one */
	bool suspended;
};

struct pg_http {
	const struct pg_http_opts *opts;
	struct MHD_Daemon *daemon;
	int epoll_fd, timer_fd, signal_fd;
	struct request *queue, **queue_end; /* those that were not asked yet */
	struct request *asking;		    /* whose question the reader has */
	bool asking_stream, tick;
	struct client *clients;
	struct subscriber *subscribers;
	unsigned n_subscribers;
	struct message *latest;
	uint64_t seq;
};

/* Responses ------------------------------------------------------------------------------------ */

static void add_headers(struct MHD_Response *response, const char *type)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy",
		  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
		  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Cache-Control", "no-store" },
	};

	MHD_add_response_header(response, "Content-Type", type);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
				     struct MHD_Response *response, const char *type)
{
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	add_headers(response, type);
	r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

/* A line for people, with one header more if need be. */
static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text,
			      const char *header, const char *value)
{
	char line[sizeof(((struct pg_told *)0)->text) + 2];
	struct MHD_Response *response;

	snprintf(line, sizeof(line), "%s\n", text);
	response = MHD_create_response_from_buffer(strlen(line), line, MHD_RESPMEM_MUST_COPY);
	if (response && header)
		MHD_add_response_header(response, header, value);
	return send_response(connection, status, response, "text/plain; charset=utf-8");
}

static const char *type_of(uint32_t doc)
{
	return doc == PG_DOC_METRICS ? "text/plain; version=0.0.4; charset=utf-8" :
				       "application/json";
}

/* The reader's answer. The response owns the file. */
static enum MHD_Result send_answer(struct request *req)
{
	struct MHD_Response *response;

	if (req->told.http_status != 200 || req->fd < 0)
		return refuse(req->connection, req->told.http_status == 200 ? 503 :
				       req->told.http_status, req->told.text, NULL, NULL);
	response = MHD_create_response_from_fd64(req->told.bytes, req->fd);
	if (response)
		req->fd = -1;
	return send_response(req->connection, 200, response, type_of(req->ask.doc));
}

/* The reader ----------------------------------------------------------------------------------- */

/* Give the reader the next question, if it has none. */
static void ask_next(struct pg_http *http)
{
	struct pg_ask tick;
	const struct pg_ask *ask = NULL;

	if (http->asking || http->asking_stream)
		return;
	if (http->tick && http->n_subscribers) {
		pg_ask_begin(&tick, PG_DOC_STREAM);
		ask = &tick;
		http->asking_stream = true;
	} else if (http->queue) {
		http->asking = http->queue;
		http->queue = http->asking->next;
		if (!http->queue)
			http->queue_end = &http->queue;
		ask = &http->asking->ask;
	}
	http->tick = http->tick && !http->asking_stream;
	/* The socket has room for one message at any time; a reader that is gone is seen elsewhere. */
	if (ask)
		(void)send(http->opts->ask_fd, ask, offsetof(struct pg_ask, text) + ask->n,
			   MSG_NOSIGNAL);
}

static enum MHD_Result wait_for_answer(struct pg_http *http, struct request *req)
{
	*http->queue_end = req;
	http->queue_end = &req->next;
	req->asked = true;
	MHD_suspend_connection(req->connection);
	ask_next(http);
	return MHD_YES;
}

static struct message *read_message(int fd, size_t bytes)
{
	static const char head[] = "data: ", tail[] = "\n\n";
	struct message *m = malloc(sizeof(*m) + bytes + sizeof(head) + sizeof(tail));
	size_t at = sizeof(head) - 1, end = at + bytes;

	if (!m)
		return NULL;
	m->users = 1;
	memcpy(m->text, head, at);
	while (at < end) {
		ssize_t n = pread(fd, m->text + at, end - at, (off_t)(at - (sizeof(head) - 1)));

		if (n <= 0) {
			free(m);
			return NULL;
		}
		at += (size_t)n;
	}
	/* The document is a line with its newline. */
	memcpy(m->text + at, tail, sizeof(tail) - 1);
	m->len = at + sizeof(tail) - 1;
	return m;
}

static void release(struct message *m)
{
	if (m && !--m->users)
		free(m);
}

static void publish(struct pg_http *http, const struct pg_told *told, int fd)
{
	struct message *m = told->http_status == 200 && fd >= 0 ? read_message(fd, told->bytes) : NULL;

	if (!m)
		return; /* the page sees that nothing comes */
	release(http->latest);
	http->latest = m;
	http->seq++;
	for (struct subscriber *s = http->subscribers; s; s = s->next) {
		if (s->suspended)
			MHD_resume_connection(s->connection);
		s->suspended = false;
	}
}

/* 0, or -EPIPE: the reader is gone. */
static int take_answer(struct pg_http *http)
{
	struct pg_told told;
	struct iovec iov = { .iov_base = &told, .iov_len = sizeof(told) };
	char control[CMSG_SPACE(sizeof(int))];
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	_close_ int fd = -1;

	if (recvmsg(http->opts->ask_fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(told))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (http->asking_stream) {
		publish(http, &told, fd);
	} else if (http->asking) {
		http->asking->told = told;
		http->asking->fd = TAKE_FD(fd);
		http->asking->answered = true;
		MHD_resume_connection(http->asking->connection);
	}
	http->asking_stream = false;
	http->asking = NULL;
	ask_next(http);
	return 0;
}

/* The stream ----------------------------------------------------------------------------------- */

/* libmicrohttpd wants bytes. A subscriber that is slow misses messages, and gets the newest next. */
static ssize_t give_stream(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct subscriber *s = arg;
	size_t n;

	(void)pos;
	if (s->message && s->sent == s->message->len) {
		release(s->message);
		s->message = NULL;
	}
	if (!s->message && s->http->latest && s->seq != s->http->seq) {
		s->message = s->http->latest;
		s->message->users++;
		s->seq = s->http->seq;
		s->sent = 0;
	}
	if (!s->message) {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
		return 0;
	}
	n = s->message->len - s->sent < max ? s->message->len - s->sent : max;
	memcpy(buf, s->message->text + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void end_stream(void *arg)
{
	struct subscriber *s = arg, **at = &s->http->subscribers;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->http->n_subscribers--;
	release(s->message);
	free(s);
}

static enum MHD_Result begin_stream(struct pg_http *http, struct MHD_Connection *connection)
{
	struct MHD_Response *response;
	struct subscriber *s;

	if (http->n_subscribers == STREAMS)
		return refuse(connection, 503, "too many streams", "Retry-After", "10");
	s = calloc(1, sizeof(*s));
	if (!s)
		return MHD_NO;
	*s = (struct subscriber){ .http = http, .connection = connection, .next = http->subscribers,
				  .seq = http->seq };
	http->subscribers = s;
	http->n_subscribers++;
	http->tick = true; /* the first message comes at once */
	ask_next(http);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, give_stream, s,
						     end_stream);
	if (!response)
		end_stream(s);
	return send_response(connection, 200, response, "text/event-stream");
}

/* Requests ------------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	enum pg_doc doc;
} docs[] = {
	{ "/metrics", PG_DOC_METRICS },	      { "/api/v1/status", PG_DOC_STATUS },
	{ "/api/v1/ports", PG_DOC_PORTS },    { "/api/v1/rules", PG_DOC_RULES },
	{ "/api/v1/reasons", PG_DOC_REASONS }, { "/api/v1/flows", PG_DOC_FLOWS },
	{ "/api/v1/states", PG_DOC_STATES },
};

static enum MHD_Result add_filter(void *arg, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	struct request *req = arg;

	(void)kind;
	if (pg_ask_add(&req->ask, name, value ?: "") < 0)
		req->told.http_status = 414;
	return MHD_YES;
}

static enum MHD_Result send_asset(struct MHD_Connection *connection, const struct pg_asset *asset)
{
	return send_response(connection, 200,
			     MHD_create_response_from_buffer(asset->size, (void *)asset->data,
							     MHD_RESPMEM_PERSISTENT),
			     asset->type);
}

static enum MHD_Result route(struct pg_http *http, struct request *req, const char *url)
{
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		if (strcmp(url, docs[i].path))
			continue;
		pg_ask_begin(&req->ask, docs[i].doc);
		/* Prometheus may be told to send parameters; they mean nothing here. */
		if (docs[i].doc != PG_DOC_METRICS)
			MHD_get_connection_values(req->connection, MHD_GET_ARGUMENT_KIND, add_filter,
						  req);
		if (req->told.http_status == 414)
			return refuse(req->connection, 414, "too many filters", NULL, NULL);
		return wait_for_answer(http, req);
	}
	if (!strcmp(url, "/api/v1/stream"))
		return begin_stream(http, req->connection);
	for (size_t i = 0; i < pg_n_assets; i++)
		if (!strcmp(url, pg_assets[i].path))
			return send_asset(req->connection, &pg_assets[i]);
	return refuse(req->connection, 404, "there is nothing here", NULL, NULL);
}

/* Connections ---------------------------------------------------------------------------------- */

static void connected(void *arg, struct MHD_Connection *connection, void **context,
		      enum MHD_ConnectionNotificationCode what)
{
	struct pg_http *http = arg;
	struct client *client = *context, **at = &http->clients;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		while (*at && *at != client)
			at = &(*at)->next;
		if (*at)
			*at = client->next;
		free(client);
		*context = NULL;
		return;
	}
	client = calloc(1, sizeof(*client));
	if (!client)
		return; /* without a deadline then */
	client->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	client->next = http->clients;
	http->clients = client;
	*context = client;
}

static void set_busy(struct MHD_Connection *connection, bool busy)
{
	struct client *client =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (!client)
		return;
	client->busy = busy;
	client->waits_s = 0;
}

/* libmicrohttpd's timeout begins anew with every byte, and there are few connections to have. */
static void end_slow_clients(struct pg_http *http)
{
	for (struct client *c = http->clients; c; c = c->next)
		if (!c->busy && ++c->waits_s > HEADERS_S)
			shutdown(c->fd, SHUT_RDWR);
}

/* Requests, from their first to their last ----------------------------------------------------- */

/* "Bearer TOKEN", or the password of a browser's question. */
static bool may_ask(const struct pg_http_opts *opts, struct MHD_Connection *connection)
{
	const char *header =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	char *password = NULL, *user;
	bool ok;

	if (!opts->token)
		return true;
	if (header && !strncasecmp(header, "Bearer ", 7))
		return pg_token_equal(opts->token, header + 7);
	user = MHD_basic_auth_get_username_password(connection, &password);
	ok = password && pg_token_equal(opts->token, password);
	MHD_free(user);
	MHD_free(password);
	return ok;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	struct pg_http *http = arg;
	struct request *req = *state;
	const char *host;

	(void)version;
	(void)upload;
	if (!req) { /* headers are there, the body, if any, is not */
		req = calloc(1, sizeof(*req));
		if (!req)
			return MHD_NO;
		req->connection = connection;
		req->fd = -1;
		*state = req;
		set_busy(connection, true);
		return MHD_YES;
	}
	if (req->answered)
		return send_answer(req);
	if (*upload_size) { /* nobody wants it */
		*upload_size = 0;
		return MHD_YES;
	}
	host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	if (!host || !pg_host_is_ours(host, http->opts->name, http->opts->n_names))
		return refuse(connection, 403, "this server does not go by that name (see --host)",
			      NULL, NULL);
	if (!may_ask(http->opts, connection))
		return refuse(connection, 401, "a token is needed", "WWW-Authenticate",
			      "Basic realm=\"portguard\", charset=\"UTF-8\"");
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return refuse(connection, 405, "only GET and HEAD", "Allow", "GET, HEAD");
	return route(http, req, url);
}

static void completed(void *arg, struct MHD_Connection *connection, void **state,
		      enum MHD_RequestTerminationCode how)
{
	struct request *req = *state;

	(void)arg;
	(void)how;
	set_busy(connection, false);
	if (!req)
		return;
	pg_closep(&req->fd);
	free(req);
	*state = NULL;
}

/* The loop ------------------------------------------------------------------------------------- */

static int watch(const struct pg_http *http, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_loop(struct pg_http *http)
{
	const struct itimerspec second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	http->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	http->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (http->epoll_fd < 0 || http->timer_fd < 0 || http->signal_fd < 0 || !info ||
	    timerfd_settime(http->timer_fd, 0, &second, NULL))
		return -errno;
	return watch(http, info->epoll_fd) ?: watch(http, http->timer_fd) ?:
	       watch(http, http->signal_fd) ?: watch(http, http->opts->ask_fd);
}

static struct MHD_Daemon *start_daemon(const struct pg_http_opts *opts, struct pg_http *http)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)opts->cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)opts->key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL },
	};

	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (opts->cert ? MHD_USE_TLS : 0), 0, NULL,
		NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, opts->listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDR,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
		MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, connected, http,
		MHD_OPTION_ARRAY, opts->cert ? tls : &tls[ARRAY_SIZE(tls) - 1], MHD_OPTION_END);
}

int pg_http_start(const struct pg_http_opts *opts, struct pg_http **ret_http, struct pg_err *err)
{
	struct pg_http *http = calloc(1, sizeof(*http));
	int r;

	if (!http)
		return pg_fail(err, -ENOMEM, "out of memory");
	http->opts = opts;
	http->queue_end = &http->queue;
	http->daemon = start_daemon(opts, http);
	if (!http->daemon) {
		free(http);
		return pg_fail(err, -EINVAL, opts->cert ?
			       "cannot start the HTTP server: certificate and key do not fit" :
			       "cannot start the HTTP server");
	}
	r = open_loop(http);
	if (r)
		return pg_fail(err, r, "cannot start the HTTP server: %s", strerror(-r));
	*ret_http = http; /* for as long as the process lives, as its connections */
	return 0;
}

static int wait_ms(struct pg_http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(http->daemon, &ms) == MHD_YES && ms < 1000 ? (int)ms : 1000;
}

int pg_http_run(struct pg_http *http, struct pg_err *err)
{
	struct epoll_event events[4];
	struct signalfd_siginfo sig;
	uint64_t ticks;

	for (;;) {
		int n = epoll_wait(http->epoll_fd, events, ARRAY_SIZE(events), wait_ms(http));

		if (n < 0 && errno != EINTR)
			return pg_fail(err, -errno, "cannot wait for requests: %s", strerror(errno));
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == http->opts->ask_fd && take_answer(http) < 0)
				return pg_fail(err, -EPIPE, "the reading process has ended");
		if (read(http->signal_fd, &sig, sizeof(sig)) == sizeof(sig))
			return (int)sig.ssi_signo;
		if (read(http->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			http->tick = true;
			ask_next(http);
			end_slow_clients(http);
		}
		MHD_run(http->daemon);
	}
}

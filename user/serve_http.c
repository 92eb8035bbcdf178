/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One thread, one loop: libmicrohttpd's sockets, the reader's answers, a clock and signals.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "serve_check.h"
#include "serve_impl.h"
#include "web.h"

#define CONNECTIONS 64
#define CONNECTIONS_PER_ADDR 32
#define IDLE_S 15
#define HEADERS_S 10 /* for a request's headers, however they drip in */
#define REQUEST_BYTES (32 * 1024)

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

enum MHD_Result pg_http_send(struct MHD_Connection *connection, unsigned status,
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

enum MHD_Result pg_http_refuse(struct MHD_Connection *connection, unsigned status, const char *text,
			      const char *header, const char *value)
{
	char line[sizeof(((struct pg_told *)0)->text) + 2];
	struct MHD_Response *response;

	snprintf(line, sizeof(line), "%s\n", text);
	response = MHD_create_response_from_buffer(strlen(line), line, MHD_RESPMEM_MUST_COPY);
	if (response && header)
		MHD_add_response_header(response, header, value);
	return pg_http_send(connection, status, response, "text/plain; charset=utf-8");
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
		return pg_http_refuse(req->connection, req->told.http_status == 200 ? 503 :
				       req->told.http_status, req->told.text, NULL, NULL);
	response = MHD_create_response_from_fd64(req->told.bytes, req->fd);
	if (response)
		req->fd = -1;
	return pg_http_send(req->connection, 200, response, type_of(req->ask.doc));
}

/* Requests ------------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	enum pg_doc doc;
} docs[] = {
	{ "/metrics", PG_DOC_METRICS },	      { "/api/v1/status", PG_DOC_STATUS },
	{ "/api/v1/ports", PG_DOC_PORTS },    { "/api/v1/rules", PG_DOC_RULES },
	{ "/api/v1/reasons", PG_DOC_REASONS }, { "/api/v1/flows", PG_DOC_FLOWS },
	{ "/api/v1/states", PG_DOC_STATES },  { "/api/v1/drops", PG_DOC_DROPS },
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
	return pg_http_send(connection, 200,
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
			return pg_http_refuse(req->connection, 414, "too many filters", NULL, NULL);
		return pg_http_wait(http, req);
	}
	if (!strcmp(url, "/api/v1/stream"))
		return pg_http_begin_stream(http, req->connection);
	for (size_t i = 0; i < pg_n_assets; i++)
		if (!strcmp(url, pg_assets[i].path))
			return send_asset(req->connection, &pg_assets[i]);
	return pg_http_refuse(req->connection, 404, "there is nothing here", NULL, NULL);
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

static bool has_body(struct MHD_Connection *connection)
{
	const char *length =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

	return (length && strcmp(length, "0")) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

/* What can be said of a request by its headers alone. ret: queued, if it is true. */
static bool turn_away(struct pg_http *http, struct MHD_Connection *connection, const char *method,
		      enum MHD_Result *ret)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

	if (!host || !pg_host_is_ours(host, http->opts->name, http->opts->n_names))
		*ret = pg_http_refuse(connection, 403,
				      "this server does not go by that name (see --host)", NULL, NULL);
	else if (!may_ask(http->opts, connection))
		*ret = pg_http_refuse(connection, 401, "a token is needed", "WWW-Authenticate",
				      "Basic realm=\"portguard\", charset=\"UTF-8\"");
	else if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		*ret = pg_http_refuse(connection, 405, "only GET and HEAD", "Allow", "GET, HEAD");
	else if (has_body(connection))
		*ret = pg_http_refuse(connection, 413, "a question has no body", NULL, NULL);
	else
		return false;
	return true;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	struct pg_http *http = arg;
	struct request *req = *state;
	enum MHD_Result r;

	(void)version;
	(void)upload;
	(void)upload_size;
	if (!req) {
		/* An answer to the headers alone ends the connection: no body is waited for. */
		if (turn_away(http, connection, method, &r))
			return r;
		req = calloc(1, sizeof(*req));
		if (!req)
			return MHD_NO;
		req->connection = connection;
		req->fd = -1;
		*state = req;
		return MHD_YES;
	}
	if (req->answered)
		return send_answer(req);
	set_busy(connection, true);
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
			if (events[i].data.fd == http->opts->ask_fd && pg_http_take_answer(http) < 0)
				return pg_fail(err, -EPIPE, "the reading process has ended");
		if (read(http->signal_fd, &sig, sizeof(sig)) == sizeof(sig))
			return (int)sig.ssi_signo;
		if (read(http->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			http->tick = true;
			pg_http_ask_next(http);
			end_slow_clients(http);
		}
		MHD_run(http->daemon);
	}
}

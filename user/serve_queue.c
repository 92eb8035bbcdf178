/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What waits for the reader. It gets one question at a time; a request is suspended until its answer is
 * there. Subscribers of the stream share each second's message.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fdpass.h"
#include "serve_impl.h"

#define STREAMS 16

/* The reader ----------------------------------------------------------------------------------- */

void pg_http_ask_next(struct pg_http *http)
{
	struct pg_ask tick;
	const struct pg_ask *ask = NULL;

	if (http->asking || http->asking_stream)
		return;
	/* In turns: where reading takes a second, the stream alone would keep the reader busy. */
	if (http->tick && http->n_subscribers && !(http->queue && http->streamed)) {
		pg_ask_begin(&tick, PG_DOC_STREAM);
		ask = &tick;
		http->asking_stream = http->streamed = true;
	} else if (http->queue) {
		http->streamed = false;
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

enum MHD_Result pg_http_wait(struct pg_http *http, struct request *req)
{
	*http->queue_end = req;
	http->queue_end = &req->next;
	req->asked = true;
	MHD_suspend_connection(req->connection);
	pg_http_ask_next(http);
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

/* Nothing to say, but it is said: so a client that has gone is noticed. */
static struct message *empty_message(void)
{
	static const char comment[] = ":\n\n";
	struct message *m = malloc(sizeof(*m) + sizeof(comment));

	if (!m)
		return NULL;
	m->users = 1;
	m->len = sizeof(comment) - 1;
	memcpy(m->text, comment, sizeof(comment));
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
		m = empty_message(); /* the page sees that nothing comes */
	if (!m)
		return;
	release(http->latest);
	http->latest = m;
	http->seq++;
	for (struct subscriber *s = http->subscribers; s; s = s->next) {
		if (s->suspended)
			MHD_resume_connection(s->connection);
		s->suspended = false;
	}
}

int pg_http_take_answer(struct pg_http *http)
{
	struct pg_told told;
	_close_ int fd = -1;

	if (pg_receive_fd(http->opts->ask_fd, &told, sizeof(told), &fd) != sizeof(told))
		return -EPIPE;
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
	pg_http_ask_next(http);
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

enum MHD_Result pg_http_begin_stream(struct pg_http *http, struct MHD_Connection *connection)
{
	struct MHD_Response *response;
	struct subscriber *s;

	if (http->n_subscribers == STREAMS)
		return pg_http_refuse(connection, 503, "too many streams", "Retry-After", "10");
	s = calloc(1, sizeof(*s));
	if (!s)
		return MHD_NO;
	*s = (struct subscriber){ .http = http, .connection = connection, .next = http->subscribers,
				  .seq = http->seq };
	http->subscribers = s;
	http->n_subscribers++;
	http->tick = true; /* the first message comes at once */
	pg_http_ask_next(http);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, give_stream, s,
						     end_stream);
	if (!response)
		end_stream(s);
	return pg_http_send(connection, 200, response, "text/event-stream");
}

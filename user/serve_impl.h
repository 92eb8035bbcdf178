/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of `portguard serve` that talk HTTP share: serve_http.c and serve_queue.c. */
#pragma once

#include <microhttpd.h>

#include "serve_http.h"

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
	bool streamed; /* the last question was the stream's */
	struct client *clients;
	struct subscriber *subscribers;
	unsigned n_subscribers;
	struct message *latest;
	uint64_t seq;
};

/* serve_http.c */
/* Adds the headers of all responses, sends it and forgets it. NULL: no memory. */
enum MHD_Result pg_http_send(struct MHD_Connection *connection, unsigned status,
			     struct MHD_Response *response, const char *type);
/* A line for people, with one header more if `header` is not NULL. */
enum MHD_Result pg_http_refuse(struct MHD_Connection *connection, unsigned status, const char *text,
			       const char *header, const char *value);

/* serve_queue.c */
/* Give the reader the next question, if it has none. */
void pg_http_ask_next(struct pg_http *http);
/* Suspends the request until it is answered; then its handler is called again. */
enum MHD_Result pg_http_wait(struct pg_http *http, struct request *req);
/* What the reader has said. 0, or -EPIPE: it is gone. */
int pg_http_take_answer(struct pg_http *http);
enum MHD_Result pg_http_begin_stream(struct pg_http *http, struct MHD_Connection *connection);

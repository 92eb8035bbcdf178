/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Three processes, none of which can do much: see serve_ask.h and serve_marks.h. What needs privileges (the listening
 * socket, the files of token and TLS, the way to the state directory) is opened before they part.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "config.h"
#include "jail.h"
#include "options.h"
#include "serve_check.h"
#include "serve_http.h"
#include "serve_read.h"

static int run_serve(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

#define DEFAULT_PORTS 256
#define DEFAULT_RULES 1000
#define TOKEN_MIN 16

const struct pg_cmd pg_cmd_serve = {
	.name = "serve",
	.args = "[--listen ADDR:PORT] [--token FILE] [--tls-cert FILE --tls-key FILE] [--host NAME]… "
		"[--max-ports N] [--max-rules N] [--user NAME]",
	.help = "Serve a live page, /metrics for Prometheus and the JSON of the other commands",
	.details =
		"  --listen ADDR:PORT  where to listen: 127.0.0.1:9180 unless it is said, [::1]:9180, 9180.\n"
		"                      An address that others reach takes --token or TLS\n"
		"  --token FILE        ask for what stands in it, as a bearer token or as the password\n"
		"                      that a browser asks for\n"
		"  --tls-cert FILE     certificate, with its chain, and\n"
		"  --tls-key FILE      its key, both PEM\n"
		"  --host NAME         a name by which it is called; addresses and localhost always are\n"
		"  --max-ports N       ports with series of their own in /metrics, the rest is `other' (256)\n"
		"  --max-rules N       the same for rules (1000)\n"
		"  --user NAME         to run as, when started by root (nobody)\n",
	.run = run_serve,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)

struct options {
	struct pg_listen listen;
	const char *token_file, *cert_file, *key_file, *user_name;
	const char **name;
	size_t n_names;
	uint32_t max_ports, max_rules;
};

/* Files ---------------------------------------------------------------------------------------- */

static void free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

/* A small text file. `secret`: others must not be able to read it. */
static int read_file(const char *path, bool secret, char **ret_text, struct pg_err *err)
{
	_cleanup_(free_secret) char *text = calloc(1, 65537);
	_fclose_ FILE *f = fopen(path, "re");
	struct stat st;
	size_t n;

	if (!text)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (!f || fstat(fileno(f), &st))
		return pg_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	if (secret && st.st_mode & (S_IROTH | S_IWOTH))
		return pg_fail(err, -EACCES, "'%s': everybody can read it: chmod o= it", path);
	n = fread(text, 1, 65536, f);
	if (ferror(f) || n == 65536 || memchr(text, '\0', n))
		return pg_fail(err, -EINVAL, "cannot read '%s': not a text file, or too long", path);
	*ret_text = TAKE_PTR(text);
	return 0;
}

static int read_token(const char *path, char **ret_token, struct pg_err *err)
{
	_cleanup_(free_secret) char *text = NULL;
	int r = read_file(path, true, &text, err);

	if (r)
		return r;
	text[strcspn(text, "\r\n")] = '\0';
	if (strlen(text) < TOKEN_MIN)
		return pg_fail(err, -EINVAL, "'%s': its first line, the token, needs %d characters",
			       path, TOKEN_MIN);
	*ret_token = TAKE_PTR(text);
	return 0;
}

/* Options -------------------------------------------------------------------------------------- */

enum { OPT_LISTEN = 0x200, OPT_TOKEN, OPT_CERT, OPT_KEY, OPT_HOST, OPT_PORTS, OPT_RULES, OPT_USER };

static int take_option(struct options *o, int c, struct pg_err *err)
{
	switch (c) {
	case OPT_LISTEN:
		if (pg_listen_parse(optarg, &o->listen) < 0)
			return USAGE(err, "--listen takes an address and a port as in 127.0.0.1:9180, not '%s'",
				     optarg);
		return 0;
	case OPT_TOKEN:
		o->token_file = optarg;
		return 0;
	case OPT_CERT:
		o->cert_file = optarg;
		return 0;
	case OPT_KEY:
		o->key_file = optarg;
		return 0;
	case OPT_HOST:
		o->name[o->n_names++] = optarg;
		return 0;
	case OPT_USER:
		o->user_name = optarg;
		return 0;
	case OPT_PORTS:
		return pg_parse_u32(optarg, 1, PG_SERVE_PORTS_MAX, &o->max_ports) < 0 ?
			       USAGE(err, "--max-ports takes 1 to %u, not '%s'", PG_SERVE_PORTS_MAX,
				     optarg) :
			       0;
	case OPT_RULES:
		return pg_parse_u32(optarg, 1, PG_SERVE_RULES_MAX, &o->max_rules) < 0 ?
			       USAGE(err, "--max-rules takes 1 to %u, not '%s'", PG_SERVE_RULES_MAX,
				     optarg) :
			       0;
	default:
		return c == PG_OPT_HELP ? c : -EINVAL;
	}
}

/* What holds where no option says anything else; `name` has room for the names of all. */
static struct options configured(const struct pg_config_serve *c, const char **name)
{
	struct options o = {
		.token_file = c->token,
		.cert_file = c->tls_cert,
		.key_file = c->tls_key,
		.user_name = c->user,
		.name = name,
		.n_names = c->n_hosts,
		.max_ports = c->max_ports ?: DEFAULT_PORTS,
		.max_rules = c->max_rules ?: DEFAULT_RULES,
	};

	pg_listen_parse(c->listen ?: "127.0.0.1:9180", &o.listen);
	for (size_t i = 0; i < c->n_hosts; i++)
		name[i] = c->host[i];
	return o;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "listen", required_argument, NULL, OPT_LISTEN },
		{ "token", required_argument, NULL, OPT_TOKEN },
		{ "tls-cert", required_argument, NULL, OPT_CERT },
		{ "tls-key", required_argument, NULL, OPT_KEY },
		{ "host", required_argument, NULL, OPT_HOST },
		{ "max-ports", required_argument, NULL, OPT_PORTS },
		{ "max-rules", required_argument, NULL, OPT_RULES },
		{ "user", required_argument, NULL, OPT_USER },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_serve, argc, argv, ":", longs, err)) != -1)
		r = take_option(o, c, err);
	if (r)
		return r;
	if (optind < argc)
		return USAGE(err, "Bad argument `%s'", argv[optind]);
	if (!o->cert_file != !o->key_file)
		return USAGE(err, "--tls-cert and --tls-key go together");
	if (!o->listen.loopback && !o->token_file && !o->cert_file)
		return USAGE(err, "others reach %s: give --token FILE, or --tls-cert and --tls-key",
			     o->listen.text);
	return 0;
}

/* Serving -------------------------------------------------------------------------------------- */

static int open_socket(struct pg_listen *l, struct pg_err *err)
{
	_close_ int fd = socket(l->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    (l->addr.any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))) ||
	    bind(fd, &l->addr.any, l->len) || listen(fd, 64) ||
	    getsockname(fd, &l->addr.any, &l->len))
		return pg_fail(err, -errno, "cannot listen on %s: %s", l->text, strerror(errno));
	pg_listen_describe(l);
	return TAKE_FD(fd);
}

/* In the child. The web server's end of the socket is closed here: ours ends when the server does. */
static void read_for_ever(int sock, const struct pg_jail_user *user,
			  struct pg_reader_opts *opts)
{
	struct pg_told told = { .http_status = 503 };
	struct pg_err err = { .exit_code = PG_EXIT_FAILED };

	signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C is the server's, whose end ends us */
	signal(SIGCHLD, SIG_IGN);
	pg_dp_kernel(); /* for the status, while we may */
	if (pg_marker_start(opts->follow, user, sock, &opts->marker, &err) < 0 ||
	    pg_jail_enter(PG_JAIL_READER, user, &err) < 0) {
		told.exit_code = err.exit_code;
		snprintf(told.text, sizeof(told.text), "%.*s", (int)sizeof(told.text) - 1, err.text);
		(void)send(sock, &told, sizeof(told), MSG_NOSIGNAL);
		_exit(1);
	}
	_exit(pg_reader_run(sock, opts) < 0);
}

static pid_t start_reader(int keep, int give, int listen_fd, const struct pg_jail_user *user,
			  struct pg_reader_opts *opts)
{
	pid_t pid = fork();

	if (!pid) {
		close(keep);
		close(listen_fd);
		read_for_ever(give, user, opts);
	}
	return pid;
}

/* Ask once before anybody else can: what is wrong is said now, and not to the first visitor. */
static int try_reader(int sock, struct pg_err *err)
{
	struct pg_ask ask;
	struct pg_told told;

	pg_ask_begin(&ask, PG_DOC_NONE);
	if (send(sock, &ask, offsetof(struct pg_ask, text), MSG_NOSIGNAL) < 0 ||
	    recv(sock, &told, sizeof(told), 0) != sizeof(told))
		return pg_fail(err, -EPIPE, "the reading process has ended");
	if (told.http_status != 200)
		return pg_fail_exit(err, told.exit_code, -EIO, "%s", told.text);
	return 0;
}

static int serve(const struct options *o, const struct pg_http_opts *http_opts, pid_t reader,
		 const struct pg_jail_user *user, struct pg_err *err)
{
	struct pg_http *http;
	int r = try_reader(http_opts->ask_fd, err);

	if (!r)
		r = pg_http_start(http_opts, &http, err);
	if (!r)
		r = pg_jail_enter(PG_JAIL_WEB, user, err);
	if (r)
		return r;
	if (!o->listen.loopback && o->token_file && !o->cert_file)
		fputs("portguard: without TLS the token can be read on its way\n", stderr);
	printf("Serving on http%s://%s/\n", o->cert_file ? "s" : "", o->listen.text);
	fflush(stdout);
	r = pg_http_run(http, err);
	if (r < 0)
		return r;
	close(http_opts->ask_fd); /* the reader sees it and ends */
	waitpid(reader, NULL, 0);
	return 0;
}

/* Both halves, with what they share opened. */
static int open_and_serve(struct options *o, struct pg_http_opts *http, struct pg_dp_follow *follow,
			  struct pg_err *err)
{
	struct pg_reader_opts reader_opts = {
		.follow = follow, .max_ports = o->max_ports, .max_rules = o->max_rules,
	};
	_close_ int listen_fd = -1;
	struct pg_jail_user user;
	int sock[2], r = pg_jail_user(o->user_name, &user, err);
	pid_t reader;

	if (r)
		return r;
	listen_fd = open_socket(&o->listen, err);
	if (listen_fd < 0)
		return listen_fd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return pg_fail(err, -errno, "cannot make a socket: %s", strerror(errno));
	reader = start_reader(sock[0], sock[1], listen_fd, &user, &reader_opts);
	close(sock[1]);
	if (reader < 0)
		return pg_fail(err, -errno, "cannot start the reading process: %s", strerror(errno));
	http->listen_fd = listen_fd;
	http->ask_fd = sock[0];
	return serve(o, http, reader, &user, err);
}

static int run_serve(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	const struct pg_config_serve *config = &ctx->config->serve;
	_free_ const char **names = calloc((size_t)argc + config->n_hosts, sizeof(*names));
	struct options o;
	_cleanup_(pg_dp_follow_closep) struct pg_dp_follow *follow = NULL;
	_cleanup_(free_secret) char *token = NULL, *cert = NULL, *key = NULL;
	struct pg_http_opts http = { 0 };
	int r;

	if (!names)
		return pg_fail(err, -ENOMEM, "out of memory");
	o = configured(config, names);
	r = parse_options(argc, argv, &o, err);
	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (o.token_file)
		r = read_token(o.token_file, &token, err);
	if (!r && o.cert_file)
		r = read_file(o.cert_file, false, &cert, err) ?:
		    read_file(o.key_file, true, &key, err);
	if (!r)
		r = pg_dp_follow_open(ctx->state_dir, ctx->verbose, &follow, err);
	if (r)
		return r;
	http.token = token;
	http.cert = cert;
	http.key = key;
	http.name = names;
	http.n_names = o.n_names;
	return open_and_serve(&o, &http, follow, err);
}

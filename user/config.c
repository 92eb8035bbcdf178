/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "dp.h"
#include "names.h"
#include "pg_limits.h"
#include "serve_check.h"

/* libconfuse's callbacks have no argument of ours. */
static struct {
	const char *path; /* sections do not all know it */
	struct pg_err *err;
} reading;

static void take_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	_free_ char *what = NULL;

	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	pg_fail(reading.err, -EINVAL, "%s:%d: %s", reading.path, cfg->line,
		what ? what : "out of memory");
}

int pg_mode_from_str(const char *text, enum pg_mode *ret)
{
	if (!strcmp(text, "auto")) {
		*ret = PG_MODE_NONE;
		return 0;
	}
	for (enum pg_mode m = PG_MODE_NONE + 1; m < _PG_MODE_MAX; m++) {
		if (!strcmp(text, pg_mode_name(m))) {
			*ret = m;
			return 0;
		}
	}
	return -EINVAL;
}

uint32_t pg_flows_round(uint32_t n)
{
	uint32_t places = PG_FLOWS_MIN;

	while (places < n)
		places *= 2;
	return places;
}

static int fragments_from_str(const char *text, enum pg_fragments *ret)
{
	for (enum pg_fragments f = 0; f < _PG_FRAGMENTS_MAX; f++) {
		if (!strcmp(text, pg_fragments_name(f))) {
			*ret = f;
			return 0;
		}
	}
	return -EINVAL;
}

/* What is wrong is said where it stands: these are called for each value that was read. */
static int check_mode(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	enum pg_mode mode;

	if (!pg_mode_from_str(text, &mode))
		return 0;
	cfg_error(cfg, "mode is auto, native, skb or tc, not '%s'", text);
	return -1;
}

static int check_fragments(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	enum pg_fragments setting;

	if (!fragments_from_str(text, &setting))
		return 0;
	cfg_error(cfg, "fragments is auto, drop, pass or rules, not '%s'", text);
	return -1;
}

static int check_track(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (!strcmp(text, "auto") || !strcmp(text, "on"))
		return 0;
	cfg_error(cfg, "track is auto or on, not '%s'", text);
	return -1;
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt, long max)
{
	long n = cfg_opt_getnint(opt, 0);

	if (n >= 1 && n <= max)
		return 0;
	cfg_error(cfg, "%s is a number from 1 to %ld, not %ld", opt->name, max, n);
	return -1;
}

static int check_flows(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_number(cfg, opt, PG_FLOWS_MAX);
}

static int check_timeout(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_number(cfg, opt, PG_TIMEOUT_MAX_S);
}

static int check_max_ports(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_number(cfg, opt, PG_SERVE_PORTS_MAX);
}

static int check_max_rules(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_number(cfg, opt, PG_SERVE_RULES_MAX);
}

static int check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	struct pg_listen listen;

	if (!pg_listen_parse(text, &listen))
		return 0;
	cfg_error(cfg, "listen is an address and a port as in 127.0.0.1:9180, not '%s'", text);
	return -1;
}

static int check_iface(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

	if (name && *name && strlen(name) < IFNAMSIZ)
		return 0;
	cfg_error(cfg, "an interface's name has 1 to %d bytes", IFNAMSIZ - 1);
	return -1;
}

/* Relative names would mean something else in each directory that a command is given in. */
static int check_path(cfg_t *cfg, cfg_opt_t *opt)
{
	if (cfg_opt_getnstr(opt, 0)[0] == '/')
		return 0;
	cfg_error(cfg, "%s is a name that begins with '/'", opt->name);
	return -1;
}

static void take_attach(cfg_t *cfg, struct pg_config_attach *ret)
{
	if (cfg_size(cfg, "mode"))
		pg_mode_from_str(cfg_getstr(cfg, "mode"), &ret->mode);
	if (cfg_size(cfg, "egress"))
		ret->egress = cfg_getbool(cfg, "egress");
	if (cfg_size(cfg, "multiprog"))
		ret->multiprog = cfg_getbool(cfg, "multiprog");
}

static int take_ifaces(cfg_t *cfg, struct pg_config *c)
{
	c->n_ifaces = cfg_size(cfg, "interface");
	c->iface = calloc(c->n_ifaces, sizeof(*c->iface));
	if (c->n_ifaces && !c->iface)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_ifaces; i++) {
		cfg_t *section = cfg_getnsec(cfg, "interface", (unsigned)i);

		c->iface[i] = c->attach;
		strncpy(c->iface[i].name, cfg_title(section), IFNAMSIZ - 1);
		take_attach(section, &c->iface[i]);
	}
	return 0;
}

static int take_text(cfg_t *cfg, const char *name, char **ret)
{
	if (!cfg_size(cfg, name))
		return 0;
	*ret = strdup(cfg_getstr(cfg, name));
	return *ret ? 0 : -ENOMEM;
}

static int take_hosts(cfg_t *cfg, struct pg_config_serve *s)
{
	unsigned n = cfg_size(cfg, "host");
	char **host = calloc(n + 1, sizeof(*host));

	s->host = host;
	for (; host && s->n_hosts < n; s->n_hosts++) {
		host[s->n_hosts] = strdup(cfg_getnstr(cfg, "host", (unsigned)s->n_hosts));
		if (!host[s->n_hosts])
			return -ENOMEM;
	}
	return host ? 0 : -ENOMEM;
}

static int take_serve(cfg_t *cfg, struct pg_config_serve *s)
{
	if (take_text(cfg, "listen", &s->listen) < 0 || take_text(cfg, "token", &s->token) < 0 ||
	    take_text(cfg, "tls-cert", &s->tls_cert) < 0 ||
	    take_text(cfg, "tls-key", &s->tls_key) < 0 || take_text(cfg, "user", &s->user) < 0)
		return -ENOMEM;
	if (cfg_size(cfg, "max-ports"))
		s->max_ports = (uint32_t)cfg_getint(cfg, "max-ports");
	if (cfg_size(cfg, "max-rules"))
		s->max_rules = (uint32_t)cfg_getint(cfg, "max-rules");
	return take_hosts(cfg, s);
}

static int take(cfg_t *cfg, struct pg_config *c)
{
	cfg_t *timeouts = cfg_getsec(cfg, "timeouts");

	if (take_text(cfg, "state-dir", &c->state_dir) < 0 ||
	    take_text(cfg, "policy", &c->policy) < 0)
		return -ENOMEM;
	take_attach(cfg, &c->attach);
	if (cfg_size(cfg, "flows"))
		c->flows = pg_flows_round((uint32_t)cfg_getint(cfg, "flows"));
	if (cfg_size(cfg, "track") && !strcmp(cfg_getstr(cfg, "track"), "on"))
		c->flow_options |= PG_FLOW_OPT_TRACK;
	if (cfg_size(cfg, "tcp-loose") && !cfg_getbool(cfg, "tcp-loose"))
		c->flow_options |= PG_FLOW_OPT_STRICT;
	if (cfg_size(cfg, "tcp-liberal") && cfg_getbool(cfg, "tcp-liberal"))
		c->flow_options |= PG_FLOW_OPT_LIBERAL;
	if (cfg_size(cfg, "fragments"))
		fragments_from_str(cfg_getstr(cfg, "fragments"), &c->fragments);
	for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++)
		if (cfg_size(timeouts, pg_timeout_name(i)))
			c->timeout_s[i] = (uint32_t)cfg_getint(timeouts, pg_timeout_name(i));
	return take_ifaces(cfg, c) ?: take_serve(cfg_getsec(cfg, "serve"), &c->serve);
}

static const struct {
	const char *name;
	cfg_validate_callback_t check;
} checks[] = {
	{ "state-dir", check_path },
	{ "policy", check_path },
	{ "mode", check_mode },
	{ "interface|mode", check_mode },
	{ "interface", check_iface },
	{ "fragments", check_fragments },
	{ "track", check_track },
	{ "flows", check_flows },
	{ "serve|listen", check_listen },
	{ "serve|token", check_path },
	{ "serve|tls-cert", check_path },
	{ "serve|tls-key", check_path },
	{ "serve|max-ports", check_max_ports },
	{ "serve|max-rules", check_max_rules },
};

/* NULL: no memory. What is not in the file has no value: cfg_size() is 0 then. */
static cfg_t *new_parser(void)
{
#define X_TIMEOUT(sym, name, seconds) CFG_INT(name, 0, CFGF_NODEFAULT),
	static cfg_opt_t timeouts[] = { PG_TIMEOUTS(X_TIMEOUT) CFG_END() };
	static cfg_opt_t iface[] = {
		CFG_STR("mode", NULL, CFGF_NODEFAULT),
		CFG_BOOL("egress", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("multiprog", cfg_false, CFGF_NODEFAULT),
		CFG_END(),
	};
	static cfg_opt_t serve[] = {
		CFG_STR("listen", NULL, CFGF_NODEFAULT),
		CFG_STR("token", NULL, CFGF_NODEFAULT),
		CFG_STR("tls-cert", NULL, CFGF_NODEFAULT),
		CFG_STR("tls-key", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("host", NULL, CFGF_NODEFAULT),
		CFG_INT("max-ports", 0, CFGF_NODEFAULT),
		CFG_INT("max-rules", 0, CFGF_NODEFAULT),
		CFG_STR("user", NULL, CFGF_NODEFAULT),
		CFG_END(),
	};
	static cfg_opt_t all[] = {
		CFG_STR("state-dir", NULL, CFGF_NODEFAULT),
		CFG_STR("policy", NULL, CFGF_NODEFAULT),
		CFG_STR("mode", NULL, CFGF_NODEFAULT),
		CFG_BOOL("egress", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("multiprog", cfg_false, CFGF_NODEFAULT),
		CFG_INT("flows", 0, CFGF_NODEFAULT),
		CFG_STR("track", NULL, CFGF_NODEFAULT),
		CFG_BOOL("tcp-loose", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("tcp-liberal", cfg_false, CFGF_NODEFAULT),
		CFG_STR("fragments", NULL, CFGF_NODEFAULT),
		CFG_SEC("timeouts", timeouts, CFGF_NONE),
		CFG_SEC("serve", serve, CFGF_NONE),
		CFG_SEC("interface", iface, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	cfg_t *cfg = cfg_init(all, CFGF_NONE);

	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, take_error);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		cfg_set_validate_func(cfg, checks[i].name, checks[i].check);
	for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++) {
		char name[64];

		snprintf(name, sizeof(name), "timeouts|%s", pg_timeout_name(i));
		cfg_set_validate_func(cfg, name, check_timeout);
	}
	return cfg;
}

void pg_config_free(struct pg_config *config)
{
	free(config->state_dir);
	free(config->policy);
	free(config->iface);
	free(config->serve.listen);
	free(config->serve.token);
	free(config->serve.tls_cert);
	free(config->serve.tls_key);
	free(config->serve.user);
	for (size_t i = 0; i < config->serve.n_hosts; i++)
		free(config->serve.host[i]);
	free(config->serve.host);
	*config = (struct pg_config){ .attach.egress = true };
}

static int parse(const char *path, bool must, struct pg_config *ret, struct pg_err *err)
{
	cfg_t *cfg = new_parser();
	int r = -ENOMEM;

	if (!cfg)
		return pg_fail(err, -ENOMEM, "out of memory");
	reading.path = path;
	reading.err = err;
	switch (cfg_parse(cfg, path)) {
	case CFG_SUCCESS:
		r = take(cfg, ret);
		if (r < 0)
			pg_fail(err, r, "out of memory");
		break;
	case CFG_FILE_ERROR:
		r = errno == ENOENT && !must ?
			    0 :
			    pg_fail(err, errno ? -errno : -EIO, "cannot read '%s': %s", path,
				    strerror(errno));
		break;
	default:
		r = -EINVAL; /* take_error() has said it */
	}
	cfg_free(cfg);
	if (r < 0)
		pg_config_free(ret);
	return r;
}

int pg_config_read(const char *path, struct pg_config *ret, struct pg_err *err)
{
	struct pg_config config = { .attach.egress = true };
	bool must = path || (path = getenv("PORTGUARD_CONFIG"));
	int r = 0;

	if (!path)
		path = PG_CONFIG_FILE;
	if (*path)
		r = parse(path, must, &config, err);
	if (!r)
		*ret = config;
	return r;
}

static void say_nothing(cfg_t *cfg, const char *fmt, va_list ap)
{
	(void)cfg;
	(void)fmt;
	(void)ap;
}

char *pg_config_salvage(const char *path)
{
	cfg_opt_t none[] = { CFG_END() };
	/* Of what is not known, libconfuse does not pass over sections with a title. */
	cfg_opt_t only[] = {
		CFG_STR("state-dir", NULL, CFGF_NODEFAULT),
		CFG_SEC("interface", none, CFGF_MULTI | CFGF_TITLE),
		CFG_END(),
	};
	cfg_t *cfg = cfg_init(only, CFGF_IGNORE_UNKNOWN);
	char *dir = NULL;

	if (!cfg)
		return NULL;
	path = path ?: getenv("PORTGUARD_CONFIG") ?: PG_CONFIG_FILE;
	cfg_set_error_function(cfg, say_nothing);
	/* Where that fails, what stood before is there all the same. */
	if (*path)
		(void)cfg_parse(cfg, path);
	if (cfg_size(cfg, "state-dir") && cfg_getstr(cfg, "state-dir")[0] == '/')
		dir = strdup(cfg_getstr(cfg, "state-dir"));
	cfg_free(cfg);
	return dir;
}

const struct pg_config_attach *pg_config_iface(const struct pg_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_ifaces; i++)
		if (!strcmp(config->iface[i].name, name))
			return &config->iface[i];
	return &config->attach;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "term.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

/* curses.h would have bool and others as macros of its own. */
#define NCURSES_ENABLE_STDBOOL_H 1
#include <curses.h>

/*
 * As it was found, for a process that dies by a signal: then only what is safe in a handler is done,
 * and curses is not. These sequences are what xterm and all that came after it understand: mouse off,
 * attributes off, cursor on, the other screen.
 */
static struct termios found;
static volatile sig_atomic_t taken, wanted_signal, resized, continued;
static const char restore[] = "\033[?1000l\033[?1002l\033[?1006l\033[m\017\033[?25h\033[?1049l\033[?1l\033>\r";
static bool plain_restore; /* the terminal takes no such sequences */

static const int ending[] = { SIGTERM, SIGHUP, SIGINT, SIGPIPE };
/* These end no process, or are curses' (SIGTSTP) or nobody's to catch. All others end us at once. */
static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL,
				SIGSTOP };

static void die(int sig)
{
	if (taken) {
		taken = 0;
		if (!plain_restore)
			(void)!write(STDOUT_FILENO, restore, sizeof(restore) - 1);
		/* TCSANOW: a handler must not wait for the other end to read. */
		tcsetattr(STDIN_FILENO, TCSANOW, &found);
	}
	/* The default action is back (SA_RESETHAND), and ends the process as it would have ended. */
	raise(sig);
}

static void end(int sig)
{
	wanted_signal = sig;
}

static void resize(int sig)
{
	(void)sig;
	resized = 1;
}

static void go_on(int sig)
{
	(void)sig;
	continued = 1;
}

static void handle(const int *sig, size_t n, void (*fn)(int), int flags)
{
	struct sigaction action = { .sa_handler = fn, .sa_flags = flags };

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < n; i++)
		sigaction(sig[i], &action, NULL);
}

static bool is_one_of(int sig, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == sig)
			return true;
	return false;
}

static void handle_deadly(void)
{
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (!is_one_of(sig, ending, ARRAY_SIZE(ending)) &&
		    !is_one_of(sig, harmless, ARRAY_SIZE(harmless)))
			handle(&sig, 1, die, (int)SA_RESETHAND);
}

bool pg_term_has_unicode(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static const struct {
	short fg, bg; /* -1: as it is */
	attr_t attr, mono;
} looks[_PG_LOOK_MAX] = {
	[PG_LOOK_PLAIN] = { -1, -1, 0, 0 },
	[PG_LOOK_DIM] = { -1, -1, A_DIM, A_DIM },
	[PG_LOOK_STRONG] = { -1, -1, A_BOLD, A_BOLD },
	[PG_LOOK_GOOD] = { COLOR_GREEN, -1, 0, 0 },
	[PG_LOOK_WARN] = { COLOR_YELLOW, -1, A_BOLD, A_BOLD },
	[PG_LOOK_BAD] = { COLOR_RED, -1, A_BOLD, A_BOLD },
	[PG_LOOK_CHART] = { COLOR_CYAN, -1, 0, 0 },
	[PG_LOOK_HEAD] = { COLOR_CYAN, -1, A_UNDERLINE | A_BOLD, A_UNDERLINE },
	[PG_LOOK_BAR] = { COLOR_WHITE, COLOR_BLUE, 0, A_REVERSE },
	[PG_LOOK_ON_BAR] = { COLOR_BLACK, COLOR_CYAN, 0, A_BOLD },
	[PG_LOOK_KEY] = { COLOR_YELLOW, COLOR_BLUE, A_BOLD, A_BOLD },
};

static bool coloured;

static void begin_colours(bool colour)
{
	coloured = colour && has_colors() && start_color() == OK;
	if (!coloured)
		return;
	use_default_colors();
	for (int i = 0; i < _PG_LOOK_MAX; i++)
		init_pair((short)(i + 1), looks[i].fg, looks[i].bg);
}

static bool can(const char *capability)
{
	const char *text = tigetstr(capability);

	/* -1 is terminfo's own value. NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return text && text != (char *)-1;
}

static int refuse_type(const char *why, struct pg_err *err)
{
	const char *name = getenv("TERM");
	char shown[64];

	return pg_fail(err, -EINVAL, "%s '%s' (TERM); `top --batch' needs no terminal", why,
		       pg_printable(name ? name : "", shown, sizeof(shown)));
}

/* What the terminal sends for a click, a wheel and, doubled, for nothing. */
#define MOUSE_EVENTS (BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED)

/* A read that nothing is left for, since a shell has taken it while we were stopped, must not wait. */
static void never_block(void)
{
	struct termios now;

	if (tcgetattr(STDIN_FILENO, &now) < 0)
		return;
	now.c_cc[VMIN] = now.c_cc[VTIME] = 0;
	if (!tcsetattr(STDIN_FILENO, TCSANOW, &now))
		def_prog_mode();
}

int pg_term_open(bool colour, struct pg_err *err)
{
	const int winch = SIGWINCH, cont = SIGCONT;
	SCREEN *screen;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &found) < 0)
		return pg_fail(err, -ENOTTY,
			       "this needs a terminal; `top --batch' prints frames without one");
	/* A key alone and the beginning of a sequence are told apart by time: 25 ms are enough. */
	set_escdelay(25);
	screen = newterm(NULL, stdout, stdin);
	if (screen && !can("cup")) {
		endwin();
		delscreen(screen);
		return refuse_type("the cursor cannot be placed on a terminal of type", err);
	}
	if (!screen)
		return refuse_type("unknown terminal type", err);
	plain_restore = !can("smcup");
	taken = 1;
	handle_deadly();
	handle(ending, ARRAY_SIZE(ending), end, 0);
	handle(&winch, 1, resize, 0);
	handle(&cont, 1, go_on, 0);
	raw(); /* Ctrl-Z and Ctrl-C are keys */
	noecho();
	nonl();
	never_block();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	mouseinterval(0);
	mousemask(MOUSE_EVENTS, NULL);
	begin_colours(colour);
	return 0;
}

void pg_term_close(void)
{
	if (!taken)
		return;
	mousemask(0, NULL);
	endwin();
	taken = 0;
}

static void take_again(void)
{
	taken = 1;
	resized = 1;
	continued = 0;
	mousemask(MOUSE_EVENTS, NULL);
	clearok(stdscr, TRUE);
	refresh();
}

/* Somebody has stopped us without asking, and a shell has used the terminal since: modes, screen, cursor. */
static void resume(void)
{
	pid_t front = tcgetpgrp(STDIN_FILENO);

	/* In the background it still is the shell's: the next time we are continued it may be ours. */
	if (front >= 0 && front != getpgrp())
		raise(SIGTTOU);
	mousemask(0, NULL);
	endwin();
	take_again();
}

void pg_term_size(unsigned *ret_width, unsigned *ret_height)
{
	struct winsize size;

	if (continued)
		resume();
	if (resized && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	resized = 0;
	*ret_width = (unsigned)COLS;
	*ret_height = (unsigned)LINES;
}

void pg_term_show(const struct pg_frame *f)
{
	for (unsigned y = 0; y < f->height; y++) {
		for (unsigned x = 0; x < f->width; x++) {
			const struct pg_cell *c = &f->cell[(size_t)y * f->width + x];
			unsigned look = c->look & ~(unsigned)PG_LOOK_SELECTED;
			attr_t attr = coloured ? looks[look].attr : looks[look].mono;
			wchar_t text[2] = { (wchar_t)c->ch, 0 };
			cchar_t cell;

			if (!c->ch) /* the wide one before has taken it */
				continue;
			if (c->look & PG_LOOK_SELECTED)
				attr = A_REVERSE | (attr & A_BOLD);
			setcchar(&cell, text, attr, coloured ? (short)(look + 1) : 0, NULL);
			mvadd_wch((int)y, (int)x, &cell);
		}
	}
	refresh();
}

void pg_term_redraw(void)
{
	clearok(stdscr, TRUE);
}

void pg_term_suspend(void)
{
	mousemask(0, NULL);
	endwin();
	taken = 0;
	/* The whole job, or the shell would not notice that a pipeline has stopped. */
	kill(0, SIGSTOP);
	/* What was set meanwhile is what is to be found again. */
	tcgetattr(STDIN_FILENO, &found);
	take_again();
}

int pg_term_signal(void)
{
	return wanted_signal;
}

static uint32_t mouse_key(struct pg_key *ret)
{
	MEVENT event;

	if (getmouse(&event) != OK)
		return 0;
	ret->x = (unsigned)event.x;
	ret->y = (unsigned)event.y;
	if (event.bstate & BUTTON4_PRESSED)
		return PG_KEY_WHEEL_UP;
	if (event.bstate & BUTTON5_PRESSED)
		return PG_KEY_WHEEL_DOWN;
	return event.bstate & BUTTON1_PRESSED ? PG_KEY_CLICK : 0;
}

static uint32_t function_key(wint_t key, struct pg_key *ret)
{
	static const struct {
		wint_t curses;
		uint32_t ours;
	} keys[] = {
		{ KEY_UP, PG_KEY_UP },	   { KEY_DOWN, PG_KEY_DOWN },	{ KEY_LEFT, PG_KEY_LEFT },
		{ KEY_RIGHT, PG_KEY_RIGHT }, { KEY_PPAGE, PG_KEY_PAGE_UP }, { KEY_NPAGE, PG_KEY_PAGE_DOWN },
		{ KEY_HOME, PG_KEY_HOME }, { KEY_END, PG_KEY_END },	{ KEY_BTAB, PG_KEY_BACK_TAB },
		{ KEY_BACKSPACE, PG_KEY_BACKSPACE }, { KEY_ENTER, PG_KEY_ENTER },
	};

	if (key == KEY_MOUSE)
		return mouse_key(ret);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].curses == key)
			return keys[i].ours;
	return 0;
}

static bool read_key(struct pg_key *ret)
{
	wint_t c;
	int r;

	while ((r = get_wch(&c)) != ERR) {
		*ret = (struct pg_key){ .code = c };
		if (r == KEY_CODE_YES)
			ret->code = function_key(c, ret);
		else if (c == 127 || c == 8)
			ret->code = PG_KEY_BACKSPACE;
		if (ret->code)
			return true;
	}
	return false;
}

int pg_term_key(int timeout_ms, struct pg_key *ret)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t all, before;
	struct timespec t = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	int r;

	if (read_key(ret))
		return 1;
	/* A signal that comes between the question and the waiting must not be waited over. */
	sigemptyset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&all, ending[i]);
	sigaddset(&all, SIGWINCH);
	sigaddset(&all, SIGCONT);
	sigprocmask(SIG_BLOCK, &all, &before);
	r = wanted_signal || resized || continued ? 0 : ppoll(&fd, 1, &t, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (wanted_signal)
		return -EINTR;
	if (r > 0 && read_key(ret))
		return 1;
	return r > 0 && fd.revents & (POLLHUP | POLLERR | POLLNVAL) ? -EIO : 0;
}

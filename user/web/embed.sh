#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Writes C that holds the files given, for user/web.h.
set -eu

echo '/* Written by user/web/embed.sh. */'
echo '#include "web.h"'
n=0
table=
for file in "$@"; do
	name=${file##*/}
	path=/$name
	case $name in
	index.html) path=/ type='text/html; charset=utf-8' ;;
	*.js) type='text/javascript; charset=utf-8' ;;
	*.css) type='text/css; charset=utf-8' ;;
	*.svg) type='image/svg+xml' ;;
	*) type='text/plain; charset=utf-8' ;;
	esac
	echo "static const unsigned char file_${n}[] = {"
	od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo '};'
	table="$table	{ \"$path\", \"$type\", file_$n, sizeof(file_$n) },
"
	n=$((n + 1))
done
printf 'const struct pg_asset pg_assets[] = {\n%s};\n' "$table"
echo "const size_t pg_n_assets = $n;"

# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Manual pages, what `make install` puts where, units, and what RPM makes of its spec.

root=$tmp/root
make -s --no-print-directory install DESTDIR="$root" PREFIX=/usr >"$tmp/said" 2>&1 || fail "make install" "$tmp/said"
for file in sbin/portguard share/man/man8/portguard.8 share/man/man7/portguard-rules.7 \
	share/man/man5/portguard.conf.5 share/bash-completion/completions/portguard \
	share/zsh/site-functions/_portguard share/fish/vendor_completions.d/portguard.fish \
	lib/systemd/system/portguard@.service lib/systemd/system/portguard-serve.service \
	lib/portguard/portguard-crowdsec ../etc/fail2ban/action.d/portguard.conf \
	../etc/portguard/portguard.conf ../etc/portguard/rules; do
	if [ -s "$root/usr/$file" ]; then ok; else fail "make install has not installed $file"; fi
done

# Manual pages: no warning, nothing that was to be replaced, every reason and command.
for page in "$root"/usr/share/man/man?/*; do
	name=$(basename "$page")
	if need mandoc; then
		# Other pages are not installed where it looks for them.
		mandoc -Tlint "$page" 2>&1 | grep -vE "referenced manual not found|outdated mandoc.db" >"$tmp/said"
		if [ -s "$tmp/said" ]; then fail "mandoc about $name" "$tmp/said"; else ok; fi
	fi
	if grep -n '^@' "$page" >"$tmp/said"; then fail "$name is not complete" "$tmp/said"; else ok; fi
done
page=$root/usr/share/man/man8/portguard.8
for word in $(sed -n 's/^\tX([A-Z_0-9]*, "\([a-z0-9-]*\)",.*/\1/p' include/pg_names.h |
	sed '/^generic$/,$d'); do
	if grep -q "^\.It Cm .&$word\$" "$page"; then ok; else fail "portguard(8) lacks the reason $word"; fi
done
for command in $("$portguard" help | awk '/^  [a-z][a-z-]+  / { print $1 }'); do
	if grep -q "^\.Ss $command\$" "$page"; then ok; else fail "portguard(8) lacks $command"; fi
done

# Configuration that is there stays.
echo "# mine" >"$root/etc/portguard/rules"
make -s --no-print-directory install DESTDIR="$root" PREFIX=/usr >"$tmp/said" 2>&1
if [ "$(cat "$root/etc/portguard/rules")" = "# mine" ]; then ok; else fail "make install overwrites rules"; fi
check "the policy that is installed is not valid" \
	sh -c "PORTGUARD_CONFIG= '$portguard' restore --test <packaging/rules"

# Units. What they start is at the places of the root above.
if need systemd-analyze; then
	for unit in portguard@eth0 portguard-serve; do
		file=$root/usr/lib/systemd/system/${unit/eth0/}.service
		cp "$file" "$tmp/$unit.service"
		sed -i "s|/usr/sbin/portguard|$portguard|" "$tmp/$unit.service"
		# man:portguard(8) is not found here; some machines have no manager to ask.
		systemd-analyze --man=no verify "$tmp/$unit.service" >"$tmp/said" 2>&1
		if grep -F "$unit" "$tmp/said" >"$tmp/about"; then fail "$unit" "$tmp/about"; else ok; fi
	done
	exposure=$(systemd-analyze --offline=true security "$tmp/portguard-serve.service" 2>"$tmp/said" |
		sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
	if [ -n "$exposure" ] && awk "BEGIN { exit !($exposure < 4) }"; then ok; else
		fail "portguard-serve's exposure is ${exposure:-not known}" "$tmp/said"
	fi
	if grep -q '^ExecStop' "$root/usr/lib/systemd/system/portguard@.service"; then
		fail "stopping portguard@.service would open the interface"
	else
		ok
	fi
fi

# What packages are built of is what deps.sh knows.
sed -n 's/^\tbuild  lib   [^ ]* *//p' packaging/deps.sh >"$tmp/libs"
while read -r debian fedora; do
	grep -qE "^[ :A-Za-z-]*\b$debian\b" packaging/debian/control && ok || fail "debian/control lacks $debian"
	grep -q "^BuildRequires: *$fedora\b" packaging/portguard.spec && ok || fail "portguard.spec lacks $fedora"
done <"$tmp/libs"

if need rpmspec rpmbuild; then
	rpmspec -P packaging/portguard.spec >/dev/null 2>"$tmp/said" && ok || fail "rpmspec" "$tmp/said"
	version=$(sed -n 's/^VERSION := //p' Makefile)
	grep -qx "Version: *$version" packaging/portguard.spec && ok || fail "the spec's version"
	# With what is built already, so that it is not built anew, and with Fedora's macros where others lack them.
	mkdir -p "$tmp/rpm/SOURCES"
	tar -cf "$tmp/rpm/SOURCES/portguard-$version.tar.gz" --transform "s|^|portguard-$version/|" \
		$(git ls-files 2>/dev/null || ls -d [!.]*) portguard .output/user .output/man .output/completion \
		.output/flags .output/portguard.* .output/web.*
	rpmbuild -ba --nodeps --define "_topdir $tmp/rpm" --define '_unitdir /usr/lib/systemd/system' \
		--define '_docdir /usr/share/doc' --define 'debug_package %{nil}' \
		--define '_source_payload w1.gzdio' --define '_binary_payload w1.gzdio' --define "build_cflags ${CFLAGS:--O2 -g}" \
		--define "build_ldflags ${LDFLAGS:-%{nil\}}" --define 'systemd_post() systemctl preset %*' \
		--define 'systemd_preun() systemctl disable --now %*' --define 'systemd_postun() systemctl daemon-reload' \
		packaging/portguard.spec >"$tmp/said" 2>&1 && ls "$tmp"/rpm/SRPMS/*.src.rpm >/dev/null && ok ||
		fail "rpmbuild" "$tmp/said"
	rpm -qp --qf '[%{FILENAMES} %{FILEMODES:perms} %{FILEFLAGS:fflags}\n]' "$tmp"/rpm/RPMS/*/portguard-*.rpm |
		sed -E 's|(/man/.*)\.gz |\1 |' | sort >"$tmp/has"
	(cd "$root" && find . -type f) | sed 's/^.//' | sort >"$tmp/installed"
	check "the RPM has other files than make install" \
		diff "$tmp/installed" <(awk '$2 ~ /^-/ && !/licenses/ { print $1 }' "$tmp/has")
	check "the RPM's configuration is not overwritten" test "$(grep -c ' cn$' "$tmp/has")" = 3
	check "the RPM detaches when it is removed" \
		bash -c "rpm -qp --scripts '$tmp'/rpm/RPMS/*/portguard-*.rpm 2>&1 | grep -q 'detach --all' ||
			echo it does not"
fi

make -s --no-print-directory uninstall DESTDIR="$root" PREFIX=/usr
(cd "$root" && find . -type f | sort) >"$tmp/said"
if [ "$(tr '\n' ' ' <"$tmp/said")" = "./etc/portguard/portguard.conf ./etc/portguard/rules " ]; then ok; else
	fail "make uninstall leaves" "$tmp/said"
fi

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What portguard needs from the distribution, and whether it is there.
#   deps.sh check GROUP…   name everything that is missing, with the package that brings it
#   deps.sh install GROUP… install what is missing of them (apt-get, or dnf); sudo if need be
#   deps.sh bpftool|clang  print which one to use
#
# Groups: build (make), test (make check, make test), demo (make demo), bench (the filters that
# make bench compares with; it goes on without those that are missing), pack (tests/packaging.sh,
# make deb, make lint-code, tests/vm/units.sh: a test that lacks one of them is skipped).
set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

MIN_CLANG=14
MIN_LIBBPF=1.1

# group  kind  what            Debian package      Fedora package
table() {
	cat <<-ROWS
	build  cc    -               gcc                 gcc
	build  clang -               clang               clang
	build  bpft  -               bpftool             bpftool
	build  cmd   awk             mawk                gawk
	build  cmd   pkg-config      pkg-config          pkgconf-pkg-config
	build  file  stdio.h         libc6-dev           glibc-devel
	build  file  linux/bpf.h     linux-libc-dev      kernel-headers
	build  lib   libbpf          libbpf-dev          libbpf-devel
	build  lib   libelf          libelf-dev          elfutils-libelf-devel
	build  lib   zlib            zlib1g-dev          zlib-devel
	build  lib   libpcap         libpcap-dev         libpcap-devel
	build  lib   json-c          libjson-c-dev       json-c-devel
	build  lib   libmnl          libmnl-dev          libmnl-devel
	build  lib   libconfuse      libconfuse-dev      libconfuse-devel
	build  lib   libmicrohttpd   libmicrohttpd-dev   libmicrohttpd-devel
	build  lib   libseccomp      libseccomp-dev      libseccomp-devel
	build  lib   libcap          libcap-dev          libcap-devel
	build  lib   ncursesw        libncurses-dev      ncurses-devel
	test   lib   libxdp          libxdp-dev          libxdp-devel
	test   lib   cmocka          libcmocka-dev       libcmocka-devel
	test   cmd   clang-19        clang-19            clang19
	test   fuzz  -               libclang-rt-dev     compiler-rt
	test   file  /etc/services   netbase             setup
	test   file  /etc/protocols  netbase             setup
	test   cmd   bash            bash                bash
	test   cmd   diff            diffutils           diffutils
	test   cmd   ip              iproute2            iproute
	test   cmd   ss              iproute2            iproute
	test   cmd   sysctl          procps              procps-ng
	test   cmd   flock           util-linux          util-linux-core
	test   cmd   setpriv         util-linux          util-linux-core
	test   cmd   nsenter         util-linux          util-linux-core
	test   cmd   mount           mount               util-linux-core
	test   cmd   ethtool         ethtool             ethtool
	test   cmd   jq              jq                  jq
	test   cmd   python3         python3             python3
	test   cmd   tshark          tshark              wireshark-cli
	test   cmd   tcpdump         tcpdump             tcpdump
	test   cmd   nc              netcat-openbsd      netcat
	test   cmd   iperf3          iperf3              iperf3
	test   cmd   wrk             wrk                 wrk
	test   cmd   iptables-legacy iptables            iptables-legacy
	test   cmd   conntrack       conntrack           conntrack-tools
	test   cmd   ipset           ipset               ipset
	test   cmd   curl            curl                curl
	test   cmd   dig             bind9-dnsutils      bind-utils
	test   cmd   dnsmasq         dnsmasq-base        dnsmasq
	test   cmd   udhcpc          udhcpc              busybox
	test   cmd   nginx           nginx               nginx-core
	test   cmd   nmap            nmap                nmap
	pack   cmd   fish            fish                fish
	pack   cmd   zsh             zsh                 zsh
	pack   cmd   mandoc          mandoc              mandoc
	pack   cmd   systemd-analyze systemd             systemd
	pack   cmd   dh              debhelper           debhelper
	pack   cmd   dpkg-buildpackage dpkg-dev          dpkg-dev
	pack   cmd   lintian         lintian             lintian
	pack   cmd   rpmbuild        rpm                 rpm-build
	pack   cmd   fail2ban-client fail2ban            fail2ban-server
	pack   cmd   clang-tidy      clang-tidy          clang-tools-extra
	pack   cmd   cppcheck        cppcheck            cppcheck
	pack   cmd   shellcheck      shellcheck          ShellCheck
	pack   cmd   valgrind        valgrind            valgrind
	pack   cmd   xdp-loader      xdp-tools           xdp-tools
	pack   cmd   mke2fs          e2fsprogs           e2fsprogs
	pack   cmd   mmdebstrap      mmdebstrap          mmdebstrap
	test   cmd   openssl         openssl             openssl
	test   cmd   setpriv         util-linux          util-linux-core
	test   cmd   pgrep           procps              procps-ng
	test   cmd   promtool        prometheus          golang-github-prometheus
	test   cmd   node            nodejs              nodejs
	test   cmd   npm             npm                 nodejs-npm
	test   cmd   chromium        chromium            chromium
	test   file  /usr/share/fonts/*/[Dd]eja[Vv]u* fonts-dejavu-core dejavu-sans-fonts
	test   cmd   qemu-system-x86_64 qemu-system-x86  qemu-system-x86-core
	test   file  /bin/busybox    busybox-static      busybox
	test   cmd   cpio            cpio                cpio
	test   cmd   modprobe        kmod                kmod
	test   cmd   gpgv            gpgv                gnupg2
	test   cmd   xz              xz-utils            xz
	test   cmd   strip           binutils            binutils
	bench  cmd   ip              iproute2            iproute
	bench  cmd   xdp-filter      xdp-tools           xdp-tools
	bench  cmd   nft             nftables            nftables
	test   cmd   nft             nftables            nftables
	test   cmd   perl            perl-base           perl-interpreter
	bench  cmd   iptables-legacy iptables            iptables-legacy
	bench  cmd   gnuplot         gnuplot-nox         gnuplot-minimal
	test   cmd   gnuplot         gnuplot-nox         gnuplot-minimal
	test   cmd   ping            iputils-ping        iputils
	test   cmd   tmux            tmux                tmux
	demo   cmd   ip              iproute2            iproute
	demo   cmd   sysctl          procps              procps-ng
	demo   cmd   nsenter         util-linux          util-linux-core
	demo   cmd   mount           mount               util-linux-core
	demo   cmd   ethtool         ethtool             ethtool
	demo   cmd   openssl         openssl             openssl
	demo   cmd   curl            curl                curl
	demo   cmd   nginx           nginx               nginx-core
	demo   cmd   nmap            nmap                nmap
	demo   cmd   dig             bind9-dnsutils      bind-utils
	demo   cmd   dnsmasq         dnsmasq-base        dnsmasq
	demo   cmd   ssh             openssh-client      openssh-clients
	demo   cmd   sshd            openssh-server      openssh-server
	ROWS
}

# $1 at least $2, as versions
at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# The first number with a dot that a tool says of itself.
version_of() {
	"$@" 2>/dev/null | grep -oE '[0-9]+\.[0-9.]*[0-9]' | head -n 1
}

# Debian and Ubuntu also install clang-14 without installing clang.
find_clang() {
	local c

	for c in "${CLANG:-clang}" $(compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -urV); do
		command -v "$c" >/dev/null && at_least "$(version_of "$c" --version)" $MIN_CLANG &&
			echo "$c" && return
	done
	echo "${CLANG:-clang}"
}

# A wrapper (Ubuntu's) may stand for a bpftool that is not there, so it is asked for its version.
find_bpftool() {
	local c

	for c in "${BPFTOOL:-bpftool}" /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool; do
		[ -n "$(version_of "$c" version)" ] && command -v "$c" && return
	done
	command -v "${BPFTOOL:-bpftool}" || echo "${BPFTOOL:-bpftool}"
}

# Where the C compiler looks for headers: of several architectures on Debian.
header_exists() {
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) [ -e "/usr/include/$1" ] || compgen -G "/usr/include/*/$1" >/dev/null ;;
	esac
}

# problem KIND WHAT: what is wrong, nothing if all is well
problem() {
	local tool version

	case $1 in
	cmd) command -v "$2" >/dev/null || echo "$2" ;;
	file) header_exists "$2" || echo "$2" ;;
	cc)
		# CC may be a command with options.
		tool=${CC:-gcc}
		command -v "${tool%% *}" >/dev/null || echo "a C compiler (${tool%% *})"
		;;
	clang)
		tool=$(find_clang)
		version=$(version_of "$tool" --version)
		if ! command -v "$tool" >/dev/null; then
			echo "clang $MIN_CLANG or newer"
		elif ! at_least "${version:-0}" $MIN_CLANG; then
			echo "clang $MIN_CLANG or newer (found ${version:-no version} as $tool)"
		fi
		;;
	fuzz)
		echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
			"$(find_clang)" -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null ||
			echo "clang's libraries for fuzzing"
		;;
	bpft)
		tool=$(find_bpftool)
		if ! command -v "$tool" >/dev/null; then
			echo "bpftool"
		elif [ -z "$(version_of "$tool" version)" ]; then
			echo "bpftool (found $tool, which does not run)"
		fi
		;;
	lib)
		tool=${PKG_CONFIG:-pkg-config}
		version=$("$tool" --modversion "$2" 2>/dev/null)
		if [ -z "$version" ]; then
			echo "$2 with its headers"
		elif [ "$2" = libbpf ] && ! at_least "$version" $MIN_LIBBPF; then
			echo "libbpf $MIN_LIBBPF or newer (found $version)"
		fi
		;;
	esac
}

# missing GROUP…: lines "what<TAB>debian<TAB>fedora"
missing() {
	local group kind what debian fedora said

	table | while read -r group kind what debian fedora; do
		case " $* " in
		*" $group "*) ;;
		*) continue ;;
		esac
		said=$(problem "$kind" "$what")
		[ -z "$said" ] || printf '%s\t%s\t%s\n' "$said" "$debian" "$fedora"
	done | awk '!seen[$0]++'
}

check() {
	local list

	list=$(missing "$@")
	[ -z "$list" ] && return 0
	{
		echo "portguard: missing here, with the package that brings it:"
		{
			printf 'WHAT\tDEBIAN, UBUNTU\tFEDORA\n'
			echo "$list"
		} | awk -F'\t' '{ printf "  %-44s  %-16s  %s\n", $1, $2, $3 }'
		echo "Install all of them with: make $([ "$*" = bench ] && echo deps-bench || echo deps)"
	} >&2
	return 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "portguard: cannot install packages: neither root nor sudo; would run: $*" >&2
		return 1
	fi
}

# Both run in a root shell. Debian starts the daemons of what it installs; the demo and the tests
# want the programs alone. A policy-rc.d that says 101 keeps them down; one that is there already is
# the machine owner's and stays as it is.
# shellcheck disable=SC2016
APT_INSTALL='
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] && [ ! -L $policy ]; then
	trap "rm -f $policy" EXIT
	trap "exit 1" HUP INT TERM
	printf "#!/bin/sh\nexit 101\n" >$policy && chmod 755 $policy || exit
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
set -- -y -q -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
apt-get update -q || echo "portguard: going on with the package lists as they are"
apt-get "$@"
'
# Nor shall they start with the next boot, only because somebody tried a packet filter.
# shellcheck disable=SC2016
DISABLE='
for unit in "$@"; do
	if command -v systemctl >/dev/null; then
		systemctl disable "$unit" >/dev/null 2>&1
	elif command -v update-rc.d >/dev/null; then
		update-rc.d "${unit%.*}" disable >/dev/null 2>&1
	fi
done
true'

# units LIST: services that the missing commands bring along
units() {
	grep -q '^nginx	' <<<"$1" && echo nginx.service
	grep -q '^fail2ban-client	' <<<"$1" && echo fail2ban.service
	grep -q '^promtool	' <<<"$1" && echo prometheus.service
	grep -q '^sshd	' <<<"$1" && echo ssh.service ssh.socket sshd.service
}

# install_missing GROUP…
install_missing() {
	local list packages daemons

	list=$(missing "$@")
	if [ -z "$list" ]; then
		echo "portguard: all tools and libraries are there"
		return 0
	fi
	if command -v apt-get >/dev/null; then
		packages=$(cut -f2 <<<"$list" | sort -u | xargs)
		echo "portguard: installing $packages"
		# shellcheck disable=SC2086 # names are words
		as_root sh -c "$APT_INSTALL" sh $packages || return
	elif command -v dnf >/dev/null; then
		packages=$(cut -f3 <<<"$list" | sort -u | xargs)
		echo "portguard: installing $packages"
		# shellcheck disable=SC2086
		as_root dnf install -y --setopt=install_weak_deps=False $packages || return
	else
		check "$@"
		echo "portguard: neither apt-get nor dnf here: please install these yourself" >&2
		return 1
	fi
	daemons=$(units "$list" | xargs)
	if [ -n "$daemons" ]; then
		# shellcheck disable=SC2086
		as_root sh -c "$DISABLE" sh $daemons
		echo "portguard: not enabled, because only the programs are needed: $daemons"
	fi
	hash -r
	check "$@"
}

case ${1:-} in
check) shift && check "$@" ;;
install) shift && install_missing "$@" ;;
clang) find_clang ;;
bpftool) find_bpftool ;;
*)
	echo "usage: deps.sh check GROUP… | install GROUP… | clang | bpftool" >&2
	exit 2
	;;
esac

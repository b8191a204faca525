#!/usr/bin/env bash
# What reaches those who install the program or build on it: run.sh SOURCE_TREE FAKE_APPSERVER
#
# The tree, committed or not, is packed as a release. Everything after that works on the unpacked archive alone, where
# calling git, npm or node fails: bootstrap installs it, a program is built on the installed library and another one on
# the archive as a meson subproject. Each case is a function; its output is shown when it fails.
# shellcheck disable=SC2317 # the cases are called by name
set -uo pipefail

root=$1
fake=$(realpath "$2")
program=codex-control-plane-mcp
work=$(mktemp -d "${TMPDIR:-/tmp}/codexcp-install-XXXXXX")
tree=$work/tree
source=$work/source
prefix=$work/prefix
number=0
status=0

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
unset DESTDIR PKG_CONFIG_PATH MALLOC_PERTURB_

# run_case NAME FUNCTION
run_case() {
	local result

	# Not as a condition: there `set -e` would not count.
	(
		set -e
		cd "$work"
		"$2"
	) >"$work/log" 2>&1
	result=$?
	number=$((number + 1))
	if [ "$result" -eq 0 ]; then
		printf 'ok %d - %s\n' "$number" "$1"
		return
	fi
	status=1
	printf 'not ok %d - %s\n  ---\n' "$number" "$1"
	tail -n 30 "$work/log" | sed 's/^/  /'
	printf '  ...\n'
	return 1
}

# skip_case NAME REASON
skip_case() {
	number=$((number + 1))
	printf 'ok %d - %s # SKIP %s\n' "$number" "$1" "$2"
}

expect() {
	if [ "$2" != "$3" ]; then
		printf '%s: expected "%s", got "%s"\n' "$1" "$2" "$3"
		return 1
	fi
}

# --- the archive ---------------------------------------------------------------------------------

# copy_tree DIR: the sources, committed or not, without what was built or fetched
copy_tree() {
	mkdir "$1"
	tar -C "$root" --exclude=./.git --exclude='./build*' --exclude=./tests/node_modules -cf - . | tar -C "$1" -xf -
}

make_archive() {
	local archives

	mkdir "$source"
	copy_tree "$tree"
	cd "$tree"
	git init -q .
	git add --all
	git -c user.name=test -c user.email=test@localhost commit -q -m release
	meson setup "$work/dist" -Dtests=false
	meson dist -C "$work/dist" --no-tests --formats gztar
	archives=("$work"/dist/meson-dist/*.tar.gz)
	expect archives 1 "${#archives[@]}"
	tar -C "$source" --strip-components=1 -xzf "${archives[0]}"
	[ -x "$source/bootstrap" ]
	[ ! -e "$source/.git" ]
	[ -f "$source/subprojects/jansson.wrap" ]
	[ -f "$source/subprojects/packagefiles/jansson/meson.build" ]
}

# From here on these programs are not there for anybody; who calls them is written down.
take_away() {
	local name

	mkdir "$work/gone"
	for name in git npm node; do
		printf '#!/bin/sh\necho %s >>"%s/called"\nexit 127\n' "$name" "$work" >"$work/gone/$name"
		chmod +x "$work/gone/$name"
	done
	PATH=$work/gone:$PATH
}

test_in_archive() {
	meson setup unit "$source" --buildtype=plain
	meson test -C unit unit-field | tee unit.log
	grep -Eq '^Ok: +1 *$' unit.log
}

# A system with a shell and little else: everything that is missing is named at once, and nothing is done.
without_apt() {
	local bare=$work/bare tool

	mkdir "$bare"
	for tool in bash env dirname cat grep rm mktemp id; do
		ln -s "$(command -v "$tool")" "$bare/$tool"
	done
	! env PATH="$bare" "$source/bootstrap" demo >bare.log 2>&1 || return 1
	cat bare.log
	[ "$(wc -l <bare.log)" -eq 1 ]
	for tool in build-essential meson libsqlite3-dev libjansson-dev libuv1-dev nodejs npm; do
		grep -q " $tool\\b" bare.log || return 1
	done
}

nothing_called() {
	[ ! -e called ] || { cat called; return 1; }
}

# --- the installed tree --------------------------------------------------------------------------

install() {
	"$source/bootstrap" install --prefix "$prefix" | tee install.log
	grep -q "^Next: add $prefix/bin to PATH" install.log
}

# has_link NAME TARGET
has_link() {
	expect "link $1" "$2" "$(readlink "$prefix/bin/$1")"
}

programs() {
	local name version

	version=$(pkg-config --modversion codexcp)
	has_link "$program-worker" "$program"
	has_link openclaw-codex-mcp "$program"
	has_link openclaw-codex-mcp-worker "$program"
	has_link openclaw-codex-mcp-hooks "$program-hooks"
	for name in "$program" "$program-admin" "$program-hooks" openclaw-codex-mcp openclaw-codex-mcp-hooks; do
		"$prefix/bin/$name" --help >/dev/null
		"$prefix/bin/$name" --version | grep -F "$version"
	done
	"$prefix/bin/$program-worker" --help | grep -e --observe
}

library() {
	expect link libcodexcp.so.0 "$(readlink "$libdir/libcodexcp.so")"
	readelf -d "$libdir/libcodexcp.so" | grep -F 'Library soname: [libcodexcp.so.0]'
	nm -D --defined-only "$libdir/libcodexcp.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >exported
	sed -n 's/^\t\(codexcp_[a-z_]*\);$/\1/p' "$source/libcodexcp/codexcp.sym" | sort >wanted
	[ -s wanted ]
	diff wanted exported
}

headers() {
	local header name flags

	flags=$(pkg-config --cflags codexcp)
	for header in "$source"/libcodexcp/include/codexcp/*.h; do
		name=${header##*/}
		cmp "$header" "$prefix/include/codexcp/$name"
		# shellcheck disable=SC2086 # one word a flag
		printf '#include <codexcp/%s>\nint main(void) { return 0; }\n' "$name" |
			${CC:-cc} -x c -std=c17 -pedantic -Wall -Wextra -Werror $flags \
				-fsyntax-only -
	done
}

# Nothing of the tests or of the static layers, nothing that others may write, nothing secret that is not readable.
modes() {
	find "$prefix" -name '*fake*' -o -name 'test_*' -o -name '*.a' -o -type f -perm /022 -o -type d ! -perm 755 \
		-o -type f ! -perm -444 -o -path '*/bin/*' -type f ! -perm 755 -o -name '*.h' ! -perm 644 >wrong
	expect 'wrong files' '' "$(cat wrong)"
}

# --- the example, on the installed library -------------------------------------------------------

compile_example() {
	# shellcheck disable=SC2046 # one word a flag
	${CC:-cc} -std=c17 -Wall -Wextra -Werror "$source/docs/examples/submit.c" \
		$(pkg-config --cflags --libs codexcp) -o submit
	LD_LIBRARY_PATH=$libdir ldd submit | grep -F "libcodexcp.so.0 => $libdir/"
}

# in_state NAME COMMAND...: with a state, a log of the fake Codex and little else from outside
in_state() {
	local state=$work/$1

	shift
	mkdir -p "$state/project"
	env -i PATH="$PATH" HOME="$state" LD_LIBRARY_PATH="$libdir" REQUEST_ID=first \
		CODEX_BINARY_PATH="$fake" CODEX_HOME="$state/codex" CODEX_ALLOWED_ROOTS="$state/project" \
		CODEX_MCP_STATE_DB="$state/private/state.sqlite3" CODEX_MCP_WORKER_IDLE_SECONDS=1 \
		CCP_FAKE_LOG="$state/fake.log" "$@"
}

# submit NAME [VARIABLE=VALUE]: runs the example there, twice; the second one finds the operation of the first
submit() {
	local name=$1 first second

	first=$(in_state "$@" "$work/submit" "$work/$name/project" "Say hello.")
	second=$(in_state "$@" "$work/submit" "$work/$name/project" "Say hello.")
	head -n 1 <<<"$first" | grep -Ex 'operation [0-9a-f-]{36}'
	expect report $'completed\nfake report: Say hello.' "$(tail -n +2 <<<"$first")"
	expect 'second time' "$first" "$second"
	expect 'turns started' 1 "$(grep -c '^turn/start ' "$work/$name/fake.log")"
}

example_inline() {
	submit inline CODEXCP_INLINE=1
	expect 'worker' '' "$(worker_pid inline)"
}

# The worker's pid, as the installed server tells it; nothing without a worker.
worker_pid() {
	printf '%s\n' \
		'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"install","version":"1"}}}' \
		'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"codex_health_summary","arguments":{}}}' |
		in_state "$1" "$prefix/bin/$program" |
		sed -n 's/.*"structuredContent":.*"worker":{[^}]*"status":"running","pid":\([0-9]*\).*/\1/p'
}

is_worker() {
	[ "$(readlink "/proc/$1/exe")" = "$prefix/bin/$program" ]
}

example_worker() {
	local pid

	submit worker "CODEXCP_WORKER=$prefix/bin/$program"
	pid=$(worker_pid worker)
	is_worker "$pid"
	# It has outlived the example and leaves when it is idle.
	timeout 30 tail --pid="$pid" -s 0.1 -f /dev/null
}

# --- the archive as a subproject -----------------------------------------------------------------

subproject() {
	cp -r "$source/tests/install/embedder" .
	mkdir embedder/subprojects
	ln -s "$source" embedder/subprojects/codexcp
	meson setup embedder/build embedder --force-fallback-for=codexcp
	ninja -C embedder/build
	expect output "$(pkg-config --modversion codexcp) 1" "$(embedder/build/embedder)"
	[ ! -e embedder/build/subprojects/codexcp/tests ]
}

# A case that failed may have left its worker.
stop_worker() {
	local pid

	pid=$(worker_pid "$1" 2>/dev/null)
	! is_worker "$pid" || kill "$pid"
}

cleanup() {
	if [ "$status" -ne 0 ] && [ -x "$prefix/bin/$program" ]; then
		stop_worker inline
		stop_worker worker
	fi
	rm -rf "$work"
}
trap cleanup EXIT

echo 'TAP version 13'
echo 1..13
if command -v git >/dev/null; then
	run_case 'meson dist makes an archive' make_archive
else
	skip_case 'meson dist makes an archive' 'git is not installed'
	copy_tree "$source"
fi
take_away
if ! run_case 'bootstrap installs what the archive holds' install; then
	echo 'Bail out! Nothing is installed.'
	exit 1
fi
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name codexcp.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir codexcp)
run_case 'programs and their other names' programs
run_case 'the library exports its interface and no more' library
run_case 'each header is installed and stands alone' headers
run_case 'nothing else is installed, and modes are sane' modes
run_case 'the example builds on the installed library' compile_example
run_case 'the example runs a task inline, once' example_inline
run_case 'the example runs a task in the installed worker, once' example_worker
run_case 'the archive serves as a meson subproject' subproject
run_case 'the archive builds and runs a unit test' test_in_archive
run_case 'without apt bootstrap names all that is missing and stops' without_apt
run_case 'git, npm and node were not called' nothing_called
exit "$status"

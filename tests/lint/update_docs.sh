#!/usr/bin/env bash
# Writes the pages of docs/ that are printed from the program's tables: update_docs.sh [BUILD_DIR]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
node=$root/tests/node_modules/.bin/node
[ -x "$node" ] || node=node
exec "$node" "$root/tests/lint/lint.mjs" pages --build "${1:-$root/build}" --update

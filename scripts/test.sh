#!/bin/sh
# The whole check: types, lint with import arrows, unit tests, build, end-to-end tests against the built programs.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --for test
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
echo "==> Types"; npm run -s typecheck
echo "==> Lint and import arrows"; npm run -s lint
echo "==> Build"; npm run -s build
echo "==> Tests"; sh scripts/plain-shell.sh vitest run "$@"

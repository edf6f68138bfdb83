#!/bin/sh
# Brings a bare checkout to a state in which the commands of the README work. Says what it does; does nothing twice.
#   setup.sh [--for quickstart|test|bench]
set -eu
cd "$(dirname "$0")/.."
purpose=quickstart
[ "${1:-}" = --for ] && purpose=$2

packages=""
need() { # need COMMAND PACKAGE: the Debian package is installed when the command is missing
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || packages="$packages $2"
}
need setpriv util-linux
need make make
need g++ g++
need python3 python3
if [ "$purpose" != quickstart ]; then
  need ssh openssh-client; need sshd openssh-server; need dbclient dropbear-bin; need plink putty-tools
  need ssh-audit ssh-audit; need oathtool oathtool; need tmux tmux; need vim.tiny vim-tiny; need openssl openssl; need ip iproute2
  need asciinema asciinema; need zstd zstd; need Xvfb xvfb; need xauth xauth; need xdpyinfo x11-utils; need rsync rsync; need git git
  need sshfs sshfs; need ansible-playbook ansible-core; need strace strace; need chromium chromium
  python3 -c 'import paramiko' 2>/dev/null || /usr/bin/python3 -c 'import paramiko' 2>/dev/null || packages="$packages python3-paramiko"
fi
if [ -n "$packages" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "==> Installing Debian packages:$packages"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  else
    echo "Missing:$packages. Install them (Debian: apt-get install$packages) and run this again." >&2
    exit 1
  fi
fi

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "==> Installing npm packages (npm ci)"
  # With the machine's own Node.js: the one in node_modules is about to be replaced, and npm has been seen to misread the lock file with it.
  PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -sd: -)
  export PATH
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

if [ "$purpose" != quickstart ]; then sh scripts/fetch-openssh10.sh; fi

#!/bin/sh
# Runs a command under which login shells find the home of somebody who has just got an account: what somebody's .bashrc does is not what is
# tested, and may take longer than the test; nor does a test leave its history there. In a mount namespace of its own, so that nobody else
# sees it; as it is where there is no right to that.
#   plain-shell.sh COMMAND [ARGUMENTS]
set -eu
# Of the account, as sessions have it, whatever HOME is.
home=$(getent passwd "$(id -u)" | cut -d: -f6)
if [ ! -d "$home" ] || [ "$home" = / ] || ! unshare --mount true 2>/dev/null; then exec "$@"; fi
# shellcheck disable=SC2016 # Expanded by the inner shell.
exec unshare --mount sh -euc '
  home=$1
  shift
  case "$PWD/" in
    "$home"/*)
      # What is tested lies in the home: then only what shells read there is out of sight.
      for name in .bashrc .bash_profile .bash_login .profile .zshenv .zshrc .zprofile .kshrc; do
        [ ! -e "$home/$name" ] || mount --bind /dev/null "$home/$name"
      done
      ;;
    # A whole directory: a file that is written anew by somebody else loses what was mounted on it.
    *) mount -t tmpfs -o mode=700 tmpfs "$home" ;;
  esac
  exec "$@"' sh "$home" "$@"

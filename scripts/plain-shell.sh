#!/bin/sh
# Runs a command under which login shells find the home of somebody who has just got an account: what somebody's .bashrc does is not what is
# tested, and may take longer than the test; nor does a test leave its history there. In a mount namespace of its own, so that nobody else
# sees it; as it is where there is no right to that.
#   plain-shell.sh COMMAND [ARGUMENTS]
set -eu
# Of the account, as sessions have it, whatever HOME is.
home=$(getent passwd "$(id -u)" | cut -d: -f6)
if [ -d "$home" ] && [ "$home" != / ] && unshare --mount true 2>/dev/null; then
  case "$PWD/" in
    "$home"/*)
      # What is tested lies in the home: then only what shells read there is out of sight.
      files=""
      for name in .bashrc .bash_profile .bash_login .profile .zshenv .zshrc .zprofile .kshrc; do
        [ -e "$home/$name" ] && files="$files $name"
      done
      # shellcheck disable=SC2016 # Expanded by the inner shell.
      hide='for name in $PLAIN_SHELL_FILES; do mount --bind /dev/null "$PLAIN_SHELL_HOME/$name" || exit 1; done'
      ;;
    *)
      files=""
      # A whole directory: a file that is written anew by somebody else loses what was mounted on it.
      # shellcheck disable=SC2016 # Expanded by the inner shell.
      hide='mount -t tmpfs -o mode=700 tmpfs "$PLAIN_SHELL_HOME" || exit 1'
      ;;
  esac
  export PLAIN_SHELL_FILES="$files" PLAIN_SHELL_HOME="$home"
  exec unshare --mount sh -c "$hide"'; unset PLAIN_SHELL_FILES PLAIN_SHELL_HOME; exec "$@"' sh "$@"
fi
exec "$@"

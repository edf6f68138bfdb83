#!/bin/sh
# Runs a command under which login shells find no start-up files of the user: what somebody's .bashrc does is not what is tested, and may
# take longer than the test. In a mount namespace of its own, so that nobody else sees it; as it is where there is no right to that.
#   plain-shell.sh COMMAND [ARGUMENTS]
set -eu
files=""
for name in .bashrc .bash_profile .bash_login .profile .zshenv .zshrc .zprofile .kshrc; do
  [ -e "$HOME/$name" ] && files="$files $name"
done
if [ -n "$files" ] && unshare --mount true 2>/dev/null; then
  export PLAIN_SHELL_FILES="$files"
  # shellcheck disable=SC2016 # Expanded by the inner shell.
  exec unshare --mount sh -c 'for name in $PLAIN_SHELL_FILES; do mount --bind /dev/null "$HOME/$name" || exit 1; done; unset PLAIN_SHELL_FILES; exec "$@"' sh "$@"
fi
exec "$@"

#!/bin/sh
# Unpacks OpenSSH 10 from Debian's backports below .tools/openssh10, for tests: it negotiates ML-KEM first. The system's own apt
# configuration and packages stay as they are. Prints nothing when it is there already.
set -eu
cd "$(dirname "$0")/.."
target=$PWD/.tools/openssh10
[ -x "$target/usr/bin/ssh" ] && [ -x "$target/usr/sbin/sshd" ] && exit 0

echo "==> Unpacking OpenSSH 10 for tests into .tools/openssh10"
apt=$PWD/.tools/apt
rm -rf "$target.new"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/debs" "$target.new"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
{
  echo "deb [signed-by=$keyring] $mirror bookworm-backports main"
  echo "deb [signed-by=$keyring] $mirror bookworm main"
} > "$apt/sources.list"
options="-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$apt/lists
  -o Dir::Cache=$apt -o Dir::Cache::archives=$apt/archives -o APT::Sandbox::User=root -o Acquire::Languages=none"
apt-get $options -qq update
packages="openssh-client openssh-server openssh-sftp-server"
# Libraries that a minimal system lacks; the loader finds them through LD_LIBRARY_PATH in the wrappers below.
libraries="libfido2-1 libcbor0.8 libwtmpdb0 libwrap0"
(
  cd "$apt/debs"
  apt-get $options -qq download $(for package in $packages; do echo "$package/bookworm-backports"; done)
  for library in $libraries; do
    apt-get $options -qq download "$library" 2>/dev/null || true
  done
)
for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$target.new"; done

# Plain names in bin/ run the unpacked programs with the unpacked libraries.
mkdir -p "$target.new/bin"
for program in usr/bin/ssh usr/bin/ssh-keygen usr/bin/ssh-add usr/bin/ssh-agent usr/bin/ssh-keyscan usr/bin/scp usr/bin/sftp usr/sbin/sshd; do
  [ -x "$target.new/$program" ] || continue
  name=$(basename "$program")
  {
    echo '#!/bin/sh'
    echo "LD_LIBRARY_PATH=$target/usr/lib/$(uname -m)-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
    echo 'export LD_LIBRARY_PATH'
    echo "exec $target/$program \"\$@\""
  } > "$target.new/bin/$name"
  chmod 755 "$target.new/bin/$name"
done
rm -rf "$target" "$apt"
mv "$target.new" "$target"

#!/bin/bash
# scripts/unpack-mysql.sh FOLDER: downloads MySQL from Debian's unstable suite (50 MB) and unpacks it, its own C library
# included, into FOLDER/root (270 MB) for TEST_MYSQL_ROOT. On Debian, without root; nothing outside FOLDER changes.
# The programs bear the folder's path: it cannot be moved.
set -euo pipefail
mkdir -p "$1" && folder=$(cd "$1" && pwd) && cd "$folder"
mkdir -p lists/partial cache/archives/partial
# What its dependencies name and mysqld does not use.
printf 'Package: perl\nStatus: install ok installed\nMaintainer: nobody <nobody@localhost>\nArchitecture: %s\nMulti-Arch: allowed\nVersion: 999:1\nDescription: left out\n' "$(dpkg --print-architecture)" > status
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(URI)' | sed -n "s#/dists/$suite/.*##p" | sort -u | head -1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > sources.list
apt-get download -qq patchelf && dpkg-deb -x patchelf_*.deb patchelf # of this machine's own suite
cat > apt.conf <<END
Dir::Etc::sourcelist "$folder/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
Dir::State "$folder"; Dir::State::lists "$folder/lists"; Dir::State::status "$folder/status";
Dir::Cache "$folder/cache"; Dir::Log "$folder"; APT::Sandbox::User ""; Acquire::Languages "none";
END
export APT_CONFIG="$folder/apt.conf"
apt-get update -qq
apt-get install -qq -y --no-install-recommends --download-only mysql-server-core > /dev/null
for archive in cache/archives/*.deb; do dpkg-deb -x "$archive" root; done
loader=$(find "$folder/root" -name 'ld-linux*' -path '*-linux-gnu/*' | head -1)
libraries=$(find "$folder/root" -type d -path '*lib/*-linux-gnu' | paste -sd :)
patchelf/usr/bin/patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" root/usr/sbin/mysqld
rm -rf lists cache patchelf patchelf_*.deb apt.conf sources.list status lock*
root/usr/sbin/mysqld --version

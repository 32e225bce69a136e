#!/bin/bash
# scripts/unpack-server.sh mysql|mariadb|postgres FOLDER: downloads MySQL 9.7 (50 MB, Debian's unstable suite), MariaDB 11.8
# (Debian 13, 17 MB) or PostgreSQL 18 (unstable, 33 MB) and unpacks it, its own C library included, into FOLDER/root for
# TEST_MYSQL_ROOT, TEST_MARIADB_ROOT, TEST_POSTGRES_ROOT. On Debian, without root; nothing outside FOLDER changes.
# Exit 3: this machine has no apt, or its mirror lacks the package. The programs contain the folder's path: do not move it.
set -euo pipefail
product=$1
command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || { echo 'unpack-server.sh: no apt here' >&2 && exit 3; }
mkdir -p "$2" && folder=$(cd "$2" && pwd) && cd "$folder"
# `leave_out`: dependencies that the server does not use; `besides`: downloaded without dependencies.
besides=
case $product in
  mysql) suite=sid packages=mysql-server-core leave_out=perl ;;
  mariadb) suite=trixie packages='mariadb-server-core mariadb-client-core' leave_out=perl besides=mariadb-server ;;
  postgres)
    suite=sid packages='postgresql-18 postgresql-client-18'
    leave_out='perl locales postgresql-common postgresql-client-common ssl-cert tzdata debconf sensible-utils adduser libllvm19 libllvm21'
    ;;
  *) echo "unpack-server.sh: $product is none of mysql, mariadb, postgres" >&2 && exit 2 ;;
esac
mkdir -p lists/partial cache/archives/partial
for package in $leave_out; do
  printf 'Package: %s\nStatus: install ok installed\nMaintainer: nobody <nobody@localhost>\nArchitecture: %s\nMulti-Arch: allowed\nVersion: 999:1\nDescription: left out\n\n' \
    "$package" "$(dpkg --print-architecture)"
done > status
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(URI)' | sed -n "s#/dists/$own/.*##p" | sort -u | head -1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > sources.list
apt-get download -qq patchelf && dpkg-deb -x patchelf_*.deb patchelf # of this machine's own suite
cat > apt.conf <<END
Dir::Etc::sourcelist "$folder/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
Dir::State "$folder"; Dir::State::lists "$folder/lists"; Dir::State::status "$folder/status";
Dir::Cache "$folder/cache"; Dir::Log "$folder"; APT::Sandbox::User ""; Acquire::Languages "none";
END
export APT_CONFIG="$folder/apt.conf"
if ! apt-get update -qq || ! apt-cache show $packages $besides > /dev/null 2>&1; then
  echo "unpack-server.sh: $mirror has no $packages in $suite" >&2
  exit 3
fi
apt-get install -qq -y --no-install-recommends --download-only $packages > /dev/null
[ -z "$besides" ] || (cd cache/archives && apt-get download -qq $besides)
for archive in cache/archives/*.deb; do dpkg-deb -x "$archive" root; done
loader=$(find "$folder/root" -name 'ld-linux*' -path '*-linux-gnu/*' | head -1)
libraries=$(find "$folder/root" -type d -path '*lib/*-linux-gnu' | paste -sd :)
find root -path '*bin/*' -type f -perm -u+x | while read -r program; do
  [ "$(head -c4 "$program" | tail -c3)" = ELF ] || continue
  patchelf/usr/bin/patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program" 2> /dev/null || true
done
rm -rf lists cache patchelf patchelf_*.deb apt.conf sources.list status lock*
find root -path '*bin/*' \( -name mysqld -o -name mariadbd -o -name postgres \) -type f -exec {} --version \;

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualCommands } from './manual.js'

test('where nothing can be installed, the printed commands fit this very system', () => {
  const commands = (platform: NodeJS.Platform, release: string): string =>
    manualCommands(['mariadb', 'redis'], { platform, release })
  assert.match(commands('linux', 'NAME="Fedora Linux"\nID=fedora\n'), /^ {2}sudo dnf install mariadb-server redis$/m)
  assert.match(commands('linux', 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'), /sudo dnf install mariadb-server/)
  assert.match(commands('linux', 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'), /sudo zypper install mariadb redis/)
  assert.match(commands('linux', 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'), /apt-get install .* redis-tools$/m)
  for (const other of [commands('darwin', ''), commands('linux', 'ID=nixos\n'), commands('linux', '')]) {
    assert.doesNotMatch(other, /sudo/)
    assert.match(other, /^ {2}docker run -d --name mylab-mariadb .*\n {2}docker run -d --name mylab-redis/m)
    assert.match(other, /^ {2}export SYNC_TEST_MYSQL_URL=\S+ SYNC_TEST_REDIS_URL=\S+$/m)
  }
})

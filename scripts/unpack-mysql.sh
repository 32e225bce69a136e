#!/bin/bash
# scripts/unpack-mysql.sh FOLDER: MySQL into FOLDER/root, for TEST_MYSQL_ROOT.
exec "$(dirname "$0")/unpack-server.sh" mysql "$1"

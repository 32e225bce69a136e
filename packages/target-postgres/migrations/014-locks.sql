-- What two processes must not do at once is done under a lock of one of these tables, which only who may write to them can take. They stay empty.
CREATE TABLE sync_lock_drain ();
CREATE TABLE sync_lock_tick ();
CREATE TABLE sync_lock_maintain ();
-- Work that is named by a table takes one of these, by its name's digest.
CREATE TABLE sync_lock_0 ();
CREATE TABLE sync_lock_1 ();
CREATE TABLE sync_lock_2 ();
CREATE TABLE sync_lock_3 ();
CREATE TABLE sync_lock_4 ();
CREATE TABLE sync_lock_5 ();
CREATE TABLE sync_lock_6 ();
CREATE TABLE sync_lock_7 ();
CREATE TABLE sync_lock_8 ();
CREATE TABLE sync_lock_9 ();
CREATE TABLE sync_lock_10 ();
CREATE TABLE sync_lock_11 ();
CREATE TABLE sync_lock_12 ();
CREATE TABLE sync_lock_13 ();
CREATE TABLE sync_lock_14 ();
CREATE TABLE sync_lock_15 ();

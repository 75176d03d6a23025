#!/usr/bin/env bash
# The database of the example: Debian's PostgreSQL as plain processes in a folder of its own, outside of Kubernetes.
#
#   postgres.sh up | down | psql
#
# Settings, each an environment variable:
#   CLUSTER           the name of the local cluster that it serves           demo
#   DATABASE_ADDRESS  where pods reach it: the local cluster's bridge        198.18.0.1
#   DATABASE_PORT                                                            15432
#   DATABASE_CLIENTS  the addresses that the role `shop` may come from       198.18.0.0/15
#   DATABASE_FOLDER   its data; as root it belongs to the user `postgres`, who must be able to reach it
#
# It never touches a PostgreSQL that the machine already has. Data here is for show: it is not synced to disk.
set -euo pipefail

cluster=${CLUSTER:-demo}
address=${DATABASE_ADDRESS:-198.18.0.1}
port=${DATABASE_PORT:-15432}
clients=${DATABASE_CLIENTS:-198.18.0.0/15}
if [ "$(id -u)" = 0 ]; then
  folder=${DATABASE_FOLDER:-/var/lib/tidegate-$cluster/postgres} # root's home is closed to the user postgres
else
  folder=${DATABASE_FOLDER:-${XDG_STATE_HOME:-$HOME/.local/state}/tidegate/postgres-$cluster}
fi
data=$folder/data
log=$folder/log

fail() {
  echo "postgres.sh: $*" >&2
  exit 1
}

# The newest of Debian's PostgreSQL folders, which are not on the PATH.
programs() {
  local initdb
  initdb=$(find /usr/lib/postgresql/*/bin -name initdb 2>/dev/null | sort -V | tail -n 1)
  [ -n "$initdb" ] || fail "PostgreSQL is not installed; on Debian: apt-get install postgresql"
  dirname "$initdb"
}

# PostgreSQL refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
  else
    "$@"
  fi
}

# As its superuser, through a socket in a folder that only its owner can enter.
query() {
  as_owner env PGHOST="$folder" PGPORT="$port" PGUSER=postgres PGCONNECT_TIMEOUT=5 psql -X -q -v ON_ERROR_STOP=1 "$@"
}

running() {
  as_owner "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1
}

initialise() {
  mkdir -p "$folder"
  chmod 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$folder"; fi
  if [ ! -e "$data/PG_VERSION" ] || [ ! -e "$folder/initialised" ]; then
    rm -rf "$data" # half made: an earlier run was killed
    as_owner "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=trust --no-sync >/dev/null
    as_owner touch "$folder/initialised"
  fi
  as_owner tee "$data/pg_hba.conf" >/dev/null <<HBA
# Who may connect: the superuser by the socket; the role shop, which can only read, from the pods.
local all  postgres          trust
host  shop shop     $clients trust
HBA
}

start() {
  local options="-c listen_addresses=$address -c port=$port -c unix_socket_directories=$folder"
  options="$options -c fsync=off -c max_connections=50 -c shared_buffers=16MB -c autovacuum=off -c logging_collector=off"
  as_owner "$bin/pg_ctl" -D "$data" -l "$log" -w -t 20 -o "$options" start >/dev/null ||
    { tail -n 5 "$log" >&2 || true; fail "PostgreSQL did not start, see $log"; }
}

# Can run again: changes nothing that is there.
fill() {
  query -d postgres -tA >/dev/null <<'SQL'
select 'create role shop login' where not exists (select from pg_roles where rolname = 'shop') \gexec
select 'create database shop' where not exists (select from pg_database where datname = 'shop') \gexec
SQL
  query -d shop >/dev/null <<'SQL'
set client_min_messages = warning;
create table if not exists items (
  id integer primary key,
  name text not null unique,
  price_cents integer not null check (price_cents >= 0),
  stock integer not null check (stock >= 0)
);
insert into items values
  (1, 'Doormat', 1990, 40), (2, 'Door bell', 3450, 12), (3, 'House number', 1275, 88), (4, 'Letter box', 8900, 5)
  on conflict do nothing;
grant select on items to shop;
SQL
}

up() {
  if ! running; then
    initialise
    start
  fi
  fill
  echo "PostgreSQL $(query -d shop -tA -c 'show server_version') on $address:$port holds $(query -d shop -tA -c 'select count(*) from items') items"
}

down() {
  if [ -e "$data/PG_VERSION" ] && running; then
    as_owner "$bin/pg_ctl" -D "$data" -m immediate -w -t 20 stop >/dev/null
  fi
  rm -rf "$folder"
  # Ours as well, unless the caller chose the place.
  [ -n "${DATABASE_FOLDER:-}" ] || rmdir --ignore-fail-on-non-empty "$(dirname "$folder")" 2>/dev/null || true
}

bin=$(programs)
case "${1:-}" in
  up) up ;;
  down) down ;;
  psql) query -d shop "${@:2}" ;;
  *) fail "usage: postgres.sh up | down | psql [ARGUMENTS]" ;;
esac

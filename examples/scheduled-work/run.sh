#!/bin/sh
# Schedules work, shows that it waits, and receives it when its time has come.
set -eu
cd "$(dirname "$0")"
tidewheel=${TIDEWHEEL_BINARY:-tidewheel}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
queue() {  # VERB QUEUE [ARGUMENT…]
  verb=$1
  shift
  "$tidewheel" queue "$verb" "$@" --data "$folder/store"
}
field() { sed -n "s/.*\"$1\":\"\\{0,1\\}\\([^,\"}]*\\).*/\\1/p"; }

echo "One report in 4 s, one in 2 s, one in the year 2100, one now:"
queue publish reports '{"report":"later"}' --delay 4s --id later
queue publish reports '{"report":"soon"}' --delay 2s --id soon
queue publish reports '{"report":"far"}' --at 2100-01-01T00:00:00Z --id far
queue publish reports '{"report":"now"}' --id now
echo "The same tick again adds nothing:"
queue publish reports '{"report":"soon"}' --delay 2s --id soon
echo "They come when their time has come:"
for _ in 1 2 3; do
  queue receive reports --wait 10s >"$folder/taken"
  field report <"$folder/taken"
  queue ack reports "$(field receipt <"$folder/taken")" >/dev/null
done
echo "The far one still waits, until it is cancelled:"
queue stats reports | field scheduled
queue cancel reports far
queue stats reports | field size

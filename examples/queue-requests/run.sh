#!/bin/sh
# Publishes requests, works on them by priority, lets one fail until it is dead, puts it back.
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

echo "Three requests, then a premium user's:"
queue publish video_processing - <requests.jsonl | field line
queue publish video_processing '{"video_id":"vid_4","resolution":"4k"}' --priority 9 --id premium
echo "The same one again adds nothing:"
queue publish video_processing '{"video_id":"vid_4","resolution":"4k"}' --priority 9 --id premium
echo "The urgent one comes first, then the others in their order:"
queue receive video_processing --max 3 >"$folder/taken"
field video_id <"$folder/taken"
echo "They are done:"
# shellcheck disable=SC2046
queue ack video_processing $(field receipt <"$folder/taken")
echo "The last one fails three times, and is dead; it came from:"
for attempt in 1 2 3; do
  receipt=$(queue receive video_processing --wait 5s | field receipt)
  queue nack video_processing "$receipt" --error "codec missing, attempt $attempt" >/dev/null
done
queue peek video_processing_dlq | field source_queue
queue stats video_processing | field size
echo "The codec is installed, so it goes back, with all attempts left:"
queue redrive video_processing_dlq
queue receive video_processing | field attempt

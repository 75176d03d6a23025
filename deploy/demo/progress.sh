# shellcheck shell=bash
# Sourced by the scripts of the demo: nobody should wonder whether it still works.

# going_on WHAT COMMAND...: runs the command, and says every few seconds for how long already.
going_on() {
  local what=$1 begun=$SECONDS code=0 teller
  shift
  # It ends with the script, however that ends; its sleep holds no pipe of the caller.
  (while sleep 8 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do echo "  $what: $((SECONDS - begun)) s"; done) &
  teller=$!
  "$@" || code=$?
  kill "$teller" 2>/dev/null || true
  wait "$teller" 2>/dev/null || true
  return "$code"
}

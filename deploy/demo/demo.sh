#!/usr/bin/env bash
# The demo: a real Kubernetes follows a git repository, told by the real output of the real commands.
#
#   demo.sh up       plays it from nothing and leaves everything running
#   demo.sh down     ends and removes all that it made
#
# Settings, for a second demo beside the first: DEMO_FOLDER (its state), DEMO_CLUSTER (its cluster's name), DEMO_LISTEN (the
# daemon's address). TIDEGATE and LOCAL_CLUSTER name the programs, which `make demo` builds first.
set -Eeuo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/demo/progress.sh
source "$root/deploy/demo/progress.sh"
build=${CARGO_TARGET_DIR:-$root/target}
folder=${DEMO_FOLDER:-${XDG_STATE_HOME:-$HOME/.local/state}/tidegate/demo}
bin=$folder/bin
work=$folder/work
pid_file=$folder/daemon.pid
log=$folder/daemon.log
ledger=$folder/deploylog.git
audit=$folder/audit
load_pid_file=$folder/load.pid
load_log=$folder/load.log
address=${DEMO_LISTEN:-127.0.0.1:8700}
export CLUSTER=${DEMO_CLUSTER:-demo}
# The longest that anything is waited for; normally it is seconds.
patience=180

# The daemon and the commands read these; the printed commands are then exactly what ran.
export TIDEGATE_REPO=$folder/shop.git TIDEGATE_BRANCH=main
export PATH=$bin:$PATH
# Nothing of the user's own git settings, so that it works the same everywhere.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME="Ada Ops" GIT_AUTHOR_EMAIL=ada@example.com GIT_COMMITTER_NAME="Ada Ops" GIT_COMMITTER_EMAIL=ada@example.com

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1;36m' dim=$'\e[2m' plain=$'\e[0m'
else
  bold='' dim='' plain=''
fi

heading() {
  step=$((${step:-0} + 1))
  printf '\n%s== %d. %s%s\n' "$bold" "$step" "$*" "$plain"
}

say() { printf '%s\n' "$*"; }

# Prints a command and runs it.
show() {
  printf '%s$ %s%s\n' "$dim" "$*" "$plain"
  "$@"
}

now() { date +%s%3N; }

# Seconds since a moment of `now`, with one decimal.
since() {
  local took=$(($(now) - $1))
  printf '%d.%d s' $((took / 1000)) $((took % 1000 / 100))
}

failed() {
  local code=$?
  [ "$BASH_SUBSHELL" = 0 ] || return "$code" # said once, by the outermost
  printf '\ndemo.sh: line %s ended with code %s\n' "$1" "$code" >&2
  if [ -s "$log" ]; then
    echo "The last lines of $log:" >&2
    tail -n 15 "$log" >&2
  fi
  echo "To clean up: make demo-down" >&2
}

# Runs a command until it succeeds, for as long as there is patience.
until_true() {
  local end=$(($(date +%s) + patience))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || { echo "demo.sh: gave up after $patience s: $*" >&2; return 1; }
    sleep 0.1
  done
}

git_work() { git -C "$work" "$@"; }

# Commits everything and pushes; prints what changed.
push() {
  git_work add --all
  git_work commit --quiet --message "$1"
  git_work --no-pager show --format='%h %an: %s' --shortstat HEAD
  if [ "$(git_work show --format= --unified=0 HEAD | wc -l)" -lt 60 ]; then
    git_work show --format= --unified=0 HEAD | sed -n -e 's,^+++ b/,  ,p' -e '/^[-+] /p'
  fi
  git_work push --quiet origin HEAD:main
  pushed_at=$(now)
  commit=$(git_work rev-parse HEAD)
}

# Waits until the newest commit is live, everywhere or in one environment.
wait_live() { going_on "still waiting" show tidegate wait "${commit:0:7}" --for live --timeout "${patience}s" "$@"; }

# The address of a Service; the host reaches it directly.
service() { kubectl --namespace "$1" get service "$2" --output 'jsonpath={.spec.clusterIP}'; }

ask() { curl --silent --show-error --max-time 5 "$@"; }

predict() {
  printf 'shop-%s: %s\n' "$1" "$(ask --data '{"rooms": 6.5}' "http://$(service "shop-$1" house-price)/predict")"
}

image_of() {
  kubectl --namespace "$1" get deployment "$2" --output 'jsonpath={.spec.template.spec.containers[0].image}'
}

has_image() { [ "$(image_of "$1" "$2")" = "$3" ]; }

lacks_variables() {
  [ "$(kubectl --namespace "$1" get deployment "$2" --output 'jsonpath={.spec.template.spec.containers[0].env[*].name}')" = API_URL ]
}

# Ends a program of an earlier run by its recorded id, if it still is that program: its id's file, what its command line has.
end_program() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  # In braces: the shell itself complains of a file that is gone.
  if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF "$2"; then
    kill "$pid"
    for _ in $(seq 60); do
      [ -e "/proc/$pid" ] || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$1"
}

link_programs() {
  mkdir -p "$bin"
  ln -sf "${TIDEGATE:-$build/debug/tidegate}" "$bin/tidegate"
  ln -sf "${LOCAL_CLUSTER:-$build/debug/local-cluster}" "$bin/local-cluster"
  for program in tidegate local-cluster; do
    [ -x "$bin/$program" ] || { echo "demo.sh: $program is not built; run: make demo" >&2; exit 1; }
  done
}

down() {
  cd "$root"
  link_programs
  end_program "$load_pid_file" "shop load "
  end_program "$pid_file" "tidegate run --repo $TIDEGATE_REPO"
  deploy/demo/postgres.sh down
  local-cluster down --name "$CLUSTER"
  rm -rf "$folder"
}

start_cluster() {
  heading "A real Kubernetes on this machine"
  show local-cluster up --name "$CLUSTER"
  KUBECONFIG=$(local-cluster kubeconfig --name "$CLUSTER")
  export KUBECONFIG
  ln -sf "$(local-cluster kubectl)" "$bin/kubectl"
  show kubectl get nodes
  say "The images of the shop are built here and loaded without a registry."
  show deploy/demo/images.sh load
  say "Its database runs outside the cluster, under a name that the cluster's DNS knows."
  DATABASE_ADDRESS=$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}' | sed 's,https://,,; s,:.*,,')
  export DATABASE_ADDRESS
  show deploy/demo/postgres.sh up
  show local-cluster dns --name "$CLUSTER" postgres.shop.internal "$DATABASE_ADDRESS"
}

make_repository() {
  heading "A git repository with three environments"
  git init --quiet --bare --initial-branch main "$TIDEGATE_REPO"
  git init --quiet --initial-branch main "$work"
  git_work remote add origin "$TIDEGATE_REPO"
  # For whoever commits there later: in this repository only.
  git_work config user.name "$GIT_AUTHOR_NAME"
  git_work config user.email "$GIT_AUTHOR_EMAIL"
  cp -R "$root/environments" "$root/policies" "$work/"
  push "The shop: dev, staging, production"
}

start_daemon() {
  heading "Tidegate starts to follow it"
  say "What it does is written into a repository of its own, signed with a key of its own; auditors get the public half."
  git init --quiet --bare --initial-branch main "$ledger"
  ssh-keygen -q -t ed25519 -N '' -C deploylog -f "$folder/ledger-key"
  echo "deploylog@tidegate.invalid $(cat "$folder/ledger-key.pub")" >"$folder/signers"
  local run=(tidegate run --repo "$TIDEGATE_REPO" --branch main --listen "$address" --cache-dir "$folder/cache" --kubeconfig "$KUBECONFIG"
    --ledger-repo "$ledger" --ledger-key "$folder/ledger-key" --ledger-coalesce 20s)
  printf '%s$ %s >%s &%s\n' "$dim" "${run[*]}" "$log" "$plain"
  # In a session of its own: it outlives this terminal.
  setsid "${run[@]}" </dev/null >"$log" 2>&1 &
  echo $! >"$pid_file"
  local started
  started=$(now)
  say "The other commands find the repository and the cluster in TIDEGATE_REPO and KUBECONFIG."
  wait_live
  say "Three environments are live after $(since "$started"): production after staging, and once its autoscaler had its first metrics."
  show tidegate status
  say "The page of production, through three tiers:"
  ask "http://$(service shop-production web)/" | sed -n 's/<[^>]*>/ /g; /[0-9a-z]/p'
}

# A steady load on production's house-price, for as long as its releases are played.
start_load() {
  local program
  program=$(deploy/demo/images.sh program)
  say "Some 200 requests a second ask production for predictions from now on, half of them over a new connection each:"
  printf '%s$ shop load http://%s/predict 200 >%s &%s\n' "$dim" "$(service shop-production house-price)" "$load_log" "$plain"
  "$program" load "http://$(service shop-production house-price)/predict" 200 </dev/null >"$load_log" 2>&1 &
  echo $! >"$load_pid_file"
}

load_so_far() { say "The load so far: $(tail -n 1 "$load_log")"; }

# Ends the load; one failed request fails the demo.
end_load() {
  local pid code=0
  pid=$(cat "$load_pid_file")
  kill "$pid"
  wait "$pid" || code=$?
  rm -f "$load_pid_file"
  say "The load, over all releases: $(tail -n 1 "$load_log")"
  [ "$code" = 0 ]
}

# Changes production's release: the image, and a setting of its container.
set_release() {
  local file=$work/environments/production/environment.yaml
  sed -i "s/HOUSE_PRICE_VERSION: \"[0-9.]*\"/HOUSE_PRICE_VERSION: \"$1\"/" "$file"
  [ $# = 1 ] || sed -i "s/^  patches:\$/&\n    - target: {kind: ConfigMap, name: house-price}\n      merge: {data: {$2}}/" "$file"
}

# A release that is not to become live: `wait` says why, and ends with 3.
wait_turned_down() {
  local code=0
  show tidegate wait "${commit:0:7}" --env production --for live --timeout "${patience}s" || code=$?
  [ "$code" = 3 ] || { echo "demo.sh: it ended with $code and not with 3" >&2; return 1; }
}

revert() {
  git_work revert --no-edit HEAD >/dev/null
  git_work --no-pager show --no-patch --format='%h %an: %s' HEAD
  git_work push --quiet origin HEAD:main
  pushed_at=$(now)
  commit=$(git_work rev-parse HEAD)
  wait_live --env production
  say "Live $(since "$pushed_at") after the push."
}

is_put_away() {
  [ "$(kubectl --namespace shop-production get deployment "house-price-$1" --output 'jsonpath={.spec.replicas}/{.status.replicas}')" = 0/ ]
}

release() {
  heading "A release that is good: its colour proves itself, gets the traffic, and stays"
  start_load
  predict production
  set_release 1.1.0
  push "production: house-price 1.1.0"
  wait_live --env production
  say "Live $(since "$pushed_at") after the push: gates have passed, traffic has moved, gates have watched."
  predict production
  load_so_far
}

wrong_release() {
  heading "A release with a wrong prediction: its gate stops it before anybody is served by it"
  set_release 1.2.0 'PREDICTION_OFFSET: "5"'
  push "production: house-price 1.2.0, with a new model"
  wait_turned_down
  show tidegate status production
  predict production
  load_so_far
  say "Its colour stays for people to look at, here for 5 s, then it is put away:"
  going_on "still waiting" until_true is_put_away blue
  show kubectl --namespace shop-production get deployments --selector tidegate.dev/app=house-price
  say "A revert clears it:"
  revert
}

slow_release() {
  heading "A release that is too slow: its gate notices in the bake, and traffic goes back by itself"
  set_release 1.2.0 'DELAY: "1s"'
  push "production: house-price 1.2.0, which takes its time"
  wait_turned_down
  show tidegate status production
  load_so_far
  say "The commit is held: nothing tries it again until git asks for something else."
  turned_down_at=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
  revert
  end_load
}

repair() {
  heading "Somebody edits production by hand"
  local edited
  edited=$(now)
  show kubectl --namespace shop-production set image deployment/web web=docker.io/local/shop:1.2.0
  until_true has_image shop-production web docker.io/local/shop:1.0.0
  say "Undone after $(since "$edited"). An edit that only adds something is undone as well:"
  edited=$(now)
  show kubectl --namespace shop-production set env deployment/web DEBUG=true
  until_true lacks_variables shop-production web
  say "Undone after $(since "$edited"). Who did what:"
  show tidegate status production
}

prune() {
  heading "An object leaves git"
  show kubectl --namespace shop-dev get deployments
  rm "$work/environments/dev/extras/preview.yaml"
  push "dev: the preview has served"
  wait_live --env dev
  say "Pruned $(since "$pushed_at") after the push:"
  show kubectl --namespace shop-dev get deployments
}

mistakes() {
  heading "A commit with mistakes in two files of dev, and a release for the others"
  local extras=$work/environments/dev/extras
  sed -i -e 's/  schedule:/  scedule:/' -e 's/{SHOP_VERSION}/{SHOP_VERSON}/' "$extras/smoke.yaml"
  sed -i 's/    pods: "20"/    pods: [20]/' "$extras/limits.yaml"
  sed -i 's/ SHOP_VERSION: "1.0.0"/ SHOP_VERSION: "1.1.0"/' "$work"/environments/{dev,staging,production}/environment.yaml
  push "shop 1.1.0 everywhere"
  wait_live --env staging
  wait_live --env production
  say "staging and production are live $(since "$pushed_at") after the push. dev refused all of it, and runs on as it was:"
  show tidegate status dev
  say "shop-dev/web runs $(image_of shop-dev web)"
  say "The same is said before a push, without a cluster:"
  show tidegate validate "$work" || true # its exit code says that something is wrong
}

mend() {
  heading "The mistakes are mended"
  git_work checkout --quiet HEAD~1 -- environments/dev/extras
  push "dev: mend smoke and limits"
  wait_live
  show tidegate status
}

is_all_pushed() { [ -z "$(kubectl --namespace tidegate-system get configmaps --selector tidegate.dev/record-of --output name)" ]; }

# Whoever verifies a log that was altered is told so, and ends with 7.
verify_altered() {
  local code=0
  show tidegate --repo "$1" verify --allowed-signers "$folder/signers" || code=$?
  [ "$code" = 7 ] || { echo "demo.sh: it ended with $code and not with 7" >&2; return 1; }
}

auditor() {
  heading "An auditor reads what happened, from a clone of the deploy log: without the cluster, without the daemon"
  say "Repairs are told together, here those of 20 s."
  going_on "still waiting" until_true is_all_pushed
  show git clone --quiet --no-checkout "$ledger" "$audit"
  show tidegate --repo "$audit" log --env production
  say "What ran when the slow release had been turned down?"
  show tidegate --repo "$audit" at "$turned_down_at" --env production
  say "And what was it that was turned down?"
  local id
  id=$(tidegate --repo "$audit" log --env production --result rolled_back -o json | sed -n 's/.*"id": *"\([0-9A-Z]\{26\}\)".*/\1/p' | head -n 1)
  show tidegate --repo "$audit" show "$id"
  say "Has anybody altered it?"
  show tidegate --repo "$audit" verify --allowed-signers "$folder/signers"

  say "The same by plain git, for whoever does not trust Tidegate:"
  local branch
  branch=$(git -C "$audit" for-each-ref --format='%(refname:short)' 'refs/remotes/origin/deploylog/*/production/*')
  show git -C "$audit" --no-pager log --grep='^Deploy-Result: rolled_back' --format='%h %cI %s' "$branch"
  show git -C "$audit" --no-pager show "$branch:state/shop-production/house-price.json"
  show git -C "$audit" -c gpg.format=ssh -c gpg.ssh.allowedSignersFile="$folder/signers" verify-commit "$branch"

  say "Somebody makes the rollback look like a success, in a copy:"
  cp -R "$audit" "$folder/altered"
  local commit altered
  commit=$(git -C "$folder/altered" log --grep='^Deploy-Result: rolled_back' --format=%H -n 1 "$branch")
  altered=$(git -C "$folder/altered" cat-file commit "$commit" | sed 's/rolled_back/succeeded/g' | git -C "$folder/altered" hash-object -t commit -w --stdin)
  show git -C "$folder/altered" update-ref "refs/remotes/$branch" "$altered"
  verify_altered "$folder/altered"
}

look_around() {
  heading "Everything keeps running; look around"
  cat <<TEXT
  export PATH=$bin:\$PATH KUBECONFIG=$KUBECONFIG TIDEGATE_REPO=$TIDEGATE_REPO
  tidegate status --watch
  kubectl get pods --all-namespaces
  kubectl --namespace shop-dev delete deployment web   # comes back
  cd $work   # edit, commit, git push origin main
  curl http://$(service shop-production web)/
  tail -f $log
  tidegate --repo $ledger log
  curl http://$address/metrics
To stop and remove it all: make demo-down
TEXT
}

up() {
  link_programs
  local begun
  begun=$(now)
  down
  link_programs
  trap 'failed $LINENO' ERR
  start_cluster
  make_repository
  start_daemon
  release
  wrong_release
  slow_release
  repair
  prune
  mistakes
  mend
  auditor
  look_around
  say "Played in $(since "$begun")."
}

# Plays one verb alone: two at once would take each other's cluster away. What is started does not inherit the lock.
alone() {
  mkdir -p "$(dirname "$folder")"
  trap 'say; say "Stopped half way; to clean up: make demo-down"; exit 130' INT
  DEMO_ALONE=1 flock --nonblock --close --conflict-exit-code 75 "$folder.lock" "$0" "$1" && exit 0
  local code=$?
  [ "$code" != 75 ] || echo "demo.sh: another demo is at work in $folder" >&2
  exit "$code"
}

case "${DEMO_ALONE:-}${1:-up}" in
  up | down) alone "${1:-up}" ;;
  1up) up ;;
  1down) down ;;
  *)
    echo "usage: demo.sh up | down" >&2
    exit 64
    ;;
esac

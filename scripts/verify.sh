#!/usr/bin/env bash
# Prove that a deployed stack works, on two small videos of its own. `scripts/verify.sh --help` tells the rest.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"

usage() {
  cat <<'TEXT'
Prove that a deployed stack works: upload a good and a bad video, wait for both outcomes, look at results, poster, tags,
messages and metrics, and take everything back. Ends with status 0 if all is well.

Usage: scripts/verify.sh [options]

  --env SUFFIX       environment (default: dev)
  --stack-name NAME  default: video-intake-SUFFIX
  --region REGION    default: as the AWS CLI is configured
  --profile PROFILE  a profile of the AWS CLI
  --help

It may run on a stack that people use: the videos lie in a folder of their own, below verify/, and no setting is changed.
What stays behind: log lines, the metric values of two videos, one e-mail about a rejected video to whoever gets those,
and, where the function fails, its event in the failed-events queue.

What runs is tests/integration/test_verify.py, which needs `make setup`, and credentials that may use the stack's bucket
and queue, read its metrics, and make a queue of their own for the messages. On AWS it takes some minutes, because
metrics do, and costs less than a cent.
TEXT
}

environment=dev
stack=
while [ $# -gt 0 ]; do
  case $1 in
  --*=*)
    name=${1%%=*} value=${1#*=}
    shift
    set -- "$name" "$value" ${1+"$@"}
    continue
    ;;
  --help | -h)
    usage
    exit
    ;;
  --env) needs_value "$@" && environment=$2 && shift ;;
  --stack-name) needs_value "$@" && stack=$2 && shift ;;
  --region) needs_value "$@" && AWS_REGION=$2 && shift ;;
  --profile) needs_value "$@" && export AWS_PROFILE="$2" && shift ;;
  *) unknown_option "$1" ;;
  esac
  shift
done
stack=${stack:-video-intake-$environment}

[ -x "$root/.venv/bin/python" ] || fail "this runs the project's tests: run \`make setup\` first."
PATH=$root/.venv/bin:$PATH
open_session
. "$root/scripts/shell/stack.sh"
look_at_stack "$stack"
[ -n "$status" ] || fail "there is no stack $stack in account $account, $region. Give --env, --stack-name, --region or --profile."

say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"
cd "$root"
if python -m pytest --no-header --tb short -v -p no:cacheprovider tests/integration/test_verify.py --stack "$stack"; then
  say "$stack works."
else
  fail "$stack does not do what it should; the reasons are above. Which events failed for good, and why:
  make replay ARGS=\"dead-letters --stack $stack\""
fi

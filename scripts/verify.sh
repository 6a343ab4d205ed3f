#!/usr/bin/env bash
# Test a deployed stack with two small videos. See `scripts/verify.sh --help`.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"

usage() {
  cat <<'TEXT'
Prove that a deployed stack works: upload a good and a bad video, wait for both outcomes, look at results, poster, tags,
messages and metrics, and take everything back. If the stack processes an existing bucket as well, another good one goes
there. Ends with status 0 if all is well.

Usage: scripts/verify.sh [options]

  --env SUFFIX       environment (default: dev)
  --stack-name NAME  default: video-intake-SUFFIX
  --region REGION    default: the AWS CLI's configured region
  --profile PROFILE  AWS CLI profile
  --help

It may run on a stack that people use: the videos are in a separate folder, verify/, in an existing bucket below its
prefix, and no setting is changed. It leaves log lines, the metric values of these videos, one e-mail about a rejected
video to its subscribers, and, if the function fails, its events in the queue of failed events.

What runs is tests/integration/test_verify.py, which needs `make setup`, and credentials that may use the stack's buckets
and queue, read its metrics, and create a temporary queue for the messages. On AWS it takes a few minutes, because
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
[ -n "$status" ] || fail "there is no stack $stack in account $account, $region. Pass --env, --stack-name, --region or --profile."

say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"
cd "$root"
if python -m pytest --no-header --tb short -v -p no:cacheprovider tests/integration/test_verify.py --stack "$stack"; then
  say "$stack works."
else
  fail "$stack does not work as expected; see the errors above. To see which events failed, and why:
  make replay ARGS=\"dead-letters --stack $stack\""
fi

#!/usr/bin/env bash
# Test a deployed stack with two small videos. See `scripts/verify.sh --help`.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"

usage() {
  cat <<'TEXT'
Check that a deployed stack works: upload a good and a bad video, wait for both outcomes, check results, poster, tags,
messages and metrics, and delete everything again. If the stack also processes an existing bucket, upload another good
video there. Exits with status 0 if everything works.

Usage: scripts/verify.sh [options]

  --env SUFFIX       environment (default: dev)
  --stack-name NAME  default: video-intake-SUFFIX
  --region REGION    default: the AWS CLI's configured region
  --profile PROFILE  AWS CLI profile
  --help

It can run on a stack in production: the videos are in a separate folder, verify/ (below the prefix in an existing
bucket), and no settings are changed. It leaves log lines, these videos' metrics, an e-mail about a rejected video, and,
if the function fails, events in the failed-events queue.

It runs tests/integration/test_verify.py, which requires `make setup` and credentials that can use the stack's buckets
and queue, read its metrics, and create a temporary queue for the messages. On AWS it takes a few minutes, because
metrics are delayed, and costs less than a cent.
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

[ -x "$root/.venv/bin/python" ] || fail "run \`make setup\` first: this script runs the project's tests."
PATH=$PATH:$root/.venv/bin # your AWS CLI, which knows how you log in, or that of `make setup`
open_session
. "$root/scripts/shell/stack.sh"
read_stack "$stack"
[ -n "$status" ] || fail "there is no stack $stack in account $account, $region. Pass --env, --stack-name, --region or --profile."

say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"
email=$(stack_parameter NotificationEmail)
[ -z "$email" ] || report_emails "$email" "$(stack_output OutcomeTopicArn)" "$(stack_output AlarmTopicArn)"
cd "$root"
if .venv/bin/python -m pytest --no-header --tb short -v -p no:cacheprovider tests/integration/test_verify.py --stack "$stack"; then
  say "$stack works."
else
  fail "$stack does not work as expected; see the errors above. To see which events failed, and why:
  make replay ARGS=\"dead-letters --stack $stack\""
fi

#!/usr/bin/env bash
# Remove the stack; videos and results stay unless you say otherwise. `scripts/destroy.sh --help` tells the rest.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"
. "$(dirname "$0")/shell/stack.sh"
. "$(dirname "$0")/shell/artifacts.sh"

usage() {
  cat <<'TEXT'
Remove a video-intake stack. The bucket stays, with every video, version and result in it, unless --delete-videos is
given. Says what goes and what stays, and asks.

Usage: scripts/destroy.sh [options]

  --env SUFFIX       environment (default: dev)
  --stack-name NAME  default: video-intake-SUFFIX
  --delete-videos    then delete the bucket too: every version of every video, and all results. Asks for the name of the
                     stack. Also for a bucket that an earlier removal has left
  --retain NAME      leave this resource (a logical id) behind: for a removal that got stuck on it; may be repeated
  --yes              do not ask
  --region REGION    default: as the AWS CLI is configured
  --profile PROFILE  a profile of the AWS CLI
  --help

A removal that failed or was broken off is taken up again by the same command. It needs the AWS CLI (1.29 or 2.13, or
newer), Python 3.10 or newer, bash 3.2 or newer, and credentials that may delete the stack's resources.
TEXT
}

environment=dev
stack=
delete_videos=
retained=()

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
  --delete-videos) delete_videos=yes ;;
  --yes) assume_yes=yes ;;
  --env) needs_value "$@" && environment=$2 && shift ;;
  --stack-name) needs_value "$@" && stack=$2 && shift ;;
  --retain) needs_value "$@" && retained+=("$2") && shift ;;
  --region) needs_value "$@" && AWS_REGION=$2 && shift ;;
  --profile) needs_value "$@" && export AWS_PROFILE="$2" && shift ;;
  *) unknown_option "$1" ;;
  esac
  shift
done
stack=${stack:-video-intake-$environment}

open_session
say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"

# ---------------------------------------------------------------- What is there

look_at_stack "$stack"
case $status in
'' | REVIEW_IN_PROGRESS | DELETE_IN_PROGRESS) ;;
*_IN_PROGRESS) fail "$stack is being changed by somebody else ($status). Run this again when that is done." ;;
esac
environment=${deployed_environment:-$environment}
bucket=video-intake-$environment-$account-$region
has_bucket=
if bucket_exists "$bucket"; then has_bucket=yes; fi

if [ ${#retained[@]} -gt 0 ] && [ "$status" != DELETE_FAILED ]; then
  fail "resources can be left behind only after a removal got stuck on them (DELETE_FAILED); this is ${status:-no stack}."
fi
if [ -z "$status" ]; then
  say "There is no such stack."
  if [ -z "$delete_videos" ] || [ -z "$has_bucket" ]; then
    [ -z "$has_bucket" ] || say "The bucket $bucket is still there, with what is in it; --delete-videos deletes it."
    exit 0
  fi
fi

# What AWS says of the removal that got stuck before.
in_the_way() {
  aws cloudformation list-stack-resources --stack-name "$stack" --output text --query \
    "StackResourceSummaries[?ResourceStatus=='DELETE_FAILED'].[LogicalResourceId, ResourceStatusReason]"
}

if [ -n "$status" ] && [ "$status" != REVIEW_IN_PROGRESS ]; then # which has neither resources nor a template yet
  if [ "$status" = DELETE_FAILED ]; then
    say "An earlier removal got stuck:"
    in_the_way | sed 's/^/  /' >&2
  fi
  {
    aws cloudformation list-stack-resources --stack-name "$stack" --output json
    printf -- '---\n'
    aws cloudformation get-template --stack-name "$stack" --query TemplateBody --output text
  } >"$work/resources"
  say "$(python3 "$root/scripts/stack_report.py" fates ${retained[@]+"${retained[@]}"} <"$work/resources")"
  queue=$(stack_output FailedEventsQueueUrl)
  if [ -n "$queue" ]; then
    # Version 1 of the CLI takes no endpoint for SQS from the environment.
    waiting=$(aws sqs get-queue-attributes ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} --queue-url "$queue" \
      --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible --output text --query \
      'sum([Attributes.ApproximateNumberOfMessages, Attributes.ApproximateNumberOfMessagesNotVisible][].to_number(@))')
    [ "${waiting%.*}" = 0 ] || say "
In the failed-events queue wait ${waiting%.*}: uploads without an outcome. They go with it. To have them processed first:
  make replay ARGS=\"dead-letters --stack $stack\""
  fi
fi

# ---------------------------------------------------------------- Ask

if [ -n "$delete_videos" ] && [ -n "$has_bucket" ]; then
  say "
DELETED FOR GOOD: $bucket, with every version of every video and all results."
  confirmed_by_name "$stack" || fail "nothing was removed."
else
  confirmed "Remove $stack?" || fail "nothing was removed."
fi

# ---------------------------------------------------------------- Remove the stack

if [ -n "$status" ]; then
  stack_events "$stack" >"$work/before"
  if [ "$status" != DELETE_IN_PROGRESS ]; then
    what=(--stack-name "$stack")
    [ ${#retained[@]} -eq 0 ] || what+=(--retain-resources ${retained[@]+"${retained[@]}"})
    aws cloudformation delete-stack "${what[@]}" >/dev/null || fail "AWS does not remove it; the reason is above."
  fi
  if ! aws cloudformation wait stack-delete-complete --stack-name "$stack" 2>"$work/error"; then
    tell_failures "$stack"
    stuck=$(in_the_way | cut -f 1 | sed 's/^/ --retain /' | tr -d '\n')
    fail "$stack is half removed. Take away what stands in the way and run this again${stuck:+; or leave that behind:
  scripts/destroy.sh --stack-name $stack --region $region$stuck}"
  fi
  say "$stack is removed."
  artifact_bucket=video-intake-artifacts-$account-$region
  if are_packages "$artifact_bucket"; then
    aws s3 rm "s3://$artifact_bucket/video-intake/$stack/" --recursive --only-show-errors # S3 keeps them 90 days more
    say "Its packages in $artifact_bucket expire in 90 days. That bucket stays, for other stacks."
  fi
fi

# ---------------------------------------------------------------- Delete the videos

delete_versions() { # of all objects, a thousand at a time
  local count=0 page failed
  while :; do
    aws s3api list-object-versions --bucket "$bucket" --no-paginate --max-keys 1000 --output json \
      --query '{Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}' >"$work/page.json"
    page=$(grep -c '"Key":' "$work/page.json") || break
    failed=$(aws s3api delete-objects --bucket "$bucket" --delete "file://$work/page.json" --output text \
      --query 'Errors[0].[Key, Code, Message]')
    case $failed in None | '') ;; *) fail "this version cannot be deleted: $failed" ;; esac
    count=$((count + page))
    say "  $count versions deleted"
  done
}

[ -n "$has_bucket" ] || exit 0
if [ -n "$delete_videos" ]; then
  say "Emptying $bucket"
  delete_versions
  aws s3api delete-bucket --bucket "$bucket" >/dev/null ||
    fail "$bucket is not deleted; the reason is above. Where somebody still uploads to it, end that and run this again."
  say "$bucket is deleted."
else
  say "$bucket stays, with what is in it; uploads to it are no longer processed.
A new stack of this environment cannot create it again. Choose another --env for a new one; or import the bucket, as
docs/how-it-works.md tells; or delete it, when nobody needs what is in it:
  scripts/destroy.sh --env $environment --region $region --delete-videos"
fi

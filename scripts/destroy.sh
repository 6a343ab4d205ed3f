#!/usr/bin/env bash
# Remove the stack; videos and results are kept unless you ask to delete them. See `scripts/destroy.sh --help`.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"
. "$(dirname "$0")/shell/stack.sh"
. "$(dirname "$0")/shell/artifacts.sh"

usage() {
  cat <<'TEXT'
Remove a video-intake stack. The bucket, with every video, version and result in it, is kept unless you pass
--delete-videos. Shows what will be removed and what will be kept, then asks for confirmation.

Usage: scripts/destroy.sh [options]

  --env SUFFIX       environment (default: dev)
  --stack-name NAME  default: video-intake-SUFFIX
  --delete-videos    also delete the bucket: every version of every video, and all results. Asks for the stack's name to
                     confirm. Also works on a bucket that an earlier removal kept
  --retain NAME      keep this resource (a logical ID), if an earlier removal failed on it; repeatable
  --yes              do not ask for confirmation
  --region REGION    default: the AWS CLI's configured region
  --profile PROFILE  AWS CLI profile
  --help

To resume a removal that failed or was interrupted, run the same command again. Requires at least AWS CLI 1.29 or 2.13,
Python 3.10, and bash 3.2, and credentials that can delete the stack's resources.
TEXT
}

environment=dev
stack=
delete_videos=
retained=()
existing_bucket=

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

# ---------------------------------------------------------------- Current state

read_stack "$stack"
case $status in
'' | REVIEW_IN_PROGRESS | DELETE_IN_PROGRESS) ;;
*_IN_PROGRESS) fail "another operation on $stack is in progress ($status). Run this again when it has finished." ;;
esac
environment=${deployed_environment:-$environment}
bucket=video-intake-$environment-$account-$region
has_bucket=
if bucket_exists "$bucket"; then has_bucket=yes; fi

if [ ${#retained[@]} -gt 0 ] && [ "$status" != DELETE_FAILED ]; then
  fail "--retain works only after a removal has failed (DELETE_FAILED); the status is ${status:-no stack}."
fi
if [ -z "$status" ]; then
  say "There is no such stack."
  if [ -z "$delete_videos" ] || [ -z "$has_bucket" ]; then
    [ -z "$has_bucket" ] || say "The bucket $bucket and its contents still exist; --delete-videos deletes them."
    exit 0
  fi
fi

# The resources on which an earlier removal failed, and AWS's reasons.
failed_removals() {
  aws cloudformation list-stack-resources --stack-name "$stack" --output text --query \
    "StackResourceSummaries[?ResourceStatus=='DELETE_FAILED'].[LogicalResourceId, ResourceStatusReason]"
}

if [ -n "$status" ] && [ "$status" != REVIEW_IN_PROGRESS ]; then # a stack in review has no resources or template yet
  if [ "$status" = DELETE_FAILED ]; then
    say "An earlier removal failed:"
    failed_removals | sed 's/^/  /' >&2
  fi
  {
    aws cloudformation list-stack-resources --stack-name "$stack" --output json
    printf -- '---\n'
    aws cloudformation get-template --stack-name "$stack" --query TemplateBody --output text
  } >"$work/resources"
  say "$(python3 "$root/scripts/stack_report.py" fates ${retained[@]+"${retained[@]}"} <"$work/resources")"
  existing_bucket=$(stack_parameter ExistingBucketName)
  queue=$(stack_output FailedEventsQueueUrl)
  if [ -n "$queue" ]; then
    # Version 1 of the CLI ignores AWS_ENDPOINT_URL for SQS.
    waiting=$(aws sqs get-queue-attributes ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} --queue-url "$queue" \
      --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible --output text --query \
      'sum([Attributes.ApproximateNumberOfMessages, Attributes.ApproximateNumberOfMessagesNotVisible][].to_number(@))')
    [ "${waiting%.*}" = 0 ] || say "
Uploads without a result in the failed-events queue: ${waiting%.*}. Their events are deleted with the queue. To process them first:
  make replay ARGS=\"dead-letters --stack $stack\""
  fi
fi

# ---------------------------------------------------------------- Ask

if [ -n "$delete_videos" ] && [ -n "$has_bucket" ]; then
  say "
PERMANENTLY DELETED: $bucket, with every version of every video and all results."
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
    aws cloudformation delete-stack "${what[@]}" >/dev/null || fail "AWS did not remove it; see the error above."
  fi
  if ! aws cloudformation wait stack-delete-complete --stack-name "$stack" 2>"$work/error"; then
    report_failures "$stack"
    stuck=$(failed_removals | cut -f 1 | sed 's/^/ --retain /' | tr -d '\n')
    fail "$stack is only partly removed. Fix the cause and run this again${stuck:+, or keep the resources that failed:
  scripts/destroy.sh --stack-name $stack --region $region$stuck}"
  fi
  say "$stack is removed."
  [ -z "$existing_bucket" ] || say "$existing_bucket still sends its events to EventBridge, which is free unless a rule matches them. If you do not need it,
turn it off:
  aws s3api get-bucket-notification-configuration --bucket $existing_bucket --output json | scripts/notifications.py without >off.json
  aws s3api put-bucket-notification-configuration --bucket $existing_bucket --notification-configuration file://off.json"
  artifact_bucket=video-intake-artifacts-$account-$region
  if is_artifact_bucket "$artifact_bucket"; then
    aws s3 rm "s3://$artifact_bucket/video-intake/$stack/" --recursive --only-show-errors # S3 keeps them for 90 more days
    say "Its packages in $artifact_bucket expire in 90 days. That bucket is kept for other stacks."
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
    case $failed in None | '') ;; *) fail "this version could not be deleted: $failed" ;; esac
    count=$((count + page))
    say "  $count versions deleted"
  done
}

[ -n "$has_bucket" ] || exit 0
if [ -n "$delete_videos" ]; then
  say "Emptying $bucket"
  delete_versions
  aws s3api delete-bucket --bucket "$bucket" >/dev/null ||
    fail "$bucket was not deleted; see the error above. If something still uploads to it, stop that and run this again."
  say "$bucket is deleted."
else
  say "$bucket and its contents were kept; uploads to it are no longer processed.
A new stack of this environment cannot create it again. Choose another --env for a new stack, import the bucket as
described in docs/how-it-works.md, or delete it once its contents are no longer needed:
  scripts/destroy.sh --env $environment --region $region --delete-videos"
fi

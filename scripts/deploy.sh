#!/usr/bin/env bash
# Build the function's package and deploy the stack. See `scripts/deploy.sh --help`.
set -euo pipefail
. "$(dirname "$0")/shell/session.sh"
. "$(dirname "$0")/shell/stack.sh"
. "$(dirname "$0")/shell/artifacts.sh"
. "$(dirname "$0")/shell/existing_bucket.sh"

usage() {
  cat <<'TEXT'
Build the function's package, then create or update the video-intake stack.

Usage: scripts/deploy.sh [options]

  --env SUFFIX            environment name, part of the bucket's name (default: dev)
  --email ADDRESS         address that receives outcomes and alarms; '' for none
  --email-on WHICH        outcomes sent by e-mail: failures or everything
  --architecture NAME     arm64 or x86_64
  --bucket NAME           also process uploads to this existing bucket; '' for none. Its notifications are kept, and its
                          events are also sent to EventBridge, after you confirm
  --bucket-prefix PREFIX  process only uploads to that bucket whose keys begin with PREFIX
  --parameter NAME=VALUE  any other parameter of template.yaml; may be repeated
  --tag NAME=VALUE        a tag for the stack and all its resources; may be repeated. Later deployments keep it
  --stack-name NAME       default: video-intake-SUFFIX
  --plan                  show what would change without changing it
  --yes                   do not ask for confirmation (for CI)
  --region REGION         default: the AWS CLI's configured region
  --profile PROFILE       AWS CLI profile
  --artifact-bucket NAME  private bucket for packages, created if it does not exist
                          (default: video-intake-artifacts-ACCOUNT-REGION)
  --wheels host           use this machine's wheels in the package: for the local cloud on macOS, never for AWS
  --help

Parameters that you do not pass keep the deployed stack's values; a new stack uses the template's defaults.

The script builds the package (scripts/build_package.py), uploads it (`aws cloudformation package`), creates a change set
(`aws cloudformation deploy`), shows it, and executes it unless --plan is given. It asks for confirmation before it
replaces or deletes anything. (A plan also uploads the package and creates a missing artifact bucket.)

Requires at least AWS CLI 1.29 or 2.13, Python 3.10 with pip, and bash 3.2, and credentials that can manage the stack's
resources. If AWS_ENDPOINT_URL is set, all calls go to that endpoint, such as the local cloud.

Examples:
  scripts/deploy.sh --env prod --email ops@example.com
  scripts/deploy.sh --env prod --plan
  scripts/deploy.sh --env prod --bucket example-videos --bucket-prefix incoming/
  scripts/deploy.sh --env prod --parameter LogRetentionInDays=90 --tag CostCenter=4711
TEXT
}

# ---------------------------------------------------------------- Options

environment=dev
architecture=
stack=
artifact_bucket=
wheels=lambda
plan=
bucket=
unset bucket_prefix
parameters=()
given_tags=()

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
  --plan) plan=yes ;;
  --yes) assume_yes=yes ;;
  --env) needs_value "$@" && environment=$2 && shift ;;
  --email) needs_value "$@" && parameters+=("NotificationEmail=$2") && shift ;;
  --email-on) needs_value "$@" && parameters+=("EmailedOutcomes=$2") && shift ;;
  --architecture) needs_value "$@" && architecture=$2 && shift ;;
  --bucket)
    needs_value "$@" && bucket=$2 && parameters+=("ExistingBucketName=$2") && shift
    [ -n "$bucket" ] || parameters+=("ExistingBucketPrefix=") # a prefix requires a bucket
    ;;
  --bucket-prefix) needs_value "$@" && bucket_prefix=$2 && parameters+=("ExistingBucketPrefix=$2") && shift ;;
  --parameter)
    needs_value "$@" && parameters+=("$2")
    case $2 in ExistingBucketName=*) bucket=${2#*=} ;; ExistingBucketPrefix=*) bucket_prefix=${2#*=} ;; esac
    shift
    ;;
  --tag) needs_value "$@" && given_tags+=("$2") && shift ;;
  --stack-name) needs_value "$@" && stack=$2 && shift ;;
  --region) needs_value "$@" && AWS_REGION=$2 && shift ;;
  --profile) needs_value "$@" && export AWS_PROFILE="$2" && shift ;;
  --artifact-bucket) needs_value "$@" && artifact_bucket=$2 && shift ;;
  --wheels) needs_value "$@" && wheels=$2 && shift ;;
  *) unknown_option "$1" ;;
  esac
  shift
done
stack=${stack:-video-intake-$environment}

open_session
say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"

# ---------------------------------------------------------------- Current state

destroy="scripts/destroy.sh --stack-name $stack --region $region"
read_stack "$stack"
case $status in
ROLLBACK_COMPLETE)
  fail "the first deployment of $stack failed and left it in ROLLBACK_COMPLETE, which cannot be updated. Nothing
in it is running and it holds no videos. Remove it, then run this again:
  $destroy"
  ;;
ROLLBACK_FAILED | DELETE_FAILED)
  fail "$stack is only partly removed ($status). Finish removing it, then run this again:
  $destroy"
  ;;
UPDATE_ROLLBACK_FAILED)
  fail "an earlier update of $stack failed, and so did its rollback. The stack's events show why. Fix the cause, complete the
rollback, then run this again:
  aws cloudformation continue-update-rollback --region $region --stack-name $stack
  aws cloudformation wait stack-rollback-complete --region $region --stack-name $stack"
  ;;
REVIEW_IN_PROGRESS) ;; # a change set was created but never executed: there is no stack yet
*_IN_PROGRESS)
  fail "another operation on $stack is in progress ($status). Run this again when it has finished."
  ;;
esac
exists=$status
[ "$status" != REVIEW_IN_PROGRESS ] || exists=

if [ -n "$exists" ] && [ "$deployed_environment" != "$environment" ]; then
  fail "$stack is the environment \"$deployed_environment\"; as \"$environment\" it would get a new, empty bucket.
Pass --env $deployed_environment, or another --stack-name."
fi
if [ "$drifted" = DRIFTED ]; then
  drift=$(aws cloudformation describe-stack-resource-drifts --stack-name "$stack" --output json \
    --stack-resource-drift-status-filters MODIFIED DELETED |
    python3 "$root/scripts/stack_report.py" drift "$drift_time")
  say "$drift"
fi

# The package must be built for the architecture that the function has or will have.
[ -n "$exists" ] || deployed_architecture=
architecture=${architecture:-${deployed_architecture:-arm64}} # arm64 is the template's default
parameters+=("EnvironmentSuffix=$environment" "Architecture=$architecture")

# CloudFormation replaces all tags with the change set's, so the existing ones are passed too; the last value of a name wins.
tags=(Project=video-intake)
while IFS=$'\t' read -r name value; do
  [ -z "$name" ] || tags+=("$name=$value")
done <"$work/tags"
tags+=(${given_tags[@]+"${given_tags[@]}"} "Environment=$environment")

video_bucket=video-intake-$environment-$account-$region
if [ -z "$exists" ] && bucket_exists "$video_bucket"; then
  fail "bucket $video_bucket already exists, from a stack that was deleted (videos are never deleted with a stack).
A new stack cannot create it again. Choose another --env, or import the bucket as described in docs/how-it-works.md. Or, if
you no longer need its contents, delete it and run this again:
  scripts/destroy.sh --env $environment --region $region --delete-videos"
fi

if [ -n "$bucket" ]; then
  [ "$bucket" != "$video_bucket" ] || fail "$bucket is the stack's own bucket, whose uploads are processed without --bucket."
  read_existing_bucket "$bucket"
  if [ -z "${bucket_prefix+given}" ]; then
    bucket_prefix=
    [ -z "$exists" ] || bucket_prefix=$(stack_parameter ExistingBucketPrefix)
  fi
fi

# ---------------------------------------------------------------- Build and upload

watched() { # watched COMMAND...: shows the CLI's upload progress on a terminal, otherwise only errors
  if [ -t 2 ]; then
    "$@" >&2
  else
    "$@" >"$work/output" 2>&1 || {
      tr '\r' '\n' <"$work/output" | grep -v '^Uploading to ' >&2
      return 1
    }
  fi
}

artifacts_are_ours=
if [ -z "$artifact_bucket" ]; then
  artifact_bucket=video-intake-artifacts-$account-$region
  artifacts_are_ours=yes
fi
artifact_prefix=video-intake/$stack
prepare_artifact_bucket "$artifact_bucket" "$artifacts_are_ours"
python3 "$root/scripts/build_package.py" --architecture "$architecture" --wheels "$wheels" >&2

say "Uploading the package to $artifact_bucket"
watched aws cloudformation package --template-file "$root/template.yaml" --output-template-file "$work/packaged.yaml" \
  --s3-bucket "$artifact_bucket" --s3-prefix "$artifact_prefix" ||
  fail "the package could not be uploaded; see the error above."

# ---------------------------------------------------------------- Plan

change_set=
delete_change_set() {
  aws cloudformation delete-change-set --stack-name "$stack" --change-set-name "$1" >/dev/null ||
    say "Warning: the change set ${1##*:changeSet/} could not be deleted. It is harmless and free of charge."
}
delete_failed_change_sets() { # the CLI leaves these
  aws cloudformation list-change-sets --stack-name "$stack" --output text --query \
    "Summaries[?Status=='FAILED' && starts_with(ChangeSetName, 'awscli-cloudformation-package-deploy-')].[ChangeSetId]" \
    >"$work/failed" || say "Warning: failed change sets could not be listed."
  while read -r failed; do delete_change_set "$failed"; done <"$work/failed"
}
discard() { # removes a change set that was shown but not executed
  [ -z "$change_set" ] || delete_change_set "$change_set"
  if [ -z "$status" ]; then # there was no stack before; creating the change set may have created an empty one
    read_stack "$stack"
    [ "$status" != REVIEW_IN_PROGRESS ] || aws cloudformation delete-stack --stack-name "$stack" >/dev/null ||
      say "Warning: the empty stack $stack could not be removed. It is free of charge; the next deployment uses it."
  fi
}
trap 'discard; rm -rf "$work"' EXIT

if ! aws cloudformation deploy --template-file "$work/packaged.yaml" --stack-name "$stack" --no-execute-changeset \
  --s3-bucket "$artifact_bucket" --s3-prefix "$artifact_prefix" --capabilities CAPABILITY_IAM \
  --no-fail-on-empty-changeset --parameter-overrides "${parameters[@]}" --tags "${tags[@]}" >"$work/change-set" 2>&1; then
  tr '\r' '\n' <"$work/change-set" | grep -v -e '^Uploading to ' -e '^Waiting for changeset' -e '^$' >&2 || true
  [ -z "$exists" ] || delete_failed_change_sets
  fail "AWS did not accept this change; see the error above. Nothing was changed."
fi
change_set=$(grep -o 'arn:[^ ]*:changeSet/[^ ]*' "$work/change-set" | head -n 1) || true

if [ -z "$change_set" ]; then
  say "$stack is up to date: there is nothing to change."
  delete_failed_change_sets # an empty change set counts as failed
else
  asks=
  aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change_set" --output json \
    >"$work/changes.json"
  changes=$(python3 "$root/scripts/change_set.py" <"$work/changes.json") || asks=$?
  [ "${asks:-3}" = 3 ] || fail "the change set could not be read; see the error above."
fi

if [ -n "$plan" ]; then
  [ -z "$change_set" ] || printf 'Changes to %s:\n%s\n' "$stack" "$changes"
  [ -z "$bucket" ] || show_notifications "$bucket" "$bucket_prefix"
  say "This was a plan: nothing was changed."
  exit
fi

# ---------------------------------------------------------------- Execute

if [ -n "$bucket" ]; then
  say "$(show_notifications "$bucket" "$bucket_prefix")"
  [ -n "$sends_to_eventbridge" ] || confirmed "Send the events of $bucket to EventBridge?" || fail "nothing was changed."
fi
if [ -n "$change_set" ]; then
  say "Changing $stack:"
  say "$changes"
  if [ -n "$asks" ]; then
    confirmed "Resources in capitals will or may be replaced or deleted. Continue?" || fail "nothing was changed."
  fi
  if [ -n "$exists" ]; then stack_events "$stack"; else printf '{"StackEvents": []}'; fi >"$work/before"
  aws cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change_set" >/dev/null ||
    fail "the change could not be started; see the error above."
  trap 'rm -rf "$work"' EXIT
  verb=create
  [ -z "$exists" ] || verb=update
  if ! aws cloudformation wait "stack-$verb-complete" --stack-name "$stack" 2>"$work/error"; then
    report_failures "$stack"
    read_stack "$stack"
    case $status in
    UPDATE_ROLLBACK_COMPLETE) fail "$stack was not changed: the update failed and was rolled back." ;;
    ROLLBACK_COMPLETE) fail "$stack was not deployed, and only an empty stack is left. Remove it before you try again:
  $destroy" ;;
    *_IN_PROGRESS) fail "$stack is still changing ($status). To see its events: aws cloudformation describe-stack-events --stack-name $stack" ;;
    *) fail "$stack was not deployed and is in $status. Run this again to see what to do." ;;
    esac
  fi
  [ -z "$exists" ] || retire_artifacts "$artifact_bucket" "$artifact_prefix" "$work/packaged.yaml"
fi

[ -z "$bucket" ] || [ -n "$sends_to_eventbridge" ] || turn_eventbridge_on "$bucket"

# ---------------------------------------------------------------- Report

say
say "$stack is deployed:"
aws cloudformation describe-stacks --stack-name "$stack" --output text --query "Stacks[0].[
  Outputs[].[OutputKey, OutputValue],
  Parameters[?ParameterKey=='NotificationEmail'].[ParameterKey, ParameterValue]][]" | sort >"$work/deployed"
deployed() { awk -v name="$1" '$1 == name {print $2}' "$work/deployed"; }
awk '$1 != "NotificationEmail" {printf "  %-22s %s\n", $1, $2}' "$work/deployed"
email=$(deployed NotificationEmail)
if [ -n "$email" ]; then
  say
  report_emails "$email" "$(deployed OutcomeTopicArn)" "$(deployed AlarmTopicArn)"
fi
if [ -n "$bucket" ]; then
  check_bucket_key "$bucket" "$(deployed RoleArn)" "$(stack_parameter KmsKeyArn)"
  say
  say "To process the videos already in $bucket: make replay ARGS=\"missing --stack $stack --bucket $bucket --yes\""
fi
say
say "Dashboard: $(deployed DashboardUrl)"

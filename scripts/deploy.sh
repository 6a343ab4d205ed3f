#!/usr/bin/env bash
# Build the function's package and deploy the stack. `scripts/deploy.sh --help` tells the rest.
#
# Written for bash 3.2 (macOS) and later, AWS CLI 1.29 and 2.13 and later.
set -euo pipefail

usage() {
  cat <<'TEXT'
Build the function's package and deploy the video-intake stack: a first time, or again after any change.

Usage: scripts/deploy.sh [options]

  --env SUFFIX            environment, part of the bucket's name (default: dev)
  --email ADDRESS         who receives outcomes and alarms by e-mail; '' for nobody
  --email-on WHICH        outcomes sent by e-mail: failures or everything
  --architecture NAME     arm64 or x86_64
  --parameter NAME=VALUE  any other parameter of template.yaml; may be repeated
  --tag NAME=VALUE        a tag for the stack and everything in it; may be repeated
  --stack-name NAME       default: video-intake-SUFFIX
  --region REGION         default: as the AWS CLI is configured
  --profile PROFILE       a profile of the AWS CLI
  --artifact-bucket NAME  private bucket for packages, created if there is none
                          (default: video-intake-artifacts-ACCOUNT-REGION)
  --wheels host           package this machine's own wheels: for the local cloud on macOS, never for AWS
  --help

What is not given keeps the value it has in the deployed stack, and in a new stack the template's default.

What happens: the package is built (scripts/build_package.py), uploaded by `aws cloudformation package`, and deployed
by `aws cloudformation deploy`. It needs the AWS CLI, Python 3.10 or newer with pip, and credentials that may manage
the stack's resources. With AWS_ENDPOINT_URL set, everything goes to that endpoint: so the local cloud is deployed to.

Examples:
  scripts/deploy.sh --env prod --email ops@example.com
  scripts/deploy.sh --env prod --parameter LogRetentionInDays=90 --tag CostCenter=4711
TEXT
}

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "deploy: $*"
  exit 1
}

# ---------------------------------------------------------------- What is asked for

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment=dev
email=
architecture=
stack=
artifact_bucket=
wheels=lambda
parameters=()
tags=(Project=video-intake)

while [ $# -gt 0 ]; do
  value=${2-}
  case $1 in
  --help | -h)
    usage
    exit
    ;;
  --env) environment=$value ;;
  --email)
    email=$value
    parameters+=("NotificationEmail=$value")
    ;;
  --email-on) parameters+=("EmailedOutcomes=$value") ;;
  --architecture) architecture=$value ;;
  --parameter) parameters+=("$value") ;;
  --tag) tags+=("$value") ;;
  --stack-name) stack=$value ;;
  --region) AWS_REGION=$value ;;
  --profile) export AWS_PROFILE="$value" ;;
  --artifact-bucket) artifact_bucket=$value ;;
  --wheels) wheels=$value ;;
  *) fail "there is no option $1. See --help." ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value. See --help."
  shift 2
done
stack=${stack:-video-intake-$environment}

# ---------------------------------------------------------------- Where it goes

export AWS_PAGER='' # version 2 of the CLI would stop at a pager

command -v aws >/dev/null ||
  fail "the AWS CLI is missing. Run \`make setup\` and use \`make deploy\`, or install it: https://aws.amazon.com/cli/"
command -v python3 >/dev/null || fail "python3 is missing. Install Python 3.10 or newer."

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[ -n "$region" ] || fail "no region is set. Give --region, or run \`aws configure\`."
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" # version 1 of the CLI knows only the second

identity=$(aws sts get-caller-identity --query '[Account, Arn]' --output text) ||
  fail "AWS does not say who you are (the reason is above). Run \`aws configure\` or \`aws sso login\`, or give --profile."
read -r account arn <<<"$identity"
partition=$(printf '%s' "$arn" | cut -d: -f2)

work=$(mktemp -d "${TMPDIR:-/tmp}/video-intake.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "$stack in account $account, $region${AWS_ENDPOINT_URL:+, at $AWS_ENDPOINT_URL}"

# ---------------------------------------------------------------- What is there already

status=
deployed_environment=
deployed_architecture=
query="Stacks[0].[StackStatus, Parameters[?ParameterKey=='EnvironmentSuffix'].ParameterValue | [0],
  Parameters[?ParameterKey=='Architecture'].ParameterValue | [0]]"
if answer=$(aws cloudformation describe-stacks --stack-name "$stack" --query "$query" --output text 2>"$work/error"); then
  read -r status deployed_environment deployed_architecture <<<"$answer"
elif ! grep -q 'does not exist' "$work/error"; then
  fail "the stack cannot be looked at: $(cat "$work/error")"
fi

delete_stack="aws cloudformation delete-stack --region $region --stack-name $stack"
case $status in
ROLLBACK_COMPLETE)
  fail "the first deployment of $stack failed and left it in ROLLBACK_COMPLETE, which cannot be updated. Nothing of
it runs and no video is in it. Delete it, then run this again:
  $delete_stack && aws cloudformation wait stack-delete-complete --region $region --stack-name $stack"
  ;;
ROLLBACK_FAILED | DELETE_FAILED)
  fail "$stack is half removed ($status). Finish that, then run this again:
  $delete_stack
If it fails once more, the events say what stands in the way: most often a bucket with objects in it, which --retain-resources leaves alone."
  ;;
UPDATE_ROLLBACK_FAILED)
  fail "an earlier update of $stack failed, and so did undoing it. Undo it now, then run this again:
  aws cloudformation continue-update-rollback --region $region --stack-name $stack"
  ;;
REVIEW_IN_PROGRESS) status= ;; # a change set was made and never executed: there is no stack yet
*_IN_PROGRESS)
  fail "$stack is being changed by somebody else ($status). Run this again when that is done."
  ;;
esac

if [ -n "$status" ] && [ "$deployed_environment" != "$environment" ]; then
  fail "$stack is the environment \"$deployed_environment\"; as \"$environment\" it would get another, empty bucket.
Give --env $deployed_environment, or another --stack-name."
fi

# The package must be built for the processor that the function has, or is about to get.
architecture=${architecture:-${deployed_architecture:-arm64}} # arm64 is the template's default
parameters+=("EnvironmentSuffix=$environment" "Architecture=$architecture")
tags+=("Environment=$environment")

bucket_exists() { # bucket_exists NAME: 0 yes and ours, 1 no; anything else ends the script
  local error
  aws s3api head-bucket --bucket "$1" --expected-bucket-owner "$account" >/dev/null 2>"$work/error" && return 0
  error=$(cat "$work/error")
  case $error in
  *'(404)'*) return 1 ;;
  *'(403)'*) fail "bucket $1 belongs to another account, or these credentials may not look at it." ;;
  *) fail "bucket $1 cannot be looked at: $error" ;;
  esac
}

video_bucket=video-intake-$environment-$account-$region
if [ -z "$status" ] && bucket_exists "$video_bucket"; then
  fail "bucket $video_bucket is there already, left by a stack that was deleted (videos are never deleted with a stack).
A new stack cannot take it over. Choose another --env, or, if you no longer need what is in it, empty it with all
versions, delete it, and run this again."
fi

# ---------------------------------------------------------------- Where packages are kept

if [ -z "$artifact_bucket" ]; then
  artifact_bucket=video-intake-artifacts-$account-$region
fi
if ! bucket_exists "$artifact_bucket"; then
  say "Creating $artifact_bucket for packages"
  location=()
  if [ "$region" != us-east-1 ]; then # the one region whose name S3 does not accept here
    location=(--create-bucket-configuration "LocationConstraint=$region")
  fi
  aws s3api create-bucket --bucket "$artifact_bucket" ${location[@]+"${location[@]}"} >/dev/null
  aws s3api put-public-access-block --bucket "$artifact_bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  aws s3api put-bucket-encryption --bucket "$artifact_bucket" --server-side-encryption-configuration \
    '{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}'
  aws s3api put-bucket-policy --bucket "$artifact_bucket" --policy "{\"Version\": \"2012-10-17\", \"Statement\": [{
    \"Sid\": \"DenyPlainHttp\", \"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"s3:*\",
    \"Resource\": [\"arn:$partition:s3:::$artifact_bucket\", \"arn:$partition:s3:::$artifact_bucket/*\"],
    \"Condition\": {\"Bool\": {\"aws:SecureTransport\": \"false\"}}}]}"
fi

# ---------------------------------------------------------------- Build, upload, deploy

watched() { # watched COMMAND...: with the CLI's upload progress if somebody watches, else only what it says in the end
  if [ -t 2 ]; then
    "$@" >&2
  else
    "$@" >"$work/output" 2>&1 || {
      tr '\r' '\n' <"$work/output" | grep -v '^Uploading to ' >&2
      return 1
    }
  fi
}

stack_events() {
  aws cloudformation describe-stack-events --stack-name "$stack" --max-items 300 --output json 2>/dev/null ||
    printf '{"StackEvents": []}'
}

failed_events() { # what failed since the events in $work/before; resources cancelled for it are no causes
  stack_events | python3 -c '
import json, sys

known = {event["EventId"] for event in json.load(open(sys.argv[1]))["StackEvents"]}
for event in reversed(json.load(sys.stdin)["StackEvents"]):  # oldest first
    reason = event.get("ResourceStatusReason", "")
    if event["EventId"] not in known and event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
        print("  {LogicalResourceId} ({ResourceType}): ".format(**event) + reason)
' "$work/before"
}

python3 "$root/scripts/build_package.py" --architecture "$architecture" --wheels "$wheels" >&2

say "Uploading the package to $artifact_bucket"
watched aws cloudformation package --template-file "$root/template.yaml" --output-template-file "$work/packaged.yaml" \
  --s3-bucket "$artifact_bucket" --s3-prefix video-intake ||
  fail "the package could not be uploaded; the reason is above."

say "Deploying $stack"
stack_events >"$work/before"
if ! watched aws cloudformation deploy --template-file "$work/packaged.yaml" --stack-name "$stack" \
  --s3-bucket "$artifact_bucket" --s3-prefix video-intake --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
  --parameter-overrides "${parameters[@]}" --tags "${tags[@]}"; then
  events=$(failed_events)
  if [ -n "$events" ]; then
    say "What failed:"
    say "$events"
  fi
  fail "$stack was not deployed; the reason is above. If it was deployed before, it is as it was."
fi

# ---------------------------------------------------------------- What came of it

say
say "$stack is deployed:"
aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]' \
  --output text | sort | while IFS=$'\t' read -r name value; do
  printf '  %-22s %s\n' "$name" "$value"
done
if [ -n "$email" ]; then
  say
  say "AWS sends two mails to $email, unless confirmed before: nothing else arrives until both links are clicked."
fi

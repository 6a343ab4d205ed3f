# shellcheck shell=bash disable=SC2154 # what session.sh sets
# Sourced after session.sh: a bucket of the user's that exists already, whose uploads the stack processes as well.
#
# S3 has one notification configuration for a bucket and replaces it as a whole, without a condition: so it is read,
# shown, asked for, read again, written with one thing added, and read once more.

notifications() { python3 "$root/scripts/notifications.py" "$@"; }

# refused BUCKET WHAT ACTION: ends the script with the line of policy that is missing.
refused() {
  fail "$2; see the error above. These credentials need
  {\"Effect\": \"Allow\", \"Action\": \"$3\", \"Resource\": \"arn:$partition:s3:::$1\"}"
}

read_notifications() { # read_notifications BUCKET FILE
  aws s3api get-bucket-notification-configuration --bucket "$1" --expected-bucket-owner "$account" --output json >"$2" ||
    refused "$1" "the notifications of $1 cannot be read" s3:GetBucketNotification
}

# look_at_existing_bucket NAME: ends the script if the stack cannot process its uploads. Sets bridged ('yes' if it sends
# its events to EventBridge), events (what it sends where, in words) and bucket_key (the KMS key of its objects, or '').
look_at_existing_bucket() {
  local place encryption off=
  bridged='' events='' bucket_key=''
  bucket_exists "$1" || fail "there is no bucket $1. --bucket takes one that exists, in account $account and $region."
  place=$(aws s3api get-bucket-location --bucket "$1" --expected-bucket-owner "$account" --query LocationConstraint --output text) ||
    refused "$1" "the Region of $1 cannot be read" s3:GetBucketLocation
  case $place in None) place=us-east-1 ;; EU) place=eu-west-1 ;; esac # as S3 has called its first two Regions
  [ "$place" = "$region" ] || fail "bucket $1 is in $place, and S3 sends its events to EventBridge there, not in $region.
Deploy a stack there: give --region $place."
  read_notifications "$1" "$work/notifications"
  events=$(notifications show <"$work/notifications") || off=$?
  case $off in '') bridged=yes ;; 3) ;; *) fail "the notifications of $1 could not be read; see the error above." ;; esac
  encryption=$(aws s3api get-bucket-encryption --bucket "$1" --expected-bucket-owner "$account" --output text --query \
    'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID' 2>"$work/error") ||
    grep -q ServerSideEncryptionConfigurationNotFoundError "$work/error" || # as buckets had it before 2023
    say "Warning: how $1 is encrypted cannot be read. If it has a key of yours, docs/security.md says what that key needs."
  case $encryption in '' | None | alias/aws/s3 | *:alias/aws/s3) ;; *) bucket_key=$encryption ;; esac
}

# what_is_added NAME PREFIX: in words.
what_is_added() {
  printf 'What %s sends, and where:\n' "$1"
  printf '%s\n' "$events" | sed 's/^/  stays   /'
  if [ -n "$bridged" ]; then
    printf 'Nothing about the bucket is changed. Of what goes to EventBridge, the stack takes new videos'
  else
    printf '  ADDED   everything to EventBridge\nOf that, the stack takes new videos'
  fi
  if [ -n "$2" ]; then printf ' whose keys begin with %s\n' "$2"; else printf '\n'; fi
}

# turn_bridge_on NAME: adds EventBridge to what the bucket sends, if all is as it was shown.
turn_bridge_on() {
  read_notifications "$1" "$work/now"
  notifications differs "$work/notifications" <"$work/now" ||
    fail "somebody has changed the notifications of $1 meanwhile; nothing of them was changed. Run this again."
  notifications with <"$work/now" >"$work/wanted"
  # Its other destinations are as they were: they need no test, which would send each of them a message.
  aws s3api put-bucket-notification-configuration --bucket "$1" --expected-bucket-owner "$account" \
    --skip-destination-validation --notification-configuration "file://$work/wanted" >/dev/null ||
    refused "$1" "EventBridge was not turned on for $1" s3:PutBucketNotification
  read_notifications "$1" "$work/now"
  notifications differs "$work/wanted" <"$work/now" ||
    fail "the notifications of $1 are not what was written. They were before:
$(cat "$work/notifications")"
  say "$1 sends its events to EventBridge. It takes about five minutes until the first arrives."
}

# see_to_the_key NAME ROLE OURS: says what is missing in the policy of the bucket's key; OURS is the stack's own key.
see_to_the_key() {
  [ -n "$bucket_key" ] && [ "$bucket_key" != "$3" ] || return 0
  if aws kms get-key-policy --key-id "$bucket_key" --policy-name default --output text --query Policy >"$work/policy" 2>"$work/error"; then
    if notifications admits "$2" <"$work/policy"; then return 0; fi
    say "
Warning: $1 is encrypted with $bucket_key, whose policy does not name the function's role. Unless
another statement of it lets the role in, uploads end in the queue of failed events. It should say this:"
  else
    say "
Warning: $1 is encrypted with $bucket_key, whose policy these credentials may not read. It must say this:"
  fi
  say "  {\"Sid\": \"AllowVideoIntakeToDecrypt\", \"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$2\"},
   \"Action\": \"kms:Decrypt\", \"Resource\": \"*\", \"Condition\": {\"StringLike\": {\"kms:ViaService\": \"s3.$region.*\"}}}"
}

# shellcheck shell=bash disable=SC2154 # what session.sh sets
# Sourced after session.sh: the user's existing bucket, whose uploads the stack also processes.
#
# A bucket has one notification configuration, and S3 replaces it entirely and unconditionally. So these functions show
# it, ask, read it again before writing it with one addition, and read it once more to verify.

notifications() { python3 "$root/scripts/notifications.py" "$@"; }

# fail_for_permission BUCKET PROBLEM ACTION: ends the script and prints the policy statement that is missing.
fail_for_permission() {
  fail "$2; see the error above. These credentials need
  {\"Effect\": \"Allow\", \"Action\": \"$3\", \"Resource\": \"arn:$partition:s3:::$1\"}"
}

read_notifications() { # read_notifications BUCKET FILE
  aws s3api get-bucket-notification-configuration --bucket "$1" --expected-bucket-owner "$account" --output json >"$2" ||
    fail_for_permission "$1" "the notifications of $1 cannot be read" s3:GetBucketNotification
}

# read_existing_bucket NAME: ends the script if the stack cannot process its uploads. Sets sends_to_eventbridge ('yes' or
# ''), destinations (a description of its notifications) and bucket_key (the KMS key of its objects, or '').
read_existing_bucket() {
  local place encryption off=
  sends_to_eventbridge='' destinations='' bucket_key=''
  bucket_exists "$1" || fail "bucket $1 does not exist. --bucket requires an existing bucket in account $account and $region."
  place=$(aws s3api get-bucket-location --bucket "$1" --expected-bucket-owner "$account" --query LocationConstraint --output text) ||
    fail_for_permission "$1" "the Region of $1 cannot be read" s3:GetBucketLocation
  case $place in None) place=us-east-1 ;; EU) place=eu-west-1 ;; esac # S3's names for its first two Regions
  [ "$place" = "$region" ] || fail "bucket $1 is in $place, and S3 sends its events to EventBridge there, not in $region.
Deploy a stack in that Region: pass --region $place."
  read_notifications "$1" "$work/notifications"
  destinations=$(notifications show <"$work/notifications") || off=$?
  case $off in '') sends_to_eventbridge=yes ;; 3) ;; *) fail "the notifications of $1 could not be read; see the error above." ;; esac
  encryption=$(aws s3api get-bucket-encryption --bucket "$1" --expected-bucket-owner "$account" --output text --query \
    'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID' 2>"$work/error") ||
    grep -q ServerSideEncryptionConfigurationNotFoundError "$work/error" || # a bucket from before 2023
    say "Warning: the encryption settings of $1 cannot be read. If it uses your KMS key, see docs/security.md for its policy."
  case $encryption in '' | None | alias/aws/s3 | *:alias/aws/s3) ;; *) bucket_key=$encryption ;; esac
}

# show_notifications NAME PREFIX: prints the bucket's notifications, and what this deployment changes.
show_notifications() {
  printf 'Notifications of %s:\n' "$1"
  printf '%s\n' "$destinations" | sed 's/^/  kept   /'
  if [ -n "$sends_to_eventbridge" ]; then
    printf 'The bucket is not changed. '
  else
    printf '  added  all events to EventBridge\n'
  fi
  printf 'The stack processes new videos in it'
  if [ -n "$2" ]; then printf ' whose keys begin with %s\n' "$2"; else printf '\n'; fi
}

# turn_eventbridge_on NAME: sends the bucket's events to EventBridge too, unless its notifications have changed meanwhile.
turn_eventbridge_on() {
  read_notifications "$1" "$work/now"
  notifications differs "$work/notifications" <"$work/now" ||
    fail "the notifications of $1 were changed by someone else in the meantime, so they were not updated. Run this again."
  notifications with <"$work/now" >"$work/wanted"
  # The other destinations did not change; validating them would send each of them a test message.
  aws s3api put-bucket-notification-configuration --bucket "$1" --expected-bucket-owner "$account" \
    --skip-destination-validation --notification-configuration "file://$work/wanted" >/dev/null ||
    fail_for_permission "$1" "EventBridge was not turned on for $1" s3:PutBucketNotification
  read_notifications "$1" "$work/now"
  notifications differs "$work/wanted" <"$work/now" ||
    fail "the notifications of $1 differ from what was written. Before, they were:
$(cat "$work/notifications")"
  say "$1 now sends its events to EventBridge. The first events arrive in about five minutes."
}

# check_bucket_key NAME ROLE OURS: warns if the policy of the bucket's key does not admit ROLE; OURS is the stack's key.
check_bucket_key() {
  [ -n "$bucket_key" ] && [ "$bucket_key" != "$3" ] || return 0
  if aws kms get-key-policy --key-id "$bucket_key" --policy-name default --output text --query Policy >"$work/policy" 2>"$work/error"; then
    if notifications admits "$2" <"$work/policy"; then return 0; fi
    say "
Warning: $1 is encrypted with $bucket_key, whose policy does not name the function's role. Unless
another statement admits the role, events go to the failed-events queue. Add this statement:"
  else
    say "
Warning: $1 is encrypted with $bucket_key, whose policy these credentials cannot read. It needs this statement:"
  fi
  say "  {\"Sid\": \"AllowVideoIntakeToDecrypt\", \"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$2\"},
   \"Action\": \"kms:Decrypt\", \"Resource\": \"*\", \"Condition\": {\"StringLike\": {\"kms:ViaService\": \"s3.$region.*\"}}}"
}

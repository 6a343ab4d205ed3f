# shellcheck shell=bash disable=SC2154 # what open_session sets
# Sourced after session.sh: the bucket for deployment packages.
#
# CloudFormation rolls back a failed update with the previous package, so that one must never expire; and `aws
# cloudformation package` does not upload a package whose name, a checksum, already exists. So an object's age does not
# show whether it is needed. Therefore the bucket is versioned, each stack has a folder, and packages that a stack no
# longer needs are deleted after a successful deployment: they remain as noncurrent versions for 90 days, then expire.

artifact_settings() {
  aws s3api put-public-access-block --bucket "$1" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  aws s3api put-bucket-encryption --bucket "$1" --server-side-encryption-configuration \
    '{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}'
  aws s3api put-bucket-policy --bucket "$1" --policy "{\"Version\": \"2012-10-17\", \"Statement\": [{
    \"Sid\": \"DenyPlainHttp\", \"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"s3:*\",
    \"Resource\": [\"arn:$partition:s3:::$1\", \"arn:$partition:s3:::$1/*\"],
    \"Condition\": {\"Bool\": {\"aws:SecureTransport\": \"false\"}}}]}"
  aws s3api put-bucket-versioning --bucket "$1" --versioning-configuration Status=Enabled
  aws s3api put-bucket-lifecycle-configuration --bucket "$1" --lifecycle-configuration '{"Rules": [
    {"ID": "ExpireOldPackages", "Status": "Enabled", "Filter": {"Prefix": ""},
     "NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Expiration": {"ExpiredObjectDeleteMarker": true},
     "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]}'
}

# is_artifact_bucket NAME: whether these scripts set up this bucket completely; its tags are written last.
is_artifact_bucket() {
  aws s3api get-bucket-tagging --bucket "$1" --expected-bucket-owner "$account" --query 'TagSet[].[Key, Value]' --output text 2>/dev/null |
    grep -q "^Purpose[[:space:]]video-intake-packages$"
}

# prepare_artifact_bucket NAME IS_OURS: creates it if needed. Our bucket ('yes') gets all its settings; the user's bucket is
# not changed.
managed_artifacts=
prepare_artifact_bucket() {
  local location=() place
  if is_artifact_bucket "$1"; then
    managed_artifacts=yes
    return
  fi
  if ! bucket_exists "$1"; then
    say "Creating $1 for packages"
    if [ "$region" != us-east-1 ]; then # S3 does not accept this region's name here
      location=(--create-bucket-configuration "LocationConstraint=$region")
    fi
    aws s3api create-bucket --bucket "$1" ${location[@]+"${location[@]}"} >/dev/null
  elif [ "$2" != yes ]; then
    place=$(aws s3api get-bucket-location --bucket "$1" --query LocationConstraint --output text)
    [ "$place" != None ] || place=us-east-1
    [ "$place" = "$region" ] || fail "bucket $1 is in $place; Lambda accepts packages only from its own Region, $region."
    say "Packages go to $1; its settings are not changed and packages are never deleted from it."
    return
  else
    say "Completing the settings of $1"
  fi
  artifact_settings "$1" >/dev/null
  aws s3api put-bucket-tagging --bucket "$1" --tagging \
    'TagSet=[{Key=Project,Value=video-intake},{Key=Purpose,Value=video-intake-packages}]' >/dev/null
  managed_artifacts=yes
}

# retire_artifacts BUCKET PREFIX TEMPLATE: deletes packages under PREFIX that the packaged TEMPLATE does not use.
retire_artifacts() {
  local keep=() key
  [ -n "$managed_artifacts" ] || return 0
  while read -r key; do
    keep+=(--exclude "${key##*/}*")
  done < <(grep -o "$2/[0-9a-f]*" "$3" | sort -u) # with or without s3://BUCKET/ before it
  [ ${#keep[@]} -gt 0 ] || return 0
  aws s3 rm "s3://$1/$2/" --recursive --only-show-errors "${keep[@]}" ||
    say "Warning: old packages could not be removed from $1; the next deployment tries again."
}

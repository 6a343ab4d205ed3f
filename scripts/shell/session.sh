# shellcheck shell=bash disable=SC2034 # those who source it use what it sets
# Sourced by the scripts that speak to AWS: words, options, and the account and region that the AWS CLI speaks to.
# Like them, it is written for bash 3.2 (macOS) and later, AWS CLI 1.29 and 2.13 and later.

program=$(basename "$0" .sh)
root=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$program: $*"
  exit 1
}

# confirmed QUESTION: whether the person at the terminal answers yes; --yes answers for them. Nobody is there to answer
# where the input is no terminal: then the script ends.
assume_yes=
confirmed() {
  local answer
  [ -z "$assume_yes" ] || return 0
  [ -t 0 ] || fail "$1
Nobody is there to answer. Give --yes if that is meant."
  printf '%s [y/N] ' "$1" >&2
  read -r answer || answer=
  case $answer in [yY] | [yY][eE][sS]) ;; *) return 1 ;; esac
}

# confirmed_by_name NAME: as confirmed, but the answer is the name itself: for what nothing brings back.
confirmed_by_name() {
  local answer
  [ -z "$assume_yes" ] || return 0
  [ -t 0 ] || fail "nobody is there to answer. Give --yes if that is meant."
  printf 'Type %s to go on: ' "$1" >&2
  read -r answer || answer=
  [ "$answer" = "$1" ]
}

# aws_works: asked only after something went wrong, as each call of the CLI takes half a second.
aws_works() {
  aws --version >/dev/null 2>&1 || fail "the AWS CLI is missing, or what is found under its name does not run.
Run \`make setup\` and put .venv/bin first in PATH, or install it: https://aws.amazon.com/cli/"
}

# open_session: sets account, partition and region, and a folder work that is removed at the end.
open_session() {
  local identity arn
  export AWS_PAGER='' # version 2 of the CLI would stop at a pager
  python3 --version >/dev/null 2>&1 || fail "python3 is missing. Install Python 3.10 or newer."

  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
  [ -n "$region" ] || aws_works
  [ -n "$region" ] || fail "no region is set. Give --region, or run \`aws configure\`."
  export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" # version 1 of the CLI knows only the second

  identity=$(aws sts get-caller-identity --query '[Account, Arn]' --output text) || {
    aws_works
    fail "AWS does not say who you are (the reason is above). Run \`aws configure\` or \`aws sso login\`, or give --profile."
  }
  read -r account arn <<<"$identity"
  partition=$(printf '%s' "$arn" | cut -d: -f2)

  work=$(mktemp -d "${TMPDIR:-/tmp}/video-intake.XXXXXX")
  trap 'rm -rf "$work"' EXIT
}

# bucket_exists NAME: 0 yes and of this account, 1 no; anything else ends the script.
bucket_exists() {
  local error
  aws s3api head-bucket --bucket "$1" --expected-bucket-owner "$account" >/dev/null 2>"$work/error" && return 0
  error=$(cat "$work/error")
  case $error in
  *'(404)'*) return 1 ;;
  *'(403)'*) fail "bucket $1 belongs to another account, or these credentials may not look at it." ;;
  *) fail "bucket $1 cannot be looked at: $error" ;;
  esac
}

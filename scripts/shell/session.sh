# shellcheck shell=bash disable=SC2034 # the scripts that source it use its variables
# Sourced by the scripts that call AWS: messages, options, and the account and region that the AWS CLI uses.
# Like them, it supports bash 3.2 (macOS) and later, and AWS CLI 1.29 and 2.13 and later.

unset CDPATH # if exported, it could redirect `cd` and make it print the folder
program=$(basename "$0" .sh)
root=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$program: $*"
  exit 1
}

# needs_value OPTION [VALUE]: ends the script if the option has no value.
needs_value() {
  case ${2---} in --*) fail "$1 needs a value. See --help." ;; esac
}

# unknown_option OPTION: ends the script.
unknown_option() {
  case $1 in -*) fail "unknown option: $1. See --help." ;; *) fail "unexpected argument: $1. See --help." ;; esac
}

# confirmed QUESTION: whether the user answers yes, or passed --yes. Without a terminal, the script ends.
assume_yes=
confirmed() {
  local answer
  [ -z "$assume_yes" ] || return 0
  [ -t 0 ] || fail "$1
There is no terminal to confirm on. Pass --yes to proceed."
  printf '%s [y/N] ' "$1" >&2
  read -r answer || answer=
  case $answer in [yY] | [yY][eE][sS]) ;; *) return 1 ;; esac
}

# confirmed_by_name NAME: as confirmed, but the answer must be the name: for what cannot be undone.
confirmed_by_name() {
  local answer
  [ -z "$assume_yes" ] || return 0
  [ -t 0 ] || fail "there is no terminal to confirm on. Pass --yes to proceed."
  printf 'Type %s to continue: ' "$1" >&2
  read -r answer || answer=
  [ "$answer" = "$1" ]
}

# aws_works: called only after something went wrong, because each CLI call takes half a second.
aws_works() {
  aws --version >/dev/null 2>&1 || fail "the AWS CLI is missing or does not run.
Run \`make setup\` and put .venv/bin first in PATH, or install it: https://aws.amazon.com/cli/"
}

# honors_endpoint: ends the script if AWS_ENDPOINT_URL is set but the CLI would ignore it and call AWS.
honors_endpoint() {
  local version major minor oldest
  env | grep -q '^AWS_ENDPOINT_URL' || return 0
  [ "${AWS_IGNORE_CONFIGURED_ENDPOINT_URLS-}" != true ] ||
    fail "AWS_ENDPOINT_URL is set, but AWS_IGNORE_CONFIGURED_ENDPOINT_URLS makes the AWS CLI ignore it. Unset one of them."
  version=$(aws --version 2>&1) || aws_works # aws-cli/2.13.0 Python/3.11.4 ...
  version=${version#aws-cli/} && version=${version%% *}
  major=${version%%.*} && minor=${version#*.} && minor=${minor%%.*}
  case $major in 1) oldest=29 ;; 2) oldest=13 ;; *) oldest=0 ;; esac
  [ "$minor" -ge "$oldest" ] 2>/dev/null ||
    fail "AWS_ENDPOINT_URL is set, but AWS CLI $version ignores it and would call AWS.
Use version 1.29 or 2.13, or newer; \`make setup\` installs one into .venv/bin."
}

# open_session: sets account, partition, region and work, a folder that is removed at the end.
open_session() {
  local identity arn
  export AWS_PAGER='' AWS_CLI_AUTO_PROMPT=off # AWS CLI 2 would wait in a pager or prompt
  python3 --version >/dev/null 2>&1 || fail "python3 is missing. Install Python 3.10 or newer."

  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
  [ -n "$region" ] || aws_works
  [ -n "$region" ] || fail "no Region is set. Pass --region, or run \`aws configure\`."
  export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" # version 1 of the CLI reads only the second

  honors_endpoint
  identity=$(aws sts get-caller-identity --query '[Account, Arn]' --output text) || {
    aws_works
    fail "AWS did not accept your credentials; see the error above. Run \`aws configure\` or \`aws sso login\`, or pass --profile."
  }
  read -r account arn <<<"$identity"
  partition=$(printf '%s' "$arn" | cut -d: -f2)

  work=$(mktemp -d "${TMPDIR:-/tmp}/video-intake.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'trap "" HUP; exit 129' HUP # an interrupted subshell of bash sends another SIGHUP, which would end `rm`
}

# bucket_exists NAME: 0 if it exists in this account, 1 if it does not; anything else ends the script.
bucket_exists() {
  local error
  aws s3api head-bucket --bucket "$1" --expected-bucket-owner "$account" >/dev/null 2>"$work/error" && return 0
  error=$(cat "$work/error")
  case $error in
  *'(404)'*) return 1 ;;
  *'(403)'*) fail "bucket $1 belongs to another account, or these credentials lack s3:ListBucket." ;;
  *) fail "bucket $1 could not be read: $error" ;;
  esac
}

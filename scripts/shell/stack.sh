# shellcheck shell=bash disable=SC2034,SC2154 # the scripts that source it use its variables and set those it uses
# Sourced after session.sh: the state of a stack, and what happened to it.

# read_stack NAME: sets status ('' if there is no stack), its current environment and architecture, and the result of the
# last drift detection; writes its tags to $work/tags.
read_stack() {
  local query answer
  status='' deployed_environment='' deployed_architecture='' drifted='' drift_time=''
  query="Stacks[0].[[[StackStatus, DriftInformation.StackDriftStatus, DriftInformation.LastCheckTimestamp,
    Parameters[?ParameterKey=='EnvironmentSuffix'].ParameterValue | [0],
    Parameters[?ParameterKey=='Architecture'].ParameterValue | [0]]], Tags[].[Key, Value]][]"
  : >"$work/tags"
  if answer=$(aws cloudformation describe-stacks --stack-name "$1" --query "$query" --output text 2>"$work/error"); then
    read -r status drifted drift_time deployed_environment deployed_architecture <<<"$answer"
    printf '%s\n' "$answer" | sed 1d >"$work/tags"
    [ "$deployed_environment" != None ] || deployed_environment=''
    [ "$deployed_architecture" != None ] || deployed_architecture='' # a stack that only holds an imported bucket
  elif ! grep -q 'does not exist' "$work/error"; then
    fail "the stack could not be read: $(cat "$work/error")"
  fi
}

stack_output() { # stack_output NAME: '' if the stack has no such output
  local value
  value=$(aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue | [0]" --output text)
  [ "$value" = None ] || printf '%s' "$value"
}

stack_parameter() { # stack_parameter NAME: '' if the stack has no such parameter
  local value
  value=$(aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Parameters[?ParameterKey=='$1'].ParameterValue | [0]" --output text)
  [ "$value" = None ] || printf '%s' "$value"
}

stack_events() {
  aws cloudformation describe-stack-events --stack-name "$1" --max-items 300 --output json 2>/dev/null ||
    printf '{"StackEvents": []}'
}

# report_failures NAME: prints what failed since the events in $work/before.
report_failures() {
  local failures
  failures=$(stack_events "$1" | python3 "$root/scripts/stack_report.py" failures "$work/before")
  if [ -n "$failures" ]; then
    say "Failures:"
    say "$failures"
  fi
}

# report_emails ADDRESS TOPIC...: says whether e-mails from the topics reach the address.
report_emails() {
  local address=$1 topic
  shift
  : >"$work/subscriptions"
  for topic; do
    if ! aws sns list-subscriptions-by-topic --topic-arn "$topic" --output json >>"$work/subscriptions" 2>"$work/error"; then
      say "Warning: whether e-mails reach $address could not be checked: $(cat "$work/error")"
      return
    fi
  done
  say "$(python3 "$root/scripts/stack_report.py" emails "$address" <"$work/subscriptions")"
}

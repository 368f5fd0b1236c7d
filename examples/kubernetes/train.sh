#!/usr/bin/env bash
# Trains one model now, as a Job, and shows what it says. Exit code 0 if it ended well.
#
#   examples/kubernetes/train.sh --user user01 --n-estimators 200 --max-depth 20 --run-name experiment-001
#
# It deploys what is better, as a run that the receiver ordered does; the receiver does not know of it, so pause the
# model there for as long as you try things: retrain-receiver pause user01 --comment "trying things"
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  echo "usage: train.sh [--user USER_ID] [--n-estimators TREES] [--max-depth DEPTH] [--run-name NAME]" >&2
  exit 2
}
is() { [[ $1 =~ ^$2$ ]] || usage; }

user=user01 estimators=0 depth=0 name=by-hand
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --user) is "$2" '[a-z0-9-]{1,40}'; user=$2 ;;
    --n-estimators) is "$2" '[0-9]{1,5}'; estimators=$2 ;;
    --max-depth) is "$2" '[0-9]{1,3}'; depth=$2 ;;
    --run-name) is "$2" '[A-Za-z0-9._-]{1,60}'; name=$2 ;;
    *) usage ;;
  esac
  shift 2
done

mlflow=""
if kubectl --namespace training get service mlflow >/dev/null 2>&1; then mlflow=http://mlflow:5000; fi
job=$(sed -e "s/user01/$user/g" \
  -e "s|{name: N_ESTIMATORS, value: \"0\"}|{name: N_ESTIMATORS, value: \"$estimators\"}|" \
  -e "s|{name: MAX_DEPTH, value: \"0\"}|{name: MAX_DEPTH, value: \"$depth\"}|" \
  -e "s|{name: RUN_NAME, value: \"\"}|{name: RUN_NAME, value: \"$name\"}|" \
  -e "s|{name: MLFLOW_URI, value: \"\"}|{name: MLFLOW_URI, value: \"$mlflow\"}|" \
  training-job.yaml | kubectl create --output name --filename -)
kubectl --namespace training logs --follow --pod-running-timeout 5m "$job" || true
kubectl --namespace training wait --for condition=Complete --timeout 1m "$job"

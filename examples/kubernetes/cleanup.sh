#!/usr/bin/env bash
# Removes what deploy.sh installed: both namespaces with all that is in them, and the volumes. MLflow's runs go with its
# claim; models and logs on the node stay, unless you say --data. The receiver is a release of its own: helm --namespace retrain uninstall retrain
#
#   STORAGE_DIR=$HOME/mlops-data examples/kubernetes/cleanup.sh --data
set -euo pipefail
cd "$(dirname "$0")"
STORAGE_DIR="${STORAGE_DIR:-/var/lib/mlops}"
[ $# -eq 0 ] || [ "$*" = --data ] || { echo "usage: cleanup.sh [--data]" >&2; exit 2; }

kubectl delete --ignore-not-found --filename namespaces.yaml
kubectl delete --ignore-not-found persistentvolume models-serving models-training
if [ "${1:-}" = --data ]; then
  sudo rm -rf -- "${STORAGE_DIR:?}/models" "$STORAGE_DIR/logs"
fi
